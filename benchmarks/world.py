"""What the benchmarks judge: an invented cloud, tenants with ten daemons each, and tokens shaped like Entra's.

Rows are encoded and decoded once, so that no two share a string that they would not share in service.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import (
    KINDS,
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicySnapshot,
    ResourceRow,
    RoleAssignmentRow,
    RowData,
    TenantRow,
    row_of,
)

DAEMONS_A_TENANT: Final = 10
AUDIENCE: Final = "aaaaaaaa-0000-4000-8000-000000000001"
ROLE: Final = "Orders.Read"
RESOURCE: Final = "orders"
V2_TEMPLATE: Final = "https://login.cloud.example/{tenantid}/v2.0"
KID: Final = "inventedKeyNumber0000000001"
LIFETIME: Final = 3900
"""Seconds a token lives, as Entra's do on average (65 minutes)."""

_encode: Final = msgspec.json.Encoder().encode
_DECODERS: Final = {struct: msgspec.json.Decoder(struct).decode for struct in KINDS.values()}

# Opaque claims of the length real tokens have; they bring a token to about 1.2 kB.
_AIO: Final = "ASQA2/8WAAAAinvented0000000000000000000000000000000000000="
_RH: Final = "1.AXoAinvented00000000000000000000000000000000000000000."


def guid(kind: str, number: int) -> str:
    """Return an invented GUID: `kind` is its first digit, repeated."""
    return f"{kind * 8}-0000-4000-8000-{number:012x}"


def tid(tenant: int) -> str:
    """Return the tid of a tenant by its number."""
    return guid("b", tenant)


def client_id(daemon: int) -> str:
    """Return the client id of a daemon by its number; daemon 10 is the first of tenant 1."""
    return guid("c", daemon)


def oid(daemon: int) -> str:
    """Return the object id a daemon is pinned to."""
    return guid("d", daemon)


def policy(daemons: int, jwks: dict[str, Any] | None = None, *, assignments: bool = True) -> PolicySnapshot:
    """Return a policy of so many daemons, ten a tenant, a partner a tenant, one role assignment a daemon."""
    rows = (row_of(delivered(data), 1) for data in _rows(daemons, jwks, assignments))
    return PolicySnapshot(epoch="benchmark", revision=1, rows=tuple(rows))


def delivered(data: RowData) -> RowData:
    """Return a row as a source delivers it: decoded from JSON, and so sharing no string with any other row."""
    return _DECODERS[type(data)](_encode(data))


def _rows(daemons: int, jwks: dict[str, Any] | None, assignments: bool) -> Iterator[RowData]:
    yield IssuerRow(id="cloud", kind="entra", authority="https://login.cloud.example", v2_issuer=V2_TEMPLATE, jwks=jwks)
    yield ResourceRow(id=RESOURCE, audiences=(AUDIENCE, "api://orders.example"))
    yield AppRoleRow(id="orders_read", resource=RESOURCE, value=ROLE)
    for tenant in range((daemons + DAEMONS_A_TENANT - 1) // DAEMONS_A_TENANT):
        yield a_partner(tenant)
        yield TenantRow(id=_id("tnt", tenant), issuer="cloud", partner=_id("prt", tenant), tid=tid(tenant))
    for daemon in range(daemons):
        yield a_daemon(daemon)
        if assignments:
            yield an_assignment(daemon)


def a_partner(tenant: int, **changes: Any) -> PartnerRow:
    """Return the row of the partner of a tenant, by its number."""
    return PartnerRow(**{"id": _id("prt", tenant), "name": f"Partner {tenant}", **changes})


def a_daemon(daemon: int, **changes: Any) -> DaemonRow:
    """Return the row of a daemon by its number, active and pinned to its object id."""
    row = {"id": _id("dmn", daemon), "tenant": _id("tnt", daemon // DAEMONS_A_TENANT)}
    return DaemonRow(**{**row, "client_id": client_id(daemon), "oid": oid(daemon), **changes})


def an_assignment(daemon: int, **changes: Any) -> RoleAssignmentRow:
    """Return the row that gives a daemon the role."""
    row = {"id": _id("asg", daemon), "app_role": "orders_read", "daemon": _id("dmn", daemon)}
    return RoleAssignmentRow(**{**row, **changes})


def _id(prefix: str, number: int) -> str:
    """Return an id as long as those the registry makes."""
    return f"{prefix}-{number:016d}"


class Signer:
    """An RSA key of 2048 bits that signs RS256, and its public half as a JWK."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self.private.public_key().public_numbers()
        self.jwk = {
            "kty": "RSA",
            "use": "sig",
            "kid": KID,
            "n": _b64url(numbers.n.to_bytes(256, "big")),
            "e": "AQAB",
            "issuer": V2_TEMPLATE,
        }

    def sign(self, payload: dict[str, Any]) -> bytes:
        """Return a compact JWS over the payload."""
        header = {"typ": "JWT", "alg": "RS256", "kid": KID}
        signed = f"{_b64url(_json(header))}.{_b64url(_json(payload))}".encode()
        return signed + b"." + _b64url(self.private.sign(signed, padding.PKCS1v15(), hashes.SHA256())).encode()


def claims(daemon: int, number: int, now: int) -> dict[str, Any]:
    """Return the claims of an Entra v2 access token of a daemon's; `number` makes it different from its others."""
    issued = now - 120
    return {
        "aud": AUDIENCE,
        "iss": V2_TEMPLATE.replace("{tenantid}", tid(daemon // DAEMONS_A_TENANT)),
        "iat": issued,
        "nbf": issued,
        "exp": issued + LIFETIME,
        "aio": _AIO,
        "azp": client_id(daemon),
        "azpacr": "2",
        "idtyp": "app",
        "oid": oid(daemon),
        "rh": _RH,
        "roles": [ROLE],
        "sub": oid(daemon),
        "tid": tid(daemon // DAEMONS_A_TENANT),
        "uti": f"invented{number:014d}",
        "ver": "2.0",
        "xms_idrel": "7 28",
        "xms_tcdt": 1_700_000_000,
    }


@dataclass(frozen=True, slots=True)
class World:
    """A policy with its keys, and as many different tokens as were asked for: good ones, and of an unknown issuer."""

    signer: Signer
    index: PolicyIndex
    keys: StaticKeys
    tokens: tuple[bytes, ...]
    strangers: tuple[bytes, ...]
    now: int


def build(*, now: int, tokens: int = 64, daemons: int = 1000) -> World:
    """Return a world of `daemons`; the tokens are those of the first tenant's ten, each different by its `uti`."""
    signer = Signer()
    index = PolicyIndex.from_snapshot(policy(daemons, {"keys": [signer.jwk]}))
    keys = StaticKeys(entry.row for entry in index.issuers.values())
    own = [claims(number % DAEMONS_A_TENANT, number, now) for number in range(tokens)]
    foreign = [_stranger(each, number) for number, each in enumerate(own)]
    return World(signer, index, keys, tuple(map(signer.sign, own)), tuple(map(signer.sign, foreign)), now)


def _stranger(known: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the claims of somebody of an issuer that nobody listed, with ids of its own."""
    theirs = guid("e", number)
    issuer = V2_TEMPLATE.replace("cloud.example", "other.example").replace("{tenantid}", theirs)
    return {**known, "iss": issuer, "tid": theirs, "azp": theirs, "oid": theirs, "sub": theirs}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
