"""Okta: a service app's token from a custom authorization server."""

from __future__ import annotations

import pytest

from tenantgate.core.decision import DenialReason as R
from tests.core.profiles.made import Made, principal_of

OKTA = Made(
    profile="okta",
    iss="https://login.acme.example/oauth2/default",
    client_id="0oa1nightlysync",
    claims={
        "ver": 1,
        "jti": "AT.opaque",
        "cid": "0oa1nightlysync",
        "scp": ["Orders.Read", "orders"],
        "auth_time": 1_800_000_000,
        "sub": "0oa1nightlysync",
    },
    header={},
)


def test_a_service_app_comes_in():
    """`cid` names it, `scp` is a list, and `auth_time` is there though nobody signed in."""
    assert principal_of(OKTA.ask(OKTA.token())).client_id == "0oa1nightlysync"
    assert OKTA.reason(scp=..., auth_time=...) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": "somebody@acme.example", "uid": "00u1somebody"}, R.NOT_APP_ONLY),
        ({"sub": "somebody@acme.example"}, R.NOT_APP_ONLY),
        ({"uid": "00u1somebody"}, R.NOT_APP_ONLY),
        ({"sub": "0oa1nightlysync@clients"}, R.NOT_APP_ONLY),
        ({"groups": ["Everyone"], "email": "somebody@acme.example"}, R.NOT_APP_ONLY),
        ({"amr": ["pwd"]}, R.NOT_APP_ONLY),
        ({"cid": ...}, R.CLAIM_MISSING),
        ({"cid": ..., "client_id": "0oa1nightlysync"}, R.CLAIM_MISSING),
        ({"cid": ["0oa1nightlysync"]}, R.CLAIM_MALFORMED),
        ({"cid": "0oa1other", "sub": "0oa1other"}, R.DAEMON_NOT_LISTED),
        ({"scp": "Orders.Read orders"}, R.CLAIM_MALFORMED),
        ({"scp": [7]}, R.CLAIM_MALFORMED),
        ({"ver": ...}, R.CLAIM_MISSING),
        ({"ver": 2}, R.CLAIM_MALFORMED),
        ({"ver": "1"}, R.CLAIM_MALFORMED),
        ({"ver": True}, R.CLAIM_MALFORMED),
        ({"ver": 1.5}, R.CLAIM_MALFORMED),
        ({"aud": "api://default"}, R.AUDIENCE_MISMATCH),
        ({"iss": "https://login.acme.example"}, R.ISSUER_UNKNOWN),
    ],
)
def test_one_spoiled_claim(changes: dict[str, object], reason: R):
    """Users, ID tokens (no `cid`), another app, the organisation's own server, other versions."""
    assert OKTA.reason(**changes) is reason


def test_an_id_token_of_okta_is_no_access_token():
    """It has no `cid`, and the app's id as audience."""
    assert OKTA.reason(cid=..., scp=..., jti="ID.opaque", idp="00o1", amr=["pwd"]) is R.CLAIM_MISSING


def test_a_token_of_the_organisations_own_server_is_refused():
    """Those have a `typ` of their own, and are for Okta alone."""
    assert OKTA.reason({"typ": "application/okta-internal-at+jwt"}) is R.TOKEN_TYPE_NOT_ALLOWED


def test_a_pin_does_not_outweigh_the_form():
    """Okta always says whose token it is: a pinned user is still a user."""
    decision = OKTA.ask(OKTA.token(sub="somebody"), daemon={"subject": "somebody"})

    assert getattr(decision, "reason", None) is R.NOT_APP_ONLY


def test_scopes_are_the_roles_it_tells():
    """A custom authorization server has no roles; its scopes are granted by its administrator."""
    assert OKTA.roles()
    assert not OKTA.roles(scp=["orders"])
    assert OKTA.roles({"roles_claim": "groups"}, scp=["orders"], groups=["Orders.Read"])
