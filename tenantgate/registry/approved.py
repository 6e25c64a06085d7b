"""The last look before a commit: no assignment of a sensitive role is made or widened but by an approval beside it.

Services ask before they change anything, and say which member is at fault (`assignments.require_alone`). This asks
again, of what the unit of work is about to write, so that a door that forgot to ask opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from sqlmodel import Session

from tenantgate.registry.errors import TransitionError
from tenantgate.registry.tables import AppRole

_SUBJECT: Final = ("app_role", "daemon", "tenant")


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


def require_approved(session: Session, entries: Iterable[Entry]) -> None:
    """Refuse a unit of work that gives a sensitive role without the approval of it.

    Raises:
        TransitionError: `approval_needed`.
    """
    entries = list(entries)
    approved = {each.after["assignment"] for each in entries if each.action == "pending_grant.approved" and each.after}
    for each in entries:
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
    ended = before["expires_at"]
    ends_later = ended is not None and (after["expires_at"] is None or after["expires_at"] > ended)
    return begins_earlier or ends_later
