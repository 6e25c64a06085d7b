"""Daemons: a partner's programs that may call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa
from msgspec.structs import replace as changed
from sqlmodel import Session, col, select

from tenantgate.core.policy import CredentialStrength, DaemonRow, is_guid
from tenantgate.core.references import check_daemon, check_profile
from tenantgate.registry import partners, pins
from tenantgate.registry.errors import ConflictError, InvalidError
from tenantgate.registry.ordering import Condition, bytewise, folded, orders_of
from tenantgate.registry.owned import daemons_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import columns_of, data_of_row
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import (
    NOTES_LENGTH,
    add,
    amend,
    checked,
    choose_id,
    fitting,
    get_row,
    only,
    refer,
    refuse_in_use,
    remove,
    set_state,
    text,
    written_by,
)
from tenantgate.registry.tables import Daemon, Issuer, Partner, Tenant
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSpec:
    """What a daemon is to be. `oid` (Entra) or `subject` (OIDC) pins it; `partner` in a hosted tenant only.

    `pin_object_id` (Entra): the object id it is first granted with becomes its `oid` (`registry.pins`).
    """

    tenant: str
    client_id: str
    id: str | None = None
    oid: str | None = None
    subject: str | None = None
    partner: str | None = None
    min_credential: CredentialStrength = "none"
    pin_object_id: bool = False
    notes: str = ""


def create(work: Work, spec: DaemonSpec) -> Daemon:
    """List a daemon, active at once; it may do nothing before a role is granted.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`.
        ConflictError: `id_duplicate`, `client_id_duplicate`; `holder` is the daemon that has it.
        TransitionError: `partner_archived`.
    """
    id_ = choose_id(work, Daemon, "dmn", spec.id)
    members = asdict(spec) | {"id": id_}
    pin = members.pop("pin_object_id")
    notes = text(members.pop("notes"), "notes", limit=NOTES_LENGTH, lines=True, empty=True)
    data = checked(DaemonRow(**members))
    tenant = refer(work.session, Tenant, data.tenant, "tenant")
    found = _fitting(work.session, data, tenant, pin=pin)
    _require_open(work.session, found.partner or tenant.partner)
    same = select(Daemon).where(Daemon.tenant == found.tenant, Daemon.client_id == found.client_id)
    if (other := work.session.exec(same).first()) is not None:
        message = f"client id {found.client_id} is already listed as daemon {other.id}"
        raise ConflictError("client_id_duplicate", message, field="client_id", holder=other.id)
    return add(work, Daemon(**columns_of(found), pin_object_id=pin, notes=notes, **written_by(work)), "daemon.created")


CHANGEABLE: Final = frozenset({"oid", "subject", "min_credential", "pin_object_id", "notes"})


def change(work: Work, id_: str, members: Mapping[str, Any]) -> Daemon:
    """Change what `members` names (`CHANGEABLE`); the rest stays. Where it is so already nothing is written.

    An `oid` that is given ends the wait for the first grant's. Whoever says anything of the two has looked: what was
    seen of object ids is forgotten. Where the wait begins, or begins anew, that makes a revision, though gates judge as
    before: by it a grant of before is told from one of after (`registry.pins`).

    Raises:
        NotFoundError: `daemon_not_found`.
        InvalidError: a member is at fault.
        TransitionError: `partner_archived`. At the end of the unit of work: `approval_needed`, where it holds a
            sensitive role and is to be another caller's, or to show a weaker credential (`registry.approved`).
    """
    row = get_row(work.session, Daemon, id_, for_change=True)
    require_open(work.session, row)
    wanted = dict(only(members, CHANGEABLE))
    said = not wanted.keys().isdisjoint({"oid", "pin_object_id"})
    forgot = said and pins.forget(work.session, id_)
    pin = wanted.pop("pin_object_id", row.pin_object_id and wanted.get("oid") is None)
    notes = text(wanted.pop("notes", row.notes), "notes", limit=NOTES_LENGTH, lines=True, empty=True)
    before = data_of_row("daemon", row)
    assert isinstance(before, DaemonRow)
    # One that was pinned at its first grant has both, and keeps them while neither changes.
    begins = pin and not (row.pin_object_id and wanted.get("oid", row.oid) == row.oid)
    found = _fitting(
        work.session, checked(changed(before, **wanted)), get_row(work.session, Tenant, row.tenant), pin=begins
    )
    columns = columns_of(found) | {"pin_object_id": pin, "notes": notes}
    return amend(work, row, columns, "daemon.changed", anew=begins or (pin and forgot and found.oid is None))


def delete(work: Work, id_: str) -> Daemon:
    """List it no more. The row goes; what it was stays in the audit.

    Raises:
        NotFoundError: `daemon_not_found`.
        ConflictError: `daemon_in_use`; `holder` is the first that names it.
    """
    row = get_row(work.session, Daemon, id_, for_change=True)
    refuse_in_use(work.session, row)
    pins.forget(work.session, id_)  # or another one of this id would be pinned by what was seen of this one
    return remove(work, row, "daemon.deleted")


def _fitting(session: Session, data: DaemonRow, tenant: Tenant, *, pin: bool) -> DaemonRow:
    """Return a daemon's row as its tenant and that tenant's issuer have it. Raises InvalidError."""
    found = fitting(check_daemon, data, data_of_row("tenant", tenant))
    assert isinstance(found, DaemonRow)
    issuer = refer(session, Issuer, tenant.issuer, "tenant")
    fitting(check_profile, found, data_of_row("issuer", issuer))
    if pin:
        check_pin(found, issuer)
    return found


def check_pin(daemon: DaemonRow, issuer: Issuer) -> None:
    """Refuse to pin at the first grant where there is an object id already, or none to come.

    Raises:
        InvalidError: `member_not_allowed`.
    """
    if issuer.kind != "entra":
        message = "tokens of this issuer have no object id; give the `subject`"
        raise InvalidError("member_not_allowed", message, field="pin_object_id")
    if daemon.oid is not None:
        raise InvalidError("member_not_allowed", "`oid` is given already", field="pin_object_id")


def get(session: Session, id_: str) -> Daemon:
    """Return a daemon. Raises NotFoundError."""
    return get_row(session, Daemon, id_)


FEW_TENANTS: Final = 1_000
"""Tenants of an issuer, at most, by which its daemons are found."""
DAEMONS: Final = Catalogue(
    Daemon,
    orders_of(Daemon),
    (own(Daemon, bytewise(col(Daemon.id))), own(Daemon, folded(col(Daemon.client_id)))),
    wide=("state",),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    tenant: str | None = None,
    client_id: str | None = None,
    issuer: str | None = None,
    partner: str | None = None,
    state: str | None = None,
) -> Page[Daemon]:
    """Return daemons, in order of id or as `sort` says. `partner` finds those of its tenants and of hosted tenants.

    `issuer` finds those of its tenants. `search` is the beginning of an id or of a client id. A `client_id` that is a
    GUID is found in either case, any other as it is written.
    """
    if "\0" in f"{client_id}{issuer}":
        return Page((), None)
    where = of_partner(col(Daemon.id), partner)
    if client_id is not None:
        spellings = {client_id, client_id.lower() if is_guid(client_id) else client_id}
        where.append(col(Daemon.client_id).in_(spellings))
    if issuer is not None:
        where.append(_of_issuer(session, issuer))
    equal = {"tenant": tenant, "state": state}
    return DAEMONS.page(session, after=after, limit=limit, sort=sort, search=search, equal=equal, where=where)


def _of_issuer(session: Session, issuer: str) -> Condition:
    """Return the condition that a daemon is of an issuer's tenants.

    Of few tenants, their daemons are found by them. Where they are many, most daemons are theirs: the list is read in
    its order, and each daemon's tenant looked at (as a value, which no engine makes into a join that it would sort).
    """
    few = session.exec(select(Tenant.id).where(Tenant.issuer == issuer).limit(FEW_TENANTS + 1)).all()
    if len(few) <= FEW_TENANTS:
        return col(Daemon.tenant).in_(few)
    whose = sa.select(col(Tenant.issuer)).where(col(Tenant.id) == col(Daemon.tenant)).scalar_subquery()
    return whose == issuer


def of_partner(daemon: Any, partner: str | None) -> list[Condition]:
    """Return the conditions that a column of daemons' ids names one of a partner's; none where `partner` is None."""
    if partner is None:
        return []
    return [sa.false()] if "\0" in partner else [daemon.in_(daemons_of(partner))]


def suspend(work: Work, id_: str, *, reason: str = "") -> Daemon:
    """Let this daemon in no more. Raises NotFoundError, TransitionError."""
    row = get_row(work.session, Daemon, id_, for_change=True)
    return set_state(work, row, "suspended", "daemon.suspended", reason=reason)


def activate(work: Work, id_: str, *, reason: str = "") -> Daemon:
    """Let this daemon in again. Raises NotFoundError, TransitionError (`state_unchanged`, `partner_archived`)."""
    row = get_row(work.session, Daemon, id_, for_change=True)
    require_open(work.session, row)
    return set_state(work, row, "active", "daemon.activated", reason=reason)


def require_open(session: Session, daemon: Daemon) -> None:
    """Refuse anything new for a daemon of an archived partner.

    Raises:
        TransitionError: `partner_archived`.
    """
    _require_open(session, partner_of(session, daemon))


def partner_of(session: Session, daemon: Daemon) -> str | None:
    """Return the id of the partner whose daemon this is."""
    return daemon.partner or get_row(session, Tenant, daemon.tenant).partner


def _require_open(session: Session, partner: str | None) -> None:
    if partner is not None:
        partners.require_open(refer(session, Partner, partner, "partner"), "partner")
