"""The door against real servers: what it fetches, and how each thing that goes wrong is named."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import time
from contextlib import AsyncExitStack

import pytest

from tenantgate.net.door import DnsFailed, Fetched, FetchRules, NetError, StatusRefused
from tenantgate.net.http import HttpDoor
from tests.net.servers import Handler, Server, answer, answering, serving, silent

HTTP = FetchRules(insecure_allow_http=True)
HURRIED = FetchRules(insecure_allow_http=True, deadline=0.5)


async def refused(door: HttpDoor, url: str, rules: FetchRules = HTTP) -> NetError:
    """Return the error a fetch ends in."""
    with pytest.raises(NetError) as error:
        await door.get(url, rules)
    return error.value


async def test_fetches_a_document_and_what_the_headers_say(door: HttpDoor, servers: AsyncExitStack):
    """Body, content type, Cache-Control's max-age and the server's date come back."""
    raw = answer(b'{"a":1}', cache_control="private, max-age=86400", date="Sun, 22 Nov 2026 10:00:00 GMT")
    server = await servers.enter_async_context(serving(answering(raw)))

    assert await door.get(server.url(), HTTP) == Fetched(
        status=200, body=b'{"a":1}', content_type="application/json", max_age=86400, date=1795341600.0
    )


async def test_asks_for_json_uncompressed_and_identifies_nobody(door: HttpDoor, servers: AsyncExitStack):
    """The request is one plain GET: identity encoding, no cookie, no credential, connection closed after it."""
    server = await servers.enter_async_context(serving(answering(answer(set_cookie="a=b"))))

    for _ in range(2):
        await door.get(server.url(), HTTP)

    assert server.connections == 2
    for request in server.requests:
        line, *lines = request.decode().strip().split("\r\n")
        headers = dict(each.lower().split(": ", 1) for each in lines)
        assert line == "GET /keys HTTP/1.1"
        assert headers == {
            "host": f"127.0.0.1:{server.port}",
            "accept": "application/json",
            "accept-encoding": "identity",
            "connection": "close",
            "user-agent": "tenantgate",
        }


@pytest.mark.parametrize(
    ("headers", "date"),
    [
        ({"date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 1795341600.0),
        ({"date": "Sun, 22 Nov 2026 10:00:00 GMT", "age": "7000"}, 1795348600.0),
        ({"date": "Sun Nov 22 10:00:00 2026"}, 1795341600.0),
        ({"date": "Sun, 22 Nov 2026 10:00:00 -0000"}, 1795341600.0),
        ({"date": "yesterday"}, None),
        ({}, None),
    ],
)
async def test_the_servers_time_of_day(
    door: HttpDoor,
    servers: AsyncExitStack,
    headers: dict[str, str],
    date: float | None,
    monkeypatch: pytest.MonkeyPatch,
):
    """Its Date, in UTC whatever the form and wherever we are, and what a cache has kept it since."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    server = await servers.enter_async_context(serving(answering(answer(b"{}", **headers))))
    try:
        assert (await door.get(server.url(), HTTP)).date == date
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "127.0.0.1", "0.0.0.0", "10.0.0.1"])
async def test_an_address_is_checked_also_where_a_proxy_is_asked(door: HttpDoor, host: str):
    """The proxy looks names up; an address leads where it says."""
    rules = FetchRules(proxy="http://192.0.2.1:3128", deadline=0.5)
    assert (await refused(door, f"https://{host}:8443/keys", rules)).code == "address_refused"


@pytest.mark.parametrize("proxy", ["http://xn--a.example:1", "ftp://proxy.example:1", "http://"])
async def test_a_proxy_that_is_none_is_refused(door: HttpDoor, proxy: str):
    """And is no defect of ours."""
    rules = FetchRules(proxy=proxy, deadline=0.5)
    assert (await refused(door, "https://id.example/keys", rules)).code == "url_refused"


@pytest.mark.parametrize(
    ("cache_control", "max_age"),
    [
        ("max-age=60", 60),
        ('Private, Max-Age="60"', 60),
        ("no-store", 0),
        ("no-cache, max-age=60", 0),
        ("max-age=-1", None),
        ("max-age=99999999999999999999", None),
        ("max-age=x", None),
        ("", None),
    ],
)
async def test_reads_cache_control_and_believes_no_nonsense(
    door: HttpDoor, servers: AsyncExitStack, cache_control: str, max_age: int | None
):
    """A max-age that is no sane number counts as none; what must not be kept has age 0."""
    raw = answer(cache_control=cache_control, date="yesterday")
    server = await servers.enter_async_context(serving(answering(raw)))

    fetched = await door.get(server.url(), HTTP)

    assert (fetched.max_age, fetched.date) == (max_age, None)


async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send headers that never end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-more: " + b"y" * 1000 + b"\r\n")
        await writer.drain()


async def endless_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a body without announcing its length, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"z" * 65536 + b"\r\n")
        await writer.drain()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with a reset."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without a word."""


async def endless_preface(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Early hints for ever (RFC 8297), as nobody needs them."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        await writer.drain()


async def tiny_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A body in chunks of one byte: few bytes of body, and many turns of the loop."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\n \r\n" * 1000)
        await writer.drain()


FAULTS: dict[str, tuple[Handler, str]] = {
    "preface without end": (endless_preface, "too_large"),
    "in the smallest chunks": (tiny_chunks, "protocol"),
    "never answers": (silent, "timeout"),
    "one byte at a time": (dribble, "timeout"),
    "head without end": (endless_head, "protocol"),
    "body without end": (endless_body, "too_large"),
    "100 MB announced": (answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n"), "too_large"),
    "reset": (reset, "connect"),
    "hangs up": (hang_up, "protocol"),
    "ends in the middle": (answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"), "protocol"),
    "no http": (answering(b"SSH-2.0-example\r\n\r\n"), "protocol"),
    "gzip bomb": (answering(answer(gzip.compress(b"\0" * 30_000_000), content_encoding="gzip")), "protocol"),
    "unknown encoding": (answering(answer(content_encoding="br")), "protocol"),
    "redirect": (answering(answer(status="302 Found", location="https://elsewhere.example/")), "redirect"),
    "moved for good": (answering(answer(status="308 Permanent Redirect", location="/keys2")), "redirect"),
    "not modified": (answering(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "redirect"),
    "server error": (answering(answer(b"stack trace", status="500 Oops")), "status"),
    "not found": (answering(answer(b"<html>", status="404 Not Found")), "status"),
    "no content": (answering(b"HTTP/1.1 204 No Content\r\n\r\n"), "status"),
    "part of it": (answering(answer(status="206 Partial Content")), "status"),
}


@pytest.mark.threat(5)
@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_has_its_code(door: HttpDoor, servers: AsyncExitStack, fault: str):
    """Whatever a server does wrong ends in one NetError with a stable code, in time, after one request."""
    handler, code = FAULTS[fault]
    server = await servers.enter_async_context(serving(handler))

    rules = HURRIED if code == "timeout" else HTTP
    error = await refused(door, server.url(), rules)
    for _ in range(10):
        if server.connections:
            break
        # This machine stood still until the time was over, before there was a connection.
        error = await refused(door, server.url(), rules)

    assert error.code == code
    assert server.connections == 1
    assert not any(word in str(error) for word in ("stack trace", "<html>", "elsewhere", "Oops"))


async def test_the_body_may_be_as_long_as_the_rules_say_and_no_longer(door: HttpDoor, servers: AsyncExitStack):
    """A body of exactly `max_bytes` is taken; one more byte is refused, announced or not."""
    rules = FetchRules(insecure_allow_http=True, max_bytes=10)
    fits = await servers.enter_async_context(serving(answering(answer(b"x" * 10))))
    announced = await servers.enter_async_context(serving(answering(answer(b"x" * 11))))
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nxxxxxx\r\n5\r\nxxxxx\r\n0\r\n\r\n"
    unannounced = await servers.enter_async_context(serving(answering(chunked)))

    assert (await door.get(fits.url(), rules)).body == b"x" * 10
    for server in (announced, unannounced):
        assert (await refused(door, server.url(), rules)).code == "too_large"


async def test_a_server_may_ask_us_to_wait(door: HttpDoor, servers: AsyncExitStack):
    """Retry-After in seconds is handed on with the status; a date there is not read."""
    asked = await servers.enter_async_context(
        serving(answering(answer(status="429 Too Many Requests", retry_after="120")))
    )
    dated = await servers.enter_async_context(
        serving(answering(answer(status="503 Busy", retry_after="Sun, 22 Nov 2026 10:00:00 GMT")))
    )

    first, second = await refused(door, asked.url()), await refused(door, dated.url())

    assert isinstance(first, StatusRefused)
    assert isinstance(second, StatusRefused)
    assert (first.status, first.retry_after) == (429, 120)
    assert (second.status, second.retry_after) == (503, None)


async def test_a_port_nobody_listens_on_is_a_connect_failure(door: HttpDoor, servers: AsyncExitStack):
    """A refused connection is told as `connect`."""
    async with serving(silent) as gone:
        url = gone.url()

    assert (await refused(door, url)).code == "connect"


@pytest.mark.threat(5)
@pytest.mark.parametrize(
    "url",
    [
        "http://keys.example/keys",
        "http://10.0.0.1/keys",
        "file:///etc/passwd",
        "ftp://keys.example/keys",
        "data:application/json,{}",
        "//keys.example/keys",
        "https://user:secret@keys.example/keys",
        "https://user@keys.example/keys",
        "https://keys.example/keys#fragment",
        "https:///keys",
        "https://keys.example:port/keys",
        "https://0177.0.0.1/keys",
        "https://keys.example\\@evil.example/",
        "https://keys.example/a b",
        "https://keys.example/\r\nX-More: 1",
        "https://kéys.example/keys",
        "https://keys.example%E3%80%82evil.example/",
        "https://[v1.a]/",
        "https://xn--/",
        "",
    ],
)
async def test_addresses_that_are_not_asked(door: HttpDoor, url: str):
    """Anything but plain https (or http on this machine) is refused before a name is looked up."""
    assert (await refused(door, url)).code == "url_refused"


@pytest.mark.threat(5)
async def test_http_even_to_this_machine_must_be_allowed(door: HttpDoor, servers: AsyncExitStack):
    """Without `insecure_allow_http`, http on loopback is refused and no connection is made."""
    server = await servers.enter_async_context(serving(answering(answer())))

    assert (await refused(door, server.url(), FetchRules(allow_private_addresses=True))).code == "url_refused"
    assert server.connections == 0


@pytest.mark.threat(5)
@pytest.mark.parametrize("spelling", ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "127.1", "localhost"])
async def test_loopback_over_https_is_refused_however_it_is_spelled(servers: AsyncExitStack, spelling: str):
    """The address that would be dialled is checked, so that no spelling of it slips through."""
    server = await servers.enter_async_context(serving(silent))

    error = await refused(HttpDoor(), server.url(spelling, "https"), FetchRules())

    assert error.code == "address_refused"
    assert server.connections == 0


@pytest.mark.threat(5)
async def test_a_name_is_looked_up_once_and_the_checked_address_is_dialled(servers: AsyncExitStack):
    """DNS rebinding gains nothing: check and connection share one look-up, and the next fetch looks anew."""
    server = await servers.enter_async_context(serving(answering(answer())))
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked: list[str] = []

    async def changing(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    door = HttpDoor(resolve=changing)

    assert (await door.get(server.url("localhost"), HTTP)).status == 200
    assert asked == ["localhost"]
    assert (await refused(door, server.url("localhost"))).code == "address_refused"
    assert server.connections == 1


async def test_the_next_address_is_tried_when_one_does_not_answer(servers: AsyncExitStack):
    """A name with a dead address and a live one is reached by the live one."""
    server = await servers.enter_async_context(serving(answering(answer())))

    async def two(host: str, port: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    assert (await HttpDoor(resolve=two).get(server.url("localhost"), HTTP)).status == 200


@pytest.mark.threat(5)
async def test_every_address_of_a_name_is_checked(servers: AsyncExitStack):
    """A good address in front does not hide a bad one behind it: no connection is made."""
    server = await servers.enter_async_context(serving(answering(answer())))

    async def both(host: str, port: int) -> list[str]:
        return ["127.0.0.1", "10.0.0.1"]

    assert (await refused(HttpDoor(resolve=both), server.url("localhost"))).code == "address_refused"
    assert server.connections == 0


@pytest.mark.parametrize("name", ["xn--bcher-kva.example", "xn--strae-oqa.example"])
async def test_an_international_name_is_asked_for_as_it_is_written(name: str):
    """A host in its `xn--` form (IDNA 2008) is looked up and named in that form."""

    async def failing(host: str, port: int) -> list[str]:
        raise DnsFailed(f"asked for {host}")

    error = await refused(HttpDoor(resolve=failing), f"https://{name}/keys", FetchRules())

    assert str(error) == f"asked for {name}"


async def test_a_name_without_an_address_is_a_dns_failure():
    """An empty answer is told as `dns`."""

    async def none(host: str, port: int) -> list[str]:
        return []

    assert (await refused(HttpDoor(resolve=none), "https://keys.example/", FetchRules())).code == "dns"


async def test_a_look_up_that_hangs_counts_against_the_deadline():
    """The deadline is for the whole fetch, the name included."""

    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    assert (
        await refused(HttpDoor(resolve=never), "https://keys.example/", FetchRules(deadline=0.05))
    ).code == "timeout"


async def test_nothing_is_taken_from_the_environment(
    servers: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    """Proxies and netrc of the environment are not used: no detour, no credential."""
    server: Server = await servers.enter_async_context(serving(answering(answer())))
    proxy = await servers.enter_async_context(serving(silent))
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password invented\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url())

    await HttpDoor().get(server.url(), HTTP)

    assert proxy.connections == 0
    assert b"authorization" not in server.requests[0].lower()


async def test_a_cancelled_fetch_leaves_nothing_behind(door: HttpDoor, servers: AsyncExitStack):
    """A caller may give up at any time; the connection goes with it and the door goes on."""
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def notice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        gone.set()

    hanging = await servers.enter_async_context(serving(notice))
    good = await servers.enter_async_context(serving(answering(answer())))
    fetch = asyncio.create_task(door.get(hanging.url(), HTTP))
    async with asyncio.timeout(5):
        await arrived.wait()
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch
        await gone.wait()

    assert (await door.get(good.url(), HTTP)).status == 200


async def test_a_closed_door_stays_closed():
    """After `aclose` a fetch is a defect of the caller, not a NetError."""
    door = HttpDoor()
    await door.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await door.get("https://keys.example/", FetchRules())
