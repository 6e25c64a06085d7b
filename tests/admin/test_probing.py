"""Looks at issuers: who may, how often, and that nothing but the look happens."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tenantgate.admin.probing import A_MINUTE, AT_ONCE, Probing, TooManyProbes
from tenantgate.core.policy import IssuerRow
from tests.admin.world import FOUND, Api
from tests.core.test_fetching import certificate
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


FURTHER: list[dict[str, Any]] = [
    {"allow_private_addresses": True},
    {"proxy": "http://proxy.fabrikam.example:3128"},
    {"ca_bundle": certificate()},
    {"insecure_allow_http": True, "issuer": "http://127.0.0.1:8200/realms/main"},
]


@pytest.mark.parametrize("ways", FURTHER, ids=lambda ways: next(iter(ways)))
@pytest.mark.parametrize("scheme", ["admin_key", "bearer"])
@pytest.mark.threat(46)
def test_only_an_admin_looks_where_only_an_admin_may_trust(api: Api, scheme: str, ways: dict[str, Any]):
    """Private networks, other authorities, another way out: an Operator sends nobody there, and costs no look."""
    api.scheme, member = scheme, next(iter(ways))
    problem = api.refused("POST", PATH, role="Operator", json=NEW | ways)
    assert (problem["status"], problem["code"], problem["errors"][0]["field"]) == (403, "role_too_low", member)
    assert f"a look with {member} at an issuer that is not listed so needs the role Admin" in problem["detail"]
    assert api.looked == []
    assert api.ask("POST", PATH, json=NEW | ways).status_code == 200
    assert len(api.looked) == 1


@pytest.mark.parametrize("ways", FURTHER, ids=lambda ways: next(iter(ways)))
def test_an_operator_looks_at_what_is_listed_so(api: Api, ways: dict[str, Any]):
    """Everything that says where a look goes is as an Admin has it; how tokens are read does not matter."""
    api.make("/issuers", id="inside", **NEW | ways)
    body = NEW | ways | {"profile": "keycloak", "max_key_age": 86_400}
    assert api.ask("POST", PATH, role="Operator", json=body).status_code == 200
    elsewhere: list[dict[str, Any]] = [
        {"issuer": body["issuer"] + "/other"},
        {"metadata_url": body["issuer"] + "/other"},
        {"jwks_hosts": ["keys.fabrikam.example"]},
        {"allow_private_addresses": True, "proxy": "http://another.fabrikam.example:3128", "insecure_allow_http": False}
        | {"issuer": NEW["issuer"]},
    ]
    for other in elsewhere:
        assert api.refused("POST", PATH, role="Operator", json=body | other)["code"] == "role_too_low"
    assert len(api.looked) == 1


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
