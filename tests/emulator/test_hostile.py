"""Every hostile token the emulator mints is refused by a real gate, for the reason the list gives."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.testclient import TestClient

from tenantgate import Denied, Granted, RequestView, open_gate
from tenantgate.core.decision import DenialReason
from tenantgate.emulator.authority import Authority
from tenantgate.emulator.hostile.catalogue import RECIPES
from tenantgate.emulator.hostile.recipe import Recipe
from tenantgate.emulator.hostile.signing import pss
from tenantgate.gate.gate import Gate
from tests.emulator.program import running_emulator
from tests.emulator.world import CLIENT, CONFIG, ORDERS, OTHER_TID, TID, rsa_key
from tests.http import get, post_json

DAEMON = {"tid": TID, "client_id": CLIENT, "audience": "api://orders"}
every_recipe = pytest.mark.parametrize("recipe", [pytest.param(recipe, id=recipe.name) for recipe in RECIPES])


class World(NamedTuple):
    """A running emulator, and a gate that discovers its keys over HTTP."""

    authority: str
    gate: Gate

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask the control surface."""
        return post_json(f"{self.authority}/_emulator/{path}", body)

    def ask(self, token: str) -> Granted | Denied:
        """Present a token at the gate."""
        return self.gate.decide(
            RequestView("GET", "/orders", [(b"authorization", b"Bearer " + token.encode())]), ("Orders.Read",)
        )


def policy(authority: str) -> dict[str, Any]:
    """Return a policy that lets the emulator's daemon in, its keys to be discovered."""
    issuer = {
        "id": "cloud",
        "kind": "entra",
        "authority": authority,
        "v1_issuer": f"{authority}/sts/{{tenantid}}/",
        "insecure_allow_http": True,
    }
    return {
        "version": 1,
        "issuers": [issuer],
        "partners": [{"id": "contoso", "name": "Contoso"}],
        "tenants": [{"id": "contoso-tenant", "issuer": "cloud", "partner": "contoso", "tid": TID}],
        "daemons": [{"id": "contoso-sync", "tenant": "contoso-tenant", "client_id": CLIENT}],
        "resources": [{"id": "orders", "audiences": [ORDERS, "api://orders"]}],
        "app_roles": [{"id": "orders-read", "resource": "orders", "value": "Orders.Read"}],
        "role_assignments": [{"id": "contoso-reads", "app_role": "orders-read", "daemon": "contoso-sync"}],
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The emulator as a program, with a key that is another tenant's alone, and a gate that has its keys by now."""
    folder = tmp_path_factory.mktemp("hostile")
    with running_emulator(CONFIG, folder) as emulator:
        post_json(f"{emulator.authority}/_emulator/rotate", {"tid": OTHER_TID})
        file = folder / "policy.json"
        file.write_text(json.dumps(policy(emulator.authority)))
        gate = open_gate(file, resource="orders")
        try:
            yield World(emulator.authority, gate)
        finally:
            gate.close()


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_token_that_is_spoiled_would_be_let_in(world: World, version: str) -> None:
    """What every recipe starts from is granted, in both versions: a refusal is for what was spoiled."""
    token = world.post("mint", {**DAEMON, "version": version})["access_token"]

    assert isinstance(world.ask(token), Granted)


@every_recipe
def test_each_token_is_refused_for_its_reason(world: World, recipe: Recipe) -> None:
    """Minted over HTTP and presented in a header, a hostile token is refused for exactly what was spoiled in it."""
    answer = world.post(f"hostile/{recipe.name}", DAEMON)

    decision = world.ask(answer["access_token"])

    assert isinstance(decision, Denied), answer
    assert decision.reason.value == answer["reason_in_header"], decision.detail
    assert answer["name"] == recipe.name


def test_the_list_names_each_with_a_sentence(world: World) -> None:
    """GET lists every recipe: a name of its own, a family, a sentence, and a reason that there is."""
    listed = json.loads(get(f"{world.authority}/_emulator/hostile"))["hostile"]

    assert [each["name"] for each in listed] == [recipe.name for recipe in RECIPES]
    assert len({each["name"] for each in listed}) == len(listed) > 250
    for each in listed:
        assert re.fullmatch(r"[a-z0-9-]+", each["name"])
        assert each["family"]
        assert re.fullmatch(r"[A-Z].*\.", each["attacks"]), each
        assert {each["reason"], each["reason_in_header"]} <= set(DenialReason)


def signature_holds(token: str, jwk: dict[str, Any]) -> bool:
    """Whether an RS256 signature is this key's over what stands before it, the spelling aside."""
    signed, _, signature = token.replace("%2E", ".").encode("ascii", "ignore").rpartition(b".")
    text = signature.translate(None, b"= \n")
    n, e = (int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "=="), "big") for name in ("n", "e"))
    octets = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    try:
        rsa.RSAPublicNumbers(e, n).public_key().verify(octets, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


IN_JSON = {"json-flattened", "json-general"}


@every_recipe
def test_a_token_is_called_forged_where_the_issuer_did_not_sign_it(client: TestClient, recipe: Recipe) -> None:
    """The issuer's key made the signature of what is not called forged, and of nothing that is."""
    client.post("/_emulator/rotate", json={"tid": OTHER_TID})
    signing_kid = client.get("/_emulator/state").json()["signing_kid"]
    [jwk] = [each for each in client.get("/common/discovery/v2.0/keys").json()["keys"] if each["kid"] == signing_kid]
    token = client.post(f"/_emulator/hostile/{recipe.name}", json=DAEMON).json()["access_token"]
    if recipe.name in IN_JSON:
        parts = json.loads(token)
        one = parts["signatures"][1] if "signatures" in parts else parts
        token = f"{one['protected']}.{parts['payload']}.{one['signature']}"

    assert signature_holds(token, jwk) is not recipe.forged


@pytest.mark.parametrize(
    ("name", "body", "status", "error"),
    [
        pytest.param("no-such", DAEMON, 404, "name_unknown", id="name"),
        pytest.param("alg-none", {**DAEMON, "tid": OTHER_TID}, 404, "name_unknown", id="daemon"),
        pytest.param("alg-none", {**DAEMON, "tid": "contoso"}, 400, "config_invalid", id="tid"),
        pytest.param("alg-none", {"tid": TID, "client_id": CLIENT}, 400, "config_invalid", id="no audience"),
        pytest.param("alg-none", {**DAEMON, "lifetime": 1}, 400, "config_invalid", id="unheard member"),
    ],
)
def test_what_cannot_be_minted_is_an_error(
    client: TestClient, name: str, body: dict[str, Any], status: int, error: str
) -> None:
    """A name, daemon or member that nobody knows is an error, and no token."""
    answer = client.post(f"/_emulator/hostile/{name}", json=body)

    assert answer.status_code == status
    assert answer.json()["error"] == error
    assert "access_token" not in answer.json()


def test_another_tenants_key_must_be_there(client: TestClient, authority: Authority) -> None:
    """The token by another tenant's key needs such a key, and says so where there is none."""
    answer = client.post("/_emulator/hostile/key-of-another-tenant", json=DAEMON)

    assert answer.status_code == 400
    assert "rotate" in answer.json()["message"]


@pytest.mark.parametrize(("bits", "digest"), [("256", hashes.SHA256()), ("512", hashes.SHA512())])
def test_the_pss_signature_is_one(bits: str, digest: hashes.HashAlgorithm) -> None:
    """`cryptography` verifies the PSS signature that is encoded here, with the salt's length that RFC 7518 wants."""
    key = rsa_key(0)

    signature = pss(key, b"header.payload", bits)

    salted = padding.PSS(padding.MGF1(digest), digest.digest_size)
    key.public_key().verify(signature, b"header.payload", salted, digest)
    with pytest.raises(InvalidSignature):
        key.public_key().verify(signature, b"another", salted, digest)


def test_nothing_but_the_good_token_is_drawn_by_lot(authority: Authority) -> None:
    """A recipe gives the same token for the same good one: no chance of its own."""
    authority.keys.publish_for(OTHER_TID)
    authority._entropy = lambda size: bytes(size)

    def minted() -> list[str]:
        return [authority.mint_hostile(recipe, TID, CLIENT, "api://orders") for recipe in RECIPES]

    assert minted() == minted()
