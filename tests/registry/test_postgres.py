"""What is particular to PostgreSQL: deadlines, notifications, a server that comes and goes, many writers at once."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tenantgate.core.policy import PolicyDelta, PolicySnapshot
from tenantgate.registry import partners
from tenantgate.registry.audit import verify_chain
from tenantgate.registry.engine import open_engine, reading, writing
from tenantgate.registry.engines import postgres as postgresql
from tenantgate.registry.engines.postgres import POLL_INTERVAL
from tenantgate.registry.errors import ConflictError, DatabaseError, RegistryError, TransitionError
from tenantgate.registry.follower import DatabaseSource
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.migrations import migrate
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.snapshot import read_changes, read_snapshot
from tests.gate.world import eventually
from tests.postgres import Postgres, running_postgres
from tests.registry.builders import EPOCH, NOW, Registry, everything, work_on

pytestmark = pytest.mark.postgres
PASSWORD = "not-to-be-told"


@pytest.fixture
def own(postgres: Postgres, postgres_template: str) -> Iterator[Registry]:
    """A database of the test's own on PostgreSQL, with one of each in it."""
    name = postgres.create(postgres_template)
    engine = open_engine(postgres.url_of(name))
    yield Registry(postgres.url_of(name), engine)
    engine.dispose()
    postgres.drop(name)


def code_of(url: str) -> str:
    """Return the code with which opening fails; what is said holds no password."""
    with pytest.raises(DatabaseError) as caught:
        open_engine(url)
    assert PASSWORD not in str(caught.value)
    return caught.value.code


def test_what_cannot_be_opened_says_why(postgres: Postgres, tmp_path: Path):
    """No such database, no such server; and never with the address, which may hold a password."""
    assert code_of(postgres.url_of("nowhere")) == "database_missing"
    assert code_of(f"postgresql://me:{PASSWORD}@127.0.0.1:1/x") == "database_unavailable"
    assert code_of(f"postgresql://me:{PASSWORD}@/x?host={tmp_path}") == "database_unavailable"


def test_a_server_without_a_free_connection_is_busy(postgres: Postgres):
    """It refuses the connection in words alone, without the state that a statement gets."""
    postgres.run("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    try:
        assert code_of(postgres.url.replace("postgres:@", "crowded:@")) == "database_busy"
    finally:
        postgres.run("DROP ROLE crowded")


@pytest.mark.parametrize(
    "said",
    [
        "FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
    ],
)
def test_every_way_of_having_no_connection_left_is_known(said: str):
    """PostgreSQL 15 to 18 say it in these words (proc.c, postinit.c)."""
    import psycopg

    error = psycopg.OperationalError(
        f'connection failed: connection to server at "127.0.0.1", port 5432 failed: {said}'
    )
    assert postgresql.code_of(error) == "database_busy"


def test_libpqs_other_scheme_is_the_same(own: Registry):
    """`postgres://`, as many services print it."""
    engine = open_engine(own.url.replace("postgresql://", "postgres://", 1))
    assert _reads(engine)
    engine.dispose()


def test_without_the_driver_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    """It comes with an extra: who has SQLite needs none."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert code_of("postgresql://localhost/tenantgate") == "database_driver_missing"


@pytest.mark.parametrize("version", [90_624, 140_023])
def test_a_server_older_than_fifteen_is_refused(postgres: Postgres, monkeypatch: pytest.MonkeyPatch, version: int):
    """By a code and its version, whoever opens the database; 15 itself is let go on."""
    import psycopg

    monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", property(lambda _: version))
    with pytest.raises(DatabaseError) as caught:
        open_engine(postgres.url)
    assert caught.value.code == "database_server_old"
    assert f"PostgreSQL {version // 10_000};" in str(caught.value)
    with pytest.raises(DatabaseError) as caught:
        migrate(postgres.url, epoch=EPOCH)
    assert caught.value.code == "database_server_old"

    monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", property(lambda _: 150_000))
    open_engine(postgres.url).dispose()


def test_an_older_server_that_takes_over_is_refused_too(own: Registry, monkeypatch: pytest.MonkeyPatch):
    """An address may name several hosts: every new connection is looked at."""
    import psycopg

    assert _reads(own.engine)
    monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", property(lambda _: 140_023))
    own.engine.dispose()
    with pytest.raises(DatabaseError) as caught, reading(own.engine):
        pytest.fail("an older server was read from")
    assert caught.value.code == "database_server_old"


def test_a_reader_cannot_write_and_sees_one_moment(own: Registry):
    """Whatever others commit meanwhile."""
    with reading(own.engine) as session:
        before = read_snapshot(session)
        with work_on(own.engine) as work:
            partners.suspend(work, "contoso")
        assert read_snapshot(session) == before
    with pytest.raises(DatabaseError) as caught, reading(own.engine) as session:
        session.execute(sa.text("UPDATE partner SET name = 'x'"))
    assert caught.value.code == "database_unwritable"


def test_a_lock_is_waited_for_no_longer_than_said(own: Registry):
    """Another work holds the history: the second is refused, and nothing of it is written."""
    impatient = open_engine(own.url, busy_timeout=0.3)
    with work_on(own.engine), pytest.raises(DatabaseError) as caught, work_on(impatient) as second:
        partners.suspend(second, "contoso")
    impatient.dispose()
    assert caught.value.code == "database_busy"
    with reading(own.engine) as session:
        assert partners.get(session, "contoso").state == "active"


def test_a_statement_has_a_deadline(own: Registry):
    """What takes too long is ended by the server, and the next one goes."""
    engine = open_engine(own.url, deadline=2)
    with pytest.raises(DatabaseError) as caught, reading(engine) as session:
        session.execute(sa.text("SELECT pg_sleep(600)"))
    assert caught.value.code in {"database_busy", "database_unavailable"}  # it is ended, or a stalled one left alone
    with reading(engine) as session:
        assert session.execute(sa.text("SHOW statement_timeout")).scalar() == "2s"
        assert partners.get(session, "contoso").name == "Contoso"
    engine.dispose()


@pytest.mark.threat(47)
def test_fifty_at_once_and_one_wins(own: Registry):
    """Each checks before it writes: one finds it undone, and the order of the audit is that of the effects."""
    engine = open_engine(own.url)
    outcomes: list[str] = []

    def approve(number: int) -> None:
        try:
            with work_on(engine) as work:
                partners.suspend(work, "contoso")
                partners.create(work, PartnerSpec(id=f"winner-{number}", name="Winner"))
            outcomes.append("won")
        except (TransitionError, ConflictError) as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=approve, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    engine.dispose()

    assert sorted(outcomes) == ["state_unchanged"] * 49 + ["won"]
    with reading(own.engine) as session:
        assert verify_chain(session).sound
        assert len([each for each in partners.list_(session).items if each.id.startswith("winner")]) == 1


def test_commit_order_is_revision_order(own: Registry):
    """Two overlapping works: who has seen a revision has seen every one before it."""
    seen: list[int] = []
    stop = threading.Event()

    def follow() -> None:
        last = 1
        while not stop.is_set():
            with reading(own.engine) as session:
                delta = read_changes(session, last)
            if isinstance(delta, PolicyDelta) and delta.rows:
                revisions = [row.revision for row in delta.rows]
                assert revisions == sorted(revisions)
                assert revisions[0] == last + 1
                seen.extend(sorted(set(revisions)))
                last = delta.revision

    def write(place: int) -> None:
        engine = open_engine(own.url)
        for number in range(15):
            with work_on(engine) as work:
                partners.create(work, PartnerSpec(id=f"p-{place}-{number}", name="P"))
        engine.dispose()

    follower = threading.Thread(target=follow)
    follower.start()
    writers = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join(60)
    eventually(lambda: len(seen) == 60)
    stop.set()
    follower.join(30)
    assert seen == list(range(2, 62))


def a_source(url: str) -> DatabaseSource:
    """Return a follower's source on the real clock."""
    return DatabaseSource(
        url,
        describe=lambda: InstanceSpec(id="gate-1", kind="gate", version="1"),
        now=lambda: int(time.time()),
        clock=time.monotonic,
    )


def test_a_change_is_told_in_the_moment_it_is_committed(own: Registry):
    """By a notification: the polled revision alone would take up to a second, each time."""
    source = a_source(own.url)
    source.load()
    took = []
    for number in range(10):
        told = threading.Event()

        def wait(told: threading.Event = told) -> None:
            assert source.wait(30) is not None
            told.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.05)
        with work_on(own.engine) as work:
            partners.create(work, PartnerSpec(id=f"p-{number}", name="P"))
        begun = time.monotonic()
        assert told.wait(30)
        took.append(time.monotonic() - begun)
        waiting.join(10)
    source.close()
    assert sorted(took)[5] < POLL_INTERVAL / 2


def test_a_lost_notification_costs_no_change(own: Registry):
    """Whoever writes the counter without telling anybody is found out by asking."""
    source = a_source(own.url)
    source.load()
    assert source.wait(0) is None
    with own.engine.begin() as connection:
        connection.execute(sa.text("UPDATE revision SET epoch = 'another', supersedes = '[\"epoch-one\"]'"))
    news = source.wait(POLL_INTERVAL * 5)
    assert isinstance(news, PolicySnapshot)
    assert news.epoch == "another"
    source.close()


def test_a_follower_whose_connections_are_cut_misses_nothing(own: Registry, postgres: Postgres):
    """The server ends every connection; the next look opens new ones, and a change in between comes."""
    source = a_source(own.url)
    source.load()
    name = own.engine.url.database
    for number in range(3):
        postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        own.engine.dispose()
        with work_on(own.engine) as work:
            partners.create(work, PartnerSpec(id=f"p-{number}", name="P"))
        got: list[int] = []

        def revision(got: list[int] = got) -> bool:
            try:
                news = source.wait(5)
            except Exception:  # noqa: BLE001 - it is said that the database is in trouble, as it should be
                return False
            got += [news.revision] if news is not None else []
            return bool(got)

        eventually(revision, seconds=20)
        assert got[-1] == 2 + number
    source.close()


@pytest.fixture
def alone(as_shipped: None) -> Iterator[tuple[Registry, Postgres]]:
    """A registry on a server of its own, and the server."""
    with running_postgres() as server:
        name = server.create()
        engine = open_engine(server.url_of(name))
        migrate(engine, epoch=EPOCH)
        with work_on(engine) as work:
            everything(work)
        yield Registry(server.url_of(name), engine), server
        engine.dispose()


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="children are read from /proc")
def test_a_server_that_hangs_is_not_waited_for(alone: tuple[Registry, Postgres]):
    """Stopped in the middle, it acknowledges packets and answers nothing: everybody is told so, and all heals after."""
    registry, server = alone
    source = a_source(registry.url)
    source.load()
    with reading(registry.engine) as session:
        partners.get(session, "contoso")
    with server.hung():
        for attempt in (_read, _write):
            with pytest.raises(DatabaseError) as caught:
                attempt(registry.engine)
            assert caught.value.code in {"database_unavailable", "database_busy"}
        with pytest.raises(RegistryError):
            open_engine(registry.url)
    eventually(lambda: _reads(registry.engine), seconds=60)
    with work_on(registry.engine) as work:
        partners.suspend(work, "contoso")

    def told() -> bool:
        try:
            return source.wait(2) is not None
        except Exception:  # noqa: BLE001 - the trouble is said once, as it should be
            return False

    eventually(told, seconds=20)
    source.close()


def _read(engine: Engine) -> None:
    with reading(engine) as session:
        partners.get(session, "contoso")


def _write(engine: Engine) -> None:
    with writing(engine) as session:
        session.execute(sa.text("UPDATE instance SET seen_at = 0"))


def _reads(engine: Engine) -> bool:
    try:
        _read(engine)
    except DatabaseError:
        return False
    return True


def test_two_who_migrate_at_once_find_one_registry(postgres: Postgres):
    """The second waits, and finds all done."""
    url = postgres.url_of(postgres.create())
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(migrate(url, epoch=f"e-{NOW}"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
