"""A gate's way to the database: changes arrive, and nothing broken ever looks like an empty policy."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.core.index import PolicyIndex
from tenantgate.core.policy import PolicyDelta, PolicySnapshot
from tenantgate.feed.source import FeedError, Mark, PolicySource
from tenantgate.registry import adoption, instances, issuer_health, partners
from tenantgate.registry.engine import open_engine, reading, writing
from tenantgate.registry.errors import DatabaseError, NotFoundError
from tenantgate.registry.follower import (
    ACKNOWLEDGE_INTERVAL,
    FORK_GRACE,
    HEARTBEAT_INTERVAL,
    KEYS_INTERVAL,
    DatabaseSource,
)
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.migrations import migrate
from tenantgate.registry.tables import Change, Instance, Revision
from tenantgate.registry.unit_of_work import Work
from tests.registry.builders import EPOCH, NOW, Registry, a_partner, an_engine, everything, refresh, url_of, work_on

ROOT = Path(__file__).resolve().parents[2]
GATE = InstanceSpec(id="gate-1", kind="gate", version="0.1.0")
LONG = 20.0


class Clock:
    """A monotonic clock that also runs by itself, until a test stops it, and that a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._stopped_at: float | None = None

    def stop(self) -> None:
        """Go forward by what the test says, and by nothing else."""
        self._stopped_at = time.monotonic()

    def __call__(self) -> float:
        return (time.monotonic() if self._stopped_at is None else self._stopped_at) + self.ahead


Start = Callable[..., DatabaseSource]


@pytest.fixture
def clock() -> Clock:
    """The sources' clock."""
    return Clock()


@pytest.fixture
def start(clock: Clock) -> Iterator[Start]:
    """Make sources that are closed after the test."""
    sources: list[DatabaseSource] = []

    def start_(url: str, spec: InstanceSpec = GATE) -> DatabaseSource:
        sources.append(DatabaseSource(url, describe=lambda: spec, now=lambda: NOW + int(clock.ahead), clock=clock))
        return sources[-1]

    yield start_
    for source in sources:
        source.close()


def code_of(call: Callable[[], object]) -> str:
    """The code with which a source refuses."""
    with pytest.raises(FeedError) as caught:
        call()
    return caught.value.code


def instance_of(registry: Registry) -> Instance:
    """What the database knows about the gate."""
    with reading(registry.engine) as session:
        return instances.get(session, GATE.id)


def restore(backup: Path, registry: Registry) -> None:
    """Put a backup in place of the database as an operator should: the old write-ahead log goes too."""
    registry.engine.dispose()
    for end in ("-wal", "-shm"):
        registry.path.with_name(registry.path.name + end).unlink(missing_ok=True)
    backup.rename(registry.path)


def suspend(registry: Registry) -> int:
    """Suspend Contoso and return the revision."""
    with registry.work() as work:
        partners.suspend(work, "contoso")
    assert work.revision is not None
    return work.revision


def test_source_is_a_policy_source(registry: Registry, start: Start):
    """It has the seam's shape."""
    source: PolicySource = start(registry.url)

    assert source.load().revision == 1


def test_whole_policy_makes_an_index(registry: Registry, start: Start):
    """What is loaded is the policy: epoch, revision and rows an index can be made of."""
    snapshot = start(registry.url).load()

    index = PolicyIndex.from_snapshot(snapshot)
    assert (snapshot.epoch, snapshot.revision) == (EPOCH, 1)
    assert [grant.id for grant in index.daemons["nightly"].grants] == ["nightly-read"]


def test_change_arrives_as_a_delta(registry: Registry, start: Start):
    """A suspension arrives, can be applied, and arrives once."""
    source = start(registry.url)
    index = refresh(None, source.load())
    assert source.wait(0) is None

    revision = suspend(registry)
    news = source.wait(LONG)

    assert isinstance(news, PolicyDelta)
    assert refresh(index, news).partners["contoso"].state == "suspended"
    assert index.revision == revision == 2
    assert source.wait(0) is None


def test_several_changes_arrive_together(registry: Registry, start: Start):
    """What happened between two looks is one delta, revision by revision."""
    source = start(registry.url)
    source.load()
    with registry.work() as work:
        a_partner(work, id="fabrikam", name="Fabrikam")
    suspend(registry)

    news = source.wait(LONG)

    assert isinstance(news, PolicyDelta)
    assert [(row.revision, row.id) for row in news.rows] == [(2, "fabrikam"), (3, "contoso")]


def test_wait_begins_with_the_whole_policy(registry: Registry, start: Start):
    """A source that was never loaded delivers everything first."""
    news = start(registry.url).wait(LONG)

    assert isinstance(news, PolicySnapshot)
    assert news.revision == 1


def test_change_without_policy_is_no_news(registry: Registry, start: Start):
    """What gates need not know (an instance, a session) wakes nobody."""
    source = start(registry.url)
    source.load()
    with writing(registry.engine) as session:
        instances.register(session, InstanceSpec(id="other", kind="gate", version="1"), now=NOW)

    assert source.wait(0.1) is None


def test_feed_that_was_cut_off_gives_the_whole_policy(registry: Registry, start: Start):
    """Where changes in between are gone, the whole policy comes instead of a delta with a hole."""
    source = start(registry.url)
    source.load()
    with registry.work() as work:
        a_partner(work, id="fabrikam", name="Fabrikam")
    suspend(registry)
    with writing(registry.engine) as session:
        session.execute(sa.delete(Change).where(sa.column("revision") == 2))

    news = source.wait(LONG)

    assert isinstance(news, PolicySnapshot)
    assert news.revision == 3


def test_new_epoch_gives_the_whole_policy(registry: Registry, start: Start):
    """An operator who adopts a database makes every gate load it whole, lower revision or not."""
    source = start(registry.url)
    suspend(registry)
    source.load()
    with writing(registry.engine) as session:
        session.execute(sa.update(Revision).values(epoch="epoch-two", supersedes=[EPOCH], revision=1))

    news = source.wait(LONG)

    assert isinstance(news, PolicySnapshot)
    assert (news.epoch, news.revision) == ("epoch-two", 1)


def test_an_epoch_that_took_nothings_place_is_refused(registry: Registry, start: Start):
    """A database of another history, an older one above all, is not followed because it has another name."""
    source = start(registry.url)
    source.load()
    with writing(registry.engine) as session:
        session.execute(sa.update(Revision).values(epoch="epoch-zero", supersedes=["epoch-minus-one"]))

    assert code_of(lambda: source.wait(LONG)) == "policy_epoch_unknown"
    assert code_of(source.load) == "policy_epoch_unknown"


@pytest.mark.parametrize(
    ("epoch", "revision", "digest", "code"),
    [
        (EPOCH, 7, "", "policy_went_back"),
        (EPOCH, 1, "f" * 64, "policy_history_differs"),
        ("epoch-two", 1, "", "policy_epoch_unknown"),
    ],
)
def test_a_source_never_falls_behind_what_another_process_has_seen(
    registry: Registry, start: Start, clock: Clock, epoch: str, revision: int, digest: str, code: str
):
    """A mark of before this process holds from the first load on; the database learns who refuses it, and why."""
    source = start(registry.url)
    sequence = 1 if digest else 0
    mark = Mark(epoch=epoch, revision=revision, audit_sequence=sequence, audit_hash=digest)
    source.resume(mark)

    assert code_of(source.load) == code
    assert code_of(lambda: source.wait(0)) == code

    found = instance_of(registry)
    assert (found.refuses, found.held_epoch, found.held_revision) == (code, epoch, revision)
    assert found.acknowledged_revision is None
    assert source.mark == mark


def test_a_mark_behind_the_sources_own_adds_nothing(registry: Registry, start: Start):
    """But the whole policy comes again: what was delivered may not be what is in force."""
    source = start(registry.url)
    suspend(registry)
    own = source.load().revision
    source.resume(Mark(epoch=EPOCH, revision=1, audit_sequence=0, audit_hash=""))

    news = source.wait(LONG)

    assert isinstance(news, PolicySnapshot)
    assert (news.revision, source.mark.revision if source.mark else None) == (own, own)


def test_who_follows_again_refuses_no_more(registry: Registry, start: Start, clock: Clock):
    """Once the database is adopted the process is one of its own, and says what it enforces."""
    source = start(registry.url)
    source.resume(Mark(epoch="epoch-two", revision=9, audit_sequence=0, audit_hash=""))
    assert code_of(lambda: source.wait(0)) == "policy_epoch_unknown"
    with registry.work() as work:
        adoption.adopt(work, epoch=EPOCH)

    news = source.wait(LONG)
    assert isinstance(news, PolicySnapshot)
    source.acknowledge(news.revision)
    clock.ahead += 1.0
    assert source.wait(0) is None

    found = instance_of(registry)
    assert (news.revision, found.acknowledged_revision) == (10, 10)
    assert (found.refuses, found.held_epoch, found.held_revision) == (None, None, None)


def test_unmigrated_database_is_no_policy(tmp_path: Path, start: Start):
    """A missing, an empty and a foreign file are errors until there is a registry; then the policy is delivered."""
    path = tmp_path / "registry.db"
    source = start(url_of(path))
    assert code_of(source.load) == "database_missing"
    assert not path.exists()

    path.touch(0o600)
    assert code_of(source.load) == "schema_missing"

    an_engine(path).dispose()
    assert source.load().revision == 0
    assert source.load().rows == ()


def test_database_without_its_counter_is_no_policy(registry: Registry, start: Start):
    """A registry that lost its counter is an error, never a policy without rows."""
    with registry.engine.begin() as connection:
        connection.execute(sa.delete(Revision))

    assert code_of(start(registry.url).load) == "revision_missing"


def test_row_that_makes_no_sense_is_no_policy(registry: Registry, start: Start):
    """A row somebody else wrote wrongly refuses the policy as a whole."""
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE resource SET audiences = '\"api://orders\"'")

    assert code_of(start(registry.url).load) == "row_malformed"


def test_change_that_makes_no_sense_is_no_news(registry: Registry, start: Start):
    """A change somebody else wrote wrongly is refused, and refused again."""
    source = start(registry.url)
    source.load()
    suspend(registry)
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE change SET kind = 'planet' WHERE revision = 2")

    assert code_of(lambda: source.wait(LONG)) == "row_malformed"
    assert code_of(lambda: source.wait(0)) == "row_malformed"


@pytest.mark.file
def test_database_that_goes_away_is_an_error_until_it_is_back(registry: Registry, start: Start):
    """While the file is gone the source says so; when it is back, what changed meanwhile arrives."""
    source = start(registry.url)
    index = refresh(None, source.load())
    away = registry.path.with_name("away.db")
    with registry.engine.connect() as connection:
        # All of it into the file itself: the write-ahead log does not travel.
        connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    registry.engine.dispose()
    registry.path.rename(away)

    assert code_of(lambda: source.wait(LONG)) == "database_missing"
    assert code_of(lambda: source.wait(0)) == "database_missing"

    engine = open_engine(url_of(away))
    with work_on(engine) as work:
        partners.suspend(work, "contoso")
    engine.dispose()
    away.rename(registry.path)
    news = source.wait(LONG)
    assert isinstance(news, PolicyDelta)
    assert refresh(index, news).partners["contoso"].state == "suspended"


@pytest.mark.file
def test_restored_backup_is_refused(registry: Registry, start: Start):
    """A backup moved over the database never lets anybody in again whom the gate knows as suspended."""
    registry.engine.dispose()
    backup = registry.path.with_name("backup.db")
    shutil.copy(registry.path, backup)
    source = start(registry.url)
    suspend(registry)
    source.load()
    restore(backup, registry)

    assert code_of(lambda: source.wait(LONG)) == "policy_went_back"
    assert code_of(source.load) == "policy_went_back"


@pytest.mark.file
def test_restored_backup_is_refused_after_it_went_on(registry: Registry, start: Start):
    """A restored backup that has passed the old revision by other changes has another history: refused."""
    registry.engine.dispose()
    backup = registry.path.with_name("backup.db")
    shutil.copy(registry.path, backup)
    source = start(registry.url)
    suspend(registry)
    source.load()
    registry.engine.dispose()
    engine = open_engine(url_of(backup))
    for name in ("fabrikam", "northwind"):
        with work_on(engine) as work:
            a_partner(work, id=name, name=name)
    engine.dispose()
    restore(backup, registry)

    assert code_of(lambda: source.wait(LONG)) == "policy_history_differs"


@pytest.mark.file
def test_damaged_database_is_an_error(registry: Registry, start: Start):
    """A file overwritten with garbage is an error, not a policy."""
    source = start(registry.url)
    source.load()
    registry.engine.dispose()
    garbage = registry.path.with_name("garbage")
    garbage.write_bytes(b"garbage" * 1_000)
    garbage.rename(registry.path)

    assert code_of(lambda: source.wait(LONG)) == "database_not_sqlite"


def test_source_closes_while_somebody_waits(registry: Registry, start: Start):
    """Closing ends a wait in another thread; after it there is nothing to load."""
    source = start(registry.url)
    source.load()
    returned: list[object] = []
    waiting = threading.Thread(target=lambda: returned.append(source.wait(3_600)))
    waiting.start()

    source.close()
    waiting.join(LONG)

    assert returned == [None]
    assert source.wait(3_600) is None
    assert code_of(source.load) == "source_closed"


def test_closing_twice_and_unopened_is_fine(registry: Registry, start: Start):
    """Closing needs no care."""
    source = start(registry.url)
    source.close()
    source.close()

    assert code_of(source.load) == "source_closed"


def test_address_that_can_never_work_is_refused_at_once():
    """A wrong address is a mistake of configuration: said when the source is made."""
    with pytest.raises(DatabaseError) as caught:
        DatabaseSource("sqlite://", describe=lambda: GATE, now=lambda: NOW, clock=time.monotonic)

    assert caught.value.code == "database_url_unsupported"


def test_gate_is_known_while_it_runs(registry: Registry, start: Start):
    """An instance registers, says what it enforces, and signs off."""
    source = start(registry.url)
    revision = source.load().revision
    source.wait(0)
    assert instance_of(registry).acknowledged_revision is None

    source.acknowledge(revision)
    source.wait(ACKNOWLEDGE_INTERVAL * 2)
    found = instance_of(registry)
    assert (found.kind, found.version, found.acknowledged_revision) == ("gate", "0.1.0", revision)

    source.close()
    with pytest.raises(NotFoundError):
        instance_of(registry)


@pytest.mark.file  # whose commits can be counted
def test_what_is_enforced_is_written_seldom(registry: Registry, start: Start, clock: Clock):
    """An acknowledgement is written at once if the last is old, later if not, and never twice."""
    writes: list[int] = []
    clock.stop()
    source = start(registry.url)
    source.load()
    source.acknowledge(1)
    source.wait(0)
    count = data_versions(registry, writes)

    source.wait(0)
    assert count() == 0
    source.acknowledge(2)
    source.wait(0)
    assert count() == 0
    clock.ahead += ACKNOWLEDGE_INTERVAL
    source.wait(0)
    assert count() == 1
    clock.ahead += ACKNOWLEDGE_INTERVAL
    source.wait(0)
    assert count() == 1
    clock.ahead += HEARTBEAT_INTERVAL
    source.wait(0)
    assert count() == 2


def data_versions(registry: Registry, writes: list[int]) -> Callable[[], int]:
    """Count the commits others make from now on."""
    connection = registry.engine.raw_connection()

    def count() -> int:
        writes.append(connection.cursor().execute("PRAGMA data_version").fetchone()[0])
        return len(set(writes)) - 1

    count()
    return count


@pytest.mark.file  # whose commits can be counted
def test_health_of_keys_is_asked_for_seldom_and_written_when_it_changed(registry: Registry, start: Start, clock: Clock):
    """Rendering every issuer's health takes time that requests want: neither at each poll nor when nobody reads it."""
    asked: list[int] = []
    facts: dict[str, Any] = {"issuer": "entra", "document": "v2", "appid": None, "failures": 0}

    def keys() -> list[dict[str, Any]]:
        asked.append(facts["failures"])
        return [dict(facts)]

    def said() -> list[int]:
        with reading(registry.engine) as session:
            return [row.facts["failures"] for row in issuer_health.list_(session, seen_since=0)]

    clock.stop()
    source = start(registry.url)
    source.report(keys)
    source.load()
    for _ in range(3):
        source.wait(0)
    assert (said(), asked) == ([0], [0])
    count = data_versions(registry, [])

    clock.ahead += KEYS_INTERVAL
    source.wait(0)
    assert (count(), asked) == (0, [0, 0])
    facts["failures"] = 1
    source.wait(0)
    assert (count(), asked) == (0, [0, 0])
    clock.ahead += KEYS_INTERVAL
    source.wait(0)
    assert (count(), asked, said()) == (1, [0, 0, 1], [1])


def test_busy_database_only_delays_the_acknowledgement(registry: Registry, start: Start, clock: Clock):
    """While somebody writes, reading goes on, and the acknowledgement comes when they are done."""
    source = start(registry.url)
    source.load()
    with writing(registry.engine):
        source.acknowledge(1)
        assert source.wait(0.1) is None
    clock.ahead += ACKNOWLEDGE_INTERVAL

    source.wait(0)

    assert instance_of(registry).acknowledged_revision == 1


def test_unwritable_acknowledgement_is_said_and_news_still_come(
    registry: Registry, start: Start, monkeypatch: pytest.MonkeyPatch
):
    """A gate that may not write says so, and goes on receiving changes."""
    source = start(registry.url)
    source.load()

    def refuse(*_: object, **__: object) -> None:
        raise DatabaseError("database_unwritable", "read-only")

    monkeypatch.setattr(instances, "register", refuse)
    assert code_of(lambda: source.wait(LONG)) == "database_unwritable"

    suspend(registry)
    assert isinstance(source.wait(LONG), PolicyDelta)


def test_forgotten_instance_registers_again(registry: Registry, start: Start, clock: Clock):
    """An instance struck off the list by mistake is back with its next acknowledgement."""
    source = start(registry.url)
    source.load()
    source.acknowledge(1)
    source.wait(0)
    with writing(registry.engine) as session:
        instances.forget(session, GATE.id)
    clock.ahead += HEARTBEAT_INTERVAL

    source.wait(0)

    assert instance_of(registry).acknowledged_revision == 1


FOLLOWER = """
import sys, time
from tests.registry.builders import refresh
from tenantgate.registry.follower import DatabaseSource
from tenantgate.registry.instances import InstanceSpec
spec = InstanceSpec(id=sys.argv[2], kind="gate", version="1")
source = DatabaseSource(sys.argv[1], describe=lambda: spec, now=lambda: int(time.time()), clock=time.monotonic)
index = refresh(None, source.load())
print(index.partners["contoso"].state, flush=True)
while index.partners["contoso"].state == "active":
    news = source.wait(1.0)
    if news is not None:
        index = refresh(index, news)
        source.acknowledge(index.revision)
print(index.partners["contoso"].state, index.revision, flush=True)
sys.stdin.read()
source.close()
"""


def test_other_process_sees_a_suspension(registry: Registry):
    """A gate in another process enforces a suspension, and the registry knows that it does."""
    gate = subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, registry.url, GATE.id],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert gate.stdout is not None
    assert gate.stdout.readline() == "active\n"

    revision = suspend(registry)

    assert gate.stdout.readline() == f"suspended {revision}\n"
    gate.communicate("")
    assert gate.returncode == 0


FORKING = """
import os, sys, threading, time
def follow_in_child():
    # As a gate does: its hook is there before the follower's, so its thread is faster.
    threading.Thread(target=follow).start()
    time.sleep(0.1)
os.register_at_fork(after_in_child=follow_in_child)
from tests.registry.builders import refresh
from tenantgate.core.policy import PolicySnapshot
from tenantgate.registry import adoption, instances, issuer_health, partners
from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.follower import DatabaseSource
from tenantgate.registry.instances import InstanceSpec
from tests.registry.builders import work_on
url = sys.argv[1]
describe = lambda: InstanceSpec(id=f"gate-{os.getpid()}", kind="gate", version="1")
source = DatabaseSource(url, describe=describe, now=lambda: int(time.time()), clock=time.monotonic)
source.report(lambda: [{"issuer": "entra", "document": "v2", "appid": None}])
source.load()
threading.Thread(target=source.wait, args=(3600,), daemon=True).start()
read, write = os.pipe()
def follow():
    news = source.wait(20)
    assert isinstance(news, PolicySnapshot), news
    index = refresh(None, news)
    os.write(write, b"loaded")
    while index.partners["contoso"].state == "active":
        news = source.wait(20)
        index = refresh(index, news) if news is not None else index
    source.acknowledge(index.revision)
    source.wait(1)
    with reading(open_engine(url)) as session:
        assert instances.get(session, f"gate-{os.getpid()}").acknowledged_revision == index.revision
        assert f"gate-{os.getpid()}" in [row.instance for row in issuer_health.list_(session, seen_since=0)]
    os._exit(7)
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(1)
assert os.read(read, 6) == b"loaded"
engine = open_engine(url)
with work_on(engine) as work:
    partners.suspend(work, "contoso")
_, status = os.waitpid(child, 0)
source.close()
sys.exit(os.waitstatus_to_exitcode(status) - 7)
"""


def test_source_works_in_parent_and_child_after_a_fork(registry: Registry):
    """After a fork the child has connections and a name of its own, begins with the whole policy, and follows."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING, registry.url], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")
    if registry.file is not None:
        with sqlite3.connect(registry.file) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


FORKED_WHILE_SUSPENDED = """
import os, sys, threading, time
from tenantgate.registry import enforcement, follower, instances, partners
from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.follower import DatabaseSource
from tenantgate.registry.instances import InstanceSpec
from tests.registry.builders import work_on
url = sys.argv[1]
describe = lambda: InstanceSpec(id=f"gate-{os.getpid()}", kind="gate", version="1")
source = DatabaseSource(url, describe=describe, now=lambda: int(time.time()), clock=time.monotonic)
source.acknowledge(source.load().revision)
source.wait(0)
read, write = os.pipe()
child = os.fork()
if child == 0:
    def read_slowly(session):
        os.write(write, b"reading")
        time.sleep(60)
    follower.read_snapshot = read_slowly
    source.load()
    os._exit(1)
assert os.read(read, 7) == b"reading"
engine = open_engine(url)
with work_on(engine) as work:
    partners.suspend(work, "contoso")
source.acknowledge(source.wait(20).revision)
while True:
    source.wait(0.1)
    with reading(engine) as session:
        found = enforcement.read(session, now=int(time.time()))
    if found.enforcing:
        break
os.kill(child, 9)
os.waitpid(child, 0)
source.close()
assert not found.whole
assert [(each.row.id, each.why) for each in found.stragglers] == [(f"gate-{child}", "starting")]
"""


def test_a_forked_child_that_still_reads_the_policy_is_known(registry: Registry):
    """It judges by what it inherited: nobody may be told that all enforce a suspension before it does."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED_WHILE_SUSPENDED, registry.url],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_after_a_fork_nothing_new_is_said_until_the_child_is_known(registry: Registry):
    """What the parent enforces next its child may not yet; forks without end do not keep it silent for ever."""
    moment = [100.0]
    source = DatabaseSource(registry.url, describe=lambda: GATE, now=lambda: NOW, clock=lambda: moment[0])
    source.acknowledge(source.load().revision)
    source.wait(0)
    before = instance_of(registry).acknowledged_revision

    def fork() -> None:
        assert source.let_go(1)
        source.go_on()

    def enforce(change: Callable[[Work, str], object]) -> int:
        with registry.work() as work:
            change(work, "contoso")
        news = source.wait(LONG)
        assert news is not None
        source.acknowledge(news.revision)
        return news.revision

    revision = enforce(partners.suspend)
    fork()
    moment[0] += FORK_GRACE / 2
    source.wait(0)
    assert instance_of(registry).acknowledged_revision == before
    moment[0] += FORK_GRACE / 2
    source.wait(0)
    assert instance_of(registry).acknowledged_revision == revision

    revision = enforce(partners.activate)
    for _ in range(int(HEARTBEAT_INTERVAL / FORK_GRACE) * 2 + 1):
        fork()
        moment[0] += FORK_GRACE / 2
        source.wait(0)
    assert instance_of(registry).acknowledged_revision == revision
    source.close()


def test_migrating_while_a_gate_waits(tmp_path: Path, start: Start):
    """A gate started before its database is migrated picks the policy up by itself."""
    path = tmp_path / "registry.db"
    source = start(url_of(path))
    assert code_of(lambda: source.wait(0)) == "database_missing"

    engine = open_engine(url_of(path))
    migrate(engine, epoch=EPOCH)
    with work_on(engine) as work:
        everything(work)
    engine.dispose()

    news = source.wait(LONG)
    assert isinstance(news, PolicySnapshot)
    assert news.revision == 1
