"""A small world for the emulator's tests: an API in each token version, two tenants, and a clock that stands still.

Tests start from the request that is granted and change one thing.
"""

from __future__ import annotations

import functools
import itertools
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tenantgate.emulator.authority import Authority
from tenantgate.emulator.keys import KeyFactory, SigningKey, base64url, self_signed

NOW = 1_800_000_000
AUTHORITY = "http://127.0.0.1:8400"

ORDERS = "aaaaaaaa-0000-4000-8000-000000000001"
LEGACY = "aaaaaaaa-0000-4000-8000-000000000009"
TID = "bbbbbbbb-0000-4000-8000-000000000002"
OTHER_TID = "bbbbbbbb-0000-4000-8000-00000000000f"
UNKNOWN_TID = "bbbbbbbb-0000-4000-8000-0000000000ff"
CLIENT = "cccccccc-0000-4000-8000-000000000003"
ROLELESS = "cccccccc-0000-4000-8000-00000000000a"
OID = "dddddddd-0000-4000-8000-000000000004"
SECRET = "not a secret: +&%~ü"

CONFIG: dict[str, Any] = {
    "resources": [
        {"client_id": ORDERS, "app_id_uris": ["api://orders"], "token_version": 2, "idtyp": True},
        {"client_id": LEGACY, "app_id_uris": ["https://legacy.example/"], "token_version": 1, "idtyp": False},
    ],
    "tenants": [
        {
            "tid": TID,
            "name": "contoso",
            "daemons": [
                {
                    "client_id": CLIENT,
                    "client_secret": SECRET,
                    "oid": OID,
                    "roles": {"api://orders": ["Orders.Read"], LEGACY: ["Legacy.All"]},
                },
                {"client_id": ROLELESS, "client_secret": SECRET, "oid": "dddddddd-0000-4000-8000-00000000000b"},
            ],
        },
        {"tid": OTHER_TID, "name": "fabrikam"},
    ],
}


class FakeClock:
    """Epoch seconds that move only when told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@functools.cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """Return one of a few keys that are made once per run: making one takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_factory() -> KeyFactory:
    """Return a factory of distinct keys; they come from the run's few, each in the order it is asked for."""
    numbers = itertools.count()

    def make(now: float) -> SigningKey:
        number = next(numbers)
        return self_signed(rsa_key(number), now=now, serial=1000 + number)

    return make


def an_authority(clock: FakeClock | None = None) -> Authority:
    """Return an empty authority with predictable time and randomness; no two draws are equal."""
    draws = itertools.count(1)
    return Authority(
        AUTHORITY,
        clock=clock or FakeClock(),
        keys=key_factory(),
        entropy=lambda size: next(draws).to_bytes(size, "big"),
    )


def segments(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a token's header and claims, unverified."""
    header, claims, _ = (part + "=" * (-len(part) % 4) for part in token.split("."))
    return json.loads(jwt.utils.base64url_decode(header)), json.loads(jwt.utils.base64url_decode(claims))


def verified(token: str, jwks: dict[str, Any]) -> dict[str, Any]:
    """Verify a token's signature with a published key set, times aside; raise what PyJWT raises."""
    kid = jwt.get_unverified_header(token)["kid"]
    [jwk] = [jwk for jwk in jwks["keys"] if jwk["kid"] == kid]
    return jwt.decode(
        token,
        jwt.PyJWK(jwk, algorithm="RS256"),
        algorithms=["RS256"],
        options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )


def client_assertion(key: rsa.RSAPrivateKey, **changed: Any) -> str:
    """Return a client assertion the tenant's v2 token endpoint accepts at NOW, but for what is changed."""
    claims = {
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": f"{AUTHORITY}/{TID}/oauth2/v2.0/token",
        "nbf": NOW - 10,
        "exp": NOW + 300,
        "jti": base64url(b"once"),
    }
    present = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    return jwt.encode(present, key, algorithm="RS256")
