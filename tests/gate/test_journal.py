"""The operator's log of denials: exact, bounded, without a token, and off the hot path."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tenantgate.gate.journal import MOST, Journal
from tests.builders import v2_token
from tests.gate.world import a_view

READ = ("Orders.Read",)


def _said(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.name == "tenantgate.decisions"]


def test_a_denial_is_written_with_its_exact_reason(make: Any, caplog: pytest.LogCaptureFixture):
    """Whatever the caller was told, the log has decision id, reason, detail and revision, and no byte of the token."""
    caplog.set_level(logging.INFO, "tenantgate.decisions")
    gate = make()
    token = v2_token(aud="api://somebody-else.example")
    decision = gate.decide(a_view(token), READ)
    gate.decide(a_view(v2_token()), READ)
    assert _said(caplog) == [], "nothing is written while a request is judged"
    gate.close()

    [line] = _said(caplog)
    assert (line["decision"], line["reason"]) == (decision.id, "audience_mismatch")
    assert "somebody-else" in line["detail"]
    assert line["revision"] == decision.revision
    assert not any(part in caplog.text for part in token.split("."))


async def test_both_ways_to_ask_are_written(make: Any, caplog: pytest.LogCaptureFixture):
    """Synchronous or not, each denial is one line."""
    caplog.set_level(logging.INFO, "tenantgate.decisions")
    gate = make()
    ids = [gate.decide(a_view("a.b.c")).id, (await gate.adecide(a_view("a.b.c"))).id]
    gate.close()

    assert [line["decision"] for line in _said(caplog)] == ids


def test_a_flood_is_bounded_and_counted(make: Any, caplog: pytest.LogCaptureFixture):
    """Denials beyond the bound are dropped, and the log says how many."""
    caplog.set_level(logging.INFO, "tenantgate.decisions")
    journal = Journal()
    denied = make().decide(a_view("a.b.c"))
    for _ in range(MOST + 7):
        journal.note(denied)
    journal.write()
    journal.write()

    assert len(_said(caplog)) == MOST + 1
    assert _said(caplog)[-1]["dropped"] == 7
