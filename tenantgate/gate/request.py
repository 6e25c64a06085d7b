"""What a door knows about a request, and the one credential it presents.

Everything here is untrusted, as it came from the wire. No header but the credential's own is read; an
incoming `X-TG-*` or forwarded header means nothing to a gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from tenantgate.core.decision import DenialReason as R

MAX_HEADERS: Final = 64 * 1024
"""Bytes of all header names and values together."""

_AUTHORIZATION: Final = b"authorization"
_LENGTH: Final = len(_AUTHORIZATION)
_TRANSFER_ENCODING: Final = b"transfer-encoding"
_TE_LENGTH: Final = len(_TRANSFER_ENCODING)
# Other readers of the same bytes may see no name here, or this very one: space and every control character.
_INVISIBLE: Final = bytes(range(0x21)) + b"\x7f"


class RequestView(NamedTuple):
    """A request as the door saw it: raw header pairs in order (names in any case), peer address or None."""

    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]
    peer: str | None = None


class Presented(NamedTuple):
    """Either a bearer token, or why there is none to judge."""

    token: bytes | None
    reason: R | None = None
    detail: str = ""


def present(view: RequestView) -> Presented:
    """Return the one credential a request presents; never tries several (RFC 6750 §2, RFC 9110 §11.6.2)."""
    size = 0
    framed = False
    found: bytes | None = None
    for name, value in view.headers:
        length = len(name)
        size += length + len(value)
        if length < _LENGTH:
            continue
        if length > _LENGTH:
            framed = framed or (length == _TE_LENGTH and name.lower() == _TRANSFER_ENCODING)
            if (name[0] in _INVISIBLE or name[-1] in _INVISIBLE) and name.strip(_INVISIBLE).lower() == _AUTHORIZATION:
                return Presented(None, R.REQUEST_INVALID, "white space or control characters around Authorization")
        elif name.lower() == _AUTHORIZATION:
            if found is not None:
                return Presented(None, R.CREDENTIAL_AMBIGUOUS, "two Authorization headers")
            found = value
    if framed and _has_length(view.headers):
        return Presented(None, R.REQUEST_INVALID, "Content-Length and Transfer-Encoding together")
    if size > MAX_HEADERS:
        return Presented(None, R.REQUEST_INVALID, f"headers of {size} bytes; {MAX_HEADERS} are accepted")
    if found is None:
        return Presented(None, R.NO_CREDENTIAL, "no Authorization header")
    return _bearer(found)


def _has_length(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether there is a Content-Length.

    Beside a Transfer-Encoding two readers find two ends, and another next request (RFC 9112 §6.1, §6.3).
    """
    return any(name.lower() == b"content-length" for name, _ in headers)


def _bearer(value: bytes) -> Presented:
    if b"\0" in value or b"\r" in value or b"\n" in value:  # RFC 9110 §5.5: dangerous, never to be passed on
        return Presented(None, R.REQUEST_INVALID, "NUL, CR or LF in the Authorization header")
    scheme, _, token = value.strip(b" ").partition(b" ")
    if scheme.lower() != b"bearer":
        return Presented(None, R.SCHEME_NOT_ALLOWED, "the scheme is not Bearer")
    if b"," in token:
        return Presented(None, R.CREDENTIAL_AMBIGUOUS, "a comma in the Authorization header: joined headers")
    return Presented(token.lstrip(b" "))
