"""`/access-requests` and what else a gate's callers bring about: listed by one call, or shown no more."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.engine import writing
from tests.admin.world import Api
from tests.registry.builders import Registry, an_oidc_issuer, work_on
from tests.registry.test_access_requests import asked

BODY = {"new_partner": {"id": "fabrikam", "name": "Fabrikam"}, "app_roles": ["orders-read"], "reason": "T-42"}


@pytest.fixture
def open_request(api: Api) -> str:
    """A caller that asked."""
    return asked(Registry("", api.engine))


def test_a_caller_is_listed_by_one_call(api: Api, open_request: str):
    """Shown, approved with a revision, and gone from the list of the open ones."""
    (shown,) = api.get("/access-requests", role="Viewer")["items"]
    assert (shown["id"], shown["reason"], shown["state"]) == (open_request, "tenant_not_listed", "open")
    answer = api.ask("POST", f"/access-requests/{open_request}/approve", json=BODY, role="Operator")
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    assert int(answer.headers["X-TG-Revision"]) > 0
    daemon = api.get(f"/daemons/{answer.json()['daemon']}")
    assert (daemon["client_id"], daemon["oid"]) == (shown["client_id"], shown["oid"])
    assert api.get("/access-requests")["items"] == []
    assert api.get(f"/access-requests/{open_request}")["decided_by"] == "an-operator"
    again = api.refused("POST", f"/access-requests/{open_request}/approve", json=BODY)
    assert (again["status"], again["code"]) == (409, "already_decided")


def test_dismiss_and_reopen(api: Api, open_request: str):
    """By an Operator; a Viewer looks on."""
    for verb in ("approve", "dismiss", "reopen"):
        request = {"json": BODY} if verb == "approve" else {}
        refused = api.refused("POST", f"/access-requests/{open_request}/{verb}", role="Viewer", **request)
        assert refused["code"] == "role_too_low"
    assert api.change(f"/access-requests/{open_request}/dismiss")["state"] == "dismissed"
    assert api.get("/access-requests?state=dismissed")["items"][0]["id"] == open_request
    assert api.change(f"/access-requests/{open_request}/reopen")["state"] == "open"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"new_partner": None}, "member_missing"),
        ({"partner": "contoso"}, "member_not_allowed"),
        ({"state": "approved"}, "request_invalid"),
        ({"oid": "eeeeeeee-1111-4222-8333-444444444444"}, "caller_changed"),
        ({"tid": "eeeeeeee-1111-4222-8333-444444444444"}, "caller_changed"),
        ({"client_id": ""}, "caller_changed"),
        ({"subject": "eeeeeeee-1111-4222-8333-444444444444"}, "request_invalid"),
        ({"new_partner": {"name": "F", "state": "archived"}}, "request_invalid"),
        ({"app_roles": ["nothing"]}, "reference_unknown"),
    ],
)
def test_an_approval_says_who_gets_what_and_nothing_else(api: Api, open_request: str, changed: dict, code: str):  # type: ignore[type-arg]
    """Who asked is what the token said: no body can change it, only say who was looked at. Nothing is done."""
    body = {name: value for name, value in (BODY | changed).items() if value is not None}
    assert api.refused("POST", f"/access-requests/{open_request}/approve", json=body)["code"] == code
    assert api.get("/partners?search=fabrikam")["items"] == []
    assert api.get(f"/access-requests/{open_request}")["state"] == "open"


@pytest.mark.threat(46)
def test_what_was_looked_at_is_what_is_approved(api: Api, open_request: str):
    """Pushed out and made anew for another object id, the request has its old id and its old version: refused."""
    shown = api.get(f"/access-requests/{open_request}")
    with writing(api.engine) as session:
        session.execute(sa.delete(AccessRequest))
    assert asked(Registry("", api.engine), oid=shown["tid"]) == open_request
    assert api.get(f"/access-requests/{open_request}")["version"] == shown["version"]
    seen = {name: shown[name] for name in ("oid", "tid", "client_id")}
    before = api.get("/policy")

    problem = api.refused("POST", f"/access-requests/{open_request}/approve", json=BODY | seen)
    assert (problem["status"], problem["code"], problem["errors"][0]["field"]) == (409, "caller_changed", "oid")
    assert api.get("/policy") == before
    answer = api.ask("POST", f"/access-requests/{open_request}/approve", json=BODY | seen | {"oid": shown["tid"]})
    assert api.get(f"/daemons/{answer.json()['daemon']}")["oid"] == shown["tid"]


def test_a_resource_says_whether_it_wants_to_know(api: Api):
    """Off at first; switched like any rule, and in the audit."""
    assert api.get("/resources/orders")["access_requests"] is False
    answer = api.ask("PATCH", "/resources/orders", json={"access_requests": True})
    assert (answer.status_code, answer.json()["access_requests"]) == (200, True)
    assert api.get("/resources/orders")["access_requests"] is True
    answer = api.ask("PATCH", "/resources/orders", json={"access_requests": True})
    assert "X-TG-Revision" not in answer.headers
    (entry,) = api.get("/audit?kind=resource&row_id=orders&limit=1")["items"]
    assert (entry["before"]["access_requests"], entry["after"]["access_requests"]) == (False, True)
    made = api.make("/resources", id="stock", audiences=["api://stock"], access_requests=True)
    assert made["access_requests"] is True


def test_a_daemon_may_be_pinned_at_its_first_grant(api: Api):
    """At Entra only, and only where it is not pinned already."""
    body = {"tenant": "contoso-entra", "client_id": "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff", "pin_object_id": True}
    oid = "dddddddd-1111-4222-8333-444444444444"
    assert api.refused("POST", "/daemons", json=body | {"oid": oid})["code"] == "member_not_allowed"
    assert api.make("/daemons", **body)["pin_object_id"] is True
    assert api.get("/daemons/nightly")["pin_object_id"] is False
    with work_on(api.engine) as work:
        an_oidc_issuer(work)
    api.make("/tenants", id="theirs", issuer="keycloak", partner="contoso")
    refused = api.refused("POST", "/daemons", json={"tenant": "theirs", "client_id": "a", "pin_object_id": True})
    assert (refused["code"], refused["errors"][0]["field"]) == ("member_not_allowed", "pin_object_id")


@pytest.mark.parametrize(
    ("path", "sent"), [("approve", {"json": {"partner": "contoso", "app_roles": ["orders-read"]}}), ("dismiss", {})]
)
def test_who_never_asked_cannot_be_decided_on(api: Api, path: str, sent: dict[str, object]):
    """There is no such request; nothing is made of it."""
    before = api.get("/policy")["revision"]
    problem = api.refused("POST", f"/access-requests/nobody/{path}", **sent)
    assert (problem["status"], problem["code"]) == (404, "access_request_not_found")
    assert api.get("/policy")["revision"] == before
