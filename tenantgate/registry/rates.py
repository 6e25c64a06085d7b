"""What is left of an operator's requests, for all servers of a PostgreSQL database together: one row, one statement.

No history and no audit: `synchronous_commit` is off, for a crash that forgets a second of it harms nobody. The
database's clock counts, so that servers need not agree on the time. Whoever waits for the row waits for a moment only.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tenantgate.registry.engine import translated

_PATIENCE: Final = 200
"""Milliseconds for one statement: a database in trouble must not hold up who only asks whether they may ask."""

_NOW: Final = "EXTRACT(EPOCH FROM clock_timestamp())"
_FILLED: Final = f'LEAST(:burst, rate_bucket."left" + GREATEST(0, {_NOW} - rate_bucket.filled_at) * :rate)'
_TAKE: Final = sa.text(
    f"""
    INSERT INTO rate_bucket (operator, "left", filled_at) VALUES (:operator, :burst - :wanted, {_NOW})
    ON CONFLICT (operator) DO UPDATE SET "left" = {_FILLED} - :wanted, filled_at = {_NOW}
    WHERE {_FILLED} >= :wanted
    RETURNING "left"
    """  # noqa: S608 - put together of constants
)


def take(engine: Engine, operator: str, wanted: int, *, rate: float, burst: float) -> bool:
    """Take `wanted` requests of an operator's; False where there are fewer left, and none is taken.

    `rate`: requests that come back in a second, up to `burst`. `wanted` is at most `burst`.

    Raises:
        DatabaseError: the database cannot say now.
    """
    with translated(), engine.begin() as connection:
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {_PATIENCE}"))
        connection.execute(sa.text("SET LOCAL synchronous_commit = off"))
        values = {"operator": operator, "wanted": wanted, "rate": rate, "burst": burst}
        return connection.execute(_TAKE, values).first() is not None
