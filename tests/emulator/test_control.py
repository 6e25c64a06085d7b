"""The control surface moves the authority: keys, off switch, counts, and who exists."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from tenantgate.emulator.app import create_app
from tenantgate.emulator.authority import Authority
from tests.emulator.world import (
    AUTHORITY,
    CLIENT,
    LEGACY,
    OID,
    ORDERS,
    OTHER_TID,
    SECRET,
    TID,
    UNKNOWN_TID,
    an_authority,
    segments,
    verified,
)

KEYS = "/common/discovery/v2.0/keys"
NEW_CLIENT = "cccccccc-0000-4000-8000-0000000000aa"


def kids(client: TestClient) -> list[str]:
    """The kids the shared v2 document lists."""
    return [key["kid"] for key in client.get(KEYS).json()["keys"]]


def test_rotation_publishes_and_signs_with_a_new_key(client: TestClient, authority: Authority) -> None:
    """After a rotation a new key signs, the old one stays published, and old tokens still verify."""
    [before] = kids(client)
    old_token = authority.mint(TID, CLIENT, "api://orders")

    answer = client.post("/_emulator/rotate").json()

    assert kids(client) == [before, answer["signing_kid"]]
    assert answer["keys"] == [{"kid": kid, "only_tid": None} for kid in kids(client)]
    assert segments(authority.mint(TID, CLIENT, "api://orders"))[0]["kid"] == answer["signing_kid"] != before
    verified(old_token, authority.jwks())


def test_rotation_can_retire_the_old_keys(client: TestClient) -> None:
    """With `retire`, only the new key is published."""
    [before] = kids(client)
    client.post("/_emulator/rotate")

    answer = client.post("/_emulator/rotate", json={"retire": True}).json()

    assert kids(client) == [answer["signing_kid"]]
    assert before not in kids(client)


def test_a_key_can_be_published_for_one_tenant(client: TestClient) -> None:
    """With `tid`, a key bound to that tenant is published and does not become the one that signs."""
    [before] = kids(client)

    answer = client.post("/_emulator/rotate", json={"tid": OTHER_TID}).json()

    assert answer["signing_kid"] == before
    assert [key["only_tid"] for key in answer["keys"]] == [None, OTHER_TID]


def test_documents_can_leave_keys_out(client: TestClient, authority: Authority) -> None:
    """Hidden keys are in no document and sign on, until they are listed again; a key that is not there is refused."""
    [first] = kids(client)
    second = client.post("/_emulator/rotate").json()["signing_kid"]

    answer = client.post("/_emulator/hide", json={"kids": [second]}).json()
    assert kids(client) == answer["listed"] == [first]
    assert [key["kid"] for key in answer["keys"]] == [first, second]
    assert segments(authority.mint(TID, CLIENT, "api://orders"))[0]["kid"] == second
    assert segments(authority.mint(TID, CLIENT, "api://orders", key=second))[0]["kid"] == second

    refused = client.post("/_emulator/hide", json={"kids": [first, "nobody"]})
    assert (refused.status_code, refused.json()["error"]) == (404, "name_unknown")
    assert kids(client) == [first]
    assert client.post("/_emulator/hide").json()["listed"] == kids(client) == [first, second]


def test_off_answers_503_and_on_serves_again(client: TestClient) -> None:
    """While it is off, every path of Entra's answers 503; the control surface stays."""
    assert client.post("/_emulator/off").json() == {"mode": "503"}
    for method, path in (("GET", KEYS), ("POST", f"/{TID}/oauth2/v2.0/token"), ("GET", "/nowhere")):
        answer = client.request(method, path)
        assert answer.status_code == 503
        assert answer.headers["content-type"].startswith("text/plain")

    assert client.post("/_emulator/on").json() == {"mode": "on"}
    assert client.get(KEYS).status_code == 200


def test_an_in_process_app_cannot_hang_up(client: TestClient) -> None:
    """Without a server that can close connections, mode drop is refused and the authority stays on."""
    answer = client.post("/_emulator/off", json={"mode": "drop"})

    assert answer.status_code == 400
    assert answer.json()["error"] == "config_invalid"
    assert client.get(KEYS).status_code == 200


async def test_a_server_that_can_hang_up_is_asked_to(authority: Authority) -> None:
    """In mode drop the app hands the request to the server's hang-up, waits for the end, and answers nothing."""
    dropped: list[str] = []
    sent: list[Any] = []
    app = create_app(authority, drop=lambda scope: dropped.append(scope["path"]))
    await ask(app, sent, "POST", "/_emulator/off", b'{"mode": "drop"}')
    sent.clear()

    await ask(app, sent, "GET", KEYS)

    assert dropped == [KEYS]
    assert sent == []


async def ask(app: ASGIApp, sent: list[Any], method: str, path: str, body: bytes = b"") -> None:
    """Make one ASGI call; the caller hangs up once its request is read."""
    arriving = iter([{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(arriving)

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [], "client": None}
    await app(scope, receive, send)


def test_the_state_counts_what_the_authority_saw(client: TestClient) -> None:
    """Each request at Entra's paths counts, on or off; asking the control surface does not."""
    client.get(KEYS)
    client.post("/_emulator/off")
    client.get(KEYS)
    client.get("/common/discovery/keys")

    state = client.get("/_emulator/state").json()

    assert state["requests"] == {KEYS: 2, "/common/discovery/keys": 1}
    assert state["requests_total"] == 3
    assert state["mode"] == "503"


def test_the_state_names_everybody_and_shows_no_secret(client: TestClient, authority: Authority) -> None:
    """Tenants, daemons, resources and keys are listed by name only."""
    answer = client.get("/_emulator/state")
    state = answer.json()

    assert state["authority"] == AUTHORITY
    assert state["resources"] == [ORDERS, LEGACY]
    assert [tenant["tid"] for tenant in state["tenants"]] == [TID, OTHER_TID]
    assert CLIENT in state["tenants"][0]["daemons"]
    assert state["signing_kid"] == authority.keys.signing().kid
    assert "not a secret" not in answer.text


def test_tenants_daemons_and_resources_are_added_at_run_time(client: TestClient) -> None:
    """What was added over HTTP is served at once."""
    billing = "aaaaaaaa-0000-4000-8000-0000000000bb"
    daemon = {"client_id": NEW_CLIENT, "client_secret": SECRET, "oid": OID, "roles": {"api://billing": ["Bills.Read"]}}

    assert client.post("/_emulator/resources", json={"client_id": billing, "app_id_uris": ["api://billing"]}).is_success
    assert client.post("/_emulator/tenants", json={"tid": UNKNOWN_TID, "name": "northwind"}).status_code == 201
    assert client.post("/_emulator/daemons", json={"tid": UNKNOWN_TID, **daemon}).status_code == 201

    form = {"grant_type": "client_credentials", "client_id": NEW_CLIENT, "client_secret": SECRET}
    answer = client.post(f"/{UNKNOWN_TID}/oauth2/v2.0/token", data={**form, "scope": "api://billing/.default"})
    claims = segments(answer.json()["access_token"])[1]
    assert claims["roles"] == ["Bills.Read"]
    assert claims["aud"] == billing


A_DAEMON: dict[str, Any] = {"tid": TID, "client_id": NEW_CLIENT, "client_secret": SECRET, "oid": OID}


@pytest.mark.parametrize(
    ("what", "body", "status"),
    [
        pytest.param("tenants", {"tid": TID, "name": "again"}, 409, id="tenant twice"),
        pytest.param("tenants", {"tid": "contoso", "name": "x"}, 400, id="tid not a GUID"),
        pytest.param("tenants", {"tid": TID.replace("-", ""), "name": "x"}, 400, id="tid without hyphens"),
        pytest.param("tenants", {"tid": UNKNOWN_TID}, 400, id="no name"),
        pytest.param("daemons", {**A_DAEMON, "client_id": CLIENT}, 409, id="daemon twice"),
        pytest.param("daemons", {**A_DAEMON, "tid": UNKNOWN_TID}, 404, id="daemon of an unknown tenant"),
        pytest.param("daemons", {**A_DAEMON, "oid": None}, 400, id="no oid"),
        pytest.param("daemons", {**A_DAEMON, "client_secret": ""}, 400, id="empty secret"),
        pytest.param("daemons", {**A_DAEMON, "public_key": "-----"}, 400, id="no PEM"),
        pytest.param("daemons", {**A_DAEMON, "public_key": "-----BEGIN CERTIFICATE-----"}, 400, id="no certificate"),
        pytest.param("daemons", {**A_DAEMON, "roles": {"api://unknown": []}}, 404, id="role on an unknown resource"),
        pytest.param("daemons", {**A_DAEMON, "role": {}}, 400, id="misspelt member"),
        pytest.param("resources", {"client_id": ORDERS}, 409, id="resource twice"),
        pytest.param("resources", {"client_id": NEW_CLIENT, "app_id_uris": ["api://orders/"]}, 409, id="URI taken"),
        pytest.param("resources", {"client_id": NEW_CLIENT, "app_id_uris": ["/"]}, 400, id="empty URI"),
        pytest.param("resources", {"client_id": NEW_CLIENT, "token_version": 3}, 400, id="token version"),
        pytest.param("resources", [], 400, id="not an object"),
    ],
)
def test_what_cannot_be_added_changes_nothing(client: TestClient, what: str, body: Any, status: int) -> None:
    """A request that cannot be carried out is an error, and the state is as before."""
    before = client.get("/_emulator/state").json()

    answer = client.post(f"/_emulator/{what}", json=body)

    assert answer.status_code == status
    assert answer.json()["message"]
    assert client.get("/_emulator/state").json() == before


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(rsa.generate_private_key(65537, 1024), id="short RSA key"),
        pytest.param(ec.generate_private_key(ec.SECP256R1()), id="no RSA key"),
    ],
)
def test_a_daemons_public_key_must_be_a_sound_rsa_key(client: TestClient, key: Any) -> None:
    """A key too short or of another kind is refused when the daemon is added, not when it asks for a token."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()

    answer = client.post("/_emulator/daemons", json={**A_DAEMON, "public_key": pem})

    assert answer.status_code == 400
    assert answer.json()["message"] == "public_key is not an RSA key of 2048 bits or more"


def test_a_tenant_with_one_bad_daemon_is_not_added_in_part(client: TestClient) -> None:
    """Tenant and daemons are added together or not at all."""
    good = {"client_id": NEW_CLIENT, "oid": OID}
    body = {"tid": UNKNOWN_TID, "name": "northwind", "daemons": [good, {**good, "oid": "nobody"}]}

    assert client.post("/_emulator/tenants", json=body).status_code == 400
    assert UNKNOWN_TID not in client.get("/_emulator/state").text


@pytest.mark.parametrize("path", ["rotate", "off", "mint", "tenants", "daemons", "resources"])
@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"null", b'{"unheard": 1}', b"x" * 10])
def test_a_body_that_is_not_what_was_asked_for_is_an_error(client: TestClient, path: str, body: bytes) -> None:
    """Whatever the bytes, the answer is a 400 with a stable code."""
    answer = client.post(f"/_emulator/{path}", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"] == "config_invalid"


def test_a_huge_control_body_is_not_read() -> None:
    """The control surface holds no more than any honest request has."""
    with TestClient(create_app(an_authority())) as client:
        answer = client.post("/_emulator/mint", content=b"x" * 300_000)

    assert answer.status_code == 413
    assert answer.json()["error"] == "body_too_large"
