"""Decisions of a gate into the registry's database: short transactions that give way to everybody else.

An administrator never waits for them: where the database is busy the batch comes later. One connection, opened when
there is something to write, and let go of at every fork.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.engine import Engine

from tenantgate.feed.sink import Batch, SinkError
from tenantgate.forks import let_go_at_forks, undivided
from tenantgate.registry import access_requests, decisions, pins
from tenantgate.registry.decisions import COUNT_DAYS, DAY
from tenantgate.registry.engine import check_address, open_engine, writing
from tenantgate.registry.errors import InvalidError, RegistryError
from tenantgate.registry.ids import NewId
from tenantgate.registry.migrations import require_known_schema

log: Final = logging.getLogger("tenantgate.registry")

DETAIL_DAYS: Final = 30
"""Days for which details are kept where nothing is said."""
_BUSY_TIMEOUT: Final = 0.050
_CLEANING: Final = 600
_CLEANING_ON: Final = 10
"""Seconds: for which a lock is waited, and between two cleanings: when nothing was left, and when something was."""

_ABANDONED: Final[list[object]] = []
"""What a forked child must not close, kept from being collected."""


class DatabaseSink:
    """`feed.DecisionSink` on the registry's database. `now`: epoch seconds. `detail_days`: how long details stay."""

    def __init__(self, url: str, *, now: Callable[[], int], new_id: NewId, detail_days: int = DETAIL_DAYS) -> None:
        check_address(url)
        self._url = url
        self._now = now
        self._new_id = new_id
        self._detail_days = detail_days
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._clean_at = 0
        let_go_at_forks(self)

    def write(self, batch: Batch) -> None:
        """Keep a batch in one transaction; then do what follows from it. Raises SinkError."""
        with self._lock, self._guarded():
            engine, now = self._connected(), self._now()
            with writing(engine) as session:
                decisions.add_counts(session, batch.counts)
                decisions.add_details(session, batch.details)
                forgotten = access_requests.note(session, batch.strangers)
                pins.note(session, batch.counts, now=now)
            self._follow_up(engine, now, forgotten)

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            self._disconnect()

    def _follow_up(self, engine: Engine, now: int, forgotten: int) -> None:
        """Do what may as well be done later: the batch is kept, and must not be handed over again."""
        if forgotten:
            with undivided():
                log.warning("%d access requests were forgotten: there are too many", forgotten)
        try:
            pins.settle(engine, now=now, new_id=self._new_id)
            if now >= self._clean_at:
                self._clean(engine, now)
        except RegistryError as error:
            with undivided():
                log.info("left for later: %s", error.message, extra={"code": error.code})

    def _clean(self, engine: Engine, now: int) -> None:
        with writing(engine) as session:
            more = decisions.forget(
                session, details_before=now - self._detail_days * DAY, counts_before=now - COUNT_DAYS * DAY
            )
        self._clean_at = now + (_CLEANING_ON if more else _CLEANING)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except RegistryError as error:
            busy = error.code == "database_busy"
            if not busy:
                self._disconnect()
            hopeless = isinstance(error, InvalidError)
            raise SinkError(error.code, error.message, hopeless=hopeless, passing=busy) from error

    def _connected(self) -> Engine:
        if self._engine is None:
            engine = open_engine(self._url, create=False, busy_timeout=_BUSY_TIMEOUT)
            try:
                require_known_schema(engine)
            except BaseException:
                engine.dispose()
                raise
            self._engine = engine
        return self._engine

    def _disconnect(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    # Around a fork: as `follower.DatabaseSource`.

    def let_go(self, timeout: float) -> bool:
        """Close every connection before this process forks, and stand still until `go_on`."""
        if not self._lock.acquire(timeout=timeout):
            return False
        self._disconnect()
        return True

    def go_on(self) -> None:
        """Go on after a fork, in the parent."""
        self._lock.release()

    def begin_anew(self, *, let_go: bool) -> None:
        """Go on after a fork, in the child: another process, whose other threads are gone."""
        if let_go:
            self._lock.release()
            return
        _ABANDONED.append(self._engine)  # a thread of the parent's was at it: neither used nor closed here
        self._engine = None
        self._lock = threading.Lock()
