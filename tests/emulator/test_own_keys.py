"""A resource with signing keys of its own: which documents list them, and which tokens they sign."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tenantgate.emulator.authority import Authority
from tests.emulator.world import AUTHORITY, CLIENT, LEGACY, ORDERS, SECRET, TID, UNKNOWN_TID, segments, verified

BILLING = "aaaaaaaa-0000-4000-8000-0000000000bb"
KEYS = {"v2": "/common/discovery/v2.0/keys", "v1": "/common/discovery/keys"}


def own_keys(client: TestClient, resource: str = "api://orders", **more: Any) -> list[str]:
    """Give a resource a key of its own by the control surface; return the kids it has then."""
    answer = client.post("/_emulator/rotate", json={"resource": resource, **more}).json()
    return list(answer["own_keys"][ORDERS if resource == "api://orders" else resource])


def kids(client: TestClient, path: str = KEYS["v2"], **query: str) -> list[str]:
    """The kids a document lists."""
    return [key["kid"] for key in client.get(path, params=query).json()["keys"]]


def signer_of(token: str) -> str:
    """The kid a token names."""
    return str(segments(token)[0]["kid"])


@pytest.mark.parametrize("path", KEYS.values())
def test_only_documents_with_the_appid_list_an_own_key(client: TestClient, path: str) -> None:
    """Asked with the resource's client id, in any case, its key stands beside the shared ones; nowhere else."""
    shared = kids(client)
    own = own_keys(client)

    assert len(own) == 1
    for spelled in (ORDERS, ORDERS.upper()):
        assert kids(client, path, appid=spelled) == shared + own
    assert kids(client, path) == shared
    for other in (LEGACY, BILLING, "", "api://orders"):
        assert kids(client, path, appid=other) == shared


def test_metadata_leads_to_the_document_that_lists_it(client: TestClient) -> None:
    """`jwks_uri` carries the same query as the metadata was asked with."""
    own = own_keys(client)
    metadata = client.get("/common/v2.0/.well-known/openid-configuration", params={"appid": ORDERS}).json()

    assert metadata["jwks_uri"] == f"{AUTHORITY}{KEYS['v2']}?appid={ORDERS}"
    assert own[0] in [key["kid"] for key in client.get(metadata["jwks_uri"]).json()["keys"]]


def test_an_own_key_names_its_issuer_like_any_other(client: TestClient) -> None:
    """In v2 documents it has the template, in a tenant's own the tenant; in v1 documents it names none."""
    [own] = own_keys(client)

    def issuer(path: str) -> str | None:
        return next(key for key in client.get(path, params={"appid": ORDERS}).json()["keys"] if key["kid"] == own).get(
            "issuer"
        )

    assert issuer(KEYS["v2"]) == f"{AUTHORITY}/{{tenantid}}/v2.0"
    assert issuer(f"/{TID}/discovery/v2.0/keys") == f"{AUTHORITY}/{TID}/v2.0"
    assert issuer(KEYS["v1"]) is None


def test_it_signs_the_tokens_of_its_resource_alone(client: TestClient, authority: Authority) -> None:
    """Issued or minted, the resource's tokens are signed with its own key; everybody else's with the shared one."""
    [shared] = kids(client)
    [own] = own_keys(client)
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
    issued = client.post(f"/{TID}/oauth2/v2.0/token", data={**form, "scope": "api://orders/.default"}).json()

    for token in (issued["access_token"], authority.mint(TID, CLIENT, "api://orders")):
        assert signer_of(token) == own
        assert verified(token, authority.jwks(appid=ORDERS))["aud"] == ORDERS
    for name in (LEGACY, "api://nobody"):
        assert signer_of(authority.mint(TID, CLIENT, name)) == shared


def test_hostile_tokens_start_from_a_good_one_of_the_resource(client: TestClient) -> None:
    """A spoiled token of such a resource names its own key, as its good ones do."""
    [own] = own_keys(client)
    body = {"tid": TID, "client_id": CLIENT, "audience": "api://orders"}

    assert signer_of(client.post("/_emulator/hostile/exp-past", json=body).json()["access_token"]) == own


def test_any_published_key_can_be_asked_to_sign(client: TestClient) -> None:
    """`mint` takes the kid of another application's key, for a token that only a mistaken gate lets in."""
    own_keys(client)
    [theirs] = own_keys(client, LEGACY)
    body = {"tid": TID, "client_id": CLIENT, "audience": "api://orders", "key": theirs}

    assert signer_of(client.post("/_emulator/mint", json=body).json()["access_token"]) == theirs


def test_rotation_of_an_own_key_leaves_the_shared_ones_alone(client: TestClient, authority: Authority) -> None:
    """A new key of its own signs from now on; the old one is listed until a rotation retires it."""
    shared = kids(client)
    [first] = own_keys(client)
    assert own_keys(client)[0] == first
    second = own_keys(client)[-1]
    assert signer_of(authority.mint(TID, CLIENT, "api://orders")) == second
    last = own_keys(client, retire=True)

    assert len(last) == 1
    assert kids(client, appid=ORDERS) == shared + last
    assert client.get("/_emulator/state").json()["own_keys"] == {ORDERS: last}
    client.post("/_emulator/rotate", json={"retire": True})
    assert signer_of(authority.mint(TID, CLIENT, "api://orders")) == last[0]


def test_a_resource_is_added_with_a_key_of_its_own(client: TestClient) -> None:
    """`own_keys` in a resource's description gives it one from the start."""
    body = {"client_id": BILLING.upper(), "app_id_uris": ["api://billing"], "own_keys": True}
    assert client.post("/_emulator/resources", json=body).status_code == 201
    state = client.get("/_emulator/state").json()

    assert kids(client, appid=BILLING)[-1:] == state["own_keys"][BILLING]
    assert state["signing_kid"] not in state["own_keys"][BILLING]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"resource": "api://nobody"}, 404), ({"resource": "api://orders", "tid": TID}, 400), ({"resource": 1}, 400)],
)
def test_a_rotation_that_makes_no_sense_changes_nothing(client: TestClient, body: Any, status: int) -> None:
    """An unknown resource, or a key both a tenant's and a resource's, is an error."""
    before = client.get("/_emulator/state").json()

    assert client.post("/_emulator/rotate", json=body).status_code == status
    assert client.get("/_emulator/state").json() == before


def test_documents_are_counted_with_their_query(client: TestClient) -> None:
    """The shared document and an application's have one path; the state tells them apart."""
    client.get(KEYS["v2"])
    client.get(KEYS["v2"], params={"appid": ORDERS})
    client.get(KEYS["v2"], params={"appid": ORDERS})

    assert client.get("/_emulator/state").json()["requests"] == {KEYS["v2"]: 1, f"{KEYS['v2']}?appid={ORDERS}": 2}


def test_a_tenant_nobody_added_has_no_documents_with_an_appid_either(client: TestClient) -> None:
    """An appid does not open what is closed without one."""
    assert client.get(f"/{UNKNOWN_TID}/discovery/v2.0/keys", params={"appid": ORDERS}).status_code == 400
