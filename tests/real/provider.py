"""What the tests ask of a real provider."""

from __future__ import annotations

from typing import Literal, Protocol

Change = Literal["add", "sign", "drop", "replace"]
"""Publish a new key beside those there are; sign with the newest; publish that one alone; all of it at once."""


class Provider(Protocol):
    """A running provider with several issuers, whose keys may be changed while it is asked for tokens."""

    audience: str
    issuers: tuple[str, ...]

    def issuer(self, name: str) -> str:
        """Return an issuer's name, as its tokens bear it."""
        ...

    def token(self, issuer: str, client: str = "daemon") -> str:
        """Ask for a token as the partner's daemon would. Raises OSError while the provider takes new keys."""
        ...

    def change_keys(self, change: Change) -> set[str]:
        """Change the keys of every issuer; return the newest kids."""
        ...
