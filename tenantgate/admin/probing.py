"""Looks at issuers for operators: a few a minute, two at once. The only fetch that anybody can cause by asking.

It goes to addresses an operator wrote, through the same guarded door as a fetch in service, and leaves no trace but
a line in the log: no cache, no policy, no key set hears of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from tenantgate.admin.problems import AdminError
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.probe import Finding

log: Final = logging.getLogger("tenantgate.admin")

A_MINUTE: Final = 6
"""Looks of one operator."""
AT_ONCE: Final = 2
"""Looks under way in one process: each holds a thread for half a minute at most."""
_OPERATORS: Final = 1024


class TooManyProbes(AdminError):
    """This operator has looked often enough for now, or others are looking."""

    def __init__(self) -> None:
        super().__init__("rate_limited", f"At most {A_MINUTE} looks a minute, and {AT_ONCE} at once in all.")


class Probing:
    """`look` blocks. `clock`: monotonic seconds. Any thread."""

    def __init__(self, look: Callable[[IssuerRow], list[Finding]], clock: Callable[[], float]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._recent: TTLCache[tuple[str, int], bool] = TTLCache(_OPERATORS * A_MINUTE, 60.0, timer=clock)
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def run(self, operator: str, row: IssuerRow) -> list[Finding]:
        """Look at a checked row's issuer for an operator.

        Raises:
            TooManyProbes: nothing was asked of anybody.
        """
        if not self._free.acquire(blocking=False):
            raise TooManyProbes
        try:
            with self._lock:
                free = next((n for n in range(A_MINUTE) if (operator, n) not in self._recent), None)
                if free is None:
                    raise TooManyProbes
                self._recent[operator, free] = True  # one of the operator's places, taken for a minute
            log.info("an issuer is looked at", extra={"operator": operator, "issuer": row.issuer or row.authority})
            return self._look(row)
        finally:
            self._free.release()
