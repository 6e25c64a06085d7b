"""What is known of one key set, and of the last attempts to learn it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from cachetools import TTLCache

from tenantgate.core.keys import DroppedKey, KeySetRef
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.limits import KeyLimits
from tenantgate.discovery.metadata import Document, Metadata
from tenantgate.discovery.published import KeyEvent, Published

HISTORY: Final = 32
"""Key events that are remembered per key set."""


class Flight:
    """One fetch under way, the kids it was asked for, and how many requests wait for it."""

    __slots__ = ("kids", "task", "waiters")

    def __init__(self) -> None:
        self.task: asyncio.Task[None]
        self.kids: set[str | None] = set()
        self.waiters = 0


class IssuerState:
    """One key set of one issuer. Written on the Keeper's loop only, read from any thread attribute by attribute.

    Every attribute that other threads read is a whole value, replaced and never changed in place; the
    cache of unknown kids is only asked `in`, which changes nothing. Times are monotonic seconds.
    """

    __slots__ = (
        "document", "due_at", "failures", "fetched_wall", "flight", "history", "last_detail", "last_error", "metadata",
        "metadata_at", "metadata_error", "open_at", "published", "ref", "restored", "row", "static", "tried_at",
        "unknown",
    )  # fmt: skip

    def __init__(self, ref: KeySetRef, row: IssuerRow, document: Document, *, static: bool) -> None:
        self.ref = ref
        self.row = row
        self.document: Document = document
        self.static = static
        self.published: Published | None = None
        self.fetched_wall = 0.0  # epoch seconds of the last success, by the clock of the process that had it
        self.restored = False  # what is published came from disk, and no fetch has succeeded since
        self.metadata: Metadata | None = None
        self.metadata_at = 0.0
        self.metadata_error: str | None = None
        self.flight: Flight | None = None
        self.unknown: TTLCache[str | None, bool]
        self.tried_at: float | None = None
        self.open_at = float("-inf")  # requests may cause a fetch from here on
        self.due_at = float("-inf")  # the background fetches from here on
        self.failures = 0
        self.last_error: str | None = None
        self.last_detail = ""
        self.history: tuple[KeyEvent, ...] = ()

    def forget_flight(self, limits: KeyLimits, clock: Callable[[], float]) -> None:
        """Forget what belongs to an event loop or may be half-written: after a fork, and at the beginning."""
        self.flight = None
        self.unknown = TTLCache(limits.unknown_most, limits.unknown_ttl, timer=clock)

    def failed(self, code: str, detail: str) -> None:
        """Record a failed attempt. What was published stays."""
        self.failures += 1
        self.last_error, self.last_detail = code, detail

    def succeeded(self, published: Published, events: tuple[KeyEvent, ...], wall: float) -> None:
        """Publish what a fetch brought at `wall`, epoch seconds."""
        self.published, self.restored, self.fetched_wall = published, False, wall
        self.history = (*self.history, *events)[-HISTORY:]
        self.failures = 0
        self.last_error, self.last_detail = None, ""


class IssuerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one key set is doing; with `appid`, that of an application's own keys.

    Ages and waits in seconds; `last_error` is a stable code, None after a success. `restored`: the keys in use are
    those that an earlier process left on disk.

    `metadata_error`: the metadata was due and could not be had; the one at hand goes on.

    `kids` serve now (an empty one: a key without a name); `withdrawn` are those among
    them that the issuer no longer lists. `history`: the newest key events, with their age in place of a time.
    """

    issuer: str
    document: str
    appid: str | None
    static: bool
    restored: bool
    kids: tuple[str, ...]
    withdrawn: tuple[str, ...]
    dropped: tuple[DroppedKey, ...]
    age: float | None
    too_old: bool
    failures: int
    last_error: str | None
    last_detail: str
    metadata_error: str | None
    tried_ago: float | None
    next_refresh: float | None
    history: tuple[KeyEvent, ...]


def health_of(state: IssuerState, now: float) -> IssuerHealth:
    """Return a state as a value, safe to call from any thread."""
    published, tried_at = state.published, state.tried_at
    return IssuerHealth(
        issuer=state.ref.issuer,
        document=state.document,
        appid=state.ref.appid,
        static=state.static,
        restored=state.restored,
        kids=_kids(published),
        withdrawn=tuple(published.absent) if published else (),
        dropped=published.keys.dropped if published else (),
        age=None if published is None or state.static else now - published.fetched_at,
        too_old=published is not None and now >= published.stale_at,
        failures=state.failures,
        last_error=state.last_error,
        last_detail=state.last_detail,
        metadata_error=state.metadata_error,
        tried_ago=None if tried_at is None else now - tried_at,
        next_refresh=None if state.static or tried_at is None else max(0.0, state.due_at - now),
        history=tuple(event._replace(at=now - event.at) for event in state.history),
    )


def _kids(published: Published | None) -> tuple[str, ...]:
    if published is None:
        return ()
    nameless = published.keys.nameless
    return (*published.keys.keys, *([""] if nameless is not None and nameless.kid is None else []))
