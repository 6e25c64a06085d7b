"""The form of a token: a compact JWS, split and decoded strictly, believed in nothing.

Sizes are bounded before anything is decoded (RFC 7515 §3.1, RFC 8725 §3); `core.limits` has the bounds.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.keys import SUPPORTED
from tenantgate.core.limits import LIMITS, Limits
from tenantgate.core.strict import (
    EQUALS,
    PLUS,
    SLASH,
    ObjectReader,
    Unreadable,
    check_slowly,
    decode_base64url,
    decode_segment,
    encode,
    is_identity,
    shown,
)

_DOT: Final = ord(".")
_HEADERS: Final = 512
"""Headers remembered by their bytes, at most: an issuer uses few."""

_FORBIDDEN: Final = frozenset(
    ("jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "cty", "enc", "epk", "p2c", "p2s", "nonce", "url", "apu", "apv")
)


class Refused(Exception):
    """The token's form is refused. `detail` is safe to keep: bounded, without the token's bytes."""

    def __init__(self, reason: R, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Header(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A JOSE header that may go on: a supported `alg`, a sane `kid`, nothing that is never followed.

    Compared by identity: the same bytes give the same object, as long as they are remembered.
    """

    alg: str
    kid: str | None
    typ: str | None


class UnverifiedToken(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A token taken apart. No claim in it may be believed before it is proved strict and its signature holds.

    `document` is the payload's bytes; `raw[:end]` is what was signed, and the signature's segment stands behind it.
    """

    header: Header
    payload: dict[str, Any]
    document: bytes
    raw: bytes
    end: int


class TokenReader:
    """Splits and decodes tokens within limits. Keeps nothing of a token but its header."""

    __slots__ = ("_decode", "_decode_flat", "_header", "_header_bytes", "_members", "_read", "_token_bytes", "limits")

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self._token_bytes = limits.token_bytes
        self._header_bytes = limits.header_bytes
        self._members = limits.members
        objects = ObjectReader(limits)
        self._read, self._decode, self._decode_flat = objects.read, objects.decode, objects.decode_flat
        self._header = functools.lru_cache(maxsize=_HEADERS)(self._parse_header)

    def take_apart(self, token: str | bytes) -> UnverifiedToken:
        """Split a compact JWS and decode its header and payload.

        What a stranger's token is refused for comes first; `prove` is to be asked before anything is believed.

        Raises:
            Refused: with the reason; any input whatsoever ends here or in a return.
        """
        if len(token) > self._token_bytes:
            raise Refused(R.TOKEN_TOO_LARGE, f"{len(token)} bytes; {self._token_bytes} are accepted")
        raw = token if isinstance(token, bytes) else _ascii(token)
        find = raw.find
        first = find(_DOT)
        second = find(_DOT, first + 1)
        if second < 0 or find(_DOT, second + 1) >= 0:
            raise _miscounted(raw)
        if first > self._header_bytes:
            raise Refused(R.TOKEN_TOO_LARGE, f"header of {first} bytes; {self._header_bytes} are accepted")
        if PLUS in raw or SLASH in raw or EQUALS in raw:
            raise Refused(R.TOKEN_MALFORMED, "not base64url without padding")
        header = self._header(raw[:first])
        try:
            document = decode_segment(raw[first + 1 : second])
            try:
                payload = self._decode_flat(document)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                payload = self._decode(document)
        except Unreadable as error:
            raise Refused(R.TOKEN_MALFORMED, f"payload: {error}") from None
        if len(payload) > self._members:
            raise Refused(R.TOKEN_MALFORMED, f"payload: more than {self._members} members")
        return UnverifiedToken(header, payload, document, raw, second)

    def prove(self, token: UnverifiedToken) -> bytes:
        """Return the signature's bytes, once the token is proved to have one spelling and each name once.

        Raises:
            Refused: token_malformed.
        """
        try:
            if encode(token.payload) != token.document:
                check_slowly(token.document)
            return decode_segment(token.raw[token.end + 1 :])
        except Unreadable as error:
            raise Refused(R.TOKEN_MALFORMED, f"payload or signature: {error}") from None

    def parse_header(self, segment: bytes) -> Header:
        """Decode and check a header segment, or return what is remembered of the same bytes.

        Raises:
            Refused: not strict JSON, an algorithm that is never used, or a member that is never followed.
        """
        return self._header(segment)

    def _parse_header(self, segment: bytes) -> Header:
        try:
            header = self._read(decode_base64url(segment))
        except Unreadable as error:
            raise Refused(R.TOKEN_MALFORMED, f"header: {error}") from None
        if "enc" in header:
            raise Refused(R.TOKEN_ENCRYPTED, "header names a content encryption")
        alg = header.get("alg")
        if alg == "Ed25519":  # RFC 9864 gives EdDSA with this curve a name of its own; the key still decides
            alg = "EdDSA"
        if type(alg) is not str or alg not in SUPPORTED:
            raise Refused(R.ALGORITHM_NOT_ALLOWED, f"alg is {shown(alg)}")
        if not _FORBIDDEN.isdisjoint(header):
            raise Refused(R.HEADER_NOT_ALLOWED, f"header holds {min(_FORBIDDEN.intersection(header))}")
        kid, typ = header.get("kid"), header.get("typ")
        if kid is not None and not self._is_kid(kid):
            most = self.limits.kid_bytes
            raise Refused(R.HEADER_NOT_ALLOWED, f"kid is not a string of 1 to {most} bytes of printable characters")
        if typ is not None and not is_identity(typ, 64):
            raise Refused(R.TOKEN_TYPE_NOT_ALLOWED, "typ is not a short string")
        return Header(alg, kid, typ)

    def _is_kid(self, kid: object) -> bool:
        most = self.limits.kid_bytes
        return is_identity(kid, most) and len(str(kid).encode()) <= most


def _miscounted(raw: bytes) -> Refused:
    dots = raw.count(b".")
    if dots == 4:
        return Refused(R.TOKEN_ENCRYPTED, "five parts: an encrypted token")
    return Refused(R.TOKEN_MALFORMED, f"{min(dots, 99) + 1} parts; a compact JWS has 3")


def _ascii(token: str) -> bytes:
    try:
        return token.encode("ascii")
    except UnicodeEncodeError:
        raise Refused(R.TOKEN_MALFORMED, "characters outside ASCII") from None


READER: Final = TokenReader()
"""The reader with the default limits."""
