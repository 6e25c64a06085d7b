"""`tenantgate access-request`: as the REST API does it."""

from __future__ import annotations

import pytest

from tenantgate.registry.engine import open_engine
from tests.cli.desk import Desk
from tests.registry.builders import Registry
from tests.registry.test_access_requests import asked


@pytest.fixture
def open_request(desk: Desk) -> str:
    """A caller that asked."""
    engine = open_engine(desk.url)
    id_ = asked(Registry(desk.url, engine))
    engine.dispose()
    return id_


def test_a_caller_is_listed_by_one_command(desk: Desk, open_request: str):
    """Shown, approved for a new partner with a role, and gone from the list of the open ones."""
    assert [row["id"] for row in desk.json("access-request", "list")["items"]] == [open_request]
    made = desk.json(
        "access-request", "approve", open_request, "--new-partner", "Fabrikam", "--role", "orders-read",
        "--expires-at", "2031-01-31", "--reason", "T-42",
    )  # fmt: skip
    assert (made["state"], made["revision"] > 7) == ("approved", True)
    assert desk.json("daemon", "show", made["daemon"])["oid"] == made["oid"]
    assert desk.json("access-request", "list")["items"] == []
    assert desk.json("access-request", "show", open_request)["state"] == "approved"
    code, _ = desk.refused("access-request", "dismiss", open_request)
    assert code == "already_decided"


def test_another_caller_than_was_shown_is_refused(desk: Desk, open_request: str):
    """Named by the object id that was shown."""
    words = ("access-request", "approve", open_request, "--new-partner", "Fabrikam")
    code, _ = desk.refused(*words, "--oid", "eeeeeeee-1111-4222-8333-444444444444")
    assert code == "caller_changed"
    shown = desk.json("access-request", "show", open_request)
    assert (shown["state"], desk.json(*words, "--oid", shown["oid"])["state"]) == ("open", "approved")


def test_a_caller_is_shown_no_more(desk: Desk, open_request: str):
    """And again where one asks for it."""
    assert desk.json("access-request", "dismiss", open_request)["revision"] is None
    assert desk.json("access-request", "list", "--state", "dismissed")["items"][0]["id"] == open_request
    assert desk.json("access-request", "reopen", open_request)["state"] == "open"


def test_one_partner_is_named(desk: Desk, open_request: str):
    """One that is there or one to be made: neither and both are refused before anything is done."""
    for words in ((), ("--partner", "contoso", "--new-partner", "Fabrikam")):
        assert desk.call("access-request", "approve", open_request, *words).status == 2
    assert desk.json("access-request", "show", open_request)["state"] == "open"
