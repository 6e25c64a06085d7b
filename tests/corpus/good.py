"""Tokens that must be let in: without them, a gate that refuses everything would pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tenantgate.emulator.hostile.recipe import Sound, json_bytes
from tenantgate.emulator.keys import base64url
from tests.builders import (
    ACME_CLIENT,
    API_CLIENT_ID,
    API_URI,
    BILLING_CLIENT_ID,
    GLOBEX_CLIENT,
    HOME_CLIENT,
    HOME_TID,
    ISSUED_AT,
    NOW,
    v2_issuer,
)
from tests.corpus import keys, policy
from tests.corpus.case import POLICY, Case
from tests.corpus.world import entra, oidc

_ACME: Final = ("acme", ACME_CLIENT)
_GLOBEX: Final = ("globex", GLOBEX_CLIENT)
_ORDER_P256: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _headers()
    yield from _payloads()
    yield from _issuers()
    yield from _listed()


def _good(name: str, says: str, token: str, reference: str = "", **more: Any) -> Case:
    return Case("good", f"good-{name}", says, token, None, reference, **{"granted": _ACME, **more})


def _headers() -> Iterator[Case]:
    sound = entra()
    yield _good("v2", "An Entra token of version 2.0.", sound.token())
    yield _good("v1", "An Entra token of version 1.0, for the API by its address.", entra(1).token(), trust="acme-v1")
    for name, says, header, reference in (
        ("typ-absent", "A token needs no type.", {"typ": ...}, "RFC 7515 §4.1.9"),
        ("typ-at-jwt", "The type of access tokens.", {"typ": "at+jwt"}, "RFC 9068 §2.1"),
        ("typ-whole", "The same type with its prefix.", {"typ": "application/at+jwt"}, "RFC 7515 §4.1.9"),
        ("typ-lower-case", "Types are compared without capitals.", {"typ": "jwt"}, "RFC 7515 §4.1.9"),
        ("x5t", "A thumbprint beside the kid.", {"x5t": keys.CLOUD.kid}, "RFC 7515 §4.1.7"),
        ("unknown-member", "A member nobody knows is ignored.", {"unheard": 1}, "RFC 7515 §4"),
    ):
        whole = {key: value for key, value in {**sound.header, **header}.items() if value is not ...}
        yield _good(name, says, sound.token(whole), reference)


def _payloads() -> Iterator[Case]:
    sound = entra()
    for name, says, claims, reference in (
        (
            "aud-list",
            "The API is one of several the token is for.",
            {"aud": ["api://other.example", API_URI]},
            "RFC 7519 §4.1.3",
        ),
        (
            "exp-in-the-leeway",
            "The token ended 59 seconds ago, and clocks may differ by a minute.",
            {"exp": NOW - 59},
            "RFC 7519 §4.1.4",
        ),
        ("nbf-in-the-leeway", "The token begins in a minute.", {"nbf": NOW + 60}, "RFC 7519 §4.1.5"),
        ("iat-in-the-leeway", "The token was issued in a minute.", {"iat": NOW + 60}, "RFC 7519 §4.1.6"),
        ("nbf-absent", "The beginning may be left out.", {"nbf": ...}, "RFC 7519 §4.1.5"),
        ("fractions", "Instants may have fractions.", {"exp": NOW + 3600.5, "iat": NOW - 0.25}, "RFC 7519 §2"),
        (
            "lifetime-of-a-day",
            "A managed identity's token lives for a day.",
            {"exp": ISSUED_AT + 86_700},
            "Entra: managed identities",
        ),
        (
            "roles-absent",
            "The partner's tenant gave no role, and need not.",
            {"roles": ...},
            "Entra: access token claims",
        ),
        ("idrel", "The subject is a service principal.", {"xms_idrel": "7 28"}, "Entra: agent token claims"),
        (
            "idrel-federated",
            "The subject is a federated managed identity.",
            {"xms_idrel": "33"},
            "Entra: agent token claims",
        ),
        ("scp-empty", "An empty delegation is none.", {"scp": ""}, "Entra: agent token claims"),
        ("azp-in-capitals", "A GUID may be written in capitals.", {"azp": ACME_CLIENT.upper()}, "RFC 9562 §4"),
        (
            "unknown-claims",
            "Claims nobody knows are ignored.",
            {"xms_tcdt": 1_700_000_000, "extra": {"a": [1, 2]}},
            "RFC 7519 §4",
        ),
        ("letters", "Letters beyond ASCII are letters.", {"app_displayname": "Überseehandel 日本"}, "RFC 8259 §8.1"),
    ):
        yield _good(name, says, entra(**claims).token(), reference)
    yield _good("spaced", "White space in JSON means nothing.", sound.token(payload=_spaced(sound)), "RFC 8259 §2")
    escaped = json_bytes(sound.claims).replace(b"/", b"\\/")
    yield _good("escaped", "An escape in JSON means the character.", sound.token(payload=escaped), "RFC 8259 §7")
    deep = {**sound.claims, "extra": _nested(15)}
    yield _good("depth-16", "Sixteen levels are allowed.", sound.token(payload=deep), "RFC 8259 §9")


def _spaced(sound: Sound) -> bytes:
    return b"\r\n { " + json_bytes(sound.claims)[1:].replace(b'":', b'" :\t') + b" \n"


def _nested(depth: int) -> Any:
    return [] if depth == 1 else [_nested(depth - 1)]


def _issuers() -> Iterator[Case]:
    for name, key, says in (
        ("es256", keys.GLOBEX, "An access token signed with ES256."),
        ("eddsa", keys.HOOLI, "An access token signed with Ed25519."),
        ("ps256", keys.UMBRELLA, "An access token signed with PS256."),
        ("rs256", keys.SOYLENT, "An access token by the one good key of a document."),
    ):
        partner = key.kid.partition("-")[0]
        yield _good(name, says, oidc(key).token(), "RFC 9068 §2", trust=partner, granted=(partner, f"{partner}-sync"))
    hooli = oidc(keys.HOOLI)
    yield _good(
        "ed25519-by-name",
        "The curve's algorithm has a name of its own.",
        hooli.token({**hooli.header, "alg": "Ed25519"}),
        "RFC 9864 §2.2",
        trust="hooli",
        granted=("hooli", "hooli-sync"),
    )
    umbrella = oidc(keys.UMBRELLA)
    yield _good(
        "kid-of-the-only-key",
        "One key is published, and need not be named.",
        umbrella.token({"typ": "at+jwt", "alg": "PS256"}),
        "RFC 7515 §4.1.4",
        trust="umbrella",
        granted=("umbrella", "umbrella-sync"),
    )
    yield _good(
        "ecdsa-twin",
        "A signature on this curve has a twin that holds as well: a token has more than one spelling.",
        _twin(),
        "RFC 7518 §3.4",
        trust="globex",
        granted=_GLOBEX,
    )
    for name, says, claims, reference in (
        (
            "azp-alone",
            "The client is in azp, as some issuers have it.",
            {"client_id": ..., "azp": GLOBEX_CLIENT},
            "OpenID Connect Core §2",
        ),
        (
            "bearer-in-the-payload",
            "A client whose issuer says in the payload which kind of token it is, as Keycloak does.",
            {"typ": "Bearer"},
            "Keycloak: access token claims",
        ),
        (
            "auth0",
            "A client as Auth0 writes it.",
            {"sub": "globex-sync@clients", "azp": "globex-sync", "gty": "client-credentials"},
            "Auth0: access token claims",
        ),
    ):
        yield _good(name, says, oidc(**claims).token(), reference, trust="globex", granted=_GLOBEX)


def _twin() -> str:
    signed, _, _ = oidc().token().rpartition(".")
    good = keys.GLOBEX.sign(signed.encode())
    other = _ORDER_P256 - int.from_bytes(good[32:], "big")
    return f"{signed}.{base64url(good[:32] + other.to_bytes(32, 'big'))}"


def _listed() -> Iterator[Case]:
    home = entra(iss=v2_issuer(HOME_TID), tid=HOME_TID, azp=HOME_CLIENT)
    yield _good(
        "hosted",
        "A daemon in the publisher's own tenant.",
        home.token(),
        granted=("initech", HOME_CLIENT),
        scope=POLICY,
    )
    yield _good(
        "certificate-where-it-is-wanted",
        "The client proved itself with a certificate.",
        entra(azp=policy.CERTIFICATE_CLIENT).token(),
        granted=("acme", policy.CERTIFICATE_CLIENT),
        scope=POLICY,
    )
    yield _good(
        "role-from-both",
        "This API wants the role from both, and both gave it.",
        entra(aud=BILLING_CLIENT_ID, roles=["Billing.Read"]).token(),
        resource="billing",
        roles=("Billing.Read",),
        scope=POLICY,
    )
    yield _good(
        "any-role", "No role is asked for, and one is held.", entra(aud=API_CLIENT_ID).token(), roles=(), scope=POLICY
    )
    yield _good(
        "subject-pinned",
        "The client is held by the subject it is pinned to.",
        oidc(client_id=policy.PINNED_CLIENT, sub=policy.PINNED_CLIENT).token(),
        trust="globex",
        granted=("globex", policy.PINNED_CLIENT),
        scope=POLICY,
    )
