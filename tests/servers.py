"""Real `tenantgate serve` processes over one database, with partners whose keys are in the policy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from httpx2 import Client, HTTPError, Response

from tenantgate.registry import app_roles, assignments, daemons, issuers, operators, partners, resources, tenants
from tenantgate.registry.app_roles import AppRoleSpec
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.daemons import DaemonSpec
from tenantgate.registry.engine import open_engine
from tenantgate.registry.issuers import IssuerSpec
from tenantgate.registry.migrations import migrate
from tenantgate.registry.operators import KeySpec, OperatorSpec
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.resources import ResourceSpec
from tenantgate.registry.tenants import TenantSpec
from tenantgate.registry.unit_of_work import Actor, unit_of_work
from tests.builders import signer
from tests.real_parts import ROOT
from tests.registry.builders import counting_bytes, counting_ids

AUDIENCE: Final = "api://orders.example"
MASTER_KEY: Final = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
"""Bytes 0 to 31: for tests alone."""
PUBLIC_URL: Final = "http://127.0.0.1:8440"
"""What people would call the load balancer in front of the servers."""
_STARTING: Final = 60.0
_SURE: Final = 60.0
_PASSING: Final = frozenset(("database_busy", "database_unavailable"))
"""What a machine that stands still for seconds makes of a sound database."""


@dataclass(frozen=True)
class Prepared:
    """A registry with an operator and some partners, each with one daemon that may read orders."""

    url: str
    admin_key: str

    def token(self, partner: str, client_id: str = "sync") -> str:
        """Return a token of a partner's daemon, good for two hours; of any other than `sync` nobody has heard."""
        now = int(time.time())
        claims = {"iss": f"https://id.{partner}.example", "aud": AUDIENCE, "sub": client_id, "client_id": client_id}
        return signer("ES256", partner).sign({**claims, "iat": now, "exp": now + 7_200})


def prepare(url: str, names: tuple[str, ...] = ("contoso", "fabrikam")) -> Prepared:
    """Migrate a database and fill it."""
    now = int(time.time())
    migrate(url, epoch="epoch-of-servers")
    engine = open_engine(url)
    with unit_of_work(engine, actor=Actor("setup", "cli", "local"), now=now, new_id=counting_ids(31)) as work:
        resources.create(work, ResourceSpec(id="orders", audiences=(AUDIENCE,)))
        app_roles.create(work, AppRoleSpec(id="read", resource="orders", value="Orders.Read"))
        for name in names:
            jwks = {"keys": [signer("ES256", name).jwk(alg="ES256")]}
            issuers.create(work, IssuerSpec(id=name, kind="oidc", issuer=f"https://id.{name}.example", jwks=jwks))
            partners.create(work, PartnerSpec(id=name, name=name.capitalize()))
            tenants.create(work, TenantSpec(id=name, issuer=name, partner=name))
            daemons.create(work, DaemonSpec(id=name, tenant=name, client_id="sync"))
            assignments.grant(work, AssignmentSpec(id=name, app_role="read", daemon=name))
        operators.create(work, OperatorSpec(id="adm", name="Adm", role="Admin"))
        spec = KeySpec(operator="adm", name="tests", expires_at=now + 86_400)
        key = operators.create_key(work, spec, random_bytes=counting_bytes(32))
    engine.dispose()
    return Prepared(url, key.value)


def environment_of(url: str, **more: str) -> dict[str, str]:
    """Return the environment of a server over this database; of the settings around us none is taken over."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
    settings = {
        "TENANTGATE_DATABASE_URL": url,
        "TENANTGATE_RESOURCE": "orders",
        "TENANTGATE_BIND": "127.0.0.1:0",
        "TENANTGATE_PUBLIC_URL": PUBLIC_URL,
        "TENANTGATE_MASTER_KEY": MASTER_KEY,
    }
    return {**kept, "PYTHONPATH": str(ROOT), **settings, **more}


class Server:
    """A server process. `stop` and `kill` end it; `start` runs it again, at another port.

    `before` stands before its command. Where `ready` is not set it counts as started without a policy, too.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        python: str = sys.executable,
        before: tuple[str, ...] = (),
        *,
        ready: bool = True,
    ) -> None:
        self._ready = ready
        self._environment = dict(environment)
        self._folder = folder
        self._command = [*before, python, "-m", "tenantgate", "serve"]
        self.log = folder / f"server-{id(self):x}.log"
        self.start()

    def start(self) -> None:
        """Run it, until it says that it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.address: str = json.loads(line)["listening"]
        self.client = Client(base_url=self.address, timeout=20, trust_env=False)
        end = time.monotonic() + _STARTING
        while self._ready and not self.is_ready():
            if time.monotonic() > end:
                self.stop()
                raise AssertionError(self.log.read_text())
            time.sleep(0.02)

    def is_ready(self) -> bool:
        """Whether its gate has a policy."""
        return self.client.get("/health/ready").status_code == 200

    def kill(self, how: int = signal.SIGKILL) -> None:
        """End it, at once unless another signal says how."""
        self.process.send_signal(how)
        self.process.wait(30)
        self.client.close()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def stop(self) -> None:
        """End it in order, if it runs."""
        if self.process.poll() is None:
            self.kill(signal.SIGTERM)

    def sure(self, key: str, method: str, path: str, body: Any = None) -> Response:
        """Call the REST API outside of any fault: again, where this machine kept the database from answering in time.

        A change is made once all the same, by an Idempotency-Key; so not where there is none (`/imports`).
        """
        once = f'"{uuid4()}"' if method == "POST" else None
        end = time.monotonic() + _SURE
        while True:
            answer = self.rest(key, method, path, body, once)
            if answer.status_code != 503 or answer.json()["code"] not in _PASSING or time.monotonic() > end:
                return answer
            time.sleep(0.1)

    def rest(self, key: str, method: str, path: str, body: Any = None, once: str | None = None) -> Response:
        """Call the REST API. `once`: the Idempotency-Key."""
        content = None if method == "GET" else json.dumps(body or {})
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        if once is not None:
            headers["Idempotency-Key"] = once
        return self.client.request(method, f"/api/v1{path}", content=content, headers=headers)

    def check(self, token: str) -> Response:
        """Ask /auth/check about a token."""
        return self.client.get("/auth/check", headers={"Authorization": f"Bearer {token}"})

    def allows(self, token: str) -> bool | None:
        """Whether a token is let in; None where no answer comes."""
        try:
            return self.check(token).status_code == 200
        except HTTPError:
            return None


@contextmanager
def running_servers(
    count: int, environment: Mapping[str, str], folder: Path, before: tuple[str, ...] = ()
) -> Iterator[list[Server]]:
    """Run so many servers; `before` stands before their command."""
    servers: list[Server] = []
    try:
        for _ in range(count):
            servers.append(Server(environment, folder, before=before))
        yield servers
    finally:
        for server in servers:
            server.stop()


def tenantgate(environment: Mapping[str, str], folder: Path, *words: str, status: int = 0) -> str:
    """Run a command; return what it prints on standard output, or on standard error where it is to fail."""
    command = [sys.executable, "-m", "tenantgate", *words]
    done = subprocess.run(
        command, env=dict(environment), cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == status, (words, done.stdout, done.stderr)
    return done.stderr if status else done.stdout
