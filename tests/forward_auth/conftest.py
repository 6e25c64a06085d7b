"""A real uvicorn on loopback with the endpoint in it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn

from tenantgate.forward_auth.endpoint import ForwardAuth
from tenantgate.gate.gate import Gate
from tests.forward_auth.wire import Server
from tests.gate.world import a_gate, eventually


@contextlib.contextmanager
def serving(gate: Gate) -> Iterator[Server]:
    """Serve a gate's endpoint on a free port until the end of the block."""
    config = uvicorn.Config(
        ForwardAuth(gate), http="h11", ws="none", lifespan="off", log_level="critical", access_log=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="uvicorn")
        thread.start()
        try:
            eventually(lambda: server.started)
            yield Server(listening.getsockname()[1], gate)
        finally:
            server.should_exit = True
            thread.join()
            gate.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Gate], Server]]:
    """Serves gates until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda gate: stack.enter_context(serving(gate))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The endpoint over the built policy, shared by tests that change nothing."""
    with serving(a_gate()) as server:
        yield server
