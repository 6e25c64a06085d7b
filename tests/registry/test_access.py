"""Who held what when: also what is long gone, and what counted for nothing at that moment."""

from __future__ import annotations

from tenantgate.registry import assignments, daemons, partners
from tenantgate.registry.access import Held, held_at, of_partner
from tenantgate.registry.engine import reading
from tenantgate.registry.unit_of_work import Actor
from tests.registry.builders import CLIENT_ID, NOW, Registry, a_grant

DAY = 86_400
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


def test_one_partners_are_told_apart(registry: Registry):
    """By the partner's id."""
    found = at(registry, NOW)
    assert list(of_partner(found, "contoso")) == found
    assert list(of_partner(found, "fabrikam")) == []
