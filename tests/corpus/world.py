"""Whom the corpus trusts to sign: keys, issuers, and a good token of each. All of it is invented."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tenantgate.emulator.hostile.recipe import Sound
from tenantgate.emulator.keys import base64url
from tests.builders import (
    ACME_TID,
    API_CLIENT_ID,
    API_URI,
    GLOBEX_CLIENT,
    INITECH_TID,
    NOW,
    OIDC_ISSUER,
    V2_TEMPLATE,
    b64uint,
    oidc_claims,
    v1_claims,
    v1_issuer,
    v2_claims,
    v2_issuer,
)
from tests.corpus import keys

Row = dict[str, Any]

RESOURCE: Final = "orders"
ROLES: Final = ("Orders.Read",)
SECOND_V2: Final = "https://login.second.example/{tenantid}/v2.0"
HOOLI_ISSUER: Final = "https://tokens.hooli.example"
UMBRELLA_ISSUER: Final = "https://login.umbrella.example/"
SOYLENT_ISSUER: Final = "https://sso.soylent.example/oauth2/default"
UNREACHED_ISSUER: Final = "https://unreached.example"


# Keys


def _small_order() -> Row:
    x = base64url(keys.SMALL_ORDER)
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "kid": keys.SMALL_ORDER_KID, "alg": "EdDSA"}


def _soylent_keys() -> list[Row]:
    secret = {"kty": "oct", "k": base64url(keys.SECRET), "use": "sig", "kid": keys.SECRET_KID, "alg": "HS256"}
    private = b64uint(keys.PRIVATE.private.private_numbers().d)
    return [
        keys.SOYLENT.jwk(),
        keys.ENCRYPTING.jwk(use="enc", alg=None),
        keys.WRAPPING.jwk(use=None, key_ops=["wrapKey"]),
        keys.TWICE.jwk(),
        {**keys.SOYLENT.jwk(), "kid": keys.TWICE.kid},
        keys.SMALL.jwk(),
        keys.EXPONENT_3.jwk(),
        keys.ROCA.jwk(),
        keys.PRIVATE.jwk(d=private),
        keys.ONLY_PSS.jwk(alg="PS256"),
        keys.FOR_ANOTHER.jwk(issuer=OIDC_ISSUER),
        secret,
    ]


KEY_SETS: Final[dict[str, Row]] = {
    "cloud-v2": {
        "keys": [
            {**keys.CLOUD.jwk(), "issuer": V2_TEMPLATE},
            {**keys.CONSUMERS.jwk(), "issuer": v2_issuer(keys.CONSUMERS.only_tid or "")},
            {**keys.INITECH.jwk(), "issuer": v2_issuer(INITECH_TID)},
        ]
    },
    "cloud-v1": {"keys": [keys.CLOUD.jwk()]},
    "second": {"keys": [{**keys.SECOND_CLOUD.jwk(), "issuer": SECOND_V2}]},
    "globex": {"keys": [keys.GLOBEX.jwk()]},
    "hooli": {"keys": [keys.HOOLI.jwk(), _small_order()]},
    "umbrella": {"keys": [keys.UMBRELLA.jwk()]},
    "soylent": {"keys": _soylent_keys()},
}


# Trust: what the user of any JWT library would configure for one partner.


class Trust(NamedTuple):
    """One issuer as a relying party configures it. `policy_issuer` is its row in the policy."""

    issuer: str
    algorithms: tuple[str, ...]
    key_set: str
    policy_issuer: str
    about: str

    def described(self) -> Row:
        """Return it for the corpus's files."""
        return {
            "about": self.about,
            "issuer": self.issuer,
            "audiences": [API_CLIENT_ID, API_URI],
            "algorithms": list(self.algorithms),
            "required_claims": ["exp", "iat", "iss", "aud", "sub"],
            "jwks": KEY_SETS[self.key_set],
        }


TRUST: Final = {
    "acme-v2": Trust(
        v2_issuer(ACME_TID), ("RS256",), "cloud-v2", "cloud", "Acme's Entra tenant, tokens of version 2.0"
    ),
    "acme-v1": Trust(
        v1_issuer(ACME_TID), ("RS256",), "cloud-v1", "cloud", "Acme's Entra tenant, tokens of version 1.0"
    ),
    "globex": Trust(OIDC_ISSUER, ("ES256",), "globex", "globex", "Globex's own OpenID provider"),
    "hooli": Trust(HOOLI_ISSUER, ("EdDSA", "Ed25519"), "hooli", "hooli", "Hooli's own OpenID provider"),
    "umbrella": Trust(UMBRELLA_ISSUER, ("PS256",), "umbrella", "umbrella", "Umbrella's own OpenID provider"),
    "soylent": Trust(
        SOYLENT_ISSUER, ("RS256",), "soylent", "soylent", "Soylent's own OpenID provider, whose keys are not all good"
    ),
}


# Good tokens


def entra(version: int = 2, **changes: Any) -> Sound:
    """Return acme's good token of a version, its claims changed (`...` takes one away)."""
    header: Row = {"typ": "JWT", "alg": "RS256", "kid": keys.CLOUD.kid}
    if version == 1:
        header["x5t"] = keys.CLOUD.kid
    claims = v2_claims(**changes) if version == 2 else v1_claims(**changes)
    return Sound(header, claims, keys.CLOUD, keys.STRANGER, keys.CONSUMERS, NOW)


def oidc(key: keys.OidcKey = keys.GLOBEX, **changes: Any) -> Sound:
    """Return the good token of an OIDC partner's daemon, its claims changed."""
    issuer, client = OIDC[key.kid.partition("-")[0]]
    claims = oidc_claims(**{"iss": issuer, "sub": client, "client_id": client, **changes})
    return Sound({"typ": "at+jwt", "alg": key.alg, "kid": key.kid}, claims, key, keys.STRANGER, None, NOW)


OIDC: Final = {
    "globex": (OIDC_ISSUER, GLOBEX_CLIENT),
    "hooli": (HOOLI_ISSUER, "hooli-sync"),
    "umbrella": (UMBRELLA_ISSUER, "umbrella-sync"),
    "soylent": (SOYLENT_ISSUER, "soylent-sync"),
}
