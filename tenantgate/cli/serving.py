"""Serving an ASGI application with uvicorn on a socket bound here, so that port 0 can be announced."""

from __future__ import annotations

import errno
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
    except (OSError, TypeError, UnicodeError) as error:
        bound.close()
        if isinstance(error, OSError):
            raise
        raise OSError(errno.EINVAL, "the host is no name that could be looked up") from None
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
    with bound:
        _Announcing(configuration(app), address_of(bound)).run(sockets=[bound])


def configuration(app: Any) -> uvicorn.Config:
    """Return how we serve: nothing here depends on what else is installed, or on what a caller says of itself."""
    return uvicorn.Config(
        app,
        http="h11",  # the strictest reader uvicorn has; "auto" takes another one where it happens to be installed
        ws="none",
        proxy_headers=False,  # X-Forwarded-For from loopback would be written into the audit as the caller's address
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=15,
        lifespan="on",
    )


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            sys.stdout.write(json.dumps({"listening": self._address, "pid": os.getpid()}) + "\n")
            sys.stdout.flush()
