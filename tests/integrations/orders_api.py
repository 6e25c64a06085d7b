"""The embedding of the README, as an application writes it, in a module with postponed annotations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI

from tenantgate import Gate, Principal
from tenantgate.integrations.fastapi import FastAPIGate
from tests.gate.world import a_gate

gate: Gate = a_gate()
orders = FastAPIGate(gate)
app = FastAPI(lifespan=orders.lifespan)


@app.get("/orders")
async def list_orders(caller: Annotated[Principal, orders.require("Orders.Read")]) -> dict[str, object]:
    """Return who is reading."""
    return {"partner": caller.partner, "roles": caller.roles}


@app.post("/orders")
async def place_order(caller: Annotated[Principal, orders.require("Orders.Read", "Orders.Write")]) -> str:
    """Return who is writing."""
    return caller.partner


@app.get("/whoami")
def whoami(caller: Annotated[Principal, orders.require()]) -> str:
    """Return the caller's client id, from a synchronous route."""
    return caller.client_id


def local_app(where: str) -> FastAPI:
    """Return an application whose requirement is local to this function, so that FastAPI cannot find it."""
    here = FastAPIGate(a_gate())
    app, router = FastAPI(lifespan=here.lifespan), APIRouter()
    inner = FastAPI()

    def depends(caller: Annotated[Principal, here.require()] = None) -> Principal:  # type: ignore[assignment]
        return caller

    async def direct(caller: Annotated[Principal, here.require()] = None) -> str:  # type: ignore[assignment]
        return "open to everybody"

    async def indirect(caller: Principal = Depends(depends)) -> str:  # noqa: B008
        return "open to everybody"

    {"app": app, "dependency": app, "router": router, "mount": inner}[where].get("/orders")(
        indirect if where == "dependency" else direct
    )
    app.include_router(router, prefix="/included")
    app.mount("/mounted", inner)
    return app
