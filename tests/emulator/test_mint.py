"""Minting makes any token a test needs, and only what was asked for differs from a sound one."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from starlette.testclient import TestClient

from tenantgate.emulator.authority import Authority
from tenantgate.emulator.errors import ConfigInvalid, NameUnknown
from tenantgate.emulator.keys import UNPUBLISHED
from tests.emulator.world import (
    AUTHORITY,
    CLIENT,
    LEGACY,
    NOW,
    ORDERS,
    OTHER_TID,
    ROLELESS,
    TID,
    UNKNOWN_TID,
    segments,
    verified,
)

OPAQUE = {"aio", "rh", "uti", "exp"}


def minted(client: TestClient, **changed: Any) -> str:
    """Mint over HTTP the token the daemon could have got, but for what is changed."""
    body = {"tid": TID, "client_id": CLIENT, "audience": "api://orders", **changed}
    answer = client.post("/_emulator/mint", json=body)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert isinstance(token, str)
    return token


def without_opaque(claims: dict[str, Any]) -> dict[str, Any]:
    """Claims without those that differ from token to token."""
    return {name: value for name, value in claims.items() if name not in OPAQUE}


def test_a_minted_token_is_the_one_the_endpoint_gives(client: TestClient, authority: Authority) -> None:
    """With nothing spoiled, minting and asking with a secret give the same claims."""
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": "not a secret: +&%~ü",
        "scope": "api://orders/.default",
    }
    asked_for = client.post(f"/{TID}/oauth2/v2.0/token", data=form).json()["access_token"]

    claims = verified(minted(client), authority.jwks())

    assert without_opaque(claims) == without_opaque(segments(asked_for)[1])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param(
            {"claims": {"tid": OTHER_TID}}, {"tid": OTHER_TID, "iss": f"{AUTHORITY}/{TID}/v2.0"}, id="tid≠iss"
        ),
        pytest.param({"claims": {"exp": "soon"}}, {"exp": "soon"}, id="exp not a number"),
        pytest.param({"claims": {"roles": None}}, {"roles": None}, id="null claim"),
        pytest.param({"claims": {"scp": "/"}}, {"scp": "/", "idtyp": "app"}, id="extra claim"),
        pytest.param(
            {"audience": "api://somebody-else"}, {"aud": "api://somebody-else", "idtyp": "app"}, id="wrong aud"
        ),
        pytest.param({"version": "1.0"}, {"ver": "1.0", "aud": "api://orders", "appid": CLIENT}, id="v1 of a v2 API"),
        pytest.param(
            {"version": "2.0", "audience": LEGACY}, {"ver": "2.0", "aud": LEGACY, "azp": CLIENT}, id="v2 of v1"
        ),
        pytest.param({"lifetime": 60}, {"exp": NOW + 60, "iat": NOW - 300}, id="short life"),
        pytest.param({"lifetime": -60}, {"exp": NOW - 60, "iat": NOW - 60 - 3600 - 300}, id="expired"),
        pytest.param({"lifetime": 86400.9}, {"exp": NOW + 86400}, id="long life"),
    ],
)
def test_what_was_asked_for_stands_in_the_token(
    client: TestClient, authority: Authority, changed: dict[str, Any], expected: dict[str, Any]
) -> None:
    """An override replaces a claim and leaves the rest, and the signature still holds."""
    token = minted(client, **changed)

    _, claims = segments(token)
    assert {name: claims[name] for name in expected} == expected
    jwt.PyJWS().decode(token, jwt.PyJWK(authority.jwks()["keys"][0], algorithm="RS256"), algorithms=["RS256"])


def test_claims_can_be_taken_away(client: TestClient) -> None:
    """`remove` takes claims out of the token, present or not."""
    _, claims = segments(minted(client, remove=["idtyp", "oid", "never-there"]))

    assert "idtyp" not in claims
    assert "oid" not in claims
    assert claims["azp"] == CLIENT


def test_an_unknown_audience_gets_no_roles(client: TestClient) -> None:
    """Roles are granted on a resource; a token for somebody else carries none."""
    assert "roles" not in segments(minted(client, audience="api://somebody-else"))[1]
    assert segments(minted(client))[1]["roles"] == ["Orders.Read"]


def test_header_members_are_replaced_and_taken_away(client: TestClient) -> None:
    """The header says what the test wants, `alg` too, while the signature stays RS256."""
    header, _ = segments(minted(client, header={"alg": "none", "kid": None, "crit": ["exp"], "typ": "at+jwt"}))

    assert header == {"typ": "at+jwt", "alg": "none", "crit": ["exp"]}


def test_a_forgery_names_a_published_key_and_does_not_verify(client: TestClient, authority: Authority) -> None:
    """Signed by a key nobody publishes under a published `kid`, a token has everything but a true signature."""
    kid = authority.keys.signing().kid
    forged = minted(client, key=UNPUBLISHED, header={"kid": kid})

    with pytest.raises(jwt.InvalidSignatureError):
        verified(forged, authority.jwks())


def test_an_unpublished_key_is_in_no_document(client: TestClient, authority: Authority) -> None:
    """The forging key is the same from token to token and is never published."""
    kids = {segments(minted(client, key=UNPUBLISHED))[0]["kid"] for _ in range(2)}

    assert len(kids) == 1
    assert not kids & {key["kid"] for key in authority.jwks()["keys"]}


def test_a_token_can_be_signed_by_any_published_key(client: TestClient, authority: Authority) -> None:
    """An old key, or one bound to another tenant, signs when it is named."""
    old = authority.keys.signing()
    authority.rotate()
    bound = authority.keys.publish_for(OTHER_TID)

    for key in (old, bound):
        token = minted(client, key=key.kid)
        assert segments(token)[0]["kid"] == key.kid
        verified(token, authority.jwks())


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        pytest.param({"tid": UNKNOWN_TID}, 404, "name_unknown", id="unknown tenant"),
        pytest.param({"tid": "contoso"}, 400, "config_invalid", id="tenant not a GUID"),
        pytest.param({"client_id": ORDERS}, 404, "name_unknown", id="unknown daemon"),
        pytest.param({"key": "no-such-kid"}, 404, "name_unknown", id="unknown key"),
        pytest.param({"version": "3.0"}, 400, "config_invalid", id="unknown version"),
        pytest.param({"lifetime": "1h"}, 400, "config_invalid", id="lifetime not a number"),
        pytest.param({"claim": {}}, 400, "config_invalid", id="misspelt member"),
        pytest.param({"audience": None}, 400, "config_invalid", id="no audience"),
    ],
)
def test_what_cannot_be_minted_is_refused(client: TestClient, changed: dict[str, Any], status: int, code: str) -> None:
    """A mint request that makes no sense is an error with a stable code, never some other token."""
    body = {"tid": TID, "client_id": CLIENT, "audience": "api://orders", **changed}
    answer = client.post("/_emulator/mint", json=body)

    assert answer.status_code == status
    assert answer.json()["error"] == code
    assert answer.json()["message"]


def test_the_python_api_mints_the_same(authority: Authority) -> None:
    """In-process callers get a token, or an exception of this room."""
    token = authority.mint(TID.upper(), ROLELESS.upper(), "api://orders", claims={"roles": ["Orders.Write"]})

    assert verified(token, authority.jwks())["roles"] == ["Orders.Write"]
    with pytest.raises(NameUnknown):
        authority.mint(UNKNOWN_TID, CLIENT, "api://orders")
    with pytest.raises(ConfigInvalid):
        authority.mint(TID, "nightly", "api://orders")
