"""PostgreSQL 15 and later, by psycopg 3: several machines, one list.

Every statement has a deadline, on both sides: the server's ends what takes too long, ours what gets no answer at all
(a server that hangs acknowledges packets all the same). What is committed is told to every follower in the same moment
(NOTIFY, inside of the transaction); a follower that missed it finds out within `POLL_INTERVAL`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url

from tenantgate.registry.engines.documents import read_document
from tenantgate.registry.errors import DatabaseError

if TYPE_CHECKING:
    import psycopg

CHANNEL: Final = "tenantgate_policy"
POLL_INTERVAL: Final = 1.0
"""Seconds after which a follower asks by itself: a lost notification costs no more than that."""
DEADLINE: Final = 2.0
"""Seconds that one statement may take."""
READER: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Options of a connection that sees one moment and cannot write."""

OLDEST: Final = 15
"""The oldest major version that is spoken to: what is older nobody has tried this with."""

_CONNECTING: Final = 3
_CLOSING: Final = 0.1
"""Seconds: for a connection to come about, and after which a waiting follower looks whether it is to end."""

# SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html): whole codes first, then classes.
_BY_STATE: Final = {
    "25006": "database_unwritable",
    "42501": "database_unwritable",
    "3D000": "database_missing",
    "53100": "database_full",
    "53300": "database_busy",
    "55P03": "database_busy",
    "57014": "database_busy",
    "40001": "database_busy",
    "40P01": "database_busy",
}
_BY_CLASS: Final = {"XX": "database_corrupt"}
_COUNTER: Final = "SELECT epoch, revision, audit_sequence, audit_hash FROM revision"
# What a connection is refused with comes without its state.
_BY_REFUSAL: Final = (
    (re.compile(r'database "[^"]*" does not exist'), "database_missing"),
    (re.compile("too many (?:clients|connections)|remaining connection slots"), "database_busy"),
)


def open_postgres(url: str, *, busy_timeout: float, deadline: float | None = DEADLINE) -> Engine:
    """Open the database at `url` (`postgresql://user@host/name`; what else libpq understands, PGPASSFILE, too).

    `busy_timeout`: seconds a lock is waited for. `deadline`: seconds for one statement, None for a migration.

    Raises:
        DatabaseError: with one of `errors.DATABASE_CODES`. No message holds the address, which may hold a password.
    """
    connection_class = _deadline_connection(deadline)
    options = f"-c lock_timeout={int(busy_timeout * 1000)} -c timezone=UTC"
    if deadline is not None:
        options += f" -c statement_timeout={int(deadline * 1000)}"
    engine = sa.create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        json_deserializer=read_document,
        connect_args={
            "connect_timeout": _CONNECTING,
            "options": options,
            "application_name": "tenantgate",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
        },
        pool_pre_ping=True,
        hide_parameters=True,  # hashes of secrets are among them, and errors are logged
        pool_timeout=max(busy_timeout, 1.0),
    )

    def connect(dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        del dialect, record
        connection = connection_class.connect(*arguments, **options)
        _require_version(connection)
        return connection

    event.listen(engine, "do_connect", connect)
    try:
        with engine.connect():
            pass
    except BaseException:
        engine.dispose()
        raise
    return engine


def checked_address(url: URL) -> None:
    """Refuse an address that names no database. Raises DatabaseError."""
    if not url.database:
        raise DatabaseError("database_url_unsupported", "the address names no database: postgresql://HOST/NAME")
    if url.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise DatabaseError("database_url_unsupported", "PostgreSQL is spoken by psycopg: postgresql://HOST/NAME")


def _require_version(connection: psycopg.Connection[Any]) -> None:
    """Refuse a server that is older than `OLDEST`, whichever of several hosts it is. It said so when it was reached."""
    major = connection.info.server_version // 10_000
    if major < OLDEST:
        connection.close()
        raise DatabaseError("database_server_old", f"the server is PostgreSQL {major}; needed is {OLDEST} or later")


def code_of(error: psycopg.Error) -> str:
    """Return the code of what the driver says."""
    state = error.sqlstate or ""
    for refusal, code in () if state else _BY_REFUSAL:
        if refusal.search(str(error)):
            return code
    return _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or "database_unavailable"


def message_of(error: psycopg.Error) -> str:
    """Return one line of what the server, or libpq of the way to it, says: host and user may be in it, no password."""
    return error.diag.message_primary or str(error).strip().partition("\n")[0] or type(error).__name__


def _deadline_connection(deadline: float | None) -> type[psycopg.Connection[Any]]:
    try:
        import psycopg
        from psycopg import errors
    except ImportError:
        raise DatabaseError(
            "database_driver_missing", "PostgreSQL needs psycopg: install tenantgate[postgres]"
        ) from None

    class Connection(psycopg.Connection[Any]):
        """A connection on which no answer is waited for longer than the deadline."""

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            if timeout is not None or deadline is None:
                return super().wait(gen, interval, timeout)
            try:
                # The server's own deadline comes first; this one is for a server that says nothing any more.
                return super().wait(gen, interval, deadline + 1.0)
            except errors._WaitTimeout:  # noqa: SLF001 - psycopg's own, and the only way to tell
                self.pgconn.finish()
                raise psycopg.OperationalError("the server does not answer") from None

    return Connection


class PostgresWatch:
    """An open database that says when its policy changed. `open_` opens it."""

    pause_uses_it = True

    def __init__(self, url: str, open_: Callable[[], Engine]) -> None:
        del url
        self.engine = open_()
        try:
            self.connection = self.engine.execution_options(**READER).connect()
            self._listening = self.engine.execution_options(isolation_level="AUTOCOMMIT").connect()
            self._listener: psycopg.Connection[Any] = self._listening.connection.driver_connection  # type: ignore[assignment]
            with _driver_errors():
                self._listener.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            self.engine.dispose()
            raise
        self._asked_at = 0.0
        self._counter: object = None
        self._version: object = object()

    def stands(self) -> bool:
        """Whether this is still the database that the address names: a connection does not move."""
        return True

    def version(self) -> object:
        """Return what differs once the policy was changed, asking only where it may have been. Raises DatabaseError."""
        now = time.monotonic()
        if now - self._asked_at >= POLL_INTERVAL:
            with _driver_errors():
                row = self._listener.execute(_COUNTER).fetchone()
            self._asked_at = now
            if row != self._counter:
                self._counter, self._version = row, object()
        return self._version

    def glance(self, statement: Any, values: dict[str, Any]) -> Sequence[Any]:
        """Return the rows of one statement, which sees one moment. Raises SQLAlchemyError."""
        try:
            return self._listening.execute(statement, values).all()
        finally:
            self._listening.rollback()

    def pause(self, closing: threading.Event, seconds: float) -> None:
        """Wait for a notification, and no longer; at once where `closing` is set. Raises DatabaseError."""
        if closing.is_set():
            return
        with _driver_errors():
            for _ in self._listener.notifies(timeout=min(seconds, _CLOSING), stop_after=1):
                self._version = object()

    def close(self) -> None:
        """Let go of it."""
        self.connection.close()
        self._listening.invalidate()  # LISTEN would go on in the pool
        self._listening.close()
        self.engine.dispose()


@contextmanager
def _driver_errors() -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise DatabaseError(code_of(error), f"the database says: {message_of(error)}") from error
