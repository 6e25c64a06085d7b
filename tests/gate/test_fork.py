"""After os.fork() the child's gate judges, fetches and follows by itself, with threads of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantgate.core.decision import Decision, Denied
from tenantgate.feed.file import FileSource
from tenantgate.gate.gate import Gate
from tests.builders import NOW, cloud_key, signer, v2_claims
from tests.gate.test_follower import FakeSource, a_policy_file, quickly
from tests.gate.world import FakeKeys, ThreadedDoor, a_fetched_snapshot, a_keyring, a_view, eventually, is_granted

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

Make = Callable[..., Gate]
READ = ("Orders.Read",)
ROTATED = signer("RS256", "rotated")
SECONDS = 20


def outcome(decision: Decision) -> str:
    """Return `granted`, or the reason."""
    return decision.reason.value if isinstance(decision, Denied) else "granted"


def threads_of_ours() -> list[str]:
    """Return the names of the threads that belong to gates, sorted."""
    return sorted(each.name for each in threading.enumerate() if each.name.startswith("tenantgate-"))


class Child:
    """A forked child that runs one function and says what it returned."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self._pipe = pipe

    def report(self) -> Any:
        """Wait for the child's report; fail where it has none."""
        said = b""
        while select.select([self._pipe], [], [], SECONDS)[0]:
            chunk = os.read(self._pipe, 65536)
            if not chunk:
                break
            said += chunk
        assert said, "the child said nothing"
        found = json.loads(said)
        assert "error" not in found, found
        return found["report"]


@pytest.fixture
def fork() -> Iterator[Callable[[Callable[[], Any]], Child]]:
    """Forks children that run a function, and sees to it that they end with the test."""
    children: list[Child] = []

    def fork(work: Callable[[], Any]) -> Child:
        readable, writable = os.pipe()
        with warnings.catch_warnings():
            # From Python 3.12 on forking with threads is warned of; that it works here is what these tests are for.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _run_in_child(work, writable)
        os.close(writable)
        children.append(Child(pid, readable))
        return children[-1]

    yield fork
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, 9)
        os.waitpid(child.pid, 0)
        os.close(child._pipe)


def _run_in_child(work: Callable[[], Any], writable: int) -> None:
    """Report what `work` returns and leave at once: pytest's own ending belongs to the parent."""
    try:
        said = {"report": work()}
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent wants to hear it
        said = {"error": repr(error)}
    os.write(writable, json.dumps(said).encode())
    os._exit(0)


Fork = Callable[[Callable[[], Any]], Child]


def test_a_child_judges_with_what_is_at_hand(make: Make, fork: Fork):
    """Policy, keys and remembered tokens are inherited: the child answers without a fetch."""
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot())
    assert is_granted(gate.decide(a_view(), READ))

    def work() -> Any:
        return outcome(gate.decide(a_view(), READ)), outcome(gate.decide(a_view("x"), READ)), door.fetches

    assert fork(work).report() == ["granted", "token_malformed", 1]


def test_a_child_fetches_through_its_own_thread(make: Make, fork: Fork):
    """The parent's loop thread does not exist in the child: the child starts one, with a door of its own."""
    door = ThreadedDoor()
    gate = make(a_keyring(door, cooldown=0.0), a_fetched_snapshot())
    assert is_granted(gate.decide(a_view(), READ))
    door.publish(cloud_key(), ROTATED)

    def work() -> Any:
        before = threads_of_ours()
        answer = outcome(gate.decide(a_view(ROTATED.sign(v2_claims())), READ))
        gate.close()
        return before, answer, door.fetches, door.opened, threads_of_ours()

    assert fork(work).report() == [["tenantgate-keeper"], "granted", 2, 2, []]
    assert (door.fetches, door.opened) == (1, 1)
    assert is_granted(gate.decide(a_view(ROTATED.sign(v2_claims())), READ))


def test_a_child_of_an_idle_parent_starts_its_thread_on_need(make: Make, fork: Fork):
    """A gate that has fetched nothing yet may be forked (as preforking servers do) and fetches in each child."""
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot())

    def work() -> Any:
        return threads_of_ours(), outcome(gate.decide(a_view(), READ)), door.fetches, threads_of_ours()

    for child in [fork(work), fork(work)]:
        assert child.report() == [[], "granted", 1, ["tenantgate-keeper"]]
    assert (door.fetches, threads_of_ours()) == (0, [])


def test_a_child_forked_during_a_fetch_makes_its_own(make: Make, fork: Fork):
    """A fetch under way in the parent never ends in the child, so the child does not wait for it."""
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot())
    door.go.clear()
    asker = threading.Thread(target=lambda: gate.decide(a_view(), READ))
    asker.start()
    eventually(lambda: door.opened == 1)

    def work() -> Any:
        door.go = threading.Event()
        door.go.set()
        return outcome(gate.decide(a_view(), READ))

    child = fork(work)
    door.go.set()
    asker.join()
    assert child.report() == "granted"


def test_a_child_follows_its_source(fork: Fork, tmp_path: Path):
    """A policy edited after the fork acts in the child as it does in the parent."""
    path = tmp_path / "policy.json"
    a_policy_file(path)
    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: None, id_prefix="t-")
    gate.follow(FileSource(path, pause=quickly), pause=0.01)  # type: ignore[arg-type]
    assert is_granted(gate.decide(a_view(), READ))
    readable, writable = os.pipe()

    def work() -> Any:
        first, threads = outcome(gate.decide(a_view(), READ)), threads_of_ours()
        os.write(writable, b"ready")
        eventually(lambda: not is_granted(gate.decide(a_view(), READ)), seconds=SECONDS)
        gate.close()
        return first, threads, outcome(gate.decide(a_view(), READ)), threads_of_ours()

    child = fork(work)
    try:
        assert select.select([readable], [], [], SECONDS)[0], "the child is not ready"
        a_policy_file(path, acme={"state": "suspended"})
        both = ["tenantgate-follower", "tenantgate-keeper"]
        assert child.report() == ["granted", both, "partner_suspended", []]
        eventually(lambda: not is_granted(gate.decide(a_view(), READ)))
    finally:
        gate.close()
        os.close(readable)
        os.close(writable)


def test_a_child_begins_with_the_whole_policy(fork: Fork):
    """What the parent had heard of and not yet applied is lost with its thread: the child loads everything anew."""
    source = FakeSource(a_fetched_snapshot())
    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: None, id_prefix="t-")
    gate.follow(source)
    source.whole = a_fetched_snapshot(revision=7)

    def work() -> Any:
        eventually(lambda: source.acknowledged == [1, 7], seconds=SECONDS)  # said after it is in force
        return source.loads, source.acknowledged

    try:
        assert fork(work).report() == [2, [1, 7]]
        assert (source.loads, gate.revision[1]) == (1, 1)
    finally:
        gate.close()


def test_a_child_forked_during_a_change_judges_by_the_whole_one(fork: Fork):
    """A change half-way in at the fork stays half-way in for ever: the child refuses until it has loaded anew."""
    source = FakeSource(a_fetched_snapshot())
    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: time.sleep(0), id_prefix="t-")
    gate.follow(source)
    index = gate._index
    assert index is not None
    index.generation += 1

    def work() -> Any:
        eventually(lambda: gate.decide(a_view(), READ).revision == 7, seconds=SECONDS)
        return outcome(gate.decide(a_view("x"), READ))

    source.whole = a_fetched_snapshot(revision=7)
    try:
        assert fork(work).report() == "token_malformed"
    finally:
        gate.close()


def test_decision_ids_never_repeat_across_a_fork(make: Make, fork: Fork):
    """Parent and children go on counting, each under a prefix of its own, so that an id names one decision."""
    gate = make()
    first = gate.decide(a_view(), READ).id

    def work() -> Any:
        return [gate.decide(a_view(), READ).id for _ in range(5)]

    ids = [first, *fork(work).report(), *fork(work).report(), *work()]
    assert len(set(ids)) == 16
    assert all(each.startswith("t-") for each in ids)


def test_a_closed_gate_stays_closed_in_a_child(make: Make, fork: Fork):
    """Closing before the fork is closing for the child: no thread comes back to life."""
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot())
    assert is_granted(gate.decide(a_view(), READ))
    gate.close()

    assert fork(lambda: (outcome(gate.decide(a_view(), READ)), threads_of_ours())).report() == ["granted", []]


def test_a_child_that_cannot_follow_the_policy_lets_nobody_in(fork: Fork, monkeypatch: pytest.MonkeyPatch):
    """It would never hear of a suspension; its parent goes on."""
    source = FakeSource(a_fetched_snapshot())
    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: time.sleep(0), id_prefix="t-")
    gate.follow(source)
    real = threading.Thread.start
    here = os.getpid()

    def start(thread: threading.Thread) -> None:
        if os.getpid() != here and thread.name == "tenantgate-follower":
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    try:
        assert fork(lambda: [outcome(gate.decide(a_view(), READ)), gate.revision[1]]).report() == [
            "policy_unavailable",
            0,
        ]
        assert gate.revision[1] == 1
    finally:
        gate.close()


def test_a_gate_that_is_gone_leaves_nothing_in_a_child(fork: Fork):
    """A gate that nobody holds any more is not kept alive, nor restarted, by the hook for forks."""
    door = ThreadedDoor()
    gate = Gate("orders", a_keyring(door), now=lambda: 0, yield_thread=lambda: None, id_prefix="t-")
    gate.install(a_fetched_snapshot())
    del gate

    assert fork(threads_of_ours).report() == []
