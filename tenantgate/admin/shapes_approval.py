"""What bodies and answers look like: sensitive roles that wait for a second operator."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tenantgate.admin.shapes import Reason, Written
from tenantgate.admin.wire import GivenInstant, In, Instant, example, slug
from tenantgate.registry.approval_tables import PendingGrant

PendingState = Literal["open", "approved", "rejected", "withdrawn"]
AssignmentId = Annotated[str, slug("asg-mfrggzdfmztwq2lk"), Field(description="Id of a role assignment.")]


class PendingGrantIn(In):
    """A wider window for an assignment of a sensitive role. What is left out is without a bound then."""

    model_config = example(
        assignment="asg-mfrggzdfmztwq2lk", expires_at="2032-01-31T00:00:00Z", reason="contract 4711 goes on"
    )
    assignment: AssignmentId
    not_before: GivenInstant | None = Field(None, description="Is to count from then on; from ever, if left out.")
    expires_at: GivenInstant | None = Field(None, description="Is to count until just before then; for ever, if not.")
    reason: Reason = ""


class PendingGrantOut(Written):
    """A sensitive role that was asked for. Whether it has expired is judged by `open_until` and the time."""

    kind: Literal["grant", "widen"] = Field(description="A new assignment, or another window of one that is there.")
    app_role: str
    daemon: str | None
    tenant: str | None
    not_before: Instant | None
    expires_at: Instant | None
    reason: str
    ticket: str
    assignment: str | None = Field(description="The assignment to widen, or that was made, or the id it is to have.")
    asked: dict[str, Any] = Field(
        description="What role and subject were when it was asked. If they are others by then, it cannot be approved. "
        "`admin_key` is the key it was asked with: if it is revoked by then, neither."
    )
    scheme: str = Field(description="How `created_by`, who asked, came.")
    state: PendingState
    open_until: Instant = Field(description="May be decided until just before then.")
    decided_by: str | None
    decided_scheme: str | None
    decided_at: Instant | None


class PendingGrantShown(PendingGrantOut):
    """One of them, and what to know before it is approved."""

    warnings: list[str] = Field(description="Of a whole tenant's: how many daemons it reaches.")

    @classmethod
    def of(cls, row: PendingGrant, warnings: list[str]) -> PendingGrantShown:
        """Return what is shown of one."""
        return cls(**dict(PendingGrantOut.model_validate(row)), warnings=warnings)
