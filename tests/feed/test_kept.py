"""A source with a folder: what is acknowledged survives a restart, and what is on the disk is never older than that."""

from __future__ import annotations

import errno
import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenantgate.core.index import PolicyIndex
from tenantgate.core.policy import PolicyDelta, PolicySnapshot
from tenantgate.feed.kept import NOTE_INTERVAL, RETRY_INTERVAL, KeptSource
from tenantgate.feed.source import FeedError, Mark, PolicySource
from tenantgate.feed.store import PolicyStore
from tests.builders import NOW, a_snapshot
from tests.gate.world import suspended

MONTH = 30 * 86_400.0
AWAY = FeedError("database_missing", "there is no database")
NewsOrTrouble = PolicySnapshot | PolicyDelta | FeedError | None


class Clocks:
    """A steady clock and a wall clock, to be set."""

    def __init__(self) -> None:
        self.steady = 1_000.0
        self.wall = float(NOW)

    def go_on(self, seconds: float) -> None:
        """Let time pass by both."""
        self.steady += seconds
        self.wall += seconds


class FakeSource:
    """A MarkedSource that has what the test puts into it."""

    def __init__(self, whole: PolicySnapshot | FeedError) -> None:
        self.whole = whole
        self.news: list[NewsOrTrouble] = []
        self.mark: Mark | None = None
        self.resumed: list[Mark] = []
        self.acknowledged: list[int] = []
        self.loads = 0
        self.closed = False

    def load(self) -> PolicySnapshot:
        """Return or raise `whole`."""
        self.loads += 1
        if isinstance(self.whole, FeedError):
            raise self.whole
        self.mark = mark(self.whole.revision)
        return self.whole

    def wait(self, timeout: float) -> PolicySnapshot | PolicyDelta | None:
        """Return or raise the next news."""
        found = self.news.pop(0) if self.news else None
        if isinstance(found, FeedError):
            raise found
        if found is not None:
            self.mark = mark(found.revision)
        return found

    def resume(self, mark: Mark) -> None:
        """Note it."""
        self.resumed.append(mark)

    def acknowledge(self, revision: int) -> None:
        """Note it."""
        self.acknowledged.append(revision)

    def report(self, keys: Callable[[], list[dict[str, Any]]]) -> None:
        """Nobody is told."""

    def close(self) -> None:
        """Note it."""
        self.closed = True


class FullStore(PolicyStore):
    """A store on a disk that can be full (nothing is written) or read-only (nothing is removed either)."""

    full = False
    read_only = False

    def keep(self, news: PolicySnapshot | PolicyDelta, mark: Mark) -> None:
        """Write, if there is room."""
        self._look()
        super().keep(news, mark)

    def note_heard(self, at: float, age: float) -> None:
        """Write, if there is room."""
        self._look()
        super().note_heard(at, age)

    def discard(self) -> None:
        """Remove, if that can be."""
        if self.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        super().discard()

    def _look(self) -> None:
        if self.full or self.read_only:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def clocks() -> Clocks:
    """Time."""
    return Clocks()


@pytest.fixture
def store(tmp_path: Path, clocks: Clocks) -> FullStore:
    """A folder."""
    return FullStore(tmp_path, lambda: clocks.wall)


def mark(revision: int) -> Mark:
    """How far the source got."""
    return Mark(epoch="e1", revision=revision, audit_sequence=revision, audit_hash=f"{revision:064x}")


def over(source: FakeSource, store: PolicyStore, clocks: Clocks, max_age: float | None = 3_600.0) -> KeptSource:
    """A source that keeps what it delivers."""
    return KeptSource(source, store, max_age=max_age, clock=lambda: clocks.steady, wall=lambda: clocks.wall)


def run(source: PolicySource, news: PolicySnapshot | PolicyDelta | None) -> None:
    """Do as a gate does that has put news in force."""
    assert news is not None
    source.acknowledge(news.revision)


def state_of(snapshot: PolicySnapshot) -> str:
    """How acme stands in it."""
    return PolicyIndex.from_snapshot(snapshot).partners["acme"].state


def filled(store: PolicyStore, clocks: Clocks) -> None:
    """Another process was here: revision 2, acme suspended."""
    inner = FakeSource(a_snapshot())
    source = over(inner, store, clocks)
    run(source, source.load())
    inner.news = [suspended()]
    run(source, source.wait(0))
    assert inner.acknowledged == [1, 2]


def test_a_restart_without_the_source_goes_on_with_what_was_acknowledged(
    store: FullStore, clocks: Clocks, caplog: pytest.LogCaptureFixture
):
    """It is said, loudly; and the source is told how far it must be."""
    filled(store, clocks)
    inner = FakeSource(AWAY)

    with caplog.at_level(logging.CRITICAL, "tenantgate.feed"):
        found = over(inner, store, clocks).load()

    assert (found.revision, state_of(found)) == (2, "suspended")
    assert inner.resumed == [mark(2), mark(2)]
    assert "there is no database" in caplog.text


def test_a_source_that_is_there_is_what_counts(store: FullStore, clocks: Clocks):
    """The folder is only asked how far it got."""
    filled(store, clocks)
    inner = FakeSource(a_snapshot(revision=3))
    source = over(inner, store, clocks)

    assert state_of(source.load()) == "active"
    assert inner.resumed == [mark(2)]


def test_what_nobody_acknowledged_is_not_kept(store: FullStore, clocks: Clocks):
    """A change that could not be put in force is not on the disk; the next load begins without it."""
    filled(store, clocks)
    inner = FakeSource(a_snapshot(revision=2, acme={"state": "suspended"}))
    source = over(inner, store, clocks)
    run(source, source.load())
    inner.news = [suspended(since=2)]
    source.wait(0)
    inner.whole = AWAY

    found = source.load()

    assert found.revision == 2
    assert inner.resumed[-1] == mark(2)


def test_nothing_kept_is_the_sources_own_trouble(store: FullStore, clocks: Clocks):
    """As without a folder."""
    with pytest.raises(FeedError) as caught:
        over(FakeSource(AWAY), store, clocks).load()
    assert caught.value is AWAY


def test_what_is_too_old_is_not_used(store: FullStore, clocks: Clocks):
    """Its age goes on over a restart: up to the most it is used, and as old as it is."""
    filled(store, clocks)
    clocks.go_on(3_600)
    assert over(FakeSource(AWAY), store, clocks).load().age == 3_600
    clocks.go_on(1)

    with pytest.raises(FeedError, match="what was kept is 3601 s old, 3600 are allowed") as caught:
        over(FakeSource(AWAY), store, clocks).load()

    assert caught.value.code == "database_missing"
    assert over(FakeSource(AWAY), store, clocks, max_age=None).load().age == 3_601


def test_hearing_that_nothing_is_new_keeps_it_young(store: FullStore, clocks: Clocks):
    """Written down now and then; while the source is away its age grows, also by a wall clock set back a little."""
    filled(store, clocks)
    inner = FakeSource(a_snapshot(revision=2))
    source = over(inner, store, clocks)
    run(source, source.load())
    clocks.go_on(NOTE_INTERVAL)
    source.wait(0)
    assert over(FakeSource(AWAY), store, clocks).load().age == 0

    clocks.go_on(500)
    inner.news = [AWAY]
    with pytest.raises(FeedError):
        source.wait(0)
    clocks.wall -= 50

    assert over(FakeSource(AWAY), store, clocks).load().age == 500


def test_a_clock_that_ran_ahead_makes_nothing_young(store: FullStore, clocks: Clocks):
    """A change was kept while it was a month ahead. It is as old as the source's last word by the right clock."""
    filled(store, clocks)
    inner = FakeSource(a_snapshot(revision=2, acme={"state": "suspended"}))
    source = over(inner, store, clocks)
    run(source, source.load())
    clocks.wall += MONTH
    inner.news = [suspended(since=2)]
    run(source, source.wait(0))
    clocks.wall -= MONTH
    clocks.go_on(NOTE_INTERVAL)
    source.wait(0)

    for days in (10, 29, 30, 31, 100):
        clocks.wall = NOW + days * 86_400.0
        age = over(FakeSource(AWAY), store, clocks, max_age=None).load().age
        assert age == days * 86_400.0 - NOTE_INTERVAL, days


def test_what_is_of_a_time_yet_to_come_is_as_old_as_can_be(
    store: FullStore, clocks: Clocks, caplog: pytest.LogCaptureFixture
):
    """Either clock may be the wrong one. Used only where there is no limit of age; it is said."""
    filled(store, clocks)
    clocks.wall -= MONTH

    with pytest.raises(FeedError, match="yet to come by this machine's clock: how old it is is not known") as caught:
        over(FakeSource(AWAY), store, clocks, max_age=1e12).load()
    assert caught.value.code == "database_missing"

    inner = FakeSource(AWAY)
    source = over(inner, store, clocks, max_age=None)
    with caplog.at_level(logging.CRITICAL, "tenantgate.feed"):
        assert source.load().age == math.inf
    assert "there is no database; it was written at a time that is yet to come" in caplog.text
    inner.news = [AWAY]
    with pytest.raises(FeedError):
        source.wait(0)
    assert over(FakeSource(AWAY), store, clocks, max_age=None).load().age == math.inf  # and no note made it younger

    inner.whole = a_snapshot(revision=3)
    run(source, source.load())
    assert over(FakeSource(AWAY), store, clocks).load().age == 0


def test_what_was_just_loaded_is_young_and_what_was_before_is_not(store: FullStore, clocks: Clocks):
    """After an outage: the source is noted with the whole policy it gave, and not before that is on the disk."""
    filled(store, clocks)
    clocks.go_on(10 * MONTH)
    source = over(FakeSource(a_snapshot(revision=3)), store, clocks)
    found = source.load()
    assert over(FakeSource(AWAY), store, clocks, max_age=None).load().age == 10 * MONTH

    run(source, found)
    kept = over(FakeSource(AWAY), store, clocks).load()
    assert (kept.revision, kept.age) == (3, 0)


def test_a_policy_from_disk_goes_on_ageing(store: FullStore, clocks: Clocks):
    """A process that began with it and was restarted in its turn has no younger one."""
    filled(store, clocks)
    clocks.go_on(1_000)
    inner = FakeSource(AWAY)
    source = over(inner, store, clocks)
    source.load()
    clocks.steady += 700
    inner.news = [AWAY]
    with pytest.raises(FeedError):
        source.wait(0)

    assert over(FakeSource(AWAY), store, clocks).load().age == 1_700


def test_a_full_disk_keeps_nothing_old(store: FullStore, clocks: Clocks, caplog: pytest.LogCaptureFixture):
    """What cannot be written is not on the disk in its old form either: a restart finds none. Said once."""
    filled(store, clocks)
    inner = FakeSource(a_snapshot(revision=2, acme={"state": "suspended"}))
    source = over(inner, store, clocks)
    run(source, source.load())
    store.full = True
    with caplog.at_level(logging.CRITICAL, "tenantgate.feed"):
        for since in (2, 3):
            inner.news = [suspended(since=since)]
            run(source, source.wait(0))

    assert inner.acknowledged == [2, 3, 4]
    assert store.read() is None
    assert store.mark() == mark(2)
    assert [record.getMessage() for record in caplog.records] == ["the policy is not kept: No space left on device"]


def test_a_disk_that_answers_again_gets_the_whole(store: FullStore, clocks: Clocks):
    """Tried now and then; the whole policy is asked for only where a small file could be written."""
    filled(store, clocks)
    inner = FakeSource(a_snapshot(revision=3, acme={"state": "suspended"}))
    source = over(inner, store, clocks)
    store.full = True
    run(source, source.load())
    for _ in range(3):
        clocks.go_on(RETRY_INTERVAL)
        assert source.wait(0) is None
    assert inner.loads == 1

    store.full = False
    assert source.wait(0) is None  # not yet time
    clocks.go_on(RETRY_INTERVAL)
    news = source.wait(0)
    run(source, news)

    assert (inner.loads, inner.acknowledged) == (2, [3, 3])
    assert store.mark() == mark(3)
    found = over(FakeSource(AWAY), store, clocks).load()
    assert (found.revision, state_of(found)) == (3, "suspended")
    clocks.go_on(RETRY_INTERVAL)
    assert source.wait(0) is None


def test_what_a_restart_would_not_know_is_not_acknowledged(store: FullStore, clocks: Clocks):
    """On a disk where the old policy cannot even be removed, nobody is told that a suspension is safe."""
    filled(store, clocks)
    inner = FakeSource(a_snapshot(revision=2, acme={"state": "suspended"}))
    source = over(inner, store, clocks)
    run(source, source.load())
    store.read_only = True
    inner.news = [suspended(since=2)]
    run(source, source.wait(0))
    assert inner.acknowledged == [2]

    store.read_only = False
    inner.whole = a_snapshot(revision=3, acme={"state": "suspended"})
    clocks.go_on(RETRY_INTERVAL)
    run(source, source.wait(0))

    assert inner.acknowledged == [2, 3]


def test_a_change_without_its_beginning_asks_for_the_whole(store: FullStore, clocks: Clocks):
    """Somebody removed the file: the next look loads all of it, at once."""
    filled(store, clocks)
    inner = FakeSource(a_snapshot(revision=2, acme={"state": "suspended"}))
    source = over(inner, store, clocks)
    run(source, source.load())
    store.discard()
    inner.news = [suspended(since=2)]
    inner.whole = a_snapshot(revision=3, acme={"state": "suspended"})
    run(source, source.wait(0))
    run(source, source.wait(0))

    found = store.read()
    assert found is not None
    assert found.snapshot.revision == 3


def test_a_damaged_folder_is_said_and_serves_nobody(store: FullStore, clocks: Clocks, caplog: pytest.LogCaptureFixture):
    """Neither as a policy nor as a mark; the source's own policy counts, and is kept again."""
    filled(store, clocks)
    for name in ("policy.jsonl", "mark.jsonl"):
        (store.folder / name).write_bytes(b"damaged\n")

    with caplog.at_level(logging.CRITICAL, "tenantgate.feed"), pytest.raises(FeedError, match="kept_damaged"):
        over(FakeSource(AWAY), store, clocks).load()
    assert [getattr(record, "code", "") for record in caplog.records] == ["policy_mark_unreadable"]

    inner = FakeSource(a_snapshot(revision=5))
    source = over(inner, store, clocks)
    run(source, source.load())
    assert (inner.acknowledged, store.mark()) == ([5], mark(5))


def test_a_folder_that_does_not_answer_is_waited_for(store: FullStore, clocks: Clocks):
    """No database is followed whose place in history cannot be asked now: it may be a restored backup."""
    filled(store, clocks)
    path = store.folder / "mark.jsonl"
    path.chmod(0o666)  # others could have written to it
    inner = FakeSource(a_snapshot())
    source = over(inner, store, clocks)

    with pytest.raises(FeedError) as caught:
        source.load()
    assert (caught.value.code, inner.loads) == ("policy_mark_unreadable", 0)

    path.chmod(0o600)
    assert source.load().revision == 1
    assert inner.resumed == [mark(2)]


def test_closing_closes_the_source(store: FullStore, clocks: Clocks):
    """And nothing else."""
    inner = FakeSource(a_snapshot())
    source: PolicySource = over(inner, store, clocks)
    source.report(list)
    source.close()
    assert inner.closed


def test_a_fork_waits_for_the_disk(store: FullStore, clocks: Clocks):
    """No child inherits a file or a lock in the middle of a writing; it begins with a lock of its own."""
    source = over(FakeSource(a_snapshot()), store, clocks)
    assert source.let_go(0.01)
    assert not source.let_go(0.01)
    source.go_on()
    assert source.let_go(0.01)
    source.begin_anew(let_go=True)
    run(source, source.load())
    assert store.mark() == mark(1)


def test_a_snapshot_from_disk_says_its_age():
    """A part of the value, so that a gate counts on from there."""
    assert a_snapshot().age == 0.0
    assert msgspec.structs.replace(a_snapshot(), age=3.0).age == 3.0
