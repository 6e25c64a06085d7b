"""Time that moves only when a test says so."""

from __future__ import annotations

from typing import Final

START: Final = 1_800_000_000.0
"""Where a frozen clock begins (epoch seconds; in January 2027). The same in every run, so that failures repeat."""


class FrozenClock:
    """Epoch seconds that stand still. Call it to read it."""

    def __init__(self, now: float = START) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def move(self, seconds: float) -> None:
        """Move by that many seconds, backwards where they are negative."""
        self._now += seconds
