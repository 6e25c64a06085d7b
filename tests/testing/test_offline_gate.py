"""The gate of the kit: a real one, over the partners it was given."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.core.policy import PolicyError
from tenantgate.gate.gate import Gate
from tenantgate.testing.clock import START
from tenantgate.testing.kit import FakePartner, FrozenClock, KitError, OfflineGate, open_test_gate
from tests.testing.world import ROLES, ask, outcome


def test_it_is_a_real_gate(gate: OfflineGate):
    """What is opened is the gate of production with other keys and another clock, usable wherever a Gate is."""
    assert isinstance(gate, Gate)
    assert type(gate)._judge is Gate._judge
    assert gate.revision == ("test", 1)
    gate.require_resource()


def test_only_listed_partners_get_in(gate: OfflineGate, acme: FakePartner):
    """A stranger's tenant, another daemon of a listed tenant, and a re-created daemon are each refused as such."""
    assert outcome(ask(gate, FakePartner("stranger").token())) == "tenant_not_listed"
    assert outcome(ask(gate, FakePartner("batch", tid=acme.tid).token())) == "daemon_not_listed"
    recreated = FakePartner("acme", oid=FakePartner("other").oid)
    assert outcome(ask(gate, recreated.token())) == "object_id_mismatch"


def test_roles_are_the_partners_own():
    """Each partner holds the roles it was given; one that was given none is listed and may do nothing."""
    acme, globex, initech = (FakePartner(name) for name in ("acme", "globex", "initech"))
    roles = {"acme": ["Orders.Read", "Orders.Write", "Orders.Read"], "globex": ("Orders.Read",)}
    gate = open_test_gate(partners=iter([acme, globex, initech]), roles=roles)

    assert outcome(ask(gate, acme.token(), ("Orders.Read", "Orders.Write"))) == "granted"
    assert outcome(ask(gate, globex.token(), ("Orders.Read", "Orders.Write"))) == "role_not_assigned"
    assert outcome(ask(gate, globex.token())) == "granted"
    assert outcome(ask(gate, initech.token(), ())) == "role_not_assigned"


def test_a_gate_may_have_no_partners():
    """An empty list lets nobody in."""
    assert outcome(ask(open_test_gate(), FakePartner("acme").token())) == "tenant_not_listed"


def test_partners_take_over_resource_and_clock():
    """A partner's tokens are for the gate it was listed at, unless another resource is named."""
    acme, clock = FakePartner("acme"), FrozenClock(1_900_000_000)
    orders = open_test_gate(partners=[acme], roles=ROLES, clock=clock)
    billing = open_test_gate(resource="billing", partners=[acme], roles={"acme": ["Bills.Read"]})

    assert orders.clock is billing.clock is acme.clock is clock
    assert outcome(ask(billing, acme.token(), ())) == "granted"
    assert outcome(ask(orders, acme.token(), ())) == "audience_mismatch"
    assert outcome(ask(orders, acme.token(resource="orders"), ())) == "granted"
    assert outcome(ask(orders, acme.token(resource="orders", version="1.0"), ())) == "granted"


@pytest.mark.parametrize(
    ("rules", "spoiled", "wanted"),
    [
        ({"app_only": "compatible"}, {"without": ["idtyp"]}, "granted"),
        ({"token_roles": "intersect"}, {}, "role_not_assigned"),
        ({"token_roles": "intersect"}, {"roles": ["Orders.Read"]}, "granted"),
        ({"min_credential": "certificate"}, {}, "credential_too_weak"),
        ({"min_credential": "certificate"}, {"claims": {"azpacr": "2"}}, "granted"),
        ({"max_lifetime": 600}, {}, "token_lifetime_too_long"),
        ({"clock_skew": 0}, {"claims": {"nbf": START + 1}}, "token_not_yet_valid"),
    ],
)
def test_the_resources_rules_are_obeyed(acme: FakePartner, rules: Any, spoiled: Any, wanted: str):
    """Token rules are given as keywords and judged as in production."""
    assert outcome(ask(open_test_gate(partners=[acme], roles=ROLES, **rules), acme.token(**spoiled))) == wanted


def test_reasons_are_shown_where_asked_for(acme: FakePartner):
    """By default a caller learns no more than in production; a test may switch the reasons on."""
    for shown in (False, True):
        gate = open_test_gate(partners=[acme], show_reasons=shown)
        problem = json.loads(gate.answer(ask(gate, acme.token(expired=True))).body)
        assert ("reason" in problem) is shown


def test_suspending_and_activating(gate: OfflineGate, acme: FakePartner):
    """A suspension acts on the next call with the very same token, and can be undone."""
    token = acme.token()
    steps: list[tuple[Callable[[FakePartner], None], str]] = [
        (gate.suspend_daemon, "daemon_suspended"),
        (gate.suspend, "partner_suspended"),
        (gate.activate, "granted"),
        (gate.suspend, "partner_suspended"),
        (gate.suspend, "partner_suspended"),
        (gate.activate, "granted"),
    ]
    assert outcome(ask(gate, token)) == "granted"
    for change, wanted in steps:
        change(acme)
        assert outcome(ask(gate, token)) == wanted


def test_only_listed_partners_can_be_suspended(gate: OfflineGate):
    """Suspending somebody the gate does not know is a mistake in the test."""
    for change in (gate.suspend, gate.suspend_daemon, gate.activate):
        with pytest.raises(KitError, match="'stranger'") as raised:
            change(FakePartner("stranger"))
        assert raised.value.code == "partner_unknown"


def test_mistakes_in_a_gate_are_said():
    """Roles for nobody, two partners of one tenant or name, a malformed role or resource: no gate, a clear error."""
    acme = FakePartner("acme")
    with pytest.raises(KitError, match="'globex'") as unknown:
        open_test_gate(partners=[acme], roles={"globex": ["Orders.Read"]})
    assert unknown.value.code == "partner_unknown"
    for code, mistake in (
        ("tenant_duplicate", {"partners": [acme, FakePartner("batch", tid=acme.tid)]}),
        ("id_duplicate", {"partners": [acme, FakePartner("acme")]}),
        ("role_value_malformed", {"partners": [acme], "roles": {"acme": ["Orders Read"]}}),
        ("id_malformed", {"resource": "Orders"}),
        ("number_out_of_range", {"clock_skew": -1}),
    ):
        with pytest.raises(PolicyError) as raised:
            open_test_gate(**mistake)  # type: ignore[arg-type]
        assert raised.value.code == code
