"""A connection to an SQLite file, whose words can be read whatever the file holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote


def _legible(call: Callable[..., Any]) -> Callable[..., Any]:
    """Have a call say `SQLITE_CORRUPT` where the driver cannot read what the file holds, or what SQLite says of it.

    SQLite quotes a damaged schema in its words, and the driver reads those as UTF-8, or ends in UnicodeDecodeError; of
    a text that is none it says so with the text in it, which nobody is to see in a log.
    """

    @wraps(call)
    def called(*given: Any) -> Any:
        try:
            return call(*given)
        except UnicodeDecodeError:
            message = "a text in the file is damaged"
        except sqlite3.OperationalError as error:
            if hasattr(error, "sqlite_errorcode"):
                raise
            message = "a text in the file is no UTF-8"
        damaged = sqlite3.DatabaseError(message)
        damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damaged

    return called


class _Cursor(sqlite3.Cursor):
    execute = _legible(sqlite3.Cursor.execute)
    executemany = _legible(sqlite3.Cursor.executemany)
    fetchone = _legible(sqlite3.Cursor.fetchone)
    fetchmany = _legible(sqlite3.Cursor.fetchmany)
    fetchall = _legible(sqlite3.Cursor.fetchall)
    __next__ = _legible(sqlite3.Cursor.__next__)


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, *given: Any) -> Any:
        return self.cursor().execute(*given)


def connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """Open a file that is there; wait so many seconds for whoever holds it. Raises sqlite3.Error."""
    # mode=rw: a file that was taken away is an error, never a new and empty database.
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw",
        uri=True,
        factory=_Connection,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    # FULL: an acknowledged suspension survives a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    return connection
