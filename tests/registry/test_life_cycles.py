"""States and their bounds: what may become what, what an archived partner leaves, and what a hosted tenant is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.core.index import PolicyIndex
from tenantgate.registry import app_roles, assignments, daemons, issuers, partners, pending_grants, tenants
from tenantgate.registry.assignments import AssignmentSpec, grant, warnings_of
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import RegistryError
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.snapshot import read_snapshot
from tenantgate.registry.unit_of_work import Work
from tests.registry.builders import (
    CLIENT_ID,
    NOW,
    TID,
    Registry,
    a_daemon,
    a_partner,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
)

OTHER_TID = "22222222-2222-4333-8444-555555555555"
STATES = ("invited", "active", "suspended", "archived")
MOVES: dict[str, Callable[[Work, str], Any]] = {
    "active": partners.activate,
    "suspended": partners.suspend,
    "archived": partners.archive,
}
OUTCOMES = {
    ("invited", "active"): "active",
    ("invited", "suspended"): "suspended",
    ("invited", "archived"): "archived",
    ("active", "active"): "state_unchanged",
    ("active", "suspended"): "suspended",
    ("active", "archived"): "archived",
    ("suspended", "active"): "active",
    ("suspended", "suspended"): "state_unchanged",
    ("suspended", "archived"): "archived",
    ("archived", "active"): "partner_archived",
    ("archived", "suspended"): "partner_archived",
    ("archived", "archived"): "state_unchanged",
}
"""From, to → the state then, or the code of the refusal. No way leads back to `invited`, and none out of `archived`."""


def code_of(registry: Registry, call: Callable[[Work], Any]) -> str:
    """The code a change is refused with."""
    with pytest.raises(RegistryError) as caught, registry.work() as work:
        call(work)
    return caught.value.code


def in_state(registry: Registry, state: str) -> str:
    """A partner in this state."""
    with registry.work() as work:
        id_ = a_partner(work, id="fabrikam", name="Fabrikam", state="invited" if state == "invited" else "active")
    if state not in ("invited", "active"):
        with registry.work() as work:
            MOVES[state](work, id_)
    return id_


def test_the_table_of_transitions_is_whole():
    """Every pair of states stands in it, and every move there is."""
    assert set(OUTCOMES) == {(before, after) for before in STATES for after in MOVES}


@pytest.mark.parametrize(("before", "after"), OUTCOMES)
def test_every_transition_of_a_partner(registry: Registry, before: str, after: str):
    """Each is made, or refused with its code and everything left as it was."""
    id_ = in_state(registry, before)
    try:
        with registry.work() as work:
            said = MOVES[after](work, id_).state
    except RegistryError as error:
        said = error.code
    with reading(registry.engine) as session:
        now = partners.get(session, id_).state
    assert said == OUTCOMES[before, after]
    assert now == (said if said in STATES else before)


@pytest.mark.parametrize("state", ["suspended", "archived", "expired", "", "Active"])
def test_nobody_begins_in_another_state(registry: Registry, state: str):
    """A partner begins invited or active."""
    spec = PartnerSpec(name="Fabrikam", state=state)  # type: ignore[arg-type]
    assert code_of(registry, lambda work: partners.create(work, spec)) == "value_unknown"


def test_ended_is_no_state(registry: Registry):
    """The end is judged with the time: the row stays active, and the gate lets nothing in from that second on."""
    with registry.work() as work:
        a_partner(work, id="fabrikam", name="Fabrikam", ends_at=NOW + 60)
        a_tenant(work, id="fabrikam-entra", partner="fabrikam", tid=OTHER_TID)
    with reading(registry.engine) as session:
        assert partners.get(session, "fabrikam").state == "active"
        index = PolicyIndex.from_snapshot(read_snapshot(session))
    assert index.partners["fabrikam"].ends_at == NOW + 60
    with registry.work(now=NOW + 61) as work:
        assert partners.suspend(work, "fabrikam").state == "suspended"


def test_what_an_archived_partner_had_stays_theirs(registry: Registry):
    """Its id, its tenants' tids and its daemons' client ids are not given to anybody else; the audit would lie."""
    with registry.work() as work:
        partners.archive(work, "contoso")
        a_partner(work, id="fabrikam", name="Fabrikam")
    assert code_of(registry, lambda work: a_partner(work)) == "id_duplicate"
    assert code_of(registry, lambda work: a_tenant(work, id="again", partner="fabrikam")) == "tenant_duplicate"
    assert code_of(registry, lambda work: a_tenant(work, id="again", tid=OTHER_TID)) == "partner_archived"
    assert code_of(registry, lambda work: a_daemon(work, id="weekly", client_id=OTHER_TID)) == "partner_archived"
    assert code_of(registry, lambda work: daemons.activate(work, "nightly")) == "partner_archived"
    assert code_of(registry, lambda work: tenants.activate(work, "contoso-entra")) == "partner_archived"
    with registry.work() as work:
        assert daemons.suspend(work, "nightly").state == "suspended"
        assert tenants.suspend(work, "contoso-entra").state == "suspended"


def test_an_archived_partner_gets_no_role(registry: Registry):
    """Nothing new is made for it: no role for its daemon or its tenant, and no more of one. What it has can end."""
    with registry.work() as work:
        a_resource(work, id="bills", audiences=("api://bills",), tenant_wide_roles=True)
        an_app_role(work, id="bills-list", resource="bills", value="Bills.List")
        an_app_role(work, id="bills-pay", resource="bills", value="Bills.Pay", sensitive=True)
        assignments.change(work, "nightly-read", {"expires_at": NOW + 60})
        partners.archive(work, "contoso")
    for role, subject in (("bills-list", "daemon"), ("bills-pay", "daemon"), ("bills-list", "tenant")):
        wanted = AssignmentSpec(app_role=role, **{subject: {"daemon": "nightly", "tenant": "contoso-entra"}[subject]})  # type: ignore[arg-type]
        for give in (grant, pending_grants.grant_or_request):
            with pytest.raises(RegistryError) as caught, registry.work() as work:
                give(work, wanted)
            assert (caught.value.code, caught.value.field) == ("partner_archived", subject)
    longer = {"expires_at": NOW + 120}
    assert code_of(registry, lambda work: assignments.change(work, "nightly-read", longer)) == "partner_archived"
    with registry.work() as work:
        assignments.change(work, "nightly-read", {"expires_at": NOW + 30})
        app_roles.mark_sensitive(work, "orders-read")

    def widen(work: Work) -> None:
        pending_grants.request_window(work, "nightly-read", not_before=None, expires_at=None)

    assert code_of(registry, widen) == "partner_archived"
    with registry.work() as work:
        assignments.revoke(work, "nightly-read")


def test_a_hosted_tenants_daemon_gets_no_role_when_its_own_partner_is_archived(registry: Registry):
    """In a hosted tenant it is the daemon that says whose it is."""
    with registry.work() as work:
        hosted(work)
        partners.archive(work, "fabrikam")
    wanted = AssignmentSpec(app_role="orders-read", daemon="guest")
    assert code_of(registry, lambda work: grant(work, wanted)) == "partner_archived"


def hosted(work: Work) -> None:
    """The publisher's own tenant, in which Fabrikam has a daemon."""
    a_partner(work, id="fabrikam", name="Fabrikam")
    a_tenant(work, id="ours", partner=None, hosted=True, tid=OTHER_TID)
    a_daemon(work, id="guest", tenant="ours", partner="fabrikam")


def test_a_hosted_tenant_is_the_publishers(registry: Registry):
    """It names no partner; any other does; and the database says so, too."""
    assert code_of(registry, lambda work: a_tenant(work, id="x", hosted=True, tid=OTHER_TID)) == "member_not_allowed"
    assert code_of(registry, lambda work: a_tenant(work, id="x", partner=None, tid=OTHER_TID)) == "member_missing"
    with registry.work() as work:
        hosted(work)
    with registry.engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.execute(sa.text("UPDATE tenant SET partner = 'contoso' WHERE id = 'ours'"))


def test_a_hosted_daemon_names_its_partner(registry: Registry):
    """One that names none is nobody's; in a partner's tenant none is named. One client is one daemon, whoever's."""
    with registry.work() as work:
        hosted(work)
    assert code_of(registry, lambda work: a_daemon(work, id="x", tenant="ours", client_id=TID)) == "member_missing"
    wrong = {"id": "x", "client_id": TID, "partner": "fabrikam"}
    assert code_of(registry, lambda work: a_daemon(work, **wrong)) == "member_not_allowed"
    taken = {"id": "x", "tenant": "ours", "client_id": CLIENT_ID, "partner": "contoso"}
    assert code_of(registry, lambda work: a_daemon(work, **taken)) == "client_id_duplicate"
    assert code_of(registry, lambda work: a_daemon(work, id="x", tenant="ours", partner="nobody", client_id=TID)) == (
        "reference_unknown"
    )


def test_an_archived_partners_hosted_daemon_comes_back_never(registry: Registry):
    """The tenant is shared and stays; the daemon is the partner's."""
    with registry.work() as work:
        hosted(work)
        daemons.suspend(work, "guest")
        partners.archive(work, "fabrikam")
    assert code_of(registry, lambda work: daemons.activate(work, "guest")) == "partner_archived"
    with registry.work() as work:
        tenants.suspend(work, "ours")
        assert tenants.activate(work, "ours").state == "active"


def test_a_hosted_tenant_has_no_role_of_its_own(registry: Registry):
    """Not even where the resource allows tenant-wide roles: it would give one partner's role to another."""
    with registry.work() as work:
        hosted(work)
        a_resource(work, id="bills", audiences=("api://bills",), tenant_wide_roles=True)
        an_app_role(work, id="bills-list", resource="bills", value="Bills.List")
        grant(work, AssignmentSpec(app_role="bills-list", tenant="contoso-entra"))
        assert "1 now (1 active)" in warnings_of(work.session, "contoso-entra")[0]
    spec = AssignmentSpec(app_role="bills-list", tenant="ours")
    assert code_of(registry, lambda work: grant(work, spec)) == "tenant_wide_not_allowed"


def test_a_tenant_belongs_to_one_partner(registry: Registry):
    """Listed for one it is for no other, hosted or not; an OIDC issuer has one tenant."""
    with registry.work() as work:
        hosted(work)
        an_oidc_issuer(work)
        a_tenant(work, id="fabrikam-main", issuer="keycloak", partner="fabrikam", tid=None)
    for changed in (
        {"partner": "fabrikam"},
        {"partner": "fabrikam", "tid": TID.upper()},
        {"tid": OTHER_TID},
        {"partner": None, "hosted": True},
        {"issuer": "keycloak", "tid": None},
    ):
        assert code_of(registry, lambda work, changed=changed: a_tenant(work, id="x", **changed)) == "tenant_duplicate"  # type: ignore[misc]


def test_one_tid_is_active_in_one_cloud_of_a_v1_issuer(registry: Registry):
    """A v1 token would not say which is meant. One of the two suspended, the other may be active; never both."""
    with registry.work() as work:
        shared = {"v1_issuer": "https://sts.windows.net/{tenantid}/"}
        issuers.create(
            work,
            issuers.IssuerSpec(id="emulated", kind="entra", authority="https://login.emulator.example", **shared),
        )
    other = {"id": "x", "issuer": "emulated", "tid": TID}
    assert code_of(registry, lambda work: a_tenant(work, **other)) == "v1_issuer_shared"
    with registry.work() as work:
        tenants.suspend(work, "contoso-entra")
    with registry.work() as work:
        a_tenant(work, **other)
    assert code_of(registry, lambda work: tenants.activate(work, "contoso-entra")) == "v1_issuer_shared"


def test_the_gate_lets_no_state_in_but_active(registry: Registry):
    """Whatever the partner is but active, the snapshot that gates get says so."""
    for state in ("suspended", "archived"):
        with registry.work() as work:
            MOVES[state](work, "contoso")
        with reading(registry.engine) as session:
            assert PolicyIndex.from_snapshot(read_snapshot(session)).partners["contoso"].state == state
