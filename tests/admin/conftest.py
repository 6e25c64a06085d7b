"""The REST API, over a database of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantgate.registry.engine import open_engine
from tests.admin.world import Api, Served, make_template
from tests.registry.builders import an_engine, url_of


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A database with one of each in it and a key for each role, made once."""
    path = tmp_path_factory.mktemp("template") / "admin.db"
    return path, make_template(path)


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """The application, put together once: that takes longer than most tests."""
    with Served() as served:
        yield served


@pytest.fixture
def api(tmp_path: Path, served: Served, template: tuple[Path, dict[str, str]]) -> Iterator[Api]:
    """The API over a copy of the template."""
    source, keys = template
    path = tmp_path / "admin.db"
    shutil.copy(source, path)
    with served.over(open_engine(url_of(path)), keys) as api:
        yield api


@pytest.fixture
def empty_api(tmp_path: Path, served: Served, template: tuple[Path, dict[str, str]]) -> Iterator[Api]:
    """The API over a database in which nobody administers yet; the keys are another database's."""
    with served.over(an_engine(tmp_path / "empty.db"), template[1]) as api:
        yield api
