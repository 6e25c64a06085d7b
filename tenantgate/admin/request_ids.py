"""What a request is called: in its answer, the log and the audit."""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request

from tenantgate.registry.ids import NewId

_HARMLESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def request_id_of(request: Request, new_id: NewId) -> str:
    """Return the caller's own name for the request, if it is a harmless one, or a new one; the same whenever asked."""
    found: str = getattr(request.state, "request_id", "")
    if not found:
        given = request.headers.get("x-request-id", "")
        found = given if _HARMLESS.match(given) else new_id("req")
        request.state.request_id = found
    return found
