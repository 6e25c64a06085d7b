"""Opening a database: what is wrong with the file is said at once, and writers wait at the door."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tenantgate.registry import partners
from tenantgate.registry.engine import open_engine, reading, writing
from tenantgate.registry.engines.sqlite import READER, data_version, file_identity
from tenantgate.registry.errors import ConflictError, DatabaseError
from tenantgate.registry.migrations import require_known_schema
from tenantgate.registry.tables import Operator, Partner, Revision
from tests.registry.builders import Registry, url_of, work_on

pytestmark = pytest.mark.file

Open = Callable[[Path], Engine]
NOBODY = 65534


def code_of(url: str, **options: bool) -> str:
    """The code with which opening fails."""
    with pytest.raises(DatabaseError) as caught:
        open_engine(url, **options)
    return caught.value.code


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be somebody whom file permissions apply to, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that others may look into (pytest's own folders are private)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost",
        "postgresql+asyncpg://localhost/tenantgate",
        "postgresql://localhost:port/tenantgate",
        "mysql://localhost/tenantgate",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=ro&uri=true",
        "sqlite+aiosqlite:///x.db",
        "sqlite:///x.db?timeout=1",
        "not an address",
        "",
    ],
)
def test_other_databases_are_refused(url: str):
    """A file, or a PostgreSQL database that is named: memory is not seen by other processes."""
    assert code_of(url) == "database_url_unsupported"


def test_missing_folder_is_named(tmp_path: Path):
    """A folder that is not there is not made."""
    assert code_of(url_of(tmp_path / "no" / "registry.db")) == "database_folder_missing"
    assert not (tmp_path / "no").exists()


def test_missing_file_is_made_only_where_wanted(tmp_path: Path):
    """A gate never makes a new, empty database."""
    assert code_of(url_of(tmp_path / "registry.db"), create=False) == "database_missing"
    assert list(tmp_path.iterdir()) == []


def test_folder_is_no_file(tmp_path: Path):
    """A folder in place of the file is refused."""
    assert code_of(url_of(tmp_path)) == "database_not_a_file"


def test_new_file_is_its_owners_alone(tmp_path: Path, opened: Open):
    """The file, its log and its index can be read by nobody else, whatever the umask."""
    before = os.umask(0)
    try:
        engine = opened(tmp_path / "registry.db")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x)")
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"registry.db": 0o600, "registry.db-wal": 0o600, "registry.db-shm": 0o600}


def test_unwritable_folder_is_refused(shared_folder: Path):
    """A folder in which no file can be made is refused."""
    shared_folder.chmod(0o555)
    with unprivileged():
        assert code_of(url_of(shared_folder / "registry.db")) == "database_unwritable"


def test_unwritable_file_is_refused(shared_folder: Path):
    """A file that may be read and not written is refused before anything is done with it."""
    path = shared_folder / "registry.db"
    open_engine(url_of(path)).dispose()
    path.chmod(0o444)
    with unprivileged():
        assert code_of(url_of(path)) == "database_unwritable"


def test_unreadable_file_is_refused(shared_folder: Path):
    """A file that may not be read is refused."""
    path = shared_folder / "registry.db"
    open_engine(url_of(path)).dispose()
    path.chmod(0o000)
    with unprivileged():
        assert code_of(url_of(path)) == "database_unwritable"


def test_another_kind_of_file_is_refused_and_kept(tmp_path: Path):
    """A text file is no database, and stays what it was."""
    (tmp_path / "notes.txt").write_text("a list of things to do\n")

    assert code_of(url_of(tmp_path / "notes.txt")) == "database_not_sqlite"
    assert (tmp_path / "notes.txt").read_text() == "a list of things to do\n"


def test_damaged_file_is_refused(registry: Registry):
    """A database whose pages are garbage is refused as damaged."""
    registry.engine.dispose()
    content = registry.path.read_bytes()
    registry.path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))

    assert code_of(registry.url) == "database_corrupt"


def test_truncated_file_is_refused(registry: Registry):
    """A database cut off in its first page is refused, not taken for a new one."""
    registry.engine.dispose()
    registry.path.write_bytes(registry.path.read_bytes()[:90])

    with pytest.raises(DatabaseError) as caught:
        require_known_schema(open_engine(registry.url))

    assert caught.value.code in {"database_corrupt", "database_not_sqlite"}


def spoil(path: Path, statement: str) -> None:
    """Have bytes in a file that no text has."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(statement)


def test_a_damaged_schema_is_told_without_its_text(registry: Registry):
    """SQLite quotes it, and the driver cannot read the quotation."""
    registry.engine.dispose()
    spoil(
        registry.path,
        "UPDATE sqlite_schema SET name = CAST(x'70ee72' AS TEXT), sql = 'CREATE nonsense' WHERE name = 'partner'",
    )

    assert code_of(registry.url) == "database_corrupt"


def test_a_text_that_is_none_is_told_without_it(registry: Registry):
    """The driver's own message has it, and goes to the log."""
    spoil(registry.path, "UPDATE partner SET name = CAST(x'7061737377ee6f7264' AS TEXT) WHERE id = 'contoso'")

    with pytest.raises(DatabaseError) as caught, reading(registry.engine) as session:
        partners.get(session, "contoso")

    assert caught.value.code == "database_corrupt"
    assert "passw" not in str(caught.value)
    assert "passw" not in repr(caught.value.__cause__)


READ_AND_END = """
import sys
from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.snapshot import read_state
engine = open_engine(sys.argv[1], create=False)
with reading(engine) as session:
    print(read_state(session).revision)
engine.dispose()
"""


def test_what_others_do_takes_no_lock_from_us(registry: Registry):
    """Two engines on one file in this process, a second process that comes and goes: the log stays, and so do changes.

    A lock of ours lost (by opening and closing the file beside SQLite) had the other process remove the log under our
    connections: whatever was acknowledged after that was gone.
    """
    held = registry.engine.execution_options(**READER).connect()
    second = open_engine(registry.url, create=False)
    log = Path(f"{registry.path}-wal")
    with work_on(registry.engine) as work:
        partners.suspend(work, "contoso")
    before = log.stat().st_ino

    def asked() -> str:
        done = subprocess.run(
            [sys.executable, "-c", READ_AND_END, registry.url], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    assert asked() == "2"
    assert log.stat().st_ino == before
    with work_on(registry.engine) as work:
        partners.activate(work, "contoso")
    assert asked() == "3"
    assert log.stat().st_ino == before
    held.close()
    second.dispose()


def test_two_processes_may_make_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where another process makes the file at the same moment, both open it."""
    real = os.open

    def taken(path: Path, flags: int, mode: int = 0o777) -> int:
        os.close(real(path, os.O_CREAT, mode))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", taken)
    open_engine(url_of(tmp_path / "registry.db")).dispose()

    assert (tmp_path / "registry.db").is_file()


def test_writers_wait_at_the_door(registry: Registry):
    """A second writer is refused before it has read anything, and nothing of it is written."""
    impatient = open_engine(registry.url, busy_timeout=0.01)
    with writing(registry.engine), pytest.raises(DatabaseError) as caught, writing(impatient):
        pytest.fail("two writers at once")
    impatient.dispose()

    assert caught.value.code == "database_busy"


def test_readers_never_wait_for_a_writer(registry: Registry):
    """While somebody writes, readers see what was committed before."""
    with writing(registry.engine) as writer:
        writer.execute(sa.update(Partner).values(name="Other"))
        with reading(registry.engine) as reader:
            assert reader.get_one(Partner, "contoso").name == "Contoso"


def test_reader_sees_one_moment(registry: Registry):
    """What is committed while a reader reads does not change what it reads."""
    with reading(registry.engine) as reader:
        before = reader.get_one(Partner, "contoso", populate_existing=True).name
        with writing(registry.engine) as writer:
            writer.execute(sa.update(Partner).values(name="Other"))
        assert reader.get_one(Partner, "contoso", populate_existing=True).name == before


def test_reader_cannot_write(registry: Registry):
    """A session for reading refuses to write, whatever the code in it tries."""
    with pytest.raises(DatabaseError) as caught, reading(registry.engine) as session:
        session.execute(sa.update(Revision).values(revision=99))

    assert caught.value.code == "database_unwritable"
    with writing(registry.engine) as session:
        assert session.get_one(Revision, 1).revision == 1


def test_broken_constraint_is_a_conflict(registry: Registry):
    """What the services did not see coming, the database refuses: unique values, references, states."""
    with pytest.raises(ConflictError) as caught, writing(registry.engine) as session:
        session.execute(sa.update(Operator).values(role="King"))

    assert caught.value.code == "conflict"


def test_no_connection_left_is_busy(registry: Registry):
    """A pool with no free connection says busy, like any other queue."""
    small = sa.create_engine(registry.engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with small.connect(), pytest.raises(DatabaseError) as caught, reading(small):
        pytest.fail("there was a second connection")
    small.dispose()

    assert caught.value.code == "database_busy"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (sqlite3.SQLITE_FULL, "database_full"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "database_busy"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "database_unwritable"),
        (sqlite3.SQLITE_CORRUPT, "database_corrupt"),
        (sqlite3.SQLITE_NOTADB, "database_not_sqlite"),
        (sqlite3.SQLITE_IOERR, "database_unavailable"),
    ],
)
def test_driver_errors_have_codes(registry: Registry, result: int, code: str):
    """Every result code of SQLite becomes a code of ours, extended ones too."""
    error = sqlite3.OperationalError("it went wrong")
    error.sqlite_errorcode = result

    with pytest.raises(DatabaseError) as caught, writing(registry.engine):
        raise sa.exc.OperationalError("UPDATE", {}, error)

    assert caught.value.code == code


def test_full_disk_changes_nothing(registry: Registry):
    """A database that may not grow refuses the change with its code and keeps what it had."""
    with registry.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    small = open_engine(registry.url)
    # The limit belongs to a connection: this engine has one, and keeps it.
    with small.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(DatabaseError) as caught, writing(small) as session:
        session.execute(sa.update(Partner).values(notes="x" * 1_000_000))
    small.dispose()

    assert caught.value.code == "database_full"
    with reading(registry.engine) as session:
        assert session.get_one(Partner, "contoso").notes == ""


def test_data_version_moves_with_others_changes(registry: Registry):
    """The number moves when somebody else commits, and only then."""
    connection = registry.engine.execution_options(**READER).connect()
    first = data_version(connection)
    assert data_version(connection) == first

    with writing(registry.engine) as session:
        session.execute(sa.update(Partner).values(name="Other"))

    assert data_version(connection) != first
    connection.close()


def test_replaced_file_is_another_file(registry: Registry):
    """A file moved over the old one is noticed, and a file that is gone has a code."""
    before = file_identity(registry.path)
    copy = registry.path.with_name("copy.db")
    copy.write_bytes(registry.path.read_bytes())
    copy.rename(registry.path)
    assert file_identity(registry.path) != before

    registry.path.unlink()
    with pytest.raises(DatabaseError) as caught:
        file_identity(registry.path)
    assert caught.value.code == "database_missing"


def test_nothing_is_written_to_a_file_that_was_replaced(registry: Registry):
    """A backup put in place under a server: neither the file that is gone nor the new one gets a change."""
    copy = registry.path.with_name("copy.db")
    copy.write_bytes(registry.path.read_bytes())

    def suspend() -> None:
        with work_on(registry.engine) as work:
            partners.suspend(work, "contoso")
            copy.rename(registry.path)

    with pytest.raises(DatabaseError) as caught:
        suspend()
    assert caught.value.code == "database_replaced"
    for attempt in (reading, writing):
        with pytest.raises(DatabaseError) as caught, attempt(registry.engine):
            pytest.fail("the file that is gone was opened")
        assert caught.value.code == "database_replaced"

    with closing(sqlite3.connect(registry.path)) as found:
        assert found.execute("SELECT state FROM partner").fetchall() == [("active",)]


def test_a_file_that_comes_back_is_the_same_file(registry: Registry):
    """Moved away it is missing; moved back all is as before."""
    away = registry.path.rename(registry.path.with_name("away.db"))
    with pytest.raises(DatabaseError) as caught, reading(registry.engine):
        pytest.fail("a file that is gone was opened")
    assert caught.value.code == "database_missing"
    away.rename(registry.path)
    with work_on(registry.engine) as work:
        partners.suspend(work, "contoso")


def test_threads_share_an_engine(registry: Registry):
    """Writers of several threads wait for each other; none is lost."""

    def rename() -> None:
        with writing(registry.engine) as session:
            partner = session.get_one(Partner, "contoso")
            partner.version += 1
            session.add(partner)

    threads = [threading.Thread(target=rename) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with reading(registry.engine) as session:
        assert session.get_one(Partner, "contoso").version == 9


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"], ids=["too long", "NUL"])
def test_unusable_path_is_refused(tmp_path: Path, name: str):
    """A path the system will not take is refused with a code, not with the system's own error."""
    assert code_of(f"sqlite:///{tmp_path}/{name}") == "database_unwritable"
