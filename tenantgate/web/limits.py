"""How often one address may ask for what needs no sign-in, and one operator for anything.

A code has 256 bits, so this keeps nobody from guessing who could; it keeps log and database from being filled. By
process, by the address we see (of IPv6 by its network, as `admin.rates` counts): behind a proxy that is the proxy's,
and then all who come through it share it. An operator's requests are those of `admin.rates`, page and API together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from tenantgate.admin.problems import RateLimited
from tenantgate.admin.rates import OperatorRates, place_of
from tenantgate.web.errors import TooOften

WINDOW: Final = 60
"""Seconds."""
POSTS: Final = 30
"""Of one address, in a window that begins with its first."""
_ADDRESSES: Final = 4_096


class Turnstile:
    """Counts by address, in bounded memory. `clock`: monotonic seconds. Any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._lock = threading.Lock()
        self._counts: TTLCache[str, list[int]] = TTLCache(_ADDRESSES, WINDOW, timer=clock)

    def enter(self, address: str) -> None:
        """Count one more.

        Raises:
            TooOften: `too_often`.
        """
        with self._lock:
            # A list, changed in place: to set it anew would begin the window anew.
            count = self._counts.setdefault(place_of(address), [0])
            count[0] += 1
            if count[0] > POSTS:
                raise TooOften("too_often", "too many posts from this address", retry_after=WINDOW)


def spend(rates: OperatorRates | None, operator: str, *, asked_by_itself: bool) -> None:
    """Take one of an operator's requests. What an open page asks by itself has a rate of its own, and uses up nothing.

    Raises:
        TooOften: `rate_limited`.
    """
    if rates is None:
        return
    try:
        (rates.poll if asked_by_itself else rates.spend)(operator)
    except RateLimited as error:
        raise TooOften(error.code, error.detail, retry_after=error.retry_after) from None
