"""Keys that are not at hand: asked for once, waited for briefly, and no longer than the deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.policy import Row
from tenantgate.gate.gate import Gate
from tests.builders import (
    STRANGE_TID,
    an_entra_issuer,
    cloud_key,
    oidc_token,
    signer,
    v2_claims,
    v2_token,
)
from tests.gate.world import (
    CLOUD_V2,
    FakeKeys,
    a_delta,
    a_view,
    eventually,
    is_granted,
    reason_of,
    suspended,
)

Make = Callable[..., Gate]
READ = ("Orders.Read",)


def test_keys_follow_the_policys_issuers(make: Make):
    """The key ring is told of the issuers at each whole policy and at each change of one, and only then."""
    keys = FakeKeys()
    gate = make(keys)
    gate.install(suspended())
    gate.install(a_delta(an_entra_issuer(), since=2))
    gate.install(a_delta(Row(revision=4, kind="issuer", id="oidc", op="delete"), since=3))

    assert keys.issuers == [["cloud", "oidc"], ["cloud", "oidc"], ["cloud"]]


async def test_missing_keys_are_fetched_and_the_request_judged_again(make: Make):
    """A request that finds no keys waits for one fetch, and is then judged as if they had been there."""
    for ask_ in ("decide", "adecide"):
        keys = FakeKeys()
        gate = make(keys)
        keys.coming = {CLOUD_V2: keys.sets.pop(CLOUD_V2)}
        decision = gate.decide(a_view(), READ) if ask_ == "decide" else await gate.adecide(a_view(), READ)
        assert is_granted(decision)
        assert keys.fetches == [(CLOUD_V2, cloud_key().kid)]


async def test_the_judgement_after_the_fetch_is_by_the_policy_of_then(make: Make):
    """A suspension that comes while a request waits for keys is obeyed by that request."""
    keys = FakeKeys()
    gate = make(keys)
    keys.coming = {CLOUD_V2: keys.sets.pop(CLOUD_V2)}
    fetch = keys.ensure

    async def ensure(*asked: Any) -> None:
        gate.install(suspended())
        await fetch(*asked)

    keys.ensure = ensure  # type: ignore[method-assign]
    assert reason_of(await gate.adecide(a_view(), READ)) is R.PARTNER_SUSPENDED


async def test_what_a_fetch_does_not_bring_is_a_denial(make: Make):
    """Keys that never came are 503; a key that the issuer does not have is the token's fault, 401."""
    keys = FakeKeys()
    gate = make(keys)
    unknown = a_view(signer("RS256", "rotated").sign(v2_claims()))
    assert reason_of(await gate.adecide(unknown, READ)) is R.SIGNING_KEY_UNKNOWN
    assert reason_of(gate.decide(unknown, READ)) is R.SIGNING_KEY_UNKNOWN
    keys.sets.clear()
    denied = await gate.adecide(a_view(), READ)

    assert reason_of(denied) is R.KEY_SET_UNAVAILABLE
    assert isinstance(denied, Denied)
    assert (denied.resource, denied.wanted_roles, denied.revision) == ("orders", READ, 1)
    assert gate.answer(denied).status == 503
    assert len(keys.fetches) == 3


@pytest.mark.parametrize("ask_", ["decide", "adecide"])
async def test_a_fetch_that_takes_too_long_is_a_denial(make: Make, ask_: str):
    """A request waits for keys no longer than the deadline; the fetch goes on without it."""
    keys = FakeKeys(stuck=True)
    gate = make(keys, deadline=0.05)
    keys.sets.pop(CLOUD_V2)
    decision = gate.decide(a_view(), READ) if ask_ == "decide" else await gate.adecide(a_view(), READ)

    assert reason_of(decision) is R.KEY_SET_UNAVAILABLE
    assert gate.answer(decision).status == 503
    eventually(lambda: bool(keys.fetches))  # the other thread may begin after the deadline only
    assert (len(keys.fetches), keys.cancelled) == (1, 0)


@pytest.mark.threat(19, 31)
def test_an_unknown_issuer_causes_no_fetch(make: Make):
    """A token cannot choose whom we ask: only issuers of the policy are fetched."""
    keys = FakeKeys()
    gate = make(keys)
    keys.sets.clear()
    for token in (oidc_token(iss="https://evil.example"), v2_token(iss=f"https://evil.example/{STRANGE_TID}/v2.0")):
        assert reason_of(gate.decide(a_view(token))) is R.ISSUER_UNKNOWN

    assert keys.fetches == []


def test_a_denied_request_does_not_wait_where_no_fetch_would_help(make: Make):
    """Where the key ring wants no fetch (cooldown, static keys), the request is answered at once."""
    keys = FakeKeys(stuck=True)
    keys.wants = lambda ref, kid: False  # type: ignore[method-assign]
    gate = make(keys)
    unknown = a_view(signer("RS256", "rotated").sign(v2_claims()))

    assert reason_of(gate.decide(unknown)) is R.SIGNING_KEY_UNKNOWN
    assert (keys.fetches, keys.running) == ([], 0)
