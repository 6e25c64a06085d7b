"""Issuers that misbehave on command: real sockets, real TLS, real HTTP, one server each, all on one loop of their own.

An issuer is a name under `sim.example`, a port on loopback and a `Fault` that can be switched while it runs. Names are
looked up by `Simulator.resolve`, which counts: each fetch has a connection of its own, so look-ups are fetches, also
those that never reach a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tenantgate.net.door import DnsFailed
from tests.builders import Signer, signer
from tests.net.certificates import DAY, Authority

DOMAIN: Final = "sim.example"
METADATA: Final = "/.well-known/openid-configuration"
KEYS: Final = "/keys"
_BLACK_HOLE: Final = "127.0.0.99"
"""Where packets to an issuer that drops them go."""


class Fault(NamedTuple):
    """What an issuer does wrong. `at` is the document it concerns: metadata, keys, or anything that comes in."""

    name: str
    at: str = "anything"


class Issuer:
    """One simulated issuer. `fault` may be replaced at any time; `requests` counts what reached it, by path."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.host = f"{name}.{DOMAIN}"
        self.port = port
        self.fault: Fault | None = None
        self.requests: Counter[str] = Counter()
        self.connections = 0
        self.retry_after = 3
        self.old, self.kept = signer("ES256", f"{name}-old"), signer("ES256", f"{name}-kept")
        self.published: tuple[Signer, ...] = (self.old, self.kept)

    @property
    def url(self) -> str:
        """The exact `iss`."""
        return f"https://{self.host}:{self.port}"

    def document(self, path: str) -> bytes:
        """Return what is published at a path, right or wrong."""
        fault = self.fault.name if self.fault is not None else ""
        if path == METADATA:
            scheme = "http" if fault == "http jwks_uri" else "https"
            issuer = "https://somebody.else.example" if fault == "wrong issuer" else self.url
            return json.dumps({"issuer": issuer, "jwks_uri": f"{scheme}://{self.host}:{self.port}{KEYS}"}).encode()
        return json.dumps({"keys": self._keys(fault)}).encode()

    def _keys(self, fault: str) -> list[dict[str, Any]]:
        keys = [each.jwk() for each in self.published]
        if fault == "empty set":
            return []
        if fault == "half the set":
            return keys[1:]
        if fault == "same kid, other key":
            return [signer("ES256", f"{self.name}-other").jwk(kid=self.old.kid), *keys[1:]]
        if fault == "duplicate kid":
            return [*keys, keys[0]]
        return keys


class Simulator:
    """All issuers, their loop and thread, the certificates and the names. `stop` ends it."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.lookups: Counter[str] = Counter()
        self.issuers: dict[str, Issuer] = {}
        self._good = self.authority.server(f"*.{DOMAIN}")
        self._bad = {
            "expired certificate": self.authority.server(f"*.{DOMAIN}", ends_in=-DAY),
            "wrong name": self.authority.server("other.example"),
            "self-signed": self.authority.server(f"*.{DOMAIN}", self_signed=True),
        }
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._full: list[socket.socket] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="issuer-simulator", daemon=True)
        self._thread.start()

    def add(self, name: str) -> Issuer:
        """Start an issuer, without a fault."""
        return asyncio.run_coroutine_threadsafe(self._add(name), self._loop).result(10)

    def stop(self) -> None:
        """End every conversation, server and socket."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Look a name up, as the door is told to; belongs to any loop."""
        self.lookups[host] += 1
        issuer = self.issuers[host.removesuffix(f".{DOMAIN}")]
        fault = issuer.fault.name if issuer.fault is not None else ""
        if fault == "no such name":
            raise DnsFailed(f"{host} could not be looked up: no such name")
        if fault == "another address":
            return ["169.254.169.254"]
        return [_BLACK_HOLE] if fault == "dropped packets" else ["127.0.0.1"]

    async def _add(self, name: str) -> Issuer:
        issuer = Issuer(name, 0)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            issuer.connections += 1
            try:
                await self._converse(issuer, reader, writer)
            except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
                pass  # the client went, or the simulator ends: that is the end of this conversation
            finally:
                self._tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self._servers.append(server)
        issuer.port = server.sockets[0].getsockname()[1]
        self._fill(issuer.port)
        self.issuers[name] = issuer
        return issuer

    def _fill(self, port: int) -> None:
        """Listen where nothing is ever accepted and the queue is full: the kernel drops what comes next."""
        hole = socket.socket()
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind((_BLACK_HOLE, port))
        hole.listen(0)
        self._full.append(hole)
        for _ in range(2):
            waiting = socket.socket()
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect((_BLACK_HOLE, port))
            self._full.append(waiting)

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in self._full:
            each.close()
        await asyncio.sleep(0)

    async def _converse(self, issuer: Issuer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = issuer.fault.name if issuer.fault is not None else ""
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)  # closing sends RST
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return
        if fault == "stalled TLS":
            await reader.read()
            return
        await writer.start_tls(self._bad.get(fault, self._good))
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        issuer.requests[path] += 1
        concerned = issuer.fault is not None and issuer.fault.at in ("anything", path)
        await ANSWERS.get(fault if concerned else "", _honest)(issuer, path, writer)


Answer = Callable[[Issuer, str, asyncio.StreamWriter], Awaitable[None]]


def _head(status: str, length: int | None, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *more]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _honest(issuer: Issuer, path: str, writer: asyncio.StreamWriter) -> None:
    body = issuer.document(path)
    writer.write(_head("200 OK", len(body), "Content-Type: application/json") + body)
    await writer.drain()


def _saying(status: str, body: bytes = b"", *more: str) -> Answer:
    async def answer(issuer: Issuer, path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, len(body), *more) + body)
        await writer.drain()

    return answer


async def _wait(issuer: Issuer, path: str, writer: asyncio.StreamWriter) -> None:
    writer.write(_head("429 Too Many Requests", 0, f"Retry-After: {issuer.retry_after}"))
    await writer.drain()


async def _slowly(issuer: Issuer, path: str, writer: asyncio.StreamWriter) -> None:
    """One byte a second: no read ever waits long, and the whole never ends."""
    body = issuer.document(path)
    writer.write(_head("200 OK", len(body)))
    for byte in body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1.0)


async def _endless_head(issuer: Issuer, path: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    number = 0
    while True:
        writer.write(f"X-{number}: {'x' * 200}\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0)
        number += 1


async def _huge(issuer: Issuer, path: str, writer: asyncio.StreamWriter) -> None:
    """A hundred megabytes whose length is not announced."""
    writer.write(_head("200 OK", None))
    for _ in range(1600):
        writer.write(b" " * 65_536)
        await writer.drain()


def _bomb() -> bytes:
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(64)) + packer.flush()


ANSWERS: Final[dict[str, Answer]] = {
    "500": _saying("500 Internal Server Error", b"{}"),
    "429": _wait,
    "redirect": _saying("302 Found", b"", "Location: https://elsewhere.example/keys"),
    "HTML with 200": _saying("200 OK", b"<!doctype html><title>Sign in</title>", "Content-Type: text/html"),
    "empty body": _saying("200 OK"),
    "gzip bomb": _saying("200 OK", _bomb(), "Content-Encoding: gzip"),
    "100 MB": _huge,
    "1 byte/s": _slowly,
    "endless headers": _endless_head,
}
"""Answers of issuers that speak, and say nothing we can use. Wrong documents are `Issuer.document`'s."""
