"""Lists of what daemons hold, what is asked for and who runs: sorted, searched and filtered as all lists are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tenantgate.registry import (
    access_requests,
    certificates,
    daemons,
    imports,
    instances,
    invitations,
    pending_grants,
    subscription_keys,
)
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.certificates import CertificateSpec
from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.import_tables import ImportJob
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.invitations import InvitationSpec
from tenantgate.registry.subscription_keys import SubscriptionKeySpec
from tests.client_certificates import a_certificate, named
from tests.registry.builders import (
    NOW,
    TID,
    Registry,
    a_daemon,
    a_partner,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
    counting_bytes,
)
from tests.registry.test_lists import ids, walk

CLIENT = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee"
List = Callable[..., Any]


def asked(registry: Registry, list_: List, **how: Any) -> list[str]:
    """The ids that a list shows, page by page."""
    with reading(registry.engine) as session:
        return ids(walk(session, list_, **how))


@pytest.fixture
def two(registry: Registry) -> Registry:
    """A daemon of another partner beside the nightly one."""
    with registry.work() as work:
        a_partner(work, id="acme", name="Acme")
        a_tenant(work, id="acme-entra", partner="acme", tid=TID.replace("1", "9"))
        a_daemon(work, id="hourly", tenant="acme-entra", client_id=CLIENT)
    return registry


@pytest.fixture
def certified(two: Registry) -> Registry:
    """Three certificates: made one after the other, ending in another order, called in a third."""
    for place, (id_, daemon, name, year) in enumerate(
        (("b", "nightly", "Beta", 2035), ("a", "hourly", "alpha", 2040), ("c", "nightly", "gamma", 2030))
    ):
        ends = datetime(year, 1, 1, tzinfo=UTC)
        pem = a_certificate(subject=named(f"{name}.example"), ends=ends, serial=10 + place)
        with two.work(now=NOW + place) as work:
            certificates.create(work, CertificateSpec(id=id_, daemon=daemon, certificate=pem, name=name))
    with two.work(now=NOW + 9) as work:
        certificates.suspend(work, "b")
    return two


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, "abc"),
        ({"sort": "-id"}, "cba"),
        ({"sort": "created_at"}, "bac"),
        ({"sort": "updated_at"}, "acb"),
        ({"sort": "name"}, "abc"),
        ({"sort": "not_after"}, "cba"),
        ({"sort": "-not_after", "state": "active"}, "ac"),
        ({"expires_before": 2_100_000_000}, "cb"),
        ({"expires_after": 2_000_000_000, "expires_before": 2_100_000_000}, "b"),
        ({"expires_after": 2_000_000_000, "sort": "id"}, "ab"),
        ({"partner": "contoso"}, "bc"),
        ({"partner": "acme", "daemon": "hourly"}, "a"),
        ({"partner": "contoso\0"}, ""),
        ({"search": "BETA"}, "b"),
        ({"search": "cn=", "partner": "contoso"}, "bc"),
        ({"search": "zeta"}, ""),
    ],
)
def test_certificates(certified: Registry, how: dict[str, Any], expected: str):
    """By name, dates and end; of a daemon, a partner, a state; found by the beginning of names and thumbprint."""
    assert asked(certified, certificates.list_, **how) == list(expected)


def test_a_certificate_is_found_by_the_beginning_of_its_thumbprint(certified: Registry):
    """In either case: as much of it as somebody has."""
    with reading(certified.engine) as session:
        thumbprint = certificates.get(session, "a").thumbprint
    assert asked(certified, certificates.list_, search=thumbprint[:20].upper()) == ["a"]


def test_subscription_keys(two: Registry):
    """By name, beginning and end; of a daemon or a partner; found by the beginning of a name."""
    made = {}
    for place, (daemon, name, end) in enumerate((("nightly", "b", 30), ("hourly", "A", 20), ("nightly", "c", 10))):
        spec = SubscriptionKeySpec(daemon=daemon, name=name, expires_at=NOW + 100 + end)
        with two.work(now=NOW + place) as work:
            key = subscription_keys.create(work, spec, random_bytes=counting_bytes(60 + place))
        made[key.row.id] = name.lower()

    def names(**how: Any) -> str:
        return "".join(made[id_] for id_ in asked(two, subscription_keys.list_, **how))

    assert sorted(names()) == list("abc")
    assert names(sort="created_at") == "bac"
    assert names(sort="name") == names(sort="-expires_at")[::-1].translate(str.maketrans("cab", "abc")) == "abc"
    assert names(sort="expires_at") == names(expires_after=NOW) == "cab"
    assert names(expires_before=NOW + 130, sort="-expires_at") == "ac"
    assert names(partner="acme") == names(daemon="hourly") == names(search="a") == "a"
    assert sorted(names(partner="contoso")) == list("bc")


def test_invitations(two: Registry):
    """By their dates; of partner, issuer, resource and state; found by what was entered."""
    codes = []
    with two.work() as work:
        an_oidc_issuer(work)
    for place, (id_, partner, issuer, end) in enumerate(
        (("b", "contoso", "entra", 30), ("a", "acme", "entra", 20), ("c", "contoso", "keycloak", 10))
    ):
        spec = InvitationSpec(
            id=id_,
            partner=partner,
            issuer=issuer,
            resource="orders",
            app_roles=("orders-read",),
            expires_at=NOW + 100 + end,
        )
        with two.work(now=NOW + place) as work:
            codes.append(invitations.create(work, spec, random_bytes=counting_bytes(70 + place)).code)
    with two.work(now=NOW + 50) as work:
        invitations.redeem(work, codes[0], tid=TID.replace("1", "7"), client_id=CLIENT)

    def found(**how: Any) -> str:
        return "".join(asked(two, invitations.list_, **how))

    assert (found(), found(sort="created_at"), found(sort="-updated_at")) == ("abc", "bac", "bca")
    assert found(sort="expires_at") == found(expires_after=NOW) == "cab"
    assert found(expires_before=NOW + 130, state="open") == "ca"
    assert (found(partner="contoso"), found(issuer="keycloak"), found(resource="orders")) == ("bc", "c", "abc")
    assert found(search="7777") == found(search="BBBBBBBB-") == found(search="b", state="redeemed") == "b"


def test_pending_grants(two: Registry):
    """By their dates and by when they close; of a state, a role, a daemon; found by the beginning of an id."""
    made = []
    with two.work() as work:
        an_app_role(work, id="guarded", value="Guarded", sensitive=True)
    for place, daemon in enumerate(("nightly", "hourly")):
        with two.work(now=NOW + place) as work:
            made.append(pending_grants.grant_or_request(work, AssignmentSpec(app_role="guarded", daemon=daemon)).id)
    with two.work(now=NOW + 9) as work:
        pending_grants.withdraw(work, made[0])

    def found(**how: Any) -> list[str]:
        return asked(two, pending_grants.list_, **how)

    assert found() == sorted(made)
    assert found(sort="created_at") == found(sort="open_until") == made
    assert found(sort="-updated_at") == made
    assert found(sort="open_until", state="withdrawn") == found(daemon="nightly") == found(search=made[0]) == [made[0]]
    assert found(search=made[0], state="open") == []


def test_access_requests(registry: Registry):
    """By when they were seen and how often; of a resource, an issuer, a directory; found by client id."""
    with writing(registry.engine) as session:
        for id_, client, state, first, last, count in (
            ("b", "Nightly", "open", 1, 30, 5),
            ("a", "hourly", "open", 2, 20, 7),
            ("c", "weekly", "open", 3, 10, 9),
            ("d", "weekly", "dismissed", 4, 5, 1),
        ):
            who = {"resource": "orders", "issuer": "entra", "tid": TID, "client_id": client, "oid": ""}
            seen = {"first_seen_at": NOW + first, "last_seen_at": NOW + last, "count": count, "oids_differ": False}
            session.add(AccessRequest(id=id_, state=state, reason="tenant_not_listed", **who, **seen))

    def found(**how: Any) -> str:
        return "".join(asked(registry, access_requests.list_, **how))

    assert (found(), found(state="dismissed"), found(state="approved")) == ("abc", "d", "")
    assert (found(sort="first_seen_at"), found(sort="last_seen_at"), found(sort="-count")) == ("bac", "cab", "cab")
    assert (found(search="NIGHT"), found(search="weekly"), found(search=TID[:9])) == ("b", "c", "abc")
    assert (found(issuer="entra", tid=TID.upper()), found(issuer="keycloak")) == ("abc", "")


def test_instances_and_imports(registry: Registry):
    """By when they began and were heard of; found by the beginning of an id."""
    with writing(registry.engine) as session:
        for place, id_ in enumerate(("gate-b", "gate-a", "server-c")):
            instances.register(session, InstanceSpec(id=id_, kind=id_.split("-")[0], version="1"), now=NOW + place)
        instances.acknowledge(session, "gate-b", None, now=NOW + 9)
        numbers = dict.fromkeys(("lines", "done", "created", "changed", "existing", "refused"), 0)
        for place, id_ in enumerate(("imp-b", "imp-a")):
            facts = {"created_by": "adm", "digest": "", "state": "done", "seen_at": NOW, "dry_run": place == 0}
            session.add(ImportJob(id=id_, created_at=NOW + place, **facts, **numbers))

    def found(list_: List, **how: Any) -> str:
        return "".join(id_[-1] for id_ in asked(registry, list_, **how))

    assert found(instances.list_) == "abc"
    assert (found(instances.list_, sort="started_at"), found(instances.list_, sort="seen_at")) == ("bac", "acb")
    assert found(instances.list_, search="gate", seen_since=NOW + 5) == "b"
    assert found(instances.list_, seen_since=NOW + 2, sort="-started_at") == "cb"
    assert (found(imports.list_), found(imports.list_, sort="created_at")) == ("ab", "ba")
    assert (found(imports.list_, dry_run=False), found(imports.list_, search="imp-b")) == ("a", "b")


@pytest.mark.parametrize("few", [1_000, 1, 0])
def test_daemons_of_an_issuer(two: Registry, monkeypatch: pytest.MonkeyPatch, few: int):
    """Those of its tenants, hosted ones too, however many tenants it has; together with every other filter."""
    monkeypatch.setattr(daemons, "FEW_TENANTS", few)
    with two.work() as work:
        an_oidc_issuer(work, id="idp", issuer="https://idp.example")
        a_tenant(work, id="home", issuer="idp", tid=None, partner=None, hosted=True)
        a_daemon(work, id="guest", tenant="home", partner="acme", client_id="guest")
        an_oidc_issuer(work, id="empty", issuer="https://empty.example")

    def found(**how: Any) -> list[str]:
        return asked(two, daemons.list_, limit=1, **how)

    assert found(issuer="entra") == ["hourly", "nightly"]
    assert found(issuer="entra", sort="-id") == ["nightly", "hourly"]
    assert found(issuer="idp") == found(issuer="idp", partner="acme") == found(issuer="idp", search="g") == ["guest"]
    assert found(issuer="entra", partner="acme") == found(issuer="entra", search="BBBB") == ["hourly"]
    assert found(issuer="entra", tenant="home") == found(issuer="empty") == found(issuer="nobody") == []
    assert found(issuer="entra\0") == []


@pytest.mark.parametrize(
    "list_",
    [
        access_requests.list_,
        certificates.list_,
        imports.list_,
        instances.list_,
        invitations.list_,
        pending_grants.list_,
        subscription_keys.list_,
    ],
)
def test_what_no_such_list_knows_is_refused(registry: Registry, list_: List):
    """Another order, another list's cursor, an order for what is searched: the codes of all lists."""
    for how, code in (
        ({"sort": "reason"}, "value_unknown"),
        ({"sort": "id", "after": "%"}, "cursor_malformed"),
        ({"search": "a", "sort": "id"}, "member_not_allowed"),
        ({"limit": 0}, "number_out_of_range"),
    ):
        with reading(registry.engine) as session, pytest.raises(InvalidError) as caught:
            list_(session, **how)
        assert caught.value.code == code
