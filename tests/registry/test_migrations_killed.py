"""A migration that is killed at any statement leaves what was; the next one completes. On both engines, up and down.

`TENANTGATE_FAULT_SCALE=1` kills at every statement; without, at some twenty of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.migrations import current_revision, head_revision
from tenantgate.registry.snapshot import read_snapshot
from tests.postgres import Postgres
from tests.real_parts import ROOT
from tests.registry.builders import Registry, url_of
from tests.registry.migrating import EPOCH
from tests.registry.test_migrations import differences

pytestmark = [pytest.mark.slow, pytest.mark.faults]
MOST: Final = 0 if float(os.environ.get("TENANTGATE_FAULT_SCALE", "0.05")) >= 1 else 20


def migrating(url: str, revision: str, most: int = MOST) -> Any:
    """Run the program that migrates and kills; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.registry.migrating", url, revision, str(most)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3_600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_at_any_statement_it_is_all_old_or_all_new(registry: Registry):
    """Down to the first schema and up again, with rows in it: the policy is what it was."""
    with reading(registry.engine) as session:
        before = read_snapshot(session)
    registry.engine.dispose()

    for revision, least in (("0001", 20), ("head", 50)):
        told = migrating(registry.url, revision)
        assert told["points"] > least
        assert told["killed"] >= min(20, told["points"])
        assert MOST or told["killed"] == told["points"]

    with reading(registry.engine) as session:
        assert read_snapshot(session) == before
    with registry.engine.connect() as connection:
        assert differences(connection) == []


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with nothing in it."""
    if request.param == "sqlite":
        open_engine(url_of(tmp_path / "registry.db")).dispose()
        yield url_of(tmp_path / "registry.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url_of(name)
    server.drop(name)


def epoch_of(url: str) -> str:
    """The epoch of a database that is at the newest schema."""
    engine = open_engine(url)
    assert current_revision(engine) == head_revision()
    with reading(engine) as session:
        epoch = read_snapshot(session).epoch
    engine.dispose()
    return epoch


def test_a_new_database_is_made_whole_or_not_at_all(empty: str):
    """From nothing to the newest schema."""
    assert migrating(empty, "head")["points"] > 50
    assert epoch_of(empty) == EPOCH


def test_processes_that_migrate_at_once_make_one_registry(empty: str):
    """The second waits and finds all done."""
    assert migrating(empty, "together", 4) == {"migrated": 4}
    assert epoch_of(empty) == EPOCH
