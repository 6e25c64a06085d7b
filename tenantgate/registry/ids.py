"""Ids that nobody chose: a short prefix that says what it is, and 80 random bits."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Callable
from typing import TypeAlias

NewId: TypeAlias = Callable[[str], str]
"""Makes an id from its prefix: `new_id("dmn")` → `dmn-mfrggzdfmztwq2lk`."""

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Makes so many unguessable bytes (`secrets.token_bytes`)."""


def random_ids(random_bytes: RandomBytes) -> NewId:
    """Return a maker of ids. Ten bytes are sixteen base32 characters, without padding."""

    def new_id(prefix: str) -> str:
        return f"{prefix}-{b32encode(random_bytes(10)).decode('ascii').lower()}"

    return new_id
