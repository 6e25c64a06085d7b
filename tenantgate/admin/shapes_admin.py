"""What bodies and answers look like: who administers, the audit, and who enforces the policy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tenantgate.admin.shapes import Name, NewId, Written
from tenantgate.admin.wire import GivenInstant, In, Instant, Out, example, slug
from tenantgate.registry.operators import KeySpec, NewKey, OperatorRole, OperatorSpec

OperatorState = Literal["active", "suspended"]
OperatorId = Annotated[str, slug("ada"), Field(description="Id of an operator.")]


class OperatorIn(In):
    """Somebody to let administer: a person or automation."""

    model_config = example(id="ada", name="Ada", role="Operator")
    id: NewId = None
    name: Name
    role: OperatorRole = Field(description="Admin may do everything, Operator onboard and suspend, Viewer read.")

    def to_spec(self) -> OperatorSpec:
        """Return what the service asks for."""
        return OperatorSpec(name=self.name, role=self.role, id=self.id)


class OperatorOut(Written):
    """An operator."""

    name: str
    role: OperatorRole
    state: OperatorState


class AdminKeyIn(In):
    """A key for an operator. Every key ends."""

    model_config = example(operator="ada", name="nightly import", expires_at="2031-01-31T00:00:00Z")
    operator: OperatorId
    name: Annotated[Name, Field(description="What it is for.", examples=["nightly import"])]
    expires_at: GivenInstant = Field(description="Works until just before then.")

    def to_spec(self) -> KeySpec:
        """Return what the service asks for."""
        return KeySpec(operator=self.operator, name=self.name, expires_at=self.expires_at)


class AdminKeyOut(Out):
    """An admin key; never its value."""

    id: str
    operator: str
    name: str
    created_at: Instant
    created_by: str
    expires_at: Instant
    revoked_at: Instant | None
    last_used_at: Instant | None


class NewAdminKeyOut(AdminKeyOut):
    """An admin key just made. Keep `value` now: it is stored nowhere and never shown again."""

    value: str = Field(description="`tg_…`, for `Authorization: Bearer`.", repr=False)

    @classmethod
    def of(cls, made: NewKey) -> NewAdminKeyOut:
        """Return what is shown, once."""
        return cls(**dict(AdminKeyOut.model_validate(made.row)), value=made.value)


class AuditEntryOut(Out):
    """One thing done by somebody, chained to the entry before it.

    `before` and `after` stand as they were hashed: times in them are epoch seconds.
    """

    sequence: int
    revision: int = Field(description="Revision of the policy after it.")
    at: Instant
    operator: str
    scheme: str = Field(description="How they came: admin_key, session, cli.")
    address: str
    request_id: str
    action: str = Field(examples=["partner.suspended"])
    kind: str
    row_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    previous_hash: str
    hash: str


class ChainOut(Out):
    """What a walk along the audit's chain found."""

    sound: bool
    entries: int = Field(description="Entries found in order.")
    head: str = Field(description="Hash of the last of them.")
    first_bad: int | None = Field(description="Sequence of the first bad entry.")
    problem: str


class InstanceOut(Out):
    """A process that enforces the policy."""

    id: str
    kind: str
    version: str
    acknowledged_revision: int | None = Field(description="What it said it enforces; null before it has said so.")
    started_at: Instant
    seen_at: Instant


class PolicyOut(Out):
    """Where the policy is, and who enforces it."""

    epoch: str = Field(description="Tells this history from any other.")
    revision: int
    audit_sequence: int
    audit_hash: str = Field(description="Head of the audit's chain; keep it elsewhere to notice a forged one.")
    enforcing: int = Field(description="How many of `instances` enforce this revision.")
    instances: list[InstanceOut] = Field(description="Those heard of in the last minute.")


class OperatorBrief(Out):
    """An operator, in short."""

    id: str
    name: str
    role: OperatorRole


class AdminKeyBrief(Out):
    """An admin key, in short."""

    id: str
    name: str
    expires_at: Instant


class MeOut(Out):
    """Who you are, and why."""

    scheme: Literal["admin_key"]
    operator: OperatorBrief
    admin_key: AdminKeyBrief
