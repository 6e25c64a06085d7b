"""Opening the database, and everything that is particular to one engine. SQLite today.

The driver's own transaction handling is switched off: it commits before DDL and begins late, so that
two writers could both read and then both write. Here a write transaction begins with BEGIN IMMEDIATE
(one writer at a time, refused at the door, never in the middle) and a migration is one transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlmodel import Session

from tenantgate.registry.errors import ConflictError, DatabaseError, RegistryError

BUSY_TIMEOUT: Final = 5.0
"""Seconds a writer waits for another before it says `database_busy`."""

_READER: Final = "tenantgate_reader"
# SQLite's primary result codes (https://www.sqlite.org/rescode.html) that have a code of ours.
_BY_RESULT: Final = {
    sqlite3.SQLITE_BUSY: "database_busy",
    sqlite3.SQLITE_LOCKED: "database_busy",
    sqlite3.SQLITE_READONLY: "database_unwritable",
    sqlite3.SQLITE_PERM: "database_unwritable",
    sqlite3.SQLITE_FULL: "database_full",
    sqlite3.SQLITE_CORRUPT: "database_corrupt",
    sqlite3.SQLITE_NOTADB: "database_not_sqlite",
}


def open_engine(url: str, *, create: bool = True, busy_timeout: float = BUSY_TIMEOUT) -> Engine:
    """Open the database at `url` (`sqlite:////absolute/path` or `sqlite:///relative/path`).

    Says at once what is wrong with the file. A new file is made for its owner alone (mode 0600), and
    only where `create` is set. What is in it is not looked at: see `migrations.require_known_schema`.

    Raises:
        DatabaseError: with one of `errors.DATABASE_CODES`.
    """
    path = database_path(url)
    _look_at_file(path, create=create)
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)),
        creator=lambda: _connect(path, busy_timeout),
    )
    event.listen(engine, "begin", _begin)
    try:
        with translated(), engine.connect() as connection:
            _prepare(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def database_path(url: str) -> Path:
    """Return the path of the file a database address names.

    Raises:
        DatabaseError: `database_url_unsupported`.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise DatabaseError("database_url_unsupported", "is not a database address; use sqlite:///PATH") from None
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite"} or parsed.query or parsed.host:
        raise DatabaseError("database_url_unsupported", "only sqlite:///PATH is supported, without parameters")
    if parsed.database in {None, "", ":memory:"} or str(parsed.database).startswith("file:"):
        raise DatabaseError("database_url_unsupported", "the database must be a file: other processes read it too")
    return Path(str(parsed.database))


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a session that sees one moment of the database and cannot write.

    Raises:
        DatabaseError: the database cannot be read now.
    """
    with translated(), Session(engine.execution_options(**{_READER: True}), expire_on_commit=False) as session:
        session.connection()
        yield session


def open_reader(engine: Engine) -> Connection:
    """Return a connection of its own that cannot write, for who asks `data_version` over and over.

    Raises:
        DatabaseError: the database cannot be read now.
    """
    with translated():
        return engine.execution_options(**{_READER: True}).connect()


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Open a session that holds the write lock from the start; commit at the end, roll back on any exception.

    For what is neither policy nor audited (instances, the idle clock of a session). Everything else
    goes through `unit_of_work`.

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
    if isinstance(error, exc.IntegrityError):
        return ConflictError("conflict", f"another change is in the way: {original}")
    if isinstance(error, exc.TimeoutError):
        return DatabaseError("database_busy", "all connections to the database are in use")
    # An extended result code holds the primary one in its low byte.
    result = getattr(original, "sqlite_errorcode", 0) & 0xFF
    code = _BY_RESULT.get(result, "database_unavailable")
    return DatabaseError(code, f"the database says: {original or error}")


def data_version(connection: Connection) -> int:
    """Return a number that differs once another connection has changed the database. A microsecond's work."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    with _driver_errors():
        return int(driver.execute("PRAGMA data_version").fetchone()[0])


def file_identity(path: Path) -> tuple[int, int]:
    """Return device and inode of the database file: an open connection does not notice that it was replaced.

    Raises:
        DatabaseError: `database_missing`.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise DatabaseError("database_missing", f"there is no database file {path}: {error.strerror}") from None
    return found.st_dev, found.st_ino


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(exc.DBAPIError(None, None, error)) from error


def _look_at_file(path: Path, *, create: bool) -> None:
    """Look at the file from outside: it is never opened here.

    Closing any descriptor of a file drops every POSIX lock that this process holds on it, whoever took it
    (https://www.sqlite.org/howtocorrupt.html §2.2): the next process to come would think itself alone and remove the
    write-ahead log under our connections, and acknowledged changes with it. What is in the file, SQLite says.
    """
    try:
        _require_file(path, create=create)
    except (OSError, ValueError) as error:
        raise DatabaseError("database_unwritable", f"{path} cannot be opened: {error}") from None
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise DatabaseError("database_unwritable", f"{path} cannot be opened: it must be readable and writable")
    if not os.access(path.parent, os.W_OK, effective_ids=True):
        raise DatabaseError("database_unwritable", f"{path} and its folder must be writable")


def _require_file(path: Path, *, create: bool) -> None:
    if path.exists():
        if not path.is_file():
            raise DatabaseError("database_not_a_file", f"{path} is not a file")
        return
    if not path.parent.is_dir():
        raise DatabaseError("database_folder_missing", f"there is no folder {path.parent}")
    if not create:
        raise DatabaseError(
            "database_missing", f"there is no database file {path}: run `tenantgate migrate` to make it"
        )
    # Made before SQLite makes it: there is no moment in which others could read it. Its -wal and -shm take this mode.
    with suppress(FileExistsError):  # another process made it at the same moment
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    # mode=rw: a file that was taken away is an error, never a new and empty database.
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    # FULL: an acknowledged suspension survives a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _begin(connection: Connection) -> None:
    reader = connection.get_execution_options().get(_READER, False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if reader else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")


def _prepare(connection: Connection) -> None:
    """Read the file's first page and turn the write-ahead log on (readers and a writer at the same time)."""
    driver: Any = connection.connection.driver_connection
    with _driver_errors():
        driver.execute("PRAGMA schema_version").fetchone()
        mode = driver.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if mode != "wal":
        raise DatabaseError("database_unavailable", f"the write-ahead log cannot be turned on (mode is {mode})")
