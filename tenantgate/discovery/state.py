"""What is known of one key set, and of the last attempts to learn it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from cachetools import TTLCache

from tenantgate.core.keys import KeySetRef
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.limits import KeyLimits
from tenantgate.discovery.metadata import Document, Metadata
from tenantgate.discovery.published import KeyEvent, Published
from tenantgate.discovery.youngest import YoungestToken

CLOCK_SLACK: Final = 60.0
"""Seconds by which our wall clock may be ahead of an issuer's before a fetch is dated by the issuer's."""
HISTORY: Final = 32
"""Key events that are remembered per key set."""


class Flight:
    """One fetch under way, the kids it was asked for, and how many requests wait for it.

    Once the key document was `asked` for, no kid is added: the answer may be older than the key it names.
    """

    __slots__ = ("asked", "kids", "task", "waiters")

    def __init__(self) -> None:
        self.task: asyncio.Task[None]
        self.kids: set[str | None] = set()
        self.waiters = 0
        self.asked = False


class IssuerState:
    """One key set of one issuer. Written on the Keeper's loop only, read from any thread attribute by attribute.

    `youngest` alone is written elsewhere: by every thread that judges.
    Every attribute that other threads read is a whole value, replaced and never changed in place; the
    cache of unknown kids is only asked `in`, which changes nothing. Times are monotonic seconds.
    """

    __slots__ = (
        "clock_ahead", "document", "due_at", "failures", "flight", "history", "last_detail",
        "last_error", "metadata", "metadata_at", "metadata_error", "open_at", "published", "ref", "restored", "row",
        "static", "tried_at", "unknown", "youngest",
    )  # fmt: skip

    def __init__(self, ref: KeySetRef, row: IssuerRow, document: Document, *, static: bool) -> None:
        self.ref = ref
        self.row = row
        self.document: Document = document
        self.static = static
        self.published: Published | None = None
        self.restored = False  # what is published came from disk, and no fetch has succeeded since
        self.metadata: Metadata | None = None
        self.metadata_at = 0.0
        self.metadata_error: str | None = None
        self.flight: Flight | None = None
        self.unknown: TTLCache[str | None, bool]
        self.tried_at: float | None = None
        self.clock_ahead: float | None = None  # seconds by which our wall clock was ahead of the issuer's, at a success
        self.open_at = float("-inf")  # requests may cause a fetch from here on
        self.due_at = float("-inf")  # the background fetches from here on
        self.failures = 0
        self.last_error: str | None = None
        self.last_detail = ""
        self.history: tuple[KeyEvent, ...] = ()
        self.youngest = YoungestToken()

    def forget_flight(self, limits: KeyLimits, clock: Callable[[], float]) -> None:
        """Forget what belongs to an event loop or may be half-written: after a fork, and at the beginning."""
        self.flight = None
        self.unknown = TTLCache(limits.unknown_most, limits.unknown_ttl, timer=clock)

    def failed(self, code: str, detail: str) -> None:
        """Record a failed attempt. What was published stays."""
        self.failures += 1
        self.last_error, self.last_detail = code, detail

    def succeeded(
        self, published: Published, events: tuple[KeyEvent, ...], wall: float, date: float | None = None
    ) -> None:
        """Publish what a fetch brought at `wall`, by the issuer's own clock at `date`; epoch seconds both."""
        # A time yet to come would make the keys young after a restart until it has come; an earlier one only ages them.
        fetched_wall = date if date is not None and wall > date + CLOCK_SLACK else wall
        self.published, self.restored = msgspec.structs.replace(published, fetched_wall=fetched_wall), False
        if date is not None:
            self.clock_ahead = wall - date
        self.history = (*self.history, *events)[-HISTORY:]
        self.failures = 0
        self.last_error, self.last_detail = None, ""
