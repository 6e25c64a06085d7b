"""Sensitive roles: nothing is in force before a second operator approved exactly what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from tenantgate.core.index import PolicyIndex
from tenantgate.registry import (
    app_roles,
    assignments,
    audit,
    daemons,
    identities,
    issuers,
    onboarding,
    operators,
    partners,
    pending_grants,
    resources,
    role_mappings,
    tenants,
)
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import RegistryError
from tenantgate.registry.identities import Identity
from tenantgate.registry.onboarding import OnboardSpec
from tenantgate.registry.operators import KeySpec
from tenantgate.registry.pending_grants import APPROVAL_LIFETIME
from tenantgate.registry.service import add, amend
from tenantgate.registry.snapshot import read_snapshot, read_state
from tenantgate.registry.tables import RoleAssignment
from tenantgate.registry.unit_of_work import Actor, Work
from tests.builders import signer
from tests.registry.builders import (
    NOW,
    TID,
    Registry,
    a_daemon,
    a_mapping,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
    an_operator,
    counting_bytes,
)

ADA = Actor("ada", "admin_key", "192.0.2.1", "req-a")
BOB = Actor("bob", "admin_key", "192.0.2.2", "req-b")
CLI = Actor("cli:root", "cli", "local")
DAY = 86_400


@pytest.fixture
def world(registry: Registry) -> Registry:
    """The nightly program reads orders; to let it write them takes two of Ada, Bob and Adm."""
    with registry.work() as work:
        an_app_role(work, id="orders-write", value="Orders.Write", sensitive=True)
        an_operator(work, id="ada", role="Operator")
        an_operator(work, id="bob", role="Operator")
    return registry


def spec(**changed: Any) -> AssignmentSpec:
    """The nightly program may write orders, for thirty days."""
    members: dict[str, Any] = {"app_role": "orders-write", "daemon": "nightly", "expires_at": NOW + 30 * DAY}
    members["ticket"] = "T-1"
    return AssignmentSpec(**(members | {"reason": "contract 4711"} | changed))


def asked(world: Registry, *, actor: Actor = ADA, now: int = NOW, **changed: Any) -> str:
    """Ada asks for it: the pending grant's id."""
    with world.work(actor=actor, now=now) as work:
        made = pending_grants.grant_or_request(work, spec(**changed))
        assert isinstance(made, PendingGrant)
        return made.id


def refused(world: Registry, call: Callable[[Work], Any], *, actor: Actor = BOB, now: int = NOW) -> tuple[str, str]:
    """Code and message of what a change is refused with; nothing may be left of it."""
    with reading(world.engine) as session:
        before = read_state(session)
    with pytest.raises(RegistryError) as caught, world.work(actor=actor, now=now) as work:
        call(work)
    with reading(world.engine) as session:
        assert read_state(session) == before
    return caught.value.code, caught.value.message


def approving(id_: str) -> Callable[[Work], PendingGrant]:
    """Approve it."""
    return lambda work: pending_grants.approve(work, id_)


def roles_of(world: Registry, *, now: int = NOW) -> set[str]:
    """The roles that gates give the nightly program."""
    with reading(world.engine) as session:
        snapshot = read_snapshot(session)
    found = PolicyIndex.from_snapshot(snapshot).assignments.values()
    return {row.app_role for row in found if row.expires_at is None or now < row.expires_at}


def test_nothing_is_in_force_before_a_second_operator_approves(world: Registry):
    """Asked for: no revision, no assignment. Approved by another: one revision, and both are named."""
    with reading(world.engine) as session:
        before = read_state(session)
    id_ = asked(world)
    with reading(world.engine) as session:
        assert read_state(session).revision == before.revision
    assert roles_of(world) == {"orders-read"}

    with world.work(actor=BOB, now=NOW + 60) as work:
        row = pending_grants.approve(work, id_)
    assert (row.state, row.decided_by, row.decided_scheme, row.decided_at) == ("approved", "bob", "admin_key", NOW + 60)
    with reading(world.engine) as session:
        made = assignments.get(session, row.assignment or "")
        actions = [(entry.action, entry.operator) for entry in audit.list_(session, newest_first=True, limit=3).items]
        assert audit.verify_chain(session).sound
        assert read_state(session).revision == before.revision + 1
    assert (made.granted_by, made.approved_by, made.reason, made.ticket) == ("ada", "bob", "contract 4711", "T-1")
    assert (made.app_role, made.daemon, made.expires_at) == ("orders-write", "nightly", NOW + 30 * DAY)
    assert actions == [
        ("pending_grant.approved", "bob"),
        ("role_assignment.granted", "bob"),
        ("pending_grant.requested", "ada"),
    ]
    assert roles_of(world) == {"orders-read", "orders-write"}


def test_no_other_door_grants_a_sensitive_role(world: Registry):
    """The service that grants alone refuses it, for a daemon and for a tenant; so does a claim."""
    assert refused(world, lambda work: assignments.grant(work, spec()))[0] == "approval_needed"
    code, message = refused(world, lambda work: a_mapping(work, app_role="orders-write"))
    assert (code, "never by a claim" in message) == ("role_sensitive", True)
    assert roles_of(world) == {"orders-read"}


def test_a_door_that_forgot_to_ask_opens_nothing(world: Registry):
    """What a unit of work is about to write is looked at again: made, widened or moved without an approval it fails."""
    first = asked(world)
    with world.work(actor=BOB) as work:
        held = pending_grants.approve(work, first).assignment or ""

    def written(**columns: Any) -> str:
        """Change the row as a door would that knows of no approvals."""

        def call(work: Work) -> None:
            row = assignments.get(work.session, held)
            amend(work, row, {"expires_at": row.expires_at, **columns}, "role_assignment.changed")

        return refused(world, call)[0]

    assert written(expires_at=None) == written(expires_at=NOW + 99 * DAY) == "approval_needed"

    def made(work: Work) -> None:
        weekly = a_daemon(work, id="weekly", client_id="bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee")
        add(work, assignments.drafted(work, spec(daemon=weekly)), "role_assignment.granted")

    assert refused(world, made)[0] == "approval_needed"
    with world.work(actor=BOB) as work:
        amend(work, assignments.get(work.session, held), {"expires_at": NOW + DAY}, "role_assignment.changed")
    assert roles_of(world, now=NOW + DAY) == {"orders-read"}


def test_an_ordinary_role_is_granted_at_once(world: Registry):
    """Two operators are asked for where the role says so, and nowhere else."""
    with world.work(actor=ADA) as work:
        an_app_role(work, id="orders-list", value="Orders.List")
        made = pending_grants.grant_or_request(work, spec(app_role="orders-list"))
    assert isinstance(made, RoleAssignment)
    assert (made.granted_by, made.approved_by) == ("ada", None)


@pytest.mark.parametrize(
    ("asker", "approver"),
    [
        (ADA, ADA),
        (ADA, Actor("ada", "bearer", "198.51.100.9", "req-z")),
        (ADA, Actor("cli:ada", "cli", "local")),
        (Actor("cli:ada", "cli", "local"), ADA),
        (CLI, CLI),
        (CLI, Actor("cli:somebody", "cli", "local")),
    ],
    ids=["same", "another credential", "own command", "own command first", "same command", "two commands"],
)
def test_who_asked_cannot_approve(world: Registry, asker: Actor, approver: Actor):
    """By no other credential of the same operator, and not by commands alone."""
    id_ = asked(world, actor=asker)

    assert refused(world, approving(id_), actor=approver)[0] == "second_operator_needed"
    assert roles_of(world) == {"orders-read"}


@pytest.mark.parametrize(("asker", "approver"), [(ADA, CLI), (CLI, ADA), (ADA, BOB)])
def test_two_operators_may(world: Registry, asker: Actor, approver: Actor):
    """A command on the machine counts for one of the two; how each came is kept."""
    id_ = asked(world, actor=asker)
    with world.work(actor=approver) as work:
        row = pending_grants.approve(work, id_)
    assert (row.created_by, row.scheme) == (asker.operator_id, asker.scheme)
    assert (row.decided_by, row.decided_scheme) == (approver.operator_id, approver.scheme)


def come(world: Registry, sub: str) -> Actor:
    """Somebody comes with a token, and is made an operator by that."""
    identity = Identity(issuer="https://id.staff.example/realms/staff", sub=sub)
    with world.work(actor=Actor("", "bearer", "192.0.2.3")) as work:
        made = identities.enrol(work, identity, name=sub, role="Admin")
    return Actor(made.id, "bearer", "192.0.2.3")


@pytest.mark.threat(46)
def test_who_became_an_operator_by_coming_is_neither_of_the_two(world: Registry):
    """One person with tokens of two issuers, or with a token and a key, would be both; moved by an Admin, they may."""
    here, there = come(world, "at-one"), come(world, "at-another")
    for actor in (here, there):
        code, message = refused(world, lambda work: pending_grants.grant_or_request(work, spec()), actor=actor)
        assert (code, actor.operator_id in message) == ("operator_self_made", True)
    id_ = asked(world)
    for actor in (here, there):
        assert refused(world, approving(id_), actor=actor)[0] == "operator_self_made"
    with writing(world.engine) as session:  # as one that a server of before took in
        session.get_one(PendingGrant, id_).created_by = here.operator_id
    for other in (there, BOB, CLI):
        assert refused(world, approving(id_), actor=other)[0] == "operator_self_made"
    assert roles_of(world) == {"orders-read"}

    with world.work() as work:
        (row,) = identities.list_(work.session, there.operator_id).items
        identity = Identity(issuer=row.issuer, sub=row.sub)
        identities.unlink(work, there.operator_id, row.id)
        an_operator(work, id="grace", role="Operator")
        identities.link(work, "grace", identity)
        pending_grants.reject(work, id_)
    again = asked(world)
    with world.work(actor=Actor("grace", "bearer", "192.0.2.3")) as work:
        pending_grants.approve(work, again)
    assert roles_of(world) == {"orders-read", "orders-write"}


def test_a_request_of_who_may_grant_no_more_is_not_approved(world: Registry):
    """Suspended meanwhile, or become a Viewer: what they asked for is not to be trusted either."""
    id_ = asked(world)
    with world.work() as work:
        operators.suspend(work, "ada")
    assert refused(world, approving(id_))[0] == "requester_not_allowed"
    with world.work() as work:
        row = operators.activate(work, "ada")
        row.role = "Viewer"
    assert refused(world, approving(id_))[0] == "requester_not_allowed"


@pytest.mark.parametrize("which", ["daemon", "tenant", "partner"])
def test_what_was_suspended_meanwhile_gets_nothing(world: Registry, which: str):
    """Somebody had a reason. Activated again, it may be approved."""
    id_ = asked(world)
    service, subject = {
        "daemon": (daemons, "nightly"),
        "tenant": (tenants, "contoso-entra"),
        "partner": (partners, "contoso"),
    }[which]
    with world.work() as work:
        service.suspend(work, subject)  # type: ignore[attr-defined]
    assert refused(world, approving(id_))[0] == "subject_not_active"
    with world.work() as work:
        service.activate(work, subject)  # type: ignore[attr-defined]
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, id_).state == "approved"


def test_an_id_given_to_something_else_meanwhile_gets_nothing(world: Registry):
    """A role or daemon deleted, and made anew under the same id with another meaning, is not what was asked for."""
    id_ = asked(world)
    with writing(world.engine) as session:
        role = app_roles.get(session, "orders-write")
        role.value = "Orders.Everything"
        session.add(role)
    assert refused(world, approving(id_))[0] == "request_outdated"
    with writing(world.engine) as session:
        session.delete(app_roles.get(session, "orders-write"))
    assert refused(world, approving(id_))[0] == "request_outdated"
    with reading(world.engine) as session:
        assert pending_grants.get(session, id_).asked["role"] == {"resource": "orders", "value": "Orders.Write"}
    with world.work(actor=BOB) as work:
        assert pending_grants.reject(work, id_).state == "rejected"


@pytest.fixture
def branch(world: Registry) -> Registry:
    """A program whose issuer tells its callers apart by `sub` alone: `main` may come, and no other branch."""
    with world.work() as work:
        an_oidc_issuer(work)
        a_tenant(work, id="fabrikam-realm", issuer="keycloak", tid=None)
        a_daemon(work, id="builder", tenant="fabrikam-realm", client_id="builder", subject="main")
    return world


def repinned(subject: str | None) -> Callable[[Work], Any]:
    """Ada pins the builder to another caller."""
    return lambda work: daemons.change(work, "builder", {"subject": subject})


@pytest.mark.parametrize("subject", ["anybody", None])
def test_another_caller_meanwhile_gets_nothing(branch: Registry, subject: str | None):
    """Bob saw a request for `main`; what Ada made of the daemon since is not what he approves."""
    id_ = asked(branch, daemon="builder")
    with branch.work(actor=ADA) as work:
        repinned(subject)(work)
    assert refused(branch, approving(id_))[0] == "request_outdated"


def test_a_daemon_pinned_meanwhile_gets_what_was_asked(world: Registry):
    """Fewer may come than when it was asked: there is nothing to look at anew."""
    id_ = asked(world)
    with world.work(actor=ADA) as work:
        daemons.change(work, "nightly", {"oid": TID})
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, id_).state == "approved"


@pytest.mark.parametrize("subject", ["anybody", None])
def test_who_holds_a_sensitive_role_is_made_nobody_else_by_one(branch: Registry, subject: str | None):
    """Two approved it for `main`. Taken back or ended, the daemon may be another's; its notes may change any time."""
    id_ = asked(branch, daemon="builder")
    with branch.work(actor=BOB) as work:
        held = pending_grants.approve(work, id_).assignment or ""
    code, message = refused(branch, repinned(subject), actor=ADA)
    assert (code, held in message) == ("approval_needed", True)
    with branch.work(actor=ADA) as work:
        daemons.change(work, "builder", {"notes": "asked by mail"})
    with branch.work(actor=ADA, now=NOW + 30 * DAY) as work:
        repinned(subject)(work)


def shows(strength: str) -> Callable[[Work], Any]:
    """Ada says how strong a credential the nightly program has to show."""
    return lambda work: daemons.change(work, "nightly", {"min_credential": strength})


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("certificate", "none", "request_outdated"),
        ("certificate", "secret", "request_outdated"),
        ("secret", "none", "request_outdated"),
        ("none", "certificate", None),
        ("secret", "certificate", None),
    ],
)
def test_a_weaker_credential_meanwhile_gets_nothing(world: Registry, before: str, after: str, code: str | None):
    """Bob saw a daemon that has to show a certificate. One that has to show more since is what he saw."""
    with world.work(actor=ADA) as work:
        shows(before)(work)
    id_ = asked(world)
    with world.work(actor=ADA) as work:
        shows(after)(work)
    if code is not None:
        assert refused(world, approving(id_))[0] == code
        return
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, id_).state == "approved"


@pytest.mark.parametrize("strength", ["none", "secret"])
def test_who_holds_a_sensitive_role_shows_no_less_by_one(world: Registry, strength: str):
    """Two approved it for a daemon with a certificate. Taken back, or ended, it may show less."""
    with world.work(actor=ADA) as work:
        shows("certificate")(work)
    id_ = asked(world)
    with world.work(actor=BOB) as work:
        held = pending_grants.approve(work, id_).assignment or ""
    code, message = refused(world, shows(strength), actor=ADA)
    assert (code, held in message, "`min_credential`" in message) == ("approval_needed", True, True)
    with world.work(actor=ADA, now=NOW + 30 * DAY) as work:
        shows(strength)(work)
    with world.work(actor=ADA) as work:
        shows("certificate")(work)
        assignments.revoke(work, held)
        shows(strength)(work)


@pytest.mark.parametrize("without", ["issuer", "resource", "partner", "daemon.min_credential"])
def test_a_request_of_a_version_before_is_asked_for_anew(world: Registry, without: str):
    """It does not say all that is looked at: nobody can know whether it is as it was."""
    id_ = asked(world)
    kind, _, member = without.partition(".")
    with writing(world.engine) as session:
        row = session.get_one(PendingGrant, id_)
        there = {name: value for name, value in row.asked[kind].items() if name != member}
        row.asked = {name: value for name, value in row.asked.items() if name != kind} | (
            {kind: there} if member else {}
        )
    assert refused(world, approving(id_))[0] == "request_outdated"
    with world.work(actor=ADA) as work:
        pending_grants.withdraw(work, id_)
    again = asked(world)
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, again).state == "approved"


def ends(at: int | None) -> Callable[[Work], Any]:
    """Ada says when Contoso ends."""
    return lambda work: partners.change(work, "contoso", {"ends_at": at})


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (NOW + 9 * DAY, None, "request_outdated"),
        (NOW + 9 * DAY, NOW + 10 * DAY, "request_outdated"),
        (NOW + 9 * DAY, NOW + 8 * DAY, None),
        (None, NOW + 9 * DAY, None),
    ],
    ids=["no end", "later", "earlier", "an end"],
)
def test_a_partner_that_ends_later_meanwhile_gets_nothing(
    world: Registry, before: int | None, after: int | None, code: str | None
):
    """Bob saw that it all ends with the partner, in nine days. That it ends earlier is nothing to look at anew."""
    with world.work(actor=ADA) as work:
        ends(before)(work)
    id_ = asked(world)
    with world.work(actor=ADA) as work:
        ends(after)(work)
    if code is not None:
        assert refused(world, approving(id_))[0] == code
        return
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, id_).state == "approved"


@pytest.mark.parametrize("after", [None, NOW + 99 * DAY])
@pytest.mark.threat(47)
def test_a_sensitive_role_is_prolonged_by_no_end_of_a_partner(world: Registry, after: int | None):
    """It ends with the partner: to put that off takes the second operator too. The message says which way leads on."""
    end = NOW + 9 * DAY
    with world.work(actor=ADA) as work:
        ends(end)(work)
    id_ = asked(world, expires_at=None)
    with world.work(actor=BOB) as work:
        held = pending_grants.approve(work, id_).assignment or ""
    code, message = refused(world, ends(after), actor=ADA)
    assert (code, held in message, "no later than the partner does now" in message) == ("approval_needed", True, True)
    assert refused(world, ends(after), actor=ADA, now=end + 1)[0] == "approval_needed"
    with world.work(actor=ADA) as work:
        partners.change(work, "contoso", {"notes": "asked by mail"})
        ends(end - DAY)(work)

    with world.work(actor=ADA) as work:
        assignments.change(work, held, {"expires_at": end - DAY})
    with world.work(actor=ADA) as work:
        ends(after)(work)
    with world.work(actor=ADA) as work:
        later = pending_grants.request_window(work, held, not_before=None, expires_at=None).id
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, later).state == "approved"


def test_a_sensitive_role_is_prolonged_by_its_own_partners_end_alone(world: Registry):
    """A whole tenant's, and a daemon's in a hosted tenant; what ends before its partner bounds nothing."""
    end = NOW + 9 * DAY
    with world.work() as work:
        a_resource(work, id="bills", audiences=("api://bills",), tenant_wide_roles=True)
        an_app_role(work, id="bills-pay", resource="bills", value="Bills.Pay", sensitive=True)
        partners.create(work, partners.PartnerSpec(id="fabrikam", name="Fabrikam", ends_at=end))
        a_tenant(work, id="ours", partner=None, hosted=True, tid="22222222-2222-4333-8444-555555555555")
        a_daemon(work, id="guest", tenant="ours", partner="fabrikam", client_id="dddddddd-bbbb-4ccc-8ddd-eeeeeeeeeeee")
        ends(end)(work)

    def later(partner: str) -> Callable[[Work], Any]:
        return lambda work: partners.change(work, partner, {"ends_at": None})

    for partner, subject in (
        ("contoso", {"daemon": None, "tenant": "contoso-entra"}),
        ("fabrikam", {"daemon": "guest"}),
    ):
        for expires_at, code in ((end, None), (end + 1, "approval_needed"), (None, "approval_needed")):
            id_ = asked(world, app_role="bills-pay", expires_at=expires_at, **subject)
            with world.work(actor=BOB) as work:
                held = pending_grants.approve(work, id_).assignment or ""
            if code is not None:
                assert refused(world, later(partner), actor=ADA)[0] == code
            else:
                with world.work(actor=ADA) as work:
                    later(partner)(work)
                with world.work(actor=ADA) as work:
                    partners.change(work, partner, {"ends_at": end})
            with world.work() as work:
                assignments.revoke(work, held)
        with world.work(actor=ADA) as work:
            later(partner)(work)


def a_key(world: Registry) -> str:
    """An admin key of Ada's: its id."""
    with world.work() as work:
        spec = KeySpec(operator="ada", name="laptop", expires_at=NOW + DAY)
        return operators.create_key(work, spec, random_bytes=counting_bytes(61)).row.id


@pytest.mark.threat(46)
def test_what_was_asked_for_with_a_key_that_was_revoked_is_not_approved(world: Registry):
    """It may have leaked, and then it was not Ada who asked. A key that only ended was hers."""
    key = a_key(world)
    for scheme in ("admin_key", "session"):
        id_ = asked(world, actor=Actor("ada", scheme, "203.0.113.9", "req-l", key))
        with reading(world.engine) as session:
            assert pending_grants.get(session, id_).asked["admin_key"] == key
        with world.work(actor=BOB, now=NOW + 2 * DAY) as work:
            row = pending_grants.approve(work, id_)
            assignments.revoke(work, row.assignment or "")
    id_ = asked(world, actor=Actor("ada", "admin_key", "203.0.113.9", "req-l", key))
    with world.work() as work:
        operators.revoke_key(work, key)
    code, message = refused(world, approving(id_))
    assert (code, key in message) == ("requester_not_allowed", True)
    with world.work(actor=BOB) as work:
        pending_grants.reject(work, id_)
    again = asked(world)
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, again).state == "approved"


def test_an_issuer_made_anew_elsewhere_meanwhile_gets_nothing(branch: Registry):
    """Every id is as it was asked for, and whoever signs is somebody else. Made anew as it was, it may be approved."""
    id_ = asked(branch, daemon="builder")

    def anew(issuer: str) -> None:
        with branch.work() as work:
            daemons.delete(work, "builder")
            tenants.delete(work, "fabrikam-realm")
            issuers.delete(work, "keycloak")
            an_oidc_issuer(work, issuer=issuer)
            a_tenant(work, id="fabrikam-realm", issuer="keycloak", tid=None)
            a_daemon(work, id="builder", tenant="fabrikam-realm", client_id="builder", subject="main")

    anew("https://id.evil.example/realms/main")
    assert refused(branch, approving(id_))[0] == "request_outdated"
    anew("https://id.fabrikam.example/realms/main")
    with branch.work(actor=BOB) as work:
        assert pending_grants.approve(work, id_).state == "approved"


KEYS = {"keys": [signer("ES256", "own").jwk(alg="ES256")]}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"metadata_url": "https://id.evil.example/metadata"}, "request_outdated"),
        ({"jwks": KEYS}, "request_outdated"),
        ({"client_id_claim": "sub"}, "request_outdated"),
        ({"subject_pin": True}, "request_outdated"),
        ({"profile": "keycloak"}, "request_outdated"),
        ({"max_key_age": 7200}, None),
    ],
    ids=["metadata", "keys", "client id", "pin", "profile", "age"],
)
def test_an_issuer_read_otherwise_meanwhile_gets_nothing(branch: Registry, members: dict[str, Any], code: str | None):
    """Other keys, or another claim that says who calls: it is another caller. How old keys may be is no such thing."""
    id_ = asked(branch, daemon="builder")
    with branch.work() as work:
        issuers.change(work, "keycloak", members)
    if code is not None:
        assert refused(branch, approving(id_))[0] == code
        return
    with branch.work(actor=BOB) as work:
        assert pending_grants.approve(work, id_).state == "approved"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"audiences": ("api://payments",)}, "request_outdated"),
        ({"audiences": ("api://orders", "api://payments")}, "request_outdated"),
        ({"min_credential": "none"}, "request_outdated"),
        ({"min_credential": "certificate"}, None),
        ({"max_lifetime": 3600}, None),
    ],
    ids=["another", "one more", "weaker", "stronger", "lifetime"],
)
def test_another_api_meanwhile_is_not_what_was_asked(world: Registry, members: dict[str, Any], code: str | None):
    """The role is one of an API, which is known by its audiences, and by what it asks callers to show."""
    with world.work() as work:
        resources.change(work, "orders", {"min_credential": "secret"})
    id_ = asked(world)
    with world.work() as work:
        resources.change(work, "orders", members)
    if code is not None:
        assert refused(world, approving(id_))[0] == code
        return
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, id_).state == "approved"


def test_a_request_does_not_wait_for_ever(world: Registry):
    """Two weeks; expired is judged with the time, and it is asked for again then."""
    id_ = asked(world)
    end = NOW + APPROVAL_LIFETIME
    for decide in (pending_grants.approve, pending_grants.reject, pending_grants.withdraw):
        assert refused(world, lambda work, decide=decide: decide(work, id_), now=end)[0] == "request_expired"  # type: ignore[misc]
    again = asked(world, now=end)
    with world.work(actor=BOB, now=end + 1) as work:
        assert pending_grants.approve(work, again).state == "approved"


def test_a_grant_that_ended_while_it_waited_is_not_given(world: Registry):
    """Its own end is judged when it is approved."""
    id_ = asked(world, expires_at=NOW + DAY)
    assert refused(world, approving(id_), now=NOW + DAY)[0] == "time_in_past"


def test_the_same_is_asked_for_once(world: Registry):
    """While one waits, another for role and daemon is refused, and says which waits."""
    id_ = asked(world)
    code, message = refused(world, lambda work: pending_grants.grant_or_request(work, spec()))
    assert (code, id_ in message) == ("grant_pending", True)


def test_decided_is_decided(world: Registry):
    """Approved, rejected or withdrawn: nothing is decided twice. Only who asked withdraws."""
    for decide, actor in (
        (pending_grants.approve, BOB),
        (pending_grants.reject, BOB),
        (pending_grants.withdraw, ADA),
    ):
        id_ = asked(world)
        assert refused(world, lambda work, id_=id_: pending_grants.withdraw(work, id_))[0] == "not_requester"  # type: ignore[misc]
        with world.work(actor=actor) as work:
            row = decide(work, id_)
        for again in (pending_grants.approve, pending_grants.reject, pending_grants.withdraw):
            assert refused(world, lambda work, again=again, id_=id_: again(work, id_))[0] == "request_decided"  # type: ignore[misc]
        if row.assignment is not None:
            with world.work() as work:
                assignments.revoke(work, row.assignment)
    assert roles_of(world) == {"orders-read"}
    assert refused(world, approving("nobody"))[0] == "pending_grant_not_found"


def test_what_could_not_be_granted_is_not_asked_for(world: Registry):
    """The same checks as for a grant, at once: overlap, a tenant where the resource allows none, unknown names."""
    id_ = asked(world, id="nightly-write")
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, id_).assignment == "nightly-write"

    def code(**changed: Any) -> str:
        return refused(world, lambda work: pending_grants.grant_or_request(work, spec(**changed)))[0]

    assert code() == "assignment_overlap"
    assert code(id="nightly-write") == "id_duplicate"
    assert code(daemon=None, tenant="contoso-entra") == "tenant_wide_not_allowed"
    assert code(daemon="nobody") == code(app_role="nobody") == "reference_unknown"
    assert code(expires_at=NOW) == "time_in_past"
    assert code(reason="a\x00") == "text_not_allowed"


def test_a_longer_window_takes_a_second_operator_too(world: Registry):
    """Until it is approved the old end counts; who asked and who approved are named on the assignment."""
    first = asked(world)
    with world.work(actor=BOB) as work:
        held = pending_grants.approve(work, first).assignment or ""
    with world.work(actor=BOB) as work:
        later = pending_grants.request_window(work, held, not_before=None, expires_at=None, reason="goes on").id
    with reading(world.engine) as session:
        assert assignments.get(session, held).expires_at == NOW + 30 * DAY
    assert refused(world, approving(later), actor=BOB)[0] == "second_operator_needed"
    with world.work(actor=ADA) as work:
        pending_grants.approve(work, later)
    with reading(world.engine) as session:
        row = assignments.get(session, held)
        (entry,) = audit.list_(session, kind="role_assignment", row_id=held, newest_first=True, limit=1).items
    assert (row.expires_at, row.granted_by, row.approved_by, row.version) == (None, "bob", "ada", 2)
    assert (entry.action, entry.before["expires_at"], entry.after["expires_at"]) == (  # type: ignore[index]
        "role_assignment.changed",
        NOW + 30 * DAY,
        None,
    )


def test_a_window_is_asked_for_only_where_it_is_wider(world: Registry):
    """An ordinary role's, and a narrower window, need no approval: the assignment itself is changed."""
    first = asked(world, not_before=NOW + DAY)
    with world.work(actor=BOB) as work:
        held = pending_grants.approve(work, first).assignment or ""

    def code(id_: str, **window: Any) -> str:
        wanted = {"not_before": NOW + DAY, "expires_at": NOW + 30 * DAY} | window
        return refused(world, lambda work: pending_grants.request_window(work, id_, **wanted))[0]

    assert code("nightly-read", expires_at=NOW + 99 * DAY) == "state_unchanged"
    assert code(held) == code(held, expires_at=NOW + 2 * DAY) == "state_unchanged"
    assert code(held, not_before=NOW + 2 * DAY) == "state_unchanged"
    assert code("nobody") == "reference_unknown"
    assert code(held, not_before=NOW + 31 * DAY) == "window_empty"
    with world.work(actor=BOB) as work:
        wider = pending_grants.request_window(work, held, not_before=NOW, expires_at=NOW + 2 * DAY)
    assert (wider.kind, wider.assignment) == ("widen", held)


def test_a_window_of_what_was_revoked_meanwhile_is_not_given(world: Registry):
    """Revoked is gone: approving a wider window does not bring it back."""
    first = asked(world)
    with world.work(actor=BOB) as work:
        held = pending_grants.approve(work, first).assignment or ""
    with world.work(actor=ADA) as work:
        later = pending_grants.request_window(work, held, not_before=None, expires_at=None).id
    with world.work() as work:
        assignments.revoke(work, held)
    assert refused(world, approving(later))[0] == "request_outdated"
    assert roles_of(world) == {"orders-read"}


def test_a_whole_tenant_says_how_many_it_reaches(world: Registry):
    """Where the resource allows it; the warning counts what is listed, and the active ones."""
    with world.work() as work:
        a_resource(work, id="bills", audiences=("api://bills",), tenant_wide_roles=True)
        an_app_role(work, id="bills-pay", resource="bills", value="Bills.Pay", sensitive=True)
        a_daemon(work, id="weekly", client_id="bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee")
        daemons.suspend(work, "weekly")
    id_ = asked(world, app_role="bills-pay", daemon=None, tenant="contoso-entra")
    with reading(world.engine) as session:
        (warning,) = assignments.warnings_of(session, pending_grants.get(session, id_).tenant)
        assert assignments.warnings_of(session, None) == []
    assert "2 now (1 active)" in warning
    with world.work(actor=BOB) as work:
        assert pending_grants.approve(work, id_).state == "approved"


def test_marking_takes_nothing_back(world: Registry):
    """Who has the role keeps it; from then on it takes two. Unmarked, what waits goes on waiting."""
    with world.work() as work:
        assert app_roles.mark_sensitive(work, "orders-read").sensitive
    assert roles_of(world) == {"orders-read"}
    with world.work(actor=ADA) as work:
        waiting = pending_grants.request_window(work, _shortened(work), not_before=None, expires_at=None)
    with world.work() as work:
        assert not app_roles.unmark_sensitive(work, "orders-read").sensitive
    assert refused(world, lambda work: app_roles.unmark_sensitive(work, "orders-read"))[0] == "state_unchanged"
    with reading(world.engine) as session:
        assert pending_grants.get(session, waiting.id).state == "open"
        actions = [entry.action for entry in audit.list_(session, kind="app_role", row_id="orders-read").items]
    assert actions == ["app_role.created", "app_role.marked", "app_role.unmarked"]


def _shortened(work: Work) -> str:
    """Let the assignment of the template end tomorrow."""
    row = assignments.get(work.session, "nightly-read")
    row.expires_at = NOW + DAY
    work.session.add(row)
    return row.id


def test_marking_is_no_policy(world: Registry):
    """The mark is the registry's own: gates hear of nothing."""

    def policy() -> tuple[int, dict[tuple[str, str], Any]]:
        with reading(world.engine) as session:
            snapshot = read_snapshot(session)
        return snapshot.revision, {(row.kind, row.id): row.data for row in snapshot.rows}

    before = policy()
    with world.work() as work:
        app_roles.mark_sensitive(work, "orders-read")
    assert policy() == before


def test_onboarding_asks_for_what_is_sensitive(world: Registry):
    """The daemon is listed and gets its ordinary roles; the sensitive one waits."""
    with world.work(actor=ADA) as work:
        done = onboarding.onboard(
            work,
            OnboardSpec(
                partner="contoso",
                issuer="entra",
                tid=TID,
                client_id="cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee",
                app_roles=("orders-read", "orders-write"),
            ),
        )
    assert [each.app_role for each in done.assignments] == ["orders-read"]
    assert [(each.app_role, each.daemon) for each in done.pending] == [("orders-write", done.daemon.id)]


def test_requests_are_listed(world: Registry):
    """By state, role and daemon, in pages."""
    first = asked(world)
    with world.work(actor=BOB) as work:
        pending_grants.reject(work, first)
    second = asked(world)
    with reading(world.engine) as session:

        def ids(**wanted: Any) -> set[str]:
            return {row.id for row in pending_grants.list_(session, **wanted).items}

        assert ids() == ids(app_role="orders-write") == ids(daemon="nightly") == {first, second}
        assert (ids(state="open"), ids(state="rejected"), ids(tenant="nobody")) == ({second}, {first}, set())
        assert pending_grants.list_(session, limit=1).after == min(first, second)


@pytest.mark.parametrize("round_", range(3))
@pytest.mark.threat(47)
def test_of_fifty_approvals_exactly_one_wins(world: Registry, round_: int):
    """However many operators press at once, with rejections among them: one decision, and the audit tells that one."""
    id_ = asked(world)
    with world.work() as work:
        for place in range(8):
            an_operator(work, id=f"op-{place}", role="Operator")

    together = Barrier(50)

    def decide(place: int) -> str:
        together.wait()
        actor = Actor(f"op-{place % 8}", "admin_key", "192.0.2.3", f"req-{place}")
        call = pending_grants.reject if place % 5 == round_ else pending_grants.approve
        try:
            with world.work(actor=actor) as work:
                return call(work, id_).state
        except RegistryError as error:
            return error.code

    with ThreadPoolExecutor(50) as pool:
        said = sorted(pool.map(decide, range(50)))

    (won,) = [each for each in said if each in ("approved", "rejected")]
    assert set(said) - {won} <= {"request_decided", "database_busy", "conflict"}
    assert said.count("request_decided") >= 1
    with reading(world.engine) as session:
        row = pending_grants.get(session, id_)
        entries = audit.list_(session, kind="pending_grant", row_id=id_).items
        granted = assignments.list_(session, app_role="orders-write").items
        assert audit.verify_chain(session).sound
    assert [entry.action for entry in entries] == ["pending_grant.requested", f"pending_grant.{won}"]
    assert (row.state, row.decided_by) == (won, entries[1].operator)
    assert len(granted) == (won == "approved")
    assert roles_of(world) == {"orders-read", *(["orders-write"] if won == "approved" else [])}


@pytest.mark.threat(47)
def test_approving_and_revoking_are_in_the_order_of_the_audit(world: Registry):
    """Suspended and approved at once: whichever was first, the audit's order is the effect's."""
    id_ = asked(world)

    def act(place: int) -> str:
        try:
            with world.work(actor=BOB) as work:
                if place == 0:
                    return daemons.suspend(work, "nightly").state
                return pending_grants.approve(work, id_).state
        except RegistryError as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        suspended, approved = pool.map(act, range(2))
    with reading(world.engine) as session:
        order = [entry.action for entry in audit.list_(session, newest_first=True, limit=3).items]
        assert audit.verify_chain(session).sound
    assert suspended == "suspended"
    if approved == "approved":
        assert order == ["daemon.suspended", "pending_grant.approved", "role_assignment.granted"]
    else:
        assert approved == "subject_not_active"
        assert order[0] == "daemon.suspended"


def test_mappings_that_were_there_before_stay(world: Registry):
    """Marking says so: a claim that gives the role goes on giving it until the mapping is deleted."""
    with world.work() as work:
        a_mapping(work)
        app_roles.mark_sensitive(work, "orders-read")
    with reading(world.engine) as session:
        assert role_mappings.get(session, "readers").app_role == "orders-read"


def test_a_hosted_daemon_is_its_own_partners(world: Registry):
    """In a hosted tenant it is the daemon's partner who must be active."""
    with world.work() as work:
        partners.create(work, partners.PartnerSpec(id="fabrikam", name="Fabrikam"))
        a_tenant(work, id="ours", partner=None, hosted=True, tid="22222222-2222-4333-8444-555555555555")
        a_daemon(work, id="guest", tenant="ours", partner="fabrikam", client_id="dddddddd-bbbb-4ccc-8ddd-eeeeeeeeeeee")
    id_ = asked(world, daemon="guest")
    with world.work() as work:
        partners.suspend(work, "fabrikam")
    assert refused(world, approving(id_))[0] == "subject_not_active"
