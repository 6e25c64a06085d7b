"""The off switch, and the count of what the authority saw while it was on or off."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

from tenantgate.emulator.errors import ConfigInvalid


class Mode(StrEnum):
    """How the Entra-shaped paths answer."""

    ON = "on"
    UNAVAILABLE = "503"
    DROP = "drop"


class Switch:
    """State beside the authority: is it on, and how often was each of its paths asked, with which query."""

    def __init__(self, *, can_drop: bool) -> None:
        """Start on; `can_drop` says whether the server can close a connection without an answer."""
        self.mode = Mode.ON
        self.requests: Counter[str] = Counter()
        self._can_drop = can_drop

    def turn(self, mode: Mode) -> None:
        """Turn the authority on, or off in one of two ways; raise ConfigInvalid where the server cannot do it."""
        if mode is Mode.DROP and not self._can_drop:
            raise ConfigInvalid("mode drop needs the emulator as a program of its own: an ASGI app cannot hang up")
        self.mode = mode

    def count(self, target: str) -> None:
        """Count one request the authority saw, answered or not, by its path and query."""
        self.requests[target] += 1
