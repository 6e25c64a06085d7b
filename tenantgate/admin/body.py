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
from tenantgate.registry.import_file import LARGEST_FILE

LARGEST_BODY: Final = 64 * 1024
"""Bytes."""
UPLOADS: Final[dict[tuple[str, str], tuple[str, int]]] = {("POST", "/imports"): ("text/csv", LARGEST_FILE)}
"""Method and path (below the prefix) of what takes a file instead of JSON → its media type, and how many bytes."""
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
    _require_type(request, "application/json")
    return ReadRequest(request, raw, _parse(raw))


async def read_upload(request: Request, media_type: str, largest: int) -> Request:
    """Return the request with the file in its body read.

    Raises:
        RequestRefused: `body_too_large`, `media_type_unsupported`, `body_malformed`.
    """
    _require_type(request, media_type)
    return ReadRequest(request, await _read(request, largest), {})


def _require_type(request: Request, wanted: str) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != wanted:
        raise RequestRefused("media_type_unsupported", f"send Content-Type: {wanted}")


async def _read(request: Request, largest: int = LARGEST_BODY) -> bytes:
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:12]) > largest:
        raise _too_large(largest)
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > largest:
                raise _too_large(largest)
    except ClientDisconnect:
        raise RequestRefused("body_malformed", "the connection ended before the body") from None
    return bytes(raw)


def _too_large(largest: int) -> RequestRefused:
    return RequestRefused("body_too_large", f"a body has at most {largest} bytes")


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
