"""Invitations over HTTP: made, looked at, approved, and never shown twice."""

from __future__ import annotations

import pytest

from tenantgate.registry import invitations
from tenantgate.registry.unit_of_work import Actor
from tests.admin.world import V1, Api
from tests.registry.builders import work_on

CLIENT = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
TID = "22222222-3333-4444-8555-666666666666"
BODY = {"partner": "fabrikam", "issuer": "entra", "resource": "orders", "app_roles": ["orders-read"]}


@pytest.fixture
def world(api: Api) -> Api:
    """Fabrikam is a partner who was invited."""
    api.make("/partners", id="fabrikam", name="Fabrikam", state="invited")
    return api


def redeem(api: Api, url: str) -> None:
    """What the page does when the developer has sent the form."""
    with work_on(api.engine, actor=Actor("", "invitation", "203.0.113.9")) as work:
        invitations.redeem(work, url.partition("#code=")[2], tid=TID, client_id=CLIENT)


def test_from_the_link_to_the_role(world: Api):
    """The link has its code in the fragment and stands in one answer; approved, the partner is active."""
    answer = world.ask("POST", "/invitations", role="Operator", json=BODY)
    made = answer.json()
    url = made.pop("url")
    path = f"/invitations/{made['id']}"
    assert answer.headers["Location"] == V1 + path
    assert "X-TG-Revision" not in answer.headers
    assert url.startswith("https://gate.publisher.example/invitation#code=")
    shown = world.get(path)
    assert (made.items() <= shown.items(), made["expires_at"]) == (True, "2027-01-22T08:00:00Z")
    assert world.refused("POST", f"{path}/approve")["code"] == "invitation_open"
    redeem(world, url)
    assert world.get("/invitations?state=redeemed")["items"][0]["client_id"] == CLIENT
    approved = world.ask("POST", f"{path}/approve", role="Operator")
    assert approved.headers["X-TG-Revision"]
    done = approved.json()
    assert (done["invitation"]["state"], done["partner"], done["pending_grants"]) == ("approved", "fabrikam", [])
    assert world.get("/partners/fabrikam")["state"] == "active"
    assert world.get(f"/role-assignments/{done['role_assignments'][0]}")["daemon"] == done["daemon"]
    for place in ("/invitations", path, "/audit?limit=200"):
        text = world.ask("GET", place).text
        assert url.partition("#code=")[2] not in text
        assert "code_hash" not in text


def test_what_an_approval_gives_is_shown(world: Api):
    """By value and API; with what the partner's state becomes, until it is decided. A role made anew is not given."""
    world.make("/app-roles", id="orders-write", resource="orders", value="Orders.Write")
    made = world.make("/invitations", **BODY | {"app_roles": ["orders-write"]})
    redeem(world, made["url"])
    path = f"/invitations/{made['id']}"
    role = {"id": "orders-write", "resource": "orders", "value": "Orders.Write", "sensitive": False}
    shown = world.get(path)
    assert [each for each in shown["gives"] if each["how"] == "invitation"] == [role | {"how": "invitation"}]
    assert shown["warnings"] == ["Partner fabrikam becomes active."]
    world.change("/app-roles/orders-write/delete")
    world.make("/app-roles", id="orders-write", resource="orders", value="Orders.Everything")
    assert "orders-write is not what it was" in world.get(path)["warnings"][0]
    assert world.refused("POST", f"{path}/approve")["code"] == "request_outdated"
    world.change(f"{path}/reject")
    decided = world.get(path)
    assert (decided["gives"], decided["warnings"]) == ([], [])


@pytest.mark.parametrize(("verb", "state"), [("reject", "rejected"), ("revoke", "revoked")])
def test_what_is_not_wanted_is_ended(world: Api, verb: str, state: str):
    """Nothing is listed, and nothing can be approved any more."""
    made = world.make("/invitations", **BODY)
    redeem(world, made["url"])
    path = f"/invitations/{made['id']}"
    assert world.change(f"{path}/{verb}")["state"] == state
    assert world.refused("POST", f"{path}/approve")["code"] == "invitation_decided"
    assert world.get(f"/daemons?client_id={CLIENT}")["items"] == []


@pytest.mark.threat(46)
def test_what_was_entered_cannot_be_sent_by_an_operator(world: Api):
    """Nor a state, nor a code of one's own."""
    for member in ("tid", "client_id", "state", "code", "code_hash", "redeemed_at", "daemon"):
        problem = world.refused("POST", "/invitations", json=BODY | {member: CLIENT})
        assert [each["code"] for each in problem["errors"]] == ["member_unknown"], member


def test_a_taken_tenant_is_found_at_the_approval(world: Api):
    """The operator is told whose it is; nothing was done."""
    made = world.make("/invitations", **BODY)
    with work_on(world.engine, actor=Actor("", "invitation", "203.0.113.9")) as work:
        code = made["url"].partition("#code=")[2]
        invitations.redeem(work, code, tid="11111111-2222-4333-8444-555555555555", client_id=CLIENT)
    problem = world.refused("POST", f"/invitations/{made['id']}/approve")
    assert (problem["status"], problem["code"], problem["holder"]) == (409, "tenant_duplicate", "contoso-entra")
    assert world.get("/partners/fabrikam")["state"] == "invited"
