"""Lists at the command line: each order, search and filter reaches the list that it stands for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tenantgate.registry import decisions
from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.engine import open_engine, writing
from tests.cli.desk import Desk
from tests.client_certificates import a_certificate
from tests.registry.builders import CLIENT_ID, TID
from tests.registry.test_decisions import a_detail


@pytest.fixture
def full(desk: Desk, tmp_path: Path) -> Desk:
    """One of each thing that is listed."""
    (tmp_path / "nightly.pem").write_text(a_certificate())
    desk.json("certificate", "add", "nightly", str(tmp_path / "nightly.pem"), "--id", "own", "--name", "May")
    desk.json("subscription-key", "create", "--daemon", "nightly", "--name", "primary", "--days", "30")
    to = ("--issuer", "entra", "--resource", "orders", "--role", "orders-read")
    desk.json("invitation", "create", "--id", "first", "--partner", "contoso", *to)
    desk.json("role", "create", "--id", "guarded", "--resource", "orders", "--value", "Guarded", "--sensitive")
    assert desk.call("role", "grant", "--role", "guarded", "--daemon", "nightly").status == 0
    engine, now = open_engine(desk.url), int(time.time())
    with writing(engine) as session:
        decisions.add_details(session, [a_detail(1, at=now, daemon="nightly", partner="contoso")])
        who = {"resource": "orders", "issuer": "entra", "tid": TID, "client_id": CLIENT_ID, "oid": ""}
        seen = {"first_seen_at": now, "last_seen_at": now, "count": 1, "oids_differ": False}
        session.add(AccessRequest(id="acr-1", state="open", reason="tenant_not_listed", **who, **seen))
    engine.dispose()
    return desk


LISTS = {
    "certificate": ("not_after", "MAY", {"--partner": "contoso", "--state": "active", "--ends-after": "2030-01-01"}),
    "subscription-key": ("-expires_at", "prim", {"--partner": "contoso", "--ends-after": "2020-01-01"}),
    "invitation": ("expires_at", "fir", {"--issuer": "entra", "--resource": "orders", "--ends-after": "2020-01-01"}),
    "pending-grant": ("open_until", "pnd-", {"--daemon": "nightly", "--role": "guarded"}),
    "access-request": ("-count", CLIENT_ID[:9], {"--issuer": "entra", "--tid": TID, "--resource": "orders"}),
    "daemon": ("updated_at", "NIGHT", {"--issuer": "entra", "--tenant": "contoso-entra"}),
}
OTHERS = {
    "certificate": ({"--partner": "nobody"}, {"--ends-before": "2030-01-01"}, {"--state": "revoked"}),
    "subscription-key": ({"--partner": "nobody"}, {"--ends-before": "2020-01-01"}),
    "invitation": ({"--issuer": "no"}, {"--resource": "no"}, {"--ends-before": "2020-01-01"}),
    "pending-grant": ({"--daemon": "no"}, {"--tenant": "no"}),
    "access-request": ({"--issuer": "no"},),
    "daemon": ({"--issuer": "no"},),
}


def words(options: dict[str, str]) -> list[str]:
    """Options as they are typed."""
    return [word for pair in options.items() for word in pair]


@pytest.mark.parametrize("group", LISTS)
def test_each_option_reaches_its_list(full: Desk, group: str):
    """What is asked for is found, sorted or searched; something else is not; another order is refused by name."""
    sort, search, filters = LISTS[group]
    (row,) = full.json(group, "list")["items"]
    assert full.json(group, "list", "--sort", sort, *words(filters))["items"] == [row]
    assert full.json(group, "list", "--search", search, *words(filters))["items"] == [row]
    assert full.json(group, "list", "--search", "zzz")["items"] == []
    for other in OTHERS[group]:
        assert full.json(group, "list", *words(other))["items"] == [], other
    assert full.refused(group, "list", "--sort", "nothing")[0] == "value_unknown"


def test_decisions_of_a_daemon(full: Desk):
    """Beside the other filters."""
    assert [row["id"] for row in full.json("decision", "list", "--daemon", "nightly")["items"]] == ["t-1"]
    assert full.json("decision", "list", "--daemon", "hourly")["items"] == []
