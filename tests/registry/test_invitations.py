"""Invitations: redeemed once, by who holds the code; and nothing is listed before an operator approved."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tenantgate.registry import (
    app_roles,
    assignments,
    audit,
    daemons,
    invitations,
    invited,
    issuers,
    partners,
    pending_grants,
)
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import CredentialError, RegistryError
from tenantgate.registry.invitation_tables import Invitation
from tenantgate.registry.invitations import LIFETIME, InvitationSpec, NewInvitation
from tenantgate.registry.invited import Gives
from tenantgate.registry.snapshot import read_snapshot, read_state
from tenantgate.registry.unit_of_work import Actor, Work
from tests.registry.builders import (
    NOW,
    TID,
    Registry,
    a_daemon,
    a_grant,
    a_mapping,
    a_partner,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
    counting_bytes,
)

FABRIKAM_TID = "22222222-3333-4444-8555-666666666666"
CLIENT = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
OUTSIDE = Actor("", "invitation", "203.0.113.9", "req-x")
DAY = 86_400


@pytest.fixture
def world(registry: Registry) -> Registry:
    """Fabrikam is invited; nothing of theirs is listed."""
    with registry.work() as work:
        a_partner(work, id="fabrikam", name="Fabrikam", state="invited")
    return registry


def spec(**changed: Any) -> InvitationSpec:
    """Fabrikam's daemon shall read orders."""
    members: dict[str, Any] = {
        "partner": "fabrikam",
        "issuer": "entra",
        "resource": "orders",
        "app_roles": ("orders-read",),
        "role_ends_at": NOW + 30 * DAY,
    }
    return InvitationSpec(**(members | changed))


def invited_to(world: Registry, *, start: int = 70, **changed: Any) -> NewInvitation:
    """Invite them."""
    with world.work() as work:
        return invitations.create(work, spec(**changed), random_bytes=counting_bytes(start))


def redeemed(
    world: Registry, code: str, *, tid: str | None = FABRIKAM_TID, client_id: str = CLIENT, now: int = NOW
) -> str:
    """Somebody enters their daemon: the invitation's id."""
    with world.work(actor=OUTSIDE, now=now) as work:
        return invitations.redeem(work, code, tid=tid, client_id=client_id).id


def refused(
    world: Registry, call: Callable[[Work], Any], *, now: int = NOW, actor: Actor | None = None
) -> RegistryError:
    """What a change is refused with; nothing may be left of it."""
    with reading(world.engine) as session:
        before = read_state(session)
    with pytest.raises(RegistryError) as caught, world.work(now=now, **({"actor": actor} if actor else {})) as work:
        call(work)
    with reading(world.engine) as session:
        assert read_state(session) == before
    return caught.value


def redeeming(code: str, tid: str | None = FABRIKAM_TID, client_id: str = CLIENT) -> Callable[[Work], Any]:
    """Enter it."""
    return lambda work: invitations.redeem(work, code, tid=tid, client_id=client_id)


def test_from_the_link_to_the_daemon(world: Registry):
    """Redeemed nothing is listed; approved tenant, daemon, roles and the partner's state are one revision."""
    made = invited_to(world)
    with reading(world.engine) as session:
        before, state = read_snapshot(session), read_state(session)
    id_ = redeemed(world, made.code, tid=FABRIKAM_TID.upper(), client_id=CLIENT.upper())
    with reading(world.engine) as session:
        assert read_snapshot(session) == before
        assert partners.get(session, "fabrikam").state == "invited"

    with world.work(now=NOW + 60) as work:
        row, done = invitations.approve(work, id_)
    assert (row.state, row.decided_by, row.daemon) == ("approved", "adm", done.daemon.id)
    assert (done.tenant.tid, done.daemon.client_id, done.partner.state) == (FABRIKAM_TID, CLIENT, "active")
    assert [(each.app_role, each.expires_at) for each in done.assignments] == [("orders-read", NOW + 30 * DAY)]
    with reading(world.engine) as session:
        assert read_state(session).revision == state.revision + 1
        assert audit.verify_chain(session).sound
        actions = [entry.action for entry in audit.list_(session, newest_first=True, limit=7).items]
    assert actions == [
        "invitation.approved",
        "partner.activated",
        "role_assignment.granted",
        "daemon.created",
        "tenant.created",
        "invitation.redeemed",
        "invitation.created",
    ]


def given(world: Registry, id_: str) -> Gives:
    """What an approval of it would give."""
    with reading(world.engine) as session:
        return invited.read(session, invitations.get(session, id_), now=NOW)


def test_who_approves_sees_all_that_it_gives(world: Registry):
    """The invitation's roles, those of the tenant and of the issuer's claims, and whom the partner's state shuts."""
    with world.work() as work:
        a_resource(work, id="bills", audiences=("api://bills",), tenant_wide_roles=True)
        for id_ in ("bills-list", "bills-pay", "bills-old"):
            an_app_role(work, id=id_, resource="bills", value=id_)
        a_tenant(work, id="fabrikam-entra", partner="fabrikam", tid=FABRIKAM_TID)
        a_daemon(work, id="older", tenant="fabrikam-entra", client_id=TID)
        a_grant(work, id="wide", app_role="bills-list", daemon=None, tenant="fabrikam-entra")
        a_grant(work, id="ended", app_role="bills-old", daemon=None, tenant="fabrikam-entra", expires_at=NOW + 1)
        a_grant(work, id="others", app_role="bills-pay", daemon=None, tenant="contoso-entra")
        a_mapping(work, app_role="bills-pay")
    id_ = redeemed(world, invited_to(world).code)
    with reading(world.engine) as session:
        found = invited.read(session, invitations.get(session, id_), now=NOW + 1)
    assert [[role.id for role in roles] for roles in (found.roles, found.wide, found.mapped)] == [
        ["orders-read"],
        ["bills-list"],
        ["bills-pay"],
    ]
    assert found.warnings == ("Partner fabrikam becomes active, with the daemons that it has already (1 active).",)
    with world.work() as work:
        invitations.approve(work, id_)
    assert given(world, id_) == Gives()


def remade(world: Registry, value: str | None) -> None:
    """The role that the invitation names is deleted, and another made under its id."""
    with world.work() as work:
        app_roles.delete(work, "orders-third")
    if value is not None:
        with world.work() as work:
            an_app_role(work, id="orders-third", value=value)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (("Everything.Write",), "request_outdated"),
        (("Everything.Write", "Orders.Third"), None),
        (("Orders.Third", "Everything.Write"), "request_outdated"),
        ((None,), "reference_unknown"),
    ],
    ids=["another", "as it was", "another at last", "gone"],
)
@pytest.mark.threat(46)
def test_a_role_made_anew_is_not_what_they_were_invited_to(
    world: Registry, values: tuple[str | None, ...], code: str | None
):
    """The same id with another value was approved by who saw the id alone. As it was, it is what was meant."""
    with world.work() as work:
        an_app_role(work, id="orders-third", value="Orders.Third")
    remade(world, "Orders.Third")
    id_ = redeemed(world, invited_to(world, app_roles=("orders-third",)).code)
    for value in values:
        remade(world, value)
    said = [each for each in given(world, id_).warnings if "orders-third is not what it was" in each]
    assert len(said) == (code is not None)
    if code is not None:
        assert refused(world, lambda work: invitations.approve(work, id_)).code == code
        return
    with world.work() as work:
        assert invitations.approve(work, id_)[0].state == "approved"


def test_an_invitation_that_the_audit_does_not_know_is_not_approved(world: Registry):
    """Nobody knows to what they were invited: a row that was put there past the audit."""
    id_ = redeemed(world, invited_to(world).code)
    with writing(world.engine) as session:
        row = invitations.get(session, id_)
        session.add(Invitation(**row.model_dump() | {"id": "inv-copied", "code_hash": "0" * 64}))
    assert refused(world, lambda work: invitations.approve(work, "inv-copied")).code == "request_outdated"


def test_code_is_shown_once_and_kept_as_a_hash(world: Registry):
    """256 bits; neither the code nor its hash is in the audit, nor the code in a repr."""
    made = invited_to(world)
    with reading(world.engine) as session:
        (entry,) = audit.list_(session, kind="invitation").items
    assert len(made.code) == 43
    assert made.code not in repr(made)
    assert made.row.expires_at == NOW + LIFETIME
    assert entry.after is not None
    assert "code_hash" not in entry.after
    assert made.code not in str(entry.after)


@pytest.mark.file
def test_code_is_nowhere_in_the_database(registry: Registry):
    """Who reads the database cannot redeem."""
    made = invited_to(registry, partner="contoso")
    registry.engine.dispose()
    assert not any(made.code.encode() in path.read_bytes() for path in registry.path.parent.iterdir())


def test_who_redeemed_is_written_down_as_nobody_we_know(world: Registry):
    """The audit names the invitation and the address; no operator can have such a name."""
    id_ = redeemed(world, invited_to(world).code)
    with reading(world.engine) as session:
        row = invitations.get(session, id_)
        (entry,) = audit.list_(session, kind="invitation", row_id=id_, newest_first=True, limit=1).items
    assert (entry.operator, entry.scheme, entry.address) == (f"invitation:{id_}", "invitation", "203.0.113.9")
    assert (row.redeemed_at, row.redeemed_from, row.state) == (NOW, "203.0.113.9", "redeemed")


def test_it_is_opened_as_often_as_one_likes_and_redeemed_once(world: Registry):
    """Looking uses nothing up; what was entered cannot be entered anew."""
    made = invited_to(world)
    with reading(world.engine) as session:
        for _ in range(3):
            assert invitations.find(session, made.code, now=NOW).state == "open"
    redeemed(world, made.code)
    error = refused(world, redeeming(made.code, client_id="cccccccc-cccc-4ddd-8eee-ffffffffffff"))
    assert isinstance(error, CredentialError)
    assert error.code == "invitation_redeemed"
    with reading(world.engine) as session:
        assert invitations.find(session, made.code, now=NOW + LIFETIME).client_id == CLIENT


@pytest.mark.threat(47)
def test_of_many_at_once_one_is_taken(world: Registry):
    """Twenty with the same code: one daemon is written down, one entry says so."""
    made = invited_to(world)

    def enter(place: int) -> str:
        try:
            return redeemed(world, made.code, client_id=f"{place:08d}-cccc-4ddd-8eee-ffffffffffff")
        except RegistryError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(enter, range(20)))
    assert said.count(made.row.id) == 1
    assert set(said) - {made.row.id} == {"invitation_redeemed"}
    with reading(world.engine) as session:
        row = invitations.get(session, made.row.id)
        entries = audit.list_(session, kind="invitation", row_id=made.row.id).items
    assert row.client_id == f"{said.index(made.row.id):08d}-cccc-4ddd-8eee-ffffffffffff"
    assert [entry.action for entry in entries] == ["invitation.created", "invitation.redeemed"]


@pytest.mark.threat(47)
def test_of_many_approvals_one_wins(world: Registry):
    """Twenty operators press at once, some of them reject: one decision, and what is listed is that."""
    id_ = redeemed(world, invited_to(world).code)

    def decide(place: int) -> str:
        try:
            with world.work(actor=Actor(f"op-{place}", "session", "192.0.2.1")) as work:
                return (
                    invitations.reject(work, id_).state if place % 4 == 0 else invitations.approve(work, id_)[0].state
                )
        except RegistryError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(decide, range(20)))
    (won,) = set(said) & {"approved", "rejected"}
    assert said.count(won) == 1
    assert set(said) - {won} == {"invitation_decided"}
    with reading(world.engine) as session:
        assert invitations.get(session, id_).decided_by == f"op-{said.index(won)}"
        assert len(daemons.list_(session, client_id=CLIENT).items) == (won == "approved")
        assert audit.verify_chain(session).sound


def test_unknown_codes_open_nothing(world: Registry):
    """Nor does another invitation's, changed by a letter."""
    made = invited_to(world)
    other = "A" if made.code[0] != "A" else "B"
    for code in ("", "x", other + made.code[1:], made.code + "A", "\x00\ud800"):
        assert refused(world, redeeming(code)).code == "invitation_unknown"


def test_an_invitation_ends(world: Registry):
    """Open up to its end and not at it; redeemed in time, it may be approved later."""
    made = invited_to(world, expires_at=NOW + 60)
    late = invited_to(world, start=71, expires_at=NOW + 60)
    redeemed(world, made.code, now=NOW + 59)
    assert refused(world, redeeming(late.code), now=NOW + 60).code == "invitation_expired"
    with world.work(now=NOW + DAY) as work:
        assert invitations.approve(work, made.row.id)[0].state == "approved"


def test_revoked_and_rejected_lead_nowhere(world: Registry):
    """Either is the end; an open one is revoked, a redeemed one revoked or rejected."""
    first, second, third = (invited_to(world, start=start) for start in (70, 71, 72))
    redeemed(world, second.code)
    redeemed(world, third.code, client_id="cccccccc-cccc-4ddd-8eee-ffffffffffff")
    assert refused(world, lambda work: invitations.reject(work, first.row.id)).code == "invitation_open"
    assert refused(world, lambda work: invitations.approve(work, first.row.id)).code == "invitation_open"
    with world.work() as work:
        invitations.revoke(work, first.row.id)
        invitations.revoke(work, second.row.id)
        invitations.reject(work, third.row.id)
    for made in (first, second, third):
        assert refused(world, redeeming(made.code)).code == "invitation_revoked"
        for decide in (invitations.approve, invitations.reject, invitations.revoke):
            error = refused(world, lambda work, decide=decide, made=made: decide(work, made.row.id))  # type: ignore[misc]
            assert error.code == "invitation_decided"
    assert refused(world, lambda work: invitations.revoke(work, "nobody")).code == "invitation_not_found"


@pytest.mark.parametrize("state", ["suspended", "archived"])
def test_a_partner_who_gets_nothing_new_redeems_nothing(world: Registry, state: str):
    """The link is closed while they are suspended; archived it is for good, and nobody is invited."""
    made = invited_to(world)
    with world.work() as work:
        (partners.suspend if state == "suspended" else partners.archive)(work, "fabrikam")
    assert refused(world, redeeming(made.code)).code == "invitation_closed"
    if state == "archived":
        call = lambda work: invitations.create(work, spec(), random_bytes=counting_bytes(80))  # noqa: E731
        assert refused(world, call).code == "partner_archived"
    else:
        with world.work() as work:
            partners.activate(work, "fabrikam")
        redeemed(world, made.code)


def test_an_issuer_stays_while_an_invitation_may_list_a_daemon_of_it(world: Registry):
    """Deleted and made anew at another address it would be approved unseen. One decided or ended is in no way."""
    with world.work() as work:
        an_oidc_issuer(work)
    gone = lambda work: issuers.delete(work, "keycloak")  # noqa: E731
    first, second = (invited_to(world, start=start, issuer="keycloak") for start in (71, 72))
    error = refused(world, gone)
    assert (error.code, error.holder) == ("issuer_in_use", min(first.row.id, second.row.id))
    redeemed(world, first.code, tid=None, client_id="svc")
    with world.work() as work:
        invitations.revoke(work, second.row.id)
    for now in (NOW, NOW + LIFETIME):
        error = refused(world, gone, now=now)
        assert (error.code, error.holder) == ("issuer_in_use", first.row.id)
    with world.work() as work:
        invitations.reject(work, first.row.id)
    third = invited_to(world, start=73, issuer="keycloak")
    error = refused(world, gone, now=NOW + LIFETIME - 1)
    assert (error.code, error.holder) == ("issuer_in_use", third.row.id)
    with world.work(now=NOW + LIFETIME) as work:
        issuers.delete(work, "keycloak")


def test_a_partner_archived_after_redeeming_is_not_listed(world: Registry):
    """The approval asks again."""
    id_ = redeemed(world, invited_to(world).code)
    with world.work() as work:
        partners.archive(work, "fabrikam")
    assert refused(world, lambda work: invitations.approve(work, id_)).code == "partner_archived"


def test_a_suspended_partner_stays_suspended(world: Registry):
    """Approved while suspended: listed, and let in when the partner is activated by somebody who means that."""
    id_ = redeemed(world, invited_to(world).code)
    with world.work() as work:
        partners.suspend(work, "fabrikam")
    with world.work() as work:
        _, done = invitations.approve(work, id_)
    assert done.partner.state == "suspended"


@pytest.mark.parametrize(
    ("tid", "client_id", "field", "code"),
    [
        ("", CLIENT, "tid", "guid_malformed"),
        (None, CLIENT, "tid", "member_missing"),
        ("contoso.example", CLIENT, "tid", "guid_malformed"),
        ("9188040d-6c67-4c5b-b112-36a304b66dad", CLIENT, "tid", "consumer_tenant"),
        (FABRIKAM_TID, "", "client_id", "text_empty"),
        (FABRIKAM_TID, "nightly", "client_id", "guid_malformed"),
        (FABRIKAM_TID, "a\u202eb", "client_id", "text_not_allowed"),
        (FABRIKAM_TID, "x" * 10_000, "client_id", "text_too_long"),
    ],
)
def test_what_could_not_be_listed_is_not_taken(world: Registry, tid: str | None, client_id: str, field: str, code: str):
    """The rules for tenants and daemons, at once; the invitation stays open."""
    made = invited_to(world)
    error = refused(world, redeeming(made.code, tid, client_id), actor=OUTSIDE)
    assert (error.field, error.code) == (field, code)
    redeemed(world, made.code)


@pytest.mark.threat(46)
def test_what_others_have_is_not_told_to_who_redeems(world: Registry):
    """Another partner's tenant is taken down like any other; the operator finds out, and rejects."""
    id_ = redeemed(world, invited_to(world).code, tid=TID)
    error = refused(world, lambda work: invitations.approve(work, id_))
    assert (error.code, error.holder) == ("tenant_duplicate", "contoso-entra")
    with world.work() as work:
        assert invitations.reject(work, id_).state == "rejected"


def test_a_sensitive_role_waits_for_a_second_operator(world: Registry):
    """The approval lists the daemon; the role is a pending grant."""
    with world.work() as work:
        app_roles.mark_sensitive(work, "orders-read")
    id_ = redeemed(world, invited_to(world).code)
    with world.work() as work:
        _, done = invitations.approve(work, id_)
    assert (done.assignments, len(done.pending)) == ((), 1)
    with reading(world.engine) as session:
        assert pending_grants.get(session, done.pending[0].id).daemon == done.daemon.id
        assert assignments.list_(session, daemon=done.daemon.id).items == ()


def test_an_oidc_issuer_asks_for_no_tenant(world: Registry):
    """The issuer itself is the tenant; one entered nevertheless is refused."""
    with world.work() as work:
        an_oidc_issuer(work)
    made = invited_to(world, issuer="keycloak")
    assert refused(world, redeeming(made.code, FABRIKAM_TID, "nightly")).field == "tid"
    id_ = redeemed(world, made.code, tid=None, client_id="nightly")
    with world.work() as work:
        _, done = invitations.approve(work, id_)
    assert (done.tenant.tid, done.daemon.client_id) == (None, "nightly")


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"partner": "nobody"}, "partner", "reference_unknown"),
        ({"issuer": "nobody"}, "issuer", "reference_unknown"),
        ({"resource": "nobody"}, "resource", "reference_unknown"),
        ({"app_roles": ()}, "app_roles", "list_empty"),
        ({"app_roles": ("orders-read", "orders-read")}, "app_roles[1]", "list_duplicate"),
        ({"app_roles": ("nobody",)}, "app_roles[0]", "reference_unknown"),
        ({"app_roles": ("bills-list",)}, "app_roles[0]", "member_not_allowed"),
        ({"expires_at": NOW}, "expires_at", "time_in_past"),
        ({"expires_at": NOW + 91 * DAY}, "expires_at", "number_out_of_range"),
        ({"role_ends_at": NOW}, "role_ends_at", "time_in_past"),
        ({"role_ends_at": 2**60}, "role_ends_at", "number_out_of_range"),
        ({"reason": "a\x00"}, "reason", "text_not_allowed"),
        ({"id": "No Slug"}, "id", "id_malformed"),
    ],
)
def test_odd_invitations_are_refused(world: Registry, changed: dict[str, Any], field: str, code: str):
    """Whom, where and what it is for is there, and fits; every invitation ends."""
    with world.work() as work:
        a_resource(work, id="bills", audiences=("api://bills",))
        an_app_role(work, id="bills-list", resource="bills", value="Bills.List")
    error = refused(world, lambda work: invitations.create(work, spec(**changed), random_bytes=counting_bytes(80)))
    assert (error.field, error.code) == (field, code)


def test_an_issuer_that_wants_a_pin_takes_no_invitation(world: Registry):
    """A client id alone would list somebody else's account, too."""
    with world.work() as work:
        an_oidc_issuer(work, subject_pin=True)
    error = refused(
        world, lambda work: invitations.create(work, spec(issuer="keycloak"), random_bytes=counting_bytes(80))
    )
    assert (error.field, error.code) == ("issuer", "member_not_allowed")


def test_invitations_are_listed(world: Registry):
    """By partner, resource and state, in pages."""
    ids = sorted(invited_to(world, start=start).row.id for start in (70, 71))
    with world.work() as work:
        invitations.revoke(work, ids[0])
    with reading(world.engine) as session:

        def found(**wanted: Any) -> list[str]:
            return [row.id for row in invitations.list_(session, **wanted).items]

        assert found() == found(partner="fabrikam") == found(resource="orders") == ids
        assert (found(state="revoked"), found(state="open"), found(partner="contoso")) == ([ids[0]], [ids[1]], [])
        assert invitations.list_(session, limit=1).after == ids[0]
