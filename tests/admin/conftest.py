"""The REST API, over a database of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantgate.registry.engine import open_engine
from tenantgate.registry.migrations import migrate
from tests.admin.world import Api, Served, make_template
from tests.postgres import Postgres, on_both_engines
from tests.registry.builders import EPOCH, an_engine, url_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of the API on both engines, but for those that are about a file."""
    on_both_engines(metafunc, "api")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A database with one of each in it and a key for each role, made once."""
    path = tmp_path_factory.mktemp("template") / "admin.db"
    return path, make_template(an_engine(path))


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> tuple[str, dict[str, str]]:
    """The same on PostgreSQL."""
    name = postgres.create()
    engine = open_engine(postgres.url_of(name))
    migrate(engine, epoch=EPOCH)
    return name, make_template(engine)


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """The application, put together once: that takes longer than most tests."""
    with Served() as served:
        yield served


@pytest.fixture
def api(request: pytest.FixtureRequest, tmp_path: Path, served: Served) -> Iterator[Api]:
    """The API over a copy of the template."""
    if getattr(request, "param", "sqlite") == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        source, keys = request.getfixturevalue("postgres_template")
        name = server.create(source)
        with served.over(open_engine(server.url_of(name)), keys) as api:
            yield api
        server.drop(name)
        return
    source, keys = request.getfixturevalue("template")
    path = tmp_path / "admin.db"
    shutil.copy(source, path)
    with served.over(open_engine(url_of(path)), keys) as api:
        yield api


@pytest.fixture
def empty_api(tmp_path: Path, served: Served, template: tuple[Path, dict[str, str]]) -> Iterator[Api]:
    """The API over a database in which nobody administers yet; the keys are another database's."""
    with served.over(an_engine(tmp_path / "empty.db"), template[1]) as api:
        yield api
