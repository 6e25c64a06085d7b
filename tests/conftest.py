"""One PostgreSQL for all; Hypothesis without clocks: a busy machine is no failure, and a failure can be run again."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.postgres import PATIENT, SHIPPED, Postgres, running_postgres, wait_for_databases


@pytest.fixture(scope="session", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers and commands are started by the hundred: where none may be written beside the source, it has a folder."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.dont_write_bytecode:
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """Databases are waited for longer: a machine that stands still for some seconds is no failure.

    Where deadlines are what a test is about, it names them; so do the processes that tests start, by being the product.
    """
    with pytest.MonkeyPatch.context() as patch:
        wait_for_databases(patch, PATIENT)
        yield


@pytest.fixture
def as_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases are waited for as long as the product waits."""
    wait_for_databases(monkeypatch, SHIPPED)


@pytest.fixture(scope="session")
def postgres(patience: None) -> Iterator[Postgres]:
    """A PostgreSQL server, started when the first test asks for it."""
    with running_postgres() as server:
        server.hurry()
        yield server


# The first draw of text on a fresh checkout builds tables for seconds; deadlines would be timing assertions.
settings.register_profile(
    "unhurried", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow], max_examples=150
)
# The same few examples each time: a mutant lives or dies by its change, never by luck.
# Nor is the smallest example looked for: that it died is enough.
settings.register_profile(
    "mutants",
    settings.get_profile("unhurried"),
    derandomize=True,
    max_examples=30,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("unhurried")
