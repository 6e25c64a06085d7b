"""`python -m tenantgate.emulator`: the Entra-shaped authority as a program of its own, on loopback only."""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from tenantgate.emulator import config
from tenantgate.emulator.app import create_app
from tenantgate.emulator.authority import Authority
from tenantgate.emulator.errors import ConfigInvalid, EmulatorError
from tenantgate.emulator.keys import generate_key

EXIT_UNUSABLE: Final = 2
"""The exit code where the command line, the configuration or the address cannot be used."""

_DRAIN: Final = 2  # seconds an answer may still take once we were asked to stop


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Standard output gets one JSON line once requests are answered."""
    options = _parser().parse_args(arguments)
    try:
        _serve(options)
    except EmulatorError as error:
        sys.stderr.write(f"tenantgate.emulator: {' '.join(str(error).split())}\n")
        return EXIT_UNUSABLE
    return 0


def _serve(options: argparse.Namespace) -> None:
    settings = config.read_config(options.config) if options.config else config.Config()
    with bind(options.host, options.port) as listener:
        base_url = _url_of(listener)
        authority = Authority(base_url, clock=time.time, keys=generate_key, entropy=secrets.token_bytes)
        try:
            config.load(settings, authority)
        except EmulatorError as error:
            raise ConfigInvalid(f"{options.config}: {error}") from error
        authority.keys.published()  # make the first key now, so that no request waits for it
        line = json.dumps({"authority": base_url, "pid": os.getpid()})
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)
        _Server(authority, lambda: _announce(line, options.announce)).run(sockets=[listener])


def bind(host: str, port: int) -> socket.socket:
    """Bind `port` (0: any free one) of a loopback address.

    Raises:
        ConfigInvalid: `host` is anything but a loopback address, or the port cannot be had.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        # The control surface hands a token for anybody to whoever asks: it must not be reachable from elsewhere.
        raise ConfigInvalid(f"{host!r} is not a loopback address; the emulator serves 127.0.0.1 or ::1 only")
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigInvalid(f"cannot bind {host} port {port}: {error}") from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn over the authority; calls `ready` once the socket is served, and can hang up on a caller."""

    def __init__(self, authority: Authority, ready: Callable[[], None]) -> None:
        app = create_app(authority, drop=self.drop)
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_DRAIN,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    def drop(self, scope: Scope) -> None:
        """Close the connection a request came on without an answer: the caller sees it end or reset."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.client == scope["client"]:
                connection.transport.abort()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tenantgate.emulator",
        description="An Entra-shaped authority on loopback, for the demo and for tests. "
        "It is no Microsoft service and contacts none.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to serve (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to serve; 0, the default, takes any free one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="JSON file with resources, tenants and daemons")
    parser.add_argument("--announce", type=Path, metavar="FILE", help="also write the ready line into this file")
    return parser


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(line: str, path: Path | None) -> None:
    """Say that we are ready; the file appears whole or not at all. Raise ConfigInvalid where it cannot be written."""
    if path is not None:
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            draft.write_text(f"{line}\n")
            draft.replace(path)
        except OSError as error:
            raise ConfigInvalid(f"{path}: {error.strerror}") from error
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End with success: being asked to stop is how the emulator ends. uvicorn repeats the signal when it is done."""
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
