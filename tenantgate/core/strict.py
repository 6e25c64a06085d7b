"""Strict readings of base64url, JSON and identity strings: the ground every token stands on.

What the libraries underneath let pass (facts: BOM, duplicate names, non-canonical base64url, control
characters) is refused here, before anything is looked at twice.
"""

from __future__ import annotations

import json
import struct
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, NoReturn

import msgspec
import pybase64

from tenantgate.core.limits import LIMITS, Limits

_BASE64URL: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PLUS, SLASH, EQUALS = b"+/="
"""What no base64url holds, and pybase64's own validation lets pass: the standard alphabet's two, and padding."""
_PADDING: Final = (b"", None, b"==", b"=")
# The last character of a segment whose length is 2 or 3 modulo 4 has unused bits: they must be zero,
# or the same bytes would have several spellings (RFC 7515 §2, RFC 4648 §3.5).
_LAST: Final[tuple[frozenset[int], ...]] = (
    frozenset(),
    frozenset(),
    frozenset(_BASE64URL[::16]),
    frozenset(_BASE64URL[::4]),
)

_INFINITY: Final = float("inf")


class Unreadable(Exception):
    """The bytes are not what they should be. The message is safe: it never quotes them."""


def decode_base64url(segment: bytes) -> bytes:
    """Decode unpadded base64url with exactly one spelling per value (RFC 7515 §2).

    Raises:
        Unreadable: any other character, padding, impossible length, or non-zero unused bits.
    """
    if PLUS in segment or SLASH in segment or EQUALS in segment:
        raise Unreadable("not base64url without padding")
    return decode_segment(segment)


def decode_segment(segment: bytes) -> bytes:
    """Do as `decode_base64url` does with a segment that is known to hold no `+`, `/` or `=`.

    Raises:
        Unreadable: as there.
    """
    rest = len(segment) & 3
    if rest:
        padding = _PADDING[rest]
        if padding is None:
            raise Unreadable("not base64url without padding")
        if segment[-1] not in _LAST[rest]:
            raise Unreadable("not canonical base64url: unused bits are set")
        segment += padding
    try:
        return pybase64.b64decode(segment, b"-_", True)
    except ValueError:
        raise Unreadable("not base64url without padding") from None


encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_Scalar = None | bool | int | float | str


_NESTED: Final = 4
"""Objects and lists in a whole document, for each member that one of them may have."""


class ObjectReader:
    """Reads one JSON object: UTF-8 without BOM, no duplicate names at any depth, bounded in depth and size."""

    __slots__ = ("_depth", "decode_flat", "members")

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._depth = limits.depth
        self.members = limits.members
        # Most payloads hold scalars and lists of them. A decoder of that very type proves depth and lengths while it
        # decodes; whatever it refuses is read again by the one that takes everything (`decode`).
        lists = Annotated[list[_Scalar], msgspec.Meta(max_length=limits.members)]
        self.decode_flat = msgspec.json.Decoder(dict[str, _Scalar | lists]).decode

    def read(self, raw: bytes) -> dict[str, Any]:
        """Decode one JSON object, and prove that no name stands in it twice.

        Raises:
            Unreadable: for anything else. The message never quotes the bytes.
        """
        value = self.decode(raw)
        prove_unique(value, raw)
        return value

    def decode(self, raw: bytes) -> dict[str, Any]:
        """Decode one JSON object within the bounds; `prove_unique` is still to be asked before it is believed.

        NaN and infinities are not JSON and are refused by the decoder.

        Raises:
            Unreadable: for anything else. The message never quotes the bytes.
        """
        try:
            value: dict[str, Any] = self.decode_flat(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            value = self._read_nested(raw)
        if len(value) > self.members:
            raise Unreadable(f"more than {self.members} members")
        return value

    def _read_nested(self, raw: bytes) -> dict[str, Any]:
        try:
            value = _decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Unreadable("not JSON in UTF-8") from None
        if type(value) is not dict:
            raise Unreadable("not a JSON object")
        self._check_nested(value, 1)
        return value

    def _check_nested(self, value: list[Any] | dict[str, Any], depth: int, seen: int = 1) -> int:
        """Return how many objects and lists there are, `seen` of them outside; refuse too many, too deep or too long.

        However many a token could hold: each costs a stranger three bytes, and us a step before any signature.
        """
        if depth > self._depth:
            raise Unreadable(f"nested deeper than {self._depth}")
        if len(value) > self.members:
            raise Unreadable(f"more than {self.members} members")
        members: Iterable[Any] = value.values() if isinstance(value, dict) else value
        for member in members:
            kind = type(member)
            if kind is list or kind is dict:
                if seen >= _NESTED * self.members:
                    raise Unreadable(f"more than {_NESTED * self.members} objects and lists")
                seen = self._check_nested(member, depth + 1, seen + 1)
        return seen


def prove_unique(value: dict[str, Any], raw: bytes) -> None:
    """Prove that `raw`, which `value` was decoded from, has no duplicate names at any depth.

    By encoding what was decoded and comparing the bytes; only where they differ (white space, escapes, another float
    format) is the document read again by the slow, strict reader.

    Raises:
        Unreadable: a name stands there twice, or the document is not strict in another way.
    """
    if encode(value) != raw:
        check_slowly(raw)


read_object: Final = ObjectReader().read
"""`ObjectReader.read` with the default limits."""


def check_slowly(raw: bytes) -> None:
    """Refuse a document that is not strict: the slow way, where the quick proof (`prove_unique`) said nothing.

    Raises:
        Unreadable: a name stands there twice, or the document is not strict in another way.
    """
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
        last = {name: place for place, (name, _) in enumerate(pairs)}
        again = next(name for place, (name, _) in enumerate(pairs) if last[name] != place)
        raise ValueError(f"duplicate member {shown(again)}")
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


def guids_bytes(values: list[str]) -> Sequence[bytes] | None:
    """Return what `guid_bytes` returns for each of many, a good deal faster; None where one of them is no GUID."""
    count = len(values)
    if not {36}.issuperset(map(len, values)):
        return None
    text = "".join(values)
    if not (text[8::36] == text[13::36] == text[18::36] == text[23::36] == "-" * count):
        return None
    try:
        raw = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return None
    return struct.unpack("16s" * count, raw) if len(raw) == 16 * count else None


def guid_text(value: bytes) -> str:
    """Return 16 bytes as a GUID in lower case."""
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def shown(value: object, limit: int = 100) -> str:
    """Return a value from a token as bounded, visible ASCII, fit for a trace or a log line."""
    text = ascii(value)[1:-1] if type(value) is str else ascii(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
