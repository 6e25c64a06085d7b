"""The first half of a fetch, for whoever wonders where it ends: the addresses, the connection, the certificate."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpcore
import httpx

from tenantgate.net.address import check_addresses
from tenantgate.net.dial import CheckedBackend
from tenantgate.net.door import Certificate, DeadlinePassed, DnsFailed, FetchRules, TlsFailed
from tenantgate.net.http import checked_url
from tenantgate.net.resolve import Resolve, SystemResolver
from tenantgate.net.tls import tls_context, tls_reason


class Scout:
    """Makes first halves of fetches. `resolve` looks names up; the system's resolver unless a test gives another."""

    def __init__(self, *, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or SystemResolver()

    async def look_up(self, url: str, rules: FetchRules) -> tuple[str, ...]:
        """Return the addresses of an address' host, all of which may be dialled.

        Raises:
            NetError: UrlRefused, DnsFailed, AddressRefused or DeadlinePassed.
        """
        target = checked_url(url, rules)
        host = target.raw_host.decode("ascii")
        try:
            async with asyncio.timeout(rules.deadline):
                found = tuple(await self._resolve(host, _port(target)))
        except TimeoutError:
            raise DeadlinePassed(f"{host} was not looked up within {rules.deadline:g} s") from None
        if not found:
            raise DnsFailed(f"{host} has no address")
        check_addresses(host, found, rules)
        return found

    async def greet(self, url: str, rules: FetchRules) -> Certificate | None:
        """Connect and shake hands, and no more; None where plain http is spoken and there is no certificate.

        Raises:
            NetError: what a fetch would end with, as far as this goes.
        """
        target = checked_url(url, rules)
        host = target.raw_host.decode("ascii")
        backend = CheckedBackend(rules, self._resolve)
        try:
            async with asyncio.timeout(rules.deadline):
                stream = await backend.connect_tcp(host, _port(target), rules.deadline)
                if target.scheme == "http":
                    return None
                secure = await stream.start_tls(tls_context(rules.ca_bundle), server_hostname=host)
                return _certificate(secure.get_extra_info("ssl_object").getpeercert())
        except TimeoutError:
            raise DeadlinePassed(f"{host} did not shake hands within {rules.deadline:g} s") from None
        except (httpcore.ConnectError, ssl.SSLError, OSError) as error:
            raise TlsFailed(f"{host}: {tls_reason(error)}") from None
        finally:
            await backend.aclose()


def _port(target: httpx.URL) -> int:
    return target.port or (443 if target.scheme == "https" else 80)


def _certificate(found: dict[str, Any]) -> Certificate:
    return Certificate(
        subject=_name(found.get("subject", ())),
        issuer=_name(found.get("issuer", ())),
        ends_at=float(ssl.cert_time_to_seconds(found["notAfter"])),
    )


def _name(parts: Any) -> str:
    named = {key: value for part in parts for key, value in part}
    text = str(named.get("commonName") or named.get("organizationName") or "unnamed")
    return text.encode("ascii", "backslashreplace").decode()[:100]
