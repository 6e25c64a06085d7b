"""The emulator replays how Entra's shared key set flapped in life: real keys, real documents, a gate in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tenantgate import Denied, Granted, RequestView, open_gate
from tenantgate.core.decision import DenialReason as R
from tenantgate.discovery.limits import KeyLimits
from tenantgate.gate.gate import Gate
from tests.builders import b64url, json_bytes
from tests.discovery.flapping import BOUND, CHANGES, KEYS
from tests.emulator.program import running_emulator
from tests.emulator.world import CLIENT, CONFIG, OID, ORDERS, TID
from tests.gate.world import PATIENT, eventually, patient
from tests.http import get, post_json

pytestmark = pytest.mark.slow

DOCUMENT = "/organizations/discovery/v2.0/keys"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"


class World(NamedTuple):
    """The emulator with as many keys as were seen in life, and a gate. `kids`: of the recorded keys, by number."""

    authority: str
    gate: Gate
    kids: dict[int, str]

    def list_only(self, listed: frozenset[int]) -> None:
        """Have the documents list these keys."""
        hidden = [kid for number, kid in self.kids.items() if number not in listed]
        post_json(f"{self.authority}/_emulator/hide", {"kids": hidden})

    def token(self, number: int) -> str:
        """Return a token of the daemon's that this key has signed."""
        body = {"tid": TID, "client_id": CLIENT, "audience": "api://orders", "key": self.kids[number]}
        return str(post_json(f"{self.authority}/_emulator/mint", body)["access_token"])

    def ask(self, token: str) -> R | None:
        """Return why a token was refused, None where it was not."""
        decision = self.gate.decide(RequestView("GET", "/", [(b"authorization", b"Bearer " + token.encode())]))
        assert isinstance(decision, Granted | Denied)
        return decision.reason if isinstance(decision, Denied) else None

    def fetches(self) -> int:
        """Return how often the document was asked for."""
        return int(json.loads(get(f"{self.authority}/_emulator/state"))["requests"].get(DOCUMENT, 0))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("flapping")
    config = {**CONFIG, "tenants": [*CONFIG["tenants"], {"tid": PERSONAL, "name": "personal accounts"}]}
    with running_emulator(config, folder) as emulator:
        first, *others = sorted(KEYS)
        kids = {first: json.loads(get(f"{emulator.authority}/_emulator/state"))["signing_kid"]}
        for number in others:
            how: dict[str, Any] = {"tid": PERSONAL} if number in BOUND else {}
            kids[number] = post_json(f"{emulator.authority}/_emulator/rotate", how)["keys"][-1]["kid"]
        policy = {
            "version": 1,
            "issuers": [{"id": "cloud", "kind": "entra", "authority": emulator.authority, "insecure_allow_http": True}],
            "partners": [{"id": "contoso", "name": "Contoso"}],
            "tenants": [{"id": "contoso", "issuer": "cloud", "partner": "contoso", "tid": TID}],
            "daemons": [{"id": "sync", "tenant": "contoso", "client_id": CLIENT, "oid": OID}],
            "resources": [{"id": "orders", "audiences": [ORDERS, "api://orders"]}],
            "app_roles": [{"id": "read", "resource": "orders", "value": "Orders.Read"}],
            "role_assignments": [{"id": "sync-reads", "app_role": "read", "daemon": "sync"}],
        }
        (folder / "policy.json").write_text(json.dumps(policy))
        post_json(f"{emulator.authority}/_emulator/hide", {"kids": [kids[key] for key in KEYS - CHANGES[0].listed]})
        limits = KeyLimits(cooldown=0.0, **PATIENT)
        gate = patient(open_gate(folder / "policy.json", resource="orders", key_limits=limits))
        eventually(lambda: all(each.tried_ago is not None for each in gate.key_health()))  # nobody has asked for that
        yield World(emulator.authority, gate, kids)
        gate.close()


def with_kid(token: str, kid: str) -> str:
    """Return the token with another `kid` in its header."""
    _, payload, signature = token.split(".")
    return f"{b64url(json_bytes({'typ': 'JWT', 'alg': 'RS256', 'kid': kid}))}.{payload}.{signature}"


def test_no_good_token_is_refused_in_142_days_of_flapping(world: World):
    """Within minutes here, so that no day passes: a key that was listed once serves on, its tokens are let in.

    At each of the recorded changes somebody sends a kid that nobody has, which has the document fetched once. Keys of
    personal accounts come and go with the others, and never sign for a company's tenant.
    """
    tokens: dict[int, str] = {}
    for change in CHANGES:
        world.list_only(change.listed)
        for number in change.listed - tokens.keys():
            tokens[number] = world.token(number)
        before = world.fetches()
        stranger = with_kid(tokens[min(change.listed)], f"nobody-at-{change.at:.0f}")
        assert world.ask(stranger) is R.SIGNING_KEY_UNKNOWN
        assert world.fetches() == before + 1

        found = {number: world.ask(token) for number, token in tokens.items()}
        assert {reason for number, reason in found.items() if number not in BOUND} == {None}
        assert {reason for number, reason in found.items() if number in BOUND} <= {R.KEY_ISSUER_MISMATCH}
        (health,) = world.gate.key_health()
        assert {world.kids[number] for number in change.listed} == set(health.kids) - set(health.withdrawn)
        assert world.fetches() == before + 1

    assert tokens.keys() == KEYS
