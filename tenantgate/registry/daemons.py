"""Daemons: a partner's programs that may call."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlmodel import Session, col, select

from tenantgate.core.policy import CredentialStrength, DaemonRow, is_guid
from tenantgate.core.references import check_daemon, check_profile
from tenantgate.registry import partners
from tenantgate.registry.errors import ConflictError, InvalidError
from tenantgate.registry.rows import columns_of, data_of_row
from tenantgate.registry.service import (
    Page,
    add,
    checked,
    choose_id,
    fitting,
    get_row,
    page,
    refer,
    set_state,
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
    data = checked(DaemonRow(**members))
    tenant = refer(work.session, Tenant, data.tenant, "tenant")
    found = fitting(check_daemon, data, data_of_row("tenant", tenant))
    assert isinstance(found, DaemonRow)
    issuer = refer(work.session, Issuer, tenant.issuer, "tenant")
    fitting(check_profile, found, data_of_row("issuer", issuer))
    if pin:
        check_pin(found, issuer)
    _require_open(work.session, found.partner or tenant.partner)
    same = select(Daemon).where(Daemon.tenant == found.tenant, Daemon.client_id == found.client_id)
    if (other := work.session.exec(same).first()) is not None:
        message = f"client id {found.client_id} is already listed as daemon {other.id}"
        raise ConflictError("client_id_duplicate", message, field="client_id", holder=other.id)
    return add(work, Daemon(**columns_of(found), pin_object_id=pin, **written_by(work)), "daemon.created")


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


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    tenant: str | None = None,
    client_id: str | None = None,
    partner: str | None = None,
    state: str | None = None,
) -> Page[Daemon]:
    """Return daemons in order of id. `partner` finds those of the partner's tenants and of hosted tenants.

    A `client_id` that is a GUID is found in either case, any other as it is written.
    """
    query = select(Daemon)
    if client_id is not None:
        query = query.where(
            col(Daemon.client_id).in_({client_id, client_id.lower() if is_guid(client_id) else client_id})
        )
    if partner is not None:
        query = query.join(Tenant).where((Daemon.partner == partner) | (Tenant.partner == partner))
    equal = {"tenant": tenant, "state": state}
    return page(session, query, Daemon, after=after, limit=limit, equal=dict(equal))


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
