"""Who held what when: also what is long gone, and what counted for nothing at that moment."""

from __future__ import annotations

import pytest

from tenantgate.registry import assignments, daemons, partners, pending_grants
from tenantgate.registry.access import Held, held_at
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.engine import reading
from tenantgate.registry.unit_of_work import Actor
from tests.registry.builders import (
    CLIENT_ID,
    NOW,
    Registry,
    a_daemon,
    a_grant,
    a_partner,
    a_resource,
    a_tenant,
    an_app_role,
    an_operator,
)

DAY = 86_400
OTHER = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee"
EVE = Actor("eve", "admin_key", "192.0.2.9")


def at(registry: Registry, moment: int) -> list[Held]:
    """Return what was held then."""
    with reading(registry.engine) as session:
        return held_at(session, moment)


def test_a_grant_has_its_story(registry: Registry):
    """From whom, when, why and until when; before it nothing was held, and after it was taken back nothing is."""
    with registry.work(now=NOW + DAY, actor=EVE) as work:
        assignments.revoke(work, "nightly-read")
    with registry.work(now=NOW + 2 * DAY, actor=EVE) as work:
        a_grant(work, id="again", reason="order 4712", expires_at=NOW + 4 * DAY)

    assert at(registry, NOW - 1) == []
    (first,) = at(registry, NOW)
    assert at(registry, NOW + DAY - 1) == [first]
    assert (first.partner, first.tenant, first.daemon, first.client_id) == (
        "contoso",
        "contoso-entra",
        "nightly",
        CLIENT_ID,
    )
    assert (first.resource, first.role, first.assignment) == ("orders", "Orders.Read", "nightly-read")
    assert (first.granted_by, first.granted_at, first.counted) == ("adm", NOW, True)
    assert at(registry, NOW + DAY) == []

    (second,) = at(registry, NOW + 4 * DAY - 1)
    assert (second.granted_by, second.granted_at, second.reason) == ("eve", NOW + 2 * DAY, "order 4712")
    assert second.expires_at == NOW + 4 * DAY
    assert at(registry, NOW + 4 * DAY) == []


def test_the_second_operator_of_a_sensitive_role_is_told(registry: Registry):
    """As it was at each moment: of the grant, and then of who let it go on for longer."""
    with registry.work() as work:
        an_app_role(work, id="orders-write", value="Orders.Write", sensitive=True)
        for name in ("ada", "bob"):
            an_operator(work, id=name, role="Operator")
    ada, bob = (Actor(name, "admin_key", "192.0.2.9") for name in ("ada", "bob"))
    with registry.work(now=NOW + 10, actor=ada) as work:
        spec = AssignmentSpec(app_role="orders-write", daemon="nightly", expires_at=NOW + DAY)
        asked = pending_grants.grant_or_request(work, spec).id
    with registry.work(now=NOW + 20, actor=bob) as work:
        granted = pending_grants.approve(work, asked).assignment or ""
    with registry.work(now=NOW + 30, actor=bob) as work:
        longer = pending_grants.request_window(work, granted, not_before=None, expires_at=NOW + 2 * DAY).id
    with registry.work(now=NOW + 40) as work:
        pending_grants.approve(work, longer)
    with registry.work(now=NOW + 50, actor=bob) as work:
        assignments.change(work, granted, {"expires_at": NOW + 60})

    def written_at(moment: int) -> tuple[str, str | None] | None:
        by_role = {each.role: (each.granted_by, each.approved_by) for each in at(registry, moment)}
        assert by_role["Orders.Read"] == ("adm", None)
        return by_role.get("Orders.Write")

    assert [written_at(NOW + after) for after in (19, 20, 39, 40, 59, 60)] == [
        None, ("ada", "bob"), ("ada", "bob"), ("bob", "adm"), ("bob", "adm"), None,
    ]  # fmt: skip


def test_what_counted_for_nothing_is_told(registry: Registry):
    """A role is still held while its partner or daemon is suspended; it lets nobody in."""
    with registry.work(now=NOW + 10) as work:
        partners.suspend(work, "contoso")
    with registry.work(now=NOW + 20) as work:
        partners.activate(work, "contoso")
    with registry.work(now=NOW + 30) as work:
        daemons.suspend(work, "nightly")

    assert [at(registry, NOW + after)[0].counted for after in (9, 10, 19, 20, 29, 30)] == [
        True, False, False, True, True, False,
    ]  # fmt: skip


def test_clocks_of_servers_differ(registry: Registry):
    """What is dated before that which it names is told of from then on; the history goes on being told."""
    with registry.work(now=NOW + 12) as work:
        a_daemon(work, id="hourly", client_id=OTHER)
    with registry.work(now=NOW + 10) as work:
        a_grant(work, id="hourly-read", daemon="hourly")

    assert [each.daemon for each in at(registry, NOW + 11)] == ["nightly"]
    assert [each.daemon for each in at(registry, NOW + 12)] == ["hourly", "nightly"]


@pytest.fixture
def several(registry: Registry) -> Registry:
    """Seven roles of three daemons of two partners, on two resources."""
    with registry.work() as work:
        a_resource(work, id="stock", audiences=("api://stock",))
        an_app_role(work, id="orders-write", value="Orders.Write")
        an_app_role(work, id="stock-read", resource="stock", value="Stock.Read")
        a_partner(work, id="acme", name="Acme")
        a_tenant(work, id="acme-entra", partner="acme", tid="99999999-2222-4333-8444-555555555555")
        a_daemon(work, id="hourly", tenant="acme-entra")
        a_daemon(work, id="weekly", client_id="99999999-bbbb-4ccc-8ddd-eeeeeeeeeeee")
        for daemon in ("hourly", "weekly"):
            for role in ("stock-read", "orders-write", "orders-read"):
                a_grant(work, id=f"{daemon}-{role}", app_role=role, daemon=daemon)
    return registry


def test_one_partners_and_one_resources_are_told_apart(several: Registry):
    """By their ids; together both must be so."""
    with reading(several.engine) as session:
        found = held_at(session, NOW)
        acme = held_at(session, NOW, partner="acme")
        stock = held_at(session, NOW, resource="stock")
        both = held_at(session, NOW, partner="acme", resource="stock")
        assert held_at(session, NOW, partner="nobody") == []
    assert acme == [each for each in found if each.partner == "acme"] != []
    assert stock == [each for each in found if each.resource == "stock"] != []
    assert [each.assignment for each in both] == ["hourly-stock-read"]
