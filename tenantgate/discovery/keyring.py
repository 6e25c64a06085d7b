"""Every issuer's keys, learnt in the background, kept through outages, asked for by any thread without waiting.

Who calls what, on which thread:
- `set_issuers`: the policy's thread, at the start and on every change;
- `key_set`, `wants`, `authentic`, `health`: any thread; no lock, no I/O, no waiting;
- `ensure`, `run`, `aclose`: the Keeper's loop, and there alone keys are fetched;
- `reset_after_fork`: the child, before anything else.

Addresses come from issuer rows and checked metadata. A token can at most cause one fetch per key set and
cooldown, to where the operator said; an application's own key set and the one it shares with all are two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from tenantgate.core.keys import KeySet, KeySetRef, NoKeys
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.alarms import say_dropped, say_failure, say_replaced, say_too_old, say_unused
from tenantgate.discovery.disk import KeyStore
from tenantgate.discovery.errors import UNEXPECTED, DiscoveryError, FetchFailed
from tenantgate.discovery.fetch import fetch_keys, fetch_metadata
from tenantgate.discovery.health import IssuerHealth, health_of, report_of
from tenantgate.discovery.issuers import states_for
from tenantgate.discovery.limits import KeyLimits
from tenantgate.discovery.metadata import Metadata
from tenantgate.discovery.published import Merging, merge
from tenantgate.discovery.state import Flight, IssuerState
from tenantgate.discovery.stored import Clocks, Restored, UnusableStored, from_stored, to_stored
from tenantgate.net.door import Door

# What a moved or mistaken `jwks_uri` looks like: the background reads the metadata again before its timer.
_LED_ASTRAY = ("status", "redirect", "dns", "connect", "tls", "timeout", "key_set_malformed")
_NAP: Final = 60.0
"""Seconds after which the background looks at the clock again: a loop's timers stand still while a machine sleeps."""


class Keyring:
    """A KeySource that fetches. One instance a process.

    `open_door` is called on the loop, at the first fetch. `clock`: monotonic seconds, those in which the machine
    slept included if possible. `wall`: epoch seconds, for what outlives the process. `jitter`: a number in [0, 1), anew
    at each call. `sleep`: how the background waits. `store`: where keys are kept for the next process, if anywhere.
    `prepare` is called by `set_issuers` before the first issuer whose keys are fetched is served: what a fetch needs of
    the process is got ready there, and not in its thread.
    """

    def __init__(
        self,
        open_door: Callable[[], Door],
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        wall: Callable[[], float],
        limits: KeyLimits = KeyLimits(),  # noqa: B008 - frozen
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        store: KeyStore | None = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_door = open_door
        self._clock = clock
        self._jitter = jitter
        self._limits = limits
        self._sleep = sleep
        self._wall = wall
        self._store = store
        self._prepare = prepare
        self._states: Mapping[KeySetRef, IssuerState] = {}
        self._siblings: Mapping[str, Sequence[IssuerState]] = {}
        self._door: Door | None = None
        self._flights: set[asyncio.Task[None]] = set()
        self._wake: Callable[[], object] | None = None
        self._closed = False
        self._next_start = float("-inf")  # when the background may begin with the next new key set

    def set_issuers(self, rows: Iterable[IssuerRow], appids: Collection[str] = ()) -> None:
        """Serve these issuers (checked rows) and no others, and at Entra the own keys of the applications `appids`.

        An unchanged row keeps its state and its very key objects. A changed one starts anew; where the
        change says nothing about keys, they go on serving as new objects. A static key set that is
        malformed leaves that issuer without keys, and says so in its health.
        """
        states = states_for(rows, self._states, self._limits, self._clock, appids, self._restore)
        if not all(state.static for state in states.values()):
            self._prepare()
        siblings: dict[str, list[IssuerState]] = {}
        for state in states.values():
            siblings.setdefault(state.ref.issuer, []).append(state)
        self._siblings, self._states = siblings, states
        wake = self._wake
        if wake is not None:
            try:
                wake()
            except RuntimeError:
                return  # the loop is closed: there is no background to tell

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Return the keys in use for `ref`: any thread, no waiting. `NoKeys` where there are none to judge with."""
        state = self._states.get(ref)
        published = state.published if state is not None else None
        if published is None:
            return NoKeys(too_old=False)
        now = self._clock()
        if now < published.stale_at:
            return published.keys
        return NoKeys(too_old=True, age=now - published.fetched_at)

    def wants(self, ref: KeySetRef, kid: str | None) -> bool:
        """Whether `ensure` would now start a fetch or wait for one. Any thread; `kid` is untrusted."""
        return bool(self._wanted(ref, kid))

    def _asked(self, ref: KeySetRef) -> tuple[IssuerState, ...]:
        """Return the key sets that are asked for a key `ref` lacks: the shared one with a v1 or an application's own.

        An unknown kid may be new in either; and while an application's document, or a cloud's v1 one, cannot be had,
        the shared keys must not grow old with it.
        """
        states = self._states
        state = states.get(ref)
        if state is None:
            return ()
        beside = ref._replace(document="v2", appid=None)  # where a v1 token, or an application's, looks next
        return (state, states[beside]) if beside != ref and beside in states else (state,)

    def _wanted(self, ref: KeySetRef, kid: str | None) -> list[IssuerState]:
        """Return the key sets to fetch for `kid`: all that have no keys to judge with, of the others one at most.

        A kid that is in none of them costs an issuer one fetch a cooldown, however many documents it has. Where the
        first has answered, the kid is remembered there, and the next cooldown is the next document's.
        """
        now = self._clock()
        wanted: list[IssuerState] = []
        looked_further = False
        for state in self._asked(ref):
            judges = _judges(state, now)
            if judges and looked_further:
                continue
            if self._wants(state, kid, now):
                wanted.append(state)
                looked_further = looked_further or judges
        return wanted

    def _wants(self, state: IssuerState, kid: str | None, now: float) -> bool:
        if state.static or self._closed:
            return False
        judges = _judges(state, now)
        if judges:
            assert state.published is not None
            if state.published.keys.find(kid) is not None or kid in state.unknown:
                return False
        flight = state.flight
        if flight is not None:
            return flight.waiters < self._limits.waiters
        if now < state.open_at:
            return False
        siblings = self._siblings.get(state.ref.issuer, ())
        return not judges or all(now >= each.open_at for each in siblings if _judges(each, now))

    async def ensure(self, ref: KeySetRef, kid: str | None) -> None:
        """Wait until a fetch for `kid` has ended, starting one if need be; return at once where `wants` says no.

        Never raises for what goes wrong with an issuer: ask `key_set` afterwards. Waits at most
        `KeyLimits.wait`; the fetch goes on without its waiters, also when one of them is cancelled.
        """
        flights = [self._board(state, kid) for state in self._wanted(ref, kid)]
        if not flights:
            return
        try:
            await asyncio.wait([flight.task for flight in flights], timeout=self._limits.wait)
        finally:
            for flight in flights:
                flight.waiters -= 1

    def _board(self, state: IssuerState, kid: str | None) -> Flight:
        """Join the fetch of a key set, or start it."""
        flight = state.flight or self._start_flight(state, background=False)
        flight.waiters += 1
        if not flight.asked and len(flight.kids) < self._limits.waiters:
            flight.kids.add(kid)
        return flight

    def authentic(self, ref: KeySetRef, age: float) -> None:
        """Note how old an authentic token is by our clock, when it is first seen. Seconds. Any thread, no waiting."""
        state = self._states.get(ref)
        if state is not None:
            state.youngest.note(age, self._clock())

    def health(self) -> list[IssuerHealth]:
        """Return how every key set is doing. Any thread."""
        now = self._clock()
        return [health_of(state, now) for state in self._states.values()]

    def reports(self) -> list[dict[str, Any]]:
        """Return the same for other machines: with times in place of ages. Any thread."""
        now = self._both_clocks()
        return [report_of(each, now) for each in self.health()]

    async def run(self) -> None:
        """Keep every issuer's keys fresh, each by a task of its own, until cancelled. One at a time."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        tasks: dict[IssuerState, asyncio.Task[None]] = {}
        self._wake = lambda: loop.call_soon_threadsafe(changed.set)
        try:
            while True:
                changed.clear()
                self._assign(tasks)
                await changed.wait()
        finally:
            self._wake = None
            await _cancel(tasks.values())

    async def aclose(self) -> None:
        """End the fetches under way and close the door. Nothing is fetched any more; keys go on serving."""
        self._closed = True
        await _cancel(self._flights)
        door, self._door = self._door, None
        if door is not None:
            await door.aclose()
        if self._store is not None:
            self._store.close()

    def reset_after_fork(self) -> None:
        """Forget what belongs to the parent's loop: door, fetches, background. Keys and timers stay."""
        if self._store is not None:
            self._store.reset_after_fork()
        self._door, self._wake, self._flights = None, None, set()
        for state in self._states.values():
            state.forget_flight(self._limits, self._clock)

    def _assign(self, tasks: dict[IssuerState, asyncio.Task[None]]) -> None:
        """Give each fetched key set a task, and end those whose issuer went or changed."""
        wanted = [state for state in self._states.values() if not state.static]
        for state in set(tasks).difference(wanted):
            tasks.pop(state).cancel()
        new = [state for state in wanted if state not in tasks]
        gap, now = min(self._limits.spread, self._limits.spread_most / max(1, len(new))), self._clock()
        for state in new:  # those that come one by one are spread as well
            self._next_start = min(max(now, self._next_start), now + self._limits.spread_most)
            tasks[state] = asyncio.create_task(self._tend(state, self._next_start - now))
            self._next_start += gap

    async def _tend(self, state: IssuerState, delay: float) -> None:
        """Fetch one key set whenever it is due. A request may have done so meanwhile: then it is due later."""
        while not self._closed:
            if delay > 0:
                await self._sleep(delay)
            if state.due_at <= self._clock():
                flight = state.flight or self._start_flight(state, background=True)
                await asyncio.wait((flight.task,))
            delay = min(state.due_at - self._clock(), _NAP)

    def _start_flight(self, state: IssuerState, *, background: bool) -> Flight:
        """Start the one fetch of a key set. The task is the keyring's: no waiter's end is its end."""
        flight = state.flight = Flight()
        flight.task = asyncio.create_task(self._fly(state, flight, background=background))
        self._flights.add(flight.task)
        flight.task.add_done_callback(self._flights.discard)
        return flight

    async def _fly(self, state: IssuerState, flight: Flight, *, background: bool) -> None:
        """Fetch, record, and start the cooldown, however it ends."""
        wait, retry_after, before, tried = self._limits.cooldown, 0.0, state.last_error, state.tried_at
        try:
            wait = await self._fetch(state, flight, background=background)
            _remember_unknown(state, flight)
        except DiscoveryError as error:
            state.failed(error.code, str(error))
            if isinstance(error, FetchFailed):
                retry_after = error.retry_after or 0.0
        except Exception as error:  # noqa: BLE001 - a defect must not leave an issuer without its timers, nor reach a caller
            state.failed(UNEXPECTED, type(error).__name__)
        finally:
            self._land(state, wait, retry_after)
        self._keep(state)
        say_failure(state, before)
        say_too_old(state, tried)

    async def _fetch(self, state: IssuerState, flight: Flight, *, background: bool) -> float:
        """Fetch one key document and publish it. Return in how many seconds to do so again.

        Raises:
            DiscoveryError: the keys in use stay.
        """
        if self._door is None:
            self._door = self._open_door()
        metadata = await self._metadata(state, self._door, background=background)
        flight.asked = True
        fresh = await fetch_keys(self._door, metadata.jwks_uri, state.row, self._limits.rules(state.row))
        limits = self._limits
        how = Merging(self._clock(), limits.judging(state.row), limits.retire(state.row), limits.retained)
        published, events = merge(state.published, fresh.keys, how)
        known = state.published.keys.dropped if state.published is not None else ()
        state.succeeded(published, events, self._wall(), fresh.date)
        say_dropped(state, known)
        say_replaced(state, events)
        wait = self._jittered(limits.refresh(state.row, fresh.max_age))
        if published.absent:
            # A withdrawn key retires at a successful fetch: be there when its time has come.
            wait = min(wait, min(published.absent.values()) + how.retire - how.now)
        return wait

    async def _metadata(self, state: IssuerState, door: Door, *, background: bool) -> Metadata:
        """Return where the keys are. Metadata at hand serves every request; only the background reads it again."""
        kept = state.metadata
        aged = self._clock() - state.metadata_at >= self._limits.metadata_refresh
        if kept is not None and not (background and (aged or state.last_error in _LED_ASTRAY)):
            return kept
        try:
            rules = self._limits.rules(state.row)
            found = await fetch_metadata(door, state.row, state.document, rules, state.ref.appid)
        except DiscoveryError as error:
            state.metadata_error = error.code
            if kept is None:
                raise
            return kept  # the keys may still be where they were; their own fetch will tell
        state.metadata, state.metadata_at, state.metadata_error = found, self._clock(), None
        return found

    def _land(self, state: IssuerState, wait: float, retry_after: float) -> None:
        """Set the timers from the moment the fetch ended, so that none who waited skips past the cooldown."""
        limits, now = self._limits, self._clock()
        if state.failures:
            # Jittered at the cap, too: after a long outage many gates must not come back at the same moment.
            longest = self._jittered(limits.backoff / (1.0 + limits.jitter))
            wait = min(self._jittered(limits.cooldown * 2.0 ** min(state.failures - 1, 30)), longest)
        pause = max(limits.cooldown, min(retry_after, limits.backoff))
        state.tried_at, state.open_at, state.due_at = now, now + pause, now + max(wait, pause)
        state.flight = None

    def _keep(self, state: IssuerState) -> None:
        """Have the issuer's keys written down: after a failure too, so that what is on disk says how old they are."""
        if self._store is not None and state.published is not None:
            row, states = state.row, self._states
            self._store.put(row, lambda: to_stored(row, states.values(), self._both_clocks()))

    def _restore(self, row: IssuerRow) -> Mapping[KeySetRef, Restored]:
        """Return the keys that an earlier process left, with the age they have by now."""
        stored = self._store.load(row) if self._store is not None else None
        if stored is None:
            return {}
        try:
            return from_stored(stored, row, self._both_clocks(), self._limits.judging(row))
        except UnusableStored as error:
            say_unused(row.id, error.code, str(error))
            return {}

    def _both_clocks(self) -> Clocks:
        return Clocks(self._clock(), self._wall())

    def _jittered(self, seconds: float) -> float:
        return seconds * (1.0 + self._limits.jitter * (2.0 * self._jitter() - 1.0))


def _judges(state: IssuerState, now: float) -> bool:
    """Whether there are keys to judge with."""
    published = state.published
    return published is not None and now < published.stale_at


def _remember_unknown(state: IssuerState, flight: Flight) -> None:
    """Note the kids that a successful fetch was asked for and did not bring."""
    if state.published is not None:
        for kid in flight.kids:
            if state.published.keys.find(kid) is None:
                state.unknown[kid] = True


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks of ours and wait for their end."""
    ending = tuple(tasks)
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending)
