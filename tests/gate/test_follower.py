"""Following a source: every change is put in force, and no trouble of the source's takes the policy away."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.policy import PolicyDelta, PolicyError, PolicySnapshot, kind_of
from tenantgate.feed.file import FileSource
from tenantgate.feed.source import FeedError
from tenantgate.gate.gate import Gate
from tenantgate.gate.keeper import Follower
from tests.builders import NOW, a_snapshot, json_bytes, policy_rows, v2_token
from tests.gate.world import (
    FakeKeys,
    a_broken_delta,
    a_delta,
    a_row_of_policy,
    a_view,
    eventually,
    is_granted,
    reason_of,
    suspended,
)

News = PolicySnapshot | PolicyDelta | Exception
LOGGER = "tenantgate.gate"


class FakeSource:
    """A PolicySource that says what the test puts into it. An exception in it is raised."""

    def __init__(self, first: News, *later: News) -> None:
        self.whole = first
        self.loads = 0
        self.acknowledged: list[int] = []
        self.closed = 0
        self._news: queue.Queue[News | None] = queue.Queue()
        self.say(*later)

    def say(self, *news: News) -> None:
        """Give `wait` something to return."""
        for each in news:
            self._news.put(each)

    def load(self) -> PolicySnapshot:
        """Return (or raise) `whole`."""
        self.loads += 1
        if isinstance(self.whole, Exception):
            raise self.whole
        assert isinstance(self.whole, PolicySnapshot)
        return self.whole

    def wait(self, timeout: float) -> PolicySnapshot | PolicyDelta | None:
        """Return (or raise) the next news, or None when there are none, or when the source was closed."""
        try:
            news = self._news.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(news, Exception):
            raise news
        return news

    def acknowledge(self, revision: int) -> None:
        """Write it down."""
        self.acknowledged.append(revision)

    def report(self, keys: Callable[[], list[dict[str, Any]]]) -> None:
        """Nobody is told."""

    def close(self) -> None:
        """Count, and wake a `wait` under way."""
        self.closed += 1
        self._news.put(None)

    @property
    def heard(self) -> bool:
        """Whether everything that was said has been taken."""
        return self._news.empty()


@pytest.fixture
def follow() -> Iterable[Callable[[FakeSource], Gate]]:
    """Opens gates that follow a source, with no pause after a failure, and closes them."""
    opened: list[Gate] = []

    def follow(source: FakeSource) -> Gate:
        gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: None, id_prefix="t-")
        opened.append(gate)
        gate.follow(source, pause=0.001)
        return gate

    yield follow
    for gate in opened:
        gate.close()


Follow = Callable[[FakeSource], Gate]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the gate complained about."""
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_following_begins_with_the_whole_policy(follow: Follow):
    """When `follow` returns, the policy is in force and the source knows it."""
    source = FakeSource(a_snapshot(revision=4))
    gate = follow(source)

    assert gate.revision == ("e1", 4)
    assert is_granted(gate.decide(a_view()))
    assert (source.loads, source.acknowledged) == (1, [4])


@pytest.mark.parametrize("trouble", [FeedError("file_unreadable", "gone"), PolicyError("version_unknown", "what?")])
def test_following_a_source_without_a_policy_is_refused(follow: Follow, trouble: Exception):
    """Where there is no policy to begin with, `follow` raises, nothing is followed, and the source is released."""
    before = set(threading.enumerate())
    source = FakeSource(trouble)
    with pytest.raises(type(trouble)):
        follow(source)

    assert set(threading.enumerate()) == before
    assert source.closed == 1


def test_a_closed_gate_follows_nothing(follow: Follow):
    """After `close` no source is taken on: it is released, and no thread is started for it."""
    gate = follow(FakeSource(a_snapshot()))
    gate.close()
    before = set(threading.enumerate())
    source = FakeSource(a_snapshot(revision=2))
    with pytest.raises(RuntimeError, match="closed"):
        gate.follow(source)

    assert set(threading.enumerate()) == before
    assert source.closed == 1


def test_changes_are_put_in_force_and_acknowledged_in_order(follow: Follow):
    """Deltas and snapshots take effect as they come; each is acknowledged after it is in force."""
    source = FakeSource(a_snapshot())
    gate = follow(source)
    source.say(suspended(), a_delta(a_row_of_policy("acme"), since=2), a_snapshot(epoch="e2", revision=50))
    eventually(lambda: gate.revision == ("e2", 50))
    eventually(lambda: source.acknowledged == [1, 2, 3, 50])

    source.say(a_delta(a_row_of_policy("acme", state="suspended"), since=50, epoch="e2"))
    eventually(lambda: source.acknowledged[-1] == 51)
    assert reason_of(gate.decide(a_view())) is R.PARTNER_SUSPENDED


def test_a_source_in_trouble_leaves_the_policy(follow: Follow, caplog: pytest.LogCaptureFixture):
    """While the source fails, the policy in force judges; when it speaks again, it is heard. No reload is needed."""
    source = FakeSource(a_snapshot())
    gate = follow(source)
    source.say(*[FeedError("database_unreachable", "no answer")] * 5)
    eventually(lambda: source.heard)
    assert is_granted(gate.decide(a_view()))
    source.say(suspended())
    eventually(lambda: gate.revision[1] == 2)

    assert reason_of(gate.decide(a_view())) is R.PARTNER_SUSPENDED
    assert source.loads == 1
    assert warnings_in(caplog) == ["the policy in force stays: no answer"]


def test_each_complaint_is_logged_once(follow: Follow, caplog: pytest.LogCaptureFixture):
    """A complaint is said when it begins, not each time; another one, or the same after a recovery, is said again."""
    source = FakeSource(a_snapshot())
    gate = follow(source)
    trouble, other = FeedError("database_unreachable", "no answer"), FeedError("database_unreachable", "no route")
    source.say(trouble, trouble, other, other, suspended(), other)
    eventually(lambda: gate.revision[1] == 2)
    eventually(lambda: len(warnings_in(caplog)) == 3)

    said = [(record.levelno, record.__dict__["code"]) for record in caplog.records if record.name == LOGGER]
    assert said == [(logging.WARNING, "database_unreachable")] * 3
    assert warnings_in(caplog)[1:] == ["the policy in force stays: no route"] * 2


def test_a_policy_that_cannot_be_read_is_loaded_again(follow: Follow, caplog: pytest.LogCaptureFixture):
    """After a PolicyError the whole policy is asked for until it can be used; the old one judges meanwhile."""
    source = FakeSource(a_snapshot())
    gate = follow(source)
    source.whole = PolicyError("reference_unknown", "there is no tenant x", "daemons[2].tenant")
    source.say(PolicyError("reference_unknown", "there is no tenant x", "daemons[2].tenant"))
    eventually(lambda: source.loads > 3)
    assert is_granted(gate.decide(a_view()))
    source.whole = a_snapshot(acme={"state": "suspended"}, revision=8)
    eventually(lambda: gate.revision[1] == 8)

    assert reason_of(gate.decide(a_view())) is R.PARTNER_SUSPENDED
    assert warnings_in(caplog) == ["the policy in force stays: daemons[2].tenant: there is no tenant x"]
    assert source.acknowledged == [1, 8]


def test_a_delta_that_cannot_be_applied_is_mended_by_a_load(follow: Follow):
    """A half-applied change refuses everybody until the whole policy has been loaded anew, which is done at once."""
    source = FakeSource(a_snapshot())
    gate = follow(source)
    source.whole = FeedError("database_unreachable", "no answer")
    source.say(a_broken_delta())
    eventually(lambda: source.loads > 2)
    assert reason_of(gate.decide(a_view())) is R.POLICY_UNAVAILABLE
    source.whole = a_snapshot(revision=2)
    eventually(lambda: gate.revision[1] == 2)

    assert is_granted(gate.decide(a_view()))
    assert source.acknowledged == [1, 2]


def test_a_gap_in_the_deltas_is_closed_by_a_load(follow: Follow):
    """A delta that does not follow is not applied; the whole policy is loaded instead."""
    source = FakeSource(a_snapshot())
    gate = follow(source)
    source.whole = a_snapshot(acme={"state": "suspended"}, revision=9)
    source.say(suspended(since=7))
    eventually(lambda: gate.revision[1] == 9)

    assert reason_of(gate.decide(a_view())) is R.PARTNER_SUSPENDED


def test_a_defect_of_a_source_does_not_end_the_following(follow: Follow, caplog: pytest.LogCaptureFixture):
    """What no source may raise is logged once with its trace, and the whole policy is asked for until it comes."""
    source = FakeSource(a_snapshot())
    gate = follow(source)
    source.whole = RuntimeError("a defect")
    source.say(RuntimeError("a defect"))
    eventually(lambda: source.loads > 3)
    assert is_granted(gate.decide(a_view()))
    source.whole = a_snapshot(acme={"state": "suspended"}, revision=8)
    eventually(lambda: gate.revision[1] == 8)

    assert reason_of(gate.decide(a_view())) is R.PARTNER_SUSPENDED
    [record] = [each for each in caplog.records if each.name == LOGGER]
    assert (record.__dict__["code"], record.exc_info is not None) == ("unexpected", True)


def test_a_defect_while_a_change_is_applied_is_mended_by_a_load(follow: Follow):
    """Where the key ring fails in the middle of a change, everybody is refused until a whole policy is in force."""
    source = FakeSource(a_snapshot())
    gate = follow(source)
    keys = gate._keys
    assert isinstance(keys, FakeKeys)

    def failing(rows: object, appids: object) -> None:
        del keys.set_issuers  # type: ignore[attr-defined]
        raise RuntimeError("a defect")

    keys.set_issuers = failing  # type: ignore[method-assign]
    source.whole = FeedError("database_unreachable", "no answer")
    source.say(a_delta(a_row_of_policy("cloud", token_types=("JWT",))))
    eventually(lambda: source.loads > 2)
    assert reason_of(gate.decide(a_view())) is R.POLICY_UNAVAILABLE
    source.whole = a_snapshot(revision=2)
    eventually(lambda: gate.revision[1] == 2)

    assert is_granted(gate.decide(a_view()))


def test_closing_is_no_complaint(caplog: pytest.LogCaptureFixture):
    """A source that says it was closed, because the gate closed it, is not worth a warning."""

    class Protesting(FakeSource):
        def wait(self, timeout: float) -> PolicySnapshot | PolicyDelta | None:
            super().wait(timeout)
            raise FeedError("source_closed", "this source was closed")

    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: None, id_prefix="t-")
    gate.follow(Protesting(a_snapshot()))
    gate.close()

    assert warnings_in(caplog) == []


def test_closing_ends_every_thread_and_closes_every_source(follow: Follow):
    """A gate may follow several sources; `close` ends their threads and its own, and tells each source."""
    before = set(threading.enumerate())
    sources = [FakeSource(a_snapshot()), FakeSource(a_snapshot(revision=2))]
    gate = follow(sources[0])
    gate.follow(sources[1])
    names = sorted(thread.name for thread in set(threading.enumerate()) - before)
    assert names == ["tenantgate-follower", "tenantgate-follower", "tenantgate-keeper"]
    gate.close()

    assert set(threading.enumerate()) == before
    assert [each.closed for each in sources] == [1, 1]
    assert is_granted(gate.decide(a_view()))


def test_closing_ends_a_follower_that_is_pausing():
    """A follower in its pause after a failure ends at once, however long the pause is."""
    before = set(threading.enumerate())
    source = FakeSource(a_snapshot(), FeedError("database_unreachable", "no answer"))
    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: None, id_prefix="t-")
    gate.follow(source, pause=3600)
    eventually(lambda: source.heard)
    gate.close()

    assert set(threading.enumerate()) == before


def quickly(event: threading.Event, seconds: float) -> bool:
    """Pause a fiftieth of what was asked for."""
    return event.wait(seconds / 50)


def a_policy_file(path: Path, **changes: object) -> None:
    """Write the built policy, with rows changed, as a policy file."""
    document: dict[str, object] = {"version": 1}
    for row in policy_rows(**changes):
        kind = document.setdefault(f"{kind_of(row)}s", [])
        assert isinstance(kind, list)
        kind.append(msgspec.to_builtins(row))
    rewrite(path, json_bytes(document))


def rewrite(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that nobody reads half of it."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


def test_follows_a_policy_file(follow: Follow, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """An edit of the file acts on the next call after it was seen; a broken edit keeps the policy and is said."""
    path = tmp_path / "policy.json"
    a_policy_file(path)
    gate = follow(FileSource(path, pause=quickly))  # type: ignore[arg-type]
    view = a_view(v2_token())
    assert is_granted(gate.decide(view))

    a_policy_file(path, acme={"state": "suspended"})
    eventually(lambda: not is_granted(gate.decide(view)))
    assert reason_of(gate.decide(view)) is R.PARTNER_SUSPENDED

    rewrite(path, b'{"version": 1, "partners": [{}]}')
    eventually(lambda: warnings_in(caplog) != [])
    assert reason_of(gate.decide(view)) is R.PARTNER_SUSPENDED

    a_policy_file(path)
    eventually(lambda: is_granted(gate.decide(view)))
    assert len(warnings_in(caplog)) == 1


class Steady:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("hangs", [False, True], ids=["the source fails", "the source hangs"])
def test_a_policy_that_is_too_old_lets_nobody_in(hangs: bool):
    """Up to the age it does, however long the source is away; then nobody, until a whole policy comes."""
    clock, source = Steady(), FakeSource(a_snapshot())
    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: time.sleep(0), id_prefix="t-")
    let_go = threading.Event()
    real = source.wait

    def wait(timeout: float) -> PolicySnapshot | PolicyDelta | None:
        if let_go.is_set():
            return real(0.01)
        if hangs:
            let_go.wait(20)
            return real(0.01)
        raise FeedError("database_unavailable", "nobody is there")

    source.wait = wait  # type: ignore[method-assign]
    gate.follow(source, pause=0.01, max_age=3600.0, clock=clock)
    source.whole = FeedError("database_unavailable", "nobody is there")  # nor is a whole policy to be had
    try:
        clock.now += 3600.0
        time.sleep(1.2)  # a look a second
        assert is_granted(gate.decide(a_view()))
        clock.now += 1.0
        eventually(lambda: not is_granted(gate.decide(a_view())))
        assert reason_of(gate.decide(a_view())) is R.POLICY_TOO_OLD
        assert gate.answer(gate.decide(a_view())).status == 503
        assert gate.revision == ("", 0)

        source.whole = a_snapshot(revision=5)
        let_go.set()
        eventually(lambda: is_granted(gate.decide(a_view())))
        assert gate.revision[1] == 5
        clock.now += 3600.0
        assert is_granted(gate.decide(a_view()))
    finally:
        let_go.set()
        gate.close()


def test_what_comes_in_the_moment_it_is_too_old_mends_nothing_by_halves():
    """A change is no whole policy: it is dropped, and the whole one is loaded."""
    clock, source, installed = Steady(), FakeSource(a_snapshot()), list[Any]()
    follower = Follower(source, installed.append, max_age=10.0, clock=clock)
    follower.load()
    clock.now += 11.0
    follower.check_age()
    source.say(suspended())
    follower._reload = False  # as if it had been asked before
    follower._step()
    assert len(installed) == 1
    follower._reload = True
    follower._step()
    assert [type(each) for each in installed] == [PolicySnapshot, PolicySnapshot]
    clock.now += 9.0
    follower.check_age()
    assert not follower._too_old
