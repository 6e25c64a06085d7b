"""RFC 9068 to the letter: the type in the header, and every claim of §2.2."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.oidc import OidcReader
from tenantgate.core.policy import IssuerRow, PolicyError
from tests.core.profiles.made import Made

RFC9068 = Made(
    profile="rfc9068",
    iss="https://as.acme.example",
    client_id="sync",
    claims={"sub": "sync", "client_id": "sync", "jti": "opaque", "scope": "orders.read", "roles": ["Orders.Read"]},
    header={"typ": "at+jwt"},
)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"])
def test_an_access_token_says_that_it_is_one(typ: str):
    """§4: a media type, in any case, with or without `application/`."""
    assert RFC9068.reason({"typ": typ}) is None


@pytest.mark.parametrize("typ", [..., "JWT", "jwt", "at-jwt", "application/jwt", "logout+jwt"])
def test_any_other_type_and_none_is_refused(typ: str):
    """§4: no exception for a token without a type, as other profiles make."""
    assert RFC9068.reason({"typ": typ}) is R.TOKEN_TYPE_NOT_ALLOWED


def test_a_missing_type_is_explained():
    """The trace does not say that `typ` may be absent."""
    step = RFC9068.explain(RFC9068.token({"typ": ...})).steps[-1]

    assert (step.name, step.expected, step.received) == ("type", "typ one of at+jwt", "no typ")


def test_a_row_cannot_widen_it():
    """What the row lists beside `at+jwt` is not taken, even where nobody has checked the row."""
    row = IssuerRow(id="made", kind="oidc", issuer=RFC9068.iss, profile="rfc9068", token_types=("JWT", "at+jwt"))

    assert OidcReader(row).token_types == ("at+jwt",)
    with pytest.raises(PolicyError):
        OidcReader(replace(row, token_types=("JWT",)))


@pytest.mark.parametrize("claim", ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"])
def test_every_claim_of_the_rfc_is_needed(claim: str):
    """§2.2 lists seven."""
    assert RFC9068.reason(**{claim: ...}) is R.CLAIM_MISSING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"azp": "sync"}, None),
        ({"azp": "other"}, R.CLAIM_MALFORMED),
        ({"client_id": ..., "azp": "sync"}, R.CLAIM_MISSING),
        ({"scope": ["orders.read"]}, R.CLAIM_MALFORMED),
        ({"scope": ...}, None),
        ({"jti": 7}, R.CLAIM_MALFORMED),
        ({"sub": "a-user"}, R.NOT_APP_ONLY),
        ({"sub": "sync@clients"}, R.NOT_APP_ONLY),
        ({"auth_time": 1_800_000_000}, R.NOT_APP_ONLY),
        ({"amr": ["pwd"]}, R.NOT_APP_ONLY),
    ],
)
def test_what_the_rfc_settles(changes: dict[str, object], reason: R | None):
    """The client is `client_id` alone, scopes are one string, and without a user `sub` is the client."""
    assert RFC9068.reason(**changes) is reason


def test_roles_are_those_of_the_rfc():
    """§2.2.3.1 names `roles`."""
    assert RFC9068.roles()
    assert not RFC9068.roles(roles=["Orders.Write"])
