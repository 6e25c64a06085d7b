"""Who held what when, in pages: what the whole says, whatever happened, for about the cost of a page."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.registry import (
    access_pages,
    app_roles,
    assignments,
    audit,
    daemons,
    partners,
    pending_grants,
    tenants,
)
from tenantgate.registry.access import Held, held_at
from tenantgate.registry.access_pages import page_at
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import InvalidError, RegistryError
from tenantgate.registry.tables import AuditEntry, RoleAssignment
from tenantgate.registry.unit_of_work import Actor, Work
from tests.registry.builders import (
    NOW,
    Registry,
    a_daemon,
    a_grant,
    a_partner,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
    an_operator,
)
from tests.registry.test_list_plans import plan_of, statements

PLACES = ("contoso", "acme", "zeta")
RESOURCES = ("orders", "stock", "bills")
SECONDS = ("ada", "bob")
"""Operators who approve what Adm asks for."""


def walked(session: Session, moment: int, *, limit: int = 2, **how: Any) -> list[Held]:
    """Every role that was held, page by page."""
    found: list[Held] = []
    after = None
    for _ in range(1_000):
        page = page_at(session, moment, after=after, limit=limit, **how)
        assert len(page.items) <= limit
        found += page.items
        if (after := page.after) is None:
            return found
    raise AssertionError("it never ends")


def agree(session: Session, moment: int, **how: Any) -> list[Held]:
    """Assert that pages and whole say the same; what was held."""
    whole = held_at(session, moment, **how)
    assert walked(session, moment, **how) == sorted(whole, key=lambda held: held.assignment), (moment, how)
    return whole


@pytest.fixture
def several(registry: Registry) -> Registry:
    """Three partners, one a guest in a hosted tenant; three resources, one with roles for whole tenants."""
    with registry.work() as work:
        for operator in SECONDS:
            an_operator(work, id=operator, role="Operator")
        an_app_role(work, id="orders-close", value="Orders.Close", sensitive=True)
        an_oidc_issuer(work, id="idp", issuer="https://idp.example")
        a_tenant(work, id="home", issuer="idp", tid=None, partner=None, hosted=True)
        for place, partner in enumerate(PLACES[1:]):
            a_partner(work, id=partner, name=partner)
            a_tenant(work, id=f"{partner}-entra", partner=partner, tid=f"{place}9999999-2222-4333-8444-555555555555")
        for resource in RESOURCES[1:]:
            a_resource(work, id=resource, audiences=(f"api://{resource}",), tenant_wide_roles=True)
            for value in ("Read", "Write"):
                an_app_role(work, id=f"{resource}-{value.lower()}", resource=resource, value=value)
    return registry


def _approved(work: Work, asked: RoleAssignment | PendingGrant, second: str) -> None:
    """Another operator approves what was asked for, if it was not given at once."""
    if isinstance(asked, PendingGrant):
        work.actor = Actor(second, "admin_key", "192.0.2.2")
        pending_grants.approve(work, asked.id)


def _a_step(work: Work, chance: random.Random, step: int) -> None:
    """Do one thing of those that decide who holds what, with ids that come again."""
    tenant = chance.choice(("contoso-entra", "acme-entra", "zeta-entra", "home"))
    partner, role = chance.choice(PLACES), chance.choice(("orders-read", "stock-read", "stock-write", "bills-read"))
    daemon, grant = f"d{chance.randrange(5)}", f"g{chance.randrange(8)}"
    window = {
        "not_before": chance.choice((None, work.now + 20)),
        "expires_at": chance.choice((None, work.now + chance.randrange(21, 90))),
    }
    steps: list[Callable[[], Any]] = [
        lambda: (
            a_daemon(
                work, id=daemon, tenant=tenant, client_id=f"c{step}", partner=partner if tenant == "home" else None
            )
            if tenant == "home"
            else a_daemon(work, id=daemon, tenant=tenant, client_id=f"{step:08}-bbbb-4ccc-8ddd-eeeeeeeeeeee")
        ),
        lambda: a_grant(work, id=grant, app_role=role, daemon=daemon, reason=str(step), **window),
        lambda: a_grant(work, id=grant, app_role=role, daemon=None, tenant=tenant, **window),
        lambda: _approved(
            work,
            pending_grants.grant_or_request(
                work, AssignmentSpec(id=grant, app_role="orders-close", daemon=daemon, **window)
            ),
            chance.choice(SECONDS),
        ),
        lambda: _approved(
            work,
            pending_grants.request_window(work, grant, not_before=None, expires_at=None),
            chance.choice(SECONDS),
        ),
        lambda: assignments.revoke(work, grant),
        lambda: assignments.change(work, grant, {"expires_at": window["expires_at"]}),
        lambda: daemons.delete(work, daemon),
        lambda: chance.choice((daemons.suspend, daemons.activate))(work, daemon),
        lambda: chance.choice((tenants.suspend, tenants.activate))(work, tenant),
        lambda: chance.choice((partners.suspend, partners.activate))(work, partner),
        lambda: app_roles.delete(work, role),
        lambda: an_app_role(work, id=role, resource=chance.choice(RESOURCES[1:]), value=f"V{step}"),
    ]
    weights = (5, 9, 4, 6, 3, 4, 2, 2, 2, 1, 1, 2, 2)
    chance.choices(steps, weights)[0]()


@pytest.mark.parametrize("seed", range(3))
def test_pages_say_what_the_whole_says(several: Registry, seed: int):
    """Over a history in which ids come again as something else, things end and clocks of servers differ.

    At each of many moments, for each partner and resource: every role once, in order of the assignment's id.
    """
    chance = random.Random(seed)
    for step in range(150):
        now = NOW + step + chance.choice((0, 0, 0, -7, 7))
        try:
            with several.work(now=now) as work:
                _a_step(work, chance, step)
        except RegistryError:
            continue
    held: list[Held] = []
    with reading(several.engine) as session:
        for moment in (NOW - 99, NOW, *range(NOW - 3, NOW + 190, 16), NOW + 9_999):
            held += agree(session, moment)
            for partner in PLACES:
                held += agree(session, moment, partner=partner)
            for resource in RESOURCES:
                held += agree(session, moment, resource=resource)
            agree(session, moment, partner="acme", resource="stock")
    assert len(held) > 50
    assert {each.approved_by for each in held} == {None, *SECONDS}
    assert {each.granted_by for each in held} == {"adm"}


def test_an_entry_from_before_there_were_sensitive_roles_is_told(registry: Registry):
    """It names no second operator, for there was none: pages and whole say so."""
    with registry.engine.begin() as connection:
        text = connection.exec_driver_sql("SELECT after FROM audit_entry WHERE row_id = 'nightly-read'").scalar_one()
        facts = text if isinstance(text, dict) else json.loads(text)
        assert facts.pop("approved_by") is None
        query = sa.update(AuditEntry).where(col(AuditEntry.row_id) == "nightly-read").values(after=facts)
        connection.execute(query)
    with reading(registry.engine) as session:
        (held,) = agree(session, NOW)
    assert (held.granted_by, held.approved_by) == ("adm", None)


def test_pages_of_every_length_are_the_whole(several: Registry, monkeypatch: pytest.MonkeyPatch):
    """Each role once; a page is full but for the last, where few have ended."""
    monkeypatch.setattr(access_pages, "_BATCH", 3)
    with several.work() as work:
        for place in range(9):
            an_app_role(work, id=f"r{place}", resource="stock", value=f"R{place}")
            a_grant(work, id=f"g{place}", app_role=f"r{place}")
    with reading(several.engine) as session:
        whole = sorted(held_at(session, NOW), key=lambda held: held.assignment)
        assert len(whole) == 10
        for limit in range(1, 12):
            assert walked(session, NOW, limit=limit) == whole
            assert len(page_at(session, NOW, limit=limit).items) == min(limit, 10)
        first = page_at(session, NOW, limit=3)
    with several.work(now=NOW + 5) as work:
        assignments.revoke(work, first.after or "")
    with reading(several.engine) as session:
        rest = page_at(session, NOW + 5, after=first.after, limit=50)
    assert [*first.items, *rest.items] == whole


def test_where_nearly_all_had_ended_pages_are_short(several: Registry, monkeypatch: pytest.MonkeyPatch):
    """A page looks at so many and no more; nobody is missed."""
    monkeypatch.setattr(access_pages, "_BATCH", 2)
    monkeypatch.setattr(access_pages, "_ROUNDS", 2)
    for place in range(9):
        with several.work(now=NOW + place) as work:
            a_grant(work, id=f"g{place}", app_role="stock-read", expires_at=NOW + place + 1)
    with reading(several.engine) as session:
        page = page_at(session, NOW + 99, limit=1)
        assert (page.items, page.after) == ((), "g3")
        assert [held.assignment for held in walked(session, NOW + 99)] == ["nightly-read"]


def test_a_day_long_ago_has_nothing_of_later(several: Registry):
    """What was made since then is not even looked at."""
    with several.work(now=NOW + 50) as work:
        for place in range(20):
            an_app_role(work, id=f"r{place}", resource="stock", value=f"R{place}")
            a_grant(work, id=f"a{place}", app_role=f"r{place}")
    with reading(several.engine) as session, statements(session) as run:
        page = page_at(session, NOW + 49, limit=1)
    assert ([held.assignment for held in page.items], page.after) == (["nightly-read"], None)
    assert not any("a1" in str(parameters) for _, parameters in run)


BAD_CURSORS = ("", "x/", "é", "[]", "E30", "WyJhIl0", "WzEsMiwzLDQsNSw2XQ", "W1tbW1tbW1tb" * 80)


@pytest.mark.parametrize("cursor", BAD_CURSORS)
def test_another_cursor_is_refused(registry: Registry, cursor: str):
    """Untrusted: no list's place, so no page."""
    with reading(registry.engine) as session, pytest.raises(InvalidError) as refused:
        page_at(session, NOW, after=cursor)
    assert (refused.value.code, refused.value.field) == ("cursor_malformed", "cursor")


@pytest.mark.parametrize("limit", [0, 501])
def test_a_page_has_a_length(registry: Registry, limit: int):
    """As every page."""
    with reading(registry.engine) as session, pytest.raises(InvalidError) as refused:
        page_at(session, NOW, limit=limit)
    assert refused.value.code == "number_out_of_range"


@pytest.mark.parametrize("how", [{"partner": "nobody"}, {"resource": "nobody"}, {"partner": "a\0"}, {"resource": "\0"}])
def test_nobodys_page_is_empty(registry: Registry, how: dict[str, str]):
    """Also where no text of ours could be it."""
    with reading(registry.engine) as session:
        assert page_at(session, NOW, **how) == access_pages.HeldPage((), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", [{}, {"resource": "orders"}, {"partner": "contoso"}])
def test_a_page_is_read_along_indexes(several: Registry, how: dict[str, str]):
    """On the first page and further in: no scan of the audit; sorted are at most a partner's own."""
    with several.work() as work:
        an_app_role(work, id="orders-write", value="Write")
        a_grant(work, id="second", app_role="orders-write")
    with reading(several.engine) as session:
        with statements(session) as run:
            first = page_at(session, NOW, limit=1, **how)  # type: ignore[arg-type]
            page_at(session, NOW, limit=1, after=first.after, **how)  # type: ignore[arg-type]
        assert len(run) > 6
        for statement, parameters in run:
            plan = plan_of(session, statement, parameters)
            assert not re.search(r"SCAN |Seq Scan", plan), f"{statement}\n{plan}"
            if "DISTINCT" in statement and "partner" not in how:
                assert not re.search(r"TEMP B-TREE|\bSort\b", plan), f"{statement}\n{plan}"
            if "DISTINCT" in statement:
                assert re.search("ix_audit_entry_(by_assignment|of_row)", plan), f"{statement}\n{plan}"


@pytest.mark.file
def test_a_damaged_entry_keeps_nobody_from_writing(registry: Registry):
    """Text that is no JSON any more is the chain's to find: the next change is made all the same."""
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_entry SET after = '{not json' WHERE kind = 'daemon'")
        before = connection.exec_driver_sql("SELECT max(sequence) FROM audit_entry").scalar_one()
    with registry.work() as work:
        assignments.revoke(work, "nightly-read")

    with reading(registry.engine) as session:
        assert assignments.list_(session).items == ()
        last = session.exec(select(AuditEntry).where(col(AuditEntry.sequence) > before)).one()
        assert (last.sequence, last.kind, last.row_id) == (before + 1, "role_assignment", "nightly-read")
        assert not audit.verify_chain(session).sound
