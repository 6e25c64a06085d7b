"""The gate in a FastAPI application.

```python
gate = open_gate("policy.toml", resource="orders")
orders = FastAPIGate(gate)
app = FastAPI(lifespan=orders.lifespan)


@app.get("/orders")
async def list_orders(caller: Annotated[Principal, orders.require("Orders.Read")]) -> list[Order]: ...
```
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import msgspec
from fastapi import FastAPI, HTTPException, Request, Response, Security
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase

from tenantgate.core.decision import Denied, Principal
from tenantgate.gate.answer import DECISION_HEADER, problem_of
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView


class Refused(HTTPException):
    """A refusal, as FastAPI raises it: the answer's status and headers, the problem under `detail`."""

    def __init__(self, gate: Gate, denied: Denied) -> None:
        rendered = gate.answer(denied)
        super().__init__(rendered.status, msgspec.to_builtins(problem_of(denied)), dict(rendered.headers))
        self.denied = denied


class Requires(SecurityBase):
    """A dependency that judges the request for the roles it names and yields the Principal."""

    def __init__(self, gate: Gate, roles: tuple[str, ...]) -> None:
        wanted = f" Roles needed: {', '.join(roles)}." if roles else ""
        self.model = BearerModel(
            bearerFormat="JWT",
            description=f"Access token of a listed daemon for `{gate.resource}`.{wanted}",
        )
        self.scheme_name = f"TenantGate {gate.resource}"
        self._gate = gate
        self._roles = roles

    async def __call__(self, request: Request, response: Response) -> Principal:
        """Judge one request. Raises Refused."""
        client = request.client
        view = RequestView(request.method, request.url.path, request.headers.raw, client.host if client else None)
        decision = await self._gate.adecide(view, self._roles)
        if isinstance(decision, Denied):
            raise Refused(self._gate, decision)
        response.headers[DECISION_HEADER] = decision.id
        return decision.principal


class FastAPIGate:
    """A gate, wired into FastAPI: `require` for routes, `lifespan` for the application."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def require(self, *roles: str) -> Any:
        """Return the dependency for a route: all `roles` are needed; with none, any role on the resource."""
        return Security(Requires(self.gate, roles))

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Close the gate when the application ends. Combine it with a lifespan of your own by entering both."""
        del app
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(self.gate.close)
