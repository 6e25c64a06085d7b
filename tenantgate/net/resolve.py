"""Names to addresses, without ever blocking the loop or piling up threads when DNS hangs."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tenantgate.net.address import is_address
from tenantgate.net.door import DnsFailed

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name, in the order in which to try them, or raises DnsFailed."""

MOST_LOOKUPS: Final = 32
"""Look-ups that may be under way at once: one hanging resolver must not eat the process's threads."""


class SystemResolver:
    """Asks the system (`getaddrinfo`), one look-up at a time per name; whoever asks meanwhile shares it.

    Each look-up has a daemon thread of its own, because `getaddrinfo` cannot be cancelled and the loop's
    default executor would be waited for at exit. Belongs to one loop.
    """

    def __init__(
        self,
        *,
        getaddrinfo: Callable[..., Sequence[tuple[Any, ...]]] = socket.getaddrinfo,
        most_lookups: int = MOST_LOOKUPS,
    ) -> None:
        self._getaddrinfo = getaddrinfo
        self._most = most_lookups
        self._running: dict[tuple[str, int], asyncio.Future[list[str] | DnsFailed]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """Look `host` up. An address is its own answer.

        Raises:
            DnsFailed: no such name, or no answer.
        """
        if is_address(host):
            return [host]
        while (running := self._running.get((host, port))) is None and len(self._running) >= self._most:
            # Whoever called has a deadline; one that hangs must not fail the names of others at once.
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
        running = running or self._start(host, port)
        outcome = await asyncio.shield(running)
        if isinstance(outcome, DnsFailed):
            raise DnsFailed(str(outcome))  # a fresh one: the outcome is shared, its traceback must not be
        return outcome

    def _start(self, host: str, port: int) -> asyncio.Future[list[str] | DnsFailed]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str] | DnsFailed] = loop.create_future()
        thread = threading.Thread(
            target=self._look_up, args=(loop, future, host, port), name="tenantgate-dns", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            raise DnsFailed(f"{host} was not looked up: no thread could be started") from None
        self._running[host, port] = future
        future.add_done_callback(lambda _: self._running.pop((host, port), None))
        return future

    def _look_up(
        self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[list[str] | DnsFailed], host: str, port: int
    ) -> None:
        outcome: list[str] | DnsFailed
        try:
            found = self._getaddrinfo(host, port, type=socket.SOCK_STREAM)
            outcome = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a host name"
            outcome = DnsFailed(f"{host} could not be looked up: {reason}")
        try:
            loop.call_soon_threadsafe(_deliver, future, outcome)
        except RuntimeError:
            return  # the loop is closed: nobody is left to be told


def _deliver(future: asyncio.Future[list[str] | DnsFailed], outcome: list[str] | DnsFailed) -> None:
    if not future.done():
        future.set_result(outcome)
