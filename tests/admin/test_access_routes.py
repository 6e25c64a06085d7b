"""Who held what, and the audit written out, over HTTP."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import Any

import pytest

from tenantgate.admin import audit as routes
from tests.admin.world import Api
from tests.registry.builders import CLIENT_ID, NOW

HOUR = 3_600


def table(answer: Any) -> list[dict[str, str]]:
    """The rows of an answer in CSV."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_a_role_is_held_until_it_is_taken_back(api: Api):
    """At any moment it is said who held it then, from whom and why."""
    api.clock.now = NOW + 6 * HOUR
    api.change("/role-assignments/nightly-read/revoke")
    api.clock.now = NOW + 12 * HOUR

    now = api.get("/access")
    then = api.get("/access?as_of=2027-01-15T12:00:00%2B01:00")

    assert (now["items"], now["next"], now["as_of"]) == ([], None, "2027-01-15T20:00:00Z")
    assert then["as_of"] == "2027-01-15T11:00:00Z"
    assert then["items"] == [
        {
            "assignment": "nightly-read",
            "resource": "orders",
            "role": "Orders.Read",
            "partner": "contoso",
            "tenant": "contoso-entra",
            "daemon": "nightly",
            "client_id": CLIENT_ID,
            "not_before": None,
            "expires_at": None,
            "granted_by": "adm",
            "approved_by": None,
            "granted_at": "2027-01-15T08:00:00Z",
            "reason": "",
            "counted": True,
        }
    ]
    assert api.get("/access?as_of=2027-01-15T13:59:59Z")["items"] == then["items"]
    assert api.get("/access?as_of=2027-01-15T14:00:00Z")["items"] == []
    assert api.get("/access?as_of=2027-01-15")["items"] == [], "the day begins before the grant"


def test_pages_and_filters(api: Api):
    """A page goes on where the one before ended; a filter that fits nothing answers with nothing."""
    api.make("/app-roles", id="orders-write", resource="orders", value="Orders.Write")
    api.make("/role-assignments", id="second", app_role="orders-write", daemon="nightly")
    whole = api.get("/access?partner=contoso&resource=orders")
    assert [each["assignment"] for each in whole["items"]] == ["nightly-read", "second"]
    first = api.get("/access?limit=1")
    second = api.get(f"/access?limit=1&cursor={first['next']}")
    assert first["items"] + second["items"] == whole["items"]
    assert second["next"] is None
    assert api.get("/access?partner=nobody")["items"] == api.get("/access?resource=nobody")["items"] == []


def test_the_table_has_all_of_it(api: Api):
    """As a parameter or by what the caller accepts; a reason that is a formula is text."""
    api.make("/app-roles", id="orders-write", resource="orders", value="Orders.Write")
    api.make("/role-assignments", id="second", app_role="orders-write", daemon="nightly", reason="=1+1")

    rows = table(api.ask("GET", "/access?format=csv&limit=1"))

    items = api.get("/access")["items"]
    assert [row["assignment"] for row in rows] == ["nightly-read", "second"]
    assert list(rows[0]) == list(items[0])
    assert rows[1]["reason"] == "'=1+1"
    assert rows[1]["counted"] == "true"
    accepts = {"text/csv": True, "text/csv;q=0.9, text/plain": True, "*/*": False, "text/csv, application/json": False}
    for accept, is_table in accepts.items():
        answer = api.ask("GET", "/access", headers={"Accept": accept})
        assert answer.headers["Content-Type"].startswith("text/csv" if is_table else "application/json"), accept
    answer = api.ask("GET", "/access?format=json", headers={"Accept": "text/csv"})
    assert answer.json()["items"] == items


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("as_of=yesterday", "timestamp_malformed", "as_of"),
        ("as_of=2027-02-30", "timestamp_malformed", "as_of"),
        ("as_of=1800000000", "timestamp_malformed", "as_of"),
        ("cursor=%25", "cursor_malformed", "cursor"),
        ("format=xml", "request_invalid", "format"),
        ("limit=0", "request_invalid", "limit"),
        ("who=contoso", "request_invalid", "who"),
    ],
)
def test_what_makes_no_sense_is_refused(api: Api, query: str, code: str, field: str):
    """422, naming the parameter."""
    problem = api.refused("GET", f"/access?{query}")
    assert (problem["status"], problem["code"], problem["errors"][0]["field"]) == (422, code, field)


def test_the_audit_written_out_proves_itself(api: Api, monkeypatch: pytest.MonkeyPatch):
    """Every entry once, in order, read a few at a time; the hash of each line is over its text."""
    monkeypatch.setattr(routes, "_BATCH", 3)
    answer = api.ask("GET", "/audit/export", role="Viewer")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    lines = answer.text.splitlines()
    entries = [json.loads(line) for line in lines]
    assert [each["sequence"] for each in entries] == list(range(1, len(entries) + 1))
    assert entries[-1]["hash"] == api.get("/policy")["audit_hash"]
    for line, entry in zip(lines, entries, strict=True):
        hashed = line.removesuffix(f',"hash":"{entry["hash"]}"}}') + "}"
        assert hashlib.sha256(hashed.encode()).hexdigest() == entry["hash"]
    rest = api.ask("GET", f"/audit/export?after={len(lines) - 2}").text.splitlines()
    assert rest == lines[-2:]


def test_the_audit_as_a_table_and_by_time(api: Api):
    """CSV; since a time and before another."""
    api.clock.now = NOW + 20 * HOUR
    api.make("/partners", id="formula", name="=cmd")
    whole = table(api.ask("GET", "/audit/export?format=csv"))
    later = table(api.ask("GET", "/audit/export?format=csv&since=2027-01-16"))
    before = table(api.ask("GET", "/audit/export?format=csv&until=2027-01-16T04:00:00Z"))
    assert [row["row_id"] for row in later] == ["formula"]
    assert before + later == whole
    assert json.loads(later[0]["after"])["name"] == "=cmd"
    assert api.ask("GET", "/audit/export?since=2031-01-31").text == ""
    for query in ("since=x", "until=x"):
        assert api.refused("GET", f"/audit/export?{query}")["code"] == "timestamp_malformed"
