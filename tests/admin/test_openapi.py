"""The description is committed, complete, and what it shows works."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.admin.examples import FILES, SHAPES
from tenantgate.admin.problems import MEMBER_CODES, PROBLEMS
from tenantgate.registry import operators
from tenantgate.registry.operators import KeySpec, OperatorSpec
from tests.admin.world import (
    V1,
    Api,
    answered,
    body_of,
    description,
    example_of,
    operation,
    operations,
    rendered,
    schema_of,
)
from tests.real_parts import missing
from tests.registry.builders import NOW, Registry, counting_bytes, work_on
from tests.registry.test_access_requests import asked

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_committed_description_is_this_one():
    """docs/openapi.json is made by `python -m tenantgate.admin.openapi`, and by nobody's hand."""
    assert (DOCS / "openapi.json").read_text(encoding="utf-8") == rendered()


def _references(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def test_every_reference_leads_somewhere():
    """What the description refers to is in it."""
    references = list(_references(description()))
    assert references
    for reference in references:
        assert schema_of(reference)


@pytest.mark.parametrize(("method", "path"), operations())
def test_every_operation_is_described(method: str, path: str):
    """Each has a text, a name of its own, what can go wrong, and the role it takes."""
    found = operation(method, path)
    assert found["description"].endswith(".")
    assert found["tags"]
    assert found["x-least-role"] in ("Admin", "Operator", "Viewer")
    assert {"400", "401", "403", "413", "422", "429", "500", "503"} <= set(found["responses"])
    assert ("404" in found["responses"]) == ("{id}" in path)
    assert ("415" in found["responses"]) == ("requestBody" in found)


def test_names_of_operations_are_unique():
    """A client made from the description has one function for each."""
    names = [operation(method, path)["operationId"] for method, path in operations()]
    assert len(names) == len(set(names))


def _contents() -> Iterator[tuple[str, str, Any]]:
    """What every operation takes and answers: where, its media type, and what is said of it."""
    for method, path in operations():
        found = operation(method, path)
        answers = [(status, answered(method, path, int(status))) for status in found["responses"]]
        for place, each in [("body", found.get("requestBody", {})), *answers]:
            for media_type, content in each.get("content", {}).items():
                yield f"{method} {path} {place}", media_type, content


def test_everything_that_is_sent_or_answered_has_an_example():
    """Bodies, files, answers and problems; each with all the members there are, of a page with something on it."""
    found = list(_contents())
    assert len(found) > 1_000
    for place, media_type, content in found:
        example = example_of(content)
        assert example, (place, media_type)
        if place.rpartition(" ")[2] in ("200", "201", "202") and media_type == "application/json":
            shape = schema_of(content["schema"])["properties"]
            assert example.keys() == shape.keys(), place
            if example.keys() == {"items", "next"}:
                assert example["items"][0].keys() == schema_of(shape["items"]["items"])["properties"].keys(), place


def test_no_example_is_left_over():
    """What no answer is like any more goes: the values are all used."""
    used = {each["$ref"].rpartition("/")[2] for each in _references(description()) if "/examples/" in each["$ref"]}
    assert used == set(description()["components"]["examples"])
    assert {name for name in SHAPES if not any(name in each for each in used)} == set()
    assert {path for path, _ in FILES} <= set(description()["paths"])


def test_every_example_fits_its_schema():
    """As a validator of JSON Schema that knows nothing of the shapes sees it, formats too."""
    try:
        import jsonschema_rs
    except ImportError:
        missing("package jsonschema-rs (uv sync --group real)")
    components = {"components": description()["components"]}
    seen = set()
    for place, _, content in _contents():
        key = json.dumps([content["schema"], example_of(content)], sort_keys=True)
        if key not in seen:
            seen.add(key)
            validator = jsonschema_rs.Draft202012Validator(content["schema"] | components, validate_formats=True)
            assert [str(error) for error in validator.iter_errors(example_of(content))] == [], place
    assert len(seen) > 80


def test_every_example_of_a_problem_is_one(api: Api):
    """Its code is of its status and has its title; the example of a 404 is what a 404 looks like."""
    for name, answer in description()["components"]["responses"].items():
        example = example_of(answer["content"]["application/problem+json"])
        kind = PROBLEMS[example["code"]]
        assert (kind.status, kind.title) == (example["status"], example["title"]), name
        assert name == f"Problem{example['status']}"
        assert example["code"] in answer["description"]
    problem = api.refused("GET", "/partners/nobody")
    example = example_of(answered("GET", f"{V1}/partners/{{id}}", 404)["content"]["application/problem+json"])
    assert problem | {"detail": "", "request_id": ""} == example | {"detail": "", "request_id": ""}


def test_a_cursor_of_an_example_is_one_of_its_list(api: Api):
    """The `next` of each list's example is taken for a cursor there."""
    lists = [path for method, path in operations() if "cursor" in _parameters(method, path) and "{id}" not in path]
    assert len(lists) > 15
    for path in lists:
        example = example_of(answered("GET", path, 200)["content"]["application/json"])
        api.get(path.removeprefix(V1), params={"cursor": example["next"]})


def _parameters(method: str, path: str) -> list[str]:
    return [each["name"] for each in operation(method, path).get("parameters", [])]


def test_what_stands_for_a_secret_is_none():
    """Keys and links in examples are no keys and no links: they say so."""
    for shape, member in (("NewAdminKeyOut", "value"), ("NewSubscriptionKeyOut", "value"), ("NewInvitationOut", "url")):
        value = description()["components"]["examples"][shape]["value"][member]
        assert value.endswith("SHOWN-ONCE")
        assert re.search("[A-Za-z0-9_-]{43}", value) is None


def test_the_example_of_a_file_is_the_pages_and_is_taken(api: Api):
    """docs/imports.md shows the same; sent, its one line says what would come of it."""
    content = operation("POST", f"{V1}/imports")["requestBody"]["content"]["text/csv"]
    example = example_of(content)
    assert example in (DOCS / "imports.md").read_text(encoding="utf-8")
    answer = api.ask("POST", "/imports?dry_run=true", content=example, headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.json()["lines"]) == (202, 1)


def test_every_example_of_a_body_is_accepted(api: Api):
    """The examples, sent in order, make a world in which the daemon has its role."""
    with api.engine.begin() as connection:
        # So that the examples meet nothing that has their ids.
        for table in (
            "client_certificate",
            "invitation",
            "subscription_key",
            "role_mapping",
            "role_assignment",
            "app_role",
            "resource",
            "daemon",
            "tenant",
            "partner",
            "issuer",
            "operator",
        ):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE id NOT LIKE 'an-%'"))
    order = ["issuers", "partners", "tenants", "daemons", "resources", "app-roles", "role-assignments"]
    order += ["role-mappings", "operators", "admin-keys", "client-certificates", "subscription-keys", "invitations"]
    api.make("/issuers", id="keycloak", kind="oidc", issuer="https://id.fabrikam.example/realms/main")
    for name in order:
        answer = api.ask("POST", f"/{name}", json=body_of("POST", f"{V1}/{name}"))
        assert answer.status_code == 201, (name, answer.text)
    (held,) = api.get("/role-assignments?daemon=contoso-nightly")["items"]
    (own,) = api.get("/admin-keys?operator=ada")["items"]
    amended = {"resources": "orders", "issuers": "keycloak", "partners": "contoso", "tenants": "contoso-entra"}
    amended |= {"daemons": "contoso-nightly", "app-roles": "orders-read", "role-assignments": held["id"]}
    amended |= {"operators": "ada", "admin-keys": own["id"]}
    for name, id_ in amended.items():
        answer = api.ask("PATCH", f"/{name}/{id_}", json=body_of("PATCH", f"{V1}/{name}/{{id}}"))
        assert answer.status_code == 200, answer.text
    keys = [f"/issuers/{{id}}/{verb}-key" for verb in ("distrust", "trust")]
    for path in keys:
        answer = api.ask("POST", path.replace("{id}", "keycloak"), json=body_of("POST", V1 + path))
        assert answer.status_code == 200, answer.text
    identities = [f"/operators/{{id}}/{verb}" for verb in ("identities", "unlink-identity")]
    linked = api.make("/operators/ada/identities", **(body_of("POST", V1 + identities[0]) or {}))
    answer = api.ask("POST", "/operators/ada/unlink-identity", json={"identity": linked["id"]})
    assert answer.status_code == 200, answer.text
    moves = [f"/{name}/{verb}" for name in ("partners", "tenants", "daemons") for verb in ("suspend", "activate")]
    for path in moves:
        ids = {"partners": "contoso", "tenants": "contoso-entra", "daemons": "contoso-nightly"}
        body = body_of("POST", V1 + path) or {}
        answer = api.ask("POST", path, json=body | {"ids": [ids[path.split("/")[1]]]})
        assert answer.status_code == 200, answer.text
    (key,) = api.get("/subscription-keys")["items"]
    rotate = "/subscription-keys/{id}/rotate"
    answer = api.ask("POST", rotate.replace("{id}", key["id"]), json=body_of("POST", V1 + rotate))
    assert answer.status_code == 201, answer.text
    approve = "/access-requests/{id}/approve"
    request = asked(Registry("", api.engine))
    answer = api.ask("POST", approve.replace("{id}", request), json=body_of("POST", V1 + approve))
    assert answer.status_code == 200, answer.text
    api.change("/app-roles/orders-read/mark-sensitive")
    body = body_of("POST", f"{V1}/pending-grants") or {}
    answer = api.ask("POST", "/pending-grants", json=body | {"assignment": held["id"]})
    assert answer.status_code == 201, answer.text
    answer = api.ask("POST", "/issuers/probe", json=body_of("POST", f"{V1}/issuers/probe"))
    assert answer.status_code == 200, answer.text
    answer = api.ask("POST", "/explain", json=body_of("POST", f"{V1}/explain"))
    assert answer.status_code == 200, answer.text
    others = ("/pending-grants", "/issuers/probe", "/explain")
    assert {(method, path) for method, path in operations() if body_of(method, path)} == {
        *(("POST", f"{V1}/{name}") for name in order),
        *(("PATCH", f"{V1}/{name}/{{id}}") for name in amended),
        *(("POST", V1 + path) for path in (*keys, *identities, *moves, rotate, approve, *others)),
    }


def test_a_change_has_no_defaults():
    """What is left out of a change stays: the description promises no other value for it."""
    change = schema_of(
        operation("PATCH", f"{V1}/resources/{{id}}")["requestBody"]["content"]["application/json"]["schema"]
    )
    create = schema_of(operation("POST", f"{V1}/resources")["requestBody"]["content"]["application/json"]["schema"])
    assert "required" not in change
    assert set(change["properties"]) == set(create["properties"]) - {"id"}
    assert not [name for name, each in change["properties"].items() if "default" in each]
    assert create["properties"]["max_lifetime"]["default"] == 86_400


def test_every_code_is_documented():
    """Every problem code and every member code has its line in docs/rest-api.md, and no other code has one."""
    text = (DOCS / "rest-api.md").read_text()
    table = text[text.index("## Problem codes") :]
    documented = set(re.findall(r"^\| `([a-z0-9_]+)` \|", table, re.MULTILINE))
    assert documented == {kind.code for kind in PROBLEMS.values()} | set(MEMBER_CODES)


def test_every_route_is_documented():
    """docs/rest-api.md names each path."""
    text = (DOCS / "rest-api.md").read_text()
    for _, path in operations():
        assert f"`{path.removeprefix(V1)}`" in text, path


def test_the_walk_through_works(empty_api: Api):
    """Every command of docs/rest-api.md, sent in order to a database with one operator, succeeds."""
    text = (DOCS / "rest-api.md").read_text()
    (block,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    empty_api.keys = {"Admin": _first_key(empty_api)}
    for line in block.splitlines():
        method, path, body = _curl(line)
        answer = empty_api.ask(method, path, json=body)
        assert answer.status_code in (200, 201), (line, answer.text)
    assert empty_api.get("/partners/contoso")["state"] == "suspended"


def _first_key(api: Api) -> str:
    with work_on(api.engine) as work:
        operators.create(work, OperatorSpec(id="adm", name="Adm", role="Admin"))
        spec = KeySpec(operator="adm", name="first key", expires_at=NOW + 60)
        return operators.create_key(work, spec, random_bytes=counting_bytes(30)).value


def _curl(line: str) -> tuple[str, str, Any]:
    words = shlex.split(line)
    assert words[:4] == ["curl", "-s", "-H", "$AUTH"]
    method, body, path = "GET", None, ""
    for place, word in enumerate(words):
        if word == "-X":
            method = words[place + 1]
        elif word == "--json":
            method, body = "POST", json.loads(words[place + 1])
        elif word.startswith("$TG"):
            path = word.removeprefix("$TG")
    return method, path, body
