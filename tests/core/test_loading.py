"""A whole policy at once is the same as its rows one after the other, and what is odd is refused in the same words."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tenantgate.core.index import PolicyIndex
from tenantgate.core.policy import (
    KINDS,
    DaemonRow,
    PolicyError,
    PolicySnapshot,
    PutRows,
    RoleAssignmentRow,
    Row,
    RowData,
    is_guid,
    row_of,
)
from tenantgate.core.strict import guid_bytes
from tests.builders import policy_rows

Load = Callable[[tuple[Row, ...]], PolicyIndex]


def one_by_one(rows: tuple[Row, ...]) -> PolicyIndex:
    """An index that took each row by itself, referred-to kinds first."""
    index = PolicyIndex("e1", 1)
    for kind in KINDS:
        for row in rows:
            if row.kind == kind:
                index.take(row)
    return index


def at_once(rows: tuple[Row, ...]) -> PolicyIndex:
    """An index that was loaded."""
    return PolicyIndex.from_snapshot(PolicySnapshot(epoch="e1", revision=1, rows=rows))


def by_kind(rows: tuple[Row, ...]) -> PolicyIndex:
    """An index that was loaded from what a disk and a database give: data by kind."""
    found: dict[str, list[RowData]] = {}
    for row in rows:
        assert row.data is not None
        found.setdefault(row.kind, []).append(row.data)
    return PolicyIndex.from_snapshot(PolicySnapshot(epoch="e1", revision=1, rows=PutRows(found, 1)))


LOADS = (at_once, by_kind, one_by_one)


def facts_of(index: PolicyIndex) -> Any:
    """Everything in an index, grants without their order."""
    return msgspec.to_builtins(
        [
            index.partners,
            {id_: (entry.row, sorted(map(str, entry.daemons))) for id_, entry in index.tenants.items()},
            {id_: msgspec.structs.asdict(entry) | {"grants": ()} for id_, entry in index.daemons.items()},
            {id_: sorted(grant.id for grant in entry.grants) for id_, entry in index.daemons.items()},
            {id_: sorted(grant.id for grant in entry.grants) for id_, entry in index.tenants.items()},
            index.app_roles,
            index.assignments,
        ]
    )


def rows_of_policy() -> tuple[Row, ...]:
    """The built policy, with more of what there is a million of."""
    rows = policy_rows()
    daemon = next(row for row in rows if type(row) is DaemonRow and is_guid(row.client_id) and row.partner is None)
    grant = next(row for row in rows if type(row) is RoleAssignmentRow and row.daemon is not None)
    more: list[Any] = [
        msgspec.structs.replace(daemon, id=f"d-{n}", client_id=f"{n:08x}-0000-4000-8000-000000000000", oid=None)
        for n in range(40)
    ]
    more += [msgspec.structs.replace(grant, id=f"g-{n}", daemon=f"d-{n}", not_before=n or None) for n in range(40)]
    more += [msgspec.structs.replace(grant, id=f"h-{n}", daemon=f"d-{n}", expires_at=n + 1) for n in range(0, 40, 3)]
    return tuple(row_of(row, 1) for row in (*rows, *more))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("load", [at_once, by_kind])
def test_at_once_is_one_by_one(load: Load, seed: int):
    """In whatever order rows of one kind come."""
    rows = list(rows_of_policy())
    random.Random(seed).shuffle(rows)

    assert facts_of(load(tuple(rows))) == facts_of(one_by_one(tuple(rows)))


@pytest.mark.parametrize("every", [1, 2, 3, 7, 39])
def test_roles_are_found_past_daemons_that_have_none(every: int):
    """However many stand between two that have one, and whichever comes next."""
    rows = tuple(row for row in rows_of_policy() if not row.id.startswith("g-") or int(row.id[2:]) % every == 0)
    back = (*(row for row in rows if row.kind != "role_assignment"), *reversed(rows))

    assert facts_of(by_kind(rows)) == facts_of(one_by_one(rows))
    assert facts_of(by_kind(back)) == facts_of(one_by_one(back))


@pytest.mark.parametrize("load", LOADS)
def test_a_daemon_that_comes_twice_with_another_client_has_the_last(load: Load):
    """Nothing is left under the first."""
    rows = rows_of_policy()
    daemon = next(row.data for row in rows if row.id == "d-1")
    assert type(daemon) is DaemonRow
    other = "00000fff-0000-4000-8000-000000000000"

    index = load((*rows, row_of(msgspec.structs.replace(daemon, client_id=other), 1)))

    held = [entry for entry in index.tenants[daemon.tenant].daemons.values() if entry.id == "d-1"]
    assert held == [index.daemons["d-1"]]
    assert held[0].key == guid_bytes(other)


@pytest.mark.parametrize("odd", ["no GUID", "", "0000000g-0000-4000-8000-000000000000", "0" * 36])
@pytest.mark.parametrize("member", ["client_id", "oid"])
def test_one_malformed_guid_among_many_is_found(member: str, odd: str):
    """Whatever stands around it."""
    rows = tuple(
        row_of(msgspec.structs.replace(row.data, **{member: odd}), 1)
        if row.id == "d-7" and row.data is not None
        else row
        for row in rows_of_policy()
    )
    for load in LOADS:
        with pytest.raises(PolicyError) as caught:
            load(rows)
        assert caught.value.code == "guid_malformed"


def test_rows_that_are_kept_as_data_are_rows():
    """Their number, their order, each of them."""
    rows = tuple(msgspec.structs.replace(row, revision=7) for row in rows_of_policy())
    found: dict[str, list[RowData]] = {}
    for row in rows:
        found.setdefault(row.kind, []).append(row.data)  # type: ignore[arg-type]
    put = PutRows(found, 7)
    in_order = [row for kind in found for row in rows if row.kind == kind]

    assert len(put) == len(rows)
    assert list(put) == in_order
    assert put[0] == in_order[0]
    assert put[-2:] == tuple(in_order[-2:])
    assert put == PutRows(found, 7) == tuple(in_order)
    assert put not in (PutRows(found, 8), in_order[:-1], tuple(reversed(in_order)), "rows")


def test_a_kind_that_nobody_knows_is_not_passed_over():
    """It may be one that says who may not."""
    with pytest.raises(PolicyError) as caught:
        PutRows({"planet": []}, 1)
    assert caught.value.code == "kind_unknown"


def test_a_whole_policy_deletes_nothing():
    """Whoever wrote it meant something else."""
    with pytest.raises(PolicyError) as caught:
        at_once((*rows_of_policy(), Row(revision=1, kind="daemon", id="d-1", op="delete")))
    assert caught.value.code == "row_malformed"


def test_a_row_that_comes_twice_counts_as_it_came_last():
    """As when it is changed."""
    rows = rows_of_policy()
    daemon = next(row.data for row in rows if row.id == "d-1")
    grant = next(row.data for row in rows if row.id == "g-1")
    again = (
        row_of(msgspec.structs.replace(daemon, state="suspended"), 1),
        row_of(msgspec.structs.replace(grant, expires_at=99), 1),
    )

    index = at_once((*rows, *again))

    assert facts_of(index) == facts_of(one_by_one((*rows, *again)))
    assert not index.daemons["d-1"].active
    assert index.assignments["g-1"].expires_at == 99


def test_ids_are_held_once():
    """An assignment names role and daemon by the very strings that their own rows hold: a tenth of all memory."""
    copied = msgspec.json.decode(msgspec.json.encode(rows_of_policy()), type=list[dict[str, Any]])
    rows = tuple(row_of(msgspec.convert(each["data"], KINDS[each["kind"]]), 1) for each in copied)
    index = at_once(rows)

    for grant in index.assignments.values():
        if grant.daemon is not None:
            assert grant.daemon is index.daemons[grant.daemon].id
        assert grant.app_role is index.app_roles[grant.app_role].id
    assert all(entry.tenant is index.tenants[entry.tenant].row.id for entry in index.daemons.values())


@pytest.mark.parametrize(
    ("id_", "changes"),
    [
        ("d-1", {"tenant": "nowhere"}),
        ("d-1", {"client_id": "no GUID"}),
        ("d-1", {"client_id": "00000002-0000-4000-8000-000000000000"}),
        ("d-1", {"oid": "no GUID"}),
        ("g-1", {"daemon": "nobody"}),
        ("g-1", {"daemon": None}),
        ("g-1", {"daemon": None, "tenant": "nowhere"}),
    ],
)
def test_what_is_odd_is_refused_in_the_same_words(id_: str, changes: dict[str, Any]):
    """Code, place and message."""
    rows = tuple(
        row_of(msgspec.structs.replace(row.data, **changes), 1) if row.id == id_ and row.data is not None else row
        for row in rows_of_policy()
    )
    said = []
    for load in LOADS:
        with pytest.raises(PolicyError) as caught:
            load(rows)
        said.append((caught.value.code, caught.value.path, caught.value.message))

    assert said[0] == said[1] == said[2]


@pytest.mark.parametrize("id_", ["d-1", "g-1"])
def test_a_row_without_its_data_is_refused(id_: str):
    """Whatever a source says."""
    for spoiled in ({"data": None}, {"id": "another"}, {"kind": "partner"}, {"kind": "planet"}):
        rows = tuple(msgspec.structs.replace(row, **spoiled) if row.id == id_ else row for row in rows_of_policy())
        with pytest.raises(PolicyError) as caught:
            at_once(rows)
        assert caught.value.code in {"row_malformed", "kind_unknown", "reference_unknown"}


def test_a_role_that_is_not_there_is_kept_by_its_name():
    """It grants nothing, as one by one."""
    rows = tuple(row for row in rows_of_policy() if row.kind != "app_role")

    assert facts_of(at_once(rows)) == facts_of(one_by_one(rows))
