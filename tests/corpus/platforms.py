"""What is particular to Entra's clouds and keys, and to tokens of other OpenID providers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.builders import ACME_TID, v1_claims, v2_claims
from tests.corpus import keys
from tests.corpus.case import Case
from tests.corpus.world import SECOND_V2, entra, oidc

_ENTRA: Final = "Entra: access tokens, validating the issuer"
_KEYCLOAK: Final = "Keycloak: access token claims"


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _clouds()
    yield from _clients()
    yield from _kinds()


def _by(key: Any, claims: dict[str, Any], version: int = 2) -> str:
    sound = entra(version)
    return sound.token({**sound.header, "kid": key.kid}, claims, lambda _, signed: key.sign(signed))


def _clouds() -> Iterator[Case]:
    for name, attacks, token, reason, trust, forged in (
        (
            "key-of-a-listed-tenant",
            "A key that the cloud publishes for another partner's tenant signs for this one.",
            _by(keys.INITECH, v2_claims()),
            "key_issuer_mismatch",
            "acme-v2",
            True,
        ),
        (
            "v1-key-of-another-tenant",
            "A key of one tenant alone signs for another, in the form of version 1.",
            _by(keys.CONSUMERS, v1_claims(), 1),
            "key_issuer_mismatch",
            "acme-v1",
            True,
        ),
        (
            "key-of-another-cloud",
            "Another cloud's key signs for this one's tenant.",
            _by(keys.SECOND_CLOUD, v2_claims()),
            "signing_key_unknown",
            "acme-v2",
            True,
        ),
        (
            "iss-of-another-cloud",
            "This cloud's key signs for another one's tenant of the same tid.",
            entra(iss=SECOND_V2.replace("{tenantid}", ACME_TID)).token(),
            "signing_key_unknown",
            "acme-v2",
            False,
        ),
        (
            "iss-alias",
            "The issuer is an older name of the cloud's host, which tokens never carry.",
            entra(iss=f"https://login.windows.example/{ACME_TID}/v2.0").token(),
            "issuer_unknown",
            "acme-v2",
            False,
        ),
        (
            "iss-of-v1-on-the-host-of-v2",
            "The host is that of version 2, and the path that of version 1.",
            entra(iss=f"https://login.cloud.example/{ACME_TID}/").token(),
            "issuer_unknown",
            "acme-v2",
            False,
        ),
    ):
        yield Case("entra-binding", name, attacks, token, reason, _ENTRA, trust, forged=forged)
    sound = entra(1)
    header = {name: value for name, value in sound.header.items() if name != "kid"}
    several = entra().token({**header, "x5t": keys.CLOUD.kid})
    yield Case(
        "key-documents",
        "x5t-without-kid",
        "The key is named by its thumbprint alone, while several are published.",
        several,
        "signing_key_unknown",
        "RFC 7515 §4.1.7",
    )


def _clients() -> Iterator[Case]:
    for name, attacks, claims, reason, reference in (
        (
            "oidc-client-absent",
            "The token does not say which client it is.",
            {"client_id": ...},
            "claim_missing",
            "RFC 9068 §2.2",
        ),
        ("oidc-client-number", "The client is a number.", {"client_id": 7}, "claim_malformed", "RFC 8693 §4.3"),
        (
            "oidc-client-list",
            "The client is a list that has the right one.",
            {"client_id": ["globex-sync"]},
            "claim_malformed",
            "RFC 8693 §4.3",
        ),
        (
            "oidc-client-tab",
            "A tab stands behind the client.",
            {"client_id": "globex-sync\t"},
            "claim_malformed",
            "RFC 8693 §4.3",
        ),
        (
            "oidc-azp-disagrees",
            "Two claims name two clients.",
            {"azp": "another"},
            "claim_malformed",
            "OpenID Connect Core §2",
        ),
        (
            "oidc-azp-null",
            "The second name of the client is null.",
            {"azp": None},
            "claim_malformed",
            "OpenID Connect Core §2",
        ),
    ):
        yield Case("claims", name, attacks, oidc(**claims).token(), reason, reference, "globex")


def _kinds() -> Iterator[Case]:
    for name, attacks, claims, reason, reference in (
        (
            "oidc-token-use-id",
            "An ID token, by the claim that Cognito has for it.",
            {"token_use": "id"},
            "id_token_presented",
            "Cognito: the ID token",
        ),
        (
            "oidc-payload-typ-id",
            "An ID token, by the claim that Keycloak has for it.",
            {"typ": "ID"},
            "token_type_not_allowed",
            _KEYCLOAK,
        ),
        (
            "oidc-payload-typ-refresh",
            "A refresh token, by the claim that Keycloak has for it.",
            {"typ": "Refresh"},
            "token_type_not_allowed",
            _KEYCLOAK,
        ),
        (
            "oidc-payload-typ-logout",
            "A logout token, by the claim that Keycloak has for it.",
            {"typ": "Logout"},
            "token_type_not_allowed",
            _KEYCLOAK,
        ),
        ("oidc-user", "The subject is a user and not the client.", {"sub": "user-7"}, "not_app_only", "RFC 9068 §2.2"),
        (
            "oidc-session",
            "The token belongs to a user's session.",
            {"sid": "s-1"},
            "not_app_only",
            "OpenID Connect Front-Channel Logout §3",
        ),
        (
            "oidc-signed-in-at",
            "The token says when a user signed in.",
            {"auth_time": 1_800_000_000},
            "not_app_only",
            "RFC 9068 §2.2.1",
        ),
        (
            "oidc-grant-of-a-user",
            "The token was got with a user's password.",
            {"sub": "user-7", "gty": "password"},
            "not_app_only",
            "Auth0: access token claims",
        ),
    ):
        yield Case("kind", name, attacks, oidc(**claims).token(), reason, reference, "globex")
