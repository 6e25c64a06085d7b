"""What bodies and answers look like: resources and their rules. Members are those of `core.policy.ResourceRow`."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from tenantgate.admin.shapes import ClaimPlace, NewId, Written, arguments
from tenantgate.admin.wire import GivenInstant, In, Instant, Out, changes, example, slug, words
from tenantgate.core.fields import IDENTITY_LENGTH, LIST_LENGTH
from tenantgate.core.policy import (
    AppOnlyRule,
    CredentialStrength,
    Match,
    ReportOnly,
    RequiredClaim,
    ResourceRule,
    TokenRoles,
    TokenVersion,
)
from tenantgate.core.resources import MESSAGE_LENGTH
from tenantgate.registry.resources import ResourceSpec

_LIST: Final[dict[str, Any]] = {"maxItems": LIST_LENGTH}

Audience = Annotated[str, words(IDENTITY_LENGTH, "api://orders")]
_AUDIENCES: Final[dict[str, Any]] = {"minItems": 1} | _LIST
IssuerId = Annotated[str, slug("entra")]
AcceptedClient = Annotated[str, words(IDENTITY_LENGTH, "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")]
Network = Annotated[str, words(64, "192.0.2.0/24")]
ClaimValue = Annotated[str, words(IDENTITY_LENGTH, "Orders.Read")]
Separator = Annotated[str, words(4, " ")]
Appid = Annotated[str, words(36, "aaaaaaaa-0000-4000-8000-000000000001")]
Message = Annotated[str, words(MESSAGE_LENGTH, "Ask orders@publisher.example for access.")]


class RequiredClaimIn(In):
    """A claim that a token must carry."""

    claim: ClaimPlace
    values: list[ClaimValue] = Field(
        [], description="What it must hold; empty: the claim must exist.", json_schema_extra=_LIST
    )
    match: Match = Field("all", description="Whether it must hold all of `values` or any.")
    separator: Separator | None = Field(None, description="What splits a claim that is one text (a blank, for `scp`).")

    def to_row(self) -> RequiredClaim:
        """Return what the service asks for."""
        return RequiredClaim(**arguments(self))


class RequiredClaimOut(Out):
    """A claim that a token must carry."""

    claim: str
    values: list[str]
    match: Match
    separator: str | None


class ReportOnlyIn(In):
    """A rule that only says what it would have denied, until a date."""

    rule: ResourceRule
    until: GivenInstant = Field(description="From then on it denies.")

    def to_row(self) -> ReportOnly:
        """Return what the service asks for."""
        return ReportOnly(**arguments(self))


class ReportOnlyOut(Out):
    """A rule that only says what it would have denied, until a date."""

    rule: ResourceRule
    until: Instant


class ResourceRules(In):
    """The rules of a resource. Durations are whole seconds; an empty list asks for nothing."""

    app_only: AppOnlyRule = Field("strict", description="`strict` asks for proof that no user stands behind a token.")
    agent_identities: bool = Field(False, description="Whether agent identities of Entra may call.")
    token_roles: TokenRoles = Field("ignore", description="Whether a token's own roles count, too (`intersect`).")
    tenant_wide_roles: bool = Field(False, description="Whether a role may be given to a whole tenant's daemons.")
    min_credential: CredentialStrength = Field("none", description="What a client must have proved itself with.")
    max_lifetime: int = Field(86_400, description="Longest `exp - iat`.")
    clock_skew: int = Field(60, description="How far clocks may differ.")
    issuers: list[IssuerId] = Field([], description="Ids of the issuers accepted here.", json_schema_extra=_LIST)
    clients: list[AcceptedClient] = Field([], description="Client ids accepted here.", json_schema_extra=_LIST)
    token_versions: list[TokenVersion] = Field([], description="Entra: accepted versions.", json_schema_extra=_LIST)
    required_claims: list[RequiredClaimIn] = Field(
        [], description="What a token must carry besides.", json_schema_extra=_LIST
    )
    addresses: list[Network] = Field([], description="Networks a caller must be in (CIDR).", json_schema_extra=_LIST)
    report_only: list[ReportOnlyIn] = Field([], description="Rules that deny only later.", json_schema_extra=_LIST)
    signing_keys_appid: Appid | None = Field(
        None, description="Entra: the API's application id, where its tokens are signed with keys of its own."
    )
    token_header: Annotated[str, words(64, "X-Orders-Token")] | None = Field(
        None, description="The header that holds the token alone; `Authorization` with its scheme where null."
    )
    token_query: Annotated[str, words(64, "access_token")] | None = Field(
        None, description="A query parameter that may hold the token; none where null."
    )
    token_scheme: Annotated[str, words(32, "Bearer")] = Field("Bearer", description="The scheme in `Authorization`.")
    failure_status: int | None = Field(None, description="Status of a refused credential (401 to 499); its own: null.")
    failure_message: Message | None = Field(None, description="What a refused caller reads; the usual text where null.")
    show_reasons: bool = Field(False, description="Whether callers read the exact reason of a refusal.")
    access_requests: bool = Field(
        False, description="Whether authentic callers on no list are noted as access requests. No gate judges by it."
    )


class ResourceIn(ResourceRules):
    """An API to protect, and its token rules. Durations are whole seconds; an empty list asks for nothing."""

    model_config = example(
        id="orders",
        audiences=["api://orders"],
        required_claims=[{"claim": "roles", "values": ["Orders.Read", "Orders.Write"], "match": "any"}],
    )
    id: NewId = None
    audiences: list[Audience] = Field(description="Accepted `aud` values.", json_schema_extra=_AUDIENCES)

    def to_spec(self) -> ResourceSpec:
        """Return what the service asks for."""
        return ResourceSpec(**_members(self))


class ResourceChange(ResourceRules):
    """What is to be different. A member that is left out stays as it is; a list is replaced as a whole."""

    model_config = changes(max_lifetime=3600, report_only=[{"rule": "max_lifetime", "until": "2031-01-31T00:00:00Z"}])
    audiences: list[Audience] = Field([], description="Accepted `aud` values.", json_schema_extra=_AUDIENCES)

    def to_members(self) -> dict[str, Any]:
        """Return what the service asks for: the members that were sent."""
        return {name: value for name, value in _members(self).items() if name in self.model_fields_set}


class ResourceOut(Written):
    """A resource."""

    audiences: list[str]
    app_only: AppOnlyRule
    agent_identities: bool
    token_roles: TokenRoles
    tenant_wide_roles: bool
    min_credential: CredentialStrength
    max_lifetime: int
    clock_skew: int
    issuers: list[str]
    clients: list[str]
    token_versions: list[TokenVersion]
    required_claims: list[RequiredClaimOut]
    addresses: list[str]
    report_only: list[ReportOnlyOut]
    signing_keys_appid: str | None
    token_header: str | None
    token_query: str | None
    token_scheme: str
    failure_status: int | None
    failure_message: str | None
    show_reasons: bool
    access_requests: bool


def _members(body: ResourceRules) -> dict[str, Any]:
    found = arguments(body)
    for name in ("required_claims", "report_only"):
        found[name] = tuple(each.to_row() for each in found[name])
    return found
