"""One asked for as the other: ids of another kind, of another parent and of another operator open and change nothing.

Whoever administers may see every partner; what is asked here is that no id, cursor, version or key reaches further
than the route it is given to. Made from the description, so that a new route is asked, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import sqlalchemy as sa

from tenantgate.registry import issuers
from tenantgate.registry.engine import writing
from tenantgate.registry.kept_answers import KeptAnswer, fingerprint_of
from tenantgate.registry.tables import Base
from tests.admin.two_of_each import Pair, identity_in, two_of_each
from tests.admin.world import V1, Api, body_of, filled, operation, operations, schema_of
from tests.registry.builders import NOW, work_on

WITH_ID: Final = [(method, path) for method, path in operations() if "{id}" in path]
REFERENCES: Final = {
    "partner": "partners",
    "issuer": "issuers",
    "tenant": "tenants",
    "daemon": "daemons",
    "resource": "resources",
    "app_role": "app-roles",
    "app_roles": "app-roles",
    "issuers": "issuers",
    "operator": "operators",
    "assignment": "role-assignments",
}
"""Members and filters that name something, and of which kind it is."""


@pytest.fixture
def pairs(api: Api) -> dict[str, Pair]:
    """Contoso's and Fabrikam's of everything."""
    return two_of_each(api.engine)


def word_of(path: str) -> str:
    """The first word of a route's path: what kind of thing it is about."""
    return path.removeprefix(V1).split("/")[1]


def members_of(path: str, method: str) -> dict[str, Any]:
    """The members of a route's body, or none."""
    content = operation(method, path).get("requestBody", {}).get("content", {})
    described = content.get("application/json")
    return schema_of(described["schema"])["properties"] if described else {}  # type: ignore[no-any-return]


def parameters_of(path: str, method: str = "GET") -> set[str]:
    """The names of a route's parameters and headers."""
    return {each["name"] for each in operation(method, path).get("parameters", [])}


def everything(api: Api) -> str:
    """All there is, as text: whoever changed something changed this."""
    with api.engine.connect() as connection:
        found = {
            name: sorted(map(repr, connection.execute(sa.select(table))))
            for name, table in Base.metadata.tables.items()
            if name != "admin_key"  # when a key was last used is no change
        }
    return json.dumps(found, sort_keys=True)


def test_there_are_two_of_everything_with_a_route(pairs: dict[str, Pair]):
    """A new kind of thing is asked for here as well."""
    assert set(pairs) == {word_of(path) for _, path in WITH_ID}
    assert all(len(set(pair)) == 2 for pair in pairs.values())


@pytest.mark.threat(46)
def test_an_id_is_of_its_own_kind_alone(api: Api, pairs: dict[str, Pair]):
    """An id that stands for something else is not there, at any route; and nothing is changed by asking."""
    before, words = everything(api), list(pairs)
    for number, (method, path) in enumerate(WITH_ID):
        for step in range(6):  # each kind at every third route
            word = words[(number * 6 + step) % len(words)]
            id_ = pairs[word][0]
            if word != word_of(path):
                answer = api.ask(method, filled(path, id_).removeprefix(V1), json=body_of(method, path))
                assert answer.status_code == 404, (method, path, id_)
                assert answer.json()["code"].endswith("_not_found")
    assert everything(api) == before


def _references() -> Iterator[tuple[str, str, str]]:
    for method, path in operations():
        for name, described in members_of(path, method).items():
            looks = path.endswith("/explain")  # a resource that is not there is what it tells
            if name in REFERENCES and '"pattern"' in json.dumps(described) and not looks:
                yield method, path, name


@pytest.mark.threat(46)
def test_a_member_names_its_own_kind_alone(api: Api, pairs: dict[str, Pair]):
    """A body that names something of another kind is refused at that member, and nothing is made or changed."""
    before, asked = everything(api), 0
    for method, path, name in _references():
        own = {member: pairs[REFERENCES[member]][0] for _, where, member in _references() if where == path}
        body = (body_of(method, path) or {}) | {m: [i] if m.endswith("s") else i for m, i in own.items()}
        body.pop("id", None)
        if "audiences" in body:
            body["audiences"] = ["api://third"]
        if path.endswith("/role-assignments"):
            body.pop("tenant" if name != "tenant" else "daemon")  # one of the two
        if path.endswith("/approve"):
            body.pop("new_partner")
        for word, (id_, _) in pairs.items():
            if word == REFERENCES[name]:
                continue
            place = filled(path, pairs[word_of(path)][0]).removeprefix(V1)
            problem = api.refused(method, place, json=body | {name: [id_] if name.endswith("s") else id_})
            at_fault = {each["field"].partition("[")[0] for each in problem.get("errors", ())}
            # `member_not_allowed`: the partner of a daemon whose tenant has one.
            assert problem["code"] in ("reference_unknown", "member_not_allowed"), (method, path, name, problem)
            assert at_fault == {name}, (method, path, name, problem)
            asked += 1
    assert asked > 200
    assert everything(api) == before


@pytest.mark.threat(46)
def test_what_belongs_to_one_is_not_reached_by_way_of_another(api: Api):
    """Below `/operators/{id}` and `/issuers/{id}` there is only what is theirs: another's is not there."""
    pairs = two_of_each(api.engine)
    (first, second), (cloud, realm) = pairs["operators"], pairs["issuers"]
    with work_on(api.engine) as work:
        theirs = identity_in(work, second)
        issuers.distrust_key(work, realm, "spoiled")
    before = everything(api)

    problem = api.refused("POST", f"/operators/{first}/unlink-identity", json={"identity": theirs})
    assert (problem["status"], problem["code"]) == (404, "operator_identity_not_found")
    problem = api.refused("POST", f"/issuers/{cloud}/trust-key", json={"key": "spoiled"})
    assert (problem["status"], problem["code"]) == (404, "key_not_found")
    assert theirs not in api.ask("GET", f"/operators/{first}/identities").text
    assert everything(api) == before
    assert theirs in api.ask("GET", f"/operators/{second}/identities").text


@pytest.mark.threat(46)
def test_of_many_ids_one_of_another_kind_refuses_all(api: Api, pairs: dict[str, Pair]):
    """Suspended or activated by one request is all or nothing, and one's own ids lend nothing to a foreign one."""
    before = everything(api)
    routes = [path for method, path in operations() if "ids" in members_of(path, method)]
    assert len(routes) == 6
    for path in routes:
        for word, (id_, _) in pairs.items():
            if word != word_of(path):
                body = {"ids": [pairs[word_of(path)][0], id_]}
                problem = api.refused("POST", path.removeprefix(V1), json=body)
                assert (problem["code"], [each["field"] for each in problem["errors"]]) == ("bulk_refused", ["ids[1]"])
    assert everything(api) == before


def _lists() -> list[str]:
    return [path for method, path in operations() if method == "GET" and "cursor" in parameters_of(path)]


def _rows(answer: Any) -> list[str]:
    return [json.dumps(each, sort_keys=True) for each in answer["items"]]


@pytest.mark.threat(46)
def test_a_cursor_shows_nothing_of_another_list(api: Api, pairs: dict[str, Pair]):
    """Carried to another list, or to the same below another parent, it is refused, or says only where to begin."""
    with work_on(api.engine) as work:
        for operator in pairs["operators"]:
            identity_in(work, operator)
    places = [
        filled(path, id_).removeprefix(V1)
        for path in _lists()
        for id_ in (pairs[word_of(path)] if "{id}" in path else ("",))
    ]
    whole = {place: _rows(api.get(f"{place}?limit=200")) for place in places}
    cursors = {place: api.get(f"{place}?limit=1")["next"] for place in places}
    asked = 0
    for number, (source, cursor) in enumerate(cursors.items()):
        for place in places[number % 3 :: 3]:
            if cursor is None or source == place:
                continue
            answer = api.ask("GET", place, params={"cursor": cursor, "limit": 200})
            if answer.status_code == 200:
                assert set(_rows(answer.json())) <= set(whole[place]), (source, place)
            else:
                assert answer.status_code == 422, (source, place)
            asked += 1
    assert asked > 100


@pytest.mark.threat(46)
def test_a_filter_is_not_widened_by_a_cursor(api: Api, pairs: dict[str, Pair]):
    """Filtered by what is Contoso's, no page holds anything of Fabrikam's, whichever list its cursor is from."""
    found = 0
    for path in _lists():
        place = path.removeprefix(V1)
        for name in parameters_of(path) & set(REFERENCES) - {"issuers"}:
            if "{id}" in path:
                continue
            mine, theirs = (set(_rows(api.get(f"{place}?{name}={id_}&limit=200"))) for id_ in pairs[REFERENCES[name]])
            assert mine.isdisjoint(theirs), (path, name)
            found += len(mine)
            cursor = api.get(f"{place}?limit=1")["next"]
            if cursor is not None:
                further = api.get(place, params={name: pairs[REFERENCES[name]][0], "cursor": cursor, "limit": 200})
                assert set(_rows(further)) <= mine, (path, name)
    assert found > 20


@pytest.mark.threat(46)
def test_a_version_is_of_one_thing(api: Api, pairs: dict[str, Pair]):
    """The ETag of another one is no condition that holds, and none by which an answer is left out."""
    conditional = [(m, p) for m, p in WITH_ID if parameters_of(p, m) & {"If-Match", "If-None-Match"}]
    assert len({word_of(path) for _, path in conditional}) > 10
    with writing(api.engine) as session:
        for word in {word_of(path) for _, path in conditional}:
            table = sa.table(word.replace("-", "_").removesuffix("s"), sa.column("id"), sa.column("version"))
            session.execute(sa.update(table).where(table.c.id == pairs[word][1]).values(version=7))
    before = everything(api)
    for method, path in conditional:
        mine, theirs = (filled(path, id_).removeprefix(V1) for id_ in pairs[word_of(path)])
        if method == "GET":
            assert api.ask("GET", mine, headers={"If-None-Match": '"7"'}).status_code == 200, path
            assert api.ask("GET", theirs, headers={"If-None-Match": '"7"'}).status_code == 304, path
        else:
            problem = api.refused(method, mine, headers={"If-Match": '"7"'}, json=body_of(method, path))
            assert (problem["status"], problem["code"]) == (412, "version_changed"), (method, path)
    assert everything(api) == before


def _limited(api: Api, **limits: Any) -> dict[str, str]:
    body = {"operator": "an-admin", "name": "limited", "expires_at": "2027-01-16T08:00:00Z"} | limits
    return {"Authorization": f"Bearer {api.make('/admin-keys', **body)['value']}"}


@pytest.mark.threat(46)
def test_a_kept_answer_is_for_who_may_ask_again(api: Api):
    """At every route: neither another operator nor a smaller key of the same one reads what was answered before."""
    repeatable = [(method, path) for method, path in operations() if "Idempotency-Key" in parameters_of(path, method)]
    assert len(repeatable) > 50
    viewers, others = _limited(api, role="Viewer"), _limited(api, scopes=["audit"])
    for method, path in repeatable:
        place, body = filled(path), json.dumps(body_of(method, path)).encode() if members_of(path, method) else b""
        status = min(int(each) for each in operation(method, path)["responses"] if each[0] == "2")
        with writing(api.engine) as session:
            session.merge(
                KeptAnswer(
                    operator="an-admin",
                    key="k",
                    fingerprint=fingerprint_of(method.encode(), place.encode(), b"", body),
                    created_at=NOW,
                    status=status,
                    body='{"version": 1, "answer": "of an-admin"}',
                )
            )
        sent = {"Idempotency-Key": "k", "Content-Type": "application/json"} if body else {"Idempotency-Key": "k"}
        for role, smaller in (("Viewer", {}), ("Operator", {}), ("Admin", viewers), ("Admin", others)):
            answer = api.ask(method, place.removeprefix(V1), role=role, headers=sent | smaller, content=body)
            assert "Idempotent-Replayed" not in answer.headers, (method, path, role)
            assert "of an-admin" not in answer.text
        own = api.ask(method, place.removeprefix(V1), headers=sent, content=body)
        assert own.headers.get("Idempotent-Replayed") == "true", (method, path, own.text)
