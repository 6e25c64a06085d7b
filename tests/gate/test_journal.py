"""The operator's log of denials: exact, bounded, without a token, and off the hot path."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Granted, Principal
from tenantgate.gate.journal import MOST, MOST_REPORTED, Journal
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


def a_grant(*would_deny: R) -> Granted:
    """Return a grant that rules reported only would have denied for these reasons."""
    principal = Principal(
        partner="acme",
        tenant="acme_tenant",
        daemon="acme_daemon",
        client_id="c",
        oid=None,
        roles=READ,
        resource="orders",
        would_deny=would_deny,
    )
    return Granted(principal, 7, "t-9")


def test_what_would_have_been_denied_is_written_too(caplog: pytest.LogCaptureFixture):
    """A grant with reasons for which it would have been none is a line of its own: who, why, by which revision."""
    caplog.set_level(logging.INFO, "tenantgate.decisions")
    journal = Journal()
    journal.note(a_grant(R.ADDRESS_NOT_ALLOWED, R.CREDENTIAL_TOO_WEAK))
    journal.write()

    [line] = _said(caplog)
    assert line["message"] == "would deny: address_not_allowed, credential_too_weak"
    assert line["would_deny"] == ["address_not_allowed", "credential_too_weak"]
    assert (line["decision"], line["revision"], line["resource"]) == ("t-9", 7, "orders")
    assert (line["partner"], line["daemon"]) == ("acme", "acme_daemon")


def test_would_be_denials_never_push_a_denial_out(make: Any, caplog: pytest.LogCaptureFixture):
    """However many there are, every denial that fits is written; theirs are bounded and counted apart."""
    caplog.set_level(logging.INFO, "tenantgate.decisions")
    journal = Journal()
    denied = make().decide(a_view("a.b.c"))
    for _ in range(MOST_REPORTED + 3):
        journal.note(a_grant(R.ADDRESS_NOT_ALLOWED))
    for _ in range(MOST):
        journal.note(denied)
    journal.write()

    said = _said(caplog)
    assert [line["reason"] for line in said[:MOST]] == ["token_malformed"] * MOST
    assert len(said) == MOST + MOST_REPORTED + 1
    assert said[-1]["dropped"] == 3


def test_a_gate_notes_what_would_have_been_denied(
    make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Granted with nothing to report leaves no line; granted with something leaves one."""
    caplog.set_level(logging.INFO, "tenantgate.decisions")
    gate = make()
    gate.decide(a_view(), READ)
    monkeypatch.setattr("tenantgate.gate.gate.judge", lambda *_, **__: a_grant(R.ADDRESS_NOT_ALLOWED))
    gate.decide(a_view(), READ)
    gate.close()

    assert [line["message"] for line in _said(caplog)] == ["would deny: address_not_allowed"]
