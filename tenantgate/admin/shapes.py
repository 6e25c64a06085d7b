"""What bodies and answers look like: the policy. Members are those of `core.policy`, spelled alike everywhere.

A resource's stand in `shapes_resources`. The commands print the same shapes with `--json`, so nothing here imports
the web framework.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from tenantgate.admin.wire import GivenInstant, In, Instant, Out, changes, example, slug, words
from tenantgate.core.fields import IDENTITY_LENGTH, LIST_LENGTH, NAME_LENGTH, URL_LENGTH
from tenantgate.core.policy import (
    CredentialStrength,
    DaemonState,
    IssuerKind,
    PartnerState,
    TenantState,
)
from tenantgate.core.profiles.table import PROFILES
from tenantgate.discovery.health import KeyState
from tenantgate.discovery.metadata import Document
from tenantgate.discovery.probe import State, Step
from tenantgate.discovery.published import KeyChange
from tenantgate.registry.app_roles import AppRoleSpec
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.daemons import DaemonSpec
from tenantgate.registry.issuers import IssuerSpec
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.role_mappings import RoleMappingSpec
from tenantgate.registry.service import NOTES_LENGTH, REASON_LENGTH
from tenantgate.registry.tables import IssuerHealth, RoleAssignment
from tenantgate.registry.tenants import TenantSpec

_LIST: Final[dict[str, Any]] = {"maxItems": LIST_LENGTH}

NewId = Annotated[
    Annotated[str, slug("contoso")] | None,
    Field(description="A slug of your choice, for good; made up where it is left out."),
]
Name = Annotated[str, words(NAME_LENGTH, "Contoso"), Field(description="What people call it.")]
IssuerId = Annotated[str, slug("entra"), Field(description="Id of an issuer.")]
PartnerId = Annotated[str, slug("contoso"), Field(description="Id of a partner.")]
TenantId = Annotated[str, slug("contoso-entra"), Field(description="Id of a tenant (ours, not its tid).")]
DaemonId = Annotated[str, slug("contoso-nightly"), Field(description="Id of a daemon.")]
ResourceId = Annotated[str, slug("orders"), Field(description="Id of a resource.")]
AppRoleId = Annotated[str, slug("orders-read"), Field(description="Id of an app role.")]
Contact = Annotated[str, words(NAME_LENGTH, "integration@contoso.example")]
Url = Annotated[str, words(URL_LENGTH, "https://login.microsoftonline.com")]
JsonObject = dict[str, Any]
Oid = Annotated[
    Annotated[str, words(36, "dddddddd-1111-4222-8333-444444444444")] | None,
    Field(description="Entra: the object id of its service principal, which then must match."),
]
Subject = Annotated[
    Annotated[str, words(IDENTITY_LENGTH, "service-account-nightly")] | None,
    Field(description="OIDC: the `sub` its tokens must carry."),
]
ClientId = Annotated[
    str,
    words(IDENTITY_LENGTH, "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"),
    Field(description="Its client id (`azp` or `appid`; a GUID at Entra)."),
]
Reason = Annotated[str, words(REASON_LENGTH, "contract 4711"), Field(description="Why, for who asks later.")]
Ticket = Annotated[str, words(NAME_LENGTH, "REQ-4711"), Field(description="Where it was asked for.")]
Notes = Annotated[str, words(NOTES_LENGTH), Field(description="What to remember; may have lines.")]
ClaimPlace = Annotated[
    str,
    words(IDENTITY_LENGTH, "/realm_access/roles"),
    Field(description="The claim's name, or a JSON Pointer where it lies deeper (RFC 6901)."),
]
ROLE_VALUE_LENGTH: Final = 120
RoleValue = Annotated[str, words(ROLE_VALUE_LENGTH, "Orders.Read"), Field(description="What the API asks for.")]


class Written(Out):
    """Who wrote a row, and when."""

    id: str = Field(description="Slug; never changes.")
    created_at: Instant
    created_by: str = Field(description="Id of the operator; `cli:NAME` for the command line.")
    updated_at: Instant
    version: int = Field(description="Counts the changes; never used twice for one id.")


def arguments(body: In) -> dict[str, Any]:
    """Return a body's members as a service takes them: tuples for lists."""
    values = {name: getattr(body, name) for name in type(body).model_fields}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


class IssuerWays(In):
    """How an issuer's keys are had and its tokens read: what can be changed."""

    v1_metadata_url: Url | None = Field(None, description="Entra: metadata document for v1 keys.")
    metadata_url: Url | None = Field(None, description="Metadata document; the usual place where left out.")
    jwks: JsonObject | None = Field(None, description="Public keys, given here instead of discovered.")
    v1_jwks: JsonObject | None = Field(None, description="Entra: the same for v1 tokens.")
    jwks_hosts: list[str] = Field([], description="Other hosts its keys may be fetched from.", json_schema_extra=_LIST)
    algorithms: list[str] = Field(
        [], description="What its keys may be used with; the usual ones where empty.", json_schema_extra=_LIST
    )
    profile: str = Field(
        "standard",
        description=f"OIDC: how this make of issuer writes its tokens: {', '.join(PROFILES)}.",
        examples=["keycloak"],
    )
    client_id_claim: str | None = Field(
        None, description="OIDC: the claim that names the daemon, where it is not the profile's (name or JSON Pointer)."
    )
    roles_claim: str | None = Field(
        None, description="OIDC: the claim of the caller's roles, where it is not the profile's (name or JSON Pointer)."
    )
    subject_pin: bool | None = Field(
        None, description="OIDC: whether each daemon must name its `subject`; as the profile has it where left out."
    )
    token_types: list[str] = Field(["JWT", "at+jwt"], description="Accepted `typ`.", json_schema_extra=_LIST)
    allow_private_addresses: bool = Field(False, description="Whether its addresses may be private ones.")
    insecure_allow_http: bool = Field(False, description="Plain http, on this machine only.")
    max_key_age: int | None = Field(
        None, description="Seconds after the last fetch until its keys judge no more; 72 hours where left out."
    )
    ca_bundle: str | None = Field(
        None, description="PEM certificates of the authorities for its addresses, instead of the public ones."
    )
    proxy: Url | None = Field(None, description="The HTTP proxy by which it is reached, without a password.")


class IssuerIn(IssuerWays):
    """Something to trust to sign: an Entra cloud (`authority`), or an OIDC issuer (`issuer`)."""

    model_config = example(id="entra", kind="entra", authority="https://login.microsoftonline.com")
    id: NewId = None
    kind: IssuerKind = Field(examples=["entra"])
    authority: Url | None = Field(None, description="Entra: the login address of the cloud.")
    v1_issuer: Url | None = Field(None, description="Entra: `iss` of v1 tokens, with {tenantid} once.")
    v2_issuer: Url | None = Field(None, description="Entra: `iss` of v2 tokens, with {tenantid} once.")
    issuer: Url | None = Field(None, description="OIDC: the exact `iss`.")
    distrusted_keys: list[str] = Field(
        [], description="Keys that verify nothing: `kid` or RFC 7638 thumbprint.", json_schema_extra=_LIST
    )

    def to_spec(self) -> IssuerSpec:
        """Return what the service asks for."""
        return IssuerSpec(**arguments(self))


class IssuerChange(IssuerWays):
    """What is to be different. A member that is left out stays as it is; a list is replaced as a whole."""

    model_config = changes(max_key_age=86_400)

    def to_members(self) -> dict[str, Any]:
        """Return what the service asks for: the members that were sent."""
        return {name: value for name, value in arguments(self).items() if name in self.model_fields_set}


class IssuerOut(Written):
    """An issuer, with what was filled in."""

    kind: IssuerKind
    authority: str | None
    v1_issuer: str | None
    v2_issuer: str | None
    v1_metadata_url: str | None
    issuer: str | None
    metadata_url: str | None
    jwks: JsonObject | None
    v1_jwks: JsonObject | None
    jwks_hosts: list[str]
    algorithms: list[str]
    profile: str
    client_id_claim: str | None
    roles_claim: str | None
    subject_pin: bool | None
    token_types: list[str]
    allow_private_addresses: bool
    insecure_allow_http: bool
    distrusted_keys: list[str]
    max_key_age: int | None
    ca_bundle: str | None
    proxy: str | None


class FindingOut(Out):
    """What one step of a look at an issuer found."""

    document: Document
    step: Step
    state: State
    detail: str
    code: str | None = Field(examples=["tls"])
    advice: str | None = Field(description="What to do about it.")


class ProbeOut(Out):
    """What a look at an issuer found, in order. `ok`: nothing failed, though there may be warnings."""

    ok: bool
    findings: list[FindingOut]


class KeyHealthOut(Out):
    """One key as an instance has it."""

    kid: str = Field(description="Empty where the key has none.")
    alg: str
    thumbprint: str = Field(description="RFC 7638, SHA-256.")
    state: KeyState
    first_seen: Instant
    last_seen: Instant = Field(description="When the issuer last listed it.")


class DroppedKeyOut(Out):
    """A published key that is not used."""

    kid: str
    reason: str


class KeyEventOut(Out):
    """One key of an issuer changed. `replaced`: another key under the same kid."""

    at: Instant
    kid: str
    change: KeyChange


class KeySetHealthOut(Out):
    """How one key set is doing in one instance. `last_error` is a stable code, null after a success."""

    instance: str
    reported_at: Instant
    document: Document
    appid: str | None = Field(description="Of which application with keys of its own, if of any.")
    static: bool = Field(description="Given in the policy: nothing is fetched.")
    restored: bool = Field(description="What an earlier process left on disk; no fetch has succeeded since.")
    too_old: bool = Field(description="Nothing is judged with them any more.")
    fetched_at: Instant | None = Field(description="The last success.")
    tried_at: Instant | None
    due_at: Instant | None = Field(description="The next refresh.")
    failures: int = Field(description="Failed attempts since the last success.")
    last_error: str | None = Field(examples=["timeout"])
    last_detail: str
    metadata_error: str | None = Field(description="The metadata was due and could not be had; the old one goes on.")
    clock_ahead: int | None = Field(description="Seconds by which the instance's clock was ahead of the issuer's.")
    clock_ahead_at_most: int | None = Field(
        default=None,
        description="The least age in seconds of a token seen in the last hour: the clock is ahead by no more. "
        "Negative: it is behind by at least as much. Entra dates its tokens five minutes back.",
    )
    keys: list[KeyHealthOut]
    dropped: list[DroppedKeyOut]
    history: list[KeyEventOut] = Field(description="The newest changes, oldest first.")


class IssuerHealthOut(Out):
    """How an issuer's keys are doing, in each running instance that follows this database."""

    issuer: str
    key_sets: list[KeySetHealthOut]


class KeyIn(In):
    """One key of an issuer."""

    model_config = example(key="1a2b3c")
    key: str = Field(
        description="Its `kid`, or its RFC 7638 thumbprint (SHA-256, base64url), which follows it under any name.",
        examples=["1a2b3c"],
    )


class PartnerIn(In):
    """A company to list. It begins active, or invited; other states are reached by their own routes."""

    model_config = example(
        id="contoso", name="Contoso", ends_at="2031-01-31T00:00:00Z", contacts=["integration@contoso.example"]
    )
    id: NewId = None
    name: Name
    state: Literal["invited", "active"] = "active"
    ends_at: GivenInstant | None = Field(None, description="From then on nothing of it is let in.")
    contacts: list[Contact] = Field([], description="Whom to ask.", json_schema_extra=_LIST)
    notes: Notes = ""

    def to_spec(self) -> PartnerSpec:
        """Return what the service asks for."""
        return PartnerSpec(**arguments(self))


class PartnerOut(Written):
    """A partner. Whether it has ended is judged by `ends_at` and the time, never stored as a state."""

    name: str
    state: PartnerState
    ends_at: Instant | None
    contacts: list[str]
    notes: str


class TenantIn(In):
    """A partner's slice of an issuer: a `tid` at an Entra cloud, or the OIDC issuer itself."""

    model_config = example(
        id="contoso-entra", issuer="entra", partner="contoso", tid="11111111-2222-4333-8444-555555555555"
    )
    id: NewId = None
    issuer: IssuerId
    partner: PartnerId | None = Field(None, description="Whose it is; not for a hosted tenant.")
    tid: Annotated[str, words(36, "11111111-2222-4333-8444-555555555555")] | None = Field(
        None, description="Entra: the directory's id."
    )
    hosted: bool = Field(False, description="The publisher's own tenant: each daemon in it names its partner.")
    notes: Notes = ""

    def to_spec(self) -> TenantSpec:
        """Return what the service asks for."""
        return TenantSpec(**arguments(self))


class TenantOut(Written):
    """A tenant."""

    issuer: str
    partner: str | None
    tid: str | None
    state: TenantState
    hosted: bool
    notes: str


class DaemonIn(In):
    """A program that may call. It may do nothing before a role is granted."""

    model_config = example(
        id="contoso-nightly", tenant="contoso-entra", client_id="aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    )
    id: NewId = None
    tenant: TenantId
    client_id: ClientId
    oid: Oid = None
    subject: Subject = None
    partner: PartnerId | None = Field(None, description="Whose it is; in a hosted tenant only.")
    min_credential: CredentialStrength = Field("none", description="What it must have proved itself with.")
    pin_object_id: bool = Field(False, description="Entra: the object id of its first grant becomes its `oid`.")
    notes: Notes = ""

    def to_spec(self) -> DaemonSpec:
        """Return what the service asks for."""
        return DaemonSpec(**arguments(self))


class DaemonOut(Written):
    """A daemon."""

    tenant: str
    client_id: str
    oid: str | None
    subject: str | None
    partner: str | None
    state: DaemonState
    min_credential: CredentialStrength
    pin_object_id: bool
    notes: str


class AppRoleIn(In):
    """A role of a resource."""

    model_config = example(id="orders-read", resource="orders", value="Orders.Read", display_name="Read orders")
    id: NewId = None
    resource: ResourceId
    value: RoleValue
    display_name: Annotated[str, words(NAME_LENGTH, "Read orders")] = Field("", description="What people read.")
    sensitive: bool = Field(False, description="To grant it takes two operators; no claim gives it.")

    def to_spec(self) -> AppRoleSpec:
        """Return what the service asks for."""
        return AppRoleSpec(**arguments(self))


class AppRoleOut(Written):
    """An app role."""

    resource: str
    value: str
    display_name: str
    sensitive: bool = Field(description="To grant it takes two operators.")


class RoleAssignmentIn(In):
    """A role for a daemon; or for a tenant's listed daemons, where the resource allows that."""

    model_config = example(
        app_role="orders-read", daemon="contoso-nightly", expires_at="2031-01-31T00:00:00Z", reason="contract 4711"
    )
    id: NewId = None
    app_role: AppRoleId
    daemon: DaemonId | None = None
    tenant: TenantId | None = None
    not_before: GivenInstant | None = Field(None, description="Counts from then on.")
    expires_at: GivenInstant | None = Field(None, description="Counts until just before then.")
    reason: Reason = ""
    ticket: Ticket = ""

    def to_spec(self) -> AssignmentSpec:
        """Return what the service asks for."""
        return AssignmentSpec(**arguments(self))


class RoleAssignmentOut(Written):
    """A role assignment."""

    app_role: str
    daemon: str | None
    tenant: str | None
    not_before: Instant | None
    expires_at: Instant | None
    granted_by: str
    approved_by: str | None = Field(description="Who approved it, where the role was sensitive.")
    reason: str
    ticket: str


class GrantedOut(RoleAssignmentOut):
    """A role assignment just made, and what to know about it."""

    warnings: list[str] = Field(description="Of a whole tenant's: how many daemons it reaches.")

    @classmethod
    def of(cls, row: RoleAssignment, warnings: list[str]) -> GrantedOut:
        """Return what is shown of a new assignment."""
        return cls(**dict(RoleAssignmentOut.model_validate(row)), warnings=warnings)


class RoleMappingIn(In):
    """A value of an issuer's claim that gives a role, to listed daemons alone."""

    model_config = example(
        id="keycloak-readers", issuer="keycloak", claim="/realm_access/roles", value="reader", app_role="orders-read"
    )
    id: NewId = None
    issuer: IssuerId
    claim: ClaimPlace
    value: Annotated[str, words(IDENTITY_LENGTH, "reader")] = Field(
        description="What the claim is, or holds where it is a list."
    )
    app_role: AppRoleId

    def to_spec(self) -> RoleMappingSpec:
        """Return what the service asks for."""
        return RoleMappingSpec(**arguments(self))


class RoleMappingOut(Written):
    """A role mapping."""

    issuer: str
    claim: str
    value: str
    app_role: str


def health_out(issuer: str, rows: Iterable[IssuerHealth]) -> IssuerHealthOut:
    """Return what the instances say of an issuer."""
    return IssuerHealthOut(
        issuer=issuer,
        key_sets=[
            KeySetHealthOut.model_validate(
                {name: value for name, value in row.facts.items() if name in KeySetHealthOut.model_fields}
                | {"instance": row.instance, "reported_at": row.reported_at}
            )
            for row in rows
        ],
    )
