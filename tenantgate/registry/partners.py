"""Partners: the companies. Invited, active, suspended, archived; archived is the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.core.fields import LIST_LENGTH, NAME_LENGTH
from tenantgate.core.policy import PartnerRow
from tenantgate.registry.errors import InvalidError, TransitionError
from tenantgate.registry.rows import columns_of
from tenantgate.registry.service import (
    NOTES_LENGTH,
    Page,
    add,
    checked,
    choose_id,
    get_row,
    page,
    require_future,
    set_state,
    text,
    written_by,
)
from tenantgate.registry.tables import Partner
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
    if len(spec.contacts) > LIST_LENGTH:
        raise InvalidError("list_too_long", f"must not hold more than {LIST_LENGTH}", field="contacts")
    contacts = [text(who, f"contacts[{place}]", limit=NAME_LENGTH) for place, who in enumerate(spec.contacts)]
    notes = text(spec.notes, "notes", limit=NOTES_LENGTH, lines=True, empty=True)
    return add(work, Partner(**columns_of(data), contacts=contacts, notes=notes, **written_by(work)), "partner.created")


def get(session: Session, id_: str) -> Partner:
    """Return a partner. Raises NotFoundError."""
    return get_row(session, Partner, id_)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    state: str | None = None,
    search: str | None = None,
) -> Page[Partner]:
    """Return partners in order of id. `search` is the beginning of an id or a name; case does not matter in ASCII."""
    query = select(Partner)
    if search:
        start = search.lower()
        query = query.where(
            sa.or_(
                sa.func.lower(Partner.name).startswith(start, autoescape=True),
                col(Partner.id).startswith(start, autoescape=True),
            )
        )
    return page(session, query, Partner, after=after, limit=limit, equal={"state": state})


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
