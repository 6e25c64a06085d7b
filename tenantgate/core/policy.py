"""The policy as rows: what a gate knows about partners, and the only form it travels in.

Tables, the policy file, the change feed and (later) bundles all become these rows; `core.index`
makes them live. A row is `{v, revision, kind, id, op, data}`; `data` is one of the structs below.
Everything here was written by an operator and is trusted; nothing here comes from a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, overload

import msgspec

from tenantgate.core.strict import Unreadable, read_object

ROW_VERSION: Final = 1
"""Version of the row format. A feed with another version is refused, never guessed at."""

ID_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,62}\Z"
"""Ids are slugs: lower case, digits, `.`, `_`, `-`; at most 63 characters."""

_ID: Final = re.compile(ID_PATTERN)
_GUID: Final = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")

CONSUMER_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of personal Microsoft accounts: never a partner's."""

IssuerKind = Literal["entra", "oidc"]
PartnerState = Literal["invited", "active", "suspended", "archived"]
TenantState = Literal["active", "suspended"]
DaemonState = Literal["active", "suspended"]
CredentialStrength = Literal["none", "secret", "certificate"]
"""The weakest first."""
AppOnlyRule = Literal["strict", "compatible"]
TokenRoles = Literal["ignore", "intersect"]
TokenVersion = Literal["1.0", "2.0"]
Match = Literal["all", "any"]
ResourceRule = Literal[
    "addresses",
    "app_only",
    "clients",
    "issuers",
    "max_lifetime",
    "min_credential",
    "required_claims",
    "token_roles",
    "token_versions",
]
"""What a resource may have reported only. Signature, binding, audience, times and the list are not among them."""
Op = Literal["put", "delete"]


class PolicyError(Exception):
    """A policy cannot be used. `code` is stable; `path` names the member at fault (`tenants[2].tid`)."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.code = code
        self.path = path
        self.message = message


class _Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What every kind of row shares: an id, and strictness about members.

    `gc=False`, here and in the index: rows hold values, never each other, so there is no cycle to look for,
    and a full collection passes a million of them by.
    """

    id: str


class IssuerRow(_Data, frozen=True, kw_only=True):
    """Something trusted to sign. One Entra row covers every tenant of its cloud, v1 and v2.

    Entra: `authority` is the login address (`https://login.microsoftonline.com`); the issuer
    templates hold `{tenantid}` once. OIDC: `issuer` is the exact `iss`. Keys are discovered from the
    metadata addresses unless `jwks` (and `v1_jwks`) give them. `algorithms` lists what a key may be
    used with; a key is bound to exactly one of them when it is loaded. Addresses come from
    configuration alone, never from a token.

    `profile` names how an OIDC issuer's tokens are read (`core.profiles.table`). What follows it says otherwise for
    this one issuer: `client_id_claim` and `roles_claim` are a claim's name, or a JSON Pointer where they begin with `/`
    (RFC 6901); `subject_pin` is whether each daemon must name its `subject` (None: as the profile has it);
    `token_types` may narrow what a profile accepts, never widen it.

    `distrusted_keys` names keys that verify nothing, whatever the issuer publishes: by `kid`, or by RFC 7638 thumbprint
    (SHA-256), which follows the key under any name. `max_key_age`: seconds after the last successful fetch until
    nothing is judged with its keys (None: as the process has it). `ca_bundle`: PEM certificates of the authorities that
    count for its addresses instead of the public ones. `proxy`: the HTTP proxy by which it is reached.
    """

    kind: IssuerKind
    authority: str | None = None
    v1_issuer: str | None = None
    v2_issuer: str | None = None
    v1_metadata_url: str | None = None
    issuer: str | None = None
    metadata_url: str | None = None
    jwks: dict[str, Any] | None = None
    v1_jwks: dict[str, Any] | None = None
    jwks_hosts: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    profile: str = "standard"
    client_id_claim: str | None = None
    roles_claim: str | None = None
    subject_pin: bool | None = None
    token_types: tuple[str, ...] = ("JWT", "at+jwt")
    allow_private_addresses: bool = False
    insecure_allow_http: bool = False
    distrusted_keys: tuple[str, ...] = ()
    max_key_age: int | None = None
    ca_bundle: str | None = None
    proxy: str | None = None


class PartnerRow(_Data, frozen=True, kw_only=True):
    """A company. `ends_at` (epoch seconds) is judged with `now`; expired is never a stored state."""

    name: str
    state: PartnerState = "active"
    ends_at: int | None = None


class TenantRow(_Data, frozen=True, kw_only=True):
    """A partner's slice of an issuer: a `tid` at an Entra cloud, or the OIDC issuer itself (no `tid`).

    A hosted tenant is the publisher's own: it names no partner, its daemons do.
    """

    issuer: str
    partner: str | None = None
    tid: str | None = None
    state: TenantState = "active"
    hosted: bool = False


class DaemonRow(_Data, frozen=True, kw_only=True):
    """A confidential client in a tenant. `oid` (Entra) or `subject` (OIDC) pins who must hold it."""

    tenant: str
    client_id: str
    oid: str | None = None
    subject: str | None = None
    partner: str | None = None
    state: DaemonState = "active"
    min_credential: CredentialStrength = "none"


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A member of a row that has members of its own."""


class RequiredClaim(_Part, frozen=True, kw_only=True):
    """A claim that a resource asks for (API Management's `required-claims`).

    `claim` is a name, or a JSON Pointer where it begins with `/` (RFC 6901). `all`: every value is there; `any`: one
    is; without values the claim must exist. `separator` splits a claim that is one string (a blank, for `scp`).
    A number or boolean is compared as JSON spells it.
    """

    claim: str
    values: tuple[str, ...] = ()
    match: Match = "all"
    separator: str | None = None


class ReportOnly(_Part, frozen=True, kw_only=True):
    """A rule that only says what it would have denied, until a date (epoch seconds, exclusive)."""

    rule: ResourceRule
    until: int


class ResourceRow(_Data, frozen=True, kw_only=True):
    """A protected API and its token rules. Durations in seconds; an empty list asks for nothing.

    `app_only` strict asks for proof that no user stands behind the token (Entra: `idtyp` = `app`).
    `max_lifetime` bounds `exp - iat`. `show_reasons` lets a caller read the exact reason of a refusal.
    `issuers` are ids, `clients` client ids, `addresses` networks in CIDR form. `signing_keys_appid` is the API's own
    application id where Entra signs its tokens with keys of its own (claims mapping; metadata with `?appid=`).
    `token_header` and `token_query` say where the token stands; `failure_status` and `failure_message` how a
    refusal of a credential is answered (never a 400 or a 503).
    """

    audiences: tuple[str, ...]
    app_only: AppOnlyRule = "strict"
    agent_identities: bool = False
    token_roles: TokenRoles = "ignore"
    tenant_wide_roles: bool = False
    min_credential: CredentialStrength = "none"
    max_lifetime: int = 86_400
    clock_skew: int = 60
    issuers: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    token_versions: tuple[TokenVersion, ...] = ()
    required_claims: tuple[RequiredClaim, ...] = ()
    addresses: tuple[str, ...] = ()
    report_only: tuple[ReportOnly, ...] = ()
    signing_keys_appid: str | None = None
    token_header: str | None = None
    token_query: str | None = None
    token_scheme: str = "Bearer"
    failure_status: int | None = None
    failure_message: str | None = None
    show_reasons: bool = False


class AppRoleRow(_Data, frozen=True, kw_only=True):
    """A role a resource defines; `value` is what the API asks for (`Orders.Read`)."""

    resource: str
    value: str


class RoleAssignmentRow(_Data, frozen=True, kw_only=True):
    """Daemon × app role, or tenant × app role where the resource allows it. Epoch seconds, end exclusive."""

    app_role: str
    daemon: str | None = None
    tenant: str | None = None
    not_before: int | None = None
    expires_at: int | None = None


class RoleMappingRow(_Data, frozen=True, kw_only=True):
    """A value of an issuer's claim that gives an app role: for issuers whose role claims we choose to believe.

    `claim` is a name, or a JSON Pointer where it begins with `/` (`/realm_access/roles`); the claim is a string or
    a list of strings, one of which is `value`. Counts for listed, active daemons only.
    """

    issuer: str
    claim: str
    value: str
    app_role: str


RowData = IssuerRow | PartnerRow | TenantRow | DaemonRow | ResourceRow | AppRoleRow | RoleAssignmentRow | RoleMappingRow

KINDS: Final[dict[str, type[RowData]]] = {
    "issuer": IssuerRow,
    "partner": PartnerRow,
    "tenant": TenantRow,
    "daemon": DaemonRow,
    "resource": ResourceRow,
    "app_role": AppRoleRow,
    "role_assignment": RoleAssignmentRow,
    "role_mapping": RoleMappingRow,
}
"""Every kind a row may have, in the order in which a full load applies them (referred-to first)."""


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One change: put or delete one thing. `data` is None only for a delete."""

    revision: int
    kind: str
    id: str
    op: Op
    data: RowData | None = None
    v: int = ROW_VERSION


class PutRows(Sequence[Row]):
    """Rows that each put their data in force, kept as the data by kind: of a million, the rest is half of the work.

    Everything in `by_kind` is of its kind's type: whoever makes one sees to it.

    Raises:
        PolicyError: `kind_unknown`: it may be one that says who may not, and is not passed over.
    """

    __slots__ = ("by_kind", "revision")

    def __init__(self, by_kind: Mapping[str, Sequence[RowData]], revision: int) -> None:
        if unknown := by_kind.keys() - KINDS.keys():
            raise PolicyError("kind_unknown", f"{min(unknown)!r} is not a kind this version knows")
        self.by_kind = by_kind
        self.revision = revision

    def __len__(self) -> int:
        return sum(map(len, self.by_kind.values()))

    def __iter__(self) -> Iterator[Row]:
        for kind, found in self.by_kind.items():
            for data in found:
                yield Row(revision=self.revision, kind=kind, id=data.id, op="put", data=data)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Sequence[Row]:
        return tuple(self)[place]

    def __eq__(self, other: object) -> bool:
        """Whether these are the same rows in the same order, whatever they are kept in."""
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


def data_of(row: Row) -> RowData:
    """Return what a row puts in force.

    Raises:
        PolicyError: `kind_unknown`; `row_malformed`, where it puts nothing, or not what it says.
    """
    if row.kind not in KINDS:
        raise PolicyError("kind_unknown", f"{row.kind!r} is not a kind this version knows")
    if row.op != "put" or row.data is None or row.data.id != row.id or type(row.data) is not KINDS[row.kind]:
        raise PolicyError("row_malformed", f"{row.op} of {row.kind} {row.id} without its data")
    return row.data


def put_rows(rows: Sequence[Row], revision: int) -> PutRows:
    """Return rows of a whole policy as what they put in force. Raises PolicyError as `data_of` does."""
    if isinstance(rows, PutRows):
        return rows
    by_kind: dict[str, list[RowData]] = {kind: [] for kind in KINDS}
    for row in rows:
        data = data_of(row)
        by_kind[row.kind].append(data)
    return PutRows(by_kind, revision)


class PolicySnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The whole policy as a value: every row, its epoch and revision.

    `age` is the seconds since whoever keeps the policy was known to say so: more than 0 where it comes from a disk.
    """

    epoch: str
    revision: int
    rows: Sequence[Row]
    age: float = 0.0


class PolicyDelta(msgspec.Struct, frozen=True, kw_only=True):
    """The rows changed after `since` up to and including `revision`, in order of revision."""

    epoch: str
    since: int
    revision: int
    rows: tuple[Row, ...]


_ROW_MEMBERS: Final = frozenset(("v", "revision", "kind", "id", "op", "data"))


def row_of(data: RowData, revision: int) -> Row:
    """Return the row that puts `data` in force."""
    return Row(revision=revision, kind=kind_of(data), id=data.id, op="put", data=data)


def kind_of(data: RowData) -> str:
    """Return the kind name of a row's data."""
    for kind, struct in KINDS.items():
        if type(data) is struct:
            return kind
    raise PolicyError("kind_unknown", f"{type(data).__name__} is not a kind of row")


def encode_row(row: Row) -> bytes:
    """Serialise a row as JSON."""
    return msgspec.json.encode(row)


def decode_row(raw: bytes | dict[str, Any]) -> Row:
    """Read a row written by `encode_row` (bytes, or the same as a decoded object).

    Raises:
        PolicyError: no strict JSON, unknown version or kind, unknown member, wrong type, a put without
            its data or with the data of another id, a delete with data.
    """
    try:
        loose = read_object(raw) if isinstance(raw, bytes) else raw
        version, kind = loose["v"], loose["kind"]
        if type(version) is not int or version != ROW_VERSION:
            raise PolicyError("row_version_unknown", f"row version {version!r} is not {ROW_VERSION}")
        if kind not in KINDS:
            raise PolicyError("kind_unknown", f"{kind!r} is not a kind this version knows")
        if not _ROW_MEMBERS.issuperset(loose):
            raise PolicyError("row_malformed", f"a row has no member {min(map(repr, set(loose) - _ROW_MEMBERS))}")
        data = loose.get("data")
        row = Row(
            revision=msgspec.convert(loose["revision"], int),
            kind=kind,
            id=msgspec.convert(loose["id"], str),
            op=msgspec.convert(loose["op"], Op),
            data=None if data is None else msgspec.convert(data, KINDS[kind]),
        )
    except (Unreadable, msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise PolicyError("row_malformed", f"a row cannot be read: {error}") from None
    if row.op == "delete" and row.data is not None:
        raise PolicyError("row_malformed", f"delete of {row.kind} {row.id} carries data")
    if row.op == "put" and (row.data is None or row.data.id != row.id):
        raise PolicyError("row_malformed", f"put of {row.kind} {row.id} without its data")
    return row


def is_id(value: str) -> bool:
    """Whether `value` may be the id of a row."""
    return _ID.match(value) is not None


def is_guid(value: str) -> bool:
    """Whether `value` is a GUID in its 8-4-4-4-12 form, either case."""
    return _GUID.match(value) is not None


def one_spelling(value: str) -> str:
    """Return a GUID in lower case, as Entra writes it, and anything else as it is: texts equal by this are one name."""
    return value.lower() if is_guid(value) else value
