"""Several moved at once: one revision, all or none, and each at fault is named."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.registry import audit, daemons, partners, tenants
from tenantgate.registry.bulk import LARGEST_BULK, Move, move_all
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.snapshot import read_changes, read_state
from tenantgate.registry.tables import AuditEntry, Daemon, Partner, Tenant
from tests.registry.builders import NOW, Registry, a_daemon, a_partner, a_tenant

SEVERAL = ("fabrikam", "contoso", "globex")


@pytest.fixture
def three(registry: Registry) -> Registry:
    """Three partners, at revision 2."""
    with registry.work() as work:
        a_partner(work, id="fabrikam", name="Fabrikam")
        a_partner(work, id="globex", name="Globex")
    return registry


def entries(registry: Registry, after: int) -> list[AuditEntry]:
    """What the audit has after an entry."""
    with reading(registry.engine) as session:
        return list(audit.export(session, after=after))


def state(registry: Registry) -> tuple[int, int]:
    """Revision and last entry of the audit."""
    with reading(registry.engine) as session:
        found = read_state(session)
        return found.revision, found.audit_sequence


def suspend(registry: Registry, *ids: str, reason: str = "", move: Move[Partner] = partners.suspend) -> list[Any]:
    """Suspend partners; what was moved."""
    with registry.work(now=NOW + 60) as work:
        return [
            (each.row.id, each.row.state, each.changed) for each in move_all(work, Partner, move, ids, reason=reason)
        ]


def test_all_are_moved_by_one_revision(three: Registry):
    """Every follower sees all of them or none; the audit has each, with the reason."""
    _, sequence = state(three)

    assert suspend(three, *SEVERAL, reason="incident 4711") == [(id_, "suspended", True) for id_ in SEVERAL]

    with reading(three.engine) as session:
        delta = read_changes(session, 2)
    assert delta is not None
    assert delta.revision == 3
    assert sorted(row.id for row in delta.rows) == sorted(SEVERAL)
    told = entries(three, sequence)
    assert [(each.action, each.row_id, each.revision) for each in told] == [
        ("partner.suspended", id_, 3) for id_ in SEVERAL
    ]
    assert {(each.after or {})["reason"] for each in told} == {"incident 4711"}
    assert all("reason" not in (each.before or {}) for each in told)
    with reading(three.engine) as session:
        assert audit.verify_chain(session).sound


def test_one_in_the_state_already_is_left_as_it_is(three: Registry):
    """It is unchanged, gets no entry, and the others are moved."""
    suspend(three, "contoso")
    revision, sequence = state(three)

    assert suspend(three, *SEVERAL) == [
        ("fabrikam", "suspended", True),
        ("contoso", "suspended", False),
        ("globex", "suspended", True),
    ]

    assert [each.row_id for each in entries(three, sequence)] == ["fabrikam", "globex"]
    assert suspend(three, *SEVERAL) == [(id_, "suspended", False) for id_ in SEVERAL]
    assert state(three) == (revision + 1, sequence + 2)


def test_one_at_fault_refuses_all_and_every_one_is_named(three: Registry):
    """Unknown and archived ones are told with their places; nothing of the rest was done."""
    with three.work() as work:
        partners.archive(work, "globex")
    before = state(three)

    with pytest.raises(InvalidError) as refused:
        suspend(three, "contoso", "nobody", "globex", "../../etc", "fabrikam")

    assert (refused.value.code, refused.value.field) == ("bulk_refused", "ids")
    assert [(each.field, each.code) for each in refused.value.faults] == [
        ("ids[1]", "partner_not_found"),
        ("ids[2]", "partner_archived"),
        ("ids[3]", "partner_not_found"),
    ]
    assert state(three) == before
    with reading(three.engine) as session:
        assert {partners.get(session, id_).state for id_ in ("contoso", "fabrikam")} == {"active"}


@pytest.mark.parametrize(
    ("ids", "code", "field"),
    [
        ([], "list_empty", "ids"),
        (["contoso", "fabrikam", "contoso"], "list_duplicate", "ids[2]"),
        ([f"p{number}" for number in range(LARGEST_BULK + 1)], "list_too_long", "ids"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(three: Registry, ids: list[str], code: str, field: str):
    """Before anything is looked up."""
    before = state(three)
    with pytest.raises(InvalidError) as refused:
        suspend(three, *ids)
    assert (refused.value.code, refused.value.field, refused.value.faults) == (code, field, ())
    assert state(three) == before


@pytest.mark.parametrize(("reason", "code"), [("a" * 501, "text_too_long"), ("a\x00b", "text_not_allowed")])
def test_a_reason_that_cannot_be_kept_moves_nothing(three: Registry, reason: str, code: str):
    """It goes into the audit, so it is looked at first."""
    before = state(three)
    with pytest.raises(InvalidError) as refused:
        suspend(three, "contoso", reason=reason)
    assert (refused.value.code, refused.value.field) == (code, "reason")
    assert state(three) == before


def test_tenants_and_daemons_are_moved_alike(three: Registry):
    """Suspended and active again; whoever belongs to an archived partner does not come back."""
    with three.work() as work:
        a_tenant(work, id="fabrikam-entra", partner="fabrikam", tid="99999999-2222-4333-8444-555555555555")
        a_daemon(work, id="hourly", tenant="fabrikam-entra")
    pairs = ((Tenant, tenants, ["contoso-entra", "fabrikam-entra"]), (Daemon, daemons, ["nightly", "hourly"]))
    for table, service, ids in pairs:
        for move, wanted in (
            (service.suspend, "suspended"),
            (service.activate, "active"),
            (service.suspend, "suspended"),
        ):
            with three.work() as work:
                moved = move_all(work, table, move, ids, reason="so be it")  # type: ignore[type-var]
                assert [(each.row.id, each.row.state, each.changed) for each in moved] == [
                    (id_, wanted, True) for id_ in ids
                ]
    with three.work() as work:
        partners.archive(work, "fabrikam")
    for table, service, ids in pairs:
        with pytest.raises(InvalidError) as refused, three.work() as work:
            move_all(work, table, service.activate, ids, reason="")  # type: ignore[type-var]
        assert [(each.field, each.code) for each in refused.value.faults] == [("ids[1]", "partner_archived")]


def test_as_many_as_may_be_are_moved_at_once(registry: Registry):
    """The largest list goes through, in one revision."""
    ids = [f"p{number}" for number in range(LARGEST_BULK)]
    with registry.work() as work:
        for id_ in ids:
            a_partner(work, id=id_, name=id_)
    assert suspend(registry, *ids) == [(id_, "suspended", True) for id_ in ids]
    assert state(registry)[0] == 3
