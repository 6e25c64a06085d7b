"""Lists over HTTP: each parameter reaches the list that it stands for, and what makes no sense is named."""

from __future__ import annotations

import pytest

from tenantgate.registry import instances
from tenantgate.registry.engine import writing
from tests.admin.world import Api
from tests.client_certificates import a_certificate
from tests.registry.builders import CLIENT_ID, NOW, TID, Registry
from tests.registry.test_access_requests import asked


@pytest.fixture
def full(api: Api) -> Api:
    """One of each thing that is listed."""
    api.make("/client-certificates", daemon="nightly", certificate=a_certificate(), name="May")
    api.make("/subscription-keys", daemon="nightly", name="primary", expires_at="2027-02-01T00:00:00Z")
    invited = {"partner": "contoso", "issuer": "entra", "resource": "orders", "app_roles": ["orders-read"]}
    api.make("/invitations", id="first", **invited)
    api.make("/app-roles", id="guarded", resource="orders", value="Guarded", sensitive=True)
    answer = api.ask("POST", "/role-assignments", json={"app_role": "guarded", "daemon": "nightly"})
    assert answer.status_code == 202
    asked(Registry("", api.engine))
    with writing(api.engine) as session:
        instances.register(session, instances.InstanceSpec(id="gate-1", kind="gate", version="1"), now=NOW)
    return api


LISTS = {
    "client-certificates": ("-not_after", "mAY", "partner=contoso&state=active&expires_after=2030-01-01T00:00:00Z"),
    "subscription-keys": ("name", "prim", "partner=contoso&expires_before=2030-01-01T00:00:00Z"),
    "invitations": ("expires_at", "fir", "issuer=entra&state=open&expires_before=2030-01-01T00:00:00Z"),
    "pending-grants": ("-open_until", "PND-", "state=open&daemon=nightly"),
    "access-requests": ("last_seen_at", "ACR-", "issuer=entra&resource=orders"),
    "instances": ("seen_at", "GATE", "kind=gate"),
    "daemons": ("created_at", CLIENT_ID[:9].upper(), "issuer=entra"),
}


@pytest.mark.parametrize("path", LISTS)
def test_each_parameter_reaches_its_list(full: Api, path: str):
    """Sorted, searched and filtered, one row is found; another search or filter finds none."""
    sort, search, filters = LISTS[path]
    (row,) = full.get(f"/{path}")["items"]
    assert full.get(f"/{path}?sort={sort}&{filters}")["items"] == [row]
    assert full.get(f"/{path}?search={search}&{filters}")["items"] == [row]
    assert full.get(f"/{path}?search=zzz")["items"] == []
    first = filters.partition("&")[0].partition("=")[0]
    if first != "state":
        assert full.get(f"/{path}?{first}=nobody")["items"] == []


@pytest.mark.parametrize("path", [*LISTS, "imports"])
def test_what_makes_no_sense_is_named(full: Api, path: str):
    """Orders there are not, an order of a search, another list's cursor, filters there are not."""
    for query, code, field in (
        ("sort=reason", "value_unknown", "sort"),
        ("search=a&sort=id", "member_not_allowed", "sort"),
        ("sort=-id&cursor=%25", "cursor_malformed", "cursor"),
        ("tids=x", "request_invalid", "tids"),
    ):
        problem = full.refused("GET", f"/{path}?{query}")
        assert (problem["status"], problem["code"], problem["errors"][0]["field"]) == (422, code, field)


@pytest.mark.parametrize("path", ["client-certificates", "invitations", "pending-grants", "access-requests", "daemons"])
def test_a_state_there_is_not_is_refused(full: Api, path: str):
    """It would find nothing, and be taken for good news."""
    problem = full.refused("GET", f"/{path}?state=actve")
    assert (problem["status"], problem["code"], problem["errors"][0]["field"]) == (422, "request_invalid", "state")


def test_daemons_of_an_issuer(full: Api):
    """Through their tenants."""
    assert [each["id"] for each in full.get("/daemons?issuer=entra")["items"]] == ["nightly"]
    assert full.get("/daemons?issuer=nobody")["items"] == []
    assert full.get(f"/access-requests?search={TID}")["items"] == []
