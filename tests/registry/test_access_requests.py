"""Access requests: from an authentic stranger to a listed daemon by one human's word, or dismissed."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import select

from tenantgate.registry import access_requests, audit, issuers, resources, snapshot
from tenantgate.registry.access_requests import LATE, ApprovalSpec
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import InvalidError, NotFoundError, RegistryError, TransitionError
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.tables import Daemon, Tenant
from tests.registry.builders import NOW, TID, Registry, a_resource, a_tenant, an_oidc_issuer
from tests.registry.test_decisions import OID, a_stranger, switch_on

NEW = PartnerSpec(id="fabrikam", name="Fabrikam")
SPEC = ApprovalSpec(partner=NEW, app_roles=("orders-read",), expires_at=NOW + 60, reason="T-42")


def asked(registry: Registry, **changed: Any) -> str:
    """A caller asked; the id of its request."""
    switch_on(registry)
    stranger = a_stranger(**changed)
    with writing(registry.engine) as session:
        access_requests.note(session, [stranger])
    return access_requests.id_of(stranger.resource, stranger.issuer, stranger.tid, stranger.client_id)


def state_of(registry: Registry, id_: str) -> str:
    """What became of a request."""
    with reading(registry.engine) as session:
        return access_requests.get(session, id_).state


def contents(registry: Registry) -> tuple[Any, ...]:
    """Everything in the policy, and the head of the audit."""
    with reading(registry.engine) as session:
        state = snapshot.read_state(session)
        return snapshot.read_snapshot(session), state.audit_sequence, state.audit_hash


def test_approval_lists_all_in_one_revision(registry: Registry):
    """Partner, tenant, daemon pinned to the object id that asked, roles with their end; audited with the request."""
    id_ = asked(registry)
    before = contents(registry)
    with registry.work() as work:
        row, made = access_requests.approve(work, id_, SPEC)
    assert work.revision == before[0].revision + 1
    assert (row.state, row.decided_by, row.decided_at, row.daemon) == ("approved", "adm", NOW, made.daemon.id)
    assert (made.partner.id, made.daemon.oid, made.tenant.tid) == ("fabrikam", OID, a_stranger().tid)
    assert [(grant.app_role, grant.expires_at) for grant in made.assignments] == [("orders-read", NOW + 60)]
    with reading(registry.engine) as session:
        entries = audit.list_(session, after=before[1]).items
        assert audit.verify_chain(session).sound
    assert entries[-1].action == "access_request.approved"
    assert (entries[-1].before or {})["state"] == "open"


def test_daemon_of_a_known_tenant_is_added_to_it(registry: Registry):
    """To the partner that has it; another partner cannot get it that way."""
    id_ = asked(registry, tid=TID, reason="daemon_not_listed")
    with pytest.raises(RegistryError) as caught, registry.work() as work:
        access_requests.approve(work, id_, SPEC)
    assert caught.value.code == "tenant_duplicate"
    with registry.work() as work:
        _, made = access_requests.approve(work, id_, replace(SPEC, partner="contoso", pin=False))
    assert (made.tenant.id, made.daemon.oid) == ("contoso-entra", None)


def test_daemon_of_a_hosted_tenant_names_its_partner(registry: Registry):
    """The tenant is the publisher's; the daemon is the partner's."""
    hosted = "77777777-2222-4333-8444-555555555555"
    with registry.work() as work:
        a_tenant(work, id="ours", partner=None, tid=hosted, hosted=True)
    id_ = asked(registry, tid=hosted, reason="daemon_not_listed")
    with registry.work() as work:
        _, made = access_requests.approve(work, id_, replace(SPEC, partner="contoso"))
    assert (made.tenant.id, made.daemon.partner) == ("ours", "contoso")


def test_another_issuers_caller_is_pinned_by_its_subject(registry: Registry):
    """It has no object id, and no tid."""
    with registry.work() as work:
        an_oidc_issuer(work)
    id_ = asked(registry, issuer="keycloak", tid="", client_id="nightly", oid="service-account-nightly")
    with registry.work() as work:
        _, made = access_requests.approve(work, id_, SPEC)
    assert (made.daemon.subject, made.daemon.oid, made.tenant.tid) == ("service-account-nightly", None, None)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"partner": "nobody"}, "reference_unknown"),
        ({"app_roles": ("nothing",)}, "reference_unknown"),
        ({"partner": PartnerSpec(id="contoso", name="Contoso")}, "id_duplicate"),
        ({"expires_at": NOW}, "time_in_past"),
        ({"reason": "x" * 501}, "text_too_long"),
    ],
)
def test_what_cannot_be_approved_leaves_all_as_it_was(registry: Registry, changed: dict[str, Any], code: str):
    """The request stays open, nothing is listed, nothing is in the audit."""
    id_ = asked(registry)
    before = contents(registry)
    with pytest.raises(RegistryError) as caught, registry.work() as work:
        access_requests.approve(work, id_, replace(SPEC, **changed))
    assert caught.value.code == code
    assert contents(registry) == before
    assert state_of(registry, id_) == "open"


def test_two_object_ids_are_not_pinned_blindly(registry: Registry):
    """A human finds out whose is whose."""
    id_ = asked(registry)
    asked(registry, oid=TID)
    with pytest.raises(InvalidError) as caught, registry.work() as work:
        access_requests.approve(work, id_, SPEC)
    assert caught.value.code == "oids_differ"
    with registry.work() as work:
        _, made = access_requests.approve(work, id_, replace(SPEC, pin=False))
    assert made.daemon.oid is None


def test_another_object_id_is_noticed_however_close_it_came(registry: Registry):
    """In the same writing of the same gate, too; and who looked before it came is to look again."""
    id_ = asked(registry)
    with reading(registry.engine) as session:
        seen = access_requests.get(session, id_)
    asked(registry)
    with reading(registry.engine) as session:
        assert access_requests.get(session, id_).version == seen.version
    asked(registry, oids_differ=True)
    with reading(registry.engine) as session:
        row = access_requests.get(session, id_)
    assert (row.oids_differ, row.version) == (True, seen.version + 1)
    first = asked(registry, client_id=TID, oids_differ=True)
    with reading(registry.engine) as session:
        assert access_requests.get(session, first).oids_differ


def test_dismissed_stays_so_until_it_is_reopened(registry: Registry):
    """However often it asks; audited, without a revision of the policy."""
    id_ = asked(registry)
    with registry.work() as work:
        access_requests.dismiss(work, id_)
    assert work.revision is None
    asked(registry, last_at=NOW + 10_000)
    assert state_of(registry, id_) == "dismissed"
    with pytest.raises(TransitionError) as caught, registry.work() as work:
        access_requests.approve(work, id_, SPEC)
    assert caught.value.code == "already_decided"
    with registry.work() as work:
        assert access_requests.reopen(work, id_).decided_by is None
    with pytest.raises(TransitionError) as caught, registry.work() as work:
        access_requests.reopen(work, id_)
    assert caught.value.code == "state_unchanged"
    with reading(registry.engine) as session:
        assert [row.id for row in access_requests.list_(session).items] == [id_]
        assert access_requests.list_(session, state="dismissed").items == ()


def test_who_was_approved_and_taken_off_asks_anew(registry: Registry):
    """But what gates refused before they heard of the approval opens nothing."""
    id_ = asked(registry)
    with registry.work() as work:
        access_requests.approve(work, id_, SPEC)
    asked(registry, last_at=NOW + LATE)
    assert state_of(registry, id_) == "approved"
    with pytest.raises(TransitionError), registry.work() as work:
        access_requests.reopen(work, id_)
    asked(registry, last_at=NOW + LATE + 1)
    assert state_of(registry, id_) == "open"


def test_nobody_approves_what_is_not_there(registry: Registry):
    """Not found, by any id."""
    for id_ in ("acr-nothing", "../x", ""):
        with pytest.raises(NotFoundError), registry.work() as work:
            access_requests.approve(work, id_, SPEC)


@pytest.mark.threat(47)
def test_of_many_approvals_one_wins(registry: Registry):
    """Fifty at once, each for another partner: one partner, one tenant, one daemon; the others are told."""
    id_ = asked(registry)
    outcomes: list[str] = []

    def approve(number: int) -> None:
        spec = replace(SPEC, partner=PartnerSpec(id=f"partner-{number}", name=f"Partner {number}"))
        for _ in range(50):
            try:
                with registry.work() as work:
                    access_requests.approve(work, id_, spec)
            except RegistryError as error:
                if error.code in {"database_busy", "database_unavailable"}:
                    continue  # told to ask again: fifty at once are more than a busy machine connects in time
                outcomes.append(error.code)
            else:
                outcomes.append("won")
            return

    threads = [threading.Thread(target=approve, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["already_decided"] * 49 + ["won"]
    with reading(registry.engine) as session:
        assert len(session.exec(select(Daemon)).all()) == 2
        assert len(session.exec(select(Tenant)).all()) == 2
        assert audit.verify_chain(session).sound


def test_requests_go_with_their_resource(registry: Registry):
    """Nobody could be let in to it any more."""
    with registry.work() as work:
        a_resource(work, id="stock", audiences=("api://stock",))
    id_ = asked(registry, resource="stock")
    with registry.work() as work:
        resources.delete(work, "stock")
    with reading(registry.engine) as session, pytest.raises(NotFoundError):
        access_requests.get(session, id_)


def test_requests_go_with_their_issuer(registry: Registry):
    """Made anew under its id it may be anybody; and who asked the one of before, told late, asks nothing here."""
    with registry.work() as work:
        an_oidc_issuer(work)
    caller: dict[str, Any] = {"issuer": "keycloak", "tid": "", "client_id": "nightly", "oid": "service-account-nightly"}
    id_ = asked(registry, **caller)
    other = asked(registry)
    with registry.work() as work:
        issuers.delete(work, "keycloak")
    asked(registry, **caller)
    with registry.work(now=NOW + 10) as work:
        an_oidc_issuer(work, issuer="https://id.evil.example/realms/main")
    asked(registry, **caller, last_at=NOW + 20)
    with registry.work() as work, pytest.raises(NotFoundError):
        access_requests.approve(work, id_, SPEC)
    assert state_of(registry, other) == "open"
    assert asked(registry, **caller, first_at=NOW + 10, last_at=NOW + 20) == id_
    assert state_of(registry, id_) == "open"


def test_who_asked_a_resource_of_before_does_not_ask_this_one(registry: Registry):
    """It has the id alone in common with the one that was asked."""
    with registry.work() as work:
        a_resource(work, id="stock", audiences=("api://stock",))
    with registry.work(now=NOW + 10) as work:
        resources.delete(work, "stock")
        a_resource(work, id="stock", audiences=("api://shares",))
    id_ = asked(registry, resource="stock", last_at=NOW + 20)
    with reading(registry.engine) as session, pytest.raises(NotFoundError):
        access_requests.get(session, id_)
    asked(registry, resource="stock", first_at=NOW + 10, last_at=NOW + 20)
    assert state_of(registry, id_) == "open"
