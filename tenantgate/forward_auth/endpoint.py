"""`/auth/check`: bare ASGI over the gate. Any method, any suffix; the proxy's sub-request carries the caller's headers.

The answer to a grant is 200 with the identity headers, always all of them; to a refusal the refusal itself.
No header but the credential's is believed: not `X-TG-*`, not `X-Forwarded-*`. A token in the query (where the
resource allows it) is looked for in the sub-request's own query.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH: Final = "/auth/check"


def handles(scope: Scope) -> bool:
    """Whether a request is for this endpoint: `/auth/check` or anything under it."""
    path: str = scope.get("path", "")
    return scope["type"] == "http" and (path == PATH or path.startswith(f"{PATH}/"))


class ForwardAuth:
    """The ASGI application. One gate, so one resource; its refusals are the gate's."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one sub-request; its body is not read."""
        # Who connects here is the proxy: the caller's own address is known to nobody, and no header is believed.
        view = RequestView(scope["method"], scope["path"], scope["headers"], None, scope["query_string"])
        rendered = self._gate.answer(await self._gate.adecide(view))
        headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in rendered.headers]
        headers.append((b"content-length", str(len(rendered.body)).encode("ascii")))
        if rendered.media_type is not None:
            headers.append((b"content-type", rendered.media_type.encode("ascii")))
        if rendered.status == 400:
            # What follows on this connection may be part of what was refused (RFC 9112 §6.3).
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": rendered.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else rendered.body
        await send({"type": "http.response.body", "body": body})
