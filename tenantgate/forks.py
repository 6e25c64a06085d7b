"""A fork waits until our threads stand still.

A child has its parent's memory and of its threads only the one that forked. Whatever another thread was in the middle
of stays half-done there for ever: a lock that it held is held by nobody. Locks of ours could be made anew; those of
Python's import system, and those inside OpenSSL (under ssl, hashlib and cryptography), cannot. A preforking server
forks right after the application was made, which is when a gate's first fetches begin.

So our threads say what must not be cut in two (`undivided`), an event loop of ours stands still between two callbacks
(`stands_still`), and a fork waits for both: milliseconds as a rule, and `MOST_WAIT` at most.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

log: Final = logging.getLogger("tenantgate.forks")

MOST_WAIT: Final = 10.0
"""Seconds that a fork waits. After them it goes ahead: a process that cannot fork any more helps nobody."""


class _Fork:
    """One fork that is wanted, and how many loops stand still for it."""

    __slots__ = ("standing",)

    def __init__(self) -> None:
        self.standing = 0


class _Threads:
    """What the threads of this process are about. Another one in each child."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.working = 0
        self.fork: _Fork | None = None
        self.loops: dict[asyncio.AbstractEventLoop, int] = {}  # each with the thread it runs in


class _Mine(threading.local):
    depth = 0


_threads = _Threads()
_mine: Final = _Mine()


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


def _before() -> None:
    threads, until = _threads, time.monotonic() + MOST_WAIT
    with threads.changed:
        threads.changed.wait_for(lambda: threads.fork is None, until - time.monotonic())  # another thread forks, too
        fork = threads.fork = _Fork()
        loops = [loop for loop, thread in threads.loops.items() if thread != threading.get_ident()]
        for loop in loops:
            loop.call_soon_threadsafe(_stand, threads, fork)
        own = 1 if _mine.depth else 0
        quiet = threads.changed.wait_for(
            lambda: threads.working == own and fork.standing >= sum(loop in threads.loops for loop in loops),
            max(0.0, until - time.monotonic()),
        )
    if not quiet:
        log.warning("the process forks although threads are at work; the child may wait for them for ever")


def _after_in_parent() -> None:
    with _threads.changed:
        _threads.fork = None
        _threads.changed.notify_all()


def _after_in_child() -> None:
    global _threads
    _threads = _Threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
