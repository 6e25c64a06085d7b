"""The last look before a commit: no assignment of a sensitive role is made or widened but by an approval beside it.

Nor does another caller get what was approved: a daemon that holds such a role keeps the object id or `sub` it is pinned
to. An issuer's client id alone may stand for many callers (every branch of a repository), so the pin is who it is. And
it goes on showing a credential as strong as was looked at: one operator exchanges no certificate for a secret. Nor does
a partner go on for longer, where that would prolong such a role that its own end has bounded so far.

Services ask before they change anything, and say which member is at fault (`assignments.require_alone`). This asks
again, of what the unit of work is about to write, so that a door that forgot to ask opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, get_args

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.core.policy import CredentialStrength
from tenantgate.registry.errors import TransitionError
from tenantgate.registry.owned import assignments_of
from tenantgate.registry.tables import AppRole, RoleAssignment

_SUBJECT: Final = ("app_role", "daemon", "tenant")
_PINS: Final = ("oid", "subject")
"""What says which caller a daemon is, besides its client id."""
STRENGTH: Final = "min_credential"
"""What says how strong a credential is asked for, of a daemon and of a resource."""
ASSURED: Final = (*_PINS, STRENGTH)
"""What an approval relies on of a daemon that can be changed: which caller it is, and by what it has to prove so."""
_RANK: Final = {strength: rank for rank, strength in enumerate(get_args(CredentialStrength))}


class Entry(Protocol):
    """What is looked at of an entry of the audit."""

    @property
    def action(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def row_id(self) -> str: ...
    @property
    def before(self) -> dict[str, Any] | None: ...
    @property
    def after(self) -> dict[str, Any] | None: ...


def require_approved(session: Session, entries: Iterable[Entry], *, now: int) -> None:
    """Refuse a unit of work that gives a sensitive role without the approval of it, to another, or for longer.

    Raises:
        TransitionError: `approval_needed`.
    """
    entries = list(entries)
    approved = {each.after["assignment"] for each in entries if each.action == "pending_grant.approved" and each.after}
    for each in entries:
        if each.kind == "daemon" and each.before and each.after and (name := loosened(each.before, each.after)):
            _refuse_loosened(session, each.row_id, name, now)
        if each.kind == "partner" and each.before and each.after and ends_later(each.before, each.after, "ends_at"):
            _refuse_prolonged(session, each.row_id, max(each.before["ends_at"], now))
        if each.kind != "role_assignment" or each.after is None or each.row_id in approved:
            continue
        role = session.get(AppRole, each.after["app_role"])
        if role is not None and role.sensitive and gives_more(each.before, each.after):
            message = f"role {role.id} is sensitive: ask for it as a pending grant, which a second operator approves"
            raise TransitionError("approval_needed", message, field="app_role", holder=role.id)


def gives_more(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
    """Whether an assignment gives a role to anybody, or at any time, to whom or at which it did not before."""
    if before is None or any(before[name] != after[name] for name in _SUBJECT):
        return True
    begins_earlier = (after["not_before"] or 0) < (before["not_before"] or 0)
    return begins_earlier or ends_later(before, after, "expires_at")


def ends_later(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> bool:
    """Whether an end was put off, or taken away. `name` is the member: epoch seconds, or None for no end."""
    ended, ends = before[name], after[name]
    return ended is not None and (ends is None or ends > ended)


def loosened(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the member by which a daemon lets in a caller that it did not before, or one that shows less; else empty.

    To pin one that was not pinned, or to ask for a stronger credential, lets in fewer.
    """
    for name in _PINS:
        if before.get(name) is not None and before.get(name) != after.get(name):
            return name
    return STRENGTH if is_weaker(before, after) else ""


def is_weaker(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a daemon, or a resource, asks for a weaker credential than it did."""
    return _rank(after) < _rank(before)


def _rank(asking: Mapping[str, Any]) -> int:
    """Return how strong a credential is asked for; one nobody knows is stronger than all, as a gate has it."""
    return _RANK.get(asking.get(STRENGTH), len(_RANK))


def _refuse_loosened(session: Session, daemon: str, name: str, now: int) -> None:
    if (row := _first_held(session, now, col(RoleAssignment.daemon) == daemon)) is not None:
        what = "the credential it has to show" if name == STRENGTH else "the caller it is pinned to"
        message = (
            f"daemon {daemon} holds the sensitive role {row.app_role}, which was approved for {what}: revoke "
            f"assignment {row.id}, change `{name}`, and ask for the role again"
        )
        raise TransitionError("approval_needed", message, field=name, holder=row.id)


def _refuse_prolonged(session: Session, partner: str, ended: int) -> None:
    if (row := _first_held(session, ended, col(RoleAssignment.id).in_(assignments_of(partner)))) is not None:
        message = (
            f"assignment {row.id} of the sensitive role {row.app_role} would go on with partner {partner}: let it end "
            f"no later than the partner does now, or revoke it, change `ends_at`, and ask for the longer window"
        )
        raise TransitionError("approval_needed", message, field="ends_at", holder=row.id)


def _first_held(session: Session, after: int, whose: sa.ColumnElement[bool]) -> RoleAssignment | None:
    """Return the first assignment of a sensitive role that goes on after a moment, of those."""
    going_on = sa.or_(col(RoleAssignment.expires_at).is_(None), col(RoleAssignment.expires_at) > after)
    held = select(RoleAssignment).join(AppRole).where(whose, col(AppRole.sensitive), going_on)
    return session.exec(held.order_by(col(RoleAssignment.id))).first()
