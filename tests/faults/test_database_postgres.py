"""Faults of PostgreSQL under two servers with writers and callers: what was acknowledged is there, and all heals.

A fault lasts two seconds; `TENANTGATE_FAULT_SCALE=1 uv run pytest tests/faults` gives each of them forty.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tenantgate.registry.engines.postgres import DEADLINE
from tests.faults.load import (
    HOLD,
    LONGEST,
    OPENS,
    Load,
    assert_nobody_noticed,
    assert_nothing_was_lost,
    assert_refusals_say_why,
    wait_for,
)
from tests.faults.process import SCALE
from tests.gate.world import eventually
from tests.postgres import Postgres, running_postgres
from tests.servers import Prepared, Server, environment_of, prepare, running_servers, tenantgate

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.skipif(sys.platform != "linux", reason="children are read from /proc"),
]
KILLS: Final = max(3, int(60 * SCALE))
AWAY: Final = {"database_unavailable", "database_busy"}


class World:
    """A server of PostgreSQL's own, two of ours over it, and a registry."""

    def __init__(self, postgres: Postgres, name: str, prepared: Prepared, servers: list[Server]) -> None:
        self.postgres = postgres
        self.name = name
        self.prepared = prepared
        self.servers = servers


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A role that is nobody special owns the database, as it should be: it is the first to be refused a connection."""
    with running_postgres() as postgres:
        postgres.run("CREATE ROLE gate LOGIN")
        postgres.run("CREATE DATABASE registry OWNER gate")
        url = postgres.url_of("registry").replace("//postgres:@", "//gate@").replace("//postgres@", "//gate@")
        assert "//gate@" in url, url
        prepared = prepare(url)
        folder = tmp_path_factory.mktemp("servers")
        environment = environment_of(url, TENANTGATE_STATE_DIR=str(folder / "state"), TENANTGATE_ADMIN_RATE="600000")
        with running_servers(2, environment, folder) as servers:
            yield World(postgres, "registry", prepared, servers)


@contextmanager
def stopped(world: World) -> Iterator[None]:
    """An orderly stop: every connection is told."""
    world.postgres.stop()
    yield
    world.postgres.start()


@contextmanager
def crashed(world: World) -> Iterator[None]:
    """A crash: every process ends at once, and the log is played again at the start."""
    world.postgres.stop("immediate")
    yield
    world.postgres.start()


@contextmanager
def killed(world: World) -> Iterator[None]:
    """SIGKILL to the server and to everything it started."""
    pids = world.postgres.signal(signal.SIGKILL)
    wait_for(lambda: not any(_runs(pid) for pid in pids))
    yield
    world.postgres.start()


@contextmanager
def restarted(world: World) -> Iterator[None]:
    """A restart, and nothing more."""
    world.postgres.stop()
    world.postgres.start()
    yield


@contextmanager
def hung(world: World) -> Iterator[None]:
    """SIGSTOP: it acknowledges packets and answers nothing."""
    with world.postgres.hung():
        time.sleep(2 * DEADLINE)  # until the first who asked have waited long enough
        yield


@contextmanager
def read_only(world: World) -> Iterator[None]:
    """As after a failover to a server that is not the first one yet."""
    world.postgres.run(f"ALTER DATABASE {world.name} SET default_transaction_read_only = on")
    cut(world)
    yield
    world.postgres.run(f"ALTER DATABASE {world.name} RESET default_transaction_read_only")
    cut(world)


@contextmanager
def out_of_connections(world: World) -> Iterator[None]:
    """Somebody else has them all."""
    url = world.prepared.url
    with ExitStack() as others:
        until = time.monotonic() + HOLD
        first = True
        while first or time.monotonic() < until - HOLD / 2:
            try:
                others.enter_context(psycopg.connect(url))
            except psycopg.OperationalError:
                if not first:
                    time.sleep(0.05)
                    continue
                cut(world, application="tenantgate")
                first = False
        yield


@contextmanager
def history_locked(world: World) -> Iterator[None]:
    """Somebody holds the one row that every change locks."""
    with psycopg.connect(world.prepared.url) as connection:
        connection.execute("SELECT revision FROM revision FOR UPDATE")
        yield


def cut(world: World, application: str = "") -> None:
    """End connections to the database: settings are for new ones."""
    which = f"AND application_name = '{application}'" if application else "AND pid <> pg_backend_pid()"
    world.postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{world.name}' {which}")


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


FAULTS: Final[list[tuple[Callable[[World], AbstractContextManager[None]], set[str]]]] = [
    (stopped, AWAY),
    (crashed, AWAY),
    (killed, AWAY),
    (restarted, AWAY),
    (hung, AWAY),
    (read_only, {*AWAY, "database_unwritable"}),
    (out_of_connections, AWAY),
    (history_locked, AWAY),
]


@pytest.mark.parametrize(("fault", "codes"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_what_was_acknowledged_is_there_and_nobody_noticed(
    world: World, fault: Callable[[World], AbstractContextManager[None]], codes: set[str]
):
    """503 with a reason for who changes something, the same answers as before for who calls, and then all is well."""
    with Load(world.servers, world.prepared) as load:
        before = load.granted
        with fault(world):
            time.sleep(HOLD)
            if fault is not restarted:  # a change waits for its deadline before it is refused
                eventually(lambda: load.refused.total() > 0, seconds=60)
            during = load.granted - before
        seconds = load.healed()
        load.stop()
        load.told(fault.__name__, seconds)

    assert during > 0
    assert_refusals_say_why(load, codes)
    assert_nobody_noticed(load)
    assert_nothing_was_lost(load, world.prepared.url)
    assert {server.process.poll() for server in world.servers} == {None}


def test_the_page_says_that_the_database_is_away(world: World):
    """A page with 503, not a stack; and the health words: alive, and ready, since there is a policy to judge by."""
    with stopped(world):
        for server in world.servers:
            page = server.client.get("/sign-in", headers={"Cookie": "tenantgate-insecure-loopback=x"})
            assert page.status_code in {200, 503}
            answer = server.client.post(
                "/sign-in", data={"code": "A" * 43}, headers={"Origin": "null", "Sec-Fetch-Site": "same-origin"}
            )
            assert answer.status_code == 503, answer.text
            assert "text/html" in answer.headers["content-type"]
            assert "Traceback" not in answer.text
            assert server.client.get("/health/live").status_code == 200
            assert server.client.get("/health/ready").status_code == 200
    for server in world.servers:
        wait_for(lambda server=server: server.rest(world.prepared.admin_key, "GET", "/me").status_code == 200)


def test_servers_that_are_killed_lose_nothing_acknowledged(world: World):
    """One after the other, under load; the one that is left goes on, and the killed one comes back."""
    with Load(world.servers, world.prepared) as load:
        for number in range(KILLS):
            server = world.servers[number % 2]
            time.sleep(HOLD / KILLS)
            server.kill()
            assert world.servers[(number + 1) % 2].allows(world.prepared.token("contoso"))
            server.start()
        seconds = load.healed()
        load.stop()
        load.told("servers killed", seconds)

    assert load.lost > 0
    assert_refusals_say_why(load, AWAY)
    assert_nobody_noticed(load)
    assert_nothing_was_lost(load, world.prepared.url)


def test_servers_that_restart_without_their_database_judge_on(world: World):
    """By the policy they kept: the suspension of before holds, changes are refused until the database is back."""
    with Load(world.servers, world.prepared) as load:
        load.stop()
    with stopped(world):
        for server in world.servers:
            server.kill()
            server.start()
            assert server.allows(world.prepared.token("contoso")) is True
            assert server.allows(world.prepared.token("fabrikam")) is False
            answer = server.rest(world.prepared.admin_key, "POST", "/partners", {"name": "Late"})
            assert answer.status_code == 503
            assert answer.json()["code"] in AWAY
            assert answer.headers["Retry-After"]
    load.told("restarted without the database", load.healed(), OPENS)
    assert_nothing_was_lost(load, world.prepared.url)


def test_a_server_without_a_kept_policy_does_not_start_without_its_database(world: World, tmp_path: Path):
    """It says so in one line and ends; the servers that run judge on meanwhile."""
    with stopped(world):
        told = tenantgate(environment_of(world.prepared.url), tmp_path, "serve", status=2)
        assert told.startswith("database_unavailable: ")
        assert all(server.allows(world.prepared.token("contoso")) for server in world.servers)
    wait_for(
        lambda: all(server.rest(world.prepared.admin_key, "GET", "/me").status_code == 200 for server in world.servers),
        LONGEST,
    )
