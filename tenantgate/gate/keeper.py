"""The threads of a gate: one with a loop for the network, one for each policy source.

All I/O of a gate lives here, so that judging never waits but for keys it has not got. Threads are started
on need and again in a forked child, which inherits none; a hung database never delays a key refresh, since
each source blocks in a thread of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from tenantgate.core.keys import KeySetRef
from tenantgate.core.policy import PolicyDelta, PolicyError, PolicySnapshot
from tenantgate.feed.source import FeedError, PolicySource
from tenantgate.forks import restart_in_children, stands_still, undivided

UNEXPECTED: Final = "unexpected"
"""The code under which a defect is logged: an exception that is in no tree."""

log: Final = logging.getLogger("tenantgate.gate")


class Keys(Protocol):
    """What the keeper needs of `discovery.keyring.Keyring`."""

    def wants(self, ref: KeySetRef, kid: str | None) -> bool:
        """Whether a fetch would be made or joined now."""
        ...

    async def ensure(self, ref: KeySetRef, kid: str | None) -> None:
        """Fetch, or join the fetch under way. Never raises."""
        ...

    async def run(self) -> None:
        """Refresh in the background until cancelled."""
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...

    def reset_after_fork(self) -> None:
        """Forget what belongs to the parent's loop."""
        ...


class Keeper:
    """Owns the loop thread in which keys are fetched. `deadline`: seconds a request may wait for keys."""

    def __init__(self, keys: Keys, *, deadline: float = 2.0) -> None:
        self._keys = keys
        self._deadline = deadline
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._watched: list[Callable[[], None]] = []
        restart_in_children(self)

    def watch(self, check: Callable[[], None]) -> None:
        """Have something looked at each second, whatever the thread it is about may be stuck in. It must not block."""
        self._watched.append(check)

    def start(self) -> None:
        """Start loop thread and background refresh, if they are not running. Raises RuntimeError once closed."""
        with self._lock:
            if self._closed:
                raise RuntimeError("this gate is closed")
            self._running_loop()

    def fetch(self, ref: KeySetRef, kid: str | None) -> None:
        """Have missing keys fetched and wait for it, at most the deadline. Any thread but a loop's own."""
        future = self._begin(ref, kid)
        if future is None:
            return
        with contextlib.suppress(concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            future.result(self._deadline)

    async def afetch(self, ref: KeySetRef, kid: str | None) -> None:
        """Do as `fetch` does, without blocking the caller's loop."""
        future = self._begin(ref, kid)
        if future is None:
            return
        # wait(), not wait_for(): a caller that goes away must not cancel what others wait for.
        await asyncio.wait([asyncio.wrap_future(future)], timeout=self._deadline)

    def close(self) -> None:
        """Stop the background refresh, close connections and end the thread."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=10)

    def _begin(self, ref: KeySetRef, kid: str | None) -> concurrent.futures.Future[None] | None:
        """Hand a fetch to the loop; None where none would be made, the gate is closed, or no thread is to be had."""
        if not self._keys.wants(ref, kid):
            return None
        with self._lock:  # so that the loop is not closed under our hands
            if self._closed:
                return None
            try:
                loop = self._running_loop()
            except RuntimeError as error:
                log.error("no keys can be fetched: %s", error, extra={"code": "thread_unavailable"})  # noqa: TRY400 - one line a request
                return None
            return asyncio.run_coroutine_threadsafe(self._keys.ensure(ref, kid), loop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, its thread started on need. Called under the lock."""
        if self._loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(
                target=serve, args=(loop, self._keys, self._watched), name="tenantgate-keeper", daemon=True
            )
            try:
                thread.start()
            except BaseException:  # the machine gives no thread now: the next request asks again
                loop.close()
                raise
            self._loop, self._thread = loop, thread
        return self._loop

    def restart_in_child(self) -> None:
        """Start anew after a fork, what belongs to the parent's loop forgotten. Raises RuntimeError: no thread."""
        running = self._loop is not None
        self._lock = threading.Lock()
        self._loop = self._thread = None
        self._keys.reset_after_fork()
        if running and not self._closed:
            self.start()


def serve(loop: asyncio.AbstractEventLoop, keys: Keys, watched: Sequence[Callable[[], None]] = ()) -> None:
    """Run the loop until it is stopped, then end what runs on it and release what it held; stand still at forks.

    The keyring ends its own fetches, before anything else is cancelled: a task group in them (anyio's, while it
    connects) must be ended through its parent. A child of it that is cancelled before its first step leaves a
    coroutine never awaited.
    """
    asyncio.set_event_loop(loop)
    with stands_still(loop):
        refresh: asyncio.Task[None] = loop.create_task(keys.run())
        refresh.add_done_callback(_report)
        watching = loop.create_task(_watch(watched))
        try:
            loop.run_forever()
        finally:
            refresh.cancel()
            watching.cancel()
            loop.run_until_complete(asyncio.wait([refresh, watching]))
            loop.run_until_complete(keys.aclose())
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _watch(watched: Sequence[Callable[[], None]]) -> None:
    while True:
        for check in tuple(watched):
            try:
                check()
            except Exception:
                log.exception("a look at the age of a policy failed", extra={"code": UNEXPECTED})
        await asyncio.sleep(1.0)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the background refresh of keys ended", exc_info=task.exception())


class Follower:
    """Follows one policy source in a thread of its own and hands every change to `install`.

    What cannot be read keeps the policy in force; it is said once for each change of the complaint and tried
    again. `pause` seconds lie between attempts after a failure; `beat` is called at least every second or two; `lost`
    in a forked child that has no thread to follow with. Where the source was not heard of for `max_age` seconds of
    `clock` (monotonic), `aged` is called once, and the whole policy is loaded as soon as it can be had.
    """

    def __init__(
        self,
        source: PolicySource,
        install: Callable[[PolicySnapshot | PolicyDelta], None],
        *,
        beat: Callable[[], None] = lambda: None,
        lost: Callable[[], None] = lambda: None,
        aged: Callable[[], None] = lambda: None,
        max_age: float | None = None,
        clock: Callable[[], float] = lambda: 0.0,
        pause: float = 1.0,
    ) -> None:
        self._source = source
        self._install = install
        self._beat = beat
        self._lost = lost
        self._aged = aged
        self._max_age = max_age
        self._clock = clock
        self._heard_at = clock()
        self._too_old = False
        self._turn = threading.Lock()  # who puts a policy in force, or takes it out
        self._pause = pause
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._reload = False
        self._complaint = ""
        restart_in_children(self)

    def load(self) -> None:
        """Load and install the whole policy now. Raises FeedError or PolicyError."""
        snapshot = self._source.load()
        self._install(snapshot)
        self._heard_at = self._clock() - snapshot.age
        self._source.acknowledge(snapshot.revision)

    def check_age(self) -> None:
        """Take the policy out of force where the source was not heard of for too long. Any thread; never waits."""
        if self._max_age is None or self._too_old or not self._turn.acquire(blocking=False):
            return
        try:
            if self._clock() - self._heard_at > self._max_age:
                self._too_old = self._reload = True
                self._aged()
        finally:
            self._turn.release()

    def start(self) -> None:
        """Start following. Raises RuntimeError: no thread is to be had."""
        thread = threading.Thread(target=self._follow, name="tenantgate-follower", daemon=True)
        thread.start()
        self._thread = thread

    def close(self) -> None:
        """Stop following, then release the source."""
        self._stop.set()
        self._source.close()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._beat()
                self._step()
                self._complaint = ""
            except (FeedError, PolicyError) as error:
                # What was half-applied is marked broken and refuses; only a whole load mends it.
                self._reload = self._reload or isinstance(error, PolicyError)
                self._complain(error, error.code)
            except Exception as error:  # noqa: BLE001 - a defect must not end this thread: an old policy would rule for ever
                self._reload = True
                self._complain(error, UNEXPECTED)

    def _complain(self, error: Exception, code: str) -> None:
        if self._stop.is_set():  # a source that is closed under our hands may say so
            return
        complaint = f"{code}: {error}"
        if complaint != self._complaint:
            self._complaint = complaint
            trace = error if code == UNEXPECTED else None
            with undivided():
                log.warning("the policy in force stays: %s", error, exc_info=trace, extra={"code": code})
        self._stop.wait(self._pause)

    def _step(self) -> None:
        news = self._source.load() if self._reload else self._source.wait(1.0)
        with self._turn:
            if self._too_old and not isinstance(news, PolicySnapshot):
                return  # the policy was taken out of force meanwhile: only a whole one mends that
            self._heard_at = self._clock() - (news.age if isinstance(news, PolicySnapshot) else 0.0)
            if news is None:
                return
            with undivided():
                self._install(news)
            self._reload = self._too_old = False
        self._source.acknowledge(news.revision)

    def restart_in_child(self) -> None:
        """Follow on after a fork. Raises RuntimeError: no thread is to be had, and `lost` was called."""
        running = self._thread is not None
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self._thread = None
        if running:
            self._reload = True  # what the parent had heard of may have moved on
            try:
                self.start()
            except RuntimeError:
                self._lost()
                raise
