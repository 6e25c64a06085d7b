"""What a door knows about a request, and the one credential it presents.

Everything here is untrusted, as it came from the wire. No header but the credential's own is read; an
incoming `X-TG-*` or forwarded header means nothing to a gate. Where the credential stands is the resource's rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.policy import ResourceRow

MAX_HEADERS: Final = 64 * 1024
"""Bytes of all header names and values together, and of the query where a token may stand in it."""

_TRANSFER_ENCODING: Final = b"transfer-encoding"
_TE_LENGTH: Final = len(_TRANSFER_ENCODING)
# Other readers of the same bytes may see no name here, or this very one: space and every control character.
_INVISIBLE: Final = bytes(range(0x21)) + b"\x7f"
_PADDING: Final = _INVISIBLE + b"+"
MAX_PARAMETERS: Final = 256
"""Parameters of a query in which a token may stand."""

_LONGEST_SPELLING: Final = 256
"""Bytes of a parameter's name, percent signs included, that could be another spelling of the one looked for."""
_STRAY_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class RequestView(NamedTuple):
    """A request as the door saw it: raw header pairs in order (names in any case), peer address or None.

    `peer` is the caller's own address; a door behind a proxy does not know it. `query` is what follows the `?`, raw.
    """

    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]
    peer: str | None = None
    query: bytes = b""


class Presented(NamedTuple):
    """Either a bearer token, or why there is none to judge."""

    token: bytes | None
    reason: R | None = None
    detail: str = ""


class TokenSource(NamedTuple):
    """Where the tokens of a resource stand. Made once for a row by `source_of`, not for a request.

    `header` and `scheme` are in lower case; without a scheme the header holds the token alone. `length` is the
    header's, `least` that of the shortest name that is looked at. `name` and `scheme_name` are the operator's words,
    for details.
    """

    header: bytes
    length: int
    least: int
    query: bytes | None
    scheme: bytes | None
    name: str
    scheme_name: str


def source_of(row: ResourceRow | None) -> TokenSource:
    """Return where a resource's tokens stand; without a row, in `Authorization: Bearer`."""
    if row is None:
        return AUTHORIZATION
    name, query = row.token_header or "Authorization", row.token_query
    header = name.lower().encode("ascii")
    scheme = row.token_scheme.lower().encode("ascii") if row.token_header is None else None
    parameter = None if query is None else query.encode("ascii")
    length = len(header)
    return TokenSource(header, length, min(length, _TE_LENGTH), parameter, scheme, name, row.token_scheme)


AUTHORIZATION: Final = source_of(ResourceRow(id="any", audiences=("any",)))
"""`Authorization: Bearer <token>`, and nothing else (RFC 6750 §2.1)."""


def present(view: RequestView, source: TokenSource = AUTHORIZATION) -> Presented:
    """Return the one credential a request presents; never tries several (RFC 6750 §2, RFC 9110 §11.6.2)."""
    header, wanted, least, query, scheme, _, _ = source
    size = 0 if query is None else len(view.query)
    framed = False
    found: bytes | None = None
    for name, value in view.headers:
        length = len(name)
        size += length + len(value)
        if length < least:
            continue
        if length == wanted and name.lower() == header:
            if found is not None:
                return Presented(None, R.CREDENTIAL_AMBIGUOUS, f"two {source.name} headers")
            found = value
        elif length == _TE_LENGTH and name.lower() == _TRANSFER_ENCODING:
            framed = True
        elif (
            length > wanted
            and (name[0] in _INVISIBLE or name[-1] in _INVISIBLE)
            and name.strip(_INVISIBLE).lower() == header
        ):
            return Presented(None, R.REQUEST_INVALID, f"white space or control characters around {source.name}")
    if framed and _has_length(view.headers):
        return Presented(None, R.REQUEST_INVALID, "Content-Length and Transfer-Encoding together")
    if size > MAX_HEADERS:
        return Presented(None, R.REQUEST_INVALID, f"headers of {size} bytes; {MAX_HEADERS} are accepted")
    if query is not None:
        return _from_either(found, view.query, query, source)
    return _from_header(found, scheme, source)


def _has_length(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether there is a Content-Length.

    Beside a Transfer-Encoding two readers find two ends, and another next request (RFC 9112 §6.1, §6.3).
    """
    return any(name.lower() == b"content-length" for name, _ in headers)


def _from_header(value: bytes | None, wanted: bytes | None, source: TokenSource) -> Presented:
    if value is None:
        return Presented(None, R.NO_CREDENTIAL, f"no {source.name} header")
    if b"\0" in value or b"\r" in value or b"\n" in value:  # RFC 9110 §5.5: dangerous, never to be passed on
        return Presented(None, R.REQUEST_INVALID, f"NUL, CR or LF in the {source.name} header")
    scheme, blank, token = value.strip(b" ").partition(b" ")
    if scheme.lower() != wanted:
        if wanted is not None:
            return Presented(None, R.SCHEME_NOT_ALLOWED, f"the scheme is not {source.scheme_name}")
        if blank or b"\t" in scheme:
            return Presented(None, R.SCHEME_NOT_ALLOWED, f"{source.name} holds the token alone, without a scheme")
        token = scheme
    if b"," in token:
        return Presented(None, R.CREDENTIAL_AMBIGUOUS, f"a comma in the {source.name} header: joined headers")
    return Presented(token.lstrip(b" "))


# The query (RFC 6750 §2.3): off unless a resource says so, since it stands in logs and histories.


def _from_either(header: bytes | None, query: bytes, name: bytes, source: TokenSource) -> Presented:
    """Return the one credential of a request that may carry it in the header or in the query."""
    found = _parameters(query, name)
    if isinstance(found, Presented):
        return found
    if len(found) + (header is not None) > 1:
        return Presented(None, R.CREDENTIAL_AMBIGUOUS, "more than one of header and query parameters carries a token")
    if header is not None:
        return _from_header(header, source.scheme, source)
    if not found:
        return Presented(None, R.NO_CREDENTIAL, f"neither the {source.name} header nor the query parameter")
    if _STRAY_PERCENT.search(found[0]):
        return Presented(None, R.REQUEST_INVALID, "a stray percent sign in the query parameter")
    return Presented(unquote_to_bytes(found[0]))


def _parameters(query: bytes, name: bytes) -> list[bytes] | Presented:
    """Return the raw values of the parameters of this name, or the refusal where readers could differ on them."""
    if query.count(b"&") + query.count(b";") >= MAX_PARAMETERS:
        return Presented(None, R.REQUEST_INVALID, f"a query of more than {MAX_PARAMETERS} parameters")
    found: list[bytes] = []
    for part in query.split(b"&"):
        # A semicolon separates for some readers: what stands behind one would be a parameter for them alone.
        for place, piece in enumerate(part.split(b";")):
            raw, _, _ = piece.partition(b"=")
            spelled = unquote_to_bytes(raw) if len(raw) <= _LONGEST_SPELLING else raw
            if spelled == name and place == 0:
                found.append(part.partition(b"=")[2])
            elif spelled.strip(_PADDING) == name:
                return Presented(None, R.REQUEST_INVALID, "the query parameter is not there for every reader")
    return found
