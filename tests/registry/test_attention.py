"""What needs a person is found, and what does not is not."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.feed.sink import DROPPED, Batch
from tenantgate.registry import attention, instances, invitations, issuer_health, operators, partners
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.attention import KINDS, SOON, Item
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.invitations import InvitationSpec
from tenantgate.registry.operators import KeySpec
from tenantgate.registry.pending_grants import grant_or_request
from tenantgate.registry.tables import Daemon
from tests.registry.builders import NOW, TID, Registry, a_grant, a_partner, an_app_role, counting_bytes
from tests.registry.test_access_requests import asked
from tests.registry.test_decisions import HOUR, a_count, a_sink

DAY = 86_400


def found(registry: Registry, kind: str, now: int = NOW) -> list[Item]:
    """Items of a kind; there are none of any other."""
    with reading(registry.engine) as session:
        by_kind = attention.read(session, now=now)
    assert list(by_kind) == list(KINDS)
    assert not [item for name, items in by_kind.items() for item in items if name != kind]
    assert all(item.kind == kind for item in by_kind[kind])
    return by_kind[kind]


def test_nothing_needs_anybody_in_the_beginning(registry: Registry):
    """Every kind is there, and empty."""
    assert found(registry, "access_request") == []


def test_an_access_request(registry: Registry):
    """An open one, by who asks for what; a caller's name is bounded and visible."""
    id_ = asked(registry, client_id="caf\u00e9 " + "x" * 400)
    (item,) = found(registry, "access_request")
    assert (item.id, item.path, item.since) == (id_, f"/access-requests/{id_}", NOW)
    assert item.text.replace("…", "").isascii()
    assert len(item.text) < 300


def test_a_sensitive_role_that_was_asked_for(registry: Registry):
    """Until its time is over."""
    with registry.work() as work:
        an_app_role(work, id="orders-write", value="Orders.Write", sensitive=True)
        asked_for = grant_or_request(work, AssignmentSpec(app_role="orders-write", daemon="nightly"))
    (item,) = found(registry, "pending_grant")
    assert (item.id, item.path) == (asked_for.id, f"/pending-grants/{asked_for.id}")
    assert item.until is not None
    assert found(registry, "pending_grant", now=item.until) == []


def test_an_invitation_that_was_redeemed_or_ends(registry: Registry):
    """What a developer has entered waits for an operator; an unused link is said before its end."""
    spec = InvitationSpec(
        partner="contoso", issuer="entra", resource="orders", app_roles=("orders-read",), expires_at=NOW + 3 * DAY
    )
    with registry.work() as work:
        made = invitations.create(work, spec, random_bytes=counting_bytes(3))
    assert found(registry, "invitation_ending", now=NOW + DAY - 1) == []
    (item,) = found(registry, "invitation_ending", now=NOW + DAY)
    assert (item.id, item.until, item.path) == (made.row.id, NOW + 3 * DAY, f"/invitations/{made.row.id}")
    with registry.work() as work:
        invitations.redeem(work, made.code, tid=TID, client_id="bbbbbbbb-cccc-4ddd-8eee-ffffffffffff")
    (item,) = found(registry, "invitation_redeemed", now=NOW + DAY)
    assert (item.id, item.since) == (made.row.id, NOW)


@pytest.mark.parametrize(("ahead", "is_found"), [(1, True), (SOON, True), (SOON + 1, False)])
def test_what_ends_within_a_month(registry: Registry, ahead: int, is_found: bool):
    """A role, a partner, a key, each by its end; what has ended, or is revoked, is no news."""
    with registry.work() as work:
        an_app_role(work, id="orders-write", value="Orders.Write")
        a_grant(work, id="soon", app_role="orders-write", expires_at=NOW + ahead)
    assert [item.id for item in found(registry, "role_ending")] == (["soon"] if is_found else [])
    assert found(registry, "role_ending", now=NOW + ahead) == []


def test_a_partner_that_ends(registry: Registry):
    """But for an archived one."""
    with registry.work() as work:
        a_partner(work, id="fabrikam", name="Fabrikam", ends_at=NOW + DAY)
        a_partner(work, id="tailspin", name="Tailspin", ends_at=NOW + DAY)
        partners.archive(work, "tailspin")
    (item,) = found(registry, "partner_ending")
    assert (item.id, item.until, item.path) == ("fabrikam", NOW + DAY, "/partners/fabrikam")


def test_an_admin_key_that_ends(registry: Registry):
    """But for a revoked one, and a suspended operator's."""
    with registry.work() as work:
        keys = [
            operators.create_key(
                work,
                KeySpec(operator="adm", name=f"k{number}", expires_at=NOW + DAY),
                random_bytes=counting_bytes(number),
            ).row.id
            for number in (1, 2)
        ]
        operators.revoke_key(work, keys[0])
    (item,) = found(registry, "admin_key_ending")
    assert (item.id, item.until) == (keys[1], NOW + DAY)


def an_instance(registry: Registry, revision: int | None, *, at: int = NOW) -> None:
    """One process that said what it enforces."""
    with writing(registry.engine) as session:
        instances.register(session, InstanceSpec(id="gate-1", kind="server", version="0.1.0"), now=at)
        instances.acknowledge(session, "gate-1", revision, now=at)


def test_an_instance_that_lags(registry: Registry):
    """By more than a moment; since the first revision it does not enforce."""
    an_instance(registry, 1)
    assert found(registry, "instance_lagging") == []
    with registry.work(now=NOW + 1) as work:
        partners.suspend(work, "contoso")
    with registry.work(now=NOW + 2) as work:
        partners.activate(work, "contoso")
    assert found(registry, "instance_lagging", now=NOW + 4) == []
    (item,) = found(registry, "instance_lagging", now=NOW + 6)
    assert (item.id, item.since) == ("gate-1", NOW + 1)
    assert "revision 1" in item.text


def test_an_instance_that_enforces_nothing(registry: Registry):
    """Since it began."""
    an_instance(registry, None)
    (item,) = found(registry, "instance_lagging", now=NOW + 10)
    assert item.since == NOW


def test_an_instance_that_fell_silent(registry: Registry):
    """For a day; who signed off is not missed."""
    an_instance(registry, 1)
    (item,) = found(registry, "instance_silent", now=NOW + 61)
    assert (item.id, item.since) == ("gate-1", NOW)
    assert found(registry, "instance_silent", now=NOW + DAY + 1) == []
    with writing(registry.engine) as session:
        instances.forget(session, "gate-1")
    assert found(registry, "instance_silent", now=NOW + 61) == []


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"failures": 3, "last_error": "timeout"}, "cannot be refreshed"),
        ({"too_old": True, "last_error": "tls"}, "too old"),
        ({}, None),
    ],
)
def test_an_issuer_that_fails(registry: Registry, changed: dict[str, Any], text: str | None):
    """Once for each issuer, whatever says so; of instances that are there."""
    an_instance(registry, 1)
    facts = {"issuer": "entra", "document": "v2", "appid": None, "failures": 0, "too_old": False, "last_error": None}
    with writing(registry.engine) as session:
        issuer_health.put(session, "gate-1", [facts | changed, facts | changed | {"document": "v1"}], now=NOW)
    items = found(registry, "issuer_failing")
    assert [(item.id, item.path) for item in items] == ([("entra", "/issuers/entra/health")] if text else [])
    assert not text or text in items[0].text


def test_an_issuer_of_administrators_tokens_that_fails(registry: Registry):
    """Beside one of the policy that has the same id; it is found where its server is."""
    an_instance(registry, 1)
    facts = {"document": "v2", "appid": None, "failures": 3, "too_old": False, "last_error": "timeout"}
    with writing(registry.engine) as session:
        names = ("entra", f"{issuer_health.OF_ADMINISTRATORS}entra")
        issuer_health.put(session, "gate-1", [facts | {"issuer": name} for name in names], now=NOW)
    assert {(item.id, item.path) for item in found(registry, "issuer_failing")} == {
        ("entra", "/issuers/entra/health"),
        ("administrators/entra", "/instances/gate-1"),
    }
    with reading(registry.engine) as session:
        assert len(issuer_health.list_(session, issuer="entra", seen_since=NOW)) == 1


def test_a_daemon_with_two_object_ids(registry: Registry):
    """Named with both, until it is no longer to be pinned."""
    with writing(registry.engine) as session:
        session.execute(sa.update(Daemon).values(pin_object_id=True))
    sink = a_sink(registry)
    sink.write(Batch({a_count(): 1, a_count(oid=TID): 1}))
    sink.close()
    (item,) = found(registry, "object_id_conflict")
    assert (item.id, TID in item.text) == ("nightly", True)


def test_decisions_that_were_dropped(registry: Registry):
    """In the last day."""
    sink = a_sink(registry)
    sink.write(Batch({a_count(outcome=DROPPED): 7}))
    sink.close()
    (item,) = found(registry, "decisions_dropped")
    assert (item.since, "7 decisions" in item.text) == (HOUR, True)
    assert found(registry, "decisions_dropped", now=NOW + 2 * DAY) == []
