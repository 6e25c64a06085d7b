"""Every failure is a problem with a stable code, and tells no more than it should."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from tenantgate.admin import problems
from tenantgate.admin.problems import MEDIA_TYPE, PROBLEMS, AdminError, install_problems
from tenantgate.admin.waiting import WaitingAdministration
from tenantgate.registry import errors, partners
from tenantgate.registry.engine import open_engine
from tenantgate.registry.errors import CODES, RegistryError
from tests.admin.world import V1, Api, Served
from tests.registry.builders import counting_ids, url_of

STATUS = {
    errors.InvalidError: 422,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.TransitionError: 409,
    errors.CredentialError: 401,
    errors.DatabaseError: 503,
    errors.MasterKeyError: 503,
    errors.PreconditionError: 412,
    errors.SchemaError: 503,
}
CODES_OF = {
    errors.InvalidError: errors.ROW_CODES,
    errors.NotFoundError: errors.NOT_FOUND_CODES,
    errors.ConflictError: errors.CONFLICT_CODES,
    errors.TransitionError: errors.TRANSITION_CODES,
    errors.CredentialError: errors.CREDENTIAL_CODES,
    errors.DatabaseError: errors.DATABASE_CODES,
    errors.MasterKeyError: errors.MASTER_KEY_CODES,
    errors.PreconditionError: errors.PRECONDITION_CODES,
    errors.SchemaError: errors.SCHEMA_CODES,
}
EVERY = [(kind, code) for kind, codes in CODES_OF.items() for code in codes]


def _raising(error: Exception) -> TestClient:
    app = FastAPI()
    install_problems(app, counting_ids(1))

    @app.get("/")
    def fail() -> None:
        raise error

    return TestClient(app, raise_server_exceptions=False)


def test_every_kind_of_registry_error_is_here():
    """No subclass of RegistryError, and no code of it, is without a row."""
    assert set(RegistryError.__subclasses__()) == set(STATUS)
    assert {code for _, code in EVERY} == set(CODES)
    assert set(CODES) <= set(PROBLEMS)


@pytest.mark.parametrize(("kind", "code"), EVERY)
def test_every_registry_error_becomes_its_problem(kind: type[RegistryError], code: str):
    """Status and public code follow from the error's class; a credential's code never leaves the log."""
    answer = _raising(kind(code, "in so many words", field="name", holder="contoso")).get("/")
    public = "admin_key_refused" if kind is errors.CredentialError else code
    assert (answer.status_code, answer.headers["Content-Type"]) == (STATUS[kind], MEDIA_TYPE)
    assert answer.json()["code"] == public
    assert ("Retry-After" in answer.headers) == (STATUS[kind] == 503)
    assert ("WWW-Authenticate" in answer.headers) == (STATUS[kind] == 401)


def test_what_is_in_the_way_is_named(api: Api):
    """A conflict names the member at fault and the thing that has it."""
    api.make("/partners", id="fabrikam", name="Fabrikam")
    tid = "11111111-2222-4333-8444-555555555555"
    problem = api.refused("POST", "/tenants", json={"issuer": "entra", "partner": "fabrikam", "tid": tid})
    assert (problem["code"], problem["holder"]) == ("tenant_duplicate", "contoso-entra")
    assert [each["field"] for each in problem["errors"]] == ["tid"]


@pytest.mark.parametrize(
    "error",
    [
        errors.DatabaseError("database_unavailable", "the file /srv/secret/place.db says no"),
        errors.SchemaError("schema_old", "the file /srv/secret/place.db is old"),
        errors.ConflictError("conflict", "UNIQUE constraint failed: secret.column"),
        errors.CredentialError("key_unknown", "secret"),
        HTTPException(418, "secret"),
        ZeroDivisionError("secret"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_not_the_callers_business_is_not_told(error: Exception, caplog: pytest.LogCaptureFixture):
    """A database's words, a refused key's fault and a programming error's text stay here."""
    answer = _raising(error).get("/")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert isinstance(error, HTTPException) or [
        record for record in caplog.records if record.name == "tenantgate.admin"
    ]


def test_a_programming_error_is_a_500_without_a_word(api: Api, monkeypatch: pytest.MonkeyPatch):
    """What nobody foresaw is answered as a problem with the request's id, and nothing was changed."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("0123456789")

    monkeypatch.setattr(partners, "suspend", broken)
    answer = api.client.post(
        f"{V1}/partners/contoso/suspend",
        headers={"Authorization": f"Bearer {api.keys['Admin']}", "X-Request-Id": "r-7"},
    )
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["request_id"] == "r-7"
    assert "0123456789" not in answer.text


def test_an_unknown_address_is_a_problem(api: Api):
    """404 with a code, with and without a key, below the prefix and beside it; no redirects to a like address."""
    for path in ("/nothing", "/partners/", "/partners/contoso/delete", "/../partners", "//partners"):
        for role in ("Admin", None):
            assert api.refused("GET", path, role=role)["code"] == "route_unknown", path
    assert api.client.get("/nothing").json()["code"] == "route_unknown"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/partners", "GET, POST"), ("/partners/contoso", "GET, PATCH"), ("/partners/contoso/suspend", "POST")],
)
def test_a_method_nobody_serves_is_a_problem(api: Api, path: str, allowed: str):
    """405 names all methods of the address (RFC 9110 §15.5.6), not those of one route."""
    for method in {"PUT", "PATCH", "DELETE", "OPTIONS"} - set(allowed.split(", ")):
        answer = api.ask(method, path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert answer.headers["Allow"] == allowed


@pytest.mark.file
def test_a_database_that_is_gone_is_a_503(api: Api, tmp_path: Path):
    """Without its database the administration says so, and does not say where it was."""
    api.engine.dispose()
    (tmp_path / "admin.db").unlink()
    answer = api.ask("GET", "/partners")
    assert answer.status_code == 503
    assert answer.json()["code"].startswith("database_")
    assert str(tmp_path) not in answer.text
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.file
def test_a_database_somebody_else_holds_is_busy(api: Api, served: Served, tmp_path: Path):
    """Where another process writes for too long the change is refused, not half done."""
    other = sqlite3.connect(tmp_path / "admin.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with served.over(open_engine(url_of(tmp_path / "admin.db"), busy_timeout=0.05), api.keys) as hurried:
            assert hurried.refused("POST", "/partners/contoso/suspend")["code"] == "database_busy"
            assert hurried.get("/partners/contoso")["state"] == "active"
    finally:
        other.close()


@pytest.mark.file
def test_a_lost_counter_is_a_503(api: Api, tmp_path: Path):
    """A database without its revision is not taken for an empty policy."""
    connection = sqlite3.connect(tmp_path / "admin.db")
    connection.execute("DELETE FROM revision")
    connection.commit()
    connection.close()
    assert api.refused("GET", "/policy")["code"] == "revision_missing"
    assert api.refused("POST", "/partners/contoso/suspend")["code"] == "revision_missing"


def test_a_request_is_named_by_its_caller_or_by_us(api: Api):
    """A harmless X-Request-Id is taken over into answer and audit; anything else is replaced."""
    answer = api.ask("POST", "/partners/contoso/suspend", headers={"X-Request-Id": "deploy-7.2"})
    assert answer.headers["X-Request-Id"] == "deploy-7.2"
    assert api.get("/audit?limit=1")["items"][0]["request_id"] == "deploy-7.2"
    for odd in ("", "a b", "a\tb", "x" * 65, "<script>", "-"):
        made = api.ask("GET", "/me", headers={"X-Request-Id": odd}).headers["X-Request-Id"]
        assert made.startswith("req-")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PUT", "/partners", 405), ("GET", "/me", 401), ("GET", "/partners?x=1", 422)],
)
def test_what_has_no_route_is_named_too(api: Api, method: str, path: str, status: int):
    """Every answer has its id, in the header and in the problem: by the same rule, also where no route was found."""
    role = None if status == 401 else "Admin"
    for sent, found in (("deploy-7.2", "deploy-7.2"), ("a b", "req-"), (None, "req-")):
        headers = {} if sent is None else {"X-Request-Id": sent}
        answer = api.ask(method, path, role=role, headers=headers)
        assert answer.status_code == status
        assert answer.headers["X-Request-Id"].startswith(found)
        assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_a_server_that_waits_for_its_database_names_its_answers():
    """503, whatever was asked: with the id that the caller gave, or one of ours."""

    def build() -> FastAPI:
        raise errors.DatabaseError("database_unavailable", "no route to db.example")

    trouble = errors.DatabaseError("database_missing", "there is none")
    client = TestClient(WaitingAdministration(build, trouble, lambda: 0.0, counting_ids(1)))
    for sent, found in (
        ({"X-Request-Id": "deploy-7.2"}, "deploy-7.2"),
        ({"X-Request-Id": "<b>"}, "req-"),
        ({}, "req-"),
    ):
        answer = client.get(f"{V1}/me", headers=sent)
        assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, trouble.code, "1")
        assert answer.headers["X-Request-Id"].startswith(found)
        assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_the_rooms_own_errors_have_a_row():
    """Every code this room raises stands in the table."""
    source = "".join(path.read_text() for path in Path(problems.__file__).parent.glob("*.py"))
    kinds = "|".join(kind.__name__ for kind in AdminError.__subclasses__())
    raised = set(re.findall(rf'(?:{kinds})\(\s*"([a-z_]+)"', source))
    assert len(raised) >= 6
    assert raised <= set(PROBLEMS)
