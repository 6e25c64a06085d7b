"""How much one operator may ask, whatever they come with; and how often one address may be wrong.

Operators: a bucket in this process, and on PostgreSQL one in the database that all servers draw on, some requests at a
time. Where the database cannot be asked the process's own bucket still holds: nobody is let through without end, and
nobody is shut out. Addresses: in this process, bounded. Behind a proxy everybody has one address, and a stranger must
not shut the operators out: what could let somebody in is judged all the same, all else is answered before (0062).
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

from tenantgate.admin.admission import PresentedKey
from tenantgate.admin.problems import RateLimited
from tenantgate.registry.errors import RegistryError
from tenantgate.registry.identities import Identity
from tenantgate.registry.operators import key_id_of

log: Final = logging.getLogger("tenantgate.admin")

BURST_SECONDS: Final = 10
"""An operator's bucket holds what comes back in so many seconds."""
PORTIONS: Final = 20
"""A server draws a twentieth of a full bucket from the database at a time."""
POLL_RATE: Final = 5.0
"""Requests a second that one operator's open pages may make by themselves: ten of them make so many."""
FAILURES: Final = 30
"""Wrong credentials at once: of one address, of one address with one key's id, of one identity. Half a one comes back
in a second."""
_FAILURE_RATE: Final = 0.5
_MOST: Final = 4096
"""Operators, addresses, keys and identities remembered, at most, of each."""
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
        self._polls = Buckets(POLL_RATE, POLL_RATE * BURST_SECONDS, clock)
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
        raise _too_often(_OF_OPERATOR, wait or 1.0)

    def poll(self, operator: str) -> None:
        """Take one of what an operator's open pages ask by themselves: it is none of what the operator may ask.

        Raises:
            RateLimited: there is none left.
        """
        wait = self._polls.take(operator)
        if wait > 0:
            raise _too_often(_OF_OPERATOR, wait)

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


Presented = PresentedKey | Identity
"""What somebody came with: a key (untrusted), or who an authentic token stands for."""


class Failures:
    """How often who let nobody in came. Any thread; nothing is written down but this, and of keys a digest.

    An address that was wrong too often is refused whatever is no key by its form. A key is still looked up, so often
    for each id: who has one does not share that with strangers. Whether there is such an id makes no difference,
    neither to what is done nor to the answer. Identities are verified before they are counted: each spends its own.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._wrong = Buckets(_FAILURE_RATE, FAILURES, clock)
        self._of_keys = Buckets(_FAILURE_RATE, FAILURES, clock)
        self._of_identities = Buckets(_FAILURE_RATE, FAILURES, clock)
        self._known: TTLCache[bytes, bool] = TTLCache(_MOST, _KNOWN_FOR, timer=clock)
        self._lock = threading.Lock()

    def check(self, address: str, presented: Presented) -> None:
        """Refuse before the database is asked what was wrong too often.

        Raises:
            RateLimited: ask again later.
        """
        if isinstance(presented, Identity):
            wait = self._of_identities.wait(str(presented))
            if wait > 0:
                raise _too_often("your identity was refused too often", wait)
            return
        wait = self._wrong.wait(place_of(address))
        if wait == 0 or self._knows(presented):
            return
        name = _name_at(address, presented)
        if name is None or self._of_keys.wait(name) > 0:
            raise _too_often(_OF_ADDRESS, wait)

    def note(self, address: str, presented: Presented | None) -> None:
        """Remember what let nobody in (None: a token that is not authentic); a key is no longer one that came in.

        Raises:
            RateLimited: it was so too often, and that is the answer.
        """
        if isinstance(presented, Identity):
            wait = self._of_identities.take(str(presented))
            if wait > 0:
                raise _too_often("your identity was refused too often", wait)
            return
        if presented is not None:
            self._forget(presented)
        place = place_of(address)
        wait = self._wrong.take(place)
        if wait > 0:
            name = None if presented is None else _name_at(address, presented)
            if name is not None:
                self._of_keys.take(name)
            raise _too_often(_OF_ADDRESS, wait)
        if self._wrong.wait(place) > 0:
            log.warning("an address sends wrong credentials without end", extra={"address": address})

    def welcome(self, presented: Presented) -> None:
        """Remember for an hour that this key let somebody in."""
        if isinstance(presented, PresentedKey):
            with self._lock:
                self._known[_digest(presented.value)] = True

    def _knows(self, presented: PresentedKey) -> bool:
        with self._lock:
            return _digest(presented.value) in self._known

    def _forget(self, presented: PresentedKey) -> None:
        with self._lock:
            self._known.pop(_digest(presented.value), None)


_OF_OPERATOR: Final = "you ask more often than an operator may"
_OF_ADDRESS: Final = "too many wrong credentials came from your address"


def _too_often(message: str, wait: float) -> RateLimited:
    return RateLimited("rate_limited", message, retry_after=math.ceil(wait))


def _name_at(address: str, presented: PresentedKey) -> str | None:
    """Return what a key (untrusted) is counted by; None where it is none by its form."""
    id_ = key_id_of(presented.value)
    return None if id_ is None else f"{place_of(address)} {id_}"


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
