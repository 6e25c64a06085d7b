"""Auth0: machine-to-machine tokens of both of its token profiles."""

from __future__ import annotations

import pytest

from tenantgate.core.decision import DenialReason as R
from tests.core.profiles.made import Made, principal_of

CLIENT = "nVGk0pAqu3cN1ghtlySync"
AUTH0 = Made(
    profile="auth0",
    iss="https://login.acme.example/",
    client_id=CLIENT,
    claims={
        "sub": f"{CLIENT}@clients",
        "azp": CLIENT,
        "gty": "client-credentials",
        "scope": "orders:read",
        "permissions": ["Orders.Read"],
    },
)
RFC9068 = {"azp": ..., "gty": ..., "client_id": CLIENT, "jti": "opaque"}


def test_both_token_profiles_come_in():
    """Auth0's own names the grant; the other has `client_id`, `jti` and a type in the header."""
    assert principal_of(AUTH0.ask(AUTH0.token())).client_id == CLIENT
    assert principal_of(AUTH0.ask(AUTH0.token({"typ": "at+jwt"}, **RFC9068))).client_id == CLIENT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": "auth0|5f7c8ec7c33c6c004bbafe82", "gty": ...}, R.NOT_APP_ONLY),
        ({"sub": "auth0|5f7c8ec7c33c6c004bbafe82"}, R.NOT_APP_ONLY),
        ({"gty": ...}, R.NOT_APP_ONLY),
        ({"gty": "password"}, R.NOT_APP_ONLY),
        ({"gty": ["client-credentials"]}, R.NOT_APP_ONLY),
        ({"gty": None}, R.NOT_APP_ONLY),
        ({"sub": CLIENT}, R.NOT_APP_ONLY),
        ({"sub": "other@clients"}, R.NOT_APP_ONLY),
        ({"sub": ...}, R.CLAIM_MISSING),
        ({"azp": ...}, R.CLAIM_MISSING),
        ({"client_id": "other"}, R.CLAIM_MALFORMED),
        ({"azp": "other", "sub": "other@clients"}, R.DAEMON_NOT_LISTED),
        ({"azp": CLIENT.lower(), "sub": f"{CLIENT.lower()}@clients"}, R.DAEMON_NOT_LISTED),
        ({"scope": ["orders:read"]}, R.CLAIM_MALFORMED),
        ({"permissions": [{"name": "Orders.Read"}]}, R.CLAIM_MALFORMED),
        ({"nonce": "opaque"}, R.ID_TOKEN_PRESENTED),
        ({"aud": f"{AUTH0.iss}userinfo"}, R.AUDIENCE_MISMATCH),
        ({"iss": AUTH0.iss.rstrip("/")}, R.ISSUER_UNKNOWN),
    ],
)
def test_one_spoiled_claim(changes: dict[str, object], reason: R):
    """Users, other grants, other clients, and an `iss` without its slash."""
    assert AUTH0.reason(**changes) is reason


@pytest.mark.parametrize("changes", [{"sub": "auth0|5f7c8ec7c33c6c004bbafe82"}, {"gty": "password"}, {"sub": CLIENT}])
def test_the_other_token_profile_is_held_to_the_same(changes: dict[str, object]):
    """A grant that is named there must be client credentials too."""
    assert AUTH0.reason({"typ": "at+jwt"}, **{**RFC9068, **changes}) is R.NOT_APP_ONLY


def test_a_pin_does_not_outweigh_the_form():
    """Auth0 always says whose token it is."""
    user = "auth0|5f7c8ec7c33c6c004bbafe82"
    decision = AUTH0.ask(AUTH0.token(sub=user), daemon={"subject": user})

    assert getattr(decision, "reason", None) is R.NOT_APP_ONLY


def test_permissions_are_the_roles_it_tells():
    """With RBAC on, Auth0 lists what was granted; scopes are what was asked for."""
    assert AUTH0.roles()
    assert not AUTH0.roles(permissions=..., scope="Orders.Read")
