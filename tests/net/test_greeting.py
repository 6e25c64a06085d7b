"""The first half of a fetch against real servers: the addresses, the connection, the certificate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from tenantgate.net.door import (
    AddressRefused,
    ConnectFailed,
    DeadlinePassed,
    DnsFailed,
    FetchRules,
    NetError,
    TlsFailed,
    UrlRefused,
)
from tenantgate.net.greeting import Scout
from tests.net.certificates import Authority
from tests.net.servers import Server, answering, serving

NAME = "id.globex.example"


def a_scout(*addresses: str) -> Scout:
    """Return a scout for whom every name has these addresses."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return Scout(resolve=resolve)


def by(authority: Authority, deadline: float = 5.0) -> FetchRules:
    """Return rules that trust our authority and dial this machine."""
    return FetchRules(allow_private_addresses=True, ca_bundle=authority.pem, deadline=deadline)


async def a_server(
    servers: AsyncExitStack, authority: Authority, name: str = NAME, ends_in: timedelta = timedelta(days=30)
) -> Server:
    """Start a TLS server with a certificate for a name."""
    return await servers.enter_async_context(serving(answering(b""), authority.server(name, ends_in=ends_in)))


async def test_a_verified_certificate_is_described(authority: Authority, servers: AsyncExitStack):
    """Whose it is, who vouches for it, and when it ends. No request is made."""
    server = await a_server(servers, authority)
    scout = a_scout("127.0.0.1")

    found = await scout.greet(server.url(NAME, "https"), by(authority))

    assert found is not None
    assert (found.subject, found.issuer) == (NAME, "Test authority")
    assert abs(found.ends_at - time.time() - 30 * 86_400) < 60
    assert server.requests == []
    assert await scout.look_up(server.url(NAME, "https"), by(authority)) == ("127.0.0.1",)


async def test_plain_http_has_no_certificate(servers: AsyncExitStack):
    """Where it is allowed, on this machine."""
    server = await servers.enter_async_context(serving(answering(b"")))

    assert await a_scout("127.0.0.1").greet(server.url(), FetchRules(insecure_allow_http=True)) is None


@pytest.mark.parametrize(
    ("name", "ends_in", "said"),
    [
        ("other.example", timedelta(days=1), "Hostname mismatch"),
        (NAME, timedelta(days=-1), "certificate has expired"),
    ],
)
async def test_a_bad_certificate_is_named(
    authority: Authority, servers: AsyncExitStack, name: str, ends_in: timedelta, said: str
):
    """As a fetch would name it."""
    server = await a_server(servers, authority, name, ends_in)

    with pytest.raises(TlsFailed, match=said):
        await a_scout("127.0.0.1").greet(server.url(NAME, "https"), by(authority))


async def test_other_authorities_do_not_count(authority: Authority, servers: AsyncExitStack):
    """Without the bundle only public ones do."""
    server = await a_server(servers, authority)

    with pytest.raises(TlsFailed, match="certificate"):
        await a_scout("127.0.0.1").greet(server.url(NAME, "https"), FetchRules(allow_private_addresses=True))


@pytest.mark.parametrize(
    ("addresses", "error"), [((), DnsFailed), (("169.254.169.254",), AddressRefused), (("10.0.0.1",), AddressRefused)]
)
async def test_a_name_that_leads_nowhere_good_is_not_dialled(addresses: tuple[str, ...], error: type[NetError]):
    """Found at the look-up already, and again by whoever shakes hands."""
    for step in (a_scout(*addresses).look_up, a_scout(*addresses).greet):
        with pytest.raises(error):
            await step(f"https://{NAME}/", FetchRules())


async def test_a_silent_server_takes_no_longer_than_it_may(authority: Authority, servers: AsyncExitStack):
    """The deadline is for all of it."""
    server = await servers.enter_async_context(serving(answering(b"")))  # speaks no TLS, and never answers

    with pytest.raises((DeadlinePassed, TlsFailed)):
        await a_scout("127.0.0.1").greet(server.url(NAME, "https"), by(authority, deadline=0.3))


async def test_nobody_at_the_port_is_said(authority: Authority, servers: AsyncExitStack):
    """The connection is refused."""
    async with serving(answering(b"")) as gone:
        url = gone.url(NAME, "https")

    with pytest.raises(ConnectFailed):
        await a_scout("127.0.0.1").greet(url, by(authority))


async def test_an_address_that_may_not_be_asked_is_refused():
    """By the same rule as a fetch."""
    for step in (a_scout("127.0.0.1").look_up, a_scout("127.0.0.1").greet):
        with pytest.raises(UrlRefused):
            await step("http://id.globex.example/", FetchRules())


async def test_a_resolver_that_hangs_ends_with_the_deadline():
    """A look-up has the fetch's own deadline."""
    import asyncio

    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    with pytest.raises(DeadlinePassed, match="was not looked up within"):
        await Scout(resolve=hang).look_up(f"https://{NAME}/", FetchRules(deadline=0.05))
