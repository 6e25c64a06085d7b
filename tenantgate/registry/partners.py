"""Partners: the companies. Invited, active, suspended, archived; archived is the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

import sqlalchemy as sa
from sqlmodel import Session, col

from tenantgate.core.fields import LIST_LENGTH, NAME_LENGTH
from tenantgate.core.policy import PartnerRow
from tenantgate.registry.errors import InvalidError, TransitionError
from tenantgate.registry.ordering import bytewise, end_of, folded, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import columns_of
from tenantgate.registry.searching import Catalogue, Text, ends_between, own, sort_by_end
from tenantgate.registry.service import (
    NOTES_LENGTH,
    add,
    amend,
    checked,
    choose_id,
    get_row,
    only,
    require_future,
    set_state,
    text,
    written_by,
)
from tenantgate.registry.tables import Daemon, Partner, Tenant
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerSpec:
    """What a partner is to be. `ends_at` is epoch seconds, exclusive."""

    name: str
    id: str | None = None
    state: Literal["invited", "active"] = "active"
    ends_at: int | None = None
    contacts: tuple[str, ...] = ()
    notes: str = ""


def create(work: Work, spec: PartnerSpec) -> Partner:
    """List a company.

    Raises:
        InvalidError: a member is at fault.
        ConflictError: `id_duplicate`.
    """
    id_ = choose_id(work, Partner, "prt", spec.id)
    data = checked(PartnerRow(id=id_, name=spec.name, state=spec.state, ends_at=spec.ends_at))
    if data.state not in {"invited", "active"}:
        raise InvalidError("value_unknown", "a partner begins invited or active", field="state")
    require_future(work, data.ends_at, "ends_at")
    return add(work, Partner(**columns_of(data), **_own_columns(spec), **written_by(work)), "partner.created")


CHANGEABLE: Final = frozenset({"name", "ends_at", "contacts", "notes"})


def change(work: Work, id_: str, members: Mapping[str, Any]) -> Partner:
    """Change what `members` names (`CHANGEABLE`); the rest stays. Where it is so already nothing is written.

    Raises:
        NotFoundError: `partner_not_found`.
        InvalidError: a member is at fault, `time_in_past`.
        TransitionError: `partner_archived`. At the end of the unit of work: `approval_needed`, where a later end would
            prolong a sensitive role.
    """
    row = get_row(work.session, Partner, id_, for_change=True)
    require_open(row)
    wanted = PartnerSpec(name=row.name, ends_at=row.ends_at, contacts=tuple(row.contacts), notes=row.notes)
    wanted = replace(wanted, **only(members, CHANGEABLE))
    data = checked(PartnerRow(id=id_, name=wanted.name, state=cast("Any", row.state), ends_at=wanted.ends_at))
    if data.ends_at != row.ends_at:
        require_future(work, data.ends_at, "ends_at")
    return amend(work, row, columns_of(data) | _own_columns(wanted), "partner.changed")


def _own_columns(spec: PartnerSpec) -> dict[str, Any]:
    """Return the columns that are no gate's business, checked."""
    if len(spec.contacts) > LIST_LENGTH:
        raise InvalidError("list_too_long", f"must not hold more than {LIST_LENGTH}", field="contacts")
    contacts = [text(who, f"contacts[{place}]", limit=NAME_LENGTH) for place, who in enumerate(spec.contacts)]
    return {"contacts": contacts, "notes": text(spec.notes, "notes", limit=NOTES_LENGTH, lines=True, empty=True)}


def get(session: Session, id_: str) -> Partner:
    """Return a partner. Raises NotFoundError."""
    return get_row(session, Partner, id_)


def _of_tenant() -> Text:
    """Return the tids of tenants, which lead to whose they are."""
    owner = col(Tenant.partner)
    return Text(bytewise(col(Tenant.tid)), col(Tenant.id), owner, Tenant, (owner,))


def _of_daemon() -> Text:
    """Return the client ids of daemons, which lead to whose they are: in a hosted tenant the daemon says."""
    owners = (col(Daemon.partner), col(Tenant.partner))
    source = sa.join(Daemon, Tenant, col(Daemon.tenant) == col(Tenant.id))
    return Text(folded(col(Daemon.client_id)), col(Daemon.id), sa.func.coalesce(*owners), source, owners)


_ENDS: Final = end_of(col(Partner.ends_at))
PARTNERS: Final = Catalogue(
    Partner,
    orders_of(Partner, name=folded(col(Partner.name)), ends_at=_ENDS),
    (
        own(Partner, bytewise(col(Partner.id))),
        own(Partner, folded(col(Partner.name))),
        _of_tenant(),
        _of_daemon(),
    ),
    wide=("state",),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    state: str | None = None,
    ends_after: int | None = None,
    ends_before: int | None = None,
) -> Page[Partner]:
    """Return partners, in order of id or, where ends are asked for, of `ends_at`; or as `sort` says.

    `search` is the beginning of an id, of a name, of the tid of a tenant of theirs or of the client id of a daemon of
    theirs. `ends_after` and `ends_before` (exclusive) are epoch seconds: those without an end are not among them.
    """
    return PARTNERS.page(
        session,
        after=after,
        limit=limit,
        sort=sort_by_end("ends_at", sort, search, ends_after, ends_before),
        search=search,
        equal={"state": state},
        where=ends_between(_ENDS, ends_after, ends_before),
    )


def suspend(work: Work, id_: str, *, reason: str = "") -> Partner:
    """Let nothing of this partner's in any more. Raises NotFoundError, TransitionError."""
    return _move(work, id_, "suspended", "partner.suspended", reason)


def activate(work: Work, id_: str, *, reason: str = "") -> Partner:
    """Let an invited or suspended partner's daemons in. Raises NotFoundError, TransitionError."""
    return _move(work, id_, "active", "partner.activated", reason)


def archive(work: Work, id_: str) -> Partner:
    """End it for good: everything is kept, nothing comes back. Raises NotFoundError, TransitionError."""
    return _move(work, id_, "archived", "partner.archived")


def require_open(partner: Partner, field: str = "") -> None:
    """Refuse anything new for an archived partner.

    Raises:
        TransitionError: `partner_archived`.
    """
    if partner.state == "archived":
        raise TransitionError("partner_archived", f"partner {partner.id} is archived", field=field, holder=partner.id)


def _move(work: Work, id_: str, state: str, action: str, reason: str = "") -> Partner:
    row = get_row(work.session, Partner, id_, for_change=True)
    if state != "archived":
        require_open(row, "state")
    return set_state(work, row, state, action, reason=reason)
