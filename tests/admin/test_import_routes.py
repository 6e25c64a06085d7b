"""A CSV file over HTTP: sent, followed until it is done, and its report read."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tenantgate.registry import imports, operators
from tenantgate.registry.import_file import LARGEST_FILE
from tests.admin.world import V1, Api
from tests.registry.builders import work_on

CSV = {"Content-Type": "text/csv; charset=utf-8"}
FILE = (
    b"partner,partner_name,issuer,tid,client_id,roles,expires_at\n"
    b"fabrikam,Fabrikam,entra,99999999-2222-4333-8444-555555555555,99999999-bbbb-4ccc-8ddd-eeeeeeeeeeee,orders-read,"
    b"2031-01-31\n"
    b"contoso,Contoso,,,,,\n"
    b"globex,,,,,,\n"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else waits for a turn here."""
    monkeypatch.setattr(imports, "breathe", lambda: None)


def send(api: Api, query: str = "", content: Any = FILE, **options: Any) -> Any:
    """Send a file."""
    return api.ask("POST", f"/imports{query}", content=content, headers=CSV, **options)


def finished(api: Api, job: str) -> Any:
    """The import, when it is done."""
    until = time.monotonic() + 60
    while True:
        found = api.get(f"/imports/{job}")
        if found["state"] != "running":
            return found
        assert time.monotonic() < until, found
        time.sleep(0.02)


def test_a_file_is_taken_done_and_reported(api: Api):
    """202 and where to look; at its end the counts, and what came of every line."""
    answer = send(api, role="Operator")

    assert answer.status_code == 202
    begun = answer.json()
    assert answer.headers["Location"] == f"{V1}/imports/{begun['id']}"
    assert (begun["lines"], begun["dry_run"], begun["created_by"]) == (3, False, "an-operator")
    done = finished(api, begun["id"])
    assert (done["state"], done["done"], done["created"], done["existing"], done["refused"]) == ("done", 3, 1, 1, 1)
    report = api.get(f"/imports/{begun['id']}/lines?limit=2")
    rest = api.get(f"/imports/{begun['id']}/lines?cursor={report['next']}")
    assert [each["outcome"] for each in report["items"] + rest["items"]] == ["created", "exists", "refused"]
    assert rest["items"] == [
        {
            "line": 4,
            "partner": "globex",
            "outcome": "refused",
            "code": "member_missing",
            "cell": "partner_name",
            "message": "a partner that is new needs its name",
        }
    ]
    assert api.get(f"/imports/{begun['id']}/lines?outcome=refused")["items"] == rest["items"]
    assert [each["id"] for each in api.get("/imports")["items"]] == [begun["id"]]
    assert api.get("/partners/fabrikam")["created_by"] == "an-operator"
    entry = api.get("/audit?kind=partner&row_id=fabrikam")["items"][0]
    assert (entry["request_id"], entry["operator"], entry["scheme"]) == (begun["id"], "an-operator", "admin_key")


def test_a_dry_run_changes_nothing_and_tells_the_same(api: Api):
    """Not even the audit knows of it."""
    before = api.get("/policy")
    tried = finished(api, send(api, "?dry_run=true").json()["id"])
    assert api.get("/policy") == before
    assert tried["dry_run"] is True
    done = finished(api, send(api).json()["id"])
    assert api.get(f"/imports/{tried['id']}/lines") == api.get(f"/imports/{done['id']}/lines")


def test_who_may_no_more_imports_no_more(api: Api, monkeypatch: pytest.MonkeyPatch):
    """An operator who is suspended while their file is being imported: it ends there, and says why."""
    first = iter([True])

    def paused() -> None:
        if next(first, False):
            with work_on(api.engine) as work:
                operators.suspend(work, "an-operator")

    monkeypatch.setattr(imports, "BATCH", 1)
    monkeypatch.setattr(imports, "breathe", paused)

    job = send(api, role="Operator").json()["id"]
    ended = finished(api, job)

    assert (ended["state"], ended["problem"], ended["done"]) == ("interrupted", "operator_suspended", 1)


def test_one_at_a_time(api: Api):
    """A second file is refused while the first is being imported, and told by which."""
    with work_on(api.engine) as work:
        job = imports.begin(work, b"", [], dry_run=False).id
    problem = send(api)
    assert (problem.status_code, problem.json()["code"], problem.json()["holder"]) == (409, "import_running", job)
    api.clock.now += imports.SILENT
    assert api.get(f"/imports/{job}")["state"] == "interrupted"
    assert send(api).status_code == 202


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "csv_header_unknown"),
        (b"partner,role\n", 422, "csv_header_unknown"),
        (b"partner\n\xff\n", 422, "csv_malformed"),
        (b"partner\n" + b"x\n" * 50_001, 422, "csv_too_large"),
        (b" " * (LARGEST_FILE + 1), 413, "body_too_large"),
    ],
    ids=["empty", "column", "not UTF-8", "lines", "bytes"],
)
def test_a_file_that_is_none_is_refused(api: Api, content: bytes, status: int, code: str):
    """No import begins."""
    answer = send(api, content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert api.get("/imports")["items"] == []


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_another_media_type_is_refused(api: Api, media_type: str):
    """415: a form posted by a page somewhere else is never taken for a file."""
    answer = api.ask("POST", "/imports", content=FILE, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_unsupported")


def test_an_import_that_is_not_there(api: Api):
    """404 for it and for its lines."""
    for path in ("/imports/nobody", "/imports/nobody/lines"):
        assert api.refused("GET", path)["code"] == "import_job_not_found"
    assert api.refused("GET", "/imports/nobody/lines?cursor=x")["code"] == "request_invalid"
