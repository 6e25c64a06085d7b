"""TLS and proxies: the certificate is of the name, the connection to the address, the way by the proxy, if any."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from tenantgate.net.door import FetchRules, NetError
from tenantgate.net.http import HttpDoor
from tenantgate.net.tls import tls_context
from tests.net.certificates import Authority
from tests.net.servers import Handler, answer, answering, serving, silent

HOST = "keys.example"


async def to_loopback(host: str, port: int) -> list[str]:
    """Resolve every name to this machine."""
    return ["127.0.0.1"]


def rules(authority: Authority, proxy: str | None = None, deadline: float = 5.0) -> FetchRules:
    """Trust the test's authority and let loopback be dialled."""
    return FetchRules(allow_private_addresses=True, ca_bundle=authority.pem, proxy=proxy, deadline=deadline)


async def refused(url: str, by: FetchRules) -> NetError:
    """Return the error a fetch ends in, every name leading to this machine."""
    with pytest.raises(NetError) as error:
        await HttpDoor(resolve=to_loopback).get(url, by)
    return error.value


async def test_dials_the_address_and_verifies_the_name(servers: AsyncExitStack, authority: Authority):
    """The server is asked for the name (SNI) and must show a certificate for it, whatever address was dialled."""
    context = authority.server(HOST)
    asked: list[str | None] = []
    context.sni_callback = lambda _object, name, _context: asked.append(name)
    server = await servers.enter_async_context(serving(answering(answer()), context))

    assert (await HttpDoor(resolve=to_loopback).get(server.url(HOST, "https"), rules(authority))).status == 200
    assert asked == [HOST]


BAD = {
    "self-signed": ({"name": HOST, "self_signed": True}, "self-signed"),
    "another name": ({"name": "other.example"}, "mismatch"),
    "expired": ({"name": HOST, "ends_in": timedelta(days=-1)}, "expired"),
}


@pytest.mark.parametrize("fault", BAD)
async def test_a_bad_certificate_is_refused_with_its_fault(servers: AsyncExitStack, authority: Authority, fault: str):
    """Self-signed, wrong name and expired are all `tls`, and the message says which; no request is sent."""
    made, said = BAD[fault]
    server = await servers.enter_async_context(serving(answering(answer()), authority.server(**made)))

    error = await refused(server.url(HOST, "https"), rules(authority))

    assert error.code == "tls"
    assert said in str(error)
    assert server.requests == []


async def test_our_own_authority_is_trusted_only_where_it_is_named(
    servers: AsyncExitStack, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    """Without `ca_bundle` only public authorities count; the environment cannot add one."""
    server = await servers.enter_async_context(serving(answering(answer()), authority.server(HOST)))
    monkeypatch.setenv("SSL_CERT_FILE", authority.ca_file)

    assert (await refused(server.url(HOST, "https"), FetchRules(allow_private_addresses=True))).code == "tls"


async def test_a_ca_bundle_that_cannot_be_read_is_a_tls_failure(authority: Authority):
    """A missing bundle refuses the fetch; it never falls back to the public authorities."""
    gone = FetchRules(allow_private_addresses=True, ca_bundle="-----BEGIN CERTIFICATE-----")

    assert (await refused(f"https://{HOST}/", gone)).code == "tls"


async def test_plain_http_where_tls_was_expected_is_a_tls_failure(servers: AsyncExitStack, authority: Authority):
    """A server that answers a handshake with something else is told as `tls`."""

    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())
        await writer.drain()
        writer.close()

    plain = await asyncio.start_server(chatter, "127.0.0.1", 0)
    servers.push_async_callback(plain.wait_closed)
    servers.callback(plain.close)
    port = plain.sockets[0].getsockname()[1]

    assert (await refused(f"https://{HOST}:{port}/", rules(authority))).code == "tls"


async def test_an_old_tls_is_refused(servers: AsyncExitStack, authority: Authority):
    """A server that speaks TLS 1.1 at best gets no request."""
    context = authority.server(HOST)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    server = await servers.enter_async_context(serving(answering(answer()), context))

    assert (await refused(server.url(HOST, "https"), rules(authority))).code == "tls"
    assert server.requests == []


async def test_a_handshake_that_stalls_counts_against_the_deadline(servers: AsyncExitStack, authority: Authority):
    """A server that accepts and says nothing ends in `timeout`."""
    server = await servers.enter_async_context(serving(silent))

    assert (await refused(server.url(HOST, "https"), rules(authority, deadline=0.2))).code == "timeout"


async def test_no_connection_outlives_its_fetch(authority: Authority):
    """A handshake that is given up is closed at once, not when somebody collects garbage."""
    come, gone = asyncio.Event(), asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        come.set()
        await reader.read()
        gone.set()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    door = HttpDoor(resolve=to_loopback)
    for _ in range(10):
        fetch = asyncio.create_task(door.get(f"https://{HOST}:{port}/", rules(authority, deadline=0.5)))
        (outcome,) = await asyncio.gather(fetch, return_exceptions=True)
        if come.is_set():
            break  # else this machine stood still until the time was over, before there was a connection

    async with asyncio.timeout(30):
        await gone.wait()
    assert isinstance(outcome, NetError)
    server.close()


def tunnelling(status: str = "200 Connected") -> Handler:
    """Answer CONNECT; on success carry bytes to the port that was named, on this machine."""

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while part := await source.read(65536):
            sink.write(part)
            await sink.drain()
        sink.close()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        await writer.drain()
        if status.startswith("200"):
            port = int(handler.server.requests[-1].split(b" ")[1].rsplit(b":", 1)[1])  # type: ignore[attr-defined]
            inner, outer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.gather(carry(inner, writer), carry(reader, outer))
            finally:
                outer.close()
                await asyncio.sleep(0)

    return handler


async def test_a_configured_proxy_carries_the_fetch(servers: AsyncExitStack, authority: Authority):
    """The proxy is asked for host and port by name; TLS goes through it to the server and verifies the name."""
    server = await servers.enter_async_context(serving(answering(answer()), authority.server(HOST)))
    handler = tunnelling()
    proxy = await servers.enter_async_context(serving(handler))
    handler.server = proxy  # type: ignore[attr-defined]
    looked_up: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    by = rules(authority, proxy=f"http://me:invented@proxy.example:{proxy.port}")

    assert (await HttpDoor(resolve=resolve).get(server.url(HOST, "https"), by)).status == 200
    assert looked_up == ["proxy.example"]
    assert proxy.requests[0].startswith(f"CONNECT {HOST}:{server.port} HTTP/1.1\r\n".encode())
    assert b"proxy-authorization: basic " in proxy.requests[0].lower()
    assert b"authorization" not in server.requests[0].lower()


async def test_the_proxys_own_address_is_checked(servers: AsyncExitStack, authority: Authority):
    """What is dialled is checked, and with a proxy that is the proxy."""
    proxy = await servers.enter_async_context(serving(silent))
    by = FetchRules(ca_bundle=authority.pem, proxy=proxy.url("proxy.example"))

    assert (await refused(f"https://{HOST}/", by)).code == "address_refused"
    assert proxy.connections == 0


async def test_a_proxy_that_refuses_is_a_connect_failure(servers: AsyncExitStack, authority: Authority):
    """407 from the proxy is told as `connect`, without the proxy's words."""
    proxy = await servers.enter_async_context(serving(tunnelling("407 Say please")))

    error = await refused(f"https://{HOST}/", rules(authority, proxy=proxy.url("proxy.example")))

    assert error.code == "connect"
    assert "please" not in str(error)


@pytest.mark.parametrize(
    "proxy", ["socks5://proxy.example:1080", "proxy.example:3128", "ftp://proxy.example", "http://"]
)
async def test_a_proxy_of_another_kind_is_refused(authority: Authority, proxy: str):
    """Only http and https proxies are known; anything else refuses the fetch instead of going around it."""
    assert (await refused(f"https://{HOST}/", rules(authority, proxy=proxy))).code == "url_refused"


async def test_plain_http_does_not_go_through_a_proxy():
    """Http is for this machine; a proxy's idea of this machine is another one."""
    by = FetchRules(insecure_allow_http=True, proxy="http://proxy.example:3128")

    assert (await refused("http://127.0.0.1/keys", by)).code == "url_refused"


@pytest.mark.parametrize("bundle", [False, True])
def test_no_session_key_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: Authority, bundle: bool
):
    """SSLKEYLOGFILE, which Python's own contexts follow, is passed over."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    context = tls_context(authority.pem if bundle else None)

    assert context.keylog_filename is None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
