"""Opening the database, reading and writing. What is particular to SQLite or PostgreSQL is in `engines`."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import Connection, Engine, make_url
from sqlmodel import Session

from tenantgate.registry.engines import postgres, sqlite
from tenantgate.registry.errors import ConflictError, DatabaseError, InvalidError, RegistryError

BUSY_TIMEOUT: Final = 5.0
"""Seconds a writer waits for another before it says `database_busy`."""


_UNIX_EPOCH: Final = 2_440_587.5
"""The Julian day on which Unix time began."""


class Watch(Protocol):
    """An open database, and how a follower finds out that it changed."""

    engine: Engine
    connection: Connection
    pause_uses_it: bool
    """Whether `pause` uses the connection: then nobody else may meanwhile."""

    def stands(self) -> bool:
        """Whether this is still the database that the address names. Raises DatabaseError."""
        ...

    def version(self) -> object:
        """Return what differs once it was changed. Raises DatabaseError."""
        ...

    def glance(self, statement: Any, values: dict[str, Any]) -> Sequence[Any]:
        """Return the rows of one statement, which sees one moment. Raises DatabaseError."""
        ...

    def pause(self, closing: threading.Event, seconds: float) -> None:
        """Wait until it may be worth a look, at most so long. Raises DatabaseError."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def open_engine(
    url: str, *, create: bool = True, busy_timeout: float = BUSY_TIMEOUT, deadline: float | None = postgres.DEADLINE
) -> Engine:
    """Open the database at `url`: `sqlite:////absolute/path`, `sqlite:///relative/path`, `postgresql://host/name`.

    Says at once what is wrong with it. What is in it is not looked at: see `migrations.require_known_schema`. A new
    SQLite file is made, for its owner alone, where `create` is set; a PostgreSQL database is never made. `deadline`:
    seconds for one statement (PostgreSQL).

    Raises:
        DatabaseError: with one of `errors.DATABASE_CODES`.
    """
    with translated():
        if is_postgres(url):
            check_address(url)
            return postgres.open_postgres(url, busy_timeout=busy_timeout, deadline=deadline)
        return sqlite.open_sqlite(url, create=create, busy_timeout=busy_timeout)


def is_postgres(url: str) -> bool:
    """Whether an address is PostgreSQL's."""
    return url.startswith(("postgresql://", "postgresql+", "postgres://"))


def check_address(url: str) -> None:
    """Refuse an address that can never work. Raises DatabaseError (`database_url_unsupported`)."""
    if is_postgres(url):
        try:
            postgres.checked_address(make_url(url))
        except (exc.ArgumentError, ValueError):
            raise DatabaseError("database_url_unsupported", "is not a database address") from None
    else:
        sqlite.database_path(url)


def open_watch(url: str, *, busy_timeout: float) -> Watch:
    """Open the database for a follower.

    Raises:
        DatabaseError: as `open_engine` does.
    """

    def open_() -> Engine:
        return open_engine(url, create=False, busy_timeout=busy_timeout)

    with translated():
        return postgres.PostgresWatch(url, open_) if is_postgres(url) else sqlite.SqliteWatch(url, open_)


def reader_options(engine: Engine) -> dict[str, Any]:
    """Return the options of a connection that sees one moment of the database and cannot write."""
    return postgres.READER if engine.dialect.name == "postgresql" else sqlite.READER


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a session that sees one moment of the database and cannot write.

    Raises:
        DatabaseError: the database cannot be read now.
    """
    options = reader_options(engine)
    with translated(), Session(engine.execution_options(**options), expire_on_commit=False) as session:
        session.connection()
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Open a session that writes; commit at the end, roll back on any exception.

    On SQLite it holds the write lock from the start. For what is neither policy nor audited (instances, the idle clock
    of a session). Everything else goes through `unit_of_work`.

    Raises:
        DatabaseError: the database cannot be written now; nothing was changed.
    """
    with translated(), Session(engine, expire_on_commit=False) as session:
        session.connection()
        yield session
        session.commit()


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into the registry's."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise _translate(error) from error


def _translate(error: exc.SQLAlchemyError) -> RegistryError:
    original = getattr(error, "orig", None)
    if isinstance(error, exc.TimeoutError):
        return DatabaseError("database_busy", "all connections to the database are in use")
    if isinstance(original, sqlite3.Error):
        code, message = sqlite.code_of(original), str(original)
    elif original is not None and hasattr(original, "sqlstate"):
        code, message = postgres.code_of(original), postgres.message_of(original)
    else:
        code, message = "database_unavailable", str(original or error)
    if isinstance(error, exc.DataError):
        return InvalidError("text_not_allowed", f"holds what the database cannot keep: {message}")
    if isinstance(error, exc.IntegrityError):
        return ConflictError("conflict", f"another change is in the way: {message}")
    return DatabaseError(code, f"the database says: {message}")


def lock_history(session: Session) -> None:
    """Let one unit of work run after the other, where the engine would let several run at once.

    What is checked before it is written is then still true when it is: no two approvals win. Changes are few.
    """
    session.execute(sa.text("SELECT revision FROM revision FOR UPDATE"))


def tell_followers(session: Session, revision: int) -> None:
    """Have every follower told of this revision in the moment it is committed, where the engine can."""
    session.execute(sa.select(sa.func.pg_notify(postgres.CHANNEL, str(revision))))


def database_clock(session: Session) -> sa.ColumnElement[int]:
    """Return an expression: the database's own clock, in epoch milliseconds, when the statement runs.

    The one clock that all processes share: what two of them wrote by it can be subtracted.
    """
    if is_concurrent(session):
        seconds: sa.ColumnElement[Any] = sa.extract("epoch", sa.func.clock_timestamp())
    else:
        seconds = (sa.func.julianday("now") - _UNIX_EPOCH) * 86_400
    return sa.cast(sa.func.round(seconds * 1_000), sa.BigInteger)


def is_concurrent(session: Session) -> bool:
    """Whether several sessions may write to this database at once (PostgreSQL)."""
    return session.get_bind().dialect.name == "postgresql"
