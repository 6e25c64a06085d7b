"""Looks at issuers: who may, how often, and that nothing but the look happens."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tenantgate.admin.probing import A_MINUTE, AT_ONCE, Probing, TooManyProbes
from tenantgate.core.policy import IssuerRow
from tests.admin.world import FOUND, Api
from tests.discovery.fakes import a_row

NEW: dict[str, Any] = {"kind": "oidc", "issuer": "https://id.fabrikam.example/realms/main"}
PATH = "/issuers/probe"


def test_an_issuer_is_looked_at_before_it_is_trusted(api: Api):
    """The answer has each finding; nothing is written, neither policy nor audit."""
    before, audit = api.get("/policy"), api.get("/audit")["items"][:1]
    answer = api.ask("POST", PATH, role="Operator", json={**NEW, "jwks_hosts": ["Keys.example"]})

    assert answer.status_code == 200
    finding = {
        "document": "v2",
        "step": "name",
        "state": "failed",
        "detail": "no such name",
        "code": "dns",
        "advice": "Ask.",
    }
    assert answer.json() == {"ok": False, "findings": [finding]}
    assert "X-TG-Revision" not in answer.headers
    (row,) = api.looked
    assert (row.metadata_url, row.jwks_hosts) == (
        f"{NEW['issuer']}/.well-known/openid-configuration",
        ("keys.example",),
    )
    assert api.get("/policy") == before
    assert api.get("/audit")["items"][:1] == audit


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (NEW | {"issuer": "http://id.example"}, "url_not_https", "issuer"),
        (NEW | {"metadata_url": "file:///etc/passwd"}, "url_malformed", "metadata_url"),
        (NEW | {"proxy": "http://user:word@proxy.example"}, "proxy_malformed", "proxy"),
        ({"kind": "oidc"}, "member_missing", "issuer"),
        ({}, "request_invalid", "kind"),
    ],
)
def test_what_could_be_no_issuer_is_not_looked_at(api: Api, body: dict[str, Any], code: str, field: str):
    """It is refused by the rules for an issuer, and nothing is asked."""
    problem = api.refused("POST", PATH, json=body)

    assert (problem["status"], problem["code"]) == (422, code)
    assert problem["errors"][0]["field"] == field
    assert api.looked == []


@pytest.mark.parametrize("role", ["Viewer", None])
def test_nobody_else_causes_a_fetch(api: Api, role: str | None):
    """Neither who only reads, nor who is nobody."""
    assert api.ask("POST", PATH, role=role, json=NEW).status_code in (401, 403)
    assert api.looked == []


def test_an_operator_looks_a_few_times_a_minute(api: Api):
    """Then 429, with the time to wait; another operator still may, and so may this one a minute later."""
    for _ in range(A_MINUTE):
        assert api.ask("POST", PATH, json=NEW).status_code == 200
    answer = api.ask("POST", PATH, json=NEW)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, "rate_limited", "60")
    assert len(api.looked) == A_MINUTE

    assert api.ask("POST", PATH, role="Operator", json=NEW).status_code == 200
    api.clock.now += 61
    assert api.ask("POST", PATH, json=NEW).status_code == 200


def test_few_look_at_once():
    """Each holds a thread of the server for as long as an issuer may take."""
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def look(row: IssuerRow) -> list[Any]:
        begun.release()
        assert go_on.wait(10)
        return [FOUND]

    probing = Probing(look, lambda: 0.0)
    threads = [threading.Thread(target=probing.run, args=(f"o{number}", a_row())) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
        assert begun.acquire(timeout=10)
    with pytest.raises(TooManyProbes):
        probing.run("another", a_row())
    go_on.set()
    for thread in threads:
        thread.join(10)

    assert probing.run("another", a_row()) == [FOUND]


def test_a_look_that_fails_frees_its_place():
    """A defect of ours must not end looking for good."""

    def look(row: IssuerRow) -> list[Any]:
        raise RuntimeError("x")

    probing = Probing(look, lambda: 0.0)
    for number in range(AT_ONCE + 1):
        with pytest.raises(RuntimeError):
            probing.run(f"o{number}", a_row())
