"""Amazon Cognito: access tokens without `aud`, whose scopes say which API they are for."""

from __future__ import annotations

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.profiles.cognito import without_aud
from tests.core.profiles.made import AUDIENCE, Made, principal_of

COGNITO = Made(
    profile="cognito",
    iss="https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example01",
    client_id="1nightlysync0000000000000",
    claims={
        "aud": ...,
        "sub": "1nightlysync0000000000000",
        "token_use": "access",
        "scope": f"{AUDIENCE}/Orders.Read {AUDIENCE}/Orders.List",
        "auth_time": 1_800_000_000,
        "version": 2,
        "jti": "eeeeeeee-0000-4000-8000-000000000005",
        "client_id": "1nightlysync0000000000000",
    },
    header={},
)


def test_an_app_client_comes_in_without_an_audience():
    """Its scopes are of the resource server that the resource lists as its audience."""
    assert principal_of(COGNITO.ask(COGNITO.token(aud=...))).client_id == "1nightlysync0000000000000"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scope": "api://billing.example/Read"}, R.AUDIENCE_MISMATCH),
        ({"scope": f"{AUDIENCE}.evil/Read"}, R.AUDIENCE_MISMATCH),
        ({"scope": f"{AUDIENCE}/v2/Read"}, R.AUDIENCE_MISMATCH),
        ({"scope": AUDIENCE}, R.AUDIENCE_MISMATCH),
        ({"scope": "openid profile"}, R.CLAIM_MISSING),
        ({"scope": ""}, R.CLAIM_MISSING),
        ({"scope": ...}, R.CLAIM_MISSING),
        ({"scope": [f"{AUDIENCE}/Read"]}, R.CLAIM_MALFORMED),
        ({"scope": " ".join(f"s{n}/x" for n in range(65))}, R.CLAIM_MALFORMED),
        ({"token_use": "id"}, R.ID_TOKEN_PRESENTED),
        ({"token_use": ...}, R.CLAIM_MISSING),
        ({"username": "somebody", "sub": "a-user"}, R.NOT_APP_ONLY),
        ({"username": "somebody"}, R.NOT_APP_ONLY),
        ({"cognito:groups": ["admins"]}, R.NOT_APP_ONLY),
        ({"sub": "a-user"}, R.NOT_APP_ONLY),
        ({"client_id": ...}, R.CLAIM_MISSING),
        ({"client_id": "other", "sub": "other"}, R.DAEMON_NOT_LISTED),
        ({"aud": "api://billing.example"}, R.AUDIENCE_MISMATCH),
        ({"aud": None}, R.CLAIM_MISSING),
        ({"aud": []}, R.CLAIM_MALFORMED),
    ],
)
def test_one_spoiled_claim(changes: dict[str, object], reason: R):
    """Other resource servers, ID tokens, users, other clients; an `aud` that is there is what counts."""
    assert COGNITO.reason(**{"aud": ..., **changes}) is reason


def test_an_audience_that_is_there_counts():
    """With resource binding Cognito writes `aud`."""
    assert COGNITO.reason(aud=AUDIENCE, scope=...) is None


def test_audiences_are_the_identifiers_before_the_last_slash():
    """An identifier may itself be an address; each stands once."""
    scope = "https://orders.example/v1/read https://orders.example/v1/write orders/read openid /x"

    assert without_aud({"scope": scope}) == ("https://orders.example/v1", "orders")


def test_scopes_are_the_roles_it_tells():
    """Whole, with their resource server."""
    reader = COGNITO.index().issuers["made"].oidc
    assert reader is not None

    claims = reader.read({**COGNITO.claims, "aud": AUDIENCE, "iat": 1, "exp": 2})

    assert claims.roles == (f"{AUDIENCE}/Orders.Read", f"{AUDIENCE}/Orders.List")
