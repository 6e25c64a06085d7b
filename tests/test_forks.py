"""A fork finds our threads between two pieces of work, not in the middle of one."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tenantgate import forks
from tenantgate.forks import stands_still, undivided

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

A_MOMENT = 0.3


def fork(in_child: Callable[[], bool]) -> bool:
    """Fork; return what the child found."""
    with warnings.catch_warnings():
        # From Python 3.12 on forking with threads is warned of; that it works here is what these tests are for.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        found = False
        try:
            found = in_child()
        finally:
            os._exit(0 if found else 1)
    return os.waitpid(child, 0)[1] == 0


class Work:
    """Something a thread is in the middle of for a moment; each time it is not, `halves` is even."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.halves = 0

    def __call__(self) -> None:
        self.halves += 1
        self.begun.set()
        time.sleep(A_MOMENT)
        self.halves += 1

    def whole(self) -> bool:
        """Whether nobody is in the middle of it."""
        return self.halves > 0 and self.halves % 2 == 0


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own and stands still at forks."""
    loop, running = asyncio.new_event_loop(), threading.Event()

    def run() -> None:
        with stands_still(loop):
            loop.call_soon(running.set)
            loop.run_forever()
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert running.wait(10)
    yield loop
    with suppress(RuntimeError):  # a test has ended it
        loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    assert not thread.is_alive()


def test_a_fork_waits_for_a_piece_of_work():
    """The child never sees half of it, and parent and child may go on working."""
    work = Work()

    def undividedly() -> None:
        with undivided(), undivided():
            work()

    thread = threading.Thread(target=undividedly)
    thread.start()
    assert work.begun.wait(10)

    def in_child() -> bool:
        with undivided():
            return work.whole()

    assert fork(in_child)
    thread.join(10)
    with undivided():
        assert work.halves == 2


class Starter:
    """Starts a thread at the moment from which a fork is wanted."""

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread

    def let_go(self, timeout: float) -> bool:
        """Start it."""
        self._thread.start()
        return True

    def go_on(self) -> None:
        """It goes on by itself."""

    def begin_anew(self, *, let_go: bool) -> None:
        """The child does not have it."""


def test_no_work_begins_during_a_fork():
    """Who comes while a fork is wanted waits for it to be over: no fork has to wait for ever."""
    work, order = Work(), list[str]()

    def first() -> None:
        with undivided():
            work()
        order.append("first ended")

    def second() -> None:
        with undivided():
            order.append("second began")

    one, two = threading.Thread(target=first), threading.Thread(target=second)
    starter = Starter(two)  # in the middle of the waiting
    forks.let_go_at_forks(starter)
    one.start()
    assert work.begun.wait(10)
    assert fork(lambda: order in ([], ["first ended"]))
    one.join(10)
    two.join(10)
    assert sorted(order) == ["first ended", "second began"]


def test_a_fork_waits_for_a_callback_of_a_loop(loop: asyncio.AbstractEventLoop):
    """A loop stands still between two callbacks, in the parent only as long as the fork takes."""
    work = Work()
    loop.call_soon_threadsafe(work)
    assert work.begun.wait(10)
    assert fork(work.whole)
    after = threading.Event()
    loop.call_soon_threadsafe(after.set)
    assert after.wait(10)


def test_a_loop_that_ends_meanwhile_is_not_waited_for(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
):
    """It will not stand still any more, and needs not to."""
    work = Work()
    loop.call_soon_threadsafe(work)
    assert work.begun.wait(10)
    loop.call_soon_threadsafe(loop.stop)
    assert fork(work.whole)
    assert caplog.messages == []


def test_a_fork_in_the_middle_of_ones_own_work_is_ones_own_affair():
    """The forking thread's own piece is not waited for, and ends in both."""
    with undivided():
        child = fork(lambda: True)
    assert child
    with undivided():
        pass

    def in_child() -> bool:
        with undivided():
            return True

    assert fork(in_child)


def test_a_child_that_forked_in_the_middle_may_go_on_forking():
    """What it was in the middle of belonged to its parent's count."""

    def in_child() -> bool:
        work.__exit__(None, None, None)
        return fork(lambda: True)

    work = undivided()
    work.__enter__()
    assert fork(in_child)
    work.__exit__(None, None, None)


def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """Work that hangs delays it by so much and no more; and it is said."""
    monkeypatch.setattr(forks, "MOST_WAIT", 0.05)
    work = Work()

    def hang() -> None:
        with undivided():
            work()

    thread = threading.Thread(target=hang)
    thread.start()
    assert work.begun.wait(10)
    with caplog.at_level(logging.WARNING):
        assert fork(lambda: not work.whole())
    assert caplog.messages == ["the process forks although threads are at work; the child may wait for them for ever"]
    thread.join(10)


class Connection:
    """Something that is open, and that a child may neither use nor close."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open = True
        self.begun: list[bool] = []
        forks.let_go_at_forks(self)

    def let_go(self, timeout: float) -> bool:
        """Close it, and hold the lock."""
        if not self.lock.acquire(timeout=timeout):
            return False
        self.open = False
        return True

    def go_on(self) -> None:
        """Open it again."""
        self.open = True
        self.lock.release()

    def begin_anew(self, *, let_go: bool) -> None:
        """Note what is known."""
        self.begun.append(let_go)
        self.lock = threading.Lock()


def test_what_is_open_is_let_go_of():
    """The child finds it closed and begins anew; the parent goes on."""
    connection = Connection()
    assert fork(lambda: (connection.open, connection.begun, connection.lock.locked()) == (False, [True], False))
    assert (connection.open, connection.begun, connection.lock.locked()) == (True, [], False)


def test_what_cannot_be_let_go_of_is_known_in_the_child(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Whoever hangs with it delays the fork by so much and no more; the child is told that it is still open."""
    monkeypatch.setattr(forks, "MOST_WAIT", 0.05)
    connection = Connection()
    with connection.lock:
        assert fork(lambda: (connection.open, connection.begun) == (True, [False]))
        assert connection.lock.locked()
    assert connection.open
    assert len(caplog.messages) == 1
    assert fork(lambda: connection.begun == [True])


def test_forks_in_many_threads_let_go_each_for_itself():
    """No fork goes on with what another has let go of, and no child finds anything open or anybody's lock held."""
    connection, bad = Connection(), list[int]()

    def use() -> None:
        while not stop.is_set():
            with connection.lock:
                pass

    def fork_often() -> None:
        for _ in range(40):
            if not fork(
                lambda: (connection.open, connection.begun, connection.lock.locked()) == (False, [True], False)
            ):
                bad.append(1)

    stop = threading.Event()
    users = [threading.Thread(target=use) for _ in range(2)]
    forking = [threading.Thread(target=fork_often) for _ in range(4)]
    for thread in users + forking:
        thread.start()
    for thread in forking:
        thread.join(60)
    stop.set()
    for thread in users:
        thread.join(10)
    assert bad == []
    assert (connection.open, connection.lock.locked()) == (True, False)


class Owner:
    """Has threads."""

    def __init__(self, log: list[str], name: str, fails: bool = False) -> None:
        self._log, self._name, self._fails = log, name, fails
        forks.restart_in_children(self)

    def restart_in_child(self) -> None:
        """Note it, or fail."""
        self._log.append(self._name)
        if self._fails:
            raise RuntimeError("can't start new thread")


def test_threads_are_started_again_in_order_and_whatever_fails(caplog: pytest.LogCaptureFixture):
    """In the child alone; an owner that is gone is forgotten; one that fails is logged."""
    log: list[str] = []
    owners = [Owner(log, "first"), Owner(log, "second", fails=True), Owner(log, "third")]
    Owner(log, "gone")
    assert fork(
        lambda: (
            log == ["first", "second", "third"]
            and caplog.messages == ["a forked process could not start all of its threads"]
        )
    )
    assert log == []
    before = len(forks._restarting)
    del owners[1]
    assert len(forks._restarting) == before - 1


def test_forks_in_many_threads_and_work_in_others_get_along():
    """No order of them makes anybody wait for ever, and no child sees half of anything."""
    stop, halves, torn = threading.Event(), [0, 0, 0], list[int]()

    def work(place: int) -> None:
        while not stop.is_set():
            with undivided():
                halves[place] += 1
                time.sleep(0.0005)
                halves[place] += 1

    def fork_often() -> None:
        for _ in range(25):
            if not fork(lambda: all(each % 2 == 0 for each in halves)):
                torn.append(1)

    workers = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    forking = [threading.Thread(target=fork_often) for _ in range(2)]
    for thread in workers + forking:
        thread.start()
    for thread in forking:
        thread.join(60)
        assert not thread.is_alive()
    stop.set()
    for thread in workers:
        thread.join(10)
        assert not thread.is_alive()
    assert torn == []
