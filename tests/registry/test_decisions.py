"""What gates decided, in the database: counts that add up, details for a while, and nobody held up."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from tenantgate.feed.sink import DROPPED, GRANTED, OTHER, Batch, Count, Detail, SinkError, Stranger
from tenantgate.registry import access_requests, assignments, daemons, decision_sink, decisions, pins
from tenantgate.registry.decision_sink import DatabaseSink
from tenantgate.registry.decision_tables import AccessRequest, Decision, DecisionCount
from tenantgate.registry.decisions import COUNT_DAYS, DAY, STRANGERS_AN_HOUR
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import InvalidError, NotFoundError
from tenantgate.registry.snapshot import read_state
from tenantgate.registry.tables import Daemon, Resource
from tests.registry.builders import CLIENT_ID, NOW, TID, Registry, a_daemon, counting_ids

HOUR = NOW // 3600 * 3600
OID = "dddddddd-1111-4222-8333-444444444444"


def a_count(**changed: Any) -> Count:
    """The nightly program was let in, this hour."""
    told: dict[str, Any] = {
        "hour": HOUR,
        "resource": "orders",
        "tenant": "contoso-entra",
        "client_id": CLIENT_ID,
        "oid": OID,
        "outcome": GRANTED,
        "roles": "Orders.Read",
        "credential": "token",
        "strength": "secret",
        "idtyp": "app",
        "version": "2.0",
        "lifetime": "90m",
        "revision": 1,
        "stranger": False,
    }
    return Count(**(told | changed))


def a_detail(number: int = 1, **changed: Any) -> Detail:
    """A decision of now."""
    told: dict[str, Any] = {
        "id": f"t-{number}",
        "at": NOW,
        "resource": "orders",
        "outcome": "token_expired",
        "detail": "exp: expected a later one",
        "revision": 1,
        "roles": "",
        "tenant": "contoso-entra",
        "client_id": CLIENT_ID,
        "lifetime": 3600,
    }
    return Detail(**(told | changed))


def a_stranger(number: int = 1, **changed: Any) -> Stranger:
    """An authentic caller of a tenant nobody listed."""
    told: dict[str, Any] = {
        "resource": "orders",
        "issuer": "entra",
        "tid": "99999999-2222-4333-8444-555555555555",
        "client_id": f"99999999-bbbb-4ccc-8ddd-{number:012x}",
        "oid": OID,
        "reason": "tenant_not_listed",
        "first_at": NOW,
        "last_at": NOW,
        "count": 1,
    }
    return Stranger(**(told | changed))


def a_sink(registry: Registry, **changed: Any) -> DatabaseSink:
    """A sink on the registry's database."""
    options: dict[str, Any] = {"now": lambda: NOW, "new_id": counting_ids(77)} | changed
    return DatabaseSink(registry.url, **options)


def all_of(registry: Registry, table: type[Any]) -> list[Any]:
    """Every row of a table."""
    with reading(registry.engine) as session:
        return list(session.exec(select(table)))


def test_counts_of_all_gates_add_up(registry: Registry):
    """Two sinks, several writings, one row for what is alike."""
    one, other = a_sink(registry), a_sink(registry)
    for sink in (one, other, one):
        sink.write(Batch({a_count(): 5, a_count(outcome="token_expired"): 1}))
    one.close()
    other.close()

    found = {row.outcome: row.count for row in all_of(registry, DecisionCount)}
    assert found == {GRANTED: 15, "token_expired": 3}


def test_a_batch_is_kept_whole_or_not_at_all(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    """What the database will never keep is hopeless, and nothing of its batch was counted."""

    def refuse(session: Session, details: object) -> None:
        raise InvalidError("text_not_allowed", f"{session} cannot keep {details}")

    monkeypatch.setattr(decisions, "add_details", refuse)
    sink = a_sink(registry)
    with pytest.raises(SinkError) as caught:
        sink.write(Batch({a_count(): 1}, (a_detail(),)))
    sink.close()

    assert caught.value.hopeless
    assert all_of(registry, DecisionCount) == []


def test_details_are_found_by_their_id(registry: Registry):
    """As they were said; twice handed over is once kept; an id nobody had is not found."""
    sink = a_sink(registry)
    for _ in range(2):
        sink.write(Batch({}, (a_detail(),)))
    sink.close()

    with reading(registry.engine) as session:
        row = decisions.get(session, "t-1")
        assert (row.outcome, row.client_id, row.lifetime) == ("token_expired", CLIENT_ID, 3600)
        with pytest.raises(NotFoundError, match="there is no decision"):
            decisions.get(session, "t-2")


def test_list_pages_newest_first(registry: Registry):
    """By cursor, none twice and none missing, several in one second included; filtered."""
    with writing(registry.engine) as session:
        decisions.add_details(session, [a_detail(number, at=NOW + number // 3) for number in range(10)])
        decisions.add_details(session, [a_detail(99, outcome="tenant_not_listed", tenant="")])

    with reading(registry.engine) as session:
        seen: list[str] = []
        after = None
        for _ in itertools.count():
            page = decisions.list_(session, after=after, limit=4, equal={"tenant": "contoso-entra"})
            seen += [row.id for row in page.items]
            if (after := page.after) is None:
                break
        in_time = decisions.list_(session, since=NOW + 1, until=NOW + 2).items
        other = decisions.list_(session, equal={"outcome": "tenant_not_listed", "client_id": None}).items
    assert seen == ["t-9", "t-8", "t-7", "t-6", "t-5", "t-4", "t-3", "t-2", "t-1", "t-0"]
    assert {row.id for row in in_time} == {"t-3", "t-4", "t-5"}
    assert [row.id for row in other] == ["t-99"]


@pytest.mark.parametrize("cursor", ["", "x", "12", "12.", "-1.a", "1" * 16 + ".a", "٣.a"])
def test_a_cursor_of_another_list_is_refused(registry: Registry, cursor: str):
    """Never the first page again."""
    with reading(registry.engine) as session, pytest.raises(InvalidError) as caught:
        decisions.list_(session, after=cursor)
    assert caught.value.code == "cursor_malformed"


def test_strangers_of_an_hour_are_bounded_and_all_counted(registry: Registry):
    """The busiest are told apart, whichever gate wrote when; the others are one row."""
    sink = a_sink(registry)
    for turn in range(6):
        rows = {
            a_count(tenant="", client_id=f"{turn}-{number}", stranger=True, outcome="tenant_not_listed"): 1
            for number in range(60)
        }
        busy = a_count(tenant="", client_id="busy", stranger=True, outcome="tenant_not_listed")
        sink.write(Batch(rows | {busy: 10, a_count(): 1}))
    sink.close()

    rows = all_of(registry, DecisionCount)
    named = [row for row in rows if row.stranger]
    assert len(named) <= STRANGERS_AN_HOUR
    assert {row.client_id: row.count for row in named}["busy"] == 60
    (others,) = [row for row in rows if row.client_id == OTHER]
    assert sum(row.count for row in rows if row.outcome == "tenant_not_listed") == 6 * 70
    assert others.count == 6 * 70 - sum(row.count for row in named)


def test_counts_by_a_dimension(registry: Registry):
    """In steps of an hour or a day, most frequent values apart, the rest as one; filtered."""
    with writing(registry.engine) as session:
        decisions.add_counts(
            session,
            {
                a_count(): 5,
                a_count(hour=HOUR - 3600): 2,
                a_count(hour=HOUR - 3600, outcome="token_expired"): 1,
                a_count(hour=HOUR - 100 * DAY): 7,
            },
        )
        decisions.add_counts(session, {a_count(client_id=f"c-{number}", outcome="x"): 1 for number in range(60)})

    with reading(registry.engine) as session:
        since, until = HOUR - DAY, HOUR + 3600
        by_outcome = decisions.counts(session, by="outcome", since=since, until=until, equal={"client_id": CLIENT_ID})
        by_day = decisions.counts(session, by="outcome", since=since, until=until, step=DAY, equal={"outcome": GRANTED})
        by_client = decisions.counts(session, by="client_id", since=HOUR, until=until)
    assert [(each.begins_at, each.value, each.count) for each in by_outcome] == [
        (HOUR - 3600, GRANTED, 2),
        (HOUR - 3600, "token_expired", 1),
        (HOUR, GRANTED, 5),
    ]
    assert sum(each.count for each in by_day) == 7
    assert all(each.begins_at % DAY == 0 for each in by_day)
    assert len(by_client) == decisions.MOST_VALUES + 1
    assert {each.value: each.count for each in by_client}[OTHER] == 61 - decisions.MOST_VALUES


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"by": "detail"}, "value_unknown"),
        ({"by": "hour"}, "value_unknown"),
        ({"since": NOW, "until": NOW}, "number_out_of_range"),
        ({"since": NOW - 93 * DAY}, "number_out_of_range"),
    ],
)
def test_counts_nobody_can_give(registry: Registry, changed: dict[str, Any], code: str):
    """An unknown dimension, nothing, or too much."""
    question: dict[str, Any] = {"by": "outcome", "since": NOW - DAY, "until": NOW} | changed
    with reading(registry.engine) as session, pytest.raises(InvalidError) as caught:
        decisions.counts(session, **question)
    assert caught.value.code == code


def test_what_is_old_goes_in_short_pieces(registry: Registry):
    """Details after their days, counts after theirs; what is younger stays."""
    with writing(registry.engine) as session:
        decisions.add_details(session, [a_detail(number, at=NOW - 40 * DAY) for number in range(5)])
        decisions.add_details(session, [a_detail(100, at=NOW - 20 * DAY)])
        old = HOUR - (COUNT_DAYS + 2) * DAY
        decisions.add_counts(session, {a_count(hour=old): 1, a_count(hour=old + 3600): 1, a_count(): 1})

    for at in (NOW, NOW + 10, NOW + 20):
        sink = a_sink(registry, now=lambda at=at: at, detail_days=30)
        sink.write(Batch({}))
        sink.close()

    assert [row.id for row in all_of(registry, Decision)] == ["t-100"]
    assert [row.hour for row in all_of(registry, DecisionCount)] == [HOUR]


@pytest.mark.file
def test_a_busy_database_is_left_alone(registry: Registry):
    """While an administrator writes, the batch comes later, at once, and is not lost."""
    sink = a_sink(registry)
    with writing(registry.engine), pytest.raises(SinkError) as caught:
        sink.write(Batch({a_count(): 5}))
    assert caught.value.code == "database_busy"
    assert caught.value.passing
    assert not caught.value.hopeless

    sink.write(Batch({a_count(): 5}))
    sink.close()
    assert [row.count for row in all_of(registry, DecisionCount)] == [5]


def test_gates_writing_at_once_lose_nothing(registry: Registry):
    """Whoever is told that the database is busy hands the batch over again."""
    rows = {a_count(client_id=f"c-{number}"): 1 for number in range(50)}
    refused: set[str] = set()

    def work() -> None:
        sink = a_sink(registry)
        for _ in range(10):
            while True:
                try:
                    sink.write(Batch(dict(rows), (), (a_stranger(1),)))
                    break
                except SinkError as error:
                    refused.add(error.code)
        sink.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused <= {"database_busy", "conflict"}
    assert [row.count for row in all_of(registry, DecisionCount)] == [40] * 50


def switch_on(registry: Registry) -> None:
    """Have the resource note who asks."""
    with writing(registry.engine) as session:
        session.execute(sa.update(Resource).values(access_requests=True))


def test_nobody_is_noted_where_nobody_asked(registry: Registry):
    """Off before a resource says otherwise."""
    sink = a_sink(registry)
    sink.write(Batch({}, (), (a_stranger(),)))
    sink.close()

    assert all_of(registry, AccessRequest) == []


def test_a_caller_that_asks_again_finds_its_own_row(registry: Registry):
    """Added up, first and last time kept, a second object id remembered as one."""
    switch_on(registry)
    sink = a_sink(registry)
    sink.write(Batch({}, (), (a_stranger(count=3),)))
    sink.write(Batch({}, (), (a_stranger(last_at=NOW + 9, oid=TID, reason="daemon_not_listed"), a_stranger(2))))
    sink.close()

    first, _ = sorted(all_of(registry, AccessRequest), key=lambda row: -row.count)
    assert (first.count, first.first_seen_at, first.last_seen_at) == (4, NOW, NOW + 9)
    assert (first.oid, first.oids_differ, first.reason, first.state) == (OID, True, "daemon_not_listed", "open")
    assert first.id == access_requests.id_of("orders", "entra", first.tid, first.client_id)


def test_one_tenant_cannot_fill_the_list(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    """So many of one tenant; of all the oldest are forgotten."""
    switch_on(registry)
    sink = a_sink(registry)
    sink.write(Batch({}, (), tuple(a_stranger(number) for number in range(access_requests.MOST_OF_A_TENANT + 5))))
    assert len(all_of(registry, AccessRequest)) == access_requests.MOST_OF_A_TENANT

    monkeypatch.setattr(access_requests, "MOST", 3)
    later = tuple(a_stranger(1, tid=f"tenant-{number}", last_at=NOW + number) for number in range(1, 5))
    sink.write(Batch({}, (), later))
    sink.close()
    assert {row.tid for row in all_of(registry, AccessRequest)} == {"tenant-2", "tenant-3", "tenant-4"}


def to_be_pinned(registry: Registry) -> None:
    """Have the nightly program pinned at its first grant."""
    with writing(registry.engine) as session:
        session.execute(sa.update(Daemon).values(pin_object_id=True))


def oid_of(registry: Registry) -> str | None:
    """What the nightly program is pinned to."""
    with reading(registry.engine) as session:
        return session.get_one(Daemon, "nightly").oid


def test_first_grant_pins(registry: Registry):
    """Audited in the name of the system, with a revision of its own, once; a denial pins nothing."""
    to_be_pinned(registry)
    sink = a_sink(registry)
    sink.write(Batch({a_count(outcome="role_not_assigned"): 1}))
    assert oid_of(registry) is None

    sink.write(Batch({a_count(): 2}))
    sink.write(Batch({a_count(): 2}))
    sink.close()

    assert oid_of(registry) == OID
    with reading(registry.engine) as session:
        entries = session.execute(
            sa.text("SELECT action, operator, scheme, revision FROM audit_entry ORDER BY sequence")
        )
        assert entries.all()[-1] == ("daemon.pinned", "system:pin", "system", 2)


def test_nobody_is_pinned_who_was_not_to_be(registry: Registry):
    """Only where an operator said so."""
    sink = a_sink(registry)
    sink.write(Batch({a_count(): 2}))
    sink.close()

    assert oid_of(registry) is None


def test_two_object_ids_pin_nothing(registry: Registry):
    """Whichever came first: a human has to look."""
    to_be_pinned(registry)
    sink = a_sink(registry)
    sink.write(Batch({a_count(): 1, a_count(oid=TID): 1}))
    sink.write(Batch({a_count(): 1}))
    sink.close()

    assert oid_of(registry) is None
    with reading(registry.engine) as session:
        ((daemon, seen),) = pins.conflicts(session, limit=10)
    assert (daemon.id, {each.oid for each in seen}) == ("nightly", {OID, TID})


def test_another_object_id_told_after_the_pin_is_said(registry: Registry):
    """A gate that was slow to tell let in another one before the pin took hold."""
    to_be_pinned(registry)
    sink = a_sink(registry)
    sink.write(Batch({a_count(): 1}))
    sink.write(Batch({a_count(oid=TID): 1}))
    sink.close()

    assert oid_of(registry) == OID
    with reading(registry.engine) as session:
        assert len(pins.conflicts(session, limit=10)) == 1


def change(registry: Registry, **members: Any) -> Daemon:
    """Change the nightly program."""
    with registry.work() as work:
        return daemons.change(work, "nightly", members)


def test_one_that_was_pinned_is_changed_like_any_other(registry: Registry):
    """Its notes leave the pin alone; to wait anew takes a word, and what was seen before counts for nothing then."""
    to_be_pinned(registry)
    sink = a_sink(registry)
    sink.write(Batch({a_count(): 1}))
    row = change(registry, notes="asked by mail")
    assert (row.oid, row.pin_object_id) == (OID, True)
    assert change(registry, pin_object_id=True).oid == OID
    assert change(registry, oid=None).pin_object_id
    sink.write(Batch({}))
    assert oid_of(registry) is None
    # A gate that tells late of a grant from before: the very one that somebody wants no more.
    sink.write(Batch({a_count(): 1}))
    assert oid_of(registry) is None
    sink.write(Batch({a_count(oid=TID, revision=3): 1}))
    sink.close()
    assert oid_of(registry) == TID


def test_who_was_let_in_before_the_pin_was_asked_for_is_not_pinned(registry: Registry):
    """Told after it, by a gate that was slow or away: it may be the very one that is to be kept out."""
    with reading(registry.engine) as session:
        before = read_state(session).revision
    change(registry, pin_object_id=True)
    with reading(registry.engine) as session:
        assert read_state(session).revision == before + 1
    sink = a_sink(registry)
    sink.write(Batch({a_count(oid=TID, revision=before): 1}))
    assert oid_of(registry) is None
    sink.write(Batch({a_count(revision=before + 1): 1}))
    sink.close()
    assert oid_of(registry) == OID


def test_who_was_forgotten_is_not_told_again(registry: Registry):
    """Two were seen and somebody looked: the wait begins anew, with a revision. Said once more, nothing is written."""
    change(registry, pin_object_id=True)
    sink = a_sink(registry)
    sink.write(Batch({a_count(revision=2): 1, a_count(oid=TID, revision=2): 1}))
    row = change(registry, pin_object_id=True)
    with reading(registry.engine) as session:
        state = read_state(session)
    assert (state.revision, row.version) == (3, 3)
    assert change(registry, pin_object_id=True).version == 3
    with reading(registry.engine) as session:
        assert read_state(session) == state
    sink.write(Batch({a_count(oid=TID, revision=2): 1}))
    assert oid_of(registry) is None
    sink.write(Batch({a_count(revision=3): 1}))
    sink.close()
    assert oid_of(registry) == OID


def test_a_conflict_ends_when_somebody_has_looked(registry: Registry):
    """By naming the right one; it is no longer to be pinned then."""
    to_be_pinned(registry)
    sink = a_sink(registry)
    sink.write(Batch({a_count(): 1, a_count(oid=TID): 1}))
    row = change(registry, oid=TID)
    sink.write(Batch({a_count(oid=TID): 1}))
    sink.close()

    assert (row.oid, row.pin_object_id) == (TID, False)
    with reading(registry.engine) as session:
        assert pins.conflicts(session, limit=10) == []


def test_what_was_seen_of_a_deleted_daemon_pins_no_other(registry: Registry):
    """Though it has the same id."""
    to_be_pinned(registry)
    with writing(registry.engine) as session:
        pins.note(session, [a_count()], now=NOW)
    with registry.work() as work:
        assignments.revoke(work, "nightly-read")
        daemons.delete(work, "nightly")
    with registry.work() as work:
        a_daemon(work, pin_object_id=True)
    sink = a_sink(registry)
    sink.write(Batch({a_count(): 1}))
    sink.close()
    assert oid_of(registry) is None


def test_gates_that_pin_at_once_pin_once(registry: Registry):
    """Two oids at two gates: one pin at most, and one entry in the audit."""
    to_be_pinned(registry)
    barrier, refused = threading.Barrier(6), set[str]()

    def work(number: int) -> None:
        sink = a_sink(registry, new_id=counting_ids(100 + number))
        barrier.wait()
        for _ in range(20):
            try:
                sink.write(Batch({a_count(oid=OID): 1}))
            except SinkError as error:
                refused.add(error.code)
        sink.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused <= {"database_busy", "conflict"}
    assert oid_of(registry) == OID
    with reading(registry.engine) as session:
        assert session.execute(sa.text("SELECT count(*) FROM audit_entry WHERE action = 'daemon.pinned'")).scalar() == 1


def test_dropped_decisions_are_found(registry: Registry):
    """How many since when, and when last."""
    with writing(registry.engine) as session:
        decisions.add_counts(session, {a_count(outcome=DROPPED): 3, a_count(outcome=DROPPED, hour=HOUR - 7200): 4})

    with reading(registry.engine) as session:
        assert decisions.dropped_since(session, HOUR - 3600) == (3, HOUR)
        assert decisions.dropped_since(session, HOUR + 3600) == (0, None)


def test_sink_gives_its_connections_back_at_a_fork(registry: Registry):
    """It stands still with nothing open, and goes on."""
    sink = a_sink(registry)
    sink.write(Batch({a_count(): 1}))
    assert sink.let_go(1.0)
    assert sink._engine is None
    sink.go_on()
    sink.write(Batch({a_count(): 1}))
    parents = sink._engine
    sink.begin_anew(let_go=False)
    sink.write(Batch({a_count(): 1}))
    sink.close()
    assert decision_sink._ABANDONED.pop() is parents
    assert parents is not None
    parents.dispose()  # a child's is never closed; here it is the one process

    assert [row.count for row in all_of(registry, DecisionCount)] == [3]
