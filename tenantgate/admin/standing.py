"""Where the policy stands: its revision, and which processes enforce it. Shared by REST and commands."""

from __future__ import annotations

from typing import Final

from sqlmodel import Session

from tenantgate.admin.shapes_admin import InstanceOut, PolicyOut
from tenantgate.registry import enforcement, instances

HEARD_OF: Final = instances.HEARD_OF


def read_policy(session: Session, *, now: int) -> PolicyOut:
    """Return where the policy is and who enforces it. `now` is epoch seconds.

    Raises:
        SchemaError: `revision_missing`.
    """
    found = enforcement.read(session, now=now)
    state = found.state
    return PolicyOut(
        epoch=state.epoch,
        revision=state.revision,
        supersedes=list(state.supersedes),
        audit_sequence=state.audit_sequence,
        audit_hash=state.audit_hash,
        enforcing=found.enforcing,
        slowest=found.slowest,
        instances=[InstanceOut.model_validate(row) for row in found.instances],
    )
