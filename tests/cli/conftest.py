"""A database that was made by the commands themselves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.desk import WORLD, Desk


@pytest.fixture(scope="session")
def made_by_commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one daemon that has one role, made once."""
    desk = Desk(tmp_path_factory.mktemp("desk") / "registry.db")
    assert desk.call("migrate").status == 0
    for words in WORLD:
        assert desk.call(*words).status == 0, words
    return desk.path


@pytest.fixture
def desk(tmp_path: Path, made_by_commands: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Commands over a copy of it, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(made_by_commands, tmp_path / "registry.db")
    return Desk(tmp_path / "registry.db")
