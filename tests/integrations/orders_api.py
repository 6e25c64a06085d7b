"""The embedding of the README, as an application writes it, in a module with postponed annotations."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI

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
