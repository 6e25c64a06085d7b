"""Databases for the registry's tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from tenantgate.registry.engine import open_engine
from tests.registry.builders import Registry, an_engine, everything, url_of, work_on


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with one of each in it, made once by the real migrations and services."""
    path = tmp_path_factory.mktemp("template") / "registry.db"
    engine = an_engine(path)
    with work_on(engine) as work:
        everything(work)
    engine.dispose()
    return path


@pytest.fixture
def registry(tmp_path: Path, template: Path) -> Iterator[Registry]:
    """A database of the test's own with one of each in it, at revision 1."""
    path = tmp_path / "registry.db"
    shutil.copy(template, path)
    engine = open_engine(url_of(path))
    yield Registry(path, engine)
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
