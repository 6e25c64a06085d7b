"""Imports what a first fetch needs, at a time of our choosing, so that no thread of ours imports anything later.

A child that was forked while another thread imported a module waits for ever where it imports that module itself
(`tenantgate.forks`). So the imports come before the threads, on the thread that opens the gate; and a fork waits for
those that a later change of the policy makes necessary.
"""

from __future__ import annotations

import importlib
from typing import Final

from tenantgate.forks import undivided

_NEEDED: Final = (
    "tenantgate.net.http",
    "anyio._backends._asyncio",  # anyio imports the one it runs on at its first call
    "encodings.idna",  # getaddrinfo encodes names with it
    "jwt.algorithms",  # core.keys prepares keys with it
)


def import_all() -> None:
    """Import it. Any thread; a fork in another thread waits until it is done."""
    with undivided():
        for name in _NEEDED:
            importlib.import_module(name)
        # Where the public authorities are is asked for at the first handshake, by way of more modules.
        importlib.import_module("certifi").where()
