"""A fork waits until our threads stand still.

A child has its parent's memory and of its threads only the one that forked. Whatever another thread was in the middle
of stays half-done there for ever: a lock that it held is held by nobody. Locks of ours could be made anew; those of
Python's import system, and those inside OpenSSL (under ssl, hashlib and cryptography), cannot. A preforking server
forks right after the application was made, which is when a gate's first fetches begin.

So our threads say what must not be cut in two (`undivided`), an event loop of ours stands still between two callbacks
(`stands_still`), whoever has opened what a child may not touch lets go of it (`let_go_at_forks`), and a fork waits for
all three: milliseconds as a rule, and `MOST_WAIT` at most. In the child, threads are started again
(`restart_in_children`). One fork at a time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

log: Final = logging.getLogger("tenantgate.forks")

T = TypeVar("T")

MOST_WAIT: Final = 10.0
"""Seconds that a fork waits. After them it goes ahead: a process that cannot fork any more helps nobody."""


class Holder(Protocol):
    """Has something open that a child may neither use nor close."""

    def let_go(self, timeout: float) -> bool:
        """Let go of it, and stand still until `go_on`; False where that could not be had within so many seconds."""
        ...

    def go_on(self) -> None:
        """Go on after the fork, in the parent. Only after a `let_go` that said True."""
        ...

    def begin_anew(self, *, let_go: bool) -> None:
        """Go on after the fork, in the child, where all other threads are gone."""
        ...


class Restarting(Protocol):
    """Has threads that a child needs, too."""

    def restart_in_child(self) -> None:
        """Start them. What is raised here is logged, and the child goes on without."""
        ...


class _Fork:
    """One fork that is wanted, how many loops stand still for it, and who has let go of what for it."""

    __slots__ = ("holders", "standing")

    def __init__(self) -> None:
        self.standing = 0
        self.holders: dict[Holder, bool] = {}


class _Threads:
    """What the threads of this process are about. Another one in each child."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.working = 0
        self.fork: _Fork | None = None
        self.loops: dict[asyncio.AbstractEventLoop, int] = {}  # each with the thread it runs in


class _Mine(threading.local):
    depth = 0
    fork: _Fork | None = None


_threads = _Threads()
_mine: Final = _Mine()
_one_at_a_time = threading.Lock()
_holders: Final[dict[int, weakref.ref[Holder]]] = {}
_restarting: Final[dict[int, weakref.ref[Restarting]]] = {}  # in the order in which they came


def let_go_at_forks(holder: Holder) -> None:
    """Have a holder let go of what it has at every fork, for as long as it lives."""
    key = id(holder)
    _holders[key] = weakref.ref(holder, lambda _: _holders.pop(key, None))


def restart_in_children(owner: Restarting) -> None:
    """Have an owner's threads started again in every forked child, for as long as it lives."""
    key = id(owner)
    _restarting[key] = weakref.ref(owner, lambda _: _restarting.pop(key, None))


@contextmanager
def undivided() -> Iterator[None]:
    """Do a piece of work that no fork cuts in two. Any thread; pieces may hold others.

    Not around what waits for a lock that the forking thread may hold, nor around what may take long.
    """
    if _mine.depth == 0:
        threads = _threads
        with threads.changed:
            threads.changed.wait_for(lambda: threads.fork is None)
            threads.working += 1
    _mine.depth += 1
    try:
        yield
    finally:
        _mine.depth -= 1
        if _mine.depth == 0:
            _end(threads)


def _end(threads: _Threads) -> None:
    if threads is _threads:  # else the thread forked in the middle, and in its child nobody waits for it
        with threads.changed:
            threads.working -= 1
            threads.changed.notify_all()


@contextmanager
def stands_still(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Have a loop, run by this thread until the end of the context, stand still for every fork."""
    threads = _threads
    with threads.changed:
        threads.changed.wait_for(lambda: threads.fork is None)  # it would not be waited for
        threads.loops[loop] = threading.get_ident()
    try:
        yield
    finally:
        with threads.changed:
            del threads.loops[loop]
            threads.changed.notify_all()


def _stand(threads: _Threads, fork: _Fork) -> None:
    """Stand still until the fork is over. In the loop's thread, between two callbacks of others."""
    with threads.changed:
        fork.standing += 1
        threads.changed.notify_all()
        threads.changed.wait_for(lambda: threads.fork is not fork)


def _alive(references: Iterable[weakref.ref[T]]) -> list[T]:
    return [owner for reference in tuple(references) if (owner := reference()) is not None]


def _before() -> None:
    until = time.monotonic() + MOST_WAIT
    quiet = _one_at_a_time.acquire(timeout=MOST_WAIT)
    if quiet:
        threads, fork = _threads, _Fork()
        with threads.changed:
            threads.fork = _mine.fork = fork
            loops = [loop for loop, thread in threads.loops.items() if thread != threading.get_ident()]
            for loop in loops:
                loop.call_soon_threadsafe(_stand, threads, fork)
        for holder in _alive(_holders.values()):
            fork.holders[holder] = holder.let_go(max(0.0, until - time.monotonic()))
        own = 1 if _mine.depth else 0
        with threads.changed:
            quiet = threads.changed.wait_for(
                lambda: threads.working == own and fork.standing >= sum(loop in threads.loops for loop in loops),
                max(0.0, until - time.monotonic()),
            ) and all(fork.holders.values())
    if not quiet:
        log.warning("the process forks although threads are at work; the child may wait for them for ever")


def _after_in_parent() -> None:
    fork, _mine.fork = _mine.fork, None
    if fork is None:
        return
    with _threads.changed:
        _threads.fork = None
        _threads.changed.notify_all()
    for holder, has_let_go in fork.holders.items():
        if has_let_go:
            holder.go_on()
    _one_at_a_time.release()


def _after_in_child() -> None:
    global _threads, _one_at_a_time
    fork, _mine.fork = _mine.fork, None
    _threads, _one_at_a_time = _Threads(), threading.Lock()
    for holder in _alive(_holders.values()):
        holder.begin_anew(let_go=fork is not None and fork.holders.get(holder, False))
    for owner in _alive(_restarting.values()):
        _restart(owner)


def _restart(owner: Restarting) -> None:
    try:
        owner.restart_in_child()
    except Exception:
        log.exception("a forked process could not start all of its threads")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
