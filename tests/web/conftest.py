"""What the page's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from tenantgate.registry.engine import open_engine
from tenantgate.registry.migrations import migrate
from tests.postgres import Postgres, on_both_engines
from tests.registry.builders import EPOCH, a_daemon, a_grant, a_partner, a_tenant, an_engine, an_oidc_issuer
from tests.web.world import HTTPS, Browser, World, copy_database, make_world, publisher


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which the publisher is ready and no partner is there, migrated once."""
    folder = tmp_path_factory.mktemp("ready")
    make_world(folder).engine.dispose()
    return folder / "registry.db"


@pytest.fixture(scope="session")
def open_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A database that stays open for all tests, each of which finds it new: opening is what takes time."""
    engine = an_engine(tmp_path_factory.mktemp("open") / "registry.db")
    yield engine
    engine.dispose()


@pytest.fixture
def database(ready: Path, open_database: Engine) -> Engine:
    """The open database as it was when the publisher was ready."""
    copy_database(ready, Path(open_database.url.database or ""))
    return open_database


@pytest.fixture
def world(database: Engine) -> World:
    """The publisher is ready, no partner is there yet; plain http on loopback."""
    return World(database)


@pytest.fixture
def secure_world(database: Engine) -> World:
    """The same, reached by https."""
    return World(database, HTTPS)


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Contoso's nightly program may read orders, and tests that use this change nothing."""
    made = make_world(tmp_path_factory.mktemp("standing"))
    made.change(a_partner, a_tenant, a_daemon, a_grant, an_oidc_issuer)
    yield made
    made.engine.dispose()


@pytest.fixture(scope="session")
def operator(standing: World) -> Browser:
    """An operator's browser on the standing world."""
    return standing.signed_in()


@pytest.fixture
def contoso(world: World) -> World:
    """Contoso's nightly program may read orders."""
    world.change(a_partner, a_tenant, a_daemon, a_grant)
    return world


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for `either` on both engines."""
    on_both_engines(metafunc, "either")


@pytest.fixture(scope="session")
def postgres_ready(postgres: Postgres) -> str:
    """A database in which the publisher is ready and no partner is there, migrated once."""
    name = postgres.create()
    world = World(open_engine(postgres.url_of(name), deadline=None))
    migrate(world.engine, epoch=EPOCH)
    world.change(publisher)
    world.engine.dispose()
    return name


@pytest.fixture
def either(request: pytest.FixtureRequest) -> Iterator[World]:
    """Contoso's nightly program may read orders, on SQLite and on PostgreSQL."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield request.getfixturevalue("contoso")
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create(request.getfixturevalue("postgres_ready"))
    made = World(open_engine(server.url_of(name)))
    made.change(a_partner, a_tenant, a_daemon, a_grant)
    yield made
    made.engine.dispose()
    server.drop(name)
