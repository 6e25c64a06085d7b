"""Sensitive roles over HTTP: asked for by one operator, approved by another."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.admin.world import V1, Api

GRANT = {"app_role": "orders-write", "daemon": "nightly", "reason": "contract 4711"}


@pytest.fixture
def world(api: Api) -> Api:
    """Orders are written by whom two operators let."""
    api.make("/app-roles", id="orders-write", resource="orders", value="Orders.Write", sensitive=True)
    return api


def asked(api: Api) -> str:
    """The Operator asks for it: 202, and where it waits."""
    answer = api.ask("POST", "/role-assignments", role="Operator", json=GRANT)
    shown = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{V1}/pending-grants/{shown['id']}"
    assert "X-TG-Revision" not in answer.headers
    assert (shown["state"], shown["created_by"], shown["scheme"]) == ("open", "an-operator", "admin_key")
    found: str = shown["id"]
    return found


def test_from_asking_to_the_role(world: Api):
    """Nothing is there before the Admin approved; then the assignment names both."""
    before = world.get("/policy")["revision"]
    id_ = asked(world)
    assert world.get("/role-assignments?app_role=orders-write")["items"] == []
    assert world.get("/policy")["revision"] == before
    assert [each["id"] for each in world.get("/pending-grants?state=open")["items"]] == [id_]
    problem = world.refused("POST", f"/pending-grants/{id_}/approve", role="Operator")
    assert (problem["status"], problem["code"]) == (409, "second_operator_needed")

    answer = world.ask("POST", f"/pending-grants/{id_}/approve")
    assert answer.headers["X-TG-Revision"] == str(before + 1)
    made = world.get(f"/role-assignments/{answer.json()['assignment']}")
    assert (made["granted_by"], made["approved_by"]) == ("an-operator", "an-admin")
    (held,) = [each for each in world.get("/access")["items"] if each["role"] == "Orders.Write"]
    assert (held["granted_by"], held["approved_by"]) == ("an-operator", "an-admin")
    table = csv.DictReader(io.StringIO(world.ask("GET", "/access?format=csv").text, newline=""))
    assert [(row["role"], row["granted_by"], row["approved_by"]) for row in table] == [
        ("Orders.Read", "adm", ""),
        ("Orders.Write", "an-operator", "an-admin"),
    ]
    assert world.get(f"/pending-grants/{id_}")["decided_by"] == "an-admin"
    assert world.refused("POST", f"/pending-grants/{id_}/reject")["code"] == "request_decided"


def test_a_request_by_a_key_that_was_revoked_is_not_approved(world: Api):
    """It is kept with which key it was asked."""
    id_ = asked(world)
    key = world.get(f"/pending-grants/{id_}")["asked"]["admin_key"]
    world.change(f"/admin-keys/{key}/revoke")
    assert world.refused("POST", f"/pending-grants/{id_}/approve")["code"] == "requester_not_allowed"


def test_a_partner_goes_on_for_no_longer_with_a_sensitive_role(world: Api):
    """Its end is the role's: the refusal names the member, and the assignment that would go on."""
    world.ask("PATCH", "/partners/contoso", json={"ends_at": "2027-02-01T00:00:00Z"})
    held = world.change(f"/pending-grants/{asked(world)}/approve")["assignment"]
    problem = world.refused("PATCH", "/partners/contoso", json={"ends_at": None})
    assert (problem["status"], problem["code"], held in problem["detail"]) == (409, "approval_needed", True)


@pytest.mark.parametrize(
    ("verb", "role", "state"), [("reject", "Admin", "rejected"), ("withdraw", "Operator", "withdrawn")]
)
def test_refused_or_taken_back_it_gives_nothing(world: Api, verb: str, role: str, state: str):
    """And it may be asked for again."""
    id_ = asked(world)
    answer = world.ask("POST", f"/pending-grants/{id_}/{verb}", role=role)
    assert (answer.status_code, answer.json()["state"]) == (200, state)
    assert world.refused("POST", f"/pending-grants/{id_}/approve")["code"] == "request_decided"
    assert world.get("/role-assignments?app_role=orders-write")["items"] == []
    assert asked(world) != id_


def test_a_wider_window_is_asked_for(world: Api):
    """By its own route, for an assignment of a sensitive role."""
    id_ = asked(world)
    held = world.change(f"/pending-grants/{id_}/approve")["assignment"]
    assert world.refused("POST", "/pending-grants", json={"assignment": held})["code"] == "state_unchanged"
    assert world.refused("POST", "/pending-grants", json={"assignment": "nobody"})["code"] == "reference_unknown"
    world.change(f"/role-assignments/{held}/revoke")
    ending = world.ask(
        "POST", "/role-assignments", role="Operator", json=GRANT | {"expires_at": "2027-02-01T00:00:00Z"}
    )
    held = world.change(f"/pending-grants/{ending.json()['id']}/approve")["assignment"]
    wider = world.make("/pending-grants", assignment=held, expires_at="2028-02-01T00:00:00Z", reason="goes on")
    assert (wider["kind"], wider["state"]) == ("widen", "open")
    assert world.refused("POST", f"/pending-grants/{wider['id']}/approve")["code"] == "second_operator_needed"
    assert world.ask("POST", f"/pending-grants/{wider['id']}/approve", role="Operator").status_code == 200
    assert world.get(f"/role-assignments/{held}")["expires_at"] == "2028-02-01T00:00:00Z"


def test_marking_and_unmarking(api: Api):
    """An Operator marks, an Admin alone unmarks; both are in the audit, and who has the role keeps it."""
    answer = api.ask("POST", "/app-roles/orders-read/mark-sensitive", role="Operator")
    assert answer.json()["sensitive"] is True
    assert "X-TG-Revision" not in answer.headers
    assert api.get("/role-assignments/nightly-read")["approved_by"] is None
    refused = api.refused("POST", "/app-roles/orders-read/unmark-sensitive", role="Operator")
    assert refused["code"] == "role_too_low"
    assert api.change("/app-roles/orders-read/unmark-sensitive")["sensitive"] is False
    actions = [entry["action"] for entry in api.get("/audit?kind=app_role")["items"]]
    assert actions[:2] == ["app_role.unmarked", "app_role.marked"]


def test_no_claim_gives_a_sensitive_role(world: Api):
    """A mapping is refused, and says why."""
    body = {"issuer": "entra", "claim": "roles", "value": "Writer", "app_role": "orders-write"}
    assert world.refused("POST", "/role-mappings", json=body)["code"] == "role_sensitive"


@pytest.mark.threat(46)
def test_nobody_approves_what_they_asked_by_naming_another(world: Api):
    """Who asked, who decided and in which state is the server's to say."""
    for member in ("granted_by", "approved_by", "state", "decided_by", "created_by", "scheme"):
        problem = world.refused("POST", "/role-assignments", json=GRANT | {member: "an-admin"})
        assert problem["code"] == "request_invalid", member
    id_ = asked(world)
    answer = world.ask("POST", f"/pending-grants/{id_}/approve", role="Operator", json={"decided_by": "an-admin"})
    assert answer.status_code == 400
    assert world.get(f"/pending-grants/{id_}")["state"] == "open"


def test_a_whole_tenant_is_warned_of(api: Api):
    """The answer says how many daemons it reaches, sensitive or not; for one daemon there is nothing to say."""
    api.make("/resources", id="bills", audiences=["api://bills"], tenant_wide_roles=True)
    api.make("/app-roles", id="bills-list", resource="bills", value="Bills.List")
    api.make("/app-roles", id="bills-pay", resource="bills", value="Bills.Pay", sensitive=True)
    made = api.make("/role-assignments", app_role="bills-list", tenant="contoso-entra")
    assert "1 now (1 active)" in made["warnings"][0]
    assert api.make("/role-assignments", app_role="bills-list", daemon="nightly")["warnings"] == []
    waiting = api.ask(
        "POST", "/role-assignments", role="Operator", json={"app_role": "bills-pay", "tenant": "contoso-entra"}
    )
    assert waiting.status_code == 202
    assert "1 now (1 active)" in waiting.json()["warnings"][0]
    assert api.get(f"/pending-grants/{waiting.json()['id']}")["warnings"] == waiting.json()["warnings"]


@pytest.mark.threat(47)
def test_of_many_approvals_at_once_one_wins(world: Api):
    """Two dozen presses of the button: one assignment, one revision."""
    id_ = asked(world)
    before = world.get("/policy")["revision"]

    def approve(_: int) -> int:
        status: int = world.ask("POST", f"/pending-grants/{id_}/approve").status_code
        return status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(approve, range(24)))
    assert statuses == [200] + [409] * 23
    assert world.get("/policy")["revision"] == before + 1
    assert len(world.get("/role-assignments?app_role=orders-write")["items"]) == 1
