"""What a live policy is made of: small structs, changed in place by the index that holds them."""

from __future__ import annotations

import ipaddress
from typing import Any, Final, NamedTuple

import msgspec

from tenantgate.core.keys import KeySetRef, own_key_set
from tenantgate.core.oidc import OidcReader
from tenantgate.core.pointer import Pointer, parse_pointer
from tenantgate.core.policy import (
    IssuerRow,
    RequiredClaim,
    ResourceRow,
    RoleAssignmentRow,
    RoleMappingRow,
    TenantRow,
    one_spelling,
)

BACKDATED: Final = 300
"""Seconds by which issuers set `iat` before the true time (Entra does); not counted against `max_lifetime`."""


class DaemonEntry(msgspec.Struct, gc=False):
    """A listed daemon. `grants` are its own role assignments, dates included."""

    id: str
    tenant: str
    key: bytes | str
    oid: bytes | None
    subject: str | None
    partner: str | None
    active: bool
    min_credential: str
    grants: tuple[RoleAssignmentRow, ...] = ()


class TenantEntry(msgspec.Struct, gc=False):
    """A listed tenant and its daemons by client id (16 bytes for Entra, the exact string elsewhere)."""

    row: TenantRow
    tid: bytes | None
    daemons: dict[bytes | str, DaemonEntry] = {}
    grants: tuple[RoleAssignmentRow, ...] = ()


class KeySets(NamedTuple):
    """The key sets in which a token's key is looked for, in order, by the document its `iss` names.

    `own` is where an application's keys are, but for its appid; None where the issuer knows no such thing.
    """

    v1: tuple[KeySetRef, ...]
    v2: tuple[KeySetRef, ...]
    own: KeySetRef | None = None

    def refs(self, document: str, appid: str | None) -> tuple[KeySetRef, ...]:
        """Return where to look; with `appid`, in the application's own document first."""
        refs = self.v2 if document == "v2" else self.v1
        return refs if appid is None or self.own is None else (self.own._replace(appid=appid), *refs)


def key_sets_of(row: IssuerRow) -> KeySets:
    """Return where an issuer's keys are looked for.

    A v1 token looks in its cloud's v1 document, then in the v2 one (the same keys, there bound to an issuer).
    """
    v2 = KeySetRef(row.id, "v2")
    has_v1 = row.v1_metadata_url is not None or row.v1_jwks is not None
    return KeySets((KeySetRef(row.id, "v1"), v2) if has_v1 else (v2,), (v2,), own_key_set(row))


class MappingEntry(msgspec.Struct, gc=False):
    """A role mapping with its claim's place parsed."""

    row: RoleMappingRow
    pointer: Pointer


class IssuerEntry(msgspec.Struct):
    """An issuer and its tenants by tid (the OIDC issuer's one tenant stands under None).

    `oidc` reads its tokens; Entra's are read by rules of their own.
    """

    row: IssuerRow
    key_sets: KeySets
    oidc: OidcReader | None
    tenants: dict[bytes | None, TenantEntry] = {}
    mappings: tuple[MappingEntry, ...] = ()


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ResourceEntry(msgspec.Struct, gc=False):
    """A resource with its rules ready to be asked. `plan` is what `core.judge` makes of them.

    `longest` is how long a token may live, backdating included; infinite where that is reported only.
    """

    row: ResourceRow
    audiences: frozenset[str]
    clients: frozenset[str]
    required: tuple[tuple[RequiredClaim, Pointer], ...]
    networks: tuple[Network, ...]
    longest: float
    plan: Any = None


def _spellings(names: tuple[str, ...]) -> frozenset[str]:
    """Return the names as written and, of a GUID, as Entra writes it; another issuer's is compared to the letter."""
    return frozenset((*names, *map(one_spelling, names)))


def resource_entry(row: ResourceRow) -> ResourceEntry:
    """Return a resource with its rules parsed. `row` is checked."""
    return ResourceEntry(
        row,
        _spellings(row.audiences),
        _spellings(row.clients),
        tuple((claim, parse_pointer(claim.claim, "required_claims")) for claim in row.required_claims),
        tuple(ipaddress.ip_network(each) for each in row.addresses),
        float("inf") if any(each.rule == "max_lifetime" for each in row.report_only) else row.max_lifetime + BACKDATED,
    )
