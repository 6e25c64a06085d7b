"""Several processes on one folder: whatever each of them believes, what was acknowledged is there and nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tenantgate.core.index import PolicyIndex
from tenantgate.core.policy import PartnerRow, PolicyDelta, PolicySnapshot, Row, RowData, row_of
from tenantgate.feed import kept_lines
from tenantgate.feed import store as of_store
from tenantgate.feed.source import Mark
from tenantgate.feed.store import NotWhole, PolicyStore
from tests.builders import NOW

FEW: Final = 20
"""Partners of a policy in the beginning."""


def mark(revision: int) -> Mark:
    """How far a database got."""
    return Mark(epoch="e", revision=revision, audit_sequence=revision, audit_hash=f"{revision:064x}")


def a_store(folder: Path) -> PolicyStore:
    """What one more process has."""
    return PolicyStore(folder, lambda: float(NOW))


def partners(revision: int, number: int = FEW, **states: str) -> PolicySnapshot:
    """A whole policy of partners, by name their states."""
    names = [f"p{place}" for place in range(number)]
    rows = [PartnerRow(id=name, name=name, state=states.get(name, "active")) for name in names]  # type: ignore[arg-type]
    return PolicySnapshot(epoch="e", revision=revision, rows=tuple(row_of(row, revision) for row in rows))


def a_change(since: int, row: RowData, revision: int | None = None) -> PolicyDelta:
    """One row put, seen by somebody who is at `since`."""
    revision = since + 1 if revision is None else revision
    return PolicyDelta(epoch="e", since=since, revision=revision, rows=(row_of(row, revision),))


def suspended(name: str) -> PartnerRow:
    """A partner that is to be let in no more."""
    return PartnerRow(id=name, name=name, state="suspended")


@pytest.fixture(params=[False, True], ids=["names of their own", "one name for every file"])
def same_identity(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a file system gives the number of a file that is gone to the next one, each time."""
    if request.param:
        for module in (kept_lines, of_store):
            monkeypatch.setattr(module, "identity", lambda _: (1, 1))
    return bool(request.param)


@pytest.mark.usefixtures("same_identity")
def test_a_process_that_lags_goes_on_in_the_file_that_is_there(tmp_path: Path):
    """Another one has written the whole anew meanwhile, and the new file has the number of the old one."""
    slow, fast = a_store(tmp_path), a_store(tmp_path)
    slow.keep(partners(1), mark(1))
    for revision in (2, 3):
        fast.keep(partners(revision, 2 * FEW), mark(revision))

    slow.keep(a_change(1, suspended("p1"), 4), mark(4))

    found = a_store(tmp_path).read()
    assert found is not None
    assert found.mark == mark(4)
    states = {id_: row.state for id_, row in PolicyIndex.from_snapshot(found.snapshot).partners.items()}
    assert len(states) == 2 * FEW
    assert states["p1"] == "suspended"


def test_a_place_is_looked_at_again_in_the_very_file_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Between the look and the writing somebody put another file there: nothing is cut off in it."""
    store = a_store(tmp_path)
    store.keep(partners(1), mark(1))
    path = store.folder / "policy.jsonl"
    place = store._scan()
    a_store(tmp_path).keep(partners(2, 2 * FEW), mark(2))
    before = path.read_bytes()
    monkeypatch.setattr(store, "_scan", lambda: place)

    with pytest.raises(NotWhole):
        store.keep(a_change(1, suspended("p1"), 3), mark(3))

    assert path.read_bytes() == before
    assert store.mark() == mark(2)


def test_a_line_that_a_disk_lost_does_not_make_the_rows_of_before_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The whole that is written anew would let in who was suspended, under the revision of the suspension."""
    store = a_store(tmp_path)
    store.keep(partners(1), mark(1))
    monkeypatch.setattr(of_store, "_SMALL", 1_000)
    monkeypatch.setattr(of_store, "write", lambda handle, content: None)

    long = PartnerRow(id="p1", name="x" * 10_000, state="suspended")
    with pytest.raises(NotWhole):
        store.keep(a_change(1, long), mark(2))

    found = a_store(tmp_path).read()
    assert found is not None
    assert found.mark == mark(1) == store.mark()


class Histories:
    """A database of some partners that change at random, and what each revision of it says."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.states = {0: {f"p{place}": "active" for place in range(8)}}
        self.rows: list[Row] = []
        self.change()

    @property
    def head(self) -> int:
        """The newest revision."""
        return max(self.states)

    def change(self) -> None:
        """Put, or delete, one partner."""
        revision, now = self.head + 1, dict(self.states[self.head])
        name = f"p{self._chance.randrange(12)}"
        if name in now and self._chance.random() < 0.2:
            del now[name]
            self.rows.append(Row(revision=revision, kind="partner", id=name, op="delete"))
        else:
            now[name] = "suspended" if now.get(name) == "active" else "active"
            long = "x" * self._chance.randrange(200)
            row = PartnerRow(id=name, name=name + long, state=now[name])  # type: ignore[arg-type]
            self.rows.append(row_of(row, revision))
        self.states[revision] = now

    def whole(self) -> PolicySnapshot:
        """What a process gets that begins now."""
        rows = [PartnerRow(id=name, name=name, state=state) for name, state in self.states[self.head].items()]  # type: ignore[arg-type]
        return PolicySnapshot(epoch="e", revision=self.head, rows=tuple(row_of(row, self.head) for row in rows))

    def since(self, since: int, to: int) -> PolicyDelta:
        """What a process gets that is at `since` and looked at `to`."""
        rows = tuple(row for row in self.rows if since < row.revision <= to)
        return PolicyDelta(epoch="e", since=since, revision=to, rows=rows)


def turns(chance: random.Random, history: Histories, folder: Path) -> Iterator[int]:
    """Let three processes follow, each at its own pace; yield the revision that one of them acknowledges."""
    stores = [a_store(folder) for _ in range(3)]
    at = [0, 0, 0]
    for _ in range(chance.randrange(20, 60)):
        for _ in range(chance.randrange(3)):
            history.change()
        who = chance.randrange(3)
        to = chance.randint(at[who], history.head)
        try:
            if at[who] == 0 or chance.random() < 0.25:
                raise NotWhole
            if to == at[who]:
                continue
            stores[who].keep(history.since(at[who], to), mark(to))
            at[who] = to
        except NotWhole:  # as a gate does then
            stores[who].keep(history.whole(), mark(history.head))
            at[who] = history.head
        yield at[who]


@pytest.mark.usefixtures("same_identity")
@pytest.mark.parametrize("seed", range(25))
def test_whatever_processes_do_what_was_acknowledged_is_kept(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After every step: at least as far as anybody said, and at that revision what the database had."""
    chance = random.Random(seed)
    monkeypatch.setattr(of_store, "_SMALL", chance.choice([1_000, 3_000, 64 << 10]))
    history = Histories(chance)
    acknowledged = 0
    for revision in turns(chance, history, tmp_path):
        acknowledged = max(acknowledged, revision)
        found = a_store(tmp_path).read()
        assert found is not None
        assert found.mark.revision >= acknowledged
        kept = {id_: row.state for id_, row in PolicyIndex.from_snapshot(found.snapshot).partners.items()}
        assert kept == history.states[found.mark.revision]
