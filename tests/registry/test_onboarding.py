"""Onboarding in one go: everything a daemon needs, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.registry import daemons, partners, tenants
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import RegistryError
from tenantgate.registry.onboarding import Onboarded, OnboardSpec, onboard
from tenantgate.registry.partners import PartnerSpec
from tests.registry.builders import CLIENT_ID, NOW, TID, Registry, an_app_role

OTHER_TID = "99999999-2222-4333-8444-555555555555"
OTHER_CLIENT = "cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee"


def a_spec(**changed: Any) -> OnboardSpec:
    """A new partner's daemon that may read orders."""
    spec = {
        "partner": PartnerSpec(name="Fabrikam"),
        "issuer": "entra",
        "tid": OTHER_TID,
        "client_id": OTHER_CLIENT,
        "app_roles": ("orders-read",),
        "expires_at": NOW + 100,
        "reason": "Ticket 8",
    }
    return OnboardSpec(**(spec | changed))


def run(registry: Registry, spec: OnboardSpec) -> Onboarded:
    """Onboard in a unit of work of its own."""
    with registry.work() as work:
        return onboard(work, spec)


def test_new_partner_comes_with_everything(registry: Registry):
    """One unit of work lists partner, tenant and daemon, and grants the role until its end."""
    with registry.work() as work:
        found = onboard(work, a_spec())

    assert work.revision == 2
    assert (found.partner.name, found.tenant.partner, found.tenant.tid) == ("Fabrikam", found.partner.id, OTHER_TID)
    assert (found.daemon.tenant, found.daemon.client_id) == (found.tenant.id, OTHER_CLIENT)
    [grant] = found.assignments
    assert (grant.app_role, grant.daemon, grant.expires_at, grant.reason) == (
        "orders-read",
        found.daemon.id,
        NOW + 100,
        "Ticket 8",
    )


def test_partner_and_tenant_that_are_there_are_used(registry: Registry):
    """A second daemon of a known partner's tenant adds neither, however the tid is written."""
    found = run(registry, a_spec(partner="contoso", tid=TID.upper()))

    assert (found.partner.id, found.tenant.id) == ("contoso", "contoso-entra")


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"partner": "nobody"}, "reference_unknown", "partner"),
    ({"partner": PartnerSpec(name="")}, "text_empty", "partner.name"),
    ({"issuer": "nothing"}, "reference_unknown", "issuer"),
    ({"tid": "no guid"}, "guid_malformed", "tid"),
    ({"tid": TID}, "tenant_duplicate", "tid"),
    ({"partner": "contoso", "tid": TID, "client_id": CLIENT_ID}, "client_id_duplicate", "client_id"),
    ({"oid": "no guid"}, "guid_malformed", "oid"),
    ({"app_roles": ("orders-read", "nothing")}, "reference_unknown", "app_roles[1]"),
    ({"expires_at": NOW}, "time_in_past", "expires_at"),
]


@pytest.mark.parametrize(("changed", "code", "field"), REFUSED)
def test_refusal_names_the_member_and_leaves_nothing(
    registry: Registry, changed: dict[str, Any], code: str, field: str
):
    """Whichever step fails, the member of the one form is named, and nothing of the other steps is kept."""
    with pytest.raises(RegistryError) as caught:
        run(registry, a_spec(**changed))

    assert (caught.value.code, caught.value.field) == (code, field)
    with reading(registry.engine) as session:
        assert [row.id for row in partners.list_(session).items] == ["contoso"]
        assert [row.id for row in tenants.list_(session).items] == ["contoso-entra"]
        assert [row.id for row in daemons.list_(session).items] == ["nightly"]


def test_several_roles_at_once(registry: Registry):
    """Each role becomes an assignment of its own."""
    with registry.work() as work:
        an_app_role(work, id="orders-write", value="Orders.Write")

    found = run(registry, a_spec(app_roles=("orders-read", "orders-write")))

    assert [grant.app_role for grant in found.assignments] == ["orders-read", "orders-write"]
