"""A decision is by one revision of the policy, however the policy changes while it is made."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tenantgate.core.decision import Decision
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.policy import PolicyDelta, PolicySnapshot
from tenantgate.gate import gate as module
from tenantgate.gate.gate import Gate
from tests.builders import NOW, REMOVE, V2_TEMPLATE, a_snapshot, signer, v2_claims, v2_token
from tests.gate.world import FakeKeys, a_delta, a_row_of_policy, a_view, is_granted, reason_of

Make = Callable[..., Gate]
READ = ("Orders.Read",)


@contextmanager
def switching_often() -> Iterator[None]:
    """Let threads take turns after every few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def flips() -> Iterator[PolicyDelta]:
    """Yield changes without end: by no revision acme may read, but between the two rows of each change it could."""
    revision = 1
    while True:
        away = a_row_of_policy("acme_reads", expires_at=1)
        yield a_delta(a_row_of_policy("acme"), away, since=revision)
        suspended = a_row_of_policy("acme", state="suspended")
        yield a_delta(a_row_of_policy("acme_reads"), suspended, since=revision + 1)
        revision += 2


def judged_meanwhile(gate: Gate, change: Callable[[], None], times: int) -> list[Decision]:
    """Judge `times` times in this thread while another one changes the policy without pause."""
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            change()

    writer = threading.Thread(target=write)
    view = a_view()
    with switching_often():
        writer.start()
        try:
            return [gate.decide(view, READ) for _ in range(times)]
        finally:
            done.set()
            writer.join()


@pytest.mark.threat(48)
def test_a_delta_half_applied_is_never_judged_by(make: Make):
    """Thousands of judgements during thousands of two-row changes: each is by one revision, and none is a yes."""
    gate = make(news=a_snapshot(acme={"state": "suspended"}))
    changes = flips()
    decisions = judged_meanwhile(gate, lambda: gate.install(next(changes)), 3000)

    assert {reason_of(each) for each in decisions} <= {R.PARTNER_SUSPENDED, R.ROLE_NOT_ASSIGNED}
    assert gate.revision[1] > 100


@pytest.mark.threat(48)
def test_a_snapshot_replaced_meanwhile_is_never_judged_by(make: Make):
    """Whole policies swapped without pause, and each judgement is by one of the two, and neither grants."""
    pair = [a_snapshot(acme={"state": "suspended"}), a_snapshot(acme_reads=REMOVE, revision=2)]
    gate = make(news=pair[0])
    turns = iter(range(10**9))
    decisions = judged_meanwhile(gate, lambda: gate.install(pair[next(turns) % 2]), 60)

    assert {reason_of(each) for each in decisions} <= {R.PARTNER_SUSPENDED, R.ROLE_NOT_ASSIGNED}


@pytest.mark.parametrize("news", ["delta", "snapshot"])
def test_a_change_during_verification_begins_the_judgement_anew(make: Make, monkeypatch: pytest.MonkeyPatch, news: str):
    """What was verified by the issuers of before is not judged by the partners of after."""
    gate = make(news=a_snapshot(acme={"state": "suspended"}))
    newer = signer("RS256", "newer").jwk(issuer=V2_TEMPLATE)
    rows = {"cloud": {"jwks": {"keys": [newer]}, "v1_jwks": None, "v1_issuer": None}}
    change: PolicyDelta | PolicySnapshot = a_snapshot(revision=2, **rows)
    if news == "delta":
        change = a_delta(a_row_of_policy("cloud", **rows["cloud"]), a_row_of_policy("acme"))
    real = module.verify

    def verify(*args: Any) -> Any:
        found = real(*args)
        gate.install(change)
        monkeypatch.setattr(module, "verify", real)
        return found

    monkeypatch.setattr(module, "verify", verify)
    assert reason_of(gate.decide(a_view(), READ)) is R.SIGNING_KEY_UNKNOWN
    assert is_granted(gate.decide(a_view(signer("RS256", "newer").sign(v2_claims())), READ))


@pytest.mark.parametrize("seen_before", [False, True], ids=["a new token", "a token seen before"])
@pytest.mark.parametrize("news", ["delta", "snapshot"])
def test_a_change_between_verification_and_judgement_begins_it_anew(make: Make, news: str, seen_before: bool):
    """Where keys and partners change together, a token of the old keys never meets the new partners.

    By the old revision acme is suspended, by the new one its token's key is distrusted: no revision lets it in.
    """
    changes = {"cloud": {"jwks": {"keys": [signer("RS256", "newer").jwk(issuer=V2_TEMPLATE)]}, "v1_jwks": None}}
    change: PolicyDelta | PolicySnapshot = a_snapshot(revision=2, **changes)
    if news == "delta":
        change = a_delta(a_row_of_policy("cloud", **changes["cloud"]), a_row_of_policy("acme"))
    meanwhile: list[PolicyDelta | PolicySnapshot] = []

    def now() -> float:  # asked when the token is verified and the policy is not
        while meanwhile:
            gate.install(meanwhile.pop())
        return NOW

    gate = make(news=a_snapshot(acme={"state": "suspended"}), now=now)
    if seen_before:
        assert reason_of(gate.decide(a_view(), READ)) is R.PARTNER_SUSPENDED
    meanwhile.append(change)

    assert reason_of(gate.decide(a_view(), READ)) is R.SIGNING_KEY_UNKNOWN
    assert gate.revision[1] == 2


def test_a_policy_that_never_rests_is_answered(make: Make, monkeypatch: pytest.MonkeyPatch):
    """Where the policy changes throughout, the request is answered in the end: 503, and nothing about the token."""
    yields: list[None] = []
    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: yields.append(None), id_prefix="t-")
    gate.install(a_snapshot())
    monkeypatch.setattr(module, "MAX_TORN", 5)
    index = gate._index
    assert index is not None
    index.generation += 1  # a writer at work

    for token in (v2_token(), v2_token(iss="https://id.elsewhere.example")):
        yields.clear()
        denied = gate.decide(a_view(token), READ)
        assert reason_of(denied) is R.OVERLOADED
        assert gate.answer(denied).status == 503
        assert len(yields) == 5


def test_readers_let_the_writer_run(make: Make):
    """A judgement that meets a writer at work yields, and is answered by what the writer has done."""
    gate = make()
    index = gate._index
    assert index is not None
    index.generation += 1

    def finish() -> None:
        index.generation += 1
        gate.install(a_delta(a_row_of_policy("acme", state="suspended")))

    gate._yield = finish
    assert reason_of(gate.decide(a_view(), READ)) is R.PARTNER_SUSPENDED
