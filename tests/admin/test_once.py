"""Idempotency-Key: what is asked for twice is done once, and answered alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.admin.once import Once
from tenantgate.registry import kept_answers
from tenantgate.registry.errors import DatabaseError
from tests.admin.world import V1, Api, operation, operations
from tests.registry.builders import NOW

BODY = {"name": "Fabrikam"}
KEY = {"Idempotency-Key": '"8e03978e-40d5"'}
DAY = 86_400
NOT_REPEATED = ("/issuers/probe", "/explain", "/imports")


def post(api: Api, path: str = "/partners", *, key: Any = KEY, **request: Any) -> Any:
    """A POST with the key."""
    return api.ask("POST", path, headers=key, **request)


def told(answer: Any) -> tuple[Any, ...]:
    """All of an answer that a program acts on."""
    names = ("Location", "X-TG-Revision", "ETag", "Content-Type")
    return (answer.status_code, answer.text, *(answer.headers.get(name) for name in names))


def count(api: Api) -> int:
    """How many partners and audit entries there are."""
    with api.engine.connect() as connection:
        found = [
            connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar() for name in ("partner", "audit_entry")
        ]
    return sum(each or 0 for each in found)


def test_every_change_by_post_takes_a_key():
    """What is made, states, deletion; looking takes none, and an import is none a second time."""
    for method, path in operations():
        names = [each["name"] for each in operation(method, path).get("parameters", [])]
        changes = method == "POST" and path.removeprefix(V1) not in NOT_REPEATED
        assert ("Idempotency-Key" in names) == changes, path


@pytest.mark.parametrize("path", NOT_REPEATED)
@pytest.mark.parametrize("key", ['"8e03978e-40d5"', "", "not readable either"])
def test_a_key_where_none_is_taken_is_refused(api: Api, path: str, key: str):
    """It would be believed. Nothing is done, whatever the body is; and who may not come in is told so first."""
    before = count(api), api.get("/policy"), api.get("/imports")["items"]
    for body in ({"content": b"partner,name\n", "headers": {"Content-Type": "text/csv"}}, {"json": {"token": "x"}}):
        headers = {**body.pop("headers", {}), "Idempotency-Key": key}  # type: ignore[dict-item]
        problem = api.refused("POST", path, headers=headers, **body)
        assert (problem["status"], problem["code"]) == (400, "idempotency_key_malformed")
    assert (count(api), api.get("/policy"), api.get("/imports")["items"]) == before
    assert api.refused("POST", path, role=None, headers=KEY)["code"] == "admin_key_refused"


def test_a_patch_heeds_no_key(api: Api):
    """It says what is to be: the same again changes nothing, and makes no entry."""
    for _ in range(2):
        answer = api.ask("PATCH", "/partners/contoso", json={"notes": "seen"}, headers=KEY)
        assert (answer.status_code, answer.json()["version"]) == (200, 2)
        assert "Idempotent-Replayed" not in answer.headers


@pytest.mark.parametrize(
    ("path", "body"),
    [("/partners", BODY), ("/partners/contoso/suspend", None), ("/app-roles/orders-read/mark-sensitive", None)],
)
def test_the_first_answer_comes_again(api: Api, path: str, body: dict[str, Any] | None):
    """Status, place, revision and body to the letter; one effect, one entry; and it says that it is an old one."""
    request = {"json": body} if body is not None else {}
    first = post(api, path, **request)
    assert first.status_code in (200, 201), first.text
    assert "Idempotent-Replayed" not in first.headers
    before = count(api), api.get("/policy")
    for _ in range(2):
        again = post(api, path, **request)
        assert told(again) == told(first)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert (count(api), api.get("/policy")) == before


def test_what_was_changed_since_does_not_change_the_answer(api: Api):
    """The answer is the first one, not how things are now."""
    first = post(api, json=BODY)
    api.ask("PATCH", f"/partners/{first.json()['id']}", json={"name": "Other"})
    assert told(post(api, json=BODY)) == told(first)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/partners", {"name": "Other"}),
        ("/partners/contoso/suspend", None),
        ("/operators", {"name": "A", "role": "Viewer"}),
    ],
)
def test_a_key_is_for_one_request(api: Api, path: str, body: dict[str, Any] | None):
    """Another body or place with the same key is refused, and nothing is done."""
    post(api, json=BODY)
    before = count(api), api.get("/policy")
    answer = post(api, path, **({"json": body} if body is not None else {}))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert (count(api), api.get("/policy")) == before


@pytest.mark.threat(46)
def test_a_key_is_its_operators(api: Api):
    """Another operator's same key is another key; nobody reads another's answers."""
    first = post(api, json=BODY)
    other = api.ask("POST", "/partners", json=BODY, headers=KEY, role="Operator")
    assert other.status_code == 201
    assert other.json()["id"] != first.json()["id"]


def test_the_same_key_in_quotes_and_without(api: Api):
    """Many send it bare."""
    first = post(api, json=BODY, key={"Idempotency-Key": "abc-1"})
    assert told(post(api, json=BODY, key={"Idempotency-Key": '"abc-1"'})) == told(first)


@pytest.mark.parametrize("key", ["", '""', '"', '"a', "a b", '"a"b', "x" * 256, '"\\"', "a,b\t"])
def test_a_key_that_is_none_is_refused(api: Api, key: str):
    """What cannot be read is not passed over: the request would be done twice."""
    before = count(api)
    answer = api.client.request(
        "POST",
        f"{V1}/partners",
        json=BODY,
        headers=[
            ("Authorization", f"Bearer {api.keys['Admin']}"),
            ("Idempotency-Key", key),
        ],
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_malformed")
    assert count(api) == before


def test_two_keys_are_refused(api: Api):
    """One request, one key."""
    headers = [("Authorization", f"Bearer {api.keys['Admin']}"), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    answer = api.client.request("POST", f"{V1}/partners", json=BODY, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_malformed")


def test_a_refusal_is_not_kept(api: Api):
    """What was at fault is mended, and the same request is done."""
    body = {"id": "t", "issuer": "entra", "partner": "late", "tid": "33333333-2222-4333-8444-555555555555"}
    assert post(api, "/tenants", json=body).status_code == 422
    api.make("/partners", id="late", name="Late")
    assert post(api, "/tenants", json=body).status_code == 201


def test_after_a_day_it_is_another_request(api: Api):
    """Kept for 24 hours, then forgotten, and cleaned up by the next."""
    first = post(api, json=BODY)
    api.clock.now = NOW + DAY - 1
    assert told(post(api, json=BODY)) == told(first)
    api.clock.now = NOW + DAY
    with_new_key = _key_that_lasts(api)
    second = api.ask("POST", "/partners", json=BODY, headers=KEY | with_new_key)
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]
    with api.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM kept_answer")).scalar() == 1


def _key_that_lasts(api: Api) -> dict[str, str]:
    api.clock.now = NOW
    own = api.get("/me")["operator"]["id"]
    made = api.make("/admin-keys", operator=own, name="long", expires_at="2031-01-31T00:00:00Z")
    api.clock.now = NOW + DAY
    return {"Authorization": f"Bearer {made['value']}"}


def test_a_secret_is_never_kept(api: Api):
    """An admin key's value is shown once: the second time says where the key is, and it is made once."""
    body = {"operator": "adm", "name": "import", "expires_at": "2027-02-01T00:00:00Z"}
    first = post(api, "/admin-keys", json=body)
    assert first.status_code == 201
    again = post(api, "/admin-keys", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "secret_not_repeated")
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(api.get("/admin-keys?operator=adm")["items"]) == 1
    secret = first.json()["value"][-43:]
    with api.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM kept_answer")).all()
    assert len(rows) == 1
    assert secret not in str(rows)


def test_what_waits_for_somebody_is_asked_for_once(api: Api):
    """202 comes again as 202, with its place."""
    api.change("/app-roles/orders-read/mark-sensitive")
    api.change("/role-assignments/nightly-read/revoke")
    body = {"app_role": "orders-read", "daemon": "nightly"}
    first = post(api, "/role-assignments", json=body)
    assert first.status_code == 202
    assert told(post(api, "/role-assignments", json=body)) == told(first)
    assert len(api.get("/pending-grants")["items"]) == 1


@pytest.mark.threat(47)
def test_of_many_at_once_one_is_done(api: Api):
    """The same request by many at the same moment: one effect, and all get the one answer."""
    before = count(api)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: told(post(api, json=BODY)), range(16)))
    assert len(set(answers)) == 1
    assert answers[0][0] == 201
    assert count(api) == before + 2


def test_an_answer_that_was_lost_after_the_commit_comes_again(api: Api, monkeypatch: pytest.MonkeyPatch):
    """Killed when all was committed and nothing answered: the change is there once, and so is its answer."""
    real = Once.run

    def lost(*arguments: Any, **options: Any) -> Any:
        real(*arguments, **options)
        raise DatabaseError("database_unavailable", "killed")

    monkeypatch.setattr(Once, "run", lost)
    assert post(api, json=BODY).status_code == 503
    monkeypatch.undo()
    after = count(api)
    again = post(api, json=BODY)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert api.get(again.headers["Location"].removeprefix(V1)) == again.json()
    assert count(api) == after


def test_what_was_lost_before_the_commit_is_done_again(api: Api, monkeypatch: pytest.MonkeyPatch):
    """Killed in between: neither the change nor an answer is there."""
    before = count(api), api.get("/policy")

    def dies(*_: Any) -> None:
        raise DatabaseError("database_unavailable", "killed")

    monkeypatch.setattr(kept_answers, "keep", dies)
    assert post(api, json=BODY).status_code == 503
    monkeypatch.undo()
    assert (count(api), api.get("/policy")) == before
    assert "Idempotent-Replayed" not in post(api, json=BODY).headers


@pytest.mark.threat(46)
def test_an_old_answer_is_given_to_who_may_still_ask(api: Api):
    """A key that was revoked since gets no answer, old or new."""
    post(api, json=BODY, key=KEY | {"Authorization": f"Bearer {api.keys['Operator']}"})
    own = api.get("/me", role="Operator")["admin_key"]["id"]
    api.change(f"/admin-keys/{own}/revoke")
    assert api.ask("POST", "/partners", json=BODY, headers=KEY, role="Operator").status_code == 401


def test_a_condition_that_held_does_not_stop_the_old_answer(api: Api):
    """The version has moved on by the very change that is asked for again."""
    headers = KEY | {"If-Match": '"1"'}
    first = api.ask("POST", "/partners/contoso/suspend", headers=headers)
    assert first.status_code == 200
    assert told(api.ask("POST", "/partners/contoso/suspend", headers=headers)) == told(first)
