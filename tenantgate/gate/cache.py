"""Verified tokens remembered by digest, so that a token seen before costs no signature.

Keeps what `core.verify` found, never the token. Two generations: a new entry goes to the young one; when
that is full it becomes the old one and the old one is forgotten. No lock: each step is one operation on a
dict, and a lost race costs at most a second verification.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tenantgate.core.verify import Verified

ENTRIES: Final = 16_384
"""Tokens remembered, at most."""
BYTES: Final = 32 * 1024 * 1024
"""What is remembered weighs this much, at most, as `weight_of` estimates it (it may be half as much again)."""
_MEMBER: Final = 64
"""Bytes of a member or element beside its text: three letters of a token may be an object of its own."""


def weight_of(token: bytes, payload: dict[str, Any]) -> int:
    """Return what remembering a token's claims weighs, in bytes: its text, and so much for each value in it."""
    return len(token) + _MEMBER * _values(payload)


def _values(value: dict[str, Any] | list[Any]) -> int:
    members: Iterable[Any] = value.values() if isinstance(value, dict) else value
    return len(value) + sum([_values(each) for each in members if type(each) is list or type(each) is dict])


class VerifiedTokens:
    """SHA-256 digest of a token → what verification found."""

    def __init__(self, entries: int = ENTRIES, size: int = BYTES) -> None:
        self._half_entries = max(1, entries // 2)
        self._half_size = size // 2
        self._size = 0
        self._young: dict[bytes, tuple[Verified, int]] = {}
        self._old: dict[bytes, tuple[Verified, int]] = {}

    def get(self, digest: bytes) -> Verified | None:
        """Return what is remembered; the caller still asks whether key and issuer are the same."""
        found = self._young.get(digest)
        if found is None:
            found = self._old.get(digest)
            if found is None:
                return None
            self._keep(digest, found)  # counted like a new one, or tokens in use would outgrow the bounds
        return found[0]

    def put(self, digest: bytes, verified: Verified, size: int) -> None:
        """Remember a verified token whose claims weigh `size` bytes."""
        self._keep(digest, (verified, size))

    def _keep(self, digest: bytes, entry: tuple[Verified, int]) -> None:
        size = entry[1]
        self._size += size
        if len(self._young) >= self._half_entries or self._size > self._half_size:
            self._old, self._young, self._size = self._young, {}, size
        self._young[digest] = entry

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())
