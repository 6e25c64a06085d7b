"""The policy on disk: what was kept comes back whole, nothing acknowledged is missing, no damage is believed."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tenantgate.core.index import PolicyIndex
from tenantgate.core.policy import (
    KINDS,
    DaemonRow,
    PolicyDelta,
    PolicySnapshot,
    PutRows,
    RoleAssignmentRow,
    Row,
    put_rows,
)
from tenantgate.feed.kept_lines import FIRST, UnusableKept, in_order, line_after
from tenantgate.feed.source import Mark
from tenantgate.feed.store import NotWhole, PolicyStore
from tenantgate.files import StateDirUnusable
from tests.builders import NOW, a_snapshot
from tests.gate.world import a_delta, a_row_of_policy, suspended

WHOLE = a_snapshot(revision=1)
SUSPENDED = suspended()


class Wall:
    """A wall clock to be set."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    """Epoch seconds."""
    return Wall()


@pytest.fixture
def store(tmp_path: Path, wall: Wall) -> PolicyStore:
    """An empty one."""
    return PolicyStore(tmp_path, wall)


def mark(revision: int, epoch: str = "e1", *supersedes: str) -> Mark:
    """How far something got."""
    return Mark(
        epoch=epoch, revision=revision, audit_sequence=revision, audit_hash=f"{revision:064x}", supersedes=supersedes
    )


def kept(store: PolicyStore, *news: PolicySnapshot | PolicyDelta) -> PolicyStore:
    """The store with these in it."""
    for each in news:
        store.keep(each, mark(each.revision, each.epoch))
    return store


def partners_of(store: PolicyStore) -> dict[str, str]:
    """The partners in what is kept, with their states."""
    found = store.read()
    assert found is not None
    return {id_: row.state for id_, row in PolicyIndex.from_snapshot(found.snapshot).partners.items()}


def code_of(call: Callable[[], object]) -> str:
    """How a store refuses."""
    with pytest.raises(UnusableKept) as caught:
        call()
    return caught.value.code


def order_of(row: Row) -> tuple[str, str]:
    """Rows in one order."""
    return row.kind, row.id


def policy_file(store: PolicyStore) -> Path:
    """Where the rows are."""
    return store.folder / "policy.jsonl"


def test_what_was_kept_comes_back_whole(store: PolicyStore, tmp_path: Path, wall: Wall):
    """Every row, epoch, revision and mark; also for another process."""
    kept(store, WHOLE)

    found = PolicyStore(tmp_path, wall).read()
    assert found is not None
    assert sorted(found.snapshot.rows, key=order_of) == sorted(WHOLE.rows, key=order_of)
    assert (found.snapshot.epoch, found.snapshot.revision, found.snapshot.age) == ("e1", 1, 0.0)
    assert found.mark == mark(1) == store.mark()


def test_nothing_kept_is_nothing(store: PolicyStore):
    """Neither a policy nor a mark."""
    assert store.read() is None
    assert store.mark() is None


def test_changes_stand_behind_the_whole(store: PolicyStore, tmp_path: Path, wall: Wall):
    """Puts in place of what was, deletes gone; the file only grows by them."""
    kept(store, WHOLE)
    size = policy_file(store).stat().st_size
    gone = a_delta(Row(revision=3, kind="role_assignment", id=grants()[0], op="delete"), since=2)

    kept(store, SUSPENDED, gone)

    found = PolicyStore(tmp_path, wall).read()
    assert found is not None
    index = PolicyIndex.from_snapshot(found.snapshot)
    assert index.revision == 3
    assert partners_of(store)["acme"] == "suspended"
    assert grants()[0] not in [row.id for row in found.snapshot.rows]
    assert 0 < policy_file(store).stat().st_size - size < size


def grants() -> list[str]:
    """The role assignments of the whole."""
    return [row.id for row in WHOLE.rows if row.kind == "role_assignment"]


def test_a_change_needs_what_it_follows(store: PolicyStore):
    """Without the whole, or with one missing in between, nothing is written."""
    with pytest.raises(NotWhole):
        kept(store, SUSPENDED)
    assert store.read() is None
    kept(store, WHOLE)
    with pytest.raises(NotWhole):
        kept(store, suspended(since=2))

    assert store.mark() == mark(1)


def test_several_processes_share_a_folder(tmp_path: Path, wall: Wall):
    """Each change is written once, by whoever has it first; one that lags undoes nothing."""
    first, second = PolicyStore(tmp_path, wall), PolicyStore(tmp_path, wall)
    kept(first, WHOLE)
    kept(second, WHOLE)
    kept(first, SUSPENDED)
    size = policy_file(first).stat().st_size
    kept(second, SUSPENDED)
    assert policy_file(first).stat().st_size == size
    other = a_delta(a_row_of_policy("globex", state="archived"), since=2)
    kept(second, other)
    kept(first, WHOLE)  # a lagging one

    assert first.mark() == mark(3)
    assert partners_of(first)["acme"] == "suspended"
    assert partners_of(second)["globex"] == "archived"


def test_a_change_of_several_revisions_adds_what_is_not_there(tmp_path: Path, wall: Wall):
    """One process took the changes singly, the other together."""
    first, second = PolicyStore(tmp_path, wall), PolicyStore(tmp_path, wall)
    kept(first, WHOLE, SUSPENDED)
    later = Row(revision=3, kind="partner", id="globex", op="put", data=a_row_of_policy("globex", state="archived"))
    kept(second, PolicyDelta(epoch="e1", since=1, revision=3, rows=(*SUSPENDED.rows, later)))

    assert partners_of(first) | {} == partners_of(second)
    assert partners_of(first)["acme"] == "suspended"
    assert partners_of(first)["globex"] == "archived"


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_last_line_that_nobody_acknowledged_is_nothing(store: PolicyStore, tmp_path: Path, wall: Wall, cut: int):
    """A process was killed while it wrote: what was there before counts, and the next change takes its place."""
    kept(store, WHOLE)
    before = policy_file(store).read_bytes()
    kept(store, SUSPENDED)
    whole = policy_file(store).read_bytes()
    policy_file(store).write_bytes(whole[:-cut])
    (store.folder / "mark.jsonl").unlink()

    again = PolicyStore(tmp_path, wall)
    assert partners_of(again)["acme"] == "active"
    kept(again, SUSPENDED)

    assert partners_of(PolicyStore(tmp_path, wall))["acme"] == "suspended"
    assert policy_file(store).read_bytes().startswith(before)


def test_what_was_acknowledged_and_is_gone_makes_the_rest_useless(store: PolicyStore):
    """A policy that ends before its mark would let in who was suspended."""
    kept(store, WHOLE)
    before = policy_file(store).read_bytes()
    kept(store, SUSPENDED)
    policy_file(store).write_bytes(before)

    assert code_of(store.read) == "kept_behind"


def test_every_flipped_bit_is_found(tmp_path: Path, wall: Wall):
    """Wherever it is: the file is refused, or what it still says is all that was acknowledged."""
    store = kept(PolicyStore(tmp_path, wall), WHOLE, SUSPENDED)
    whole = policy_file(store).read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        policy_file(store).write_bytes(damaged)
        assert code_of(PolicyStore(tmp_path, wall).read) in {"kept_damaged", "kept_behind", "kept_malformed"}, place


def test_every_length_it_could_be_cut_to_is_found(tmp_path: Path, wall: Wall):
    """A truncated file is refused."""
    store = kept(PolicyStore(tmp_path, wall), WHOLE, SUSPENDED)
    whole = policy_file(store).read_bytes()
    for length in range(0, len(whole), 11):
        policy_file(store).write_bytes(whole[:length])
        assert code_of(PolicyStore(tmp_path, wall).read) in {"kept_damaged", "kept_behind"}, length


def test_a_damaged_file_is_replaced_by_the_next_whole(store: PolicyStore):
    """And refuses changes until then."""
    kept(store, WHOLE)
    policy_file(store).write_bytes(policy_file(store).read_bytes()[:100])
    with pytest.raises(NotWhole):
        kept(store, SUSPENDED)
    kept(store, a_snapshot(revision=2))

    assert partners_of(store)["acme"] == "active"
    assert store.mark() == mark(2)


def test_a_damaged_mark_is_told_by_the_policy(store: PolicyStore):
    """And where both are damaged, that is an error and not a beginning."""
    kept(store, WHOLE, SUSPENDED)
    (store.folder / "mark.jsonl").write_bytes(b"nothing\n")
    assert store.mark() == mark(2)
    assert partners_of(store)["acme"] == "suspended"

    policy_file(store).write_bytes(b"nothing\n")
    assert code_of(store.mark) == "kept_damaged"
    assert code_of(store.read) == "kept_damaged"


@pytest.mark.parametrize("line", [b'{"v":2,"rows":0,"at":0,"mark":{}}', b"{}", b"[]"])
def test_another_versions_file_is_not_guessed_at(store: PolicyStore, line: bytes):
    """Its hash may be right."""
    policy_file(store).write_bytes(line_after(FIRST, "policy", line)[1])

    assert code_of(store.read) in {"kept_malformed", "kept_version_unknown"}


def test_a_new_epoch_takes_the_place_of_the_old_one(store: PolicyStore):
    """Only one that gave it up; a process that lags behind the adoption changes nothing any more."""
    kept(store, a_snapshot(revision=5))
    new = a_snapshot(revision=3, epoch="e2")
    assert code_of(lambda: store.keep(new, mark(3, "e2"))) == "kept_of_another"
    assert store.mark() == mark(5)

    store.keep(new, mark(3, "e2", "e1"))
    store.keep(suspended(since=5), mark(6))

    assert store.mark() == mark(3, "e2", "e1")
    assert partners_of(store)["acme"] == "active"


def test_changes_are_folded_in_before_they_outgrow_the_whole(store: PolicyStore):
    """The file stays bounded, however long a process runs."""
    kept(store, WHOLE)
    largest = 0
    for revision in range(1, 900):
        state = "suspended" if revision % 2 else "active"
        kept(store, a_delta(a_row_of_policy("acme", state=state), since=revision))
        largest = max(largest, policy_file(store).stat().st_size)

    assert largest < 2 * (64 << 10)
    assert partners_of(store)["acme"] == "suspended"
    assert store.mark() == mark(900)


@pytest.mark.parametrize(
    ("age", "later", "expected"),
    [(0.0, 50.0, 50.0), (40.0, 10.0, 40.0), (40.0, 90.0, 90.0), (40.0, -60.0, 40.0)],
    ids=["as long as it lies there", "as old as it was", "or longer", "a clock set back makes nothing younger"],
)
def test_a_kept_policy_is_as_old_as_it_is(store: PolicyStore, wall: Wall, age: float, later: float, expected: float):
    """By the wall clock since it was heard of, and at least by what a steady clock had counted."""
    kept(store, WHOLE)
    store.note_heard(wall.now, age)
    wall.now += later

    found = store.read()
    assert found is not None
    assert (found.snapshot.age, found.heard_at) == (expected, NOW)


H = 3_600.0


@pytest.mark.parametrize(
    ("kept_at", "heard_at", "expected"),
    [
        (-H, None, H),
        (61.0, None, math.inf),
        (-H, 61.0, H),
        (61.0, -H, H),
        (61.0, 61.0, math.inf),
        (60.0, None, 0.0),
        (-H, 60.0, 0.0),
        (-H, -2 * H, 2 * H),
        (-H, -H - 60.0, H),
        (-2 * H, -H, H),
    ],
    ids=[
        "never heard of since",
        "kept by a clock that was ahead",
        "heard of by one",
        "kept by one, heard of by a right one",
        "both by one",
        "a little ahead",
        "heard of a little ahead",
        "kept by one that was ahead, and its time has come",
        "kept soon after the last note",
        "heard of since",
    ],
)
def test_a_time_that_is_yet_to_come_says_nothing(
    store: PolicyStore, wall: Wall, kept_at: float, heard_at: float | None, expected: float
):
    """Each of the two may have been written by a clock that was wrong; seconds from now."""
    now = wall.now
    wall.now = now + kept_at
    kept(store, WHOLE)
    if heard_at is not None:
        store.note_heard(now + heard_at, 0.0)
    wall.now = now

    found = store.read()
    assert found is not None
    assert found.snapshot.age == expected
    assert (found.heard_at is None) == math.isinf(expected)


def test_a_policy_that_was_discarded_leaves_its_mark(store: PolicyStore):
    """So that no older database is followed."""
    kept(store, WHOLE, SUSPENDED)
    store.discard()
    store.discard()

    assert store.read() is None
    assert store.mark() == mark(2)


def test_a_folder_that_others_may_write_to_ends_the_start(tmp_path: Path, wall: Wall):
    """Who writes there says who is let in."""
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy").chmod(0o777)

    with pytest.raises(StateDirUnusable, match="others may write to it"):
        PolicyStore(tmp_path, wall)


def test_files_are_for_our_eyes_only_and_others_are_not_read(store: PolicyStore):
    """Mode 0600; one that others may write to is an error, a link is not followed."""
    kept(store, WHOLE)
    assert {path.stat().st_mode & 0o777 for path in store.folder.iterdir()} == {0o600}

    policy_file(store).chmod(0o666)
    with pytest.raises(OSError, match="others may write to it"):
        store.read()
    policy_file(store).rename(store.folder / "elsewhere")
    policy_file(store).symlink_to(store.folder / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        store.read()


KILLED = """
import os, sys
from pathlib import Path
from tests.feed.test_store import PolicyStore, Wall, a_delta, a_row_of_policy, kept
store = PolicyStore(Path(sys.argv[1]), Wall())
revision = store.mark().revision
while True:
    state = "suspended" if revision % 2 else "active"
    kept(store, a_delta(a_row_of_policy("acme", state=state), since=revision))
    revision += 1
    os.write(1, f"{revision}\\n".encode())
"""


def test_a_killed_process_loses_nothing_it_acknowledged(store: PolicyStore, tmp_path: Path, wall: Wall):
    """kill -9 wherever it is: what it said is kept is kept, and the next process goes on."""
    kept(store, WHOLE)
    for lines in (1, 7, 30, 80, 3, 150):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        told += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        acknowledged = max(int(line) for line in told if line.endswith(b"\n"))

        found = PolicyStore(tmp_path, wall).read()
        assert found is not None
        assert found.mark.revision >= acknowledged
        expected = "active" if found.mark.revision % 2 else "suspended"
        assert partners_of(PolicyStore(tmp_path, wall))["acme"] == expected


def test_nothing_half_written_is_left_behind_for_long(tmp_path: Path, wall: Wall):
    """What a killed process left is cleared away by one that starts an hour later."""
    store = PolicyStore(tmp_path, wall)
    left = store.folder / ".policy.0123.new"
    left.write_bytes(b"half")
    os.utime(left, (NOW, NOW))
    PolicyStore(tmp_path, wall)
    assert left.exists()
    wall.now += 4_000
    PolicyStore(tmp_path, wall)
    assert not left.exists()


@pytest.mark.parametrize("by_kind", [False, True])
def test_rows_lie_beside_what_they_name(by_kind: bool):
    """Whatever order they came in: daemons in the order of tenants, assignments in that of daemons."""
    rows = tuple(reversed(WHOLE.rows))
    given = {kind: [row.data for row in rows if row.kind == kind and row.data is not None] for kind in KINDS}
    before = {kind: list(found) for kind, found in given.items()}
    found = dict(in_order(PutRows(given, WHOLE.revision) if by_kind else put_rows(rows, WHOLE.revision)))

    assert list(found) == list(KINDS)
    assert given == before
    assert {kind: sorted(each, key=lambda data: data.id) for kind, each in found.items()} == {
        kind: sorted(each, key=lambda data: data.id) for kind, each in given.items()
    }
    tenants = [data.id for data in found["tenant"]]
    places = [tenants.index(data.tenant) for data in found["daemon"] if isinstance(data, DaemonRow)]
    assert places == sorted(places)
    daemons = [data.id for data in found["daemon"]]
    holders = [data.daemon for data in found["role_assignment"] if isinstance(data, RoleAssignmentRow)]
    places = [daemons.index(holder) if holder else -1 for holder in holders]
    assert places == sorted(places)
