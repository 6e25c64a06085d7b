"""What all servers of a PostgreSQL database draw an operator's requests from."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tenantgate.registry import rates
from tenantgate.registry.engine import open_engine
from tenantgate.registry.errors import DatabaseError
from tests.postgres import Postgres

pytestmark = pytest.mark.postgres
PATIENCE = rates._PATIENCE
SLOW = 1e-9
"""So slow that nothing comes back while a test runs."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement may take as long as a busy machine takes."""
    monkeypatch.setattr(rates, "_PATIENCE", 60_000)


@pytest.fixture
def engine(postgres: Postgres, postgres_template: str) -> Iterator[Engine]:
    """A database of the test's own."""
    name = postgres.create(postgres_template)
    engine = open_engine(postgres.url_of(name))
    yield engine
    engine.dispose()
    postgres.drop(name)


def test_as_many_as_there_are(engine: Engine):
    """A new operator has a full bucket; what is not there is not taken, nor is a part of it."""
    taken = [rates.take(engine, "ada", 40, rate=SLOW, burst=100) for _ in range(3)]
    assert taken == [True, True, False]
    assert rates.take(engine, "ada", 20, rate=SLOW, burst=100)
    assert not rates.take(engine, "ada", 1, rate=SLOW, burst=100)
    assert rates.take(engine, "grace", 100, rate=SLOW, burst=100)


def test_it_fills_by_the_databases_clock(engine: Engine):
    """As much as time has passed there, and never beyond full; a clock that was set back takes nothing away."""
    assert rates.take(engine, "ada", 100, rate=SLOW, burst=100)
    for seconds, back in ((3, 30), (3_600, 100), (-3_600, 0)):
        with engine.begin() as connection:
            connection.execute(sa.text('UPDATE rate_bucket SET "left" = 0, filled_at = filled_at - :s'), {"s": seconds})
        assert rates.take(engine, "ada", max(back, 1), rate=10, burst=100) is (back > 0), seconds


def test_many_at_once_take_no_more_than_there_is(engine: Engine):
    """Sixty at once of a bucket of twenty: twenty get one."""
    granted: list[bool] = []

    def ask() -> None:
        for _ in range(10):
            granted.append(rates.take(engine, "ada", 1, rate=SLOW, burst=20))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(granted), sum(granted)) == (60, 20)


def test_who_waits_for_the_row_waits_for_a_moment(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    """A lock that is held does not hold up who only asks whether they may ask: the database cannot say now."""
    rates.take(engine, "ada", 1, rate=SLOW, burst=100)
    with engine.begin() as connection, monkeypatch.context() as patch:
        patch.setattr(rates, "_PATIENCE", PATIENCE)
        connection.execute(sa.text("SELECT 1 FROM rate_bucket FOR UPDATE"))
        with pytest.raises(DatabaseError) as caught:
            rates.take(engine, "ada", 1, rate=SLOW, burst=100)
    assert caught.value.code == "database_busy"
    assert rates.take(engine, "ada", 1, rate=SLOW, burst=100)
