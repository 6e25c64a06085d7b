"""An API whose tokens are signed with keys of its own, end to end: emulator, documents over HTTP, policy file, gate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantgate import Denied, Granted, RequestView, open_gate
from tenantgate.core.decision import DenialReason as R
from tenantgate.discovery.keyring import Keyring
from tenantgate.discovery.limits import KeyLimits
from tenantgate.gate.gate import Gate
from tests.emulator.program import running_emulator
from tests.emulator.world import CLIENT, OID, TID
from tests.gate.world import PATIENT, eventually, patient
from tests.http import get, post_json

ORDERS = "aaaaaaaa-0000-4000-8000-000000000001"
BILLING = "aaaaaaaa-0000-4000-8000-0000000000bb"
CONFIG: dict[str, Any] = {
    "resources": [
        {"client_id": ORDERS, "app_id_uris": ["api://orders"], "own_keys": True},
        {"client_id": BILLING, "app_id_uris": ["api://billing"], "own_keys": True},
    ],
    "tenants": [{"tid": TID, "name": "contoso", "daemons": [{"client_id": CLIENT, "oid": OID}]}],
}
METADATA = "/organizations/v2.0/.well-known/openid-configuration"
KEYS = "/organizations/discovery/v2.0/keys"
FORMS = pytest.mark.parametrize("version", ["1.0", "2.0"])


class Cloud:
    """The running emulator."""

    def __init__(self, authority: str) -> None:
        self.authority = authority

    def token(self, audience: str = "api://orders", **spoiled: Any) -> str:
        """Return a token of the daemon's, signed with the resource's own key unless told otherwise."""
        body = {"tid": TID, "client_id": CLIENT, "audience": audience, **spoiled}
        return str(post_json(f"{self.authority}/_emulator/mint", body)["access_token"])

    def rotate(self, **how: Any) -> Any:
        """Rotate keys; return what is published then."""
        return post_json(f"{self.authority}/_emulator/rotate", how)

    def state(self) -> Any:
        """Return what the authority has and has seen."""
        return json.loads(get(f"{self.authority}/_emulator/state"))

    def fetches(self) -> tuple[int, int]:
        """Return how often the shared v2 key document was asked for, and that of orders."""
        seen = self.state()["requests"]
        return seen.get(KEYS, 0), seen.get(f"{KEYS}?appid={ORDERS}", 0)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """An emulator of its own for each test: the counts and keys are the test's."""
    with running_emulator(CONFIG, tmp_path) as running:
        yield Cloud(running.authority)


def write_policy(folder: Path, cloud: Cloud, **orders: Any) -> Path:
    """Write a policy that lists the daemon for both resources, and return its path."""
    issuer = {
        "id": "cloud",
        "kind": "entra",
        "authority": cloud.authority,
        "v1_issuer": f"{cloud.authority}/sts/{{tenantid}}/",
        "insecure_allow_http": True,
    }
    policy = {
        "version": 1,
        "issuers": [issuer],
        "partners": [{"id": "contoso", "name": "Contoso"}],
        "tenants": [{"id": "contoso-tenant", "issuer": "cloud", "partner": "contoso", "tid": TID}],
        "daemons": [{"id": "contoso-sync", "tenant": "contoso-tenant", "client_id": CLIENT}],
        "resources": [
            {"id": "orders", "audiences": [ORDERS, "api://orders"], **orders},
            {"id": "billing", "audiences": [BILLING, "api://billing"], "signing_keys_appid": BILLING},
        ],
        "app_roles": [{"id": f"{each}-read", "resource": each, "value": "Read"} for each in ("orders", "billing")],
        "role_assignments": [
            {"id": f"contoso-{each}", "app_role": f"{each}-read", "daemon": "contoso-sync"}
            for each in ("orders", "billing")
        ],
    }
    path = folder / "policy.json"
    draft = folder / "policy.draft"
    draft.write_text(json.dumps(policy))
    draft.replace(path)
    return path


Opened = Callable[..., Gate]


@pytest.fixture
def opened(tmp_path: Path, cloud: Cloud) -> Iterator[Opened]:
    """Opens gates over the policy as it is then written, and closes them."""
    gates: list[Gate] = []

    def open_one(*, resource: str = "orders", cooldown: float = 0.0, retire: float = 86_400, **orders: Any) -> Gate:
        path = write_policy(tmp_path, cloud, **orders)
        limits = KeyLimits(cooldown=cooldown, retire_entra=retire, **PATIENT)
        gates.append(patient(open_gate(path, resource=resource, key_limits=limits)))
        return gates[-1]

    yield open_one
    for gate in gates:
        gate.close()


def outcome(gate: Gate, token: str) -> R | str:
    """Present a token: the reason of a denial, or who was let in."""
    view = RequestView("GET", "/", [(b"authorization", b"Bearer " + token.encode())])
    decision = gate.decide(view, ("Read",))
    assert isinstance(decision, Granted | Denied)
    return decision.reason if isinstance(decision, Denied) else decision.principal.partner


@FORMS
def test_the_applications_key_is_believed_where_the_resource_names_it(cloud: Cloud, opened: Opened, version: str):
    """Without `signing_keys_appid` its documents are not asked for and the key is unknown; with it, a grant."""
    token = cloud.token(version=version)

    assert outcome(opened(), token) is R.SIGNING_KEY_UNKNOWN
    assert cloud.fetches()[1] == 0
    assert outcome(opened(signing_keys_appid=ORDERS), token) == "contoso"


def test_a_running_gate_follows_the_policy(cloud: Cloud, opened: Opened, tmp_path: Path):
    """Written into the policy, the application's key serves without a restart; taken out, its tokens are refused."""
    gate, token = opened(), cloud.token()
    assert outcome(gate, token) is R.SIGNING_KEY_UNKNOWN
    write_policy(tmp_path, cloud, signing_keys_appid=ORDERS)
    eventually(lambda: outcome(gate, token) == "contoso")
    write_policy(tmp_path, cloud)
    eventually(lambda: outcome(gate, token) is R.SIGNING_KEY_UNKNOWN)


@FORMS
def test_tokens_under_shared_keys_go_on_being_let_in(cloud: Cloud, opened: Opened, version: str):
    """Entra may change over at any moment: both kinds of key serve."""
    shared = cloud.state()["signing_kid"]

    assert outcome(opened(signing_keys_appid=ORDERS), cloud.token(version=version, key=shared)) == "contoso"


@FORMS
def test_another_apis_key_signs_nothing_here(cloud: Cloud, opened: Opened, version: str):
    """Billing's own key, sound and published, is unknown at orders, also while billing's gate believes it."""
    [theirs] = cloud.state()["own_keys"][BILLING]
    orders, billing = opened(signing_keys_appid=ORDERS), opened(signing_keys_appid=ORDERS, resource="billing")

    assert outcome(billing, cloud.token("api://billing", version=version)) == "contoso"
    for key in (theirs, cloud.state()["signing_kid"]):
        expected = R.SIGNING_KEY_UNKNOWN if key == theirs else "contoso"
        assert outcome(orders, cloud.token(version=version, key=key)) == expected


def test_unknown_kids_cost_one_fetch_of_one_document_in_a_cooldown(cloud: Cloud, opened: Opened):
    """However many are presented; and metadata is asked for once, whoever asks for keys."""
    gate = opened(signing_keys_appid=ORDERS, cooldown=2.0)
    forged = [cloud.token(header={"kid": f"forged-{number}"}) for number in range(50)]
    keyring = gate._keys
    assert isinstance(keyring, Keyring)
    eventually(lambda: all((each.tried_ago or 0.0) > 2.0 for each in keyring.health()))
    assert cloud.fetches() == (1, 1)
    begun = time.monotonic()
    assert {outcome(gate, token) for token in forged} == {R.SIGNING_KEY_UNKNOWN}
    most = 1 + int((time.monotonic() - begun) / 2.0)
    shared, own = cloud.fetches()

    assert 1 <= (shared - 1) + (own - 1) <= most
    seen = cloud.state()["requests"]
    assert (seen[METADATA], seen[f"{METADATA}?appid={ORDERS}"]) == (1, 1)


def test_a_rotated_key_is_found_and_a_withdrawn_one_retires(cloud: Cloud, opened: Opened):
    """The new key serves with the first token it signs; the old one until it is withdrawn and its time is over."""
    gate = opened(signing_keys_appid=ORDERS, retire=0.0)
    old = cloud.token()
    assert outcome(gate, old) == "contoso"
    cloud.rotate(resource="api://orders")
    assert outcome(gate, cloud.token()) == "contoso"
    assert outcome(gate, old) == "contoso"
    cloud.rotate(resource="api://orders", retire=True)
    assert outcome(gate, cloud.token()) == "contoso"

    assert outcome(gate, old) is R.SIGNING_KEY_UNKNOWN


def test_known_keys_serve_on_while_the_authority_is_off(cloud: Cloud, opened: Opened):
    """An application's keys are kept through an outage like any other."""
    gate, token = opened(signing_keys_appid=ORDERS), cloud.token()
    assert outcome(gate, token) == "contoso"
    fresh = cloud.token()
    post_json(f"{cloud.authority}/_emulator/off", {"mode": "drop"})

    assert outcome(gate, fresh) == "contoso"
