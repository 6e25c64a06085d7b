"""A program that migrates a database in children of its own and kills each of them at another statement.

`python -m tests.registry.migrating URL REVISION MOST` brings the database to a schema (`head`, or an older one), as
often as it takes: each child is killed before or after another statement; afterwards the database must be what it was.
MOST: at how many points at most; 0: at every one. Prints how many there are, and at how many it was killed.

A program, since children are forked: nothing but the main thread may be there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

from alembic import command
from tenantgate.registry.engine import open_engine
from tenantgate.registry.migrations import alembic_config, migrate

EPOCH: Final = "epoch-of-kills"


class _Stopped(Exception):
    """Every point was counted; nothing is kept."""


def bring(url: str, revision: str, at: Callable[[], None], *, keep: bool = True) -> None:
    """Bring a database to a schema; `at` is called before and after each statement, before the commit and after it."""
    engine = open_engine(url, deadline=None)
    event.listen(engine, "before_cursor_execute", lambda *_: at())
    event.listen(engine, "after_cursor_execute", lambda *_: at())

    def before_commit(connection: Any) -> None:
        del connection
        at()
        if not keep:
            raise _Stopped

    event.listen(engine, "commit", before_commit)
    if revision == "head":
        migrate(engine, epoch=EPOCH)
    else:
        with engine.begin() as connection:
            command.downgrade(alembic_config(connection), revision)
    at()
    engine.dispose()


def in_child(work: Callable[[], None]) -> int:
    """Run something in a process of its own; return how it ended: a status, or minus a signal."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def points_of(url: str, revision: str) -> int:
    """Return how many points there are at which it can be killed."""
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1

    try:
        bring(url, revision, count, keep=False)
    except _Stopped:
        return seen + 1  # the one after the commit
    raise AssertionError("it was committed")


def state_of(url: str) -> str:
    """Return all there is to know of a database: tables, columns, indexes, checks, and every row."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        found: dict[str, Any] = {}
        for table in sorted(inspector.get_table_names()):
            rows = connection.exec_driver_sql(f'SELECT * FROM "{table}"').all()
            found[table] = {
                "columns": [
                    (each["name"], str(each["type"]), each["nullable"]) for each in inspector.get_columns(table)
                ],
                "indexes": sorted(str(each["name"]) for each in inspector.get_indexes(table)),
                "checks": sorted(str(each["name"]) for each in inspector.get_check_constraints(table)),
                "rows": sorted(map(repr, rows)),
            }
    engine.dispose()
    return json.dumps(found, sort_keys=True)


def main(url: str, revision: str, most: int) -> None:
    """Kill, compare, and go on."""
    if revision == "together":
        together(url, most)
        return
    points = points_of(url, revision)
    step = 1 if most == 0 else max(1, points // most)
    before = state_of(url)
    chosen = sorted({*range(1, points, step), points - 1})
    for point in chosen:
        ended = in_child(lambda point=point: bring(url, revision, killing_at(point)))  # type: ignore[misc]
        assert ended == -signal.SIGKILL, (point, ended)
        assert state_of(url) == before, f"killed at point {point}, the database is another"
    ended = in_child(lambda: bring(url, revision, killing_at(points)))  # after the commit: it is all there
    assert ended == -signal.SIGKILL, ended
    after = state_of(url)
    assert after != before
    assert in_child(lambda: bring(url, revision, lambda: None)) == 0
    assert state_of(url) == after
    sys.stdout.write(json.dumps({"points": points, "killed": len(chosen) + 1}))


def killing_at(point: int) -> Callable[[], None]:
    """Return what kills this process when it is called for the so-manieth time."""
    seen = 0

    def at() -> None:
        nonlocal seen
        seen += 1
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


def together(url: str, count: int) -> None:
    """Migrate in so many processes at once; all of them end well, and there is one registry."""
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                bring(url, "head", lambda: None)
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert ended == [0] * count, ended
    sys.stdout.write(json.dumps({"migrated": count}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
