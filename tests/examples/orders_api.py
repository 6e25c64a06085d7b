"""The API the partner's examples call: a real gate over a policy file, in a real server on loopback."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import FastAPI

from tenantgate import Principal, open_gate
from tenantgate.integrations.fastapi import FastAPIGate

POLICY = """
version = 1

[[issuers]]
id = "cloud"
kind = "entra"
authority = "{authority}"
metadata_url = "{metadata}"
insecure_allow_http = true

[[resources]]
id = "orders"
audiences = ["{audience}"]

[[app_roles]]
id = "orders-read"
resource = "orders"
value = "Orders.Read"

[[partners]]
id = "contractor"
name = "A partner of the tests"

[[tenants]]
id = "contractor-tenant"
issuer = "cloud"
partner = "contractor"
tid = "{tid}"
"""
DAEMON = '\n[[daemons]]\nid = "{id}"\ntenant = "contractor-tenant"\nclient_id = "{client_id}"\n'
ROLE = '\n[[role_assignments]]\nid = "{id}-reads"\napp_role = "orders-read"\ndaemon = "{id}"\n'


@dataclass(frozen=True)
class Listed:
    """What the policy says: the tenant, its daemons with the role, and those without."""

    authority: str
    audience: str
    tid: str
    readers: tuple[str, ...]
    roleless: tuple[str, ...]

    def policy(self, *, reachable: bool = True) -> str:
        """Return the policy file; an authority that is not reachable leaves the gate without keys."""
        authority = self.authority if reachable else "http://127.0.0.1:1"
        metadata = f"{authority}/organizations/v2.0/.well-known/openid-configuration"
        text = POLICY.format(authority=self.authority, metadata=metadata, audience=self.audience, tid=self.tid)
        for place, client_id in enumerate((*self.readers, *self.roleless)):
            text += DAEMON.format(id=f"daemon-{place}", client_id=client_id)
            text += ROLE.format(id=f"daemon-{place}") if client_id in self.readers else ""
        return text


@contextlib.contextmanager
def serving_api(policy: Path) -> Iterator[str]:
    """Serve the API over `policy`; yields the address to call."""
    gate = open_gate(policy, resource="orders")
    orders = FastAPIGate(gate)
    app = FastAPI(lifespan=orders.lifespan)
    reader = orders.require("Orders.Read")

    @app.get("/orders")
    async def list_orders(caller: Annotated[Principal, reader]) -> dict[str, object]:
        assert caller.partner == "contractor"
        return {"orders": [7]}

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started and thread.is_alive() and time.monotonic() < deadline:
                thread.join(0.01)
            assert server.started
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/orders"
        finally:
            server.should_exit = True
            thread.join(20)
