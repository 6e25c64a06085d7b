"""Reading a request's body: bounded, and JSON in its strict form only.

The framework's own reader takes bodies of any size, keeps the last of two members of one name, and reads
NaN, a byte order mark, and UTF-16. Here each of these is an answer of its own.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from tenantgate.admin.problems import RequestRefused
from tenantgate.core.limits import Limits
from tenantgate.core.strict import ObjectReader, Unreadable, read_document
from tenantgate.registry.bulk import LARGEST_BULK

LARGEST_BODY: Final = 64 * 1024
"""Bytes."""
_read_object: Final = ObjectReader(Limits(members=LARGEST_BULK + 1)).read
"""One more than may be named at once: that is told as what it is."""


class ReadRequest(Request):
    """A request whose body was read before."""

    def __init__(self, request: Request, raw: bytes, document: dict[str, Any]) -> None:
        super().__init__(request.scope, request.receive)
        self._raw = raw
        self._document = document

    async def body(self) -> bytes:
        """Return the body as it came."""
        return self._raw

    async def json(self) -> dict[str, Any]:
        """Return the body's one object."""
        return self._document


async def read_request(request: Request, *, wants_body: bool) -> Request:
    """Return the request with its body read.

    Raises:
        RequestRefused: `body_too_large`, `media_type_unsupported`, `body_malformed`, `body_not_expected`.
    """
    raw = await _read(request)
    if not wants_body:
        # Some clients always send an object with a POST.
        if raw.strip() not in (b"", b"{}"):
            raise RequestRefused("body_not_expected", "this takes no body")
        return ReadRequest(request, b"", {})
    if not raw:
        raise RequestRefused("body_malformed", "a JSON object is needed")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RequestRefused("media_type_unsupported", "send Content-Type: application/json")
    return ReadRequest(request, raw, _parse(raw))


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:12]) > LARGEST_BODY:
        raise _too_large()
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > LARGEST_BODY:
                raise _too_large()
    except ClientDisconnect:
        raise RequestRefused("body_malformed", "the connection ended before the body") from None
    return bytes(raw)


def _too_large() -> RequestRefused:
    return RequestRefused("body_too_large", f"a body has at most {LARGEST_BODY} bytes")


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        return _read_object(raw)
    except Unreadable as error:
        reason = str(error)
    try:
        # Only to say more exactly what is wrong; what it reads is not used.
        read_document(raw)
    except Unreadable as error:
        reason = str(error)
    raise RequestRefused("body_malformed", f"the body cannot be read: {reason}")
