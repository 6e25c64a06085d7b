"""What was refused and why, for the operator's log: written down off the hot path, bounded under floods.

A judgement only appends to a bounded queue; a thread that waits anyway writes the lines. What did not fit
is counted and said. The full decision log (counts, samples, retention) is the registry's business.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

from tenantgate.core.decision import Denied

log: Final = logging.getLogger("tenantgate.decisions")

MOST: Final = 200
"""Denials kept between two writings, at most."""


class Journal:
    """Denials on their way to the log. `note` is called by any thread, `write` by one."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: deque[Denied] = deque()
        self._dropped = 0

    def note(self, denied: Denied) -> None:
        """Keep a denial for the next writing. Never waits; under a flood it only counts."""
        if len(self._waiting) < self._most:
            self._waiting.append(denied)
        else:
            self._dropped += 1

    def write(self) -> None:
        """Write down what is waiting: id, exact reason and detail, which never hold a token."""
        while self._waiting:
            denied = self._waiting.popleft()
            facts = {
                "decision": denied.id,
                "reason": denied.reason.value,
                "detail": denied.detail,
                "resource": denied.resource,
                "revision": denied.revision,
            }
            log.info("denied: %s", denied.reason.value, extra=facts)
        dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("%d more denials were not written down", dropped, extra={"dropped": dropped})
