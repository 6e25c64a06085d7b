"""What was refused and why, for the operator's log: written down off the hot path, bounded under floods.

A judgement only appends to a bounded queue; a thread that waits anyway writes the lines. What did not fit
is counted and said. Grants that a rule reported only would have denied have a queue of their own: they may be every
request, and must never push a denial out. The full decision log (counts, samples, retention) is the registry's
business.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Final, Generic, TypeVar

from tenantgate.core.decision import Decision, Denied, Granted
from tenantgate.forks import undivided

log: Final = logging.getLogger("tenantgate.decisions")

MOST: Final = 200
"""Denials kept between two writings, at most."""
MOST_REPORTED: Final = 50
"""Grants that would have been denied, kept between two writings, at most."""

D = TypeVar("D")


class _Queue(Generic[D]):
    """Decisions that wait, and how many did not fit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._dropped = 0
        self.waiting: deque[D] = deque()

    def keep(self, decision: D) -> None:
        if len(self.waiting) < self._most:
            self.waiting.append(decision)
        else:
            self._dropped += 1

    def take_dropped(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped


class Journal:
    """Decisions on their way to the log. `note` is called by any thread, `write` by one."""

    def __init__(self, most: int = MOST, most_reported: int = MOST_REPORTED) -> None:
        self._denied: _Queue[Denied] = _Queue(most)
        self._reported: _Queue[Granted] = _Queue(most_reported)

    def note(self, decision: Decision) -> None:
        """Keep a denial, or a grant that would have been one, for the next writing. Never waits: a flood is counted."""
        if isinstance(decision, Denied):
            self._denied.keep(decision)
        else:
            self._reported.keep(decision)

    def write(self) -> None:
        """Write down what is waiting: id, exact reason and detail, which never hold a token."""
        # Line by line: a fork in the middle of one would leave the log file's buffer locked in the child for ever.
        while self._denied.waiting:
            with undivided():
                _write_denied(self._denied.waiting.popleft())
        if dropped := self._denied.take_dropped():
            with undivided():
                log.warning("%d more denials were not written down", dropped, extra={"dropped": dropped})
        while self._reported.waiting:
            with undivided():
                _write_reported(self._reported.waiting.popleft())
        if dropped := self._reported.take_dropped():
            with undivided():
                log.warning("%d more would-be denials were not written down", dropped, extra={"dropped": dropped})


def _write_denied(denied: Denied) -> None:
    facts = {
        "decision": denied.id,
        "reason": denied.reason.value,
        "detail": denied.detail,
        "resource": denied.resource,
        "revision": denied.revision,
    }
    log.info("denied: %s", denied.reason.value, extra=facts)


def _write_reported(granted: Granted) -> None:
    who = granted.principal
    reasons = [reason.value for reason in who.would_deny]
    facts = {
        "decision": granted.id,
        "would_deny": reasons,
        "partner": who.partner,
        "daemon": who.daemon,
        "resource": who.resource,
        "revision": granted.revision,
    }
    log.info("would deny: %s", ", ".join(reasons), extra=facts)
