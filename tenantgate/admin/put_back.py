"""The administration of a database that this server's own gate refuses to follow: 503 until it is adopted.

Keys, sessions and operators of a backup are those of its day: one that was revoked since because it leaked would let
its finder in, to prepare what is in force once the backup is adopted. So nobody administers by credentials until
somebody who may open the database itself says that it counts (`tenantgate policy adopt`).
"""

from __future__ import annotations

from typing import Final

from tenantgate.admin.waiting import App, Receive, Scope, Send, closed
from tenantgate.feed.source import GuardedSource
from tenantgate.registry.ids import NewId

_RETRY_AFTER: Final = 5
"""Seconds."""


class ClosedWhile:
    """An ASGI application that is `inner` but while `source` refuses its database. `new_id` names requests."""

    def __init__(self, inner: App, source: GuardedSource, new_id: NewId) -> None:
        self._inner = inner
        self._source = source
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Asks the database nothing."""
        if self._source.refusal is None:
            await self._inner(scope, receive, send)
            return
        await closed(scope, self._new_id, "database_put_back", retry_after=_RETRY_AFTER)(scope, receive, send)
