"""The default profile: any OAuth server, told by the forms of client credentials that are about."""

from __future__ import annotations

import pytest

from tenantgate.core.decision import DenialReason as R
from tests.core.profiles.made import Made, principal_of, reason_of

STANDARD = Made(
    profile="standard",
    iss="https://id.acme.example",
    client_id="sync",
    claims={"sub": "sync", "client_id": "sync", "jti": "opaque", "scope": "orders"},
)


def test_is_what_an_issuer_has_without_a_word():
    """A row that names no profile is read by this one."""
    row = {"profile": ...}

    assert principal_of(STANDARD.ask(STANDARD.token(), row=row)).client_id == "sync"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": ..., "azp": "sync"},
        {"client_id": None, "azp": "sync"},
        {"azp": "sync"},
        {"sub": "sync@clients"},
        {"sub": "f1", "gty": "client-credentials"},
        {"typ": "Bearer"},
        {"scope": ["orders"]},
    ],
)
def test_forms_of_client_credentials(changes: dict[str, object]):
    """The names and forms of the common servers are taken without a setting."""
    assert STANDARD.reason(**changes) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": "a-user"}, R.NOT_APP_ONLY),
        ({"sub": "a-user", "preferred_username": "service-account-sync"}, R.NOT_APP_ONLY),
        ({"sid": "opaque"}, R.NOT_APP_ONLY),
        ({"auth_time": 1_800_000_000}, R.NOT_APP_ONLY),
        ({"azp": "other"}, R.CLAIM_MALFORMED),
        ({"azp": None}, R.CLAIM_MALFORMED),
        ({"client_id": ...}, R.CLAIM_MISSING),
        ({"client_id": "other", "sub": "other"}, R.DAEMON_NOT_LISTED),
        ({"typ": "ID"}, R.TOKEN_TYPE_NOT_ALLOWED),
        ({"token_use": "id"}, R.ID_TOKEN_PRESENTED),
    ],
)
def test_what_is_refused(changes: dict[str, object], reason: R):
    """Users, disagreeing clients and other kinds of token."""
    assert STANDARD.reason(**changes) is reason


def test_a_pinned_subject_decides_where_the_form_does_not():
    """A token that does not say what it is, is the daemon's where an operator has named its `sub`."""
    token = STANDARD.token(sub="f1c2")

    assert reason_of(STANDARD.ask(token, daemon={"subject": "f1c2"})) is None
    assert reason_of(STANDARD.ask(token, daemon={"subject": "f1c3"})) is R.OBJECT_ID_MISMATCH


def test_the_client_may_stand_elsewhere():
    """`client_id_claim` is a name or a pointer; nothing else is asked for the client then."""
    token = STANDARD.token(client_id=..., ext={"app.id": "sync"})

    assert reason_of(STANDARD.ask(token, row={"client_id_claim": "/ext/app.id"})) is None
    assert reason_of(STANDARD.ask(token, row={"client_id_claim": "/ext/app"})) is R.CLAIM_MISSING
    assert reason_of(STANDARD.ask(STANDARD.token(azp="x"), row={"client_id_claim": "client_id"})) is None


def test_roles_are_a_list_unless_the_row_names_the_claim():
    """`roles` must be a list; a claim that the operator names may be one string of scopes."""
    assert STANDARD.roles(roles=["Orders.Read"])
    assert not STANDARD.roles(roles="Orders.Read")
    assert not STANDARD.roles(scope="Orders.Read")
    assert STANDARD.roles({"roles_claim": "scope"}, scope="orders  Orders.Read")
    assert STANDARD.roles({"roles_claim": "/ext/groups"}, ext={"groups": ["Orders.Read"]})
    assert not STANDARD.roles({"roles_claim": "/ext/groups"}, ext={"groups": {"Orders.Read": True}})


def test_a_row_may_ask_for_pins():
    """With `subject_pin` a daemon of this issuer needs its subject, and a token another is refused."""
    pinned = {"row": {"subject_pin": True}, "daemon": {"subject": "sync"}}

    assert reason_of(STANDARD.ask(STANDARD.token(), **pinned)) is None
    assert reason_of(STANDARD.ask(STANDARD.token(sub="sync@clients"), **pinned)) is R.OBJECT_ID_MISMATCH
