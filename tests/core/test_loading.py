"""A whole policy at once is the same as its rows one after the other, and what is odd is refused in the same words."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from tenantgate.core.index import PolicyIndex
from tenantgate.core.policy import (
    KINDS,
    DaemonRow,
    PolicyError,
    PolicySnapshot,
    RoleAssignmentRow,
    Row,
    is_guid,
    row_of,
)
from tests.builders import policy_rows


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
def test_at_once_is_one_by_one(seed: int):
    """In whatever order rows of one kind come."""
    rows = list(rows_of_policy())
    random.Random(seed).shuffle(rows)

    assert facts_of(at_once(tuple(rows))) == facts_of(one_by_one(tuple(rows)))


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
    for load in (at_once, one_by_one):
        with pytest.raises(PolicyError) as caught:
            load(rows)
        said.append((caught.value.code, caught.value.path, caught.value.message))

    assert said[0] == said[1]


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
