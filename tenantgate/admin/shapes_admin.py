"""What bodies and answers look like: who administers, the audit, and who enforces the policy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tenantgate.admin.admission import Admitted, Scheme
from tenantgate.admin.shapes import Name, NewId, Written
from tenantgate.admin.who_may import known_scopes
from tenantgate.admin.wire import GivenInstant, In, Instant, Out, example, slug, words
from tenantgate.core.fields import URL_LENGTH
from tenantgate.registry.identities import Identity
from tenantgate.registry.operators import KeySpec, NewKey, OperatorRole, OperatorSpec

OperatorState = Literal["active", "suspended"]
KeyScope = Annotated[str, slug("partners"), Field(description="First word of a path below /api/v1.")]
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
    """A key for an operator. Every key ends, and it may do less than its operator."""

    model_config = example(
        operator="ada", name="nightly import", expires_at="2031-01-31T00:00:00Z", role="Viewer", scopes=["partners"]
    )
    operator: OperatorId
    name: Annotated[Name, Field(description="What it is for.", examples=["nightly import"])]
    expires_at: GivenInstant = Field(description="Works until just before then.")
    role: OperatorRole | None = Field(None, description="The most it may do; null: all that its operator may.")
    scopes: list[KeyScope] = Field(
        [], description="Where alone it counts, by the first word of the path; none: everywhere."
    )

    def to_spec(self) -> KeySpec:
        """Return what the service asks for. Raises InvalidError: `scope_unknown`."""
        return KeySpec(
            operator=self.operator,
            name=self.name,
            expires_at=self.expires_at,
            role=self.role,
            scopes=known_scopes(self.scopes),
        )


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
    role: OperatorRole | None = Field(description="The most it may do; null: all that its operator may.")
    scopes: list[str] = Field(description="Where alone it counts; none: everywhere.")
    version: int = Field(description="Counts the changes of this key, from 1.")


class NewAdminKeyOut(AdminKeyOut):
    """An admin key just made. Keep `value` now: it is stored nowhere and never shown again."""

    value: str = Field(description="`tg_…`, for `Authorization: Bearer`.", repr=False)

    @classmethod
    def of(cls, made: NewKey) -> NewAdminKeyOut:
        """Return what is shown, once."""
        return cls(**dict(AdminKeyOut.model_validate(made.row)), value=made.value)


class IdentityIn(In):
    """Somebody at an issuer of administrators' tokens. Entra: its authority, with `tid` and `oid`; any other: `sub`."""

    model_config = example(
        issuer="https://login.microsoftonline.com",
        tid="11111111-2222-4333-8444-555555555555",
        oid="99999999-aaaa-4bbb-8ccc-dddddddddddd",
    )
    issuer: Annotated[str, words(URL_LENGTH), Field(description="Entra's authority, or the exact `iss`.")]
    tid: str | None = Field(None, description="Entra: the tenant.")
    oid: str | None = Field(None, description="Entra: the object id of the user or service principal.")
    sub: Annotated[str | None, Field(description="Any other issuer: `sub`, to the letter.")] = None

    def to_identity(self) -> Identity:
        """Return what the service asks for."""
        return Identity(issuer=self.issuer, tid=self.tid, oid=self.oid, sub=self.sub)


class IdentityOut(Out):
    """Who at an issuer is an operator here."""

    id: str
    operator: str
    issuer: str
    tid: str | None
    oid: str | None
    sub: str | None
    created_at: Instant
    created_by: str


class UnlinkIn(In):
    """Which identity is to be this operator no more."""

    model_config = example(identity="idn-mfrggzdfmztwq2lk")
    identity: Annotated[str, slug("idn-mfrggzdfmztwq2lk"), Field(description="Id of the identity.")]


class AuditEntryOut(Out):
    """One thing done by somebody, chained to the entry before it.

    `before` and `after` stand as they were hashed: times in them are epoch seconds.
    """

    sequence: int
    revision: int = Field(description="Revision of the policy after it.")
    at: Instant
    operator: str
    scheme: str = Field(description="How they came: admin_key, bearer, session, cli.")
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
    refuses: str | None = Field(description="Why it does not follow this database; null where it does.")
    held_epoch: str | None = Field(description="The epoch it holds instead.")
    held_revision: int | None = Field(description="The revision it holds instead.")
    started_at: Instant
    seen_at: Instant


class PolicyOut(Out):
    """Where the policy is, and who enforces it."""

    epoch: str = Field(description="Tells this history from any other.")
    revision: int
    audit_sequence: int
    supersedes: list[str] = Field(description="Epochs that this one took the place of.")
    audit_hash: str = Field(description="Head of the audit's chain; keep it elsewhere to notice a forged one.")
    enforcing: int = Field(
        description="How many of `instances` enforce this revision and were heard of in the last 30 seconds."
    )
    slowest: float | None = Field(
        description="Seconds from the making of the revision to the last word that it is enforced, by the database's "
        "clock; null where it is not known."
    )
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
    role: OperatorRole | None
    scopes: list[str]


class MeOut(Out):
    """Who you are, what you may, and why."""

    scheme: Scheme
    operator: OperatorBrief
    role: OperatorRole = Field(description="What counts: the lowest of those that have a say.")
    scopes: list[str] = Field(description="Where alone it counts; none: everywhere.")
    why: list[str] = Field(
        description="A line for each thing that had a say.", examples=[["operator ada has the role Admin"]]
    )
    admin_key: AdminKeyBrief | None = Field(description="The key you came with, if it was one.")
    identity: IdentityOut | None = Field(description="Who you are at your issuer, if you came with a token.")

    @classmethod
    def of(cls, admitted: Admitted) -> MeOut:
        """Return what is shown of who asks."""
        key = admitted.admin_key
        return cls(
            scheme=admitted.scheme,
            operator=OperatorBrief.model_validate(admitted.operator),
            role=admitted.role,
            scopes=list(admitted.scopes),
            why=list(admitted.why),
            admin_key=None if key is None else AdminKeyBrief.model_validate(key),
            identity=None if admitted.identity is None else IdentityOut.model_validate(admitted.identity),
        )
