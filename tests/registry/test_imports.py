"""Partners from a CSV file: line by line, whole or not at all, and the same file again changes nothing."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from tenantgate.registry import app_roles, assignments, audit, imports, partners
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import ConflictError, DatabaseError, InvalidError, NotFoundError
from tenantgate.registry.import_file import COLUMNS, LARGEST_FILE, MOST_LINES, ImportRow, read_file
from tenantgate.registry.import_tables import ImportJob, ImportLine
from tenantgate.registry.snapshot import read_changes, read_snapshot, read_state
from tenantgate.registry.tables import AuditEntry, Daemon, Partner, RoleAssignment
from tenantgate.registry.unit_of_work import Work
from tests.registry.builders import (
    ACTOR,
    CLIENT_ID,
    NOW,
    TID,
    Registry,
    a_daemon,
    a_grant,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
    counting_ids,
)

OTHER_TID = "99999999-2222-4333-8444-555555555555"
OTHER_CLIENT = "cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee"
OID = "dddddddd-1111-4222-8333-444444444444"
LATER = "2031-01-31"
LATER_SECONDS = 1_927_584_000
FABRIKAM: dict[str, str] = {
    "partner": "fabrikam",
    "partner_name": "Fabrikam",
    "issuer": "entra",
    "tid": OTHER_TID.upper(),
    "client_id": OTHER_CLIENT.upper(),
    "oid": OID,
    "roles": "orders-read",
    "expires_at": LATER,
    "reason": "contract 4712",
    "ticket": "CHG-4712",
}
"""A line with a new partner and all that it needs."""
CONTOSO: dict[str, str] = {
    "partner": "contoso",
    "issuer": "entra",
    "tid": TID,
    "client_id": CLIENT_ID,
    "roles": "orders-read",
}
"""A line whose content is in the registry already."""


def a_file(*lines: Mapping[str, str]) -> bytes:
    """A file of these lines, with the columns they use."""
    names = [name for name in COLUMNS if name == "partner" or any(name in line for line in lines)]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().encode()


class Importing:
    """Imports into a registry, one after the other."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.now = NOW + 100
        self._ids = counting_ids(77)
        self.opened = 0

    def begin(self, raw: bytes, *, dry_run: bool = False) -> tuple[str, list[ImportRow]]:
        """Write down that a file is being imported."""
        rows = read_file(raw)
        with self.registry.work(now=self.now) as work:
            return imports.begin(work, raw, rows, dry_run=dry_run).id, rows

    def run(self, raw: bytes, *, dry_run: bool = False) -> tuple[ImportJob, list[tuple[Any, ...]]]:
        """Import a file; the job at its end, and its report."""
        job, rows = self.begin(raw, dry_run=dry_run)
        if dry_run:
            imports.try_out(self.registry.engine, job, rows, ACTOR, new_id=self._ids, now=lambda: self.now)
        else:
            imports.run(self.registry.engine, job, rows, self.changing(job), now=lambda: self.now)
        return self.job(job), self.report(job)

    def changing(self, job: str) -> imports.Changing:
        """Opens units of work, and counts them."""

        @contextmanager
        def open_() -> Iterator[Work]:
            self.opened += 1
            with self.registry.work(actor=replace(ACTOR, request_id=job), now=self.now) as work:
                yield work

        return open_

    def job(self, id_: str) -> ImportJob:
        """How an import is doing."""
        with reading(self.registry.engine) as session:
            return imports.get(session, id_)

    def report(self, id_: str) -> list[tuple[Any, ...]]:
        """What came of each line."""
        with reading(self.registry.engine) as session:
            page = imports.list_lines(session, id_, limit=500)
        assert page.after is None
        return [(each.line, each.partner, each.outcome, each.code, each.cell, each.message) for each in page.items]

    def state(self) -> tuple[int, int]:
        """Revision and last entry of the audit."""
        with reading(self.registry.engine) as session:
            found = read_state(session)
            return found.revision, found.audit_sequence


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else waits for a turn here."""
    monkeypatch.setattr(imports, "breathe", lambda: None)


@pytest.fixture
def importing(registry: Registry) -> Importing:
    """Imports into a registry with one of each in it."""
    return Importing(registry)


def found(registry: Registry, table: type[Any], **equal: Any) -> Any:
    """The one row with these values."""
    with reading(registry.engine) as session:
        return session.exec(
            select(table).where(*(getattr(table, name) == value for name, value in equal.items()))
        ).one()


def test_a_line_makes_all_that_its_daemon_needs(importing: Importing):
    """Partner, tenant, daemon and role by one revision; the audit says who, and by which import."""
    revision, sequence = importing.state()

    job, report = importing.run(a_file(FABRIKAM))

    assert report == [(2, "fabrikam", "created", None, None, None)]
    assert (job.state, job.lines, job.done, job.created, job.changed, job.existing, job.refused) == (
        "done", 1, 1, 1, 0, 0, 0,
    )  # fmt: skip
    with reading(importing.registry.engine) as session:
        delta = read_changes(session, revision)
        entries = list(audit.export(session, after=sequence))
        assert audit.verify_chain(session).sound
    assert delta is not None
    assert [row.kind for row in delta.rows] == ["partner", "tenant", "daemon", "role_assignment"]
    assert delta.revision == revision + 1
    assert [each.action for each in entries] == [
        "import.begun",
        "partner.created",
        "tenant.created",
        "daemon.created",
        "role_assignment.granted",
    ]
    assert {each.request_id for each in entries[1:]} == {job.id}
    assert {each.operator for each in entries} == {"adm"}
    daemon = found(importing.registry, Daemon, client_id=OTHER_CLIENT)
    assert (daemon.oid, daemon.state) == (OID, "active")
    grant = found(importing.registry, RoleAssignment, daemon=daemon.id)
    assert (grant.expires_at, grant.granted_by) == (LATER_SECONDS, "adm")
    assert (grant.reason, grant.ticket) == ("contract 4712", "CHG-4712")


def test_the_same_file_again_changes_nothing(importing: Importing):
    """Also when its dates have passed meanwhile."""
    raw = a_file(FABRIKAM, CONTOSO, {"partner": "solo", "partner_name": "Solo"})
    importing.run(raw)
    before = importing.state()

    for later in (0, LATER_SECONDS - NOW):
        importing.now += later
        job, report = importing.run(raw)
        assert [(each[1], each[2]) for each in report] == [
            ("fabrikam", "exists"),
            ("contoso", "exists"),
            ("solo", "exists"),
        ]
        assert (job.created, job.changed, job.existing) == (0, 0, 3)
    revision, sequence = importing.state()
    assert (revision, sequence) == (before[0], before[1] + 2), "two imports have begun, and nothing else"


def test_what_is_there_is_changed_where_the_file_says_more(importing: Importing):
    """A name, an end, a pin that was missing; what the file does not say stays."""
    job, report = importing.run(a_file(CONTOSO | {"partner_name": "Contoso AG", "oid": OID, "expires_at": LATER}))

    assert report == [(2, "contoso", "changed", None, None, None)]
    assert job.changed == 1
    assert found(importing.registry, Partner, id="contoso").name == "Contoso AG"
    assert found(importing.registry, Daemon, id="nightly").oid == OID
    assert found(importing.registry, RoleAssignment, id="nightly-read").expires_at == LATER_SECONDS
    importing.run(a_file(CONTOSO))
    assert found(importing.registry, RoleAssignment, id="nightly-read").expires_at == LATER_SECONDS
    assert found(importing.registry, Daemon, id="nightly").oid == OID


def test_states_stay(importing: Importing):
    """An import lets nobody in again who was suspended."""
    with importing.registry.work() as work:
        partners.suspend(work, "contoso")
    _, report = importing.run(a_file(CONTOSO))
    assert report[0][2] == "exists"
    assert found(importing.registry, Partner, id="contoso").state == "suspended"


REFUSED: list[Any] = [
    pytest.param({"partner": ""}, "member_missing", "partner", id="no partner"),
    pytest.param({"partner": "Fabrikam Inc"}, "id_malformed", "partner", id="partner no slug"),
    pytest.param({"partner_name": ""}, "member_missing", "partner_name", id="new without a name"),
    pytest.param({"partner_name": "a" * 201}, "text_too_long", "partner_name", id="long name"),
    pytest.param({"partner_name": " Fabrikam"}, "text_not_allowed", "partner_name", id="blank before the name"),
    pytest.param({"partner_name": "Fab\u202erikam"}, "text_not_allowed", "partner_name", id="bidi"),
    pytest.param({"issuer": ""}, "member_missing", "issuer", id="tid without issuer"),
    pytest.param({"issuer": "nobody"}, "reference_unknown", "issuer", id="issuers are not made"),
    pytest.param({"tid": "no guid"}, "guid_malformed", "tid", id="tid no GUID"),
    pytest.param({"tid": ""}, "member_missing", "tid", id="an Entra tenant without tid"),
    pytest.param({"tid": TID}, "tenant_duplicate", "tid", id="another's tenant"),
    pytest.param({"client_id": ""}, "member_missing", "client_id", id="roles for nobody"),
    pytest.param({"client_id": "sync"}, "guid_malformed", "client_id", id="client id no GUID"),
    pytest.param({"oid": "x"}, "guid_malformed", "oid", id="oid no GUID"),
    pytest.param({"subject": "x"}, "member_not_allowed", "subject", id="subject at Entra"),
    pytest.param({"roles": "orders-read nobody"}, "reference_unknown", "roles", id="roles are not made"),
    pytest.param({"roles": "orders-read orders-read"}, "list_duplicate", "roles", id="a role twice"),
    pytest.param({"roles": ""}, "member_missing", "roles", id="an end of nothing"),
    pytest.param({"expires_at": "tomorrow"}, "timestamp_malformed", "expires_at", id="no date"),
    pytest.param({"expires_at": "2031-02-30"}, "timestamp_malformed", "expires_at", id="no day"),
    pytest.param({"expires_at": "2020-01-01"}, "time_in_past", "expires_at", id="an end that has passed"),
    pytest.param({"not_before": "2032-01-01"}, "window_empty", "expires_at", id="ends before it begins"),
    pytest.param({"reason": "a" * 501}, "text_too_long", "reason", id="long reason"),
]


@pytest.mark.parametrize(("changed", "code", "cell"), REFUSED)
def test_a_line_at_fault_is_refused_whole_and_the_rest_goes_on(
    importing: Importing, changed: dict[str, str], code: str, cell: str
):
    """Code and column say what to mend; nothing of the line is there, not even its partner."""
    good = {"partner": "good", "partner_name": "Good"}
    raw = a_file(FABRIKAM | changed, good)

    tried, expected = importing.run(raw, dry_run=True)
    job, report = importing.run(raw)

    assert report == expected
    assert [each[2] for each in report] == ["refused", "created"]
    assert report[0][3:5] == (code, cell)
    assert report[0][5]
    assert (job.created, job.refused) == (tried.created, tried.refused) == (1, 1)
    with reading(importing.registry.engine) as session:
        assert {row.id for row in session.exec(select(Partner))} == {"contoso", "good"}
        assert len(session.exec(select(Daemon)).all()) == 1


def test_a_partner_that_came_to_its_end_gets_nothing(importing: Importing):
    """An archived one comes back by nobody's file."""
    with importing.registry.work() as work:
        partners.archive(work, "contoso")
    _, report = importing.run(a_file(CONTOSO))
    assert report[0][2:5] == ("refused", "partner_archived", "partner")


def test_another_pin_is_refused(importing: Importing):
    """Who a daemon is, no file changes."""
    importing.run(a_file(CONTOSO | {"oid": OID}))
    _, report = importing.run(a_file(CONTOSO | {"oid": OTHER_TID}))
    assert report[0][2:5] == ("refused", "pin_differs", "oid")
    assert found(importing.registry, Daemon, id="nightly").oid == OID


def test_an_oidc_issuer_and_a_hosted_tenant(importing: Importing):
    """A tenant without a tid; and our own, in which each daemon is its partner's."""
    with importing.registry.work() as work:
        an_oidc_issuer(work)
        a_tenant(work, id="ours", partner=None, hosted=True, tid=OTHER_TID)
        an_app_role(work, id="orders-write", value="Orders.Write")
        a_daemon(work, id="theirs", tenant="ours", partner="contoso", client_id=CLIENT_ID)
    oidc = {"partner": "fabrikam", "partner_name": "Fabrikam", "issuer": "keycloak", "client_id": "sync"}
    hosted = {"partner": "fabrikam", "issuer": "entra", "tid": OTHER_TID}

    _, report = importing.run(
        a_file(
            oidc | {"subject": "service-sync", "roles": "orders-read orders-write"},
            hosted | {"client_id": OTHER_CLIENT},
            hosted | {"client_id": CLIENT_ID},
            oidc | {"client_id": "SYNC"},
        )
    )

    assert [each[2:4] for each in report] == [
        ("created", None),
        ("created", None),
        ("refused", "client_id_duplicate"),
        ("created", None),
    ]
    daemon = found(importing.registry, Daemon, client_id=OTHER_CLIENT)
    assert (daemon.tenant, daemon.partner) == ("ours", "fabrikam")


def test_a_dry_run_tells_what_the_real_one_does(importing: Importing):
    """Line by line the same, later lines knowing what earlier ones would have made; and nothing is written."""
    lines = [
        FABRIKAM,
        FABRIKAM | {"partner_name": "Fabrikam GmbH"},
        FABRIKAM | {"client_id": CLIENT_ID, "oid": ""},
        {"partner": "globex", "partner_name": "Globex", "issuer": "entra", "tid": OTHER_TID},
        CONTOSO | {"expires_at": LATER},
        CONTOSO,
        {"partner": "nobody"},
        CONTOSO | {"expires_at": "2032-01-31T00:00:00+01:00"},
    ]
    raw = a_file(*lines)
    before, rows = importing.state(), _policy(importing)

    tried, expected = importing.run(raw, dry_run=True)

    assert importing.state() == before
    assert _policy(importing) == rows
    assert [each[2] for each in expected] == [
        "created", "changed", "created", "refused", "changed", "exists", "refused", "changed",
    ]  # fmt: skip
    assert tried.dry_run
    job, report = importing.run(raw)
    assert report == expected
    names = ("lines", "done", "created", "changed", "existing", "refused", "state", "digest")
    assert [getattr(job, name) for name in names] == [getattr(tried, name) for name in names]


def _policy(importing: Importing) -> Any:
    with reading(importing.registry.engine) as session:
        return read_snapshot(session)


def many(count: int) -> bytes:
    """A file of so many partners."""
    return a_file(*({"partner": f"p{number}", "partner_name": f"P {number}"} for number in range(count)))


def test_it_is_done_in_small_pieces(importing: Importing):
    """Each a unit of work of its own: nobody waits for the whole file."""
    job, report = importing.run(many(imports.BATCH * 2 + 1))
    assert (importing.opened, job.done, len(report)) == (3, imports.BATCH * 2 + 1, imports.BATCH * 2 + 1)
    assert importing.state()[0] == 1 + 3


def test_a_run_that_ended_too_early_goes_on_by_running_the_file_again(importing: Importing):
    """What was done stays done and counted; the rest is done by the next run."""
    raw = many(imports.BATCH * 3)
    job, rows = importing.begin(raw)
    whole = importing.changing(job)

    @contextmanager
    def dying() -> Iterator[Work]:
        if importing.opened == 2:
            raise NotFoundError("operator_not_found", "gone")
        with whole() as work:
            yield work

    with pytest.raises(NotFoundError):
        imports.run(importing.registry.engine, job, rows, dying, now=lambda: importing.now)

    left = importing.job(job)
    assert (left.state, left.problem, left.done, left.created) == (
        "interrupted",
        "operator_not_found",
        imports.BATCH * 2,
        imports.BATCH * 2,
    )
    again, report = importing.run(raw)
    assert (again.created, again.existing, again.state) == (imports.BATCH, imports.BATCH * 2, "done")
    assert {each[2] for each in report[: imports.BATCH * 2]} == {"exists"}


def test_a_run_whose_process_died_is_interrupted(importing: Importing):
    """Nobody can write that down: it is told by its silence. Meanwhile there is no second one."""
    job, _ = importing.begin(many(1))
    assert imports.state_of(importing.job(job), NOW + 100 + imports.SILENT - 1) == "running"
    with pytest.raises(ConflictError) as refused:
        importing.begin(many(1))
    assert (refused.value.code, refused.value.holder) == ("import_running", job)

    importing.now += imports.SILENT

    assert imports.state_of(importing.job(job), importing.now) == "interrupted"
    importing.run(many(1))


def test_a_commit_whose_answer_was_lost_is_not_done_twice(importing: Importing):
    """The batch is asked for again, finds itself done, and does nothing."""
    raw = many(2)
    job, rows = importing.begin(raw)
    whole = importing.changing(job)
    lost: list[int] = []

    @contextmanager
    def deaf() -> Iterator[Work]:
        with whole() as work:
            yield work
        if not lost:
            lost.append(1)
            raise DatabaseError("database_unavailable", "the connection is gone")

    imports.run(importing.registry.engine, job, rows, deaf, now=lambda: importing.now)

    found_job = importing.job(job)
    assert (importing.opened, found_job.done, found_job.created, found_job.state) == (2, 2, 2, "done")
    assert importing.state()[0] == 2


def test_two_that_begin_at_once(importing: Importing):
    """One is told that the other is under way."""
    raw, told, gate = many(3), [], threading.Barrier(2)

    def begin() -> None:
        gate.wait(20)
        try:
            told.append(importing.begin(raw)[0][:4])
        except ConflictError as error:
            told.append(error.code)

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(told) == ["imp-", "import_running"]


def test_old_imports_are_forgotten(importing: Importing):
    """After a month, with their lines."""
    job, _ = importing.run(many(1))
    importing.now += imports.KEPT + 1
    importing.run(many(1))
    with pytest.raises(NotFoundError) as refused:
        importing.job(job.id)
    assert refused.value.code == "import_job_not_found"
    with importing.registry.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(ImportLine)).scalar_one() == 1


def test_lines_come_in_pages_and_by_outcome(importing: Importing):
    """In the order of the file."""
    raw = a_file(*({"partner": f"p{number}", "partner_name": "P" if number % 2 else ""} for number in range(7)))
    job, _ = importing.run(raw)
    with reading(importing.registry.engine) as session:
        first = imports.list_lines(session, job.id, limit=3)
        second = imports.list_lines(session, job.id, limit=3, after=first.after or 0)
        refused = imports.list_lines(session, job.id, outcome="refused")
        jobs = imports.list_(session)
        with pytest.raises(InvalidError):
            imports.list_lines(session, job.id, limit=0)
    assert [each.line for each in (*first.items, *second.items)] == [2, 3, 4, 5, 6, 7]
    assert (first.after, second.after) == (4, 7)
    assert [each.line for each in refused.items] == [2, 4, 6, 8]
    assert [each.id for each in jobs.items] == [job.id]


MALFORMED: list[Any] = [
    pytest.param(b"", "csv_header_unknown", id="empty"),
    pytest.param(b"\n\n", "csv_header_unknown", id="blank lines"),
    pytest.param(b"name\nx\n", "csv_header_unknown", id="a column nobody knows"),
    pytest.param(b"partner,Partner\nx,y\n", "csv_header_unknown", id="a column in another case"),
    pytest.param(b"partner,partner\nx,y\n", "csv_header_unknown", id="a column twice"),
    pytest.param(b"partner_name,issuer\nx,y\n", "csv_header_unknown", id="no partner"),
    pytest.param("partner\n\u00fc\n".encode("latin-1"), "csv_malformed", id="Latin-1"),
    pytest.param("partner\nx\n".encode("utf-16"), "csv_malformed", id="UTF-16"),
    pytest.param(b"partner\nx\0y\n", "csv_malformed", id="NUL"),
    pytest.param(b'partner\n"x\n', "csv_malformed", id="a quote that does not end"),
    pytest.param(b'partner\n"x"y\n', "csv_malformed", id="a text after a quote"),
    pytest.param(b"partner\n" + b"x" * 200_000, "csv_malformed", id="one huge cell"),
    pytest.param(b"partner\n" + b"x\n" * (MOST_LINES + 1), "csv_too_large", id="too many lines"),
    pytest.param(b"x" * (LARGEST_FILE + 1), "csv_too_large", id="too many bytes"),
]


@pytest.mark.parametrize(("raw", "code"), MALFORMED)
def test_a_file_that_is_none_is_refused_whole(raw: bytes, code: str):
    """Before anything is written down of it; what is in it is not repeated."""
    with pytest.raises(InvalidError) as refused:
        read_file(raw)
    assert (refused.value.code, refused.value.field) == (code, "file")
    assert len(refused.value.message) < 400


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_files_as_spreadsheets_write_them(end: str, mark: str, separator: str):
    """With a byte order mark, carriage returns, semicolons, blank lines, a comma or a line feed inside a cell."""
    lines = ["partner;partner_name;reason", 'a;"A, Inc.";"first' + end + 'second"', "", ";;", 'b;"B ""Best""";']
    text = mark + end.join(line.replace(";", separator) for line in lines) + end

    rows = read_file(text.encode())

    assert [(row.line, row.cells) for row in rows] == [
        (2, {"partner": "a", "partner_name": "A, Inc.", "reason": f"first{end}second"}),
        (6, {"partner": "b", "partner_name": 'B "Best"'}),
    ]


def test_a_line_with_other_cells_than_the_header_is_refused_alone(importing: Importing):
    """Nobody guesses which cell is missing."""
    _, report = importing.run(b"partner,partner_name\na,A\nb\nc,C,D\nd,D\n")
    assert [each[:4] for each in report] == [
        (2, "a", "created", None),
        (3, "", "refused", "csv_malformed"),
        (4, "", "refused", "csv_malformed"),
        (5, "d", "created", None),
    ]


NAUGHTY = [
    "=1+1",
    "@SUM(A1)",
    "'; DROP TABLE partner; --",
    "<script>alert(1)</script>",
    "Ωμέγα 株式会社 🙂",
    "%s{{7*7}}",
]


@pytest.mark.parametrize("name", NAUGHTY)
def test_odd_names_are_kept_as_they_are(importing: Importing, name: str):
    """A text is a text."""
    _, report = importing.run(a_file({"partner": "odd", "partner_name": name}))
    assert report[0][2] == "created"
    assert found(importing.registry, Partner, id="odd").name == name


def test_entries_of_a_refused_line_are_not_in_the_audit(importing: Importing):
    """The line is undone in the middle of its unit of work; the chain has no trace of it."""
    raw = a_file(FABRIKAM | {"roles": "nobody"}, {"partner": "good", "partner_name": "Good"})
    importing.run(raw)
    with reading(importing.registry.engine) as session:
        named = {each.row_id for each in session.exec(select(AuditEntry))}
        assert audit.verify_chain(session).sound
    assert "good" in named
    assert "fabrikam" not in named


def test_a_file_gives_no_sensitive_role_alone(importing: Importing):
    """Neither to a new daemon, nor for longer to one that has it: that takes a second operator. Sooner ended it is."""
    with importing.registry.work() as work:
        app_roles.mark_sensitive(work, "orders-read")
        row = assignments.get(work.session, "nightly-read")
        row.expires_at = LATER_SECONDS
        work.session.add(row)
    _, report = importing.run(a_file(FABRIKAM, CONTOSO | {"expires_at": "2032-01-31"}))
    assert [(line[2], line[3]) for line in report] == [("refused", "approval_needed")] * 2
    assert found(importing.registry, RoleAssignment).expires_at == LATER_SECONDS
    _, report = importing.run(a_file(CONTOSO | {"expires_at": "2030-01-31"}))
    assert report[0][2] == "changed"
    assert found(importing.registry, RoleAssignment).expires_at < LATER_SECONDS


def test_a_file_gives_no_sensitive_role_nor_more_of_one(importing: Importing):
    """It takes two operators: no line may do alone what nobody may. An earlier end is no more than there was."""
    with importing.registry.work() as work:
        app_roles.mark_sensitive(work, "orders-read")
    raw = a_file(FABRIKAM, CONTOSO | {"expires_at": LATER}, CONTOSO | {"expires_at": "2032-01-31"})

    _, expected = importing.run(raw, dry_run=True)
    _, report = importing.run(raw)

    assert report == expected
    assert [each[2:4] for each in report] == [
        ("refused", "approval_needed"),
        ("changed", None),
        ("refused", "approval_needed"),
    ]
    with reading(importing.registry.engine) as session:
        (only,) = session.exec(select(RoleAssignment)).all()
    assert (only.id, only.expires_at) == ("nightly-read", LATER_SECONDS)


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry", "real"])
def test_another_issuers_client_id_is_meant_to_the_letter(importing: Importing, dry_run: bool):
    """A GUID too: to every gate `AAAA…` and `aaaa…` are two callers, and roles go to the one that the file names."""
    with importing.registry.work() as work:
        an_oidc_issuer(work)
        a_tenant(work, id="realm", issuer="keycloak", tid=None)
        a_daemon(work, id="lower", tenant="realm", client_id=OTHER_CLIENT)
        a_grant(work, id="lower-read", daemon="lower")
    line = {"partner": "contoso", "issuer": "keycloak", "client_id": OTHER_CLIENT.upper(), "roles": "orders-read"}
    job, _ = importing.run(a_file(line), dry_run=dry_run)

    assert (job.created, job.refused) == (1, 0)
    with reading(importing.registry.engine) as session:
        held = session.exec(
            select(Daemon.client_id).join(RoleAssignment, col(RoleAssignment.daemon) == col(Daemon.id))
        ).all()
    assert set(held) == {CLIENT_ID, OTHER_CLIENT} | (set() if dry_run else {OTHER_CLIENT.upper()})
