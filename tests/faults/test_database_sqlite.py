"""Faults of SQLite and of the disk it lies on, under servers with writers and callers; and files that are damaged.

A fault lasts two seconds; `TENANTGATE_FAULT_SCALE=1 uv run pytest tests/faults` gives each of them forty.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.faults.load import (
    HOLD,
    OPENS,
    Load,
    assert_nobody_noticed,
    assert_nothing_was_lost,
    assert_refusals_say_why,
    code_of,
    wait_for,
)
from tests.faults.process import SCALE
from tests.real_parts import missing, need_binary
from tests.servers import Prepared, Server, environment_of, prepare, running_servers, tenantgate

pytestmark = [pytest.mark.faults, pytest.mark.slow]
KILLS: Final = max(3, int(60 * SCALE))


class World:
    """A database file, servers over it, and a registry."""

    def __init__(self, path: Path, logs: Path, prepared: Prepared, servers: list[Server]) -> None:
        self.path = path
        self.logs = logs
        self.prepared = prepared
        self.servers = servers


def obeying() -> tuple[str, ...]:
    """What stands before a command so that it obeys the modes of files, as root does not by itself."""
    if os.geteuid() != 0:
        return ()
    return (need_binary("setpriv"), "--bounding-set", "-dac_override,-dac_read_search")


@contextmanager
def a_world(folder: Path, logs: Path, count: int) -> Iterator[World]:
    path = folder / "registry.db"
    prepared = prepare(f"sqlite:///{path}")
    environment = environment_of(prepared.url, TENANTGATE_STATE_DIR=str(logs / "state"), TENANTGATE_ADMIN_RATE="600000")
    with running_servers(count, environment, logs, obeying()) as servers:
        yield World(path, logs, prepared, servers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("database"), tmp_path_factory.mktemp("logs"), 2) as world:
        yield world


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Another program holds the write lock for longer than anybody waits."""
    with closing(sqlite3.connect(world.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(5.5)  # as long as a writer of ours waits
        yield
        other.execute("ROLLBACK")


@contextmanager
def moved_away(world: World) -> Iterator[None]:
    """The file is not where it was; later it is."""
    away = world.path.rename(world.path.with_name("away.db"))
    yield
    away.rename(world.path)


@contextmanager
def read_only(world: World) -> Iterator[None]:
    """File and folder may not be written any more. What is open already stays writable: that is the system's rule."""
    world.path.chmod(0o400)
    world.path.parent.chmod(0o500)
    try:
        for server in world.servers:  # connections of before are gone with their process
            server.kill()
        told = tenantgate_obeying(world, "serve")
        assert told.startswith("database_unwritable: "), told
        for server in world.servers:  # by the policy in their state folder
            server.start()
        yield
    finally:
        world.path.parent.chmod(0o700)
        world.path.chmod(0o600)


def tenantgate_obeying(world: World, *words: str) -> str:
    """Run a command that obeys the modes of files, and fails; return what it says."""
    done = subprocess.run(
        [*obeying(), sys.executable, "-m", "tenantgate", *words],
        # A server that has kept a policy would start without its database, and say that its administration is closed.
        env=environment_of(world.prepared.url, TENANTGATE_STATE_DIR=str(world.logs / "no policy was kept here")),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stdout
    return done.stderr


@pytest.mark.parametrize(
    ("fault", "codes"),
    [(locked, {"database_busy"}), (moved_away, {"database_busy", "database_missing", "database_unavailable"})],
    ids=["locked", "moved away"],
)
def test_what_was_acknowledged_is_there_and_nobody_noticed(
    world: World, fault: Callable[[World], AbstractContextManager[None]], codes: set[str]
):
    """503 with a reason for who changes something, the same answers as before for who calls, and then all is well."""
    with Load(world.servers, world.prepared) as load:
        before = load.granted
        with fault(world):
            time.sleep(HOLD)
            wait_for(lambda: load.refused.total() > 0 and load.granted > before)
            refused, during = load.refused.total(), load.granted - before
        seconds = load.healed()
        load.stop()
        load.told(fault.__name__, seconds)

    assert during > 0
    assert refused > 0
    assert_refusals_say_why(load, codes)
    assert_nobody_noticed(load)
    assert_nothing_was_lost(load, world.prepared.url)


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
    assert_refusals_say_why(load, {"database_busy"})
    assert_nobody_noticed(load)
    assert_nothing_was_lost(load, world.prepared.url)


def test_servers_that_are_all_killed_at_once_lose_nothing_acknowledged(world: World):
    """The write-ahead log is all there is; whoever comes first plays it again."""
    for _ in range(KILLS):
        with Load(world.servers, world.prepared) as load:
            for server in world.servers:
                server.kill()
        assert_nothing_was_lost(load, world.prepared.url)
        for server in world.servers:
            server.start()
        assert load.wrong_yes == 0


def test_a_file_that_may_not_be_written_closes_the_administration_alone(world: World):
    """Who has kept no policy does not start; who has judges by it, and opens by itself once the file may be written."""
    good, suspended = world.prepared.token("contoso"), world.prepared.token("fabrikam")
    unlisted = world.prepared.token("contoso", client_id="someone-else")
    with Load(world.servers, world.prepared) as load:
        with read_only(world):
            running = [server.process.pid for server in world.servers]
            before, refused = load.granted, load.refused.total()
            time.sleep(HOLD)
            for server in world.servers:
                answer = server.rest(world.prepared.admin_key, "POST", "/partners", {"name": "Late"})
                assert (answer.status_code, code_of(answer)) == (503, "database_unwritable")
                assert answer.headers["Retry-After"]
                assert server.allows(good)
                for token in (suspended, unlisted):
                    answer = server.check(token)
                    assert (answer.status_code, answer.headers["X-TG-Reason"]) == (403, "caller_not_allowed")
            wait_for(lambda: load.granted > before and load.refused.total() > refused)
        seconds = load.healed()
        load.stop()
        load.told("read-only", seconds, OPENS)
    assert [server.process.pid for server in world.servers] == running
    assert load.lost > 0
    assert_refusals_say_why(load, {"database_unwritable", "database_busy", "database_unavailable"})
    assert_nobody_noticed(load)
    assert_nothing_was_lost(load, world.prepared.url)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of twelve megabytes: a write-ahead log has four before it is folded."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, check=False).returncode != 0:
        missing("right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write a file until there is no room for one page more."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def test_a_full_disk_refuses_changes_and_nothing_else(small_disk: Path, tmp_path: Path):
    """Validation goes on, every change is refused whole, and with room again all is well."""
    (tmp_path / "logs").mkdir()
    with a_world(small_disk, tmp_path / "logs", 1) as world, Load(world.servers, world.prepared) as load:
        before = load.granted
        filler = small_disk / "filler"
        fill(filler)
        wait_for(lambda: "database_full" in {code for _, code, _ in load.refused})
        time.sleep(HOLD)
        wait_for(lambda: load.granted > before)
        during = load.granted - before
        filler.unlink()
        seconds = load.healed()
        load.stop()
        load.told("disk full", seconds)
        assert during > 0
        assert_refusals_say_why(load, {"database_full", "database_unavailable", "database_busy"})
        assert_nobody_noticed(load)
        assert_nothing_was_lost(load, world.prepared.url)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[World]:
    """One server over a file of its own."""
    (tmp_path / "database").mkdir()
    with a_world(tmp_path / "database", tmp_path, 1) as world:
        yield world


def backup(path: Path, to: Path) -> None:
    """Copy a database as one should, whoever has it open."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def test_a_backup_put_in_place_lets_nobody_in_again(one: World, tmp_path: Path):
    """Under a running server: its gate keeps the policy it has, and nothing is written until all were stopped."""
    (server,) = one.servers
    token, key = one.prepared.token("contoso"), one.prepared.admin_key
    backup(one.path, tmp_path / "yesterday.db")
    assert server.sure(key, "POST", "/partners/contoso/suspend").status_code == 200
    wait_for(lambda: server.allows(token) is False)
    with closing(sqlite3.connect(one.path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the log beside it would bring today back
    (tmp_path / "yesterday.db").rename(one.path)

    def refused() -> str:
        assert server.allows(token) is False
        answer = server.rest(key, "POST", "/partners", {"id": "late", "name": "Late"})
        assert answer.status_code == 503
        return code_of(answer)

    until = time.monotonic() + HOLD
    while time.monotonic() < until:
        # By the file; and, as soon as the gate has looked into the one that is there now, by what that one lacks.
        assert refused() in {"database_replaced", "database_put_back"}
    wait_for(lambda: "policy_went_back" in server.log.read_text())
    wait_for(lambda: refused() == "database_put_back")


def test_a_file_cut_off_under_a_server_changes_no_answer_of_its_gate(one: World):
    """What the administration cannot read it says; a new start is refused; the backup brings all back."""
    (server,) = one.servers
    good, key = one.prepared.token("contoso"), one.prepared.admin_key
    backup(one.path, one.path.with_name("backup.db"))
    with closing(sqlite3.connect(one.path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(one.path, one.path.stat().st_size // 2 // 4096 * 4096)

    codes = set()
    for _ in range(20):
        assert server.allows(good)
        answer = server.rest(key, "POST", "/partners", {"name": "New"})
        codes.add((answer.status_code, code_of(answer)))
    assert codes == {(503, "database_corrupt")}
    server.kill()
    told = tenantgate(environment_of(one.prepared.url), one.path.parent, "serve", status=2)
    assert told.startswith("database_corrupt: ")

    for suffix in ("", "-wal", "-shm"):
        one.path.with_name(one.path.name + suffix).unlink(missing_ok=True)
    one.path.with_name("backup.db").rename(one.path)
    one.path.chmod(0o600)
    server.start()
    assert server.allows(good)
