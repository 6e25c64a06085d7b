"""ETag, If-Match and If-None-Match: nobody overwrites what they have not seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.admin.world import V1, Api, filled, operation, operations

THINGS = {
    "partners": "contoso",
    "tenants": "contoso-entra",
    "daemons": "nightly",
    "role-assignments": "nightly-read",
    "issuers": "entra",
    "resources": "orders",
    "app-roles": "orders-read",
    "operators": "adm",
}
NOTE = {"notes": "seen"}


def conditional() -> list[tuple[str, str]]:
    """Every change that takes If-Match."""
    found = []
    for method, path in operations():
        names = [each["name"] for each in operation(method, path).get("parameters", [])]
        if "If-Match" in names:
            found.append((method, path))
    return found


MADE = "what is made has no version before"
MANY = "many things are changed, each in a version of its own"
NOTHING = "nothing is changed"
ONE_WAY = "it counts no versions: its end comes sooner, or it is revoked for good (decision 0072)"
UNCONDITIONAL = {
    "POST /admin-keys": MADE,
    "POST /app-roles": MADE,
    "POST /client-certificates": MADE,
    "POST /daemons": MADE,
    "POST /daemons/activate": MANY,
    "POST /daemons/suspend": MANY,
    "POST /explain": NOTHING,
    "POST /imports": MANY,
    "POST /invitations": MADE,
    "POST /issuers": MADE,
    "POST /issuers/probe": NOTHING,
    "POST /operators": MADE,
    "POST /partners": MADE,
    "POST /partners/activate": MANY,
    "POST /partners/suspend": MANY,
    "POST /pending-grants": MADE,
    "POST /resources": MADE,
    "POST /role-assignments": MADE,
    "POST /role-mappings": MADE,
    "POST /subscription-keys": MADE,
    "POST /subscription-keys/{id}/revoke": ONE_WAY,
    "POST /subscription-keys/{id}/rotate": ONE_WAY,
    "POST /tenants": MADE,
    "POST /tenants/activate": MANY,
    "POST /tenants/suspend": MANY,
}
"""Every change that takes no If-Match, with the reason."""


def test_every_change_takes_a_condition_or_says_why_not():
    """PATCH, states, deletion, decisions: all but those that have a reason. A new change is in one of the two."""
    taking = set(conditional())
    assert {method for method, _ in taking} == {"PATCH", "POST"}
    changes = {each for each in operations() if each[0] != "GET"}
    assert {f"{method} {path.removeprefix(V1)}" for method, path in changes - taking} == UNCONDITIONAL.keys()
    assert taking <= changes


@pytest.mark.parametrize("change", UNCONDITIONAL)
def test_a_condition_where_none_is_taken_is_refused(api: Api, change: str):
    """It is not passed over, whatever the body is: nothing is done."""
    method, path = change.split(" ")
    before = api.get("/policy"), len(api.get("/audit?limit=200")["items"])
    problem = api.refused(method, filled(path, "x"), json={}, headers={"If-Match": '"1"'})
    assert (problem["status"], problem["code"]) == (400, "precondition_malformed")
    assert (api.get("/policy"), len(api.get("/audit?limit=200")["items"])) == before


@pytest.mark.parametrize("name", THINGS)
def test_what_is_shown_has_its_version_as_a_tag(api: Api, name: str):
    """A strong tag: the version in quotes. Who has it already gets no content again."""
    path = f"/{name}/{THINGS[name]}"
    answer = api.ask("GET", path)
    tag = f'"{answer.json()["version"]}"'
    assert answer.headers["ETag"] == tag
    for known in (tag, f"W/{tag}", "*", f'"x", {tag}', f'"x" ,, {tag},'):
        again = api.ask("GET", path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), known
    for other in ('"99"', '"x"', 'W/"99"', '"*"'):
        assert api.ask("GET", path, headers={"If-None-Match": other}).status_code == 200, other


def test_what_is_made_and_changed_has_its_tag(api: Api):
    """201 and every change: the version that the next condition needs."""
    made = api.ask("POST", "/partners", json={"id": "new", "name": "New"})
    assert made.headers["ETag"] == '"1"'
    changed = api.ask("PATCH", "/partners/new", json=NOTE, headers={"If-Match": made.headers["ETag"]})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    suspended = api.ask("POST", "/partners/new/suspend", headers={"If-Match": changed.headers["ETag"]})
    assert (suspended.status_code, suspended.headers["ETag"]) == (200, '"3"')
    assert "ETag" not in api.ask("GET", "/partners").headers


@pytest.mark.parametrize(("method", "path"), [each for each in conditional() if each[1].split("/")[3] in THINGS])
def test_what_was_changed_since_is_left_alone(api: Api, method: str, path: str):
    """412 for every change of an older version: nothing is done, and the audit has nothing of it."""
    from tests.admin.world import body_of

    name = path.removeprefix(V1).split("/")[1]
    before = api.get("/policy")
    target = filled(path, THINGS[name]).removeprefix(V1)
    for stale in ('"99"', '"1x"', '""', 'W/"1"', '"*"', '"99", W/"1"'):
        problem = api.refused(method, target, json=body_of(method, path), headers={"If-Match": stale})
        assert (problem["status"], problem["code"], problem["holder"]) == (412, "version_changed", THINGS[name]), stale
    assert api.get("/policy") == before


@pytest.mark.parametrize("fresh", ['"1"', "*", ' "9" , "1"', '"9","1",', 'W/"1", "1"'])
def test_a_version_that_is_still_there_is_changed(api: Api, fresh: str):
    """The tag itself, one of several, or any."""
    assert api.ask("PATCH", "/partners/contoso", json=NOTE, headers={"If-Match": fresh}).status_code == 200


@pytest.mark.parametrize("odd", ["1", "", '"1', "'1'", '"1" "2"', "*, *", '*, "1"', 'w/"1"', '"a"b"', ",", '"1"; q=1'])
def test_a_condition_that_is_none_is_refused(api: Api, odd: str):
    """What cannot be read is not passed over: it would change what was to be left alone."""
    for method, header in (("PATCH", "If-Match"), ("GET", "If-None-Match")):
        body = {"json": NOTE} if method == "PATCH" else {}
        problem = api.refused(method, "/partners/contoso", headers={header: odd}, **body)
        assert (problem["status"], problem["code"]) == (400, "precondition_malformed"), header
    assert api.get("/partners/contoso")["version"] == 1


def test_a_condition_where_nothing_has_a_version_is_refused(api: Api):
    """What is made has no version before."""
    problem = api.refused("POST", "/partners", json={"name": "A"}, headers={"If-Match": "*"})
    assert (problem["status"], problem["code"]) == (400, "precondition_malformed")


def test_a_tag_is_not_of_what_is_made_anew_under_the_same_id(api: Api):
    """Revoked and granted again, the assignment is another one: who saw the first neither changes nor keeps it."""
    changed = api.ask("PATCH", "/role-assignments/nightly-read", json={"ticket": "REQ-4711"})
    seen = {"If-Match": changed.headers["ETag"]}
    api.change("/role-assignments/nightly-read/revoke")
    other = {"id": "nightly-read", "app_role": "orders-read", "daemon": "nightly", "expires_at": "2027-06-01T00:00:00Z"}
    made = api.make("/role-assignments", **other)
    assert (seen["If-Match"], made["version"]) == ('"2"', 3)
    problem = api.refused("PATCH", "/role-assignments/nightly-read", json={"expires_at": None}, headers=seen)
    assert (problem["status"], problem["code"]) == (412, "version_changed")
    assert api.refused("POST", "/role-assignments/nightly-read/revoke", headers=seen)["status"] == 412
    known = {"If-None-Match": seen["If-Match"]}
    assert api.ask("GET", "/role-assignments/nightly-read", headers=known).status_code == 200
    assert api.get("/role-assignments/nightly-read")["version"] == 3


def test_a_condition_on_what_is_not_there(api: Api):
    """404 says more than 412."""
    for tags in ("*", '"1"'):
        problem = api.refused("PATCH", "/partners/nobody", json=NOTE, headers={"If-Match": tags})
        assert problem["code"] == "partner_not_found"


def test_of_many_who_saw_the_same_version_one_changes_it(api: Api):
    """Sent at the same moment: one change, one entry in the audit, the others are told."""

    def change(place: int) -> int:
        body = {"notes": f"writer {place}"}
        answer: Any = api.ask("PATCH", "/partners/contoso", json=body, headers={"If-Match": '"1"'})
        return int(answer.status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(change, range(16)))
    assert statuses == [200] + [412] * 15
    assert api.get("/partners/contoso")["version"] == 2
    assert len(api.get("/audit?kind=partner&row_id=contoso")["items"]) == 2
