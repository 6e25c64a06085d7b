"""How much of a token is read at all: bounds that hold before anything is decoded or believed."""

from __future__ import annotations

from typing import Final

import msgspec

BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "token_bytes": (512, 1024 * 1024),
    "header_bytes": (128, 64 * 1024),
    "kid_bytes": (1, 4 * 1024),
    "audiences": (1, 1024),
    "depth": (2, 64),
    "members": (16, 4096),
}
"""Lowest and highest value of each limit, both inclusive: what a setting may choose."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a token's form. Sizes in bytes, the rest in pieces; each is a setting (`docs/configuration.md`).

    What is larger is refused before it is decoded (RFC 8725 §3.11 asks for nothing less of a validator that
    strangers can call). How long a token may live is a rule of the resource: `ResourceRow.max_lifetime`.

    Raises:
        ValueError: one is outside BOUNDS.
    """

    token_bytes: int = 16 * 1024
    """A whole token."""
    header_bytes: int = 4 * 1024
    """A token's header segment, encoded."""
    kid_bytes: int = 256
    """A `kid`, in UTF-8."""
    audiences: int = 64
    """Entries of `aud`."""
    depth: int = 16
    """Levels of nesting in header and payload, the outer object being the first."""
    members: int = 256
    """Members of one JSON object, elements of one array; four times as many objects and arrays in all."""

    def __post_init__(self) -> None:
        """Refuse what is outside BOUNDS: too low and no token passes, too high and a stranger's costs too much."""
        for name, (low, high) in BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be between {low} and {high}")


LIMITS: Final = Limits()
"""The defaults."""
