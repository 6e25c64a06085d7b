"""Keycloak: a service account's access token, told from a user's, and roles of the realm or of a client."""

from __future__ import annotations

import pytest

from tenantgate.core.decision import DenialReason as R
from tests.core.profiles.made import Made, principal_of, reason_of

KEYCLOAK = Made(
    profile="keycloak",
    iss="https://id.acme.example/realms/b2b",
    client_id="Nightly-Sync",
    claims={
        "jti": "trrtcc:eeeeeeee-0000-4000-8000-000000000005",
        "aud": ["api://orders.example", "account"],
        "sub": "ffffffff-0000-4000-8000-000000000006",
        "typ": "Bearer",
        "azp": "Nightly-Sync",
        "acr": "1",
        "allowed-origins": ["/*"],
        "realm_access": {"roles": ["offline_access", "uma_authorization", "default-roles-b2b", "Orders.Read"]},
        "resource_access": {"orders.api/v1": {"roles": ["Orders.Read"]}, "Nightly-Sync": {"roles": ["uma_protection"]}},
        "scope": "profile email",
        "email_verified": False,
        "clientHost": "192.0.2.7",
        "clientAddress": "192.0.2.7",
        "client_id": "Nightly-Sync",
        "preferred_username": "service-account-nightly-sync",
    },
)


def test_a_service_account_comes_in():
    """Its user name is in small letters, whatever the client id is."""
    principal = principal_of(KEYCLOAK.ask(KEYCLOAK.token()))

    assert principal.client_id == "Nightly-Sync"
    assert principal.oid == "ffffffff-0000-4000-8000-000000000006"


@pytest.mark.parametrize(
    "changes",
    [{"client_id": ...}, {"email": "service-account-nightly-sync@placeholder.org"}, {"aud": "api://orders.example"}],
)
def test_what_differs_between_versions_is_taken(changes: dict[str, object]):
    """`client_id` needs a scope of its own, older versions give the account an address, `aud` may be a string."""
    assert KEYCLOAK.reason(**changes) is None


def test_the_header_may_say_at_jwt():
    """A switch of the client since version 26.2."""
    assert KEYCLOAK.reason({"typ": "at+jwt"}) is None


@pytest.mark.parametrize("typ", ["ID", "Refresh", "Offline", "Logout", "DPoP", "bearer", "", 7, True])
def test_only_a_bearer_token_is_an_access_token(typ: object):
    """The payload's own `typ` tells the kinds apart; the header calls most of them JWT."""
    assert KEYCLOAK.reason(typ=typ) is R.TOKEN_TYPE_NOT_ALLOWED


def test_the_kind_must_be_said():
    """A token without the payload's `typ` is none of Keycloak's access tokens."""
    assert KEYCLOAK.reason(typ=...) is R.CLAIM_MISSING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"preferred_username": "a-user"}, R.NOT_APP_ONLY),
        ({"preferred_username": "service-account-other"}, R.NOT_APP_ONLY),
        ({"preferred_username": "service-account-Nightly-Sync"}, R.NOT_APP_ONLY),
        ({"preferred_username": ["service-account-nightly-sync"]}, R.NOT_APP_ONLY),
        ({"preferred_username": ...}, R.NOT_APP_ONLY),
        ({"sid": "opaque"}, R.NOT_APP_ONLY),
        ({"session_state": "opaque"}, R.NOT_APP_ONLY),
        ({"auth_time": 1_800_000_000}, R.NOT_APP_ONLY),
        ({"given_name": "x"}, R.NOT_APP_ONLY),
        ({"azp": ...}, None),
        ({"azp": ..., "client_id": ...}, R.CLAIM_MISSING),
        ({"client_id": "other"}, R.CLAIM_MALFORMED),
        ({"azp": "other", "client_id": ..., "preferred_username": "service-account-other"}, R.DAEMON_NOT_LISTED),
        ({"aud": "account"}, R.AUDIENCE_MISMATCH),
        ({"aud": ...}, R.CLAIM_MISSING),
        ({"scope": ["profile"]}, R.CLAIM_MALFORMED),
        ({"cnf": {"x5t#S256": "opaque"}}, R.CONFIRMATION_UNSUPPORTED),
        ({"iss": "https://id.acme.example/realms/other"}, R.ISSUER_UNKNOWN),
        ({"iss": "https://id.acme.example/auth/realms/b2b"}, R.ISSUER_UNKNOWN),
    ],
)
def test_one_spoiled_claim(changes: dict[str, object], reason: R | None):
    """A user through the listed client, another client, another realm, another audience."""
    assert KEYCLOAK.reason(**changes) is reason


def test_a_users_token_is_explained():
    """The trace says which profile asked, what the token tells, and of the marks of a user the names alone."""
    step = KEYCLOAK.explain(KEYCLOAK.token(preferred_username="a-user", sid="opaque", given_name="Some")).steps[-1]

    assert (step.name, step.expected) == ("app-only", "an app's own access token (profile keycloak)")
    assert step.received == (
        "sub ffffffff-0000-4000-8000-000000000006, typ Bearer, preferred_username of a user, azp Nightly-Sync, "
        "with given_name, with sid"
    )


def test_a_pin_decides_where_the_user_name_is_left_out():
    """A client without the scope `profile` is let in by its `sub`; a user's name is not outweighed by a pin."""
    pinned = {"daemon": {"subject": "ffffffff-0000-4000-8000-000000000006"}}

    assert reason_of(KEYCLOAK.ask(KEYCLOAK.token(preferred_username=...), **pinned)) is None
    assert reason_of(KEYCLOAK.ask(KEYCLOAK.token(preferred_username="a-user"), **pinned)) is R.NOT_APP_ONLY


def test_roles_of_the_realm_count_and_those_everybody_has_do_not():
    """Defaults and the mark of authorization services are nobody's roles, even where a resource would ask for them."""
    assert KEYCLOAK.roles()
    assert not KEYCLOAK.roles(realm_access={"roles": ["offline_access", "default-roles-b2b"]})
    assert not KEYCLOAK.roles(realm_access=...)
    assert not KEYCLOAK.roles(realm_access=["Orders.Read"])


def test_roles_of_a_client_are_named_by_a_pointer():
    """A client's name may hold dots and slashes: `~1` stands for a slash."""
    assert KEYCLOAK.roles({"roles_claim": "/resource_access/orders.api~1v1/roles"}, realm_access=...)
    assert not KEYCLOAK.roles({"roles_claim": "/resource_access/Nightly-Sync/roles"})


@pytest.mark.parametrize("role", ["offline_access", "uma_authorization", "default-roles-b2b", "uma_protection"])
def test_ignored_roles_reach_nobody(role: str):
    """They are left out of the verified claims, so that no rule can go by them."""
    reader = KEYCLOAK.index().issuers["made"].oidc
    assert reader is not None
    claims = {**KEYCLOAK.claims, "iat": 1, "exp": 2, "realm_access": {"roles": [role, "Orders.Read"]}}

    assert reader.read(claims).roles == ("Orders.Read",)
