"""The door, on httpx: one GET, one deadline, one cap, no redirect, nothing taken from the environment.

Every fetch has a connection of its own: fetches are minutes apart, so there is nothing to reuse, nothing
to leak, nothing that a fork could share, and every fetch is looked up and checked anew.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpcore
import httpx

from tenantgate.core.fields import check_url
from tenantgate.core.policy import PolicyError
from tenantgate.net.address import check_addresses, is_address
from tenantgate.net.dial import CheckedBackend
from tenantgate.net.door import (
    ConnectFailed,
    DeadlinePassed,
    Fetched,
    FetchRules,
    ProtocolViolated,
    RedirectRefused,
    StatusRefused,
    TlsFailed,
    TooLarge,
    UrlRefused,
)
from tenantgate.net.resolve import Resolve, SystemResolver
from tenantgate.net.tls import tls_context, tls_reason

_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "TenantGate",
}
_LONGEST_NUMBER: Final = 9
"""Digits of a number of seconds in a header; a longer one is not believed."""
_MOST_PIECES: Final = 8192
"""Chunks of a body. Each costs the loop some 25 microseconds, and an honest server sends kilobytes in one."""


class HttpDoor:
    """A Door to real servers. Belongs to one event loop; open another after a fork.

    `resolve` looks names up; the system's resolver unless a test gives another.
    """

    def __init__(self, *, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or SystemResolver()
        self._public_tls: ssl.SSLContext | None = None
        self._closed = False

    async def get(self, url: str, rules: FetchRules) -> Fetched:
        """Fetch `url`, which an operator or a checked document named. The result is untrusted.

        Raises:
            NetError: see `tenantgate.net.door`.
        """
        if self._closed:
            raise RuntimeError("this door is closed")
        target = checked_url(url, rules)
        try:
            async with asyncio.timeout(rules.deadline):
                return await self._get(target, rules)
        except TimeoutError:
            raise DeadlinePassed(f"{_host(target)} did not answer within {rules.deadline:g} s") from None

    async def aclose(self) -> None:
        """Let no further fetch begin. Nothing is kept between fetches, so there is nothing to release."""
        self._closed = True

    async def _get(self, target: httpx.URL, rules: FetchRules) -> Fetched:
        backend = CheckedBackend(rules, self._resolve)
        transport = _Transport(self._pool(rules, backend), backend)
        async with (
            httpx.AsyncClient(
                transport=transport, trust_env=False, follow_redirects=False, timeout=rules.deadline, headers=_HEADERS
            ) as client,
            client.stream("GET", target) as response,
        ):
            backend.head_came()
            _check_head(response, rules)
            body = await _read(response, rules.max_bytes)
            return Fetched(
                status=response.status_code,
                body=body,
                content_type=response.headers.get("content-type", "")[:200],
                max_age=_max_age(response.headers.get("cache-control", "")),
                date=_date(response.headers.get("date", ""), response.headers.get("age", "")),
            )

    def _pool(self, rules: FetchRules, backend: CheckedBackend) -> httpcore.AsyncConnectionPool:
        context = self._tls(rules.ca_bundle)
        if rules.proxy is None:
            return httpcore.AsyncConnectionPool(
                ssl_context=context, max_connections=1, max_keepalive_connections=0, network_backend=backend
            )
        proxy = _proxy(rules.proxy)
        return httpcore.AsyncHTTPProxy(
            proxy_url=_core_url(proxy.url),
            proxy_auth=proxy.raw_auth,
            proxy_ssl_context=self._tls(rules.ca_bundle) if proxy.url.scheme == "https" else None,
            ssl_context=context,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=backend,
        )

    def _tls(self, ca_bundle: str | None) -> ssl.SSLContext:
        """Return a context that verifies chain and name, by the public authorities or by those of the bundle alone."""
        if ca_bundle is not None:
            return tls_context(ca_bundle)
        if self._public_tls is None:
            self._public_tls = tls_context(None)  # read once: the public authorities are many
        return self._public_tls


class _Transport(httpx.AsyncBaseTransport):
    """httpx on a pool of ours; what goes wrong below comes out as NetError."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, backend: CheckedBackend) -> None:
        self._pool = pool
        self._backend = backend

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with _net_errors(_host(request.url)):
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=_core_url(request.url),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response, _host(request.url)),
        )

    async def aclose(self) -> None:
        try:
            await self._pool.aclose()
        finally:
            await self._backend.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response, host: str) -> None:
        self._response = response
        self._host = host

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _net_errors(self._host):
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def _net_errors(host: str) -> Iterator[None]:
    """Name what httpcore raises. A ConnectError here is TLS: what fails before it, `CheckedBackend` has named."""
    try:
        yield
    except httpcore.ProxyError:
        raise ConnectFailed(f"the proxy does not connect us to {host}") from None
    except httpcore.ConnectError as error:
        raise TlsFailed(f"{host}: {tls_reason(error)}") from None
    except ssl.SSLError as error:
        raise TlsFailed(f"{host}: {tls_reason(error)}") from None
    except httpcore.TimeoutException:
        raise DeadlinePassed(f"{host} did not answer in time") from None
    except (UnicodeError, httpcore.LocalProtocolError):
        raise UrlRefused(f"{host} is no name that can be asked for") from None
    except (httpcore.NetworkError, OSError):
        raise ConnectFailed(f"the connection to {host} broke") from None
    except httpcore.ProtocolError:
        raise ProtocolViolated(f"{host} does not speak HTTP, or ended in the middle") from None


def checked_url(url: str, rules: FetchRules) -> httpx.URL:
    """Return an address that may be asked for. Raises UrlRefused."""
    try:
        check_url(url, "url", allow_http=rules.insecure_allow_http, query=True)
        target = httpx.URL(url)
        readable = bool(target.host)  # httpx decodes `xn--` names late: now, not in the middle of a fetch
    except PolicyError as error:
        raise UrlRefused(f"the address to fetch {error.message}") from None
    except (httpx.InvalidURL, ValueError):
        raise UrlRefused("the address to fetch is not an address") from None
    # Two parsers have read it; what they do not agree on is not asked.
    if not readable or _host(target) != urlsplit(url).hostname or target.userinfo:
        raise UrlRefused("the address to fetch can be read in two ways")
    if rules.proxy is not None:
        if target.scheme == "http":
            raise UrlRefused("plain http is for this machine only and does not go through a proxy")
        host = _host(target).strip("[]")
        if is_address(host):  # a name is the proxy's to look up; an address says by itself where it leads
            check_addresses(host, [host], rules)
    return target


def _proxy(address: str) -> httpx.Proxy:
    try:
        proxy = httpx.Proxy(address)
        readable = bool(proxy.url.host)  # httpx decodes `xn--` names late
    except (ValueError, httpx.InvalidURL):
        raise UrlRefused("the proxy must be http:// or https://") from None
    if proxy.url.scheme not in ("http", "https") or not readable:
        raise UrlRefused("the proxy must be http:// or https://")
    return proxy


def _host(url: httpx.URL) -> str:
    """Return the host as it is asked for (`xn--…`, where httpx would show Unicode)."""
    return url.raw_host.decode("ascii")


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _check_head(response: httpx.Response, rules: FetchRules) -> None:
    """Refuse by status, encoding and announced length before a byte of the body is read."""
    host, status, headers = _host(response.request.url), response.status_code, response.headers
    if 300 <= status < 400:
        raise RedirectRefused(f"{host} answered {status}: redirects are not followed")
    if status != 200:
        raise StatusRefused(f"{host} answered {status}", status, _seconds(headers.get("retry-after", "")))
    if headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise ProtocolViolated(f"{host} compressed its answer although it was asked not to")
    if (length := _seconds(headers.get("content-length", ""))) is not None and length > rules.max_bytes:
        raise TooLarge(f"{host} announced more than {rules.max_bytes} bytes")


async def _read(response: httpx.Response, limit: int) -> bytes:
    body, pieces = bytearray(), 0
    async for part in response.aiter_raw():
        body += part
        pieces += 1
        if len(body) > limit:
            raise TooLarge(f"{_host(response.request.url)} sent more than {limit} bytes")
        if pieces > _MOST_PIECES:
            raise ProtocolViolated(f"{_host(response.request.url)} sent its answer in more than {_MOST_PIECES} pieces")
    return bytes(body)


def _max_age(cache_control: str) -> int | None:
    """Return Cache-Control's max-age (RFC 9111 §5.2.2); 0 where nothing may be kept."""
    directives = [each.strip().lower() for each in cache_control.split(",")]
    if "no-store" in directives or "no-cache" in directives:
        return 0
    ages = (_seconds(each.removeprefix("max-age=").strip('"')) for each in directives if each.startswith("max-age="))
    return next((age for age in ages if age is not None), None)


def _seconds(value: str) -> int | None:
    value = value.strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER else None


def _date(value: str, age: str) -> float | None:
    """Return the server's time of day now: its Date (RFC 9110 §6.6.1, in UTC whatever it says) and a cache's Age."""
    try:
        then = parsedate_to_datetime(value)
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)
        return then.timestamp() + (_seconds(age) or 0)
    except (ValueError, TypeError, OverflowError):
        return None
