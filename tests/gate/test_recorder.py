"""Every decision is counted, off the hot path, in bounded memory, whatever the sink does."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.core.app_only import AppOnly
from tenantgate.core.claims import Caller
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.index import PolicyIndex
from tenantgate.core.strict import guid_bytes, guid_text
from tenantgate.feed.sink import DROPPED, GRANTED, OTHER, Batch, Count, Detail, SinkError, Stranger, lifetime_of
from tenantgate.gate import tallies
from tenantgate.gate.gate import Gate
from tenantgate.gate.recorder import OF_ONE, PATIENCE, Budget, Recorder
from tenantgate.gate.tallies import ASKING, ASKING_OF_A_TENANT, HOLDERS, Tallies
from tests.builders import ACME_CLIENT, ACME_OID, ACME_TID, NOW, STRANGE_TID, a_snapshot, v2_issuer, v2_token
from tests.gate.test_fork import Child, fork
from tests.gate.world import a_view, eventually, suspended

__all__ = ["fork"]
Make = Callable[..., Gate]
READ = ("Orders.Read",)
MIB = 1024 * 1024


class FakeSink:
    """Keeps what it is given in memory, and fails or hangs as the test says."""

    def __init__(self) -> None:
        self.counts: Counter[Count] = Counter()
        self.details: list[Detail] = []
        self.strangers: list[Stranger] = []
        self.error: Exception | None = None
        self.go = threading.Event()
        self.go.set()
        self.tried = 0
        self.closed = 0

    def write(self, batch: Batch) -> None:
        """Keep it, or not."""
        self.tried += 1
        self.go.wait()
        if self.error is not None:
            raise self.error
        self.counts.update(batch.counts)
        self.details.extend(batch.details)
        self.strangers.extend(batch.strangers)

    def close(self) -> None:
        """Count."""
        self.closed += 1

    def outcomes(self) -> dict[str, int]:
        """How many decisions of each outcome were counted."""
        found: Counter[str] = Counter()
        for row, number in self.counts.items():
            found[row.outcome] += number
        return dict(found)


def a_recorder(sink: FakeSink, *, index: PolicyIndex | None = None, **changed: Any) -> Recorder:
    """A recorder that writes often and keeps no grant's details."""
    options: dict[str, Any] = {"now": lambda: NOW, "chance": lambda: 0.5, "sample": 0.0, "interval": 0.1, "pause": 0.1}
    return Recorder(sink, "orders", lambda: index, **(options | changed))


def recording(make: Make, sink: FakeSink, *, sample: float = 0.0) -> Gate:
    """A gate whose decisions go to the sink."""
    gate = make()
    gate.record(sink, chance=lambda: 0.5, sample=sample)
    return gate


def stranger_token() -> str:
    """An authentic token of a tenant nobody listed."""
    return v2_token(tid=STRANGE_TID, iss=v2_issuer(STRANGE_TID))


def a_caller(number: int) -> Caller:
    """One of many verified callers on no list."""
    return Caller(
        issuer="cloud",
        tid=number.to_bytes(16, "big"),
        client_id=f"client-{number}",
        client=number.to_bytes(16, "little"),
        sub="s",
        holder=f"oid-{number}",
        audiences=("a",),
        app_only=AppOnly(None, None),
    )


def test_all_that_is_known_is_counted_by(make: Make):
    """A grant: hour, resource, tenant, client, oid, roles asked for, credential and claims, lifetime, revision."""
    sink = FakeSink()
    gate = recording(make, sink)
    for _ in range(3):
        gate.decide(a_view(), READ)
    gate.close()

    assert sink.counts == {
        Count(
            hour=int(NOW) // 3600 * 3600,
            resource="orders",
            tenant="acme_tenant",
            client_id=ACME_CLIENT,
            oid=ACME_OID,
            outcome=GRANTED,
            roles="Orders.Read",
            credential="token",
            strength="certificate",
            idtyp="app",
            version="2.0",
            lifetime="90m",
            revision=1,
            stranger=False,
        ): 3
    }
    assert sink.closed == 1


async def test_every_way_to_an_answer_is_counted_once(make: Make):
    """Synchronous or not, verified or not, after a fetch that brought nothing, before the first policy."""
    sink = FakeSink()
    gate = recording(make, sink)
    gate.decide(a_view(), READ)
    await gate.adecide(a_view(), READ)
    gate.decide(a_view("a.b.c"))
    gate.decide(a_view(stranger_token()))
    gate.decide(a_view(v2_token(aud="api://somebody-else.example")))
    gate.decide(a_view(v2_token(), (b"authorization", b"Bearer twice")))
    gate.install(suspended())
    await gate.adecide(a_view(), READ)
    gate._index = None
    gate.decide(a_view(), READ)
    gate.close()

    assert sink.outcomes() == {
        GRANTED: 2,
        "token_malformed": 1,
        "tenant_not_listed": 1,
        "audience_mismatch": 1,
        "credential_ambiguous": 1,
        "partner_suspended": 1,
        "policy_unavailable": 1,
    }
    assert gate.recorded is not None
    assert gate.recorded.seen == 8


def test_roles_that_let_in_are_counted_where_none_were_asked_for(make: Make):
    """So that it can be said which roles are used."""
    sink = FakeSink()
    gate = recording(make, sink)
    gate.decide(a_view())
    gate.close()

    (row,) = sink.counts
    assert row.roles == "Orders.Read"


def test_details_of_denials_are_kept_and_never_a_token(make: Make):
    """Id, exact reason and detail, who it was where that was verified; of a grant only what the sample takes."""
    sink = FakeSink()
    gate = recording(make, sink)
    token = v2_token(aud="api://somebody-else.example")
    denied = gate.decide(a_view(token), READ)
    forged = gate.decide(a_view(token[:-8] + "AAAAAAA" + token[-1]), READ)
    gate.decide(a_view(), READ)
    gate.close()

    found = {each.id: each for each in sink.details}
    assert set(found) == {denied.id, forged.id}
    one = found[denied.id]
    assert (one.outcome, one.tenant, one.partner, one.daemon) == (
        "audience_mismatch",
        "acme_tenant",
        "acme",
        "acme_daemon",
    )
    assert (one.tid, one.client_id, one.roles, one.at) == (ACME_TID, ACME_CLIENT, "Orders.Read", int(NOW))
    assert "somebody-else" in one.detail
    assert (found[forged.id].client_id, found[forged.id].tenant, found[forged.id].lifetime) == ("", "", None)
    told = repr((sink.details, sink.counts))
    assert not any(part in told for part in token.split("."))


def test_sample_of_grants(make: Make):
    """Grants are told where chance is below the sample."""
    sink = FakeSink()
    gate = recording(make, sink, sample=0.6)
    granted = gate.decide(a_view(), READ)
    gate.close()

    assert [(each.id, each.outcome, each.roles) for each in sink.details] == [(granted.id, GRANTED, "Orders.Read")]


def test_authentic_strangers_are_named(make: Make):
    """With issuer, tid, client id and oid as signed, how often and when."""
    sink = FakeSink()
    gate = recording(make, sink)
    for _ in range(3):
        gate.decide(a_view(stranger_token()), READ)
    gate.close()

    (asking,) = sink.strangers
    assert (asking.issuer, asking.tid, asking.client_id, asking.oid) == ("cloud", STRANGE_TID, ACME_CLIENT, ACME_OID)
    assert (asking.reason, asking.count, asking.resource) == ("tenant_not_listed", 3, "orders")
    (row,) = sink.counts
    assert (row.tenant, row.stranger) == (f"cloud/{STRANGE_TID}", True)


def test_one_caller_in_a_loop_does_not_push_the_others_details_out():
    """So many a minute of one caller for one reason; others have room of their own."""
    budget = Budget()
    kept = [budget.has_room(("a", "token_expired"), int(NOW), listed=True) for _ in range(100)]

    assert kept == [True] * OF_ONE + [False] * (100 - OF_ONE)
    assert budget.has_room(("b", "token_expired"), int(NOW), listed=True)
    assert budget.has_room(("a", "token_expired"), int(NOW) + 60, listed=True)


def test_a_full_queue_drops_and_counts():
    """Nobody waits; how many were dropped is counted, by many threads at once to the last one, and told to the sink."""
    sink = FakeSink()
    recorder = a_recorder(sink, most_waiting=10)
    denied = Denied(R.TOKEN_MALFORMED, id="t-1")

    def send() -> None:
        for _ in range(5_000):
            recorder.note((denied, None, READ, 0.0, 0.0, NOW))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.start()
    recorder.close()

    outcomes = sink.outcomes()
    assert outcomes["token_malformed"] + outcomes[DROPPED] == 20_000
    assert 10 <= outcomes["token_malformed"] <= 14, "each thread may overshoot by one"
    assert recorder.recorded.dropped == outcomes[DROPPED]


def test_a_sink_that_is_down_loses_no_count():
    """What it cannot take is handed over again; what is decided meanwhile is added up."""
    sink = FakeSink()
    sink.error = SinkError("database_unavailable", "it is down")
    recorder = a_recorder(sink)
    recorder.start()
    denied = Denied(R.TOKEN_MALFORMED, id="t-1")
    for number in range(50):
        recorder.note((denied, None, READ, 0.0, 0.0, NOW))
        if number == 20:
            eventually(lambda: sink.tried > 1)
    assert sink.counts == {}
    eventually(lambda: recorder.recorded.failing == "database_unavailable")

    sink.error = None
    eventually(lambda: sink.outcomes() == {"token_malformed": 50})
    eventually(lambda: recorder.recorded.failing == "")
    recorder.close()
    assert sink.outcomes() == {"token_malformed": 50}


def test_who_gives_way_to_others_is_in_no_trouble_unless_it_goes_on(caplog: pytest.LogCaptureFixture):
    """Ten gates that count in one database wait for each other all the time: nobody is to be alarmed."""
    sink = FakeSink()
    recorder = a_recorder(sink)
    recorder.note((Denied(R.TOKEN_MALFORMED, id="t-1"), None, READ, 0.0, 0.0, NOW))
    recorder._look()
    sink.error = SinkError("database_busy", "others are at it", passing=True)
    for _ in range(PATIENCE - 1):
        assert not recorder._write()
    assert (recorder.recorded.failing, caplog.records) == ("", [])
    sink.error = None
    assert recorder._write()
    assert caplog.records == []
    assert sink.outcomes() == {"token_malformed": 1}

    recorder.note((Denied(R.TOKEN_MALFORMED, id="t-2"), None, READ, 0.0, 0.0, NOW))
    recorder._look()
    sink.error = SinkError("database_busy", "others are at it", passing=True)
    for _ in range(PATIENCE):
        assert not recorder._write()
    assert recorder.recorded.failing == "database_busy"
    sink.error = None
    assert recorder._write()
    assert recorder.recorded.failing == ""
    assert [each.levelname for each in caplog.records] == ["WARNING", "WARNING"]
    assert sink.outcomes() == {"token_malformed": 2}


@pytest.mark.parametrize("error", [SinkError("text_not_allowed", "no", hopeless=True), KeyError("a defect")])
def test_a_batch_that_is_hopeless_is_let_go(error: Exception):
    """It is counted as dropped, and what comes after it is kept."""
    sink = FakeSink()
    sink.error = error
    recorder = a_recorder(sink)
    recorder.start()
    recorder.note((Denied(R.TOKEN_MALFORMED, id="t-1"), None, READ, 0.0, 0.0, NOW))
    eventually(lambda: recorder.recorded.dropped >= 1)
    sink.error = None
    recorder.note((Denied(R.TOKEN_EXPIRED, id="t-2"), None, READ, 0.0, 0.0, NOW))
    recorder.close()

    outcomes = sink.outcomes()
    assert outcomes["token_expired"] == 1
    assert outcomes[DROPPED] == recorder.recorded.dropped


def test_a_sink_that_hangs_holds_nobody_up(make: Make):
    """Validation goes on, closing waits a bounded time, and the queue stays within its bound."""
    sink = FakeSink()
    sink.go.clear()
    gate = recording(make, sink)
    gate.decide(a_view(), READ)
    eventually(lambda: sink.tried == 1)
    for _ in range(200):
        gate.decide(a_view(), READ)
    assert gate.recorded is not None
    assert len(gate._recorder._waiting) >= 200  # type: ignore[union-attr]
    sink.go.set()
    gate.close()
    assert sink.outcomes() == {GRANTED: 201}


@pytest.mark.parametrize("number", [30_000])
def test_any_number_of_strangers_stays_within_bounds(number: int):
    """All are counted, the busiest by name, in bounded memory; a million made the same figures."""
    index = PolicyIndex.from_snapshot(a_snapshot())
    added_up = Tallies("orders", lambda: index)
    denied = Denied(R.TENANT_NOT_LISTED, id="t-1")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for each in range(number):
        entry = (denied, a_caller(each), READ, NOW, NOW + 60, NOW)
        added_up.add(entry)
        added_up.tell(entry, listed=False)
    busy = a_caller(7)
    for _ in range(100):
        added_up.add((denied, busy, READ, NOW, NOW + 60, NOW))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    batch = added_up.take()
    assert batch is not None
    assert added_up.take() is None

    assert grown < 8 * MIB
    assert sum(batch.counts.values()) == number + 100
    named = {row.client_id: count for row, count in batch.counts.items() if row.client_id != OTHER}
    assert len(named) <= tallies.BUSIEST
    assert named["client-7"] == 101
    assert len(batch.strangers) <= tallies.MOST_STRANGERS
    assert len(batch.details) <= tallies.DETAILS_OF_OTHERS
    assert added_up.skipped == number - len(batch.details)


def test_listed_callers_beyond_their_bound_count_in_one_row(monkeypatch: pytest.MonkeyPatch):
    """While a sink is gone: nothing grows without end, and nothing is uncounted before even those rows are full."""
    monkeypatch.setattr(tallies, "MOST_LISTED", 3)
    monkeypatch.setattr(tallies, "MOST_OTHER", 1)
    added_up = Tallies("orders", lambda: None)
    for revision in range(5):
        added_up.add((Denied(R.TOKEN_EXPIRED, revision=revision), None, READ, 0, 0, NOW))
    added_up.add((Denied(R.TOKEN_MALFORMED), None, ("a",), 0, 0, NOW))
    batch = added_up.take()
    assert batch is not None

    assert sum(batch.counts.values()) == 5
    assert [row.client_id for row in batch.counts].count(OTHER) == 1
    assert added_up.lost == 1


def test_a_listed_caller_makes_no_more_rows_than_it_should():
    """Its owner writes every `sub`: so many are told apart in an hour, and the rest count in one row."""
    index = PolicyIndex.from_snapshot(a_snapshot())
    added_up = Tallies("orders", lambda: index)
    rows: Counter[Count] = Counter()
    for each in range(3 * HOLDERS):
        caller = a_caller(each)
        caller.tid, caller.client_id, caller.client = guid_bytes(ACME_TID), ACME_CLIENT, guid_bytes(ACME_CLIENT) or b""
        added_up.add((Denied(R.OBJECT_ID_MISMATCH, id="t-1"), caller, READ, NOW, NOW + 60, NOW))
        batch = added_up.take()
        assert batch is not None
        rows.update(batch.counts)

    assert sum(rows.values()) == 3 * HOLDERS
    assert len(rows) == HOLDERS + 1
    assert [number for row, number in rows.items() if row.oid == OTHER] == [2 * HOLDERS]
    assert {row.client_id for row in rows} == {ACME_CLIENT}


def test_who_asks_by_two_object_ids_is_told_of():
    """One that is louder than the other does not hide it."""
    index = PolicyIndex.from_snapshot(a_snapshot())
    added_up = Tallies("orders", lambda: index)
    for holder in ("oid-1", "oid-2", "oid-2"):
        caller = a_caller(1)
        caller.holder = holder
        added_up.add((Denied(R.TENANT_NOT_LISTED, id="t-1"), caller, READ, NOW, NOW + 60, NOW))
    batch = added_up.take()
    assert batch is not None
    assert [(each.oid, each.count, each.oids_differ) for each in batch.strangers] == [("oid-1", 3, True)]


def test_who_asks_is_looked_up_so_many_times_a_writing():
    """What strangers send must not hold the database up: so many of one tenant, so many of all."""
    index = PolicyIndex.from_snapshot(a_snapshot())
    added_up = Tallies("orders", lambda: index)
    denied = Denied(R.TENANT_NOT_LISTED, id="t-1")
    for each in range(100):
        one = a_caller(1)
        one.client_id = f"client-{each}"
        added_up.add((denied, one, READ, NOW, NOW + 60, NOW))
    of_one = added_up.take()
    for each in range(2, 100):
        added_up.add((denied, a_caller(each), READ, NOW, NOW + 60, NOW))
    of_all = added_up.take()

    assert of_one is not None
    assert of_all is not None
    assert (len(of_one.strangers), len(of_all.strangers)) == (ASKING_OF_A_TENANT, ASKING)


@pytest.mark.parametrize("tenants", [3, ASKING - 1])
def test_tenants_share_the_places_of_who_asks(tenants: int):
    """A few that flood a gate leave a place for whoever comes late and once; and none of them has more than another."""
    index = PolicyIndex.from_snapshot(a_snapshot())
    added_up = Tallies("orders", lambda: index)
    denied = Denied(R.TENANT_NOT_LISTED, id="t-1")
    flood = [(tid, client) for tid in range(1, tenants + 1) for client in range(ASKING_OF_A_TENANT + 5)]
    for tid, client in [*flood, (99, 0), *flood]:
        one = a_caller(tid)
        one.client_id = f"client-{client}"
        added_up.add((denied, one, READ, NOW, NOW + 60, NOW))
    batch = added_up.take()

    assert batch is not None
    assert len(batch.strangers) == ASKING
    shares = Counter(each.tid for each in batch.strangers)
    late = shares.pop(guid_text((99).to_bytes(16, "big")))
    assert late == 1
    assert len(shares) == tenants
    assert max(shares.values()) - min(shares.values()) <= 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_counts_its_own(make: Make, fork: Callable[[Callable[[], Any]], Child]):
    """What waits in the parent is the parent's; the child writes by a thread of its own."""
    sink = FakeSink()
    gate = make()
    gate.record(sink, chance=lambda: 0.5, sample=0.0)
    for _ in range(5):
        gate.decide(a_view(), READ)

    def work() -> Any:
        sink.counts.clear()
        gate.decide(a_view("a.b.c"))
        gate.close()
        return sink.outcomes()

    assert fork(work).report() == {"token_malformed": 1}
    gate.close()
    assert sink.outcomes() == {GRANTED: 5}


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(1, "5m"), (300, "5m"), (301, "1h"), (5400, "90m"), (86_400, "24h"), (10**9, "longer")]
)
def test_lifetimes_are_few(seconds: int, bucket: str):
    """A dimension of any number would be none."""
    assert lifetime_of(seconds) == bucket


def test_a_count_is_a_line_of_json():
    """Its members are texts and numbers: the key in the database is made from them."""
    row = Count(0, "r", "t", "c", "o", GRANTED, "", "token", "", "", "", "5m", 1, False)
    assert json.loads(json.dumps(row._asdict()))["outcome"] == GRANTED
