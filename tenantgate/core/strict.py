"""Strict readings of base64url, JSON and identity strings: the ground every token stands on.

What the libraries underneath let pass (facts: BOM, duplicate names, non-canonical base64url, control
characters) is refused here, before anything is looked at twice.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from typing import Any, Final, NoReturn

import msgspec
import pybase64

MAX_DEPTH: Final = 16
"""Levels of nesting in a JSON document, the outer object being the first."""
MAX_MEMBERS: Final = 256
"""Members of one JSON object, or elements of one array."""

_BASE64URL: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PLUS, _SLASH, _EQUALS = b"+/="
_PADDING: Final = (b"", None, b"==", b"=")
# The last character of a segment whose length is 2 or 3 modulo 4 has unused bits: they must be zero,
# or the same bytes would have several spellings (RFC 7515 §2, RFC 4648 §3.5).
_LAST: Final = (None, None, frozenset(_BASE64URL[::16]), frozenset(_BASE64URL[::4]))

_INFINITY: Final = float("inf")

decode_any: Final = msgspec.json.Decoder().decode
encode_any: Final = msgspec.json.Encoder().encode


class Unreadable(Exception):
    """The bytes are not what they should be. The message is safe: it never quotes them."""


def decode_base64url(segment: bytes) -> bytes:
    """Decode unpadded base64url with exactly one spelling per value (RFC 7515 §2).

    Raises:
        Unreadable: any other character, padding, impossible length, or non-zero unused bits.
    """
    rest = len(segment) & 3
    padding, last = _PADDING[rest], _LAST[rest]
    # What pybase64's own validation lets pass beside the alphabet: the standard one's two, and padding at the end.
    if padding is None or _PLUS in segment or _SLASH in segment or _EQUALS in segment:
        raise Unreadable("not base64url without padding")
    if last is not None and segment[-1] not in last:
        raise Unreadable("not canonical base64url: unused bits are set")
    try:
        return pybase64.b64decode(segment + padding, b"-_", True)
    except ValueError:
        raise Unreadable("not base64url without padding") from None


def read_object(raw: bytes) -> dict[str, Any]:
    """Decode one JSON object: UTF-8 without BOM, no duplicate names at any depth, bounded in depth and size.

    Duplicate names are proved absent by encoding what was decoded and comparing the bytes; only where
    they differ (white space, escapes, another float format) is the document read again by the slow,
    strict reader. NaN and infinities are not JSON and are refused by the decoder.

    Raises:
        Unreadable: for anything else. The message never quotes the bytes.
    """
    try:
        value = decode_any(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unreadable("not JSON in UTF-8") from None
    if type(value) is not dict:
        raise Unreadable("not a JSON object")
    if raw.count(b",") >= MAX_MEMBERS or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check_bounds(value)
    if encode_any(value) != raw:
        _check_slowly(raw)
    return value


def _check_bounds(value: dict[str, Any]) -> None:
    if len(value) > MAX_MEMBERS:
        raise Unreadable(f"more than {MAX_MEMBERS} members")
    for member in value.values():
        kind = type(member)
        if kind is list or kind is dict:
            _check_nested(member, 2)


def _check_nested(value: list[Any] | dict[str, Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Unreadable(f"nested deeper than {MAX_DEPTH}")
    if len(value) > MAX_MEMBERS:
        raise Unreadable(f"more than {MAX_MEMBERS} members")
    members: Iterable[Any] = value.values() if isinstance(value, dict) else value
    for member in members:
        kind = type(member)
        if kind is list or kind is dict:
            _check_nested(member, depth + 1)


def _check_slowly(raw: bytes) -> None:
    try:
        read_document(raw)
    except Unreadable:
        raise Unreadable("not strict JSON: duplicate names, constants or encoding") from None


def read_document(raw: bytes) -> Any:
    """Decode a whole JSON document of an operator's, of any size: strict UTF-8, no duplicate names, no NaN.

    Lone surrogates (`"\\ud800"`) are no text in any encoding, numbers beyond a float's range (`1e999`) no number
    any more: both are refused, as `read_object` refuses them.

    Raises:
        Unreadable: the message names a duplicate member or the place of the error, never a value.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
        )
        if b"\\ud" in raw or b"\\uD" in raw:  # only an escape can spell one in strict UTF-8
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8") from None
    except UnicodeEncodeError:
        raise Unreadable("a lone surrogate is no character") from None
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate member {shown(next(name for name in names if names.count(name) > 1))}")
    return found


def _finite(digits: str) -> float:
    value = float(digits)
    if abs(value) == _INFINITY:
        raise ValueError("a number is out of range")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def is_identity(value: object, limit: int = 512) -> bool:
    """Whether `value` may identify somebody: a non-empty string, bounded, NFC, no control or unassigned characters.

    Lone surrogates never get here: the JSON reader refuses them.
    """
    if type(value) is not str or not value or len(value) > limit:
        return False
    if value.isascii():
        return value.isprintable()
    return unicodedata.is_normalized("NFC", value) and all(
        unicodedata.category(character)[0] != "C" for character in value
    )


def guid_bytes(value: object) -> bytes | None:
    """Return the 16 bytes of a GUID in its 8-4-4-4-12 form, or None."""
    if type(value) is not str or len(value) != 36:
        return None
    if not (value[8] == value[13] == value[18] == value[23] == "-"):
        return None
    try:
        raw = bytes.fromhex(value.replace("-", ""))
    except ValueError:
        return None
    return raw if len(raw) == 16 else None  # fewer where a fifth hyphen or a space stood for a digit


def guid_text(value: bytes) -> str:
    """Return 16 bytes as a GUID in lower case."""
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def shown(value: object, limit: int = 100) -> str:
    """Return a value from a token as bounded, visible ASCII, fit for a trace or a log line."""
    text = ascii(value) if type(value) is not str else ascii(value)[1:-1]
    return text if len(text) <= limit else text[: limit - 1] + "…"
