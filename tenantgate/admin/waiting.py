"""The administration of a server that was started while its database was away: 503 until it is back.

The gate of such a server judges by the policy that was kept on disk; who administers is told what is wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from tenantgate.admin.problems import PROBLEMS, problem_response
from tenantgate.admin.request_ids import request_id_of
from tenantgate.registry.errors import RegistryError
from tenantgate.registry.ids import NewId

RETRY_INTERVAL: Final = 1.0
"""Seconds between two attempts to open the database."""

log: Final = logging.getLogger("tenantgate.server")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def closed(scope: Scope, new_id: NewId, code: str, *, retry_after: int) -> Response:
    """Return the answer of an administration that is closed. `new_id` names the request, `retry_after` is seconds."""
    request = Request(scope)
    request_id_of(request, new_id)
    return problem_response(request, PROBLEMS[code], headers={"Retry-After": str(retry_after)})


class WaitingAdministration:
    """An ASGI application that is `build`'s as soon as that succeeds; each request may cause an attempt.

    `build` blocks and raises RegistryError; `trouble` is what it raised at the start. `clock` gives monotonic seconds,
    `new_id` names requests. One event loop calls this.
    """

    def __init__(
        self, build: Callable[[], App], trouble: RegistryError, clock: Callable[[], float], new_id: NewId
    ) -> None:
        self._build = build
        self._trouble = trouble
        self._clock = clock
        self._new_id = new_id
        self._app: App | None = None
        self._trying = False
        self._next_at = clock() + RETRY_INTERVAL

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._app is None and not self._trying and self._clock() >= self._next_at:
            await self._try()
        if self._app is not None:
            await self._app(scope, receive, send)
            return
        await closed(scope, self._new_id, self._trouble.code, retry_after=1)(scope, receive, send)

    async def _try(self) -> None:
        self._trying = True
        try:
            self._app = await run_sync(self._build)
        except RegistryError as error:
            self._trouble = error
        else:
            log.info("the database is there: administration is open")
        finally:
            self._trying = False
            self._next_at = self._clock() + RETRY_INTERVAL
