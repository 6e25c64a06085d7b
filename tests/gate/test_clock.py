"""Clocks that step: a token is judged by the time of this request, and no timer of ours hangs on the wall clock."""

from __future__ import annotations

import ast
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tenantgate
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.gate.gate import Gate
from tests.builders import EXPIRES_AT, ISSUED_AT, NOW, a_snapshot, cloud_key, signer, v2_claims, v2_token
from tests.gate.test_torn import switching_often
from tests.gate.world import ThreadedDoor, a_fetched_snapshot, a_keyring, a_view, is_granted, reason_of

Make = Callable[..., Gate]
READ = ("Orders.Read",)
SKEW = 60


class WallClock:
    """A wall clock that steps when told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def wanted(now: float) -> R | None:
    """Return what the plain reading of exp, nbf and iat gives for the built token (RFC 7519 §4.1)."""
    if now >= EXPIRES_AT + SKEW:
        return R.TOKEN_EXPIRED
    return R.TOKEN_NOT_YET_VALID if now < ISSUED_AT - SKEW else None


STEPS = {
    "ten minutes forth": [600],
    "ten minutes back": [-600],
    "a little more than the skew back": [-(NOW - ISSUED_AT) - 61],
    "a day back": [-86_400],
    "a day forth": [86_400],
    "forth and back": [86_400, -86_400],
    "back and forth": [-86_400, 86_400],
    "the last second twice": [EXPIRES_AT + SKEW - 1 - NOW, 0, 1, -1],
    "a leap second smeared": [0.25, -0.5, 0.75],
    "to the epoch and back": [-NOW, NOW],
    "beyond what a token may say": [2**53, -(2**53)],
    "at every second around the end": [EXPIRES_AT + SKEW - 5 - NOW, *[1] * 10],
    "at every second around the begin": [ISSUED_AT - SKEW - 5 - NOW, *[1] * 10],
}


@pytest.mark.threat(49)
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "new each time"])
def test_a_step_of_the_clock_counts_at_once(make: Make, steps: list[float], seen: bool):
    """Forth, back, twice the same second: every answer is by the clock of then, remembered token or not."""
    clock = WallClock(NOW)
    gate = make(now=clock)
    token = v2_token()
    assert is_granted(gate.decide(a_view(token), READ))
    for number, step in enumerate(steps):
        clock.now += step
        decision = gate.decide(a_view(token if seen else v2_token(uti=f"t{number}")), READ)
        reason = decision.reason if isinstance(decision, Denied) else None
        assert reason is wanted(clock.now), clock.now


@pytest.mark.threat(49)
def test_a_step_under_load_is_obeyed_by_every_answer(make: Make):
    """Threads ask while the clock steps between a good hour and a late one: no answer is by an hour that is over."""
    clock = WallClock(NOW)
    gate = make(now=clock)
    view = a_view()
    wrong: list[float] = []
    asked: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            before = clock.now
            granted = is_granted(gate.decide(view, READ))
            if clock.now == before and granted != (before < EXPIRES_AT):
                wrong.append(before)
            asked.append(before)

    threads = [threading.Thread(target=ask, name=f"asker-{number}") for number in range(3)]
    with switching_often():
        for thread in threads:
            thread.start()
        for step in range(600):
            clock.now = (
                EXPIRES_AT + SKEW if step % 2 else NOW
            ) + step  # no instant twice: none is mistaken for another
            before = len(asked)
            while len(asked) < before + 3:
                time.sleep(0)
        done.set()
        for thread in threads:
            thread.join()

    assert wrong == []
    assert {at < EXPIRES_AT for at in asked} == {True, False}


@pytest.mark.threat(49)
def test_dates_of_the_policy_follow_the_same_clock(make: Make):
    """A partner's end and a role's window open and close with each step, without a change of the policy."""
    clock = WallClock(NOW)
    gate = make(news=a_snapshot(acme={"ends_at": NOW + 300}, acme_reads={"not_before": NOW - 300}), now=clock)
    for step, reason in ((0, None), (300, R.PARTNER_ENDED), (-1, None), (-600, R.ROLE_NOT_ASSIGNED), (1, None)):
        clock.now += step
        decision = gate.decide(a_view(), READ)
        assert (decision.reason if isinstance(decision, Denied) else None) is reason


@pytest.mark.threat(49)
def test_keys_do_not_age_with_the_wall_clock(make: Make):
    """A day forth or back ages no key, ends no cooldown and causes no fetch: those timers are monotonic."""
    clock = WallClock(NOW)
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot(), now=clock)
    unknown = a_view(signer("RS256", "rotated").sign(v2_claims()))
    assert is_granted(gate.decide(a_view(), READ))
    gate.decide(unknown, READ)
    fetches = door.fetches
    for step in (86_400, -86_400, -86_400 * 400, 86_400 * 800):
        clock.now = NOW + step
        fresh = v2_claims(iat=clock.now, nbf=clock.now, exp=clock.now + 3600)
        assert isinstance(gate.decide(a_view(cloud_key().sign(fresh)), READ), Granted)
        assert reason_of(gate.decide(unknown, READ)) is R.SIGNING_KEY_UNKNOWN
    assert door.fetches == fetches


@pytest.mark.threat(49)
@pytest.mark.parametrize("room", ["core", "net", "discovery", "feed", "gate", "forward_auth", "integrations"])
def test_no_room_of_a_request_reads_a_wall_clock(room: str):
    """Only the composition roots make clocks: in these rooms every clock is an argument, or the monotonic one."""
    package = Path(tenantgate.__file__).parent / room
    used = {
        f"{node.value.id}.{node.attr}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }

    assert used.isdisjoint(
        {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today", "time.gmtime"}
    )
