"""A gate's way to the database: the policy, and every change of it within a blink.

PostgreSQL says so in the moment of the commit (`NOTIFY`), and is asked each second for what may have been lost.
SQLite tells nobody that it changed, so one read connection asks it every 20 ms (`PRAGMA data_version`, about a
microsecond) and reads the counter only when the answer moved.

What was delivered is never taken back by accident: a database whose revision fell, or whose audit has
another history at the point last seen, is a restored backup. It is refused until an operator says so
by a new epoch. A database that is gone, empty or not migrated is an error, never an empty policy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlmodel import Session

from tenantgate.core.policy import PolicyDelta, PolicySnapshot
from tenantgate.feed.source import FeedError, Mark
from tenantgate.forks import let_go_at_forks
from tenantgate.registry import instances, issuer_health
from tenantgate.registry.engine import Watch, check_address, open_watch, translated, writing
from tenantgate.registry.errors import DatabaseError, NotFoundError, RegistryError
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.migrations import require_known_schema
from tenantgate.registry.snapshot import mark_of, read_ahead, read_changes, read_snapshot, read_state, remembers

ACKNOWLEDGE_INTERVAL: Final = 0.250
RETRY_INTERVAL: Final = 0.250
KEYS_INTERVAL: Final = 2.0
HEARTBEAT_INTERVAL: Final = 10.0
FORK_GRACE: Final = 1.0
"""Seconds, all five. For the last, a process that forked says nothing new: its child is to be known before."""

_BUSY_TIMEOUT: Final = 0.050
"""Seconds. An acknowledgement that finds the database busy comes later; it must not hold up news."""
_ANNOUNCING: Final = 20
"""How often a forked child tries to say that it is there, where the database is busy, before it reads the policy."""

REFUSALS: Final = frozenset(("policy_went_back", "policy_history_differs", "policy_epoch_unknown"))
"""Why a database that can be read is not followed: an operator must say which history counts (`policy adopt`)."""

_ABANDONED: Final[list[object]] = []
"""What a forked child must not close, kept from being collected."""


@dataclass(slots=True)
class _Link:
    """An open database, and the version looked at last."""

    watch: Watch
    seen: object = None


class DatabaseSource:
    """`feed.PolicySource` on the registry's database.

    `describe` says who this process is, once for each process (after a fork the child is another one).
    `now` gives epoch seconds, `clock` monotonic seconds. Nothing is opened before the first `load` or
    `wait`; an address that can never work is refused at once, with a `DatabaseError`.
    """

    def __init__(
        self,
        url: str,
        *,
        describe: Callable[[], InstanceSpec],
        now: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._url = url
        check_address(url)
        self._describe = describe
        self._now = now
        self._clock = clock
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._link: _Link | None = None
        self._mark: Mark | None = None
        self._begins = True
        self._troubled = False
        self._refusal: FeedError | None = None
        self._inherits = False
        self._ask_keys: Callable[[], list[dict[str, Any]]] = list
        self._forget_reports()
        let_go_at_forks(self)

    def _forget_reports(self) -> None:
        self._instance: InstanceSpec | None = None
        self._registered = False
        self._enforced: int | None = None
        self._reported: int | None = None
        self._keys: list[dict[str, Any]] = []
        self._reported_keys: list[dict[str, Any]] | None = None
        self._next_report = self._next_keys = self._next_refusal = self._clock()
        self._next_heartbeat = self._clock() + HEARTBEAT_INTERVAL

    def load(self) -> PolicySnapshot:
        """Return the whole policy. Raises FeedError."""
        with self._lock, self._guarded():
            if self._closing.is_set():
                raise FeedError("source_closed", "this source was closed")
            link = self._connected()
            link.seen = link.watch.version()
            with self._session(link) as session:
                mark = self._checked_mark(session)
                snapshot = read_snapshot(session)
            self._mark, self._begins, self._refusal = mark, False, None
            return snapshot

    def wait(self, timeout: float) -> PolicySnapshot | PolicyDelta | None:
        """Return what is newer than what was delivered last, or None after `timeout` seconds.

        A trouble is raised when it begins, and again at the end of each call for as long as it lasts.
        """
        deadline = self._clock() + timeout
        while not self._closing.is_set():
            trouble, news = self._try_once()
            if news is not None:
                return news
            left = deadline - self._clock()
            if trouble is not None and (left <= 0 or not self._troubled):
                self._troubled = True
                raise trouble
            self._troubled = trouble is not None
            if left <= 0:
                return None
            self._pause(left, troubled=trouble is not None)
        return None

    def _pause(self, seconds: float, *, troubled: bool) -> None:
        """Wait for a change, or for a trouble to end; without the lock where that can be: a fork waits for it."""
        link = self._link
        if troubled or link is None:
            self._closing.wait(min(seconds, RETRY_INTERVAL))
        elif not link.watch.pause_uses_it:
            link.watch.pause(self._closing, seconds)
        else:
            with suppress(FeedError), self._lock, self._guarded():  # the next look meets the same trouble, and says so
                if link is self._link:
                    link.watch.pause(self._closing, seconds)

    @property
    def mark(self) -> Mark | None:
        """How far this source got: of what it delivered last, or what `resume` said."""
        return self._mark

    @property
    def refusal(self) -> FeedError | None:
        """Why this database is not followed though it is there: it lacks what was seen. One of `REFUSALS`."""
        return self._refusal

    def resume(self, mark: Mark) -> None:
        """Never deliver what is behind `mark`, and begin with a whole policy. One behind its own adds nothing."""
        with self._lock:
            if self._mark is None or mark.covers(self._mark):
                self._mark = mark
            self._begins = True
            if self._link is not None:
                self._link.seen = None  # so that the next look finds something to say

    def acknowledge(self, revision: int) -> None:
        """Note that this process now enforces `revision`; `wait` writes it down. Never blocks."""
        self._enforced = revision

    def report(self, keys: Callable[[], list[dict[str, Any]]]) -> None:
        """Note who knows how the issuers' keys are doing here; `wait` asks and writes it down. Never blocks."""
        self._ask_keys = keys

    def close(self) -> None:
        """Sign off and let go of the database. A `wait` in another thread returns within a poll."""
        self._closing.set()
        with self._lock:
            link = self._link
            if link is not None and self._registered and self._instance is not None:
                # Best effort: an instance that could not sign off is soon not heard of any more.
                with suppress(RegistryError), writing(link.watch.engine) as session:
                    instances.forget(session, self._instance.id)
            self._disconnect()

    def _try_once(self) -> tuple[FeedError | None, PolicySnapshot | PolicyDelta | None]:
        try:
            with self._lock, self._guarded():
                if self._closing.is_set():
                    return None, None
                news = self._look()
                if news is None:
                    self._report()
                return None, news
        except FeedError as error:
            if error.code in REFUSALS:
                self._report_refusal(error)
            return error, None

    def _look(self) -> PolicySnapshot | PolicyDelta | None:
        link = self._connected()
        version = link.watch.version()
        if version == link.seen:
            return None
        ahead = self._ahead(link)
        if ahead is not None:
            mark, news = ahead
        else:
            with self._session(link) as session:
                mark, news = self._all_checked(session)
        # Only now: what failed half-way is looked at again.
        link.seen, self._mark, self._begins, self._refusal = version, mark, False, None
        return news

    def _ahead(self, link: _Link) -> tuple[Mark, PolicySnapshot | PolicyDelta | None] | None:
        """Return what is new by one statement, as it is nearly always; None where there is more to look at."""
        last = self._mark
        if last is None or self._begins:
            return None
        with translated():
            found = read_ahead(link.watch.glance, last.revision, last.audit_sequence)
        if found is None or found.epoch != last.epoch or found.revision < last.revision or not found.complete:
            return None
        if last.audit_sequence and found.remembered != last.audit_hash:
            return None
        mark = msgspec.structs.replace(
            last, revision=found.revision, audit_sequence=found.audit_sequence, audit_hash=found.audit_hash
        )
        if found.revision == last.revision:
            return mark, None
        delta = PolicyDelta(epoch=found.epoch, since=last.revision, revision=found.revision, rows=found.changes)
        return mark, delta

    def _all_checked(self, session: Session) -> tuple[Mark, PolicySnapshot | PolicyDelta | None]:
        mark = self._checked_mark(session)
        return mark, self._news(session, mark)

    def _news(self, session: Session, mark: Mark) -> PolicySnapshot | PolicyDelta | None:
        last = self._mark
        if last is None or self._begins or last.epoch != mark.epoch:
            return read_snapshot(session)
        if last.revision == mark.revision:
            return None
        return read_changes(session, last.revision) or read_snapshot(session)

    def _checked_mark(self, session: Session) -> Mark:
        """Return where the database is, if that is no step back from where it was."""
        state = read_state(session)
        last = self._mark
        if last is not None and last.epoch != state.epoch and last.epoch not in state.supersedes:
            message = f"the database is of epoch {state.epoch}, which did not take the place of {last.epoch}: a backup?"
            raise FeedError("policy_epoch_unknown", message)
        if last is not None and last.epoch == state.epoch:
            if state.revision < last.revision:
                message = f"the database is at revision {state.revision}, {last.revision} was delivered: a backup?"
                raise FeedError("policy_went_back", message)
            if not remembers(session, state, last):
                message = f"the database has another history at audit entry {last.audit_sequence}: a backup?"
                raise FeedError("policy_history_differs", message)
        return mark_of(state)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn the registry's errors into the feed's; after any of them, begin with a new connection."""
        try:
            yield
        except RegistryError as error:
            self._disconnect()
            raise FeedError(error.code, error.message) from error
        except FeedError as error:
            if error.code in REFUSALS:
                self._refusal = error
            self._disconnect()
            raise

    @contextmanager
    def _session(self, link: _Link) -> Iterator[Session]:
        with translated(), Session(link.watch.connection, expire_on_commit=False) as session:
            session.connection()
            yield session

    # The connection.

    def _connected(self) -> _Link:
        """Return the open database; open it again where the file is another one, or after trouble."""
        if self._link is not None and not self._link.watch.stands():
            self._disconnect()
        if self._link is None:
            self._link = self._connect()
            self._registered, self._reported_keys = False, None
            if self._inherits:
                self._announce(self._link)
        return self._link

    def _connect(self) -> _Link:
        watch = open_watch(self._url, busy_timeout=_BUSY_TIMEOUT)
        try:
            require_known_schema(watch.engine)
            return _Link(watch)
        except BaseException:
            watch.close()
            raise

    def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            with suppress(RegistryError), translated():
                link.watch.close()

    # Around a fork.

    def let_go(self, timeout: float) -> bool:
        """Close every connection before this process forks, and stand still until `go_on`.

        A child may not use what its parent opened, nor even close it (https://www.sqlite.org/howtocorrupt.html
        §2.6), and SQLite's own notes of the locks it holds would be wrong in the child.
        """
        if not self._lock.acquire(timeout=timeout):
            return False
        self._disconnect()
        return True

    def go_on(self) -> None:
        """Go on after a fork, in the parent. A child may still judge by less than what this process enforces next."""
        # Not beyond the next heartbeat: a process that forks all the time says what it enforces all the same.
        grace = min(self._clock() + FORK_GRACE, self._next_heartbeat)
        self._next_report = max(self._next_report, grace)
        self._lock.release()

    def begin_anew(self, *, let_go: bool) -> None:
        """Go on after a fork, in the child: another process, whose other threads are gone."""
        if not let_go:  # a thread of the parent's was at it: what it had open is neither used nor closed here
            _ABANDONED.append(self._link)
            self._link = None
        # A thread that was about to wait may have held the event's own lock: it gets a new one.
        closed, self._closing = self._closing.is_set(), threading.Event()
        if closed:
            self._closing.set()
        # What the parent was given last may not have been applied yet when it forked.
        self._begins = self._inherits = True
        self._forget_reports()
        if let_go:
            # Released, not replaced: a thread that another hook has started in this child may wait for it already.
            self._lock.release()
        else:
            self._lock = threading.Lock()

    # What others may know about this process.

    def _announce(self, link: _Link) -> None:
        """Say that this forked child is there before it reads the whole policy: it judges by the inherited one already.

        Else all are said to enforce a suspension of which this one is still to hear.
        """
        if self._instance is None:
            self._instance = self._describe()
        for _ in range(_ANNOUNCING):
            try:
                with writing(link.watch.engine) as session:
                    instances.register(session, self._instance, now=self._now())
            except RegistryError as error:
                if error.code != "database_busy":
                    return  # whoever reads meets the same trouble, and says so
            else:
                self._registered, self._inherits = True, False
                return

    def _report(self) -> None:
        """Write down that this process is there and what it enforces; not often, and never at the cost of waiting."""
        clock = self._clock()
        if clock >= self._next_keys:
            self._next_keys = clock + KEYS_INTERVAL
            keys = self._ask_keys()
            self._keys = self._keys if keys == self._keys else keys  # so that each poll compares no more than this name
        news = not self._registered or self._enforced != self._reported or self._keys is not self._reported_keys
        if clock < self._next_report or not (news or clock >= self._next_heartbeat):
            return
        self._next_report = clock + ACKNOWLEDGE_INTERVAL
        try:
            self._write_report()
        except DatabaseError as error:
            if error.code == "database_busy":
                return
            self._next_report = clock + HEARTBEAT_INTERVAL
            raise
        self._next_heartbeat = clock + HEARTBEAT_INTERVAL

    def _report_refusal(self, refusal: FeedError) -> None:
        """Write into a database that it is not followed here, and how far this process got, for its operators."""
        clock, mark = self._clock(), self._mark
        if mark is None or clock < self._next_refusal:
            return
        self._next_refusal = clock + HEARTBEAT_INTERVAL
        # Best effort: a database that cannot be written either is known to be in trouble.
        with suppress(FeedError), self._lock, self._guarded():
            if self._instance is None:
                self._instance = self._describe()
            link = self._connected()
            with writing(link.watch.engine) as session:
                instances.register(session, self._instance, now=self._now())
                instances.refuse(session, self._instance.id, refusal.code, epoch=mark.epoch, revision=mark.revision)

    def _write_report(self) -> None:
        link, enforced, keys = self._connected(), self._enforced, self._keys
        if self._instance is None:
            self._instance = self._describe()
        instance, now = self._instance, self._now()
        with writing(link.watch.engine) as session:
            try:
                if not self._registered:
                    instances.register(session, instance, now=now)
                instances.acknowledge(session, instance.id, enforced, now=now)
            except NotFoundError:
                instances.register(session, instance, now=now)
                instances.acknowledge(session, instance.id, enforced, now=now)
            if keys is not self._reported_keys:
                issuer_health.put(session, instance.id, keys, now=now)
        self._registered, self._reported, self._reported_keys = True, enforced, keys
