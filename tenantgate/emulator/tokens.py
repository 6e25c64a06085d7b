"""What an app-only access token of Entra's says, in both versions, and how it is put together.

The shapes are those of Microsoft's access token reference; values that are opaque there are random here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantgate.emulator.directory import Daemon, TokenVersion
from tenantgate.emulator.keys import SigningKey, base64url

BACKDATED: Final = 300
"""Seconds by which Entra sets `iat` and `nbf` before the moment of issue, for the sake of slow clocks."""

Entropy = Callable[[int], bytes]
"""Gives that many random bytes."""


@dataclass(frozen=True, slots=True)
class Issuance:
    """What one token is about. `audience` is the `aud` to write, instants are epoch seconds."""

    authority: str
    tid: str
    daemon: Daemon
    audience: str
    version: TokenVersion
    roles: tuple[str, ...]
    idtyp: bool
    client_auth: str
    issued_at: int
    expires_at: int


def issuer_of(authority: str, tid: str, version: TokenVersion) -> str:
    """Return the issuer of a tenant's tokens; with `{tenantid}` for `tid`, the template of the shared documents.

    Entra's v1 issuer lives on another host. Ours is a path of the emulator's own address, so that no token of it
    can be mistaken for one of Microsoft's.
    """
    return f"{authority}/{tid}/v2.0" if version == 2 else f"{authority}/sts/{tid}/"


def claims_of(issuance: Issuance, entropy: Entropy) -> dict[str, Any]:
    """Return the claims of a sound token. `roles` is absent where none is granted, `idtyp` where it is off."""
    daemon = issuance.daemon
    issuer = issuer_of(issuance.authority, issuance.tid, issuance.version)
    common: dict[str, Any] = {
        "aud": issuance.audience,
        "iss": issuer,
        "iat": issuance.issued_at,
        "nbf": issuance.issued_at,
        "exp": issuance.expires_at,
        "aio": base64url(entropy(27)),
    }
    if issuance.version == 2:
        client = {"azp": daemon.client_id, "azpacr": issuance.client_auth}
    else:
        client = {"appid": daemon.client_id, "appidacr": issuance.client_auth, "idp": issuer}
    return {
        **common,
        **client,
        **({"idtyp": "app"} if issuance.idtyp else {}),
        "oid": daemon.oid,
        "rh": f"1.{base64url(entropy(21))}.",
        **({"roles": list(issuance.roles)} if issuance.roles else {}),
        "sub": daemon.oid,
        "tid": issuance.tid,
        "uti": base64url(entropy(16)),
        "ver": "2.0" if issuance.version == 2 else "1.0",
    }


def header_of(key: SigningKey, version: TokenVersion) -> dict[str, Any]:
    """Return the header of a sound token: v1 names the key twice, v2 by `kid` alone."""
    thumbprint = {"x5t": key.kid} if version == 1 else {}
    return {"typ": "JWT", "alg": "RS256", **thumbprint, "kid": key.kid}


def overlaid(sound: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `overlay` over a sound header; a member of None is taken away."""
    return {name: value for name, value in {**sound, **overlay}.items() if value is not None}


def signed(key: SigningKey, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Put a compact JWS together (RFC 7515 §7.1). Nothing is checked: spoiled tokens are made here as well."""
    signing_input = f"{_segment(header)}.{_segment(claims)}"
    return f"{signing_input}.{base64url(key.sign(signing_input.encode('ascii')))}"


def _segment(members: Mapping[str, Any]) -> str:
    return base64url(json.dumps(members, separators=(",", ":")).encode())
