"""A resource's rules at the gate: the caller's address, what is reported only, what is remembered in between."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, get_args

import pytest

from tenantgate.core.decision import Decision, Granted
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.policy import ReportOnly, RequiredClaim, ResourceRule
from tenantgate.gate.gate import Gate
from tests.builders import NOW, a_snapshot, v2_token
from tests.gate.world import a_delta, a_row_of_policy, a_view, reason_of

Make = Callable[..., Gate]
READ = ("Orders.Read",)
ADDRESSES = {"addresses": ("192.0.2.0/24", "2001:db8::/48")}


def ask(gate: Gate, peer: str | None, token: str | None = None) -> Decision:
    """Ask from an address, with acme's good token unless another is given."""
    return gate.decide(a_view(token)._replace(peer=peer), READ)


@pytest.mark.parametrize("peer", ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.7", "2001:db8::1", "2001:DB8:0::"])
def test_an_address_inside_is_let_in(make: Make, peer: str):
    """Any of the networks, whatever the address is written like."""
    assert isinstance(ask(make(news=a_snapshot(orders=ADDRESSES)), peer), Granted)


@pytest.mark.parametrize(
    "peer",
    [None, "", "192.0.3.0", "::ffff:198.51.100.1", "2001:db8:1::", "testclient", "192.0.2.7, 192.0.2.8", "/run/s"],
)
def test_an_address_outside_or_unknown_is_not(make: Make, peer: str | None):
    """Outside of all networks, none at all, or no address: refused, and never by a token that was let in before."""
    gate = make(news=a_snapshot(orders=ADDRESSES))
    assert isinstance(ask(gate, "192.0.2.7"), Granted)

    assert reason_of(ask(gate, peer)) is R.ADDRESS_NOT_ALLOWED
    assert gate.answer(ask(gate, peer)).status == 403
    assert isinstance(ask(gate, "192.0.2.7"), Granted)


async def test_both_ways_to_ask_hear_the_address(make: Make):
    """`adecide` tells the judge the address as `decide` does."""
    gate = make(news=a_snapshot(orders=ADDRESSES))

    assert isinstance(await gate.adecide(a_view()._replace(peer="192.0.2.7"), READ), Granted)
    assert reason_of(await gate.adecide(a_view(), READ)) is R.ADDRESS_NOT_ALLOWED


def test_a_rule_reported_only_denies_from_its_end_on(make: Make, caplog: pytest.LogCaptureFixture):
    """Until then the caller is let in and the log says what would have denied it; at that second it is refused."""
    caplog.set_level(logging.INFO, "tenantgate.decisions")
    now = [NOW]
    rules: dict[str, Any] = {
        **ADDRESSES,
        "required_claims": (RequiredClaim(claim="department"),),
        "report_only": (
            ReportOnly(rule="addresses", until=NOW + 60),
            ReportOnly(rule="required_claims", until=NOW + 30),
        ),
    }
    gate = make(news=a_snapshot(orders=rules), now=lambda: now[0])

    for _ in range(2):
        found = ask(gate, "198.51.100.1")
        assert isinstance(found, Granted)
        assert set(found.principal.would_deny) == {R.ADDRESS_NOT_ALLOWED, R.REQUIRED_CLAIM_MISMATCH}
    now[0] = NOW + 30
    assert reason_of(ask(gate, "198.51.100.1")) is R.REQUIRED_CLAIM_MISMATCH
    assert isinstance(ask(gate, "198.51.100.1", v2_token(department="Law")), Granted)
    now[0] = NOW + 60
    assert reason_of(ask(gate, "198.51.100.1", v2_token(department="Law"))) is R.ADDRESS_NOT_ALLOWED
    gate.close()

    said = [record for record in caplog.records if record.name == "tenantgate.decisions"]
    assert [record.getMessage().partition(":")[0] for record in said].count("would deny") == 3
    assert {vars(record).get("partner") for record in said if "would" in record.getMessage()} == {"acme"}


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (v2_token(aud="aaaaaaaa-0000-4000-8000-000000000009"), R.AUDIENCE_MISMATCH),
        (v2_token(exp=NOW - 61), R.TOKEN_EXPIRED),
        (v2_token(azp="eeeeeeee-0000-4000-8000-000000000006"), R.DAEMON_NOT_LISTED),
        (v2_token()[:-8] + "AAAAAAAA", R.SIGNATURE_INVALID),
    ],
)
def test_everything_reported_only_waives_nothing_that_matters(make: Make, token: str, reason: R):
    """With every rule that can be reported only, signature, audience, times and the list deny as ever."""
    every = tuple(ReportOnly(rule=rule, until=NOW + 60) for rule in get_args(ResourceRule))
    gate = make(news=a_snapshot(orders={"report_only": every, **ADDRESSES}))

    assert reason_of(ask(gate, None, token)) is reason
    assert isinstance(ask(gate, None), Granted)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"issuers": ("oidc",)}, R.ISSUER_NOT_ACCEPTED),
        ({"clients": ("globex-sync",)}, R.CLIENT_NOT_ACCEPTED),
        ({"token_versions": ("1.0",)}, R.TOKEN_VERSION_NOT_ACCEPTED),
        ({"required_claims": (RequiredClaim(claim="department"),)}, R.REQUIRED_CLAIM_MISMATCH),
        ({"addresses": ("192.0.2.0/24",)}, R.ADDRESS_NOT_ALLOWED),
        ({"max_lifetime": 60}, R.TOKEN_LIFETIME_TOO_LONG),
    ],
)
def test_a_new_rule_acts_on_the_next_request(make: Make, rules: dict[str, Any], reason: R):
    """A token let in a moment ago is refused by the rule that came since, and let in again when it has gone."""
    gate = make()
    assert isinstance(ask(gate, None), Granted)

    gate.install(a_delta(a_row_of_policy("orders", **rules)))
    assert reason_of(ask(gate, None)) is reason

    gate.install(a_delta(a_row_of_policy("orders"), since=2))
    assert isinstance(ask(gate, None), Granted)
