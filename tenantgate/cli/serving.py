"""Serving an ASGI application with uvicorn on a socket bound here, so that port 0 can be announced."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

import uvicorn


def bind(host: str, port: int) -> socket.socket:
    """Return a listening-to-be socket. Raises OSError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the http address of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Any, host: str, port: int) -> None:
    """Bind, announce and serve until SIGINT or SIGTERM."""
    serve_on(bind(host, port), app)


def serve_on(bound: socket.socket, app: Any) -> None:
    """Serve on a bound socket; one JSON line on standard output says when and where."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=15, lifespan="on"
    )
    with bound:
        _Announcing(config, address_of(bound)).run(sockets=[bound])


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            sys.stdout.write(json.dumps({"listening": self._address, "pid": os.getpid()}) + "\n")
            sys.stdout.flush()
