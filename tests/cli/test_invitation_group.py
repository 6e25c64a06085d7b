"""`invitation`: links with which partners' developers name their daemons."""

from __future__ import annotations

import time

from tenantgate.registry import invitations
from tenantgate.registry.engine import open_engine
from tenantgate.registry.unit_of_work import Actor
from tests.cli.desk import Desk
from tests.registry.builders import work_on

CLIENT = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
TID = "22222222-3333-4444-8555-666666666666"
WORDS = ("--partner", "fabrikam", "--issuer", "entra", "--resource", "orders", "--role", "orders-read")


def redeem(desk: Desk, url: str) -> None:
    """What the page does when the developer has sent the form."""
    engine = open_engine(desk.url)
    with work_on(engine, now=int(time.time()), actor=Actor("", "invitation", "203.0.113.9")) as work:
        invitations.redeem(work, url.strip().partition("#code=")[2], tid=TID, client_id=CLIENT)
    engine.dispose()


def test_from_the_link_to_the_daemon(desk: Desk):
    """The link alone on standard output; approved, daemon and role are there and the partner is active."""
    desk.json("partner", "create", "--id", "fabrikam", "--name", "Fabrikam", "--state", "invited")
    answer = desk.call("invitation", "create", "--id", "first", *WORDS)
    assert answer.out.startswith("http://127.0.0.1:8440/invitation#code=")
    assert "not shown again" in answer.err
    assert desk.refused("invitation", "approve", "first")[0] == "invitation_open"
    redeem(desk, answer.out)
    (row,) = desk.json("invitation", "list", "--state", "redeemed")["items"]
    assert (row["client_id"], row["redeemed_from"]) == (CLIENT, "203.0.113.9")
    done = desk.json("invitation", "approve", "first")
    assert done["invitation"]["state"] == "approved"
    assert desk.json("partner", "show", "fabrikam")["state"] == "active"
    assert desk.json("role", "assignments", "--daemon", done["daemon"])["items"][0]["id"] == done["role_assignments"][0]
    said = desk.call("invitation", "list").out + desk.call("audit", "list", "--json").out
    assert answer.out.strip().partition("#code=")[2] not in said


def test_revoked_and_rejected(desk: Desk):
    """An open one is revoked, what was entered is rejected."""
    desk.json("partner", "create", "--id", "fabrikam", "--name", "Fabrikam")
    made = desk.json("invitation", "create", *WORDS, "--days", "1")
    assert desk.json("invitation", "revoke", made["id"])["state"] == "revoked"
    made = desk.json("invitation", "create", *WORDS)
    redeem(desk, made["url"])
    assert desk.json("invitation", "reject", made["id"])["state"] == "rejected"
    assert desk.json("invitation", "show", made["id"])["decided_by"].startswith("cli:")
