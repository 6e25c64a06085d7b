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

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, ForwardRef

import anyio.to_thread
import msgspec
from fastapi import FastAPI, HTTPException, Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.routing import iter_route_contexts
from fastapi.security.base import SecurityBase
from starlette.datastructures import Address
from starlette.routing import BaseRoute

from tenantgate.core.decision import Denied, Principal
from tenantgate.core.policy import AppRoleRow
from tenantgate.core.rules import check_row
from tenantgate.gate.answer import DECISION_HEADER
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView

_FORWARDED: Final = frozenset((b"forwarded", b"x-forwarded-for"))
"""Headers a server may have put into `request.client`: uvicorn does, unasked, for whoever connects from its machine."""


class Refused(HTTPException):
    """A refusal, as FastAPI raises it: the answer's status and headers, the problem under `detail`."""

    def __init__(self, gate: Gate, denied: Denied) -> None:
        rendered = gate.answer(denied)
        super().__init__(rendered.status, msgspec.json.decode(rendered.body), dict(rendered.headers))
        self.denied = denied


class RouteUnreadable(Exception):
    """FastAPI could not read an annotation of a route, which may stand open because of that. Raised at the start.

    In a module with `from __future__ import annotations` a name that is local to a function means nothing to FastAPI:
    it takes `caller` for a query parameter and never hears of the requirement.
    """

    code = "route_unreadable"


class Requires(SecurityBase):
    """A dependency that judges the request for the roles it names and yields the Principal."""

    def __init__(self, gate: Gate, roles: tuple[str, ...], *, believe_forwarded: bool = False) -> None:
        description = f"Access token of a listed daemon for `{gate.resource}`. Roles stand beside each operation."
        self.model = BearerModel(bearerFormat="JWT", description=description)
        self.scheme_name = f"TenantGate-{gate.resource}"  # a component's key: letters, digits, `.`, `-`, `_`
        self._gate = gate
        self._roles = roles
        self._believe_forwarded = believe_forwarded

    async def __call__(self, request: Request, response: Response) -> Principal:
        """Judge one request. Raises Refused."""
        headers = request.headers.raw
        peer = self._peer_of(request.client, headers)
        view = RequestView(request.method, request.url.path, headers, peer, request.scope["query_string"])
        decision = await self._gate.adecide(view, self._roles)
        if isinstance(decision, Denied):
            raise Refused(self._gate, decision)
        response.headers[DECISION_HEADER] = decision.id
        return decision.principal

    def _peer_of(self, client: Address | None, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        """Return the caller's own address; None where a header says the same and is not to be believed."""
        if client is None or self._believe_forwarded:
            return client and client.host
        host = client.host.encode("latin-1", "replace").lower()
        return None if any(name in _FORWARDED and host in value.lower() for name, value in headers) else client.host


class FastAPIGate:
    """A gate, wired into FastAPI: `require` for routes, `lifespan` for the application.

    `believe_forwarded`: the application's server takes the caller's address from `X-Forwarded-For` or `Forwarded`, and
    only from proxies that write it themselves. Without this an address that stands there is one nobody knows.
    """

    def __init__(self, gate: Gate, *, believe_forwarded: bool = False) -> None:
        self.gate = gate
        self._believe_forwarded = believe_forwarded

    def require(self, *roles: str) -> Any:
        """Return the dependency for a route: all `roles` are needed; with none, any role on the resource.

        Raises:
            PolicyError: `role_value_malformed`, for a role that no policy could hold.
        """
        for role in roles:
            check_row(AppRoleRow(id="asked", resource="asked", value=role))
        # As scopes they stand in the OpenAPI document, where each operation lists the roles it needs (3.1 §4.8.30).
        return Security(Requires(self.gate, roles, believe_forwarded=self._believe_forwarded), scopes=roles)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Close the gate when the application ends. Combine it with a lifespan of your own by entering both.

        Raises:
            RouteUnreadable: at the start, where a route may stand open against its author's will.
        """
        try:
            _check_routes(app.routes)
            yield
        finally:
            await anyio.to_thread.run_sync(self.gate.close)


def _check_routes(routes: Sequence[BaseRoute]) -> None:
    for route in iter_route_contexts(routes):
        _check_routes(getattr(route, "routes", None) or ())  # a mounted application's
        for name, annotation in _unread(getattr(route, "dependant", None)):
            raise RouteUnreadable(
                f"{route.path}: FastAPI cannot read the annotation of {name!r}, {annotation.__forward_arg__!r}. "
                "What it names must stand at the top of the module, or write "
                f"`{name}: Principal = ….require(…)`, which is no annotation."
            )


def _unread(dependant: Dependant | None) -> Iterator[tuple[str, ForwardRef]]:
    """Yield the parameters, of a route and of what it depends on, whose annotation is still a text."""
    if dependant is None:
        return
    for field in dependant.query_params:
        annotation: object = field.field_info.annotation
        if isinstance(annotation, ForwardRef):
            yield field.name, annotation
    for each in dependant.dependencies:
        yield from _unread(each)
