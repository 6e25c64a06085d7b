"""The form of a token: a compact JWS, split and decoded strictly, believed in nothing.

Sizes are in bytes and bounded before anything is decoded (RFC 7515 §3.1, RFC 8725 §3).
"""

from __future__ import annotations

import functools
from typing import Any, Final, NamedTuple

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.keys import MAX_KID, SUPPORTED
from tenantgate.core.strict import Unreadable, decode_base64url, is_identity, read_object, shown

MAX_TOKEN: Final = 16 * 1024
"""Bytes of a whole token."""
MAX_HEADER: Final = 4 * 1024
"""Bytes of a token's header segment."""

_FORBIDDEN: Final = frozenset(
    ("jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "cty", "enc", "epk", "p2c", "p2s", "nonce", "url", "apu", "apv")
)


class Refused(Exception):
    """The token's form is refused. `detail` is safe to keep: bounded, without the token's bytes."""

    def __init__(self, reason: R, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Header(NamedTuple):
    """A JOSE header that may go on: a supported `alg`, a sane `kid`, nothing that is never followed."""

    alg: str
    kid: str | None
    typ: str | None


class UnverifiedToken(NamedTuple):
    """A well-formed token. No claim in it may be believed before the signature holds."""

    header: Header
    payload: dict[str, Any]
    signed: bytes
    signature: bytes


def parse_token(token: str | bytes) -> UnverifiedToken:
    """Split and decode a compact JWS.

    Raises:
        Refused: with the reason; any input whatsoever ends here or in a return.
    """
    if len(token) > MAX_TOKEN:
        raise Refused(R.TOKEN_TOO_LARGE, f"{len(token)} bytes; {MAX_TOKEN} are accepted")
    raw = token if isinstance(token, bytes) else _ascii(token)
    dots = raw.count(b".")
    if dots == 4:
        raise Refused(R.TOKEN_ENCRYPTED, "five parts: an encrypted token")
    if dots != 2:
        raise Refused(R.TOKEN_MALFORMED, f"{min(dots, 99) + 1} parts; a compact JWS has 3")
    signed, _, signature = raw.rpartition(b".")
    header, _, payload = signed.partition(b".")
    if len(header) > MAX_HEADER:
        raise Refused(R.TOKEN_TOO_LARGE, f"header of {len(header)} bytes; {MAX_HEADER} are accepted")
    read_header = parse_header(header)
    try:
        claims = read_object(decode_base64url(payload))
        signature_bytes = decode_base64url(signature)
    except Unreadable as error:
        raise Refused(R.TOKEN_MALFORMED, f"payload or signature: {error}") from None
    return UnverifiedToken(read_header, claims, signed, signature_bytes)


def _ascii(token: str) -> bytes:
    try:
        return token.encode("ascii")
    except UnicodeEncodeError:
        raise Refused(R.TOKEN_MALFORMED, "characters outside ASCII") from None


@functools.lru_cache(maxsize=512)
def parse_header(segment: bytes) -> Header:
    """Decode and check the header segment. Remembered by its bytes: an issuer uses few headers.

    Raises:
        Refused: not strict JSON, an algorithm that is never used, or a member that is never followed.
    """
    try:
        header = read_object(decode_base64url(segment))
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
    if kid is not None and not is_identity(kid, MAX_KID):
        raise Refused(R.HEADER_NOT_ALLOWED, f"kid is not a string of 1 to {MAX_KID} printable characters")
    if typ is not None and not is_identity(typ, 64):
        raise Refused(R.TOKEN_TYPE_NOT_ALLOWED, "typ is not a short string")
    return Header(alg, kid, typ)
