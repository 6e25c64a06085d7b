"""Where the policy stands: its revision, and which processes enforce it. Shared by REST and commands."""

from __future__ import annotations

from typing import Final

from sqlmodel import Session

from tenantgate.admin.shapes_admin import InstanceOut, PolicyOut
from tenantgate.registry import instances
from tenantgate.registry.service import LARGEST_PAGE
from tenantgate.registry.snapshot import read_state
from tenantgate.registry.tables import Instance

HEARD_OF: Final = instances.HEARD_OF


def read_policy(session: Session, *, now: int) -> PolicyOut:
    """Return where the policy is and who enforces it. `now` is epoch seconds.

    Raises:
        SchemaError: `revision_missing`.
    """
    state = read_state(session)
    shown = [InstanceOut.model_validate(row) for row in _live(session, now - HEARD_OF)]
    return PolicyOut(
        epoch=state.epoch,
        revision=state.revision,
        supersedes=list(state.supersedes),
        audit_sequence=state.audit_sequence,
        audit_hash=state.audit_hash,
        enforcing=sum(each.acknowledged_revision == state.revision for each in shown),
        instances=shown,
    )


def _live(session: Session, since: int) -> list[Instance]:
    found: list[Instance] = []
    after: str | None = None
    while True:
        page = instances.list_(session, after=after, limit=LARGEST_PAGE, seen_since=since)
        found.extend(page.items)
        if (after := page.after) is None:
            return found
