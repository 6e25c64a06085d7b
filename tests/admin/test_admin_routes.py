"""Keys, audit, instances and the policy's standing over HTTP."""

from __future__ import annotations

import pytest

from tenantgate.registry import instances, operators
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import DatabaseError
from tenantgate.registry.instances import InstanceSpec
from tests.admin.world import V1, Api
from tests.registry.builders import NOW


def _instance(api: Api, id_: str, *, at: int = NOW, revision: int | None = None) -> None:
    with writing(api.engine) as session:
        instances.register(session, InstanceSpec(id=id_, kind="gate", version="1.0"), now=at)
        instances.acknowledge(session, id_, revision, now=at)


def test_a_key_is_shown_once_and_works(api: Api):
    """The value is in the answer that made it, lets in, and is nowhere else."""
    answer = api.ask("POST", "/admin-keys", json=_key("adm"))
    made = answer.json()
    value = made.pop("value")
    assert answer.headers["Location"] == f"{V1}/admin-keys/{made['id']}"
    assert api.get("/me", headers={"Authorization": f"Bearer {value}"})["operator"]["id"] == "adm"
    assert api.get(f"/admin-keys/{made['id']}") == made | {"last_used_at": "2027-01-15T08:00:00Z"}
    secret = value[-43:]
    for path in ("/admin-keys", f"/admin-keys/{made['id']}", "/audit?limit=200", "/operators/adm"):
        text = api.ask("GET", path).text
        assert secret not in text
        assert "hash" not in text.replace("previous_hash", "").replace('"hash"', "")


def _key(operator: str, **changed: object) -> dict[str, object]:
    return {"operator": operator, "name": "import", "expires_at": "2027-02-01T00:00:00Z"} | changed


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"operator": "nobody"}, "reference_unknown", "operator"),
        ({"expires_at": "2027-01-15T08:00:00Z"}, "time_in_past", "expires_at"),
        ({"expires_at": None}, "request_invalid", "expires_at"),
        ({"name": ""}, "text_empty", "name"),
        ({"value": "tg_mine"}, "request_invalid", "value"),
    ],
)
def test_a_key_that_cannot_be_made(api: Api, changed: dict[str, object], code: str, field: str):
    """Every key belongs to somebody, has a name and ends; nobody chooses its value."""
    problem = api.refused("POST", "/admin-keys", json=_key("adm") | changed)
    assert (problem["status"], problem["code"]) == (422, code)
    assert [each["field"] for each in problem["errors"]] == [field]


def test_keys_are_listed_by_operator(api: Api):
    """The filter leaves an operator's own."""
    made = api.make("/admin-keys", **_key("adm"))
    assert [key["id"] for key in api.get("/admin-keys?operator=adm")["items"]] == [made["id"]]
    assert len(api.get("/admin-keys")["items"]) == 4


def test_a_key_is_revoked_once(api: Api):
    """The second time is a conflict."""
    made = api.make("/admin-keys", **_key("adm"))
    api.change(f"/admin-keys/{made['id']}/revoke")
    assert api.refused("POST", f"/admin-keys/{made['id']}/revoke")["code"] == "already_revoked"


def test_the_use_of_a_key_is_noted_now_and_then(api: Api):
    """When a key was last used is known to the minute, and is no entry in the audit."""
    own = api.get("/me")["admin_key"]["id"]
    audited = api.get("/policy")["audit_sequence"]
    for passed, noted in ((0, 0), (59, 0), (60, 60), (119, 60)):
        api.clock.now = NOW + passed
        api.get("/me")
        with reading(api.engine) as session:
            assert operators.get_key(session, own).last_used_at == NOW + noted
    assert api.get("/policy")["audit_sequence"] == audited


def test_a_use_that_cannot_be_noted_is_only_logged(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The answer has been given; a busy database does not undo it."""

    def busy(*_: object) -> None:
        raise DatabaseError("database_busy", "the database is busy")

    monkeypatch.setattr(operators, "note_keys_used", busy)
    with caplog.at_level("INFO", "tenantgate.admin"):
        api.get("/me")
    assert "the use of a key was not noted: database_busy" in caplog.text


def test_the_audit_says_who_did_what(api: Api):
    """A change is one entry: operator, scheme, address, before and after."""
    api.change("/partners/contoso/suspend")
    entry = api.get("/audit?limit=1")["items"][0]
    assert (entry["action"], entry["kind"], entry["row_id"]) == ("partner.suspended", "partner", "contoso")
    assert (entry["operator"], entry["scheme"], entry["address"]) == ("an-admin", "admin_key", "testclient")
    assert (entry["before"]["state"], entry["after"]["state"]) == ("active", "suspended")
    assert entry["at"] == "2027-01-15T08:00:00Z"


def test_reading_and_refused_calls_leave_no_entry(api: Api):
    """The audit holds what was done."""
    before = api.get("/audit?limit=1")
    api.refused("POST", "/partners/nobody/suspend")
    api.refused("POST", "/partners", json={"name": ""})
    api.refused("POST", "/operators", role="Viewer", json={"name": "A", "role": "Admin"})
    assert api.get("/audit?limit=1") == before


def test_the_audit_comes_in_pages_both_ways(api: Api):
    """Newest first or oldest first, every entry comes once."""
    everything = [entry["sequence"] for entry in api.get("/audit?limit=200&order=oldest")["items"]]
    assert everything == list(range(1, len(everything) + 1))
    for order, expected in (("oldest", everything), ("newest", everything[::-1])):
        found, cursor = [], ""
        while cursor is not None:
            page = api.get(f"/audit?limit=4&order={order}{cursor and '&cursor=' + cursor}")
            found += [entry["sequence"] for entry in page["items"]]
            cursor = page["next"]
        assert found == expected


def test_the_audit_is_filtered(api: Api):
    """By kind, by row, by operator."""
    api.change("/partners/contoso/suspend")
    actions = [entry["action"] for entry in api.get("/audit?kind=partner&row_id=contoso")["items"]]
    assert actions == ["partner.suspended", "partner.created"]
    assert [entry["action"] for entry in api.get("/audit?operator=an-admin")["items"]] == ["partner.suspended"]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 19, "", "%00"])
def test_a_cursor_of_the_audit_that_is_none(api: Api, cursor: str):
    """A cursor is what the page before said."""
    assert api.refused("GET", f"/audit?cursor={cursor}")["code"] == "request_invalid"


def test_the_policy_says_who_enforces_it(api: Api):
    """Revision, epoch, and of the instances heard of in the last minute how many are there yet.

    One that is silent for longer than half of it counts no more: it may be frozen.
    """
    revision = api.get("/policy")["revision"]
    _instance(api, "there", revision=revision)
    _instance(api, "behind", revision=revision - 1)
    _instance(api, "starting")
    _instance(api, "frozen", at=NOW - 60, revision=revision)
    _instance(api, "just-heard", at=NOW - 30, revision=revision)
    _instance(api, "gone", at=NOW - 61, revision=revision)
    policy = api.get("/policy")
    assert (policy["epoch"], policy["revision"], policy["enforcing"]) == ("epoch-one", revision, 2)
    assert [each["id"] for each in policy["instances"]] == ["behind", "frozen", "just-heard", "starting", "there"]
    assert policy["slowest"] is None  # they came after it was made


def test_instances_are_listed_with_what_they_enforce(api: Api):
    """All of them, those that were not heard of for long included; or those heard of since."""
    _instance(api, "gone", at=NOW - 3600, revision=1)
    _instance(api, "there")
    assert [each["id"] for each in api.get("/instances?kind=gate")["items"]] == ["gone", "there"]
    assert [each["id"] for each in api.get("/instances?seen_since=2027-01-15T07:59:00Z")["items"]] == ["there"]
    assert api.refused("GET", "/instances?seen_since=yesterday")["errors"][0]["code"] == "timestamp_malformed"
    assert api.get("/instances/gone") == {
        "id": "gone",
        "kind": "gate",
        "version": "1.0",
        "acknowledged_revision": 1,
        "started_at": "2027-01-15T07:00:00Z",
        "seen_at": "2027-01-15T07:00:00Z",
        "held_epoch": None,
        "held_revision": None,
        "refuses": None,
    }


def test_more_instances_than_a_page_are_all_counted(api: Api):
    """The policy's standing is of all instances, however many there are."""
    with writing(api.engine) as session:
        for place in range(501):
            instances.register(session, InstanceSpec(id=f"i{place:04}", kind="gate", version="1.0"), now=NOW)
    assert len(api.get("/policy")["instances"]) == 501
