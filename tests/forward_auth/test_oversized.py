"""A caller that never stops sending is cut off early, and costs little until then."""

from __future__ import annotations

import socket
import tracemalloc

import pytest

from tests.forward_auth.test_endpoint import is_grant
from tests.forward_auth.wire import Server, a_request

MIB = 1024 * 1024
PIECE = b"A" * 64 * 1024
MOST = 512 * MIB
"""What would be sent if nobody cut it off."""

BEGINNINGS = {
    "credential": b"GET /auth/check HTTP/1.1\r\nHost: gate.example\r\nAuthorization: Bearer ",
    "header of another name": b"GET /auth/check HTTP/1.1\r\nHost: gate.example\r\nX-Long: ",
    "name of a header": b"GET /auth/check HTTP/1.1\r\nHost: gate.example\r\nX-",
    "path": b"GET /auth/check/",
    "method": b"G",
    "dots": b"GET /auth/check HTTP/1.1\r\nHost: gate.example\r\nAuthorization: Bearer " + b"." * 1000,
}


def stream(port: int, beginning: bytes, piece: bytes = PIECE) -> tuple[int, bytes]:
    """Send a request without end until the server will have no more; return how much went out and what came back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        sent = _sent(connection, beginning, piece)
        return sent, _answered(connection)


def _sent(connection: socket.socket, beginning: bytes, piece: bytes) -> int:
    sent = 0
    connection.sendall(beginning)
    while sent < MOST:
        try:
            connection.sendall(piece)
        except OSError:
            break  # cut off, as asked for: how far it came is what counts
        sent += len(piece)
    return sent


def _answered(connection: socket.socket) -> bytes:
    answered = b""
    while True:
        try:
            more = connection.recv(65_536)
        except ConnectionError:
            return answered  # a reset may take the answer along
        if not more:
            return answered
        answered += more


@pytest.mark.threat(11)
@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_header_without_end_is_cut_off(server: Server, name: str):
    """Half a gigabyte in one header: the connection ends within megabytes, memory stays, and others are served."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        sent, answered = stream(server.port, BEGINNINGS[name])
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()

    assert sent < 32 * MIB, "what the two ends hold in their buffers"
    assert peak < 4 * MIB
    assert answered == b"" or (answered.startswith(b"HTTP/1.1 400 ") and len(answered) < 1_024)
    assert b"AAAA" not in answered
    assert is_grant(server.ask(a_request()))


@pytest.mark.threat(11)
def test_many_headers_without_end_are_cut_off(server: Server):
    """A request that goes on with one small header after the other is ended as well."""
    sent, _ = stream(server.port, b"GET /auth/check HTTP/1.1\r\nHost: gate.example\r\n", b"X-A: b\r\n" * 8_192)

    assert sent < 32 * MIB
    assert is_grant(server.ask(a_request()))
