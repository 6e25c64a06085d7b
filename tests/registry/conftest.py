"""Databases for the registry's tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from tenantgate.registry.engine import open_engine
from tenantgate.registry.migrations import migrate
from tests.postgres import Postgres, on_both_engines
from tests.registry.builders import EPOCH, Registry, an_engine, everything, url_of, work_on


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with one of each in it, made once by the real migrations and services."""
    path = tmp_path_factory.mktemp("template") / "registry.db"
    engine = an_engine(path)
    with work_on(engine) as work:
        everything(work)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """A database on it with one of each in it, made once by the real migrations and services."""
    name = postgres.create()
    engine = open_engine(postgres.url_of(name))
    migrate(engine, epoch=EPOCH)
    with work_on(engine) as work:
        everything(work)
    engine.dispose()
    return name


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of a registry on both engines, but for those that are about a file."""
    on_both_engines(metafunc, "registry")


@pytest.fixture
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """A database of the test's own with one of each in it, at revision 1."""
    if getattr(request, "param", "sqlite") == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        name = server.create(request.getfixturevalue("postgres_template"))
        engine = open_engine(server.url_of(name))
        yield Registry(server.url_of(name), engine)
        engine.dispose()
        server.drop(name)
        return
    path = tmp_path / "registry.db"
    shutil.copy(request.getfixturevalue("template"), path)
    engine = open_engine(url_of(path))
    yield Registry(url_of(path), engine, path)
    engine.dispose()


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Engine]]:
    """Open databases that are closed after the test."""
    engines: list[Engine] = []

    def open_(path: Path) -> Engine:
        engines.append(open_engine(url_of(path)))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.dispose()
