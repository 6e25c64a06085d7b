"""HTTP/1.1 as it goes over the wire: bytes in, bytes out, so that nothing is tidied up on the way."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from tenantgate.gate.gate import Gate
from tests.builders import v2_token


@dataclass(frozen=True)
class Response:
    """An answer as it came: status, header pairs with names in lower case, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for each, value in self.headers if each == name.lower()]

    def one(self, name: str) -> str:
        """Return a header's only value."""
        [value] = self.all(name)
        return value


@dataclass(frozen=True)
class Server:
    """A server on loopback, and its gate."""

    port: int
    gate: Gate

    def send(self, *requests: bytes, has_body: bool = True) -> list[Response]:
        """Send requests one after the other over one connection; `has_body` is False for answers to HEAD."""
        found: list[Response] = []
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            stream = connection.makefile("rb")
            for request in requests:
                connection.sendall(request)
                found.append(_read(stream, has_body))
            stream.close()
        return found

    def ask(self, request: bytes) -> Response:
        """Send one request over a connection of its own."""
        return self.send(request)[0]


def _read(stream: object, has_body: bool) -> Response:
    lines = iter(stream.readline, b"\r\n")  # type: ignore[attr-defined]
    status = int(next(lines).split()[1])
    headers = []
    for line in lines:
        assert line, "the connection ended within the headers"
        name, _, value = line.decode("ascii").partition(":")
        headers.append((name.strip().lower(), value.strip()))
    length = int(dict(headers).get("content-length", "0"))
    body = stream.read(length) if has_body else b""  # type: ignore[attr-defined]
    assert not has_body or len(body) == length
    return Response(status, tuple(headers), body)


def a_request(
    *headers: str, method: str = "GET", path: str = "/auth/check", token: str | None = "", body: bytes = b""
) -> bytes:
    """Return a request with acme's good token ("" as `token`; None: without a credential)."""
    lines = [f"{method} {path} HTTP/1.1", "Host: gate.example"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token or v2_token()}")
    lines += headers
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
