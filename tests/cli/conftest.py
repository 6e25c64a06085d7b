"""A database that was made by the commands themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import WORLD, Desk
from tests.emulator.program import RunningEmulator, running_emulator
from tests.emulator.world import CONFIG


@pytest.fixture(scope="session")
def made_by_commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one daemon that has one role, made once."""
    desk = Desk(tmp_path_factory.mktemp("desk") / "registry.db")
    assert desk.call("migrate").status == 0
    for words in WORLD:
        assert desk.call(*words).status == 0, words
    return desk.path


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """An Entra-shaped authority as a process; its API `https://legacy.example/` gets v1 tokens without `idtyp`."""
    with running_emulator(CONFIG, tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, made_by_commands: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Commands over a copy of it, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(made_by_commands, tmp_path / "registry.db")
    return Desk(tmp_path / "registry.db")
