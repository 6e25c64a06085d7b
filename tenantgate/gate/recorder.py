"""Every decision on its way to the sink: the hot path appends what it has at hand, a thread of its own does the rest.

A judgement that finds the queue full is counted as dropped; nobody ever waits for the sink. What a sink cannot take
now is handed over again, and what is decided meanwhile is added up in bounded memory: an outage costs details at most,
and counts only where even the rows that stand for many are too many.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from tenantgate.core.decision import Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.feed.sink import GRANTED, Batch, DecisionSink, SinkError
from tenantgate.forks import restart_in_children, undivided
from tenantgate.gate.tallies import Entry, Tallies

log: Final = logging.getLogger("tenantgate.gate")

MOST_WAITING: Final = 16_384
"""Decisions between two looks at the queue, at most."""
LOOK: Final = 0.1
INTERVAL: Final = 1.0
PAUSE: Final = 3.0
CLOSING: Final = 5.0
"""Seconds: between two looks, between two writings, after a failed one, and for the last one when a gate is closed."""
PATIENCE: Final = 3
"""Writings in a row that may give way to others before it is trouble that is told."""
OF_ONE: Final = 10
AN_HOUR_OF_LISTED: Final = 5_000
AN_HOUR_OF_OTHERS: Final = 1_000
"""Details kept, at most: of one caller's denials for one reason in a minute, and of all listed and all other callers in
an hour."""
UNEXPECTED: Final = "unexpected"
"""The code under which a defect is logged: an exception that is in no tree."""


class Recorded(NamedTuple):
    """How the recording is doing since the process began: decisions seen, dropped, and details not kept."""

    seen: int
    dropped: int
    skipped: int
    failing: str
    """The code of what keeps the sink from writing; empty where it writes."""


class Recorder:
    """Takes decisions of one gate to a sink. `note` is called by any thread.

    `now` gives epoch seconds, `chance` a number from 0 to 1: a grant's details are kept where it is below `sample`.
    """

    def __init__(
        self,
        sink: DecisionSink,
        resource: str,
        index: Callable[[], PolicyIndex | None],
        *,
        now: Callable[[], float],
        chance: Callable[[], float],
        sample: float,
        most_waiting: int = MOST_WAITING,
        interval: float = INTERVAL,
        pause: float = PAUSE,
    ) -> None:
        self._sink = sink
        self._resource = resource
        self._index = index
        self._now = now
        self._chance = chance
        self._sample = sample
        self._most = most_waiting
        self._interval = interval
        self._pause = pause
        self._thread: threading.Thread | None = None
        self._begin()
        restart_in_children(self)

    def _begin(self) -> None:
        self._waiting: deque[Entry] = deque()
        self._dropping = itertools.count()  # one step of it is one operation, whichever thread makes it
        self._looks = 0
        self._dropped = self._dropped_told = self._seen = self._skipped = 0
        self._tallies = Tallies(self._resource, self._index)
        self._budget = Budget()
        self._left: Batch | None = None
        self._stop = threading.Event()
        self._complaint = ""
        self._failing = ""
        self._gave_way = 0

    def note(self, entry: Entry) -> None:
        """Keep a decision for the next look. No lock; never waits."""
        waiting = self._waiting
        if len(waiting) < self._most:
            waiting.append(entry)
        else:
            next(self._dropping)

    def start(self) -> None:
        """Start the thread. Raises RuntimeError: no thread is to be had."""
        thread = threading.Thread(target=self._run, name="tenantgate-decisions", daemon=True)
        thread.start()
        self._thread = thread

    def close(self) -> None:
        """Write what there is, if the sink takes it now, and release the sink."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=CLOSING)
            self._thread = None

    @property
    def recorded(self) -> Recorded:
        """How it is doing. Any thread."""
        tallies = self._tallies
        return Recorded(self._seen, self._dropped + tallies.lost, self._skipped + tallies.skipped, self._failing)

    def restart_in_child(self) -> None:
        """Begin with nothing after a fork: the parent writes its own. Raises RuntimeError: no thread is to be had."""
        running = self._thread is not None and not self._stop.is_set()
        self._thread = None
        self._begin()
        if running:
            self.start()

    # The thread.

    def _run(self) -> None:
        waited = 0.0
        due = self._interval
        while not self._stop.wait(LOOK):
            waited += LOOK
            self._guarded(self._look)
            if waited >= due:
                due = self._interval if self._guarded(self._write) else self._pause
                waited = 0.0
        self._guarded(self._look)
        self._guarded(self._write)
        self._guarded(self._close)

    def _guarded(self, work: Callable[[], bool]) -> bool:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - a defect must not end this thread: nothing would be counted any more
            self._complain(error, UNEXPECTED)
            return False

    def _look(self) -> bool:
        """Add up what is waiting."""
        waiting = self._waiting
        for _ in range(len(waiting)):  # no more: under a flood there is always something
            entry = waiting.popleft()
            self._seen += 1
            self._tallies.add(entry)
            self._tell(entry)
        # Its own step is one of the counter's: what is beyond those was dropped by somebody.
        self._dropped = next(self._dropping) - self._looks
        self._looks += 1
        if self._dropped > self._dropped_told:
            self._tallies.drop(self._dropped - self._dropped_told, self._now())
            self._dropped_told = self._dropped
        return True

    def _tell(self, entry: Entry) -> None:
        decision, caller = entry[0], entry[1]
        if type(decision) is Granted:
            if self._chance() >= self._sample and not decision.principal.would_deny:
                return
            of = decision.principal.daemon, GRANTED
            listed = True
        else:
            listed = caller is not None and self._tallies.who(caller).listed
            of = ("" if caller is None else caller.client_id), decision.reason.value  # type: ignore[union-attr]
        if self._budget.has_room(of, int(entry[5]), listed=listed):
            self._tallies.tell(entry, listed=listed)
        else:
            self._skipped += 1

    def _write(self) -> bool:
        """Hand over all there is. Whether the sink took it."""
        while (batch := self._left or self._tallies.take()) is not None:
            self._left = batch
            try:
                self._sink.write(batch)
            except SinkError as error:
                self._gave_way = self._gave_way + 1 if error.passing else 0
                if not 0 < self._gave_way < PATIENCE:
                    self._complain(error, error.code)
                if error.hopeless:
                    self._give_up(batch)
                return False
            except BaseException:
                self._give_up(batch)
                raise
            self._left = None
        if self._failing:
            with undivided():
                log.warning("decisions are kept again", extra={"code": "kept_again"})
        self._complaint = self._failing = ""
        self._gave_way = 0
        return True

    def _give_up(self, batch: Batch) -> None:
        """Let go of a batch that no sink will ever take: what comes after it must not wait for it."""
        self._left = None
        number = sum(batch.counts.values())
        self._tallies.lost += number
        self._tallies.drop(number, self._now())

    def _close(self) -> bool:
        self._sink.close()
        return True

    def _complain(self, error: Exception, code: str) -> None:
        self._failing = code
        complaint = f"{code}: {error}"
        if complaint != self._complaint:
            self._complaint = complaint
            trace = error if code == UNEXPECTED else None
            with undivided():
                log.warning("decisions cannot be kept now: %s", error, exc_info=trace, extra={"code": code})


class Budget:
    """How many details are kept: a caller that tries again and again must not push out everybody else's."""

    def __init__(self) -> None:
        self._minute = self._hour = -1
        self._of_one: dict[tuple[str, str], int] = {}
        self._kept = {True: 0, False: 0}

    def has_room(self, of: tuple[str, str], at: int, *, listed: bool) -> bool:
        """Whether one more may be kept, and take its place. `at`: epoch seconds."""
        if at // 60 != self._minute:
            self._minute, self._of_one = at // 60, {}
        if at // 3600 != self._hour:
            self._hour, self._kept = at // 3600, {True: 0, False: 0}
        most = AN_HOUR_OF_LISTED if listed else AN_HOUR_OF_OTHERS
        number = self._of_one.get(of, 0)
        if number >= OF_ONE or self._kept[listed] >= most:
            return False
        self._of_one[of] = number + 1
        self._kept[listed] += 1
        return True
