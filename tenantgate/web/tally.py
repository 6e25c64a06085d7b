"""How many things wait, as the menu shows it on every page."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session

from tenantgate.registry import attention
from tenantgate.registry.snapshot import read_state

FRESH: Final = 10
"""Seconds for which a count is shown again: what gates note comes by itself and is in no audit."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many access requests are open, and how many things need a person, these included."""

    access_requests: int
    attention: int


class Tally:
    """Counts what waits: anew after every audited change, whoever made it, else every few seconds. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: tuple[tuple[int, int], Waiting] | None = None

    def read(self, session: Session, *, now: int) -> Waiting:
        """Return the counts. `now` is epoch seconds."""
        key = (read_state(session).audit_sequence, now // FRESH)
        with self._lock:
            if self._found is not None and self._found[0] == key:
                return self._found[1]
        by_kind = attention.read(session, now=now)
        waiting = Waiting(len(by_kind["access_request"]), sum(map(len, by_kind.values())))
        with self._lock:
            self._found = (key, waiting)
        return waiting
