"""The network backend under httpx: look up, check, and dial the very address that was checked.

Because the check and the connection use one look-up, a name that changes its mind in between (DNS
rebinding) gains nothing. TLS still asks for the certificate of the name: httpcore hands it to `start_tls`.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final

import httpcore

from tenantgate.net.address import check_addresses
from tenantgate.net.door import AddressRefused, ConnectFailed, DeadlinePassed, DnsFailed, FetchRules, TooLarge
from tenantgate.net.resolve import Resolve

MOST_ATTEMPTS: Final = 4
"""Addresses of one name that are tried."""


_HEAD: Final = 192 * 1024
"""Bytes that may come before a body begins, and that its framing may cost. h11 itself refuses a head of 100 KiB."""


class Meter:
    """Counts what comes in. The cap on a body counts what is in it; an endless preface or framing is none of that."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.seen = 0

    def count(self, came: bytes) -> bytes:
        """Count. Raises TooLarge."""
        self.seen += len(came)
        if self.seen > self.most:
            raise TooLarge(f"more than {self.most} bytes came, and no document in them")
        return came


class _Metered(httpcore.AsyncNetworkStream):
    """A connection whose bytes are counted, those inside of TLS once there is TLS."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's signature
        return self._meter.count(await self._stream.read(max_bytes, timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's signature
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        return _Metered(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._meter)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Dials for one set of rules. With a proxy, the proxy is what is dialled and checked."""

    def __init__(self, rules: FetchRules, resolve: Resolve) -> None:
        self._rules = rules
        self._resolve = resolve
        self._dialler = httpcore.AnyIOBackend()
        self._opened: list[httpcore.AsyncNetworkStream] = []
        self._meter = Meter(_HEAD)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of `host` that answers.

        Raises:
            DnsFailed, AddressRefused, ConnectFailed, DeadlinePassed.
        """
        found = await self._resolve(host, port)
        if not found:
            raise DnsFailed(f"{host} has no address")
        try:
            check_addresses(host, found, self._rules)
        except AddressRefused as error:
            raise AddressRefused(f"the proxy {error}" if self._rules.proxy is not None else str(error)) from None
        stream = await self._connect(host, port, in_turn(found)[:MOST_ATTEMPTS], timeout)
        self._opened.append(stream)
        return _Metered(stream, self._meter)

    def head_came(self) -> None:
        """Let as much come as a whole document may have."""
        self._meter.most = _HEAD + self._rules.max_bytes

    async def _connect(
        self, host: str, port: int, candidates: Sequence[str], last_timeout: float | None
    ) -> httpcore.AsyncNetworkStream:
        # An address that swallows packets must leave time for the next one; the last has all that is left.
        share = self._rules.deadline / (len(candidates) + 1)
        for address in candidates[:-1]:
            try:
                return await self._dialler.connect_tcp(address, port, share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        try:
            return await self._dialler.connect_tcp(candidates[-1], port, last_timeout)
        except httpcore.ConnectTimeout:
            raise DeadlinePassed(f"{host} port {port} did not take the connection in time") from None
        except httpcore.ConnectError:
            raise ConnectFailed(f"{host} port {port} does not take connections") from None

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """There is no way out by a file."""
        raise ConnectFailed("connections to a Unix socket are not made")

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore would between its own retries (it has none here)."""
        await self._dialler.sleep(seconds)

    async def aclose(self) -> None:
        """Close what was dialled: httpcore forgets a connection whose TLS handshake is cancelled, open as it is."""
        while self._opened:
            await self._opened.pop().aclose()


def in_turn(addresses: Sequence[str]) -> list[str]:
    """Return the addresses with the two families taking turns (RFC 8305 §4), the system's first choice first."""
    first = ipaddress.ip_address(addresses[0]).version
    same = [each for each in addresses if ipaddress.ip_address(each).version == first]
    other = [each for each in addresses if ipaddress.ip_address(each).version != first]
    return [each for pair in zip_longest(same, other) for each in pair if each is not None]
