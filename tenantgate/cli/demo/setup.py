"""The demo's beginning: a fresh database, three programs, two partners (one by REST, one by the page's own form)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Final

from tenantgate.cli.demo import world
from tenantgate.cli.demo.client import bearer, call
from tenantgate.cli.demo.processes import DemoError, program
from tenantgate.registry import operators, sessions
from tenantgate.registry.engine import open_engine
from tenantgate.registry.ids import random_ids
from tenantgate.registry.migrations import migrate
from tenantgate.registry.operators import KeySpec, OperatorSpec
from tenantgate.registry.unit_of_work import Actor, unit_of_work
from tenantgate.web.links import sign_in_address

_DAY: Final = 86_400
_CSRF: Final = re.compile(r'name="csrf" value="([0-9a-f]+)"')


@dataclass(frozen=True, slots=True)
class Running:
    """The demo's programs, as addresses, and the key that administers."""

    folder: Path
    database_url: str
    authority: str
    server: str
    api: str
    admin_key: str

    def administer(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API. Raises DemoError where it refuses."""
        return administer(self.server, self.admin_key, method, path, body)

    def suspend_partner(self, id_: str) -> None:
        """Suspend a partner through the server."""
        self.administer("POST", f"/partners/{id_}/suspend")

    def sign_in_link(self) -> str:
        """Make a fresh link to the page (10 minutes, once)."""
        with _work(self.database_url) as work:
            link = sessions.create_link(work, "demo-admin", random_bytes=secrets.token_bytes)
        return sign_in_address(self.server, link.code)


@contextlib.contextmanager
def running_demo(folder: Path) -> Iterator[Running]:
    """Run everything for the length of the block. Raises DemoError."""
    database_url = f"sqlite:///{folder}/tenantgate.db"
    migrate(database_url, epoch=f"demo-{secrets.token_hex(8)}")
    admin_key = _first_operator(database_url)
    config = folder / "authority.json"
    config.write_text(json.dumps(world.authority_config(), indent=2))
    with contextlib.ExitStack() as programs:
        authority = programs.enter_context(
            program("authority", ["tenantgate.emulator", "--config", str(config)], folder, os.environ)
        )["authority"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
        serve = ["tenantgate", "serve", "--bind", "127.0.0.1:0", "--database", database_url, "--resource", "orders"]
        server = programs.enter_context(program("server", serve, folder, environment))["listening"]
        _define_api(server, admin_key, authority)
        api = programs.enter_context(program("api", ["tenantgate.cli.demo.api", database_url], folder, environment))
        _onboard_by_rest(server, admin_key)
        _onboard_by_page(server, admin_key)
        running = Running(folder, database_url, authority, server, api["listening"], admin_key)
        wait_for_gates(running)
        yield running


@contextlib.contextmanager
def _work(database_url: str) -> Iterator[Any]:
    actor = Actor("demo", "cli", "local")
    engine = open_engine(database_url, create=False)
    try:
        with unit_of_work(engine, actor=actor, now=int(time.time()), new_id=random_ids(secrets.token_bytes)) as work:
            yield work
    finally:
        engine.dispose()


def _first_operator(database_url: str) -> str:
    with _work(database_url) as work:
        operator = operators.create(work, OperatorSpec(id="demo-admin", name="Demo administrator", role="Admin"))
        spec = KeySpec(operator=operator.id, name="demo", expires_at=work.now + _DAY)
        return str(operators.create_key(work, spec, random_bytes=secrets.token_bytes).value)


def administer(server: str, admin_key: str, method: str, path: str, body: Any = None) -> Any:
    """Call the REST API of `server`. Raises DemoError where it refuses."""
    reply = call(method, f"{server}/api/v1{path}", headers=bearer(admin_key), body=body)
    if reply.status >= 400:
        raise DemoError(f"{method} {path}: {reply.status} {reply.body.decode(errors='replace')[:300]}")
    return reply.json()


def _define_api(server: str, admin_key: str, authority: str) -> None:
    """Say whom the API trusts to sign, and which roles it knows."""
    issuer = {
        "id": "demo-cloud",
        "kind": "entra",
        "authority": authority,
        "v1_issuer": f"{authority}/sts/{{tenantid}}/",
        "insecure_allow_http": True,
    }
    audiences = [world.API_CLIENT_ID, world.APP_ID_URI]
    administer(server, admin_key, "POST", "/issuers", issuer)
    administer(server, admin_key, "POST", "/resources", {"id": "orders", "audiences": audiences, "show_reasons": True})
    for value in ("Orders.Read", "Orders.Write"):
        role = {"id": value.lower().replace(".", "-"), "resource": "orders", "value": value}
        administer(server, admin_key, "POST", "/app-roles", role)


def _onboard_by_rest(server: str, admin_key: str) -> None:
    acme, daemon = world.ACME, world.ACME_SYNC
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/partners", {"id": acme.slug, "name": acme.name}),
        ("/tenants", {"id": "acme-tenant", "issuer": "demo-cloud", "partner": acme.slug, "tid": acme.tid}),
        (
            "/daemons",
            {"id": "acme-sync", "tenant": "acme-tenant", "client_id": daemon.client_id, "oid": daemon.oid},
        ),
        ("/role-assignments", {"app_role": "orders-read", "daemon": "acme-sync", "reason": "nightly synchronisation"}),
    )
    for path, body in steps:
        administer(server, admin_key, "POST", path, body)


def _onboard_by_page(server: str, admin_key: str) -> None:
    """Sign in and post the page's form, as a browser would."""
    origin = {"Origin": server}
    signed_in = call("POST", f"{server}/sign-in", headers=origin, form={"key": admin_key})
    cookies = SimpleCookie(signed_in.headers.get("set-cookie", ""))
    headers = {**origin, "Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())}
    found = _CSRF.search(call("GET", f"{server}/onboard", headers=headers).body.decode())
    if signed_in.status != 303 or found is None:
        raise DemoError(f"the page did not let the demo sign in ({signed_in.status})")
    form = {
        "csrf": found[1],
        "name": world.GLOBEX.name,
        "id": world.GLOBEX.slug,
        "issuer": "demo-cloud",
        "tid": world.GLOBEX.tid,
        "client_id": world.GLOBEX_SYNC.client_id,
        "oid": world.GLOBEX_SYNC.oid,
        "roles": ["orders-read"],
        "reason": "orders by the hour",
    }
    posted = call("POST", f"{server}/onboard", headers=headers, form=form)
    if posted.status != 303:
        raise DemoError(f"the page refused the onboarding form ({posted.status})")


def wait_for_gates(running: Running) -> None:
    """Wait until both gates (the API's and the server's own) say that they enforce what was just written."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        policy = running.administer("GET", "/policy")
        behind = [each for each in policy["instances"] if each["acknowledged_revision"] != policy["revision"]]
        if len(policy["instances"]) >= 2 and not behind:
            return
        time.sleep(0.005)
    raise DemoError("a gate did not take over the policy within 10 s")
