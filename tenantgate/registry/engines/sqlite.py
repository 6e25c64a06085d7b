"""SQLite: one file, several processes, one writer at a time.

The driver's own transaction handling is switched off: it commits before DDL and begins late, so that
two writers could both read and then both write. Here a write transaction begins with BEGIN IMMEDIATE
(one writer at a time, refused at the door, never in the middle) and a migration is one transaction.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, make_url

from tenantgate.registry.engines.documents import read_document
from tenantgate.registry.engines.sqlite_driver import connect
from tenantgate.registry.errors import DatabaseError

POLL_INTERVAL: Final = 0.020
"""Seconds between two looks for a change: SQLite tells nobody."""

READER: Final[dict[str, Any]] = {"tenantgate_reader": True}
"""Options of a connection that sees one moment and cannot write."""
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


def open_sqlite(url: str, *, create: bool, busy_timeout: float) -> Engine:
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
        creator=lambda: connect(path, busy_timeout),
        json_deserializer=read_document,
        hide_parameters=True,  # hashes of secrets are among them, and errors are logged
    )
    event.listen(engine, "begin", _begin)
    _watch_over_file(engine, path)
    try:
        with engine.connect() as connection:
            _prepare(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def open_scratch() -> Engine:
    """Open a database in memory, for what is tried out and thrown away; it is this engine's alone."""
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False),
        poolclass=sa.StaticPool,
    )
    event.listen(engine, "begin", _begin)
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
        raise DatabaseError("database_url_unsupported", "sqlite:///PATH is supported, without parameters")
    if parsed.database in {None, "", ":memory:"} or str(parsed.database).startswith("file:"):
        raise DatabaseError("database_url_unsupported", "the database must be a file: other processes read it too")
    return Path(str(parsed.database))


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


def code_of(error: sqlite3.Error) -> str:
    """Return the code of what the driver says."""
    # An extended result code holds the primary one in its low byte.
    return _BY_RESULT.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "database_unavailable")


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseError(code_of(error), f"the database says: {error}") from error


class SqliteWatch:
    """An open database that a follower asks over and over whether it changed. `open_` opens it."""

    pause_uses_it = False

    def __init__(self, url: str, open_: Callable[[], Engine]) -> None:
        self._path = database_path(url)
        self._file = file_identity(self._path)
        self.engine = open_()
        try:
            self.connection = self.engine.execution_options(**READER).connect()
        except BaseException:
            self.engine.dispose()
            raise

    def stands(self) -> bool:
        """Whether this is still the database that the address names. Raises DatabaseError."""
        return file_identity(self._path) == self._file

    def version(self) -> object:
        """Return what differs once anybody has changed the database. Raises DatabaseError."""
        return data_version(self.connection)

    def glance(self, statement: Any, values: dict[str, Any]) -> Sequence[Any]:
        """Return the rows of one statement, which sees one moment. Raises SQLAlchemyError."""
        with self.connection.begin():
            return self.connection.execute(statement, values).all()

    def pause(self, closing: threading.Event, seconds: float) -> None:
        """Wait until it may be worth a look, and no longer; at once where `closing` is set."""
        closing.wait(min(seconds, POLL_INTERVAL))

    def close(self) -> None:
        """Let go of it."""
        self.connection.close()
        self.engine.dispose()


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


def _watch_over_file(engine: Engine, path: Path) -> None:
    """Refuse to go on where the path leads to another file than a connection has open.

    A connection goes on working on the file it has, also when that has no name any more: what is committed there, and
    acknowledged, is gone with the process. Nor is the new file opened by itself: the write-ahead log beside it is still
    the old one's (https://www.sqlite.org/howtocorrupt.html §1.4), so that whoever restores a backup stops us first.
    """
    opened: list[tuple[int, int]] = []

    def look() -> None:
        found = file_identity(path)
        if not opened:
            opened.append(found)
        elif opened[0] != found:
            message = (
                f"{path} was replaced: stop every process, remove {path.name}-wal and {path.name}-shm, start again"
            )
            raise DatabaseError("database_replaced", message)

    def on_checkout(driver: Any, record: Any, proxy: Any) -> None:
        del driver, record, proxy
        look()

    def on_commit(connection: Connection) -> None:
        if not connection.get_execution_options().get("tenantgate_reader", False):
            look()

    event.listen(engine, "checkout", on_checkout)
    event.listen(engine, "commit", on_commit)


def _begin(connection: Connection) -> None:
    reader = connection.get_execution_options().get("tenantgate_reader", False)
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
