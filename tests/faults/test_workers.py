"""Workers of an API that are killed under load, or frozen: who enforces what is acknowledged, and what is said of it.

Two kills, in two worlds, and silence that is written into the database; `TENANTGATE_FAULT_SCALE=1 uv run pytest
tests/faults/test_workers.py` makes it twenty, in all four, and waits for the silence.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest
from httpx2 import Client
from sqlalchemy.engine import Engine

from tenantgate import Denied, Granted, RequestView, open_gate
from tenantgate.registry import decisions, sessions
from tenantgate.registry.decisions import DAY
from tenantgate.registry.enforcement import SILENT
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.ids import random_ids
from tenantgate.registry.instances import HEARD_OF
from tenantgate.registry.tables import Instance
from tenantgate.registry.unit_of_work import Actor, unit_of_work
from tests.faults.load import Load, assert_nobody_noticed, assert_nothing_was_lost, opened, wait_for
from tests.faults.process import SCALE
from tests.faults.workers import CHANGING, MARKING, WELCOME, Callers, Workers
from tests.postgres import Postgres
from tests.servers import Prepared, Server, environment_of, prepare, running_servers
from tests.web.world import Page

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="children are read from /proc"),
]
KILLS: Final = max(2, int(20 * SCALE))
SOMEBODY: Final = Actor("adm", "cli", "local")
PARTNERS: Final = ("contoso", "fabrikam", WELCOME, CHANGING, MARKING)


class World:
    """An admin server, and workers that follow the same database."""

    def __init__(self, prepared: Prepared, server: Server, workers: Workers, engine: Engine) -> None:
        self.prepared = prepared
        self.server = server
        self.workers = workers
        self.engine = engine

    def change(self, what: str) -> int:
        """Suspend or activate the changing partner; return the revision that was acknowledged."""
        answer = self.server.sure(self.prepared.admin_key, "POST", f"/partners/{CHANGING}/{what}")
        assert answer.status_code == 200, answer.text
        return int(answer.headers["X-TG-Revision"])

    @contextmanager
    def browser(self) -> Iterator[Client]:
        """Somebody who is signed in to the page."""
        now = int(time.time())
        with unit_of_work(self.engine, actor=SOMEBODY, now=now, new_id=random_ids(os.urandom)) as work:
            code = sessions.create_link(work, "adm", random_bytes=os.urandom).code
        with Client(base_url=self.server.address, timeout=20, trust_env=False) as client:
            headers = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
            answer = client.post("/sign-in", data={"code": code}, headers=headers)
            assert answer.status_code == 303, answer.text
            yield client

    def suspend_while_frozen(self, worker: int) -> int:
        """SIGSTOP a worker, then suspend the changing partner; return the revision."""
        while True:
            os.kill(worker, signal.SIGSTOP)
            answer = self.server.rest(self.prepared.admin_key, "POST", f"/partners/{CHANGING}/suspend")
            if answer.status_code == 200:
                return int(answer.headers["X-TG-Revision"])
            # It was in the middle of writing, and has the lock; PostgreSQL may take longer to say so than we wait.
            assert answer.json()["code"] in {"database_busy", "database_unavailable"}, answer.text
            os.kill(worker, signal.SIGCONT)

    def instance(self, worker: int) -> str:
        """The name under which a worker is known."""
        return {_pid(each): str(each["id"]) for each in self._instances()}[worker]

    def enforced(self, revision: int) -> bool:
        """Whether all say so. Who is there is asked last: who comes later comes from one that said so."""
        said = {_pid(each): each["acknowledged_revision"] or 0 for each in self._instances()}
        return all(said.get(pid, 0) >= revision for pid in self.workers.enforcing())

    def _instances(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.sure(self.prepared.admin_key, "GET", "/policy").json()["instances"]
        return [each for each in found if each["kind"] == "embedded"]

    def counted(self, *partners: str) -> int:
        """How many decisions about these partners are in the database."""
        now = int(time.time())
        with reading(self.engine) as session:
            found = decisions.counts(session, by="tenant", since=now - DAY, until=now + 3600)
            return sum(each.count for each in found if each.value in partners)

    def settle(self, callers: Callers) -> int:
        """Wait until all that was decided by those who live is handed over; how many that are by now."""
        callers.mark()
        wait_for(lambda: self.counted(MARKING) == callers.marked)
        return self.counted(WELCOME, CHANGING)


def _pid(instance: dict[str, Any]) -> int:
    return int(instance["id"].split("-")[-2])


POSTGRES: Final = pytest.mark.postgres
WORLDS: Final = [
    pytest.param((True, "sqlite"), id="preloaded-sqlite"),
    pytest.param((False, "postgres"), marks=POSTGRES, id="each for itself-postgres"),
    *([pytest.param((False, "sqlite"), id="each for itself-sqlite")] if SCALE >= 1 else []),
    *([pytest.param((True, "postgres"), marks=POSTGRES, id="preloaded-postgres")] if SCALE >= 1 else []),
]
"""Workers that are forked with a gate, and workers that open one each; and the engine."""


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A registry with five partners, and who follows it."""
    preload, engine = request.param
    tmp_path = tmp_path_factory.mktemp("workers")
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'registry.db'}"
        if engine == "postgres":
            postgres: Postgres = request.getfixturevalue("postgres")
            name = postgres.create()
            stack.callback(postgres.drop, name)
            url = postgres.url_of(name)
        prepared = prepare(url, PARTNERS)
        environment = environment_of(url, TENANTGATE_ADMIN_RATE="600000")
        (tmp_path / "api").mkdir()
        workers = Workers(url, tmp_path / "api", preload=preload)
        stack.callback(workers.stop)
        [server] = stack.enter_context(running_servers(1, environment, tmp_path))
        wait_for(lambda: workers.ask("none") is not None)
        yield World(prepared, server, workers, stack.enter_context(opened(url)))


def proof(browser: Client) -> str:
    """What the page says of who enforces the newest revision."""
    answer = browser.get("/enforcement")
    assert answer.status_code == 200, answer.text
    return " ".join(Page(answer).one("div", id="enforcement").text.split())


def be_silent(world: World, instance: str, seconds: int) -> None:
    """Have nothing been heard of a frozen process for so long. In the long form that comes by itself."""
    if SCALE < 1:
        with writing(world.engine) as session:
            session.get_one(Instance, instance).seen_at = int(time.time()) - seconds


def test_a_frozen_worker_counts_for_nothing_until_it_goes_on(world: World):
    """SIGSTOP: the proof names it, first as behind, then as silent, then as gone; SIGCONT: all enforce it."""
    everybody = len(world.workers.enforcing()) + 1
    frozen = min(world.workers.pids())
    with world.browser() as browser:
        wait_for(lambda: proof(browser).startswith(f"{everybody} of {everybody} instances enforce revision "))
        name = world.instance(frozen)
        try:
            revision = world.suspend_while_frozen(frozen)
            others = f"{everybody - 1} of {everybody} instances enforce revision {revision}"
            wait_for(lambda: proof(browser).startswith(others))
            assert f" {name} still enforces revision {revision - 1}" in proof(browser)
            be_silent(world, name, SILENT + 1)
            wait_for(lambda: f" {name} is silent for " in proof(browser), 2 * SILENT)
            assert proof(browser).startswith(others)
            be_silent(world, name, HEARD_OF + 1)
            wait_for(lambda: f"Gone without a word in the last day: {name} (silent for " in proof(browser), HEARD_OF)
            assert proof(browser).startswith(f"{everybody - 1} of {everybody - 1} instances enforce")
        finally:
            os.kill(frozen, signal.SIGCONT)
        wait_for(lambda: proof(browser).startswith(f"{everybody} of {everybody} instances enforce revision {revision}"))
        assert name not in proof(browser)
    answers = answers_of_all(world.workers, world.prepared.token(CHANGING))
    assert answers == {pid: {403} for pid in world.workers.pids()}
    world.change("activate")


def answers_of_all(workers: Workers, token: str) -> dict[int, set[int]]:
    """Ask until each worker has answered three times; return the statuses by worker."""
    found: dict[int, list[int]] = {pid: [] for pid in workers.pids()}

    def all_answered() -> bool:
        answer = workers.ask(token)
        assert answer is not None
        found[answer[1]].append(answer[0])
        return min(map(len, found.values())) >= 3

    wait_for(all_answered)
    return {pid: set(statuses) for pid, statuses in found.items()}


def test_killed_workers_are_replaced_by_ones_that_enforce(world: World):
    """No suspension that all have acknowledged is forgotten by a newborn one, and no count but a killed one's last."""
    callers = Callers(world.workers, world.prepared)
    with Load([world.server], world.prepared, writers=1, callers=1) as load:
        before = world.settle(callers)
        for number in range(KILLS):
            with callers.calling():
                wait_for(lambda: all(callers.answered[pid] > 3 for pid in world.workers.pids()))
                victim = min(world.workers.pids()) if number % 2 else max(world.workers.pids())
                kill_and_suspend(world, callers, victim, suspended_before=bool(number % 2))
                wait_for(lambda: all(callers.refused[pid] > 3 for pid in world.workers.pids()))
            after = world.settle(callers)
            assert callers.answered.total() - callers.answered[victim] <= after - before
            assert after - before <= callers.answered.total() + callers.unanswered
            before = after
            if number + 1 < KILLS:
                world.change("activate")
        load.stop()

    assert callers.wrong_yes == []
    assert callers.wrong == {}
    assert_nobody_noticed(load)
    assert_nothing_was_lost(load, world.prepared.url)
    assert_what_was_kept_is_enforced(world)


def kill_and_suspend(world: World, callers: Callers, victim: int, *, suspended_before: bool) -> None:
    """Do both, in either order, and wait until all who are there then say that they enforce it."""
    if not suspended_before:
        os.kill(victim, signal.SIGKILL)
    revision = world.change("suspend")
    if suspended_before:
        wait_for(lambda: world.enforced(revision))
        callers.bar()
        os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(world.workers.pids() - {victim}) == world.workers.count and world.enforced(revision))
    callers.bar()


def assert_what_was_kept_is_enforced(world: World) -> None:
    """All of them killed and the database gone: what they kept on disk knows of the suspension."""
    world.workers.kill()
    gate = open_gate("sqlite:///gone/registry.db", resource="orders", state_dir=world.workers.state)
    try:
        found = {
            partner: gate.decide(
                RequestView("GET", "/", [(b"authorization", f"Bearer {world.prepared.token(partner)}".encode())])
            )
            for partner in (WELCOME, CHANGING)
        }
    finally:
        gate.close()
    assert isinstance(found[WELCOME], Granted)
    assert isinstance(found[CHANGING], Denied)
