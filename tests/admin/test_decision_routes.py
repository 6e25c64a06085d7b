"""`/decisions`: why somebody was refused, and how many."""

from __future__ import annotations

import pytest

from tenantgate.feed.sink import GRANTED
from tenantgate.registry import decisions
from tenantgate.registry.engine import writing
from tests.admin.world import Api
from tests.registry.builders import CLIENT_ID, NOW
from tests.registry.test_decisions import HOUR, a_count, a_detail


@pytest.fixture
def decided(api: Api) -> Api:
    """The API over a database with a denial, a grant that a reported rule would have refused, and counts."""
    api.clock.now = NOW
    with writing(api.engine) as session:
        grant = a_detail(
            2, outcome=GRANTED, would_deny="address_not_allowed", roles="Orders.Read", detail="", at=NOW + 1
        )
        decisions.add_details(session, [a_detail(1), grant, a_detail(3, outcome="reason_of_tomorrow")])
        decisions.add_counts(
            session, {a_count(): 5, a_count(outcome="token_expired"): 2, a_count(hour=HOUR - 90_000): 9}
        )
    return api


def test_why_was_i_refused(decided: Api):
    """By the id the caller was told: reason, meaning and advice of the one table, who it was; nothing is made up."""
    found = decided.get("/decisions/t-1", role="Viewer")

    assert (found["outcome"], found["code"], found["status"]) == ("token_expired", "invalid_token", 401)
    assert found["meaning"]
    assert found["partner_advice"]
    assert (found["client_id"], found["tenant"], found["partner"]) == (CLIENT_ID, "contoso-entra", None)
    assert decided.refused("GET", "/decisions/t-9")["code"] == "decision_not_found"
    assert decided.get("/decisions/t-2")["meaning"] == "The caller was let in."
    assert decided.get("/decisions/t-3")["code"] is None


def test_list_is_filtered(decided: Api):
    """By outcome, time and caller; newest first, page by page."""
    assert [each["id"] for each in decided.get("/decisions")["items"]] == ["t-2", "t-3", "t-1"]
    (grant,) = decided.get("/decisions?outcome=granted&since=2027-01-15T08:00:01Z")["items"]
    assert (grant["would_deny"], grant["roles"]) == (["address_not_allowed"], ["Orders.Read"])
    page = decided.get("/decisions?limit=2")
    assert [each["id"] for each in decided.get(f"/decisions?limit=2&cursor={page['next']}")["items"]] == ["t-1"]
    assert decided.get("/decisions?client_id=nobody")["items"] == []
    assert decided.refused("GET", "/decisions?cursor=x")["code"] == "cursor_malformed"


def test_counts(decided: Api):
    """Of the last day by outcome; of longer ago where one asks."""
    found = decided.get("/decisions/counts")
    assert [(each["value"], each["count"]) for each in found["items"]] == [(GRANTED, 5), ("token_expired", 2)]
    found = decided.get("/decisions/counts?by=client_id&step=day&since=2027-01-01T00:00:00Z&outcome=granted")
    assert sum(each["count"] for each in found["items"]) == 14
    assert decided.refused("GET", "/decisions/counts?since=2026-01-01T00:00:00Z")["code"] == "number_out_of_range"
    assert decided.refused("GET", "/decisions/counts?by=detail")["errors"][0]["code"] == "value_unknown"
