"""A source that keeps on disk what it delivers: a restart without the database goes on with the policy there was.

What was acknowledged survives: news are on the disk before anybody is told that they are enforced. And no database may
fall behind of what this folder has seen, whoever asks it: a restored backup is refused until an operator adopts it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tenantgate.core.policy import PolicyDelta, PolicySnapshot
from tenantgate.feed.kept_lines import UnusableKept
from tenantgate.feed.source import FeedError, Mark, MarkedSource
from tenantgate.feed.store import Kept, NotWhole, PolicyStore
from tenantgate.files import words
from tenantgate.forks import let_go_at_forks, undivided

NOTE_INTERVAL: Final = 30.0
"""Seconds between two notes of when the source was heard of."""
RETRY_INTERVAL: Final = 10.0
"""Seconds between two attempts to keep the policy again where the disk refused."""

_UNKNOWN_AGE: Final = "was written at a time that is yet to come by this machine's clock: how old it is is not known"

log: Final = logging.getLogger("tenantgate.feed")


class _Pending(NamedTuple):
    """What was delivered and is not on the disk yet."""

    news: PolicySnapshot | PolicyDelta
    mark: Mark


class KeptSource:
    """A PolicySource over another one and a folder. `clock` gives monotonic seconds, `wall` epoch seconds.

    What is kept is used only where the source has no policy to give, and only while it is younger than `max_age`
    seconds (None: however old it is). Where the disk refuses, nothing old is left on it; where not even that can be
    had, what is enforced is not acknowledged: a restart would not know of it.
    """

    def __init__(
        self,
        source: MarkedSource,
        store: PolicyStore,
        *,
        max_age: float | None,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._source = source
        self._store = store
        self._max_age = max_age
        self._clock = clock
        self._wall = wall
        self._disk = threading.Lock()  # held while files are open or locked: a fork waits for it
        self._begun = False
        self._pending: _Pending | None = None
        self._owed = False  # what was delivered last is not on the disk
        self._outdated = False  # and something older is
        self._retry_at = 0.0
        self._heard_at = clock()
        self._heard_wall: float | None = None
        self._noted_at = float("-inf")
        self._complaint = ""
        let_go_at_forks(self)

    def load(self) -> PolicySnapshot:
        """Return the whole policy: the source's, else the one that was kept.

        Raises:
            FeedError: the source's; or `policy_mark_unreadable`, where the folder does not answer.
        """
        self._begin()
        self._pending = None
        try:
            snapshot = self._source.load()
        except FeedError as error:
            return self._kept_instead(error)
        self._delivered(snapshot)
        return snapshot

    def wait(self, timeout: float) -> PolicySnapshot | PolicyDelta | None:
        """Return what is newer, as the source does; or the whole, where the disk takes it again. Raises FeedError."""
        try:
            if self._owed and self._clock() >= self._retry_at and self._disk_answers():
                snapshot = self._source.load()
                self._delivered(snapshot)
                return snapshot
            news = self._source.wait(timeout)
        except FeedError:
            self._note_heard()
            raise
        self._heard_at, self._heard_wall = self._clock(), self._wall()
        self._note_heard()
        if news is not None:
            self._delivered(news)
        return news

    def acknowledge(self, revision: int) -> None:
        """Have what was delivered on the disk, then tell the source that this process enforces it."""
        pending, self._pending = self._pending, None
        if pending is not None and pending.news.revision == revision:
            self._keep(pending)
            self._note_heard()  # after it: else a crash in between would make what was kept before young
        if not self._outdated:
            self._source.acknowledge(revision)

    @property
    def refusal(self) -> FeedError | None:
        """Hand on."""
        return self._source.refusal

    def report(self, keys: Callable[[], list[dict[str, Any]]]) -> None:
        """Hand on."""
        self._source.report(keys)

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

    # What is kept.

    def _begin(self) -> None:
        """Once: no database may be behind of what this folder has seen. Where that cannot be asked now, none is."""
        if self._begun:
            return
        try:
            with self._disk:
                mark = self._store.mark()
        except OSError as error:
            raise FeedError(
                "policy_mark_unreadable", f"how far the policy got cannot be read: {words(error)}"
            ) from None
        except UnusableKept as error:
            self._complain("policy_mark_unreadable", f"how far the policy got cannot be read: {_said(error)}")
            mark = None
        if mark is not None:
            self._source.resume(mark)
        self._begun = True

    def _kept_instead(self, trouble: FeedError) -> PolicySnapshot:
        try:
            with self._disk:
                kept = self._store.read()
        except (OSError, UnusableKept) as error:
            raise FeedError(trouble.code, f"{trouble}; what was kept cannot be used: {_said(error)}") from trouble
        if kept is None:
            raise trouble
        if self._max_age is not None and kept.snapshot.age > self._max_age:
            how_old = f"is {kept.snapshot.age:.0f} s old, {self._max_age:.0f} are allowed"
            message = f"{trouble}; what was kept {_UNKNOWN_AGE if kept.heard_at is None else how_old}"
            raise FeedError(trouble.code, message) from trouble
        self._take(kept)
        message = f"revision {kept.mark.revision} from {self._store.folder} is in force: {trouble}"
        if kept.heard_at is None:
            message += f"; it {_UNKNOWN_AGE}"
        with undivided():
            log.critical("%s", message, extra={"code": trouble.code, "revision": kept.mark.revision})
        return kept.snapshot

    def _take(self, kept: Kept) -> None:
        self._heard_at, self._heard_wall = self._clock() - kept.snapshot.age, kept.heard_at
        # What the source has delivered beyond this was never enforced: it is to begin with the whole.
        self._source.resume(kept.mark)

    def _delivered(self, news: PolicySnapshot | PolicyDelta) -> None:
        mark = self._source.mark
        assert mark is not None
        self._heard_at, self._heard_wall = self._clock(), self._wall()
        self._pending = _Pending(news, mark)

    def _keep(self, pending: _Pending) -> None:
        try:
            with self._disk:
                self._store.keep(pending.news, pending.mark)
        except NotWhole:
            self._owe("the whole policy is needed", soon=True)
        except (OSError, UnusableKept) as error:
            self._owe(_said(error))
        else:
            self._owed = self._outdated = False
            self._complaint = ""

    def _owe(self, why: str, *, soon: bool = False) -> None:
        """Leave nothing on the disk that is older than what is enforced."""
        self._owed, self._retry_at = True, self._clock() + (0.0 if soon else RETRY_INTERVAL)
        try:
            with self._disk:
                self._store.discard()
            self._outdated = False
        except OSError as error:
            self._outdated = True
            why += f"; the one that is there cannot be removed: {words(error)}"
        if not soon:
            self._complain("policy_not_kept", f"the policy is not kept: {why}")

    def _disk_answers(self) -> bool:
        """Whether a small file can be written: the whole policy is not read for nothing."""
        self._retry_at = self._clock() + RETRY_INTERVAL
        self._noted_at = float("-inf")
        return self._note_heard()

    def _note_heard(self) -> bool:
        now = self._clock()
        if now < self._noted_at + NOTE_INTERVAL or self._heard_wall is None:
            return True
        self._noted_at = now
        try:
            with self._disk:
                self._store.note_heard(self._heard_wall, now - self._heard_at)
        except OSError as error:
            self._complain("policy_not_kept", f"the policy is not kept: {words(error)}")
            return False
        return True

    def _complain(self, code: str, message: str) -> None:
        if message != self._complaint:
            self._complaint = message
            with undivided():
                log.critical("%s", message, extra={"code": code})

    # Around a fork.

    def let_go(self, timeout: float) -> bool:
        """Have no file open and no lock held while this process forks."""
        return self._disk.acquire(timeout=timeout)

    def go_on(self) -> None:
        """Go on after a fork, in the parent."""
        self._disk.release()

    def begin_anew(self, *, let_go: bool) -> None:
        """Go on after a fork, in the child."""
        del let_go
        self._disk = threading.Lock()


def _said(error: OSError | UnusableKept) -> str:
    return words(error) if isinstance(error, OSError) else f"{error.code}: {error}"
