"""A token's form as the judge reads it: taken apart, then proved, in one call."""

from __future__ import annotations

from typing import Any, NamedTuple

from tenantgate.core.token import READER, Header, TokenReader


class Parsed(NamedTuple):
    """A token that is taken apart and proved to have one spelling and each name once."""

    header: Header
    payload: dict[str, Any]
    signed: bytes
    signature: bytes


def parse_token(token: str | bytes, reader: TokenReader = READER) -> Parsed:
    """Read a token by the two functions that `core.verify` reads it by. Raises Refused, as they do."""
    taken = reader.take_apart(token)
    signature = reader.prove(taken)
    return Parsed(taken.header, taken.payload, taken.raw[: taken.end], signature)
