"""Decisions under faults: a killed server loses its last second of counts, a hung database none, neither a change."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tenantgate.feed.sink import GRANTED
from tenantgate.registry import audit, decisions, partners
from tenantgate.registry.decisions import DAY
from tenantgate.registry.engine import reading
from tests.faults.load import opened, wait_for
from tests.postgres import Postgres, running_postgres
from tests.servers import Prepared, Server, environment_of, prepare, running_servers

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@dataclass
class World:
    """One server over one database; `postgres` where that is its engine."""

    prepared: Prepared
    server: Server
    postgres: Postgres | None = None

    def counted(self, outcome: str = GRANTED) -> int:
        """How many decisions of this outcome are in the database."""
        now = int(time.time())
        with opened(self.prepared.url) as engine, reading(engine) as session:
            found = decisions.counts(session, by="outcome", since=now - DAY, until=now + 3600)
            return sum(each.count for each in found if each.value == outcome)

    def call(self, number: int, partner: str = "contoso") -> None:
        """Ask so many times."""
        token = self.prepared.token(partner)
        for _ in range(number):
            assert self.server.check(token).status_code == 200


@contextmanager
def over(url: str, folder: Path, postgres: Postgres | None = None) -> Iterator[World]:
    prepared = prepare(url)
    with running_servers(1, environment_of(url, TENANTGATE_STATE_DIR=str(folder / "state")), folder) as [server]:
        yield World(prepared, server, postgres)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """One server, on either engine."""
    if request.param == "sqlite":
        with over(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path) as world:
            yield world
        return
    with running_postgres() as postgres:
        postgres.run("CREATE DATABASE registry")
        with over(postgres.url_of("registry"), tmp_path, postgres) as world:
            yield world


def test_a_killed_server_loses_its_last_second_and_no_change(world: World):
    """What was handed over is there to the last one, what was not is lost, and nothing is counted twice."""
    world.call(50)
    wait_for(lambda: world.counted() == 50)
    answer = world.server.sure(world.prepared.admin_key, "POST", "/partners/fabrikam/suspend")
    assert answer.status_code == 200
    world.call(20)
    world.server.kill()

    assert 50 <= world.counted() <= 70
    with opened(world.prepared.url) as engine, reading(engine) as session:
        assert partners.get(session, "fabrikam").state == "suspended"
        assert audit.verify_chain(session).sound
    before = world.counted()
    world.server.start()
    world.call(5)
    wait_for(lambda: world.counted() == before + 5)


def test_a_server_that_ends_in_order_loses_none(world: World):
    """The last counts are handed over before it goes."""
    world.call(30)
    world.server.kill(signal.SIGTERM)

    assert world.counted() == 30


def test_a_database_that_hangs_costs_no_count(tmp_path: Path):
    """Validation goes on meanwhile; a commit that hung in the middle may be counted twice, never left out."""
    with running_postgres() as postgres:
        postgres.run("CREATE DATABASE registry")
        with over(postgres.url_of("registry"), tmp_path, postgres) as world:
            world.call(10)
            wait_for(lambda: world.counted() == 10)
            with postgres.hung():
                world.call(40)
                time.sleep(4)
                world.call(40)
            wait_for(lambda: world.counted() >= 90)
            assert world.counted() <= 130
