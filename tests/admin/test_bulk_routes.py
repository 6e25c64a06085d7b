"""Several suspended or activated by one request."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.registry.bulk import LARGEST_BULK
from tests.admin.world import Api

IDS = {"partners": "contoso", "tenants": "contoso-entra", "daemons": "nightly"}


@pytest.fixture
def more(api: Api) -> Api:
    """A second one of each."""
    api.make("/partners", id="second", name="Second")
    api.make("/tenants", id="second", issuer="entra", partner="second", tid="99999999-2222-4333-8444-555555555555")
    api.make("/daemons", id="second", tenant="second", client_id="99999999-bbbb-4ccc-8ddd-eeeeeeeeeeee")
    return api


@pytest.mark.parametrize("name", IDS)
def test_all_are_moved_or_none(more: Api, name: str):
    """One revision for all; `unchanged` where it was so; a stranger among them refuses the whole and is named."""
    both = [IDS[name], "second"]
    answer = more.ask("POST", f"/{name}/suspend", json={"ids": both, "reason": "incident 4711"})
    assert (answer.status_code, answer.headers["X-TG-Revision"]) == (200, str(more.get("/policy")["revision"]))
    assert answer.json() == {
        "items": [{"id": id_, "outcome": "changed", "state": "suspended", "version": 2} for id_ in both],
        "changed": 2,
    }
    entry = more.get(f"/audit?row_id=second&kind={name[:-1]}")["items"][0]
    assert entry["after"]["reason"] == "incident 4711"

    again = more.ask("POST", f"/{name}/suspend", json={"ids": both})
    assert [each["outcome"] for each in again.json()["items"]] == ["unchanged", "unchanged"]
    assert "X-TG-Revision" not in again.headers

    before = more.get("/policy")
    problem = more.refused("POST", f"/{name}/activate", json={"ids": [*both, "nobody", "no one"]})
    assert (problem["status"], problem["code"]) == (422, "bulk_refused")
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [
        ("ids[2]", f"{name[:-1]}_not_found"),
        ("ids[3]", f"{name[:-1]}_not_found"),
    ]
    assert more.get("/policy") == before

    moved = more.ask("POST", f"/{name}/activate", json={"ids": both}).json()
    assert {each["state"] for each in moved["items"]} == {"active"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"ids": []}, "list_empty"),
        ({"ids": ["contoso", "contoso"]}, "list_duplicate"),
        ({"ids": ["x"] * (LARGEST_BULK + 1)}, "list_too_long"),
        ({"ids": ["x"] * (LARGEST_BULK + 2)}, "body_malformed"),
        ({"ids": ["contoso"], "reason": "a\u202eb"}, "text_not_allowed"),
        ({}, "request_invalid"),
        ({"ids": "contoso"}, "request_invalid"),
        ({"ids": [1]}, "request_invalid"),
        ({"ids": ["contoso"], "state": "archived"}, "request_invalid"),
    ],
)
def test_what_makes_no_sense_is_refused(api: Api, body: dict[str, Any], code: str):
    """With a code of its own, and nothing is moved."""
    assert api.refused("POST", "/partners/suspend", json=body)["code"] == code
    assert api.get("/partners/contoso")["state"] == "active"
