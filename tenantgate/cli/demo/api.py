"""The demo's orders API: a FastAPI application that embeds the gate, as any publisher's would.

A program of its own (`python -m tenantgate.cli.demo.api DATABASE_URL`); prints one JSON line when it listens.
"""

# No `from __future__ import annotations` here: FastAPI reads the routes' annotations, which name local values.
import sys
from typing import Annotated

from fastapi import FastAPI

from tenantgate import Principal, open_gate
from tenantgate.cli.demo import world
from tenantgate.cli.serving import serve
from tenantgate.discovery.limits import KeyLimits
from tenantgate.integrations.fastapi import FastAPIGate


def build_api(database_url: str) -> FastAPI:
    """Return the API over a gate that follows `database_url`."""
    limits = KeyLimits(cooldown=world.KEY_COOLDOWN)
    gate = open_gate(database_url, resource="orders", key_limits=limits)
    orders = FastAPIGate(gate)
    app = FastAPI(title="Orders", lifespan=orders.lifespan)
    reader = orders.require("Orders.Read")
    writer = orders.require("Orders.Write")

    @app.get("/orders")
    async def list_orders(caller: Annotated[Principal, reader]) -> dict[str, object]:
        """List the caller's orders."""
        return {"partner": caller.partner, "roles": caller.roles, "orders": [{"number": 1001, "state": "shipped"}]}

    @app.post("/orders", status_code=201)
    async def place_order(caller: Annotated[Principal, writer]) -> dict[str, object]:
        """Place an order for the caller."""
        return {"partner": caller.partner, "number": 1002}

    return app


if __name__ == "__main__":
    serve(build_api(sys.argv[1]), "127.0.0.1", 0)
