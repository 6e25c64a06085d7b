"""`tenantgate decision`: as the REST API tells it."""

from __future__ import annotations

import time

import pytest

from tenantgate.registry import decisions
from tenantgate.registry.engine import open_engine, writing
from tests.cli.desk import Desk
from tests.registry.test_decisions import a_count, a_detail


@pytest.fixture
def decided(desk: Desk) -> Desk:
    """A database with a denial and some counts of now."""
    engine, now = open_engine(desk.url), int(time.time())
    with writing(engine) as session:
        decisions.add_details(session, [a_detail(1, at=now), a_detail(2, at=now + 1, outcome="tenant_not_listed")])
        decisions.add_counts(session, {a_count(hour=now // 3600 * 3600): 5})
    engine.dispose()
    return desk


def test_why_was_i_refused(decided: Desk):
    """By the id the caller was told; an id nobody had is one line and status 1."""
    shown = decided.json("decision", "show", "t-1")
    assert (shown["outcome"], shown["code"], shown["status"]) == ("token_expired", "invalid_token", 401)
    assert shown["partner_advice"]
    assert decided.refused("decision", "show", "t-9")[0] == "decision_not_found"


def test_lists_and_counts(decided: Desk):
    """Newest first, filtered; counted by what one asks for."""
    assert [row["id"] for row in decided.json("decision", "list")["items"]] == ["t-2", "t-1"]
    assert [row["id"] for row in decided.json("decision", "list", "--outcome", "token_expired")["items"]] == ["t-1"]
    assert "tenant_not_listed" in decided.call("decision", "list").out
    found = decided.json("decision", "counts", "--by", "client_id", "--step", "day")
    assert [each["count"] for each in found["items"]] == [5]
    assert "granted" in decided.call("decision", "counts").out
    assert decided.refused("decision", "list", "--cursor", "x")[0] == "cursor_malformed"
