"""What is kept of who asks is bounded, and fair: nobody's many requests keep another's one out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tenantgate.feed.sink import Stranger
from tenantgate.registry import access_requests
from tenantgate.registry.access_requests import MOST_OF_A_SHARED, MOST_OF_A_SUBJECT, MOST_OF_A_TENANT
from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.engine import writing
from tests.registry.builders import NOW, Registry, a_tenant, an_oidc_issuer
from tests.registry.test_decisions import OID, a_stranger, all_of, switch_on

HOSTED = "99999999-2222-4333-8444-555555555555"
HONEST = "11111111-aaaa-4bbb-8ccc-dddddddddddd"


@pytest.fixture
def shared(registry: Registry) -> Registry:
    """A tenant of the publisher's own, in which many partners' daemons are, and an issuer without tenants."""
    switch_on(registry)
    with registry.work() as work:
        a_tenant(work, id="ours", partner=None, tid=HOSTED, hosted=True)
        an_oidc_issuer(work)
    return registry


def note(registry: Registry, *strangers: Stranger) -> int:
    """What a gate writes down; how many were forgotten."""
    with writing(registry.engine) as session:
        return access_requests.note(session, strangers)


def clients(registry: Registry) -> set[str]:
    """Who is waiting."""
    return {row.client_id for row in all_of(registry, AccessRequest) if row.state == "open"}


def crowd(number: int, *, at: int = NOW, **changed: Any) -> list[Stranger]:
    """Callers of one outsider's making, each a client and a subject of its own."""
    return [a_stranger(each, oid=f"subject-{each}", last_at=at, **changed) for each in range(number)]


PLACES = [{"issuer": "entra", "tid": HOSTED}, {"issuer": "keycloak", "tid": ""}]


@pytest.mark.parametrize("place", PLACES, ids=["hosted", "an issuer without tenants"])
@pytest.mark.threat(31)
def test_an_outsider_does_not_keep_a_partner_of_a_shared_tenant_out(shared: Registry, place: dict[str, Any]):
    """Many came before it: the one that asks is noted, and stays while others go on asking, up to the bound."""
    note(shared, *crowd(MOST_OF_A_SHARED + 10, **place))
    honest = {"client_id": HONEST, "oid": OID, **place}
    note(shared, a_stranger(last_at=NOW + 1, **honest))
    assert HONEST in clients(shared)
    for turn in range(3):
        note(shared, *crowd(MOST_OF_A_TENANT, at=NOW + 2 + turn, **place))
        assert HONEST in clients(shared)
    assert len(clients(shared)) == MOST_OF_A_SHARED


@pytest.mark.parametrize("place", PLACES, ids=["hosted", "an issuer without tenants"])
def test_one_subject_pushes_out_itself_alone(shared: Registry, place: dict[str, Any]):
    """By however many client ids it comes: a few of them are kept, the latest."""
    note(shared, a_stranger(client_id=HONEST, oid="another", last_at=NOW - 9, **place))
    for number in range(30):
        note(shared, a_stranger(number, oid=OID, last_at=NOW + number, **place))
    rows = all_of(shared, AccessRequest)
    assert Counter(row.oid for row in rows) == {OID: MOST_OF_A_SUBJECT, "another": 1}
    assert {row.last_seen_at for row in rows if row.oid == OID} == set(range(NOW + 25, NOW + 30))


def test_a_tenant_of_one_owner_has_few(shared: Registry):
    """An unlisted directory, or a partner's own: whoever fills it fills their own; the newest are shown."""
    for number in range(MOST_OF_A_TENANT + 5):
        note(shared, a_stranger(number, tid="77777777-2222-4333-8444-555555555555", last_at=NOW + number))
    assert {row.last_seen_at for row in all_of(shared, AccessRequest)} == set(range(NOW + 5, NOW + 25))


def test_a_partners_own_issuer_is_not_shared(shared: Registry):
    """Where its one tenant is a partner's, its callers are."""
    with shared.work() as work:
        a_tenant(work, id="theirs", issuer="keycloak", tid=None)
    note(shared, *crowd(MOST_OF_A_TENANT + 5, issuer="keycloak", tid=""))
    assert len(clients(shared)) == MOST_OF_A_TENANT


@pytest.mark.parametrize("verb", ["dismiss", "approve"])
def test_what_was_decided_takes_nobodys_place(shared: Registry, verb: str, monkeypatch: pytest.MonkeyPatch):
    """Dismissed or approved, a request stands in nobody's way, and is not forgotten for who asks later."""
    monkeypatch.setattr(access_requests, "MOST_OF_A_TENANT", 3)
    place = {"tid": "77777777-2222-4333-8444-555555555555"}
    note(shared, *(a_stranger(number, **place) for number in range(3)))
    decided = [row.id for row in all_of(shared, AccessRequest)]
    with shared.work() as work:
        for id_ in decided:
            if verb == "dismiss":
                access_requests.dismiss(work, id_)
            else:
                access_requests.approve(work, id_, access_requests.ApprovalSpec(partner="contoso", pin=False))
    assert note(shared, *(a_stranger(number, last_at=NOW + 1, **place) for number in range(10, 14))) == 1
    assert len(clients(shared)) == 3
    assert {row.id for row in all_of(shared, AccessRequest)} >= set(decided)


def test_all_together_are_bounded(shared: Registry, monkeypatch: pytest.MonkeyPatch):
    """However many tenants and issuers they come from; how many were forgotten is told."""
    monkeypatch.setattr(access_requests, "MOST", 50)
    forgotten = sum(note(shared, *crowd(40, at=NOW + turn, **place)) for turn, place in enumerate(PLACES))
    forgotten += note(shared, *(a_stranger(1, tid=f"tenant-{each:03}", last_at=NOW + 9) for each in range(30)))
    assert len(all_of(shared, AccessRequest)) == 50
    assert forgotten == 40 + 40 + 30 - 50
