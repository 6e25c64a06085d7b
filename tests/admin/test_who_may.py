"""Who may do what: every route for every role, and for nobody."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlmodel import col

from tenantgate.admin.problems import CHALLENGE
from tenantgate.admin.route import PREFIX
from tenantgate.admin.who_may import SCOPES, WHO_MAY
from tenantgate.registry import operators
from tenantgate.registry.engine import writing
from tenantgate.registry.operators import RANK, KeySpec, OperatorSpec
from tenantgate.registry.tables import Operator
from tests.admin.world import ROLES, V1, Api, body_of, filled, operation, operations
from tests.registry.builders import NOW, counting_bytes, work_on

ROUTES = operations()


def test_table_and_description_name_the_same_routes():
    """A route without a row, or a row without a route, cannot be."""
    assert {(method, path.removeprefix(PREFIX)) for method, path in ROUTES} == set(WHO_MAY)


def test_every_change_needs_more_than_reading():
    """No Viewer may change anything."""
    assert [key for key, role in WHO_MAY.items() if key[0] != "GET" and role == "Viewer"] == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("scheme", ["admin_key", "bearer"])
@pytest.mark.threat(46)
def test_every_route_lets_in_whom_the_table_says(api: Api, scheme: str, role: str):
    """A role that reaches gets past the door (whatever is found behind it), a lower one is told which is needed."""
    api.scheme = scheme
    for method, path in ROUTES:
        least = operation(method, path)["x-least-role"]
        answer = api.ask(method, filled(path).removeprefix(V1), role=role, json=body_of(method, path))
        if RANK[role] >= RANK[least]:
            assert answer.status_code not in (401, 403), (method, path)
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "role_too_low"), (method, path)
            assert least in answer.json()["detail"]


@pytest.mark.parametrize("scheme", ["admin_key", "bearer"])
def test_a_role_that_does_not_reach_changes_nothing(api: Api, scheme: str):
    """Refused calls leave revision and audit as they were."""
    api.scheme = scheme
    before = api.get("/policy")
    for method, path in ROUTES:
        if method != "GET":
            api.ask(method, filled(path, "contoso").removeprefix(V1), role="Viewer", json=body_of(method, path))
    assert api.get("/policy") == before


def test_no_route_answers_without_a_key(api: Api):
    """Without a credential every route says 401, whatever is in the body, and how to be let in."""
    for method, path in ROUTES:
        answer = api.ask(method, filled(path).removeprefix(V1), role=None, content=b"{")
        assert (answer.status_code, answer.json()["code"]) == (401, "admin_key_refused"), (method, path)
        assert answer.headers["WWW-Authenticate"] == CHALLENGE


def test_an_empty_database_is_not_open(empty_api: Api):
    """Where nobody administers yet, every route refuses everybody: it never starts open."""
    for method, path in ROUTES:
        for role in (None, "Admin"):
            answer = empty_api.ask(method, filled(path).removeprefix(V1), role=role, json=body_of(method, path))
            assert answer.status_code == 401, (method, path)
    empty_api.scheme = "bearer"
    for method, path in ROUTES:
        answer = empty_api.ask(method, filled(path).removeprefix(V1), json=body_of(method, path))
        assert (answer.status_code, answer.json()["code"]) == (403, "identity_not_linked"), (method, path)


def _spoiled(key: str) -> dict[str, object]:
    other = "A" if key[-2] != "A" else "B"
    return {
        "another scheme": f"Basic {key}",
        "no scheme": key,
        "empty": "Bearer ",
        "empty header": "",
        "another secret": f"Bearer {key[:-2]}{other}{key[-1]}",
        "half": f"Bearer {key[: len(key) // 2]}",
        "space after": f"Bearer {key} ,",
        "space before": f"Bearer  {key}",
        "another id": f"Bearer tg_key-nobody_{key[-43:]}",
        "a token": "Bearer eyJhbGciOiJub25lIn0.e30.",
        "no text": b"Bearer \xff\xfe",
        "long": "Bearer " + "a" * 10_000,
    }


def test_every_spoiled_key_is_refused_alike(api: Api):
    """Whatever is wrong with a key, the answer is one and the same: it tells nothing about which keys exist."""
    answers = {}
    for name, header in _spoiled(api.keys["Admin"]).items():
        answer = api.ask("GET", "/me", headers={"Authorization": header, "X-Request-Id": "r"})
        answers[name] = (answer.status_code, answer.text)
    assert set(answers.values()) == {(401, next(iter(answers.values()))[1])}, answers


def test_two_authorization_headers_are_refused(api: Api):
    """Two credentials are one too many: nobody chooses between them."""
    header = ("Authorization", f"Bearer {api.keys['Admin']}")
    answer = api.client.get(f"{V1}/me", headers=[header, header])
    assert (answer.status_code, answer.json()["code"]) == (401, "admin_key_refused")


def test_the_scheme_may_be_spelled_in_any_case(api: Api):
    """`bearer` is `Bearer` (RFC 9110 §11.1)."""
    assert api.ask("GET", "/me", headers={"Authorization": f"bEARER {api.keys['Viewer']}"}).status_code == 200


def test_a_key_ends_when_it_said_it_would(api: Api):
    """The second before its end a key lets in, at its end no more."""
    key_end = NOW + 86_400
    api.clock.now = key_end - 1
    assert api.ask("GET", "/me").status_code == 200
    api.clock.now = key_end
    assert api.ask("GET", "/me").status_code == 401


def test_a_revoked_key_lets_in_no_more(api: Api):
    """From the answer of its revocation on, a key is refused; it may even be one's own."""
    own = api.get("/me")["admin_key"]["id"]
    assert api.change(f"/admin-keys/{own}/revoke")["revoked_at"] == "2027-01-15T08:00:00Z"
    assert api.ask("GET", "/me").status_code == 401


def test_a_suspended_operators_keys_let_in_no_more_until_they_are_active_again(api: Api):
    """An operator's keys stop with the operator, at once."""
    api.change("/operators/an-operator/suspend")
    assert api.ask("GET", "/me", role="Operator").status_code == 401
    api.change("/operators/an-operator/activate")
    assert api.ask("GET", "/me", role="Operator").status_code == 200


def test_a_key_revoked_while_its_request_waits_changes_nothing(api: Api, monkeypatch: pytest.MonkeyPatch):
    """The key is asked for again inside the transaction: what was revoked in between is refused, nothing is written."""
    from tenantgate.admin import route

    real, own = route.unit_of_work, api.get("/me", role="Operator")["admin_key"]["id"]

    def overtaken(*arguments, **options):
        with work_on(api.engine) as work:
            operators.revoke_key(work, own)
        return real(*arguments, **options)

    monkeypatch.setattr(route, "unit_of_work", overtaken)
    problem = api.refused("POST", "/partners/contoso/suspend", role="Operator")
    assert problem["code"] == "admin_key_refused"
    assert api.get("/partners/contoso")["state"] == "active"


def test_one_operator_may_have_several_keys(api: Api):
    """Each key is the same operator."""
    with work_on(api.engine) as work:
        operators.create(work, OperatorSpec(id="two-keys", name="Two Keys", role="Viewer"))
        made = [
            operators.create_key(
                work, KeySpec(operator="two-keys", name=name, expires_at=NOW + 60), random_bytes=counting_bytes(place)
            )
            for place, name in enumerate(("first", "second"), 20)
        ]
    for key in made:
        me = api.get("/me", headers={"Authorization": f"Bearer {key.value}"})
        assert (me["operator"]["id"], me["admin_key"]["id"]) == ("two-keys", key.row.id)


def test_me_says_who_and_by_which_key(api: Api):
    """`/me` names scheme, operator, role and key."""
    me = api.get("/me", role="Viewer")
    assert me["scheme"] == "admin_key"
    assert me["operator"] == {"id": "an-viewer", "name": "An Viewer", "role": "Viewer"}
    assert me["admin_key"]["name"] == "tests"
    assert (me["role"], me["scopes"]) == ("Viewer", [])
    assert me["why"] == [
        "operator an-viewer has the role Viewer",
        f"admin key {me['admin_key']['id']} may do all that its operator may",
    ]


def a_key(api: Api, operator: str = "an-admin", **spec: object) -> dict[str, str]:
    """The header with a new key of an operator's, good for a day."""
    body = {"operator": operator, "name": "limited", "expires_at": "2027-01-16T08:00:00Z"} | spec
    return {"Authorization": f"Bearer {api.make('/admin-keys', **body)['value']}"}


def test_a_key_may_have_a_lower_role_than_its_operator(api: Api):
    """With a Viewer's key an Admin reads, and is told why no more; the other key does all it did."""
    key = a_key(api, role="Viewer")
    me = api.get("/me", headers=key)
    assert (me["operator"]["role"], me["role"], me["admin_key"]["role"]) == ("Admin", "Viewer", "Viewer")
    assert any("no more than the role Viewer" in line for line in me["why"])

    problem = api.refused("POST", "/partners/contoso/suspend", headers=key)
    assert (problem["status"], problem["code"]) == (403, "role_too_low")
    assert api.get("/partners/contoso")["state"] == "active"


def test_a_key_never_has_a_higher_role_than_its_operator(api: Api):
    """It cannot be made so; and where its operator comes down later, it does too."""
    body = {"operator": "an-viewer", "name": "x", "expires_at": "2027-01-16T08:00:00Z", "role": "Operator"}
    problem = api.refused("POST", "/admin-keys", json=body)
    assert (problem["status"], problem["code"]) == (422, "role_too_high")

    key = a_key(api, "an-operator", role="Operator")
    with writing(api.engine) as session:
        session.execute(sa.update(Operator).where(col(Operator.id) == "an-operator").values(role="Viewer"))
    assert api.get("/me", headers=key)["role"] == "Viewer"


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.threat(46)
def test_a_scoped_key_reaches_its_own_routes_alone(api: Api, scope: str):
    """An Admin's key for one part of the API is refused at every route of the others, and lets in at its own.

    Where it could give itself what it has not (operators and keys), it reads and changes nothing.
    """
    key = a_key(api, scopes=[scope])
    for method, path in ROUTES:
        word = path.removeprefix(V1).split("/")[1]
        answer = api.ask(method, filled(path).removeprefix(V1), headers=key, json=body_of(method, path))
        held_back = method != "GET" and word in ("operators", "admin-keys")
        if word == "me" or (word == scope and not held_back):
            assert answer.status_code not in (401, 403), (method, path)
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "scope_too_small"), (method, path)


def test_a_scope_that_is_none_is_refused(api: Api):
    """A misspelled scope would be a key that opens nothing: it is named."""
    body = {
        "operator": "an-admin",
        "name": "x",
        "expires_at": "2027-01-16T08:00:00Z",
        "scopes": ["partners", "partner"],
    }
    problem = api.refused("POST", "/admin-keys", json=body)
    assert (problem["status"], problem["code"], problem["errors"][0]["field"]) == (422, "scope_unknown", "scopes[1]")
