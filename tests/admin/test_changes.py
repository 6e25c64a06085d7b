"""Changing and deleting over HTTP: what may change does, what it is stays, and what is in use is not deleted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.admin.world import V1, Api, body_of, operation, operations, schema_of

OID = "dddddddd-1111-4222-8333-444444444444"

CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "partners": (
        "contoso",
        {"name": "Contoso Ltd", "ends_at": "2031-01-31T00:00:00Z", "contacts": ["it@contoso.example"], "notes": "a\nb"},
    ),
    "tenants": ("contoso-entra", {"notes": "production"}),
    "daemons": ("nightly", {"oid": OID, "min_credential": "certificate", "notes": "by night"}),
    "role-assignments": (
        "nightly-read",
        {
            "not_before": "2027-02-01T00:00:00Z",
            "expires_at": "2031-01-31T00:00:00Z",
            "reason": "contract 4712",
            "ticket": "REQ-1",
        },
    ),
    "app-roles": ("orders-read", {"display_name": "Read orders"}),
    "operators": ("adm", {"name": "Ada", "role": "Viewer"}),
}
NOTES = {("partners", "contacts"), ("partners", "notes"), ("tenants", "notes"), ("daemons", "notes")} | {
    ("role-assignments", "reason"),
    ("role-assignments", "ticket"),
    ("app-roles", "display_name"),
}
"""What no gate hears of."""
EACH = [(name, member) for name, (_, members) in CHANGES.items() for member in members]
AMENDS = [path for method, path in operations() if method == "PATCH"]


@pytest.mark.parametrize(("name", "member"), EACH)
def test_one_member_is_changed_and_no_other(api: Api, name: str, member: str):
    """The answer has the new value, all others as they were, and the next version; the audit has both sides."""
    id_, members = CHANGES[name]
    before, revision = api.get(f"/{name}/{id_}"), api.get("/policy")["revision"]
    answer = api.ask("PATCH", f"/{name}/{id_}", json={member: members[member]})

    assert answer.status_code == 200, answer.text
    changed = {"version": before["version"] + 1, "updated_at": answer.json()["updated_at"]}
    assert answer.json() == before | {member: members[member]} | changed
    assert api.get(f"/{name}/{id_}") == answer.json()
    heard = name != "operators" and (name, member) not in NOTES
    assert api.get("/policy")["revision"] == revision + heard
    assert ("X-TG-Revision" in answer.headers) == heard
    entry = api.get("/audit?limit=1")["items"][0]
    assert (entry["action"], entry["row_id"]) == (f"{name.replace('-', '_').removesuffix('s')}.changed", id_)
    assert {key for key in entry["after"] if entry["before"][key] != entry["after"][key]} <= {
        member,
        "version",
        "updated_at",
    }


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_so_already_is_not_written(api: Api, name: str):
    """The same again makes no version, no revision and no entry in the audit."""
    id_, members = CHANGES[name]
    first = api.ask("PATCH", f"/{name}/{id_}", json=members).json()
    before = api.get("/policy")
    for same in (members, {}):
        answer = api.ask("PATCH", f"/{name}/{id_}", json=same)
        assert (answer.status_code, answer.json()) == (200, first)
        assert "X-TG-Revision" not in answer.headers
    assert api.get("/policy") == before


@pytest.mark.parametrize("path", AMENDS)
@pytest.mark.threat(46)
def test_nothing_else_can_be_sent(api: Api, path: str):
    """Every other member of the thing is refused by name: what it is, its state, and what only the server sets."""
    shape = schema_of(operation("PATCH", path)["requestBody"]["content"]["application/json"]["schema"])
    shown = schema_of(operation("GET", path)["responses"]["200"]["content"]["application/json"]["schema"])
    foreign = (set(shown["properties"]) - set(shape["properties"])) | {"secret_hash", "approved", "__class__"}
    assert {"id", "created_at", "created_by", "version"} <= foreign
    for member in sorted(foreign):
        problem = api.refused("PATCH", path.removeprefix(V1).replace("{id}", "nobody"), json={member: "active"})
        assert (problem["status"], problem["code"]) == (422, "request_invalid"), member
        assert [(each["field"], each["code"]) for each in problem["errors"]] == [(member, "member_unknown")]


@pytest.mark.parametrize("path", AMENDS)
def test_changing_what_is_not_there(api: Api, path: str):
    """404 with the code of its kind, whoever's id it is not."""
    body = body_of("PATCH", path)
    for id_ in ("nobody", "%00", "contoso%20"):
        problem = api.refused("PATCH", path.removeprefix(V1).replace("{id}", id_), json=body)
        assert (problem["status"], problem["code"].endswith("_not_found")) == (404, True)


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("/partners/contoso", {"name": ""}, 422, "text_empty", "name"),
        ("/partners/contoso", {"name": None}, 422, "request_invalid", "name"),
        ("/partners/contoso", {"ends_at": "2027-01-15T08:00:00Z"}, 422, "time_in_past", "ends_at"),
        ("/partners/contoso", {"contacts": ["a", ""]}, 422, "text_empty", "contacts[1]"),
        ("/partners/contoso", {"contacts": ["a"] * 65}, 422, "list_too_long", "contacts"),
        ("/partners/contoso", {"notes": "x" * 4001}, 422, "text_too_long", "notes"),
        ("/daemons/nightly", {"oid": "x"}, 422, "guid_malformed", "oid"),
        ("/daemons/nightly", {"subject": "x"}, 422, "member_not_allowed", "subject"),
        ("/daemons/nightly", {"pin_object_id": True, "oid": OID}, 422, "member_not_allowed", "pin_object_id"),
        ("/daemons/nightly", {"min_credential": "strong"}, 422, "request_invalid", "min_credential"),
        (
            "/role-assignments/nightly-read",
            {"expires_at": "2027-01-15T08:00:00Z"},
            422,
            "time_in_past",
            "expires_at",
        ),
        (
            "/role-assignments/nightly-read",
            {"not_before": "2031-01-01T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z"},
            422,
            "window_empty",
            "expires_at",
        ),
        ("/role-assignments/nightly-read", {"ticket": "a\nb"}, 422, "text_not_allowed", "ticket"),
        ("/app-roles/orders-read", {"display_name": "x" * 201}, 422, "text_too_long", "display_name"),
        ("/operators/adm", {"role": "Root"}, 422, "request_invalid", "role"),
    ],
)
def test_a_change_that_cannot_be(api: Api, path: str, body: dict[str, Any], status: int, code: str, field: str):
    """The problem names the member, and nothing is changed."""
    before = api.get(path), api.get("/policy")
    problem = api.refused("PATCH", path, json=body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert [each["field"] for each in problem["errors"]] == [field]
    assert (api.get(path), api.get("/policy")) == before


def test_an_assignment_may_not_grow_into_another(api: Api):
    """Two of one role for the same time: revoking one would not take it back."""
    api.ask("PATCH", "/role-assignments/nightly-read", json={"expires_at": "2028-01-01T00:00:00Z"})
    api.make(
        "/role-assignments", id="next", app_role="orders-read", daemon="nightly", not_before="2028-01-01T00:00:00Z"
    )
    problem = api.refused("PATCH", "/role-assignments/nightly-read", json={"expires_at": "2028-01-01T00:00:01Z"})
    assert (problem["status"], problem["code"], problem["holder"]) == (409, "assignment_overlap", "next")


def test_a_sensitive_role_is_shortened_by_one_and_widened_by_two(api: Api):
    """To give it at any time at which it is not given now takes a second operator."""
    api.change("/app-roles/orders-read/mark-sensitive")
    path, soon = "/role-assignments/nightly-read", "2028-01-01T00:00:00Z"
    assert api.ask("PATCH", path, json={"expires_at": soon}).json()["expires_at"] == soon
    for wider in ("2028-01-01T00:00:01Z", None):
        problem = api.refused("PATCH", path, json={"expires_at": wider})
        assert (problem["status"], problem["code"]) == (409, "approval_needed")
    assert api.ask("PATCH", path, json={"ticket": "REQ-2"}).status_code == 200
    assert api.get(path)["expires_at"] == soon


def test_an_archived_partner_and_its_daemons_are_not_changed(api: Api):
    """What has ended for good stays as it was."""
    api.change("/partners/contoso/archive")
    for path in ("/partners/contoso", "/daemons/nightly"):
        problem = api.refused("PATCH", path, json={"notes": "x"})
        assert (problem["status"], problem["code"]) == (409, "partner_archived")


def test_a_key_is_renamed_and_what_it_may_stays(api: Api):
    """Its name is for people alone."""
    own = api.get("/me")["admin_key"]["id"]
    before = api.get(f"/admin-keys/{own}")
    answer = api.ask("PATCH", f"/admin-keys/{own}", json={"name": "laptop"})
    assert answer.json() == before | {"name": "laptop", "version": 2}
    assert api.ask("PATCH", f"/admin-keys/{own}", json={"name": "laptop"}).json()["version"] == 2
    assert api.get("/me")["admin_key"]["name"] == "laptop"


def test_an_operators_role_counts_at_once(api: Api):
    """From the next request on."""
    assert api.ask("PATCH", "/operators/an-operator", json={"role": "Viewer"}).status_code == 200
    assert api.refused("POST", "/partners/contoso/suspend", role="Operator")["code"] == "role_too_low"


def test_an_oid_that_is_given_ends_the_wait_for_one(api: Api):
    """Pinned is pinned: the first grant has no say any more."""
    assert api.ask("PATCH", "/daemons/nightly", json={"pin_object_id": True}).json()["pin_object_id"] is True
    found = api.ask("PATCH", "/daemons/nightly", json={"oid": OID}).json()
    assert (found["oid"], found["pin_object_id"]) == (OID, False)


def test_nothing_is_deleted_while_anything_names_it(api: Api):
    """From the bottom up: the holder is what is to go first; deleted it is gone, and may be made anew."""
    for path, code, holder in (
        ("/tenants/contoso-entra", "tenant_in_use", "nightly"),
        ("/daemons/nightly", "daemon_in_use", "nightly-read"),
        ("/resources/orders", "resource_in_use", "orders-read"),
        ("/app-roles/orders-read", "app_role_in_use", "nightly-read"),
    ):
        problem = api.refused("POST", f"{path}/delete")
        assert (problem["status"], problem["code"], problem["holder"]) == (409, code, holder)
    api.change("/role-assignments/nightly-read/revoke")
    for path in ("/daemons/nightly", "/tenants/contoso-entra", "/app-roles/orders-read", "/resources/orders"):
        was = api.get(path)
        answer = api.ask("POST", f"{path}/delete")
        assert (answer.status_code, answer.json()) == (200, was)
        assert int(answer.headers["X-TG-Revision"]) == api.get("/policy")["revision"]
        assert api.refused("GET", path)["status"] == 404
        assert api.refused("POST", f"{path}/delete")["status"] == 404


def test_a_mapping_holds_its_role(api: Api):
    """A role that a claim gives is in use."""
    api.change("/role-assignments/nightly-read/revoke")
    api.make("/role-mappings", id="readers", issuer="entra", claim="roles", value="Reader", app_role="orders-read")
    assert api.refused("POST", "/app-roles/orders-read/delete")["holder"] == "readers"
