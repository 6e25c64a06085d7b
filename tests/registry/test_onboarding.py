"""Onboarding: partner, tenant, daemon and roles in one unit of work, or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tenantgate.registry import audit, partners, snapshot, tenants
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import ConflictError, InvalidError, RegistryError, TransitionError
from tenantgate.registry.onboarding import OnboardSpec, onboard
from tenantgate.registry.partners import PartnerSpec
from tests.registry.builders import CLIENT_ID, NOW, TID, Registry, a_partner, a_tenant, an_app_role, an_oidc_issuer

NEW_TID = "22222222-3333-4444-8555-666666666666"
NEW_CLIENT = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"


def a_spec(**changed: Any) -> OnboardSpec:
    """Fabrikam's daemon may read orders, all of it new."""
    spec = OnboardSpec(
        partner=PartnerSpec(id="fabrikam", name="Fabrikam"),
        issuer="entra",
        tid=NEW_TID,
        client_id=NEW_CLIENT,
        app_roles=("orders-read",),
        expires_at=NOW + 60,
        reason="T-42",
    )
    return replace(spec, **changed)


def contents(registry: Registry) -> tuple[Any, ...]:
    """Everything in the policy, and the head of the audit."""
    with reading(registry.engine) as session:
        state = snapshot.read_state(session)
        return snapshot.read_snapshot(session), state.audit_sequence, state.audit_hash


def test_everything_is_one_revision(registry: Registry):
    """A new partner with tenant, daemon and role is one revision, and the audit names each of the four."""
    before = contents(registry)
    with registry.work() as work:
        done = onboard(work, a_spec())
    assert work.revision == before[0].revision + 1
    assert (done.partner.id, done.partner.state) == ("fabrikam", "active")
    assert (done.tenant.partner, done.tenant.tid) == ("fabrikam", NEW_TID)
    assert (done.daemon.tenant, done.daemon.client_id) == (done.tenant.id, NEW_CLIENT)
    (grant,) = done.assignments
    assert (grant.daemon, grant.app_role, grant.tenant) == (done.daemon.id, "orders-read", None)
    assert (grant.not_before, grant.expires_at, grant.reason, grant.granted_by) == (None, NOW + 60, "T-42", "adm")
    with reading(registry.engine) as session:
        entries = audit.list_(session, after=before[1]).items
        assert audit.verify_chain(session).sound
    assert [entry.action for entry in entries] == [
        "partner.created",
        "tenant.created",
        "daemon.created",
        "role_assignment.granted",
    ]


def test_partner_and_tenant_that_are_there_are_used(registry: Registry):
    """For a partner that is there, a tenant of theirs is used again, whichever case its tid is written in."""
    with registry.work() as work:
        done = onboard(work, a_spec(partner="contoso", tid=TID.upper()))
    assert (done.partner.id, done.tenant.id) == ("contoso", "contoso-entra")
    with registry.work() as work:
        other = onboard(work, a_spec(partner="contoso"))
    assert other.tenant.id != "contoso-entra"


def test_oidc_issuer_is_its_one_tenant(registry: Registry):
    """At an OIDC issuer there is no tid, and a second daemon finds the tenant of the first."""
    with registry.work() as work:
        an_oidc_issuer(work)
        first = onboard(work, a_spec(issuer="keycloak", tid=None, client_id="sync"))
    with registry.work() as work:
        second = onboard(work, a_spec(partner="fabrikam", issuer="keycloak", tid=None, client_id="reports"))
    assert second.tenant.id == first.tenant.id


def test_hosted_tenant_is_never_taken_for_the_partners(registry: Registry):
    """The publisher's own tenant belongs to no partner: naming its tid here is a conflict."""
    with registry.work() as work:
        a_tenant(work, id="home", tid=NEW_TID, partner=None, hosted=True)
    with pytest.raises(ConflictError) as refused, registry.work() as work:
        onboard(work, a_spec(partner="contoso"))
    assert (refused.value.code, refused.value.field, refused.value.holder) == ("tenant_duplicate", "tid", "home")


def test_daemon_may_come_without_a_role(registry: Registry):
    """Roles may follow later; until then the daemon may do nothing."""
    with registry.work() as work:
        assert onboard(work, a_spec(app_roles=())).assignments == ()


@pytest.mark.parametrize(
    ("changed", "kind", "code", "field"),
    [
        ({"partner": PartnerSpec(name="")}, InvalidError, "text_empty", "partner.name"),
        ({"partner": PartnerSpec(name="X", id="A B")}, InvalidError, "id_malformed", "partner.id"),
        ({"partner": PartnerSpec(name="X", id="contoso")}, ConflictError, "id_duplicate", "partner.id"),
        ({"partner": PartnerSpec(name="X", ends_at=NOW)}, InvalidError, "time_in_past", "partner.ends_at"),
        ({"partner": PartnerSpec(name="X", contacts=("",))}, InvalidError, "text_empty", "partner.contacts[0]"),
        ({"partner": "nobody"}, InvalidError, "reference_unknown", "partner"),
        ({"partner": "closed"}, TransitionError, "partner_archived", "partner"),
        ({"issuer": "nobody"}, InvalidError, "reference_unknown", "issuer"),
        ({"tid": None}, InvalidError, "member_missing", "tid"),
        ({"tid": "nonsense"}, InvalidError, "guid_malformed", "tid"),
        ({"tid": TID}, ConflictError, "tenant_duplicate", "tid"),
        ({"issuer": "keycloak"}, InvalidError, "member_not_allowed", "tid"),
        ({"issuer": "keycloak", "tid": None, "oid": TID}, InvalidError, "member_not_allowed", "oid"),
        ({"client_id": ""}, InvalidError, "text_empty", "client_id"),
        ({"client_id": "sync"}, InvalidError, "guid_malformed", "client_id"),
        ({"partner": "contoso", "tid": TID, "client_id": CLIENT_ID}, ConflictError, "client_id_duplicate", "client_id"),
        ({"oid": "nonsense"}, InvalidError, "guid_malformed", "oid"),
        ({"app_roles": ("orders-read", "nothing")}, InvalidError, "reference_unknown", "app_roles[1]"),
        ({"app_roles": ("orders-read", "orders-read")}, ConflictError, "assignment_overlap", "app_roles[1]"),
        ({"expires_at": NOW}, InvalidError, "time_in_past", "expires_at"),
        ({"expires_at": -1}, InvalidError, "number_out_of_range", "expires_at"),
        ({"reason": "x" * 501}, InvalidError, "text_too_long", "reason"),
    ],
)
def test_fault_names_its_member_and_keeps_nothing(
    registry: Registry, changed: dict[str, Any], kind: type[RegistryError], code: str, field: str
):
    """Whatever is at fault, the refusal names the member of the spec, and policy and audit are as they were."""
    with registry.work() as work:
        an_oidc_issuer(work)
        a_partner(work, id="closed", name="Closed")
        partners.archive(work, "closed")
    before = contents(registry)
    with pytest.raises(kind) as refused, registry.work() as work:
        onboard(work, a_spec(**changed))
    assert (refused.value.code, refused.value.field) == (code, field)
    assert contents(registry) == before


def test_many_roles_are_all_granted(registry: Registry):
    """Every role asked for is granted, in their order."""
    with registry.work() as work:
        an_app_role(work, id="orders-write", value="Orders.Write")
        done = onboard(work, a_spec(app_roles=("orders-write", "orders-read")))
    assert [grant.app_role for grant in done.assignments] == ["orders-write", "orders-read"]


def test_suspended_tenant_stays_suspended(registry: Registry):
    """Onboarding into a tenant that was suspended does not let it in again by the way."""
    with registry.work() as work:
        tenants.suspend(work, "contoso-entra")
    with registry.work() as work:
        assert onboard(work, a_spec(partner="contoso", tid=TID)).tenant.state == "suspended"
