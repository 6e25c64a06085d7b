"""Plans of lists: whatever is asked for, both engines read it along an index."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session

from tenantgate.feed.sink import Detail
from tenantgate.registry import (
    access_requests,
    app_roles,
    assignments,
    audit,
    certificates,
    daemons,
    decisions,
    imports,
    instances,
    invitations,
    issuers,
    operators,
    partners,
    pending_grants,
    resources,
    role_mappings,
    subscription_keys,
    tenants,
)
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.certificates import CertificateSpec
from tenantgate.registry.decision_tables import DECISION_FILTERS, AccessRequest
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.import_tables import ImportJob
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.invitations import InvitationSpec
from tenantgate.registry.operators import KeySpec
from tenantgate.registry.pages import write_cursor
from tenantgate.registry.subscription_keys import SubscriptionKeySpec
from tenantgate.registry.unit_of_work import Work
from tests.client_certificates import a_certificate
from tests.registry.builders import (
    CLIENT_ID,
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
    an_operator,
    counting_bytes,
)

List = Callable[..., Any]


@contextmanager
def statements(session: Session) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that is run meanwhile, with its parameters."""
    found: list[tuple[str, Any]] = []
    connection = session.connection()

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    yield found
    event.remove(connection, "before_cursor_execute", note)


def plan_of(session: Session, statement: str, parameters: Any) -> str:
    """What the engine would do for a statement, in its own words.

    PostgreSQL scans and sorts small tables whatever indexes they have: here it does so only where it has no choice.
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        for choice in ("enable_seqscan", "enable_sort", "enable_bitmapscan", "enable_incremental_sort"):
            connection.exec_driver_sql(f"SET LOCAL {choice} = off")
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))
    return "\n".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))


SCANS = re.compile(r"SCAN (?!.*USING (COVERING )?INDEX)|USE TEMP B-TREE FOR|Seq Scan|\bSort\b")

LISTS: dict[str, tuple[List, Any, dict[str, str]]] = {
    "partners": (partners.list_, partners.PARTNERS, {"state": "active"}),
    "tenants": (tenants.list_, tenants.TENANTS, {"state": "active", "issuer": "entra"}),
    "daemons": (daemons.list_, daemons.DAEMONS, {"state": "active"}),
    "assignments": (assignments.list_, assignments.ASSIGNMENTS, {"app_role": "orders-read"}),
    "resources": (resources.list_, resources.RESOURCES, {}),
    "app roles": (app_roles.list_, app_roles.APP_ROLES, {}),
    "issuers": (issuers.list_, issuers.ISSUERS, {}),
    "role mappings": (role_mappings.list_, role_mappings.ROLE_MAPPINGS, {}),
    "operators": (operators.list_, operators.OPERATORS, {}),
    "admin keys": (operators.list_keys, operators.ADMIN_KEYS, {}),
    "certificates": (certificates.list_, certificates.CERTIFICATES, {"state": "active"}),
    "subscription keys": (subscription_keys.list_, subscription_keys.SUBSCRIPTION_KEYS, {}),
    "invitations": (invitations.list_, invitations.INVITATIONS, {"state": "open"}),
    "pending grants": (pending_grants.list_, pending_grants.PENDING_GRANTS, {"state": "open"}),
    "access requests": (access_requests.list_, access_requests.ACCESS_REQUESTS, {"state": "dismissed"}),
    "instances": (instances.list_, instances.INSTANCES, {}),
    "imports": (imports.list_, imports.IMPORTS, {}),
}


@pytest.fixture
def pairs(registry: Registry) -> Registry:
    """Two of everything that is listed: a list of one has a first and no second page."""
    with registry.work() as work:
        an_oidc_issuer(work)
        a_partner(work, id="second", name="Second")
        a_tenant(work, id="second", partner="second", tid=TID.replace("1", "2"))
        a_daemon(work, id="second", tenant="second", client_id=CLIENT_ID.replace("a", "b"))
        a_resource(work, id="second", audiences=("api://second",))
        an_app_role(work, id="second", value="Second")
        a_grant(work, id="second", daemon="second")
        a_mapping(work)
        a_mapping(work, id="second", value="Second")
        an_operator(work, id="second", name="Second")
        for place in range(2):
            spec = KeySpec(operator="adm", name="k", expires_at=NOW + 99)
            operators.create_key(work, spec, random_bytes=counting_bytes(place))
        credentials(work)
        asking(work)
    with writing(registry.engine) as session:
        processes(session)
    return registry


def credentials(work: Work) -> None:
    """Two certificates and two subscription keys."""
    for place, kind in enumerate(("P-256", "Ed25519")):
        certificates.create(work, CertificateSpec(daemon="nightly", certificate=a_certificate(kind), name="k"))
        spec = SubscriptionKeySpec(daemon="nightly", name="k", expires_at=NOW + 99)
        subscription_keys.create(work, spec, random_bytes=counting_bytes(10 + place))


def asking(work: Work) -> None:
    """Two invitations, and two requests for a sensitive role."""
    an_app_role(work, id="guarded", value="Guarded", sensitive=True)
    for place, daemon in enumerate(("nightly", "second")):
        asked = InvitationSpec(partner="contoso", issuer="entra", resource="orders", app_roles=("orders-read",))
        invitations.create(work, asked, random_bytes=counting_bytes(20 + place))
        pending_grants.grant_or_request(work, AssignmentSpec(app_role="guarded", daemon=daemon))


def processes(session: Session) -> None:
    """Two of what processes write: callers that ask, in each state, instances, imports."""
    for place, state in enumerate(("open", "open", "dismissed", "dismissed")):
        who = {"issuer": "entra", "tid": TID, "client_id": CLIENT_ID, "oid": "", "reason": "tenant_not_listed"}
        seen = {"first_seen_at": NOW, "last_seen_at": NOW, "count": 1, "oids_differ": False}
        session.add(AccessRequest(id=f"acr-{place}", resource="orders", state=state, **who, **seen))
    for place in range(2):
        instances.register(session, InstanceSpec(id=f"gate-{place}", kind="gate", version="1"), now=NOW)
        done = dict.fromkeys(("lines", "done", "created", "changed", "existing", "refused"), 0)
        job = {"created_at": NOW, "created_by": "adm", "dry_run": True, "digest": "", "state": "done", "seen_at": NOW}
        session.add(ImportJob(id=f"imp-{place}", **job, **done))


@pytest.mark.parametrize("name", LISTS)
def test_every_list_is_read_along_an_index(pairs: Registry, name: str):
    """Sorted by whatever, filtered by what many share, on the first page and further in: no scan and no sort."""
    list_, catalogue, wide = LISTS[name]
    filters = [{}, *({key: value} for key, value in wide.items())]
    with reading(pairs.engine) as session:
        for sort, down, filter_ in itertools.product(catalogue.orders, ("", "-"), filters):
            first = list_(session, limit=1, sort=down + sort, **filter_)
            assert first.after is not None
            with statements(session) as run:
                list_(session, limit=1, sort=down + sort, **filter_)
                list_(session, limit=1, sort=down + sort, after=first.after, **filter_)
            assert len(run) in (2, 3)
            for statement, parameters in run:
                plan = plan_of(session, statement, parameters)
                assert not SCANS.search(plan), f"{statement}\n{plan}"
            assert re.search("Index Cond|SEARCH", plan), plan


@pytest.mark.parametrize("name", LISTS)
def test_every_search_is_a_range_of_an_index(pairs: Registry, name: str):
    """Whatever text is looked at, on the first page and further in: a search in an index, never a scan.

    Filtered by what many share, too.
    """
    list_, _, wide = LISTS[name]
    filters = [{}, *({key: value} for key, value in wide.items())]
    cursors = (None, write_cursor("search", "s", 0, "s"), write_cursor("search", "s", 1, "s"))
    with reading(pairs.engine) as session:
        for after, filter_ in itertools.product(cursors, filters):
            with statements(session) as run:
                list_(session, limit=1, search="s", after=after, **filter_)
            assert run
            for statement, parameters in run:
                plan = plan_of(session, statement, parameters)
                grouped = "GROUP BY" in statement  # of the few that were found
                assert not re.search(r"SCAN |Seq Scan", plan), f"{statement}\n{plan}"
                assert grouped or not SCANS.search(plan), f"{statement}\n{plan}"


def test_ids_are_looked_up_in_an_index(registry: Registry):
    """A partner's daemons and roles are found by searches, too."""
    with reading(registry.engine) as session:
        for list_ in (daemons.list_, assignments.list_):
            with statements(session) as run:
                list_(session, partner="contoso")
            for statement, parameters in run:
                plan = plan_of(session, statement, parameters)
                assert not re.search(r"SCAN (?!SUBQUERY|.*subquery|.*USING)|Seq Scan", plan), f"{statement}\n{plan}"


@pytest.mark.parametrize("few", [1_000, 1])
def test_daemons_of_an_issuer_are_found_along_an_index(pairs: Registry, monkeypatch: pytest.MonkeyPatch, few: int):
    """Of few tenants by them; of many in the order of the list, which nothing sorts."""
    monkeypatch.setattr(daemons, "FEW_TENANTS", few)
    with reading(pairs.engine) as session:
        for sort in daemons.DAEMONS.orders:
            first = daemons.list_(session, limit=1, sort=sort, issuer="entra")
            assert first.after is not None
            with statements(session) as run:
                daemons.list_(session, limit=1, sort=sort, issuer="entra")
                daemons.list_(session, limit=1, sort=sort, issuer="entra", after=first.after)
            for statement, parameters in run:
                plan = plan_of(session, statement, parameters)
                assert not re.search(r"SCAN (?!.*USING)|Seq Scan", plan), f"{statement}\n{plan}"
                assert few > 1 or not SCANS.search(plan), f"{statement}\n{plan}"


def _along(session: Session, list_: List, how: dict[str, Any]) -> str:
    """Assert that a list is read along one index, on the first page and further in; the plan of the latter."""
    first = list_(session, limit=1, **how)
    assert first.after is not None, how
    with statements(session) as run:
        list_(session, limit=1, **how)
        list_(session, limit=1, after=first.after, **how)
    assert len(run) == 2
    for statement, parameters in run:
        plan = plan_of(session, statement, parameters)
        assert not SCANS.search(plan), f"{statement}\n{plan}"
    assert re.search("Index Cond|SEARCH", plan), plan
    return plan


@pytest.mark.parametrize("name", [None, *DECISION_FILTERS])
@pytest.mark.parametrize("times", [{}, {"since": NOW, "until": NOW + 9}])
def test_decisions_are_filtered_along_an_index(registry: Registry, name: str | None, times: dict[str, int]):
    """By each thing they are filtered by, the newest first, of all times or of some: no scan and no sort."""
    of = dict.fromkeys(DECISION_FILTERS, "x")
    details = [Detail(id=f"t-{place}", at=NOW, detail="", revision=1, roles="", **of) for place in range(2)]
    with writing(registry.engine) as session:
        decisions.add_details(session, details)
    with reading(registry.engine) as session:
        _along(session, decisions.list_, times | ({"equal": {name: "x"}} if name else {}))


@pytest.mark.parametrize("how", [{"kind": "partner"}, {"operator": "adm"}, {"kind": "partner", "row_id": "second"}, {}])
@pytest.mark.parametrize("newest_first", [False, True])
def test_the_audit_is_filtered_along_an_index(pairs: Registry, how: dict[str, str], newest_first: bool):
    """By kind or operator, which very many entries can share; what was done to one thing, by what it is."""
    with pairs.work() as work:
        partners.suspend(work, "second")
    with reading(pairs.engine) as session:
        plan = _along(session, audit.list_, how | {"newest_first": newest_first})
    assert all(name in plan for name in how), plan
