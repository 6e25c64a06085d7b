"""The clocks measured by tokens: what an issuer signed just now bears its time of day.

A token that is first seen here was issued before: however old it looks by our clock, by so much at most that clock is
ahead of the issuer's. One that looks younger than nothing says that our clock is behind. It is the one measure of
clocks where keys are given in the policy and no issuer is ever asked.
"""

from __future__ import annotations

from typing import Final

WINDOW: Final = 3600.0
"""Seconds. The least age is that of this stretch of time and the one before: a clock that was set right shows."""


class YoungestToken:
    """The least age of tokens when they were first seen, of one key set's issuer. Seconds; `now` is monotonic.

    Written by every thread that judges, without a lock: of two tokens at once one may be lost, and the next will tell.
    """

    __slots__ = ("_before", "_ends_at", "_least")

    def __init__(self) -> None:
        self._least: float | None = None
        self._before: float | None = None
        self._ends_at = float("-inf")

    def note(self, age: float, now: float) -> None:
        """Take in the age of an authentic token, by our wall clock and its `iat`."""
        if now >= self._ends_at:
            self._before = self._least if now < self._ends_at + WINDOW else None
            self._least, self._ends_at = age, now + WINDOW
            return
        least = self._least
        if least is None or age < least:
            self._least = age

    def at(self, now: float) -> float | None:
        """Return the least age seen lately; None where none was."""
        if now >= self._ends_at + WINDOW:
            return None
        found = [self._least] if now >= self._ends_at else [self._least, self._before]
        return min((each for each in found if each is not None), default=None)
