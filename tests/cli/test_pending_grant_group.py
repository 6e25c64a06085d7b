"""`role grant` of a sensitive role, and `pending-grant`."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tenantgate.registry import operators, pending_grants
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.engine import open_engine
from tenantgate.registry.operators import OperatorSpec
from tenantgate.registry.unit_of_work import Actor
from tests.cli.desk import Desk
from tests.registry.builders import work_on


@pytest.fixture
def world(desk: Desk) -> Desk:
    """Orders are written by whom two operators let."""
    desk.json(
        "role", "create", "--id", "orders-write", "--resource", "orders", "--value", "Orders.Write", "--sensitive"
    )
    return desk


def by_key(desk: Desk, call: Any) -> Any:
    """Work in the name of Ada, who came with a key."""
    engine = open_engine(desk.url)
    with work_on(engine) as work:
        if work.session.get(operators.Operator, "ada") is None:
            operators.create(work, OperatorSpec(id="ada", name="Ada", role="Operator"))
    with work_on(engine, now=int(time.time()), actor=Actor("ada", "admin_key", "192.0.2.1")) as work:
        found = call(work).id
    engine.dispose()
    return found


def test_a_sensitive_role_waits(world: Desk):
    """The command says so on standard error; another command is not a second operator, an operator with a key is."""
    answer = world.call("role", "grant", "--role", "orders-write", "--daemon", "nightly", "--json")
    shown = answer.document
    assert (answer.status, shown["state"], shown["revision"]) == (0, "open", None)
    assert "nothing is granted before" in answer.err
    assert world.json("role", "assignments", "--role", "orders-write")["items"] == []
    code, message = world.refused("pending-grant", "approve", shown["id"])
    assert (code, "credential" in message) == ("second_operator_needed", True)
    by_key(world, lambda work: pending_grants.approve(work, shown["id"]))
    (made,) = world.json("role", "assignments", "--role", "orders-write")["items"]
    assert (made["approved_by"], made["granted_by"].startswith("cli:")) == ("ada", True)
    told = {each["role"]: each["approved_by"] for each in world.json("audit", "access")}
    assert told == {"Orders.Read": None, "Orders.Write": "ada"}
    assert "approved_by" in world.call("audit", "access").out


def test_a_command_approves_what_an_operator_asked_for(world: Desk):
    """Both ways it takes one who came with a credential."""
    spec = AssignmentSpec(app_role="orders-write", daemon="nightly")
    id_ = by_key(world, lambda work: pending_grants.grant_or_request(work, spec))
    assert [each["id"] for each in world.json("pending-grant", "list", "--state", "open")["items"]] == [id_]
    assert world.json("pending-grant", "show", id_)["created_by"] == "ada"
    assert world.refused("pending-grant", "withdraw", id_)[0] == "not_requester"
    assert world.json("pending-grant", "approve", id_)["state"] == "approved"
    assert world.refused("pending-grant", "reject", id_)[0] == "request_decided"


def test_rejected_and_withdrawn(world: Desk):
    """Either ends it; a wider window is asked for likewise."""
    words = ("role", "grant", "--role", "orders-write", "--daemon", "nightly", "--expires-at", "2031-01-31", "--json")
    first = world.call(*words).document["id"]
    assert world.json("pending-grant", "withdraw", first)["state"] == "withdrawn"
    second = world.call(*words).document["id"]
    assert world.json("pending-grant", "reject", second)["state"] == "rejected"
    third = world.call(*words).document["id"]
    by_key(world, lambda work: pending_grants.approve(work, third))
    held = world.json("pending-grant", "show", third)["assignment"]
    wider = world.json("pending-grant", "widen", held, "--reason", "goes on")
    assert (wider["kind"], wider["expires_at"]) == ("widen", None)


def test_marking(world: Desk):
    """Marked and unmarked by name."""
    assert world.json("role", "mark-sensitive", "orders-read")["sensitive"] is True
    assert world.refused("role", "mark-sensitive", "orders-read")[0] == "state_unchanged"
    assert world.json("role", "unmark-sensitive", "orders-read")["sensitive"] is False


def test_a_whole_tenant_is_warned_of(world: Desk):
    """One line on standard error; standard output is the document."""
    world.json("resource", "create", "--id", "bills", "--audience", "api://bills", "--tenant-wide-roles")
    world.json("role", "create", "--id", "bills-list", "--resource", "bills", "--value", "Bills.List")
    answer = world.call("role", "grant", "--role", "bills-list", "--tenant", "contoso-entra", "--json")
    assert answer.status == 0
    assert answer.document["warnings"] == [answer.err.strip().removeprefix("warning: ")]
    assert "1 now (1 active)" in answer.err
