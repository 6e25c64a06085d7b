"""A resource whose tokens Entra signs with keys of its own: what the key ring is told, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.keys import KeySetRef
from tenantgate.core.policy import PolicySnapshot, Row
from tenantgate.gate.gate import Gate
from tests.builders import (
    API_CLIENT_ID,
    BILLING_CLIENT_ID,
    REMOVE,
    Signer,
    a_snapshot,
    cloud_key,
    signer,
    v2_claims,
)
from tests.gate.world import (
    CLOUD_V2,
    FakeKeys,
    a_delta,
    a_fetched_cloud,
    a_row_of_policy,
    a_view,
    cloud_keys,
    is_granted,
    reason_of,
)

Make = Callable[..., Gate]
READ = ("Orders.Read",)
OURS = signer("RS256", "ours")
OWN = KeySetRef("cloud", "v2", API_CLIENT_ID)


def named(appid: str | None = API_CLIENT_ID) -> dict[str, Any]:
    """Return the change that names the API's application."""
    return {"signing_keys_appid": appid}


def a_cloud_snapshot(**changes: Any) -> PolicySnapshot:
    """Return the built policy with the cloud's keys to be fetched."""
    return a_snapshot(a_fetched_cloud(), cloud=REMOVE, **changes)


class PublishedKeys(FakeKeys):
    """Keys that are at hand whatever the policy says, but for the applications it does not name."""

    def set_issuers(self, rows: Any, appids: Any = ()) -> None:
        """Note what is asked for, and drop the key sets of other applications."""
        super().set_issuers(rows, appids)
        self.sets = {CLOUD_V2: SHARED} | {KeySetRef("cloud", "v2", appid): OWN_KEYS for appid in appids}


SHARED, OWN_KEYS = cloud_keys(), cloud_keys(cloud_key(), OURS)


def ask(gate: Gate, key: Signer = OURS) -> Any:
    """Ask with acme's good token, signed with the application's key."""
    return gate.decide(a_view(key.sign(v2_claims())), READ)


def test_the_key_ring_is_told_of_the_resources_application(make: Make):
    """At each whole policy, and at each change of this gate's resource; another resource's is nobody's business."""
    keys = FakeKeys()
    gate = make(keys, a_cloud_snapshot(orders=named(), billing=named(BILLING_CLIENT_ID)))
    gate.install(a_delta(a_row_of_policy("orders", **named(None))))
    gate.install(a_delta(a_row_of_policy("billing", **named()), since=2))
    gate.install(a_delta(a_row_of_policy("acme", name="Acme Ltd"), since=3))
    gate.install(a_delta(a_row_of_policy("orders", **named()), since=4))
    gate.install(a_delta(Row(revision=6, kind="resource", id="orders", op="delete"), since=5))

    assert keys.appids == [(API_CLIENT_ID,), (), (API_CLIENT_ID,), ()]
    gate.install(a_cloud_snapshot(revision=7, orders=named()))
    assert keys.appids[4:] == [(API_CLIENT_ID,)]


def test_a_gate_of_another_resource_is_told_of_its_own(make: Make):
    """Two gates over one policy ask each for its own application's keys."""
    keys = FakeKeys()
    make(keys, a_cloud_snapshot(orders=named(), billing=named(BILLING_CLIENT_ID)), resource="billing")

    assert keys.appids == [(BILLING_CLIENT_ID,)]


@pytest.mark.parametrize("ask_", ["decide", "adecide"])
async def test_the_applications_missing_key_is_fetched(make: Make, ask_: str):
    """A request with an unknown key waits for the application's document, and is judged again."""
    keys = FakeKeys()
    gate = make(keys, a_cloud_snapshot(orders=named()))
    keys.sets = {CLOUD_V2: SHARED}
    keys.coming = {OWN: OWN_KEYS}
    view = a_view(OURS.sign(v2_claims()))
    decision = gate.decide(view, READ) if ask_ == "decide" else await gate.adecide(view, READ)

    assert is_granted(decision)
    assert keys.fetches == [(OWN, OURS.kid)]


@pytest.mark.threat(48)
def test_a_change_of_the_application_acts_on_the_next_request(make: Make):
    """Named, its key serves; no longer named, a token that was remembered with it is unknown again."""
    keys = PublishedKeys()
    keys.wants = lambda ref, kid: False  # type: ignore[method-assign]
    gate = make(keys, a_cloud_snapshot())
    assert reason_of(ask(gate)) is R.SIGNING_KEY_UNKNOWN
    gate.install(a_delta(a_row_of_policy("orders", **named())))
    assert is_granted(ask(gate))
    assert is_granted(ask(gate))
    gate.install(a_delta(a_row_of_policy("orders"), since=2))

    assert reason_of(ask(gate)) is R.SIGNING_KEY_UNKNOWN
    assert is_granted(ask(gate, cloud_key()))


@pytest.mark.threat(48)
def test_no_key_of_the_old_application_serves_the_new_one(make: Make):
    """While another application's keys have not come yet, a remembered token is not judged by the old one's."""
    keys = FakeKeys()
    gate = make(keys, a_cloud_snapshot(orders=named()))
    keys.sets = {CLOUD_V2: SHARED, OWN: OWN_KEYS}
    assert is_granted(ask(gate))
    gate.install(a_delta(a_row_of_policy("orders", **named(BILLING_CLIENT_ID))))

    assert reason_of(ask(gate)) is R.KEY_SET_UNAVAILABLE
