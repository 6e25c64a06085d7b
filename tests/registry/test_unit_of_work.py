"""One change is whole or not at all, and the order of revisions is the order of commits."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.core.policy import PolicyDelta, Row
from tenantgate.registry import assignments, audit, daemons, operators, partners, tables, tenants
from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.errors import DatabaseError, NotFoundError, SchemaError
from tenantgate.registry.operators import KeySpec
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.snapshot import read_changes, read_state
from tenantgate.registry.unit_of_work import Work
from tests.registry.builders import (
    ACTOR,
    NOW,
    Registry,
    a_daemon,
    a_partner,
    a_tenant,
    counting_bytes,
    counting_ids,
    work_on,
)

ROOT = Path(__file__).resolve().parents[2]
TABLES = [table for table in tables.Base.metadata.sorted_tables if table.name != "instance"]


def content_of(registry: Registry) -> dict[str, list[Any]]:
    """Every row of every table."""
    with registry.engine.connect() as connection:
        return {table.name: list(connection.execute(sa.select(table))) for table in TABLES}


def changes_since(registry: Registry, revision: int) -> PolicyDelta:
    """The delta after a revision."""
    with reading(registry.engine) as session:
        delta = read_changes(session, revision)
    assert delta is not None
    return delta


def test_change_takes_one_revision(registry: Registry):
    """However many rows a unit of work changes, it takes one revision, and says which."""
    with registry.work() as work:
        a_partner(work, id="fabrikam", name="Fabrikam")
        partners.suspend(work, "contoso")
        assert work.revision is None

    assert work.revision == 2
    delta = changes_since(registry, 1)
    assert (delta.since, delta.revision) == (1, 2)
    assert {row.revision for row in delta.rows} == {2}


def test_change_feed_carries_the_rows_as_they_are_at_the_end(registry: Registry):
    """A row changed twice is in the feed once, in its final form."""
    with registry.work() as work:
        partners.suspend(work, "contoso")
        partners.activate(work, "contoso")
        partners.suspend(work, "contoso")

    [row] = changes_since(registry, 1).rows
    assert (row.id, row.op, getattr(row.data, "state", None)) == ("contoso", "put", "suspended")


def test_change_feed_can_be_applied_in_its_order(registry: Registry):
    """Deletes come before puts, and what is referred to is put first, whatever the order of the work."""
    with registry.work() as work:
        daemons.suspend(work, "nightly")
        tenants.suspend(work, "contoso-entra")
        partners.suspend(work, "contoso")
        assignments.revoke(work, "nightly-read")

    rows: tuple[Row, ...] = changes_since(registry, 1).rows
    assert [(row.op, row.kind) for row in rows] == [
        ("delete", "role_assignment"),
        ("put", "partner"),
        ("put", "tenant"),
        ("put", "daemon"),
    ]


def test_work_without_policy_takes_no_revision_but_is_audited(registry: Registry):
    """Making a key changes no gate's policy: no revision, no change, one audit entry at the revision in force."""
    with registry.work() as work:
        spec = KeySpec(operator="adm", name="laptop", expires_at=NOW + 60)
        operators.create_key(work, spec, random_bytes=counting_bytes())

    assert work.revision is None
    with reading(registry.engine) as session:
        state = read_state(session)
        last = audit.list_(session, newest_first=True, limit=1).items[0]
    assert state.revision == 1
    assert (last.action, last.revision, last.sequence, last.hash) == (
        "admin_key.created",
        1,
        state.audit_sequence,
        state.audit_hash,
    )


def test_empty_work_changes_nothing(registry: Registry):
    """A unit of work in which nothing happened leaves every table as it was."""
    before = content_of(registry)

    with registry.work():
        pass

    assert content_of(registry) == before


def test_exception_in_the_middle_leaves_everything_as_it_was(registry: Registry):
    """What was done before an exception is not there: no row, no revision, no audit entry, no change."""
    before = content_of(registry)

    def change(work: Work) -> None:
        a_partner(work, id="fabrikam", name="Fabrikam")
        partners.suspend(work, "contoso")
        partners.suspend(work, "nobody")

    with pytest.raises(NotFoundError), registry.work() as work:
        change(work)

    assert content_of(registry) == before


def test_exception_at_the_end_leaves_everything_as_it_was(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    """A commit that fails takes everything back."""
    before = content_of(registry)
    error = sa.exc.OperationalError("COMMIT", {}, sqlite_error(10))
    monkeypatch.setattr("sqlmodel.Session.commit", lambda _: (_ for _ in ()).throw(error))

    with pytest.raises(DatabaseError), registry.work() as work:
        partners.suspend(work, "contoso")

    assert content_of(registry) == before


def sqlite_error(result: int) -> Exception:
    """An error of the driver's with a result code."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = result
    return error


def test_change_without_audit_is_a_defect(registry: Registry):
    """A service that changes the policy and records nothing fails, and changes nothing."""
    before = content_of(registry)

    with pytest.raises(RuntimeError, match="audit"), registry.work() as work:
        work.change("partner", "contoso", "put")

    assert content_of(registry) == before


def test_rows_can_be_read_after_the_work(registry: Registry):
    """What a service returns can be shown after the commit, without another question to the database."""
    with registry.work() as work:
        row = partners.suspend(work, "contoso")

    assert (row.id, row.state, row.version, row.updated_at, row.created_by) == ("contoso", "suspended", 2, NOW, "adm")


def test_database_without_its_counter_is_refused(registry: Registry):
    """A registry that lost its counter takes no change: its order could not be told."""
    with registry.engine.begin() as connection:
        connection.execute(sa.delete(tables.Revision))

    with pytest.raises(SchemaError) as caught, registry.work() as work:
        partners.suspend(work, "contoso")

    assert caught.value.code == "revision_missing"


def test_busy_database_is_said_before_anything_is_done(registry: Registry):
    """A second unit of work that cannot wait any longer is refused at its door."""
    impatient = open_engine(registry.url, busy_timeout=0.01)
    with registry.work() as work:
        partners.suspend(work, "contoso")
        with pytest.raises(DatabaseError) as caught, work_on(impatient):
            pytest.fail("two writers at once")
    impatient.dispose()

    assert caught.value.code == "database_busy"
    assert work.revision == 2


WRITER = """
import sys
from tests.registry.builders import Registry, a_partner, counting_ids, work_on
from tenantgate.registry.engine import open_engine
name, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
engine = open_engine(url, busy_timeout=30)
for number in range(count):
    with work_on(engine) as work:
        a_partner(work, id=f"{name}-{number}", name=name)
    print(work.revision, flush=True)
"""


def test_order_of_commits_is_order_of_revisions(registry: Registry):
    """Writers in processes and threads: a reader that sees a revision sees all before it, and none is taken twice."""
    count = 10
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, f"writer{place}", registry.url, str(count)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for place in range(2)
    ]
    taken: list[int] = []

    def write(name: str) -> None:
        for number in range(count):
            with work_on(registry.engine, new_id=counting_ids(50)) as work:
                partners.create(work, PartnerSpec(id=f"{name}-{number}", name=name))
            assert work.revision is not None
            taken.append(work.revision)

    threads = [threading.Thread(target=write, args=(f"thread{place}",)) for place in range(2)]
    for thread in threads:
        thread.start()
    seen = 1
    while any(writer.poll() is None for writer in writers) or any(thread.is_alive() for thread in threads):
        delta = changes_since(registry, seen)
        assert [row.revision for row in delta.rows] == list(range(seen + 1, delta.revision + 1))
        seen = delta.revision
    for thread in threads:
        thread.join()
    for writer in writers:
        out, _ = writer.communicate()
        assert writer.returncode == 0
        taken += [int(line) for line in out.split()]

    assert sorted(taken) == list(range(2, 2 + 4 * count))
    with reading(registry.engine) as session:
        assert audit.verify_chain(session).sound
        revisions = [entry.revision for entry in session.scalars(sa.select(tables.AuditEntry).order_by("sequence"))]
    assert revisions == sorted(revisions)


DYING = """
import os, signal, sys
from tests.registry.builders import a_partner, work_on
from tenantgate.registry.engine import open_engine
engine = open_engine(sys.argv[1])
with work_on(engine) as work:
    a_partner(work, id="fabrikam", name="Fabrikam")
    if sys.argv[2] == "finished":
        work._finish()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["in the middle", "finished"])
def test_killed_process_leaves_nothing_behind(registry: Registry, moment: str):
    """A process killed before its commit leaves no trace, and the next one can write at once."""
    before = content_of(registry)

    done = subprocess.run([sys.executable, "-c", DYING, registry.url, moment], cwd=ROOT, check=False)

    assert done.returncode == -signal.SIGKILL
    assert content_of(registry) == before
    with registry.work() as work:
        partners.suspend(work, "contoso")
    assert work.revision == 2
    with reading(registry.engine) as session:
        assert audit.verify_chain(session).sound


def test_audit_names_the_actor(registry: Registry):
    """An entry says who, by which scheme, from where, in which request, when, and what changed."""
    with registry.work(now=NOW + 5) as work:
        partners.suspend(work, "contoso")

    with reading(registry.engine) as session:
        entry = audit.list_(session, newest_first=True).items[0]
    assert (entry.operator, entry.scheme, entry.address, entry.request_id) == (
        ACTOR.operator_id,
        ACTOR.scheme,
        ACTOR.address,
        ACTOR.request_id,
    )
    assert (entry.at, entry.action, entry.kind, entry.row_id) == (NOW + 5, "partner.suspended", "partner", "contoso")
    assert entry.before is not None
    assert entry.after is not None
    changed = {name for name in entry.after if entry.before[name] != entry.after[name]}
    assert changed == {"state", "updated_at", "version"}


def test_new_ids_are_slugs_that_say_what_they_are(registry: Registry):
    """Where no id is given, one is made: prefix and random base32."""
    with registry.work() as work:
        partner = a_partner(work, id=None, name="Fabrikam")
        tenant = a_tenant(work, id=None, partner=partner, tid="22222222-2222-4333-8444-555555555555")
        daemon = a_daemon(work, id=None, tenant=tenant)

    assert [id_.partition("-")[0] for id_ in (partner, tenant, daemon)] == ["prt", "tnt", "dmn"]
    assert all(len(id_) == 20 for id_ in (partner, tenant, daemon))
