"""Servers that are killed in the middle of an import: the same file again does what is missing, and nothing twice.

One kill on each engine; `TENANTGATE_FAULT_SCALE=1 uv run pytest tests/faults/test_imports.py` makes it twenty, and
waits for the minute of silence after the first.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.registry import audit, imports
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.import_tables import ImportJob, ImportLine
from tenantgate.registry.tables import AuditEntry, Daemon, Partner, RoleAssignment
from tests.builders import signer
from tests.faults.load import opened, wait_for
from tests.faults.process import SCALE
from tests.postgres import Postgres
from tests.servers import AUDIENCE, Prepared, Server, environment_of, prepare, running_servers

pytestmark = [pytest.mark.faults, pytest.mark.slow]
KILLS: Final = max(1, int(20 * SCALE))
LINES: Final = 300
ISSUER: Final = "https://id.hosted.example"
ENDED: Final = {"done", "interrupted"}


class World:
    """Two servers over one database, with a tenant in which every partner has daemons."""

    def __init__(self, prepared: Prepared, servers: list[Server]) -> None:
        self.prepared = prepared
        self.servers = servers
        self._first = prepared.url.startswith("postgresql")
        jwks = {"keys": [signer("ES256", "hosted").jwk(alg="ES256")]}
        self.done("/issuers", {"id": "hosted", "kind": "oidc", "issuer": ISSUER, "jwks": jwks})
        self.done("/tenants", {"id": "hosted", "issuer": "hosted", "hosted": True})

    def done(self, path: str, body: dict[str, Any]) -> None:
        """Make something."""
        answer = self.servers[0].sure(self.prepared.admin_key, "POST", path, body)
        assert answer.status_code == 201, answer.text

    def send(self, server: Server, raw: bytes) -> str:
        """Begin to import a file, as soon as that may be; return the import's id."""
        headers = {"Authorization": f"Bearer {self.prepared.admin_key}", "Content-Type": "text/csv"}
        found: list[str] = []

        def sent() -> bool:
            answer = server.client.post("/api/v1/imports", content=raw, headers=headers)
            if answer.status_code == 409:
                assert answer.json()["code"] == "import_running"
                return False
            assert answer.status_code == 202, answer.text
            found.append(answer.json()["id"])
            return True

        wait_for(sent, 2 * imports.SILENT)
        return found[0]

    def read(self, server: Server, job: str) -> dict[str, Any]:
        """How an import is doing, as a server says."""
        found: dict[str, Any] = server.sure(self.prepared.admin_key, "GET", f"/imports/{job}").json()
        return found

    def starts_again(self, number: int) -> bool:
        """Whether this time it is the killed server that the file is sent to again."""
        return number % 4 < 2 if self._first else number % 4 > 1

    def token(self, client: str) -> str:
        """A token of one of the file's daemons."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": client, "client_id": client}
        return signer("ES256", "hosted").sign({**claims, "iat": now, "exp": now + 3_600})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """On either engine."""
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'registry.db'}"
        if request.param == "postgres":
            postgres: Postgres = request.getfixturevalue("postgres")
            name = postgres.create()
            stack.callback(postgres.drop, name)
            url = postgres.url_of(name)
        prepared = prepare(url)
        environment = environment_of(url, TENANTGATE_ADMIN_RATE="600000")
        servers = stack.enter_context(running_servers(2, environment, tmp_path))
        yield World(prepared, servers)


def a_file(name: str) -> bytes:
    """A file whose lines each make a partner with a daemon that has a role, but for every hundredth, which cannot."""
    lines = ["partner,partner_name,issuer,client_id,roles"]
    for number in range(LINES):
        role = "write" if number % 100 == 99 else "read"  # there is no such role
        lines.append(f"{name}-{number},Partner {number},hosted,{name}-{number},{role}")
    return "\n".join(lines).encode()


def test_a_killed_import_is_done_by_sending_the_file_again(world: World):
    """By the server that is left, or by the one that was killed: each line once, and the report says by which."""
    for number in range(KILLS):
        killed, other = world.servers if number % 2 else reversed(world.servers)
        name, first, told = kill_within_an_import(world, killed, other, f"of-{number}")
        assert (told["state"], told["problem"]) == ("running", None)  # nobody knows yet
        assert 2 * imports.BATCH <= told["done"] < LINES
        if SCALE < 1 or number:
            pass_a_minute(world.prepared.url, first)
        server = other
        if world.starts_again(number):
            killed.start()
            server = killed

        second = world.send(server, a_file(name))
        wait_for(lambda: world.read(server, second)["state"] in ENDED)  # noqa: B023

        assert world.read(other, first)["state"] == "interrupted"
        assert world.read(other, second)["state"] == "done"
        with opened(world.prepared.url) as engine, reading(engine) as session:
            assert_each_line_was_done_once(session, name, first, second)
            assert audit.verify_chain(session).sound
        for line in (0, LINES // 2, LINES - 2):
            wait_for(lambda: server.allows(world.token(f"{name}-{line}")) is True)  # noqa: B023
        assert server.allows(world.token(f"{name}-99")) is False
        if server is other and number + 1 < KILLS:
            killed.start()


def kill_within_an_import(world: World, killed: Server, other: Server, of: str) -> tuple[str, str, dict[str, Any]]:
    """Send a file and kill the server that works on it; return the file's name, the import, and what is told of it.

    Where the machine stood still until all lines were done, another file is sent.
    """
    for attempt in range(10):
        name = f"{of}-{attempt}"
        job = world.send(killed, a_file(name))
        kill_within_a_batch(world, killed, job)
        told = world.read(other, job)
        if told["done"] < LINES:
            return name, job, told
        killed.start()
    raise AssertionError("no server could be killed in the middle of an import")


def kill_within_a_batch(world: World, server: Server, job: str) -> None:
    """At any moment between two commits: a batch takes as long as the one before it took."""
    wait_for(lambda: world.read(server, job)["done"] >= imports.BATCH)
    begun = time.monotonic()
    wait_for(lambda: world.read(server, job)["done"] >= 2 * imports.BATCH)
    time.sleep(random.random() * min(time.monotonic() - begun, 0.2))
    server.kill()


def pass_a_minute(url: str, job: str) -> None:
    """Have nothing been heard of an import for a minute: its process is gone, and will write nothing any more."""
    with opened(url) as engine, writing(engine) as session:
        session.execute(
            sa.update(ImportJob).where(col(ImportJob.id) == job).values(seen_at=ImportJob.seen_at - imports.SILENT)
        )


def assert_each_line_was_done_once(session: Session, name: str, first: str, second: str) -> None:
    """What the first run reported is there and was not made again; what it did not report was made by the second."""
    before, after = report(session, first), report(session, second)
    numbers = list(range(2, LINES + 2))
    assert list(after) == numbers
    assert list(before) == numbers[: len(before)]
    assert len(before) == imports.get(session, first).done
    for line, outcome in after.items():
        if (line - 2) % 100 == 99:
            assert outcome == "refused"
            assert before.get(line, "refused") == "refused"
        else:
            assert (before.get(line), outcome) in {("created", "exists"), (None, "created")}

    wanted = {f"{name}-{number}" for number in range(LINES) if number % 100 != 99}
    assert {id_ for id_ in session.exec(select(Partner.id)).all() if id_.startswith(f"{name}-")} == wanted
    clients = Counter(id_ for id_ in session.exec(select(Daemon.client_id)).all() if id_.startswith(f"{name}-"))
    assert clients == Counter(wanted)
    held = sa.select(Daemon.client_id).join(RoleAssignment, col(RoleAssignment.daemon) == col(Daemon.id))
    roles = Counter(id_ for id_ in session.execute(held).scalars() if id_.startswith(f"{name}-"))
    assert roles == Counter(wanted)
    made = select(AuditEntry.row_id, AuditEntry.request_id).where(AuditEntry.action == "partner.created")
    entries = [(row, run) for row, run in session.exec(made).all() if row.startswith(f"{name}-")]
    by = {first: {row for row, run in entries if run == first}, second: {row for row, run in entries if run == second}}
    assert len(entries) == len(wanted)
    assert by[first] == {f"{name}-{line - 2}" for line, outcome in before.items() if outcome == "created"}
    assert by[second] == {f"{name}-{line - 2}" for line, outcome in after.items() if outcome == "created"}


def report(session: Session, job: str) -> dict[int, str]:
    """What came of each line of a run."""
    query = select(ImportLine).where(ImportLine.job == job).order_by(col(ImportLine.line))
    return {each.line: each.outcome for each in session.exec(query).all()}
