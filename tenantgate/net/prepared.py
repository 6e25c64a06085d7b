"""Imports what a first fetch needs, at a time of our choosing, so that no thread of ours imports anything later.

A process that forks while another of its threads imports a module leaves the child with that module's lock held by
nobody: whoever imports it there waits for ever. A preforking server (gunicorn with `--preload`) forks right after the
application was made, which is when a gate's first fetches begin. So the imports come before the threads, on the thread
that opens the gate; and a fork waits for those that a later change of the policy makes necessary.
"""

from __future__ import annotations

import importlib
import os
import threading
from typing import Final

_IMPORTING: Final = threading.Lock()
_NEEDED: Final = (
    "tenantgate.net.http",
    "anyio._backends._asyncio",  # anyio imports the one it runs on at its first call
    "encodings.idna",  # getaddrinfo encodes names with it
    "jwt.algorithms",  # core.keys prepares keys with it
)


def import_all() -> None:
    """Import it. Any thread; a fork in another thread waits until it is done."""
    with _IMPORTING:
        for name in _NEEDED:
            importlib.import_module(name)
        # Where the public authorities are is asked for at the first handshake, by way of more modules.
        importlib.import_module("certifi").where()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_IMPORTING.acquire, after_in_parent=_IMPORTING.release, after_in_child=_IMPORTING.release
    )
