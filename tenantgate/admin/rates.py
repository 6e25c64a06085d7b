"""How much one operator may ask, whatever they come with; and how often one address may be wrong.

Operators: a bucket in this process, and on PostgreSQL one in the database that all servers draw on, some requests at a
time. Where the database cannot be asked the process's own bucket still holds: nobody is let through without end, and
nobody is shut out. Addresses: in this process, bounded; who came in before is let in all the same, for behind a
proxy everybody has one address, and a stranger must not shut the operators out.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import threading
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from tenantgate.admin.problems import RateLimited
from tenantgate.registry.errors import RegistryError

log: Final = logging.getLogger("tenantgate.admin")

BURST_SECONDS: Final = 10
"""An operator's bucket holds what comes back in so many seconds."""
PORTIONS: Final = 20
"""A server draws a twentieth of a full bucket from the database at a time."""
FAILURES: Final = 30
"""Wrong credentials of one address at once; half a one comes back in a second."""
_FAILURE_RATE: Final = 0.5
_MOST: Final = 4096
"""Operators, addresses and credentials remembered, at most."""
_KNOWN_FOR: Final = 3_600.0

Shared = Callable[[str, int], bool]
"""Takes so many of an operator's requests from what all share; False: they are not left. Raises RegistryError."""


class Buckets:
    """Token buckets by name, bounded. `rate`: a second; `clock`: monotonic seconds. Any thread."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._lock = threading.Lock()
        # Whoever was not heard of for as long as it takes to fill a bucket has a full one, as a new one has.
        self._left: TTLCache[str, tuple[float, float]] = TTLCache(_MOST, burst / rate, timer=clock)

    def take(self, name: str) -> float:
        """Take one: return 0, or the seconds until there is one."""
        with self._lock:
            left = self._filled(name)
            if left >= 1:
                self._left[name] = (left - 1, self._clock())
                return 0.0
            return (1 - left) / self._rate

    def wait(self, name: str) -> float:
        """Return the seconds until there is one; 0 now. Takes none."""
        with self._lock:
            return max(0.0, 1 - self._filled(name)) / self._rate

    def _filled(self, name: str) -> float:
        left, at = self._left.get(name, (self._burst, self._clock()))
        return min(self._burst, left + (self._clock() - at) * self._rate)


class OperatorRates:
    """`a_minute`: requests that one operator may make. `shared` is what all servers draw on, if there is such."""

    def __init__(self, a_minute: int, clock: Callable[[], float], shared: Shared | None = None) -> None:
        rate = a_minute / 60
        self._own = Buckets(rate, max(1.0, rate * BURST_SECONDS), clock)
        self._portion = max(1, int(rate * BURST_SECONDS / PORTIONS))
        self._shared = shared
        self._lock = threading.Lock()
        self._drawn: TTLCache[str, int] = TTLCache(_MOST, BURST_SECONDS, timer=clock)
        self._trouble = False

    def spend(self, operator: str) -> None:
        """Take one of an operator's requests. May ask the database.

        Raises:
            RateLimited: there is none left.
        """
        wait = self._own.take(operator)
        if wait == 0 and (self._shared is None or self._has_drawn(operator) or self._draw(operator)):
            return
        raise RateLimited("rate_limited", "you ask more often than an operator may", retry_after=math.ceil(wait) or 1)

    def _has_drawn(self, operator: str) -> bool:
        with self._lock:
            left = self._drawn.get(operator, 0)
            if left > 0:
                self._drawn[operator] = left - 1
            return left > 0

    def _draw(self, operator: str) -> bool:
        assert self._shared is not None
        try:
            granted = self._shared(operator, self._portion)
        except RegistryError as error:
            if not self._trouble:
                log.warning("rates are each server's own for now: %s", error.message, extra={"code": error.code})
            self._trouble = True
            return True  # our own bucket holds
        self._trouble = False
        if granted:
            with self._lock:
                self._drawn[operator] = self._drawn.get(operator, 0) + self._portion - 1
        return granted


class Failures:
    """How often an address was wrong. Any thread; nothing is written down but this, and of credentials a digest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._wrong = Buckets(_FAILURE_RATE, FAILURES, clock)
        self._known: TTLCache[bytes, bool] = TTLCache(_MOST, _KNOWN_FOR, timer=clock)
        self._lock = threading.Lock()

    def check(self, address: str, credential: str) -> None:
        """Refuse to judge what comes from an address that was wrong too often, unless it came in before.

        Raises:
            RateLimited: ask again later.
        """
        wait = self._wrong.wait(place_of(address))
        if wait > 0 and not self._knows(credential):
            message = "too many wrong credentials came from your address"
            raise RateLimited("rate_limited", message, retry_after=math.ceil(wait))

    def note(self, address: str) -> None:
        """Remember that a credential of this address let nobody in."""
        place = place_of(address)
        if self._wrong.take(place) == 0 and self._wrong.wait(place) > 0:
            log.warning("an address sends wrong credentials without end", extra={"address": address})

    def welcome(self, credential: str) -> None:
        """Remember that this credential let somebody in."""
        with self._lock:
            self._known[_digest(credential)] = True

    def _knows(self, credential: str) -> bool:
        with self._lock:
            return _digest(credential) in self._known


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode(errors="replace")).digest()


def place_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the network, in which one machine has as many as it likes."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
