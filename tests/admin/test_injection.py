"""What is sent is a value: never a piece of a statement, a pattern, a path or a header, wherever it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.admin.two_of_each import two_of_each
from tests.admin.world import V1, Api, body_of, filled, operation, operations, schema_of

PIECES: Final = (
    "' OR '1'='1",
    "' OR 1=1 --",
    "x'; DROP TABLE partner; --",
    "') UNION SELECT id, secret_hash FROM admin_key --",
    "%",
    "_ontoso",
    "c%",
    "*",
    ".*",
    "[a-z]*",
    "\\",
    "$1",
    ":id",
    "{0}",
    "{{7*7}}",
    "${7*7}",
    "%(id)s",
    "../partners/contoso",
    "contoso\r\nX-Injected: 1",
)
"""Pieces of statements, patterns, templates, paths and headers."""


def _texts() -> Iterator[tuple[str, str]]:
    """Every parameter of a query that takes a text of any kind, and its path."""
    for method, path in operations():
        for each in operation(method, path).get("parameters", []) if method == "GET" else []:
            ways = [each["schema"], *each["schema"].get("anyOf", ())]
            text = any("maxLength" in way for way in ways) and not any(way.keys() & {"enum", "pattern"} for way in ways)
            if each["in"] == "query" and each["name"] != "cursor" and text:
                yield filled(path, "contoso"), each["name"]


def _found(answer: Any) -> Any:
    return answer.json()["items"] if answer.status_code == 200 else []


@pytest.mark.threat(53)
def test_a_piece_of_a_statement_or_a_pattern_finds_nothing(api: Api):
    """At every filter and search: what no row has finds no row, and no piece of a statement is one."""
    two_of_each(api.engine)
    texts, before = list(_texts()), api.get("/policy")
    assert len({path for path, _ in texts}) > 15
    for number, (path, name) in enumerate(texts):
        for piece in PIECES[number % 3 :: 3]:
            answer = api.ask("GET", path.removeprefix(V1), params={name: piece})
            assert answer.status_code in (200, 422), (path, name, piece, answer.text)
            assert _found(answer) == [], (path, name, piece)
            assert "X-Injected" not in answer.headers
    assert api.get("/policy") == before


@pytest.mark.threat(53)
def test_a_piece_of_a_path_is_no_id(api: Api):
    """At every route with an id: what is no id is not there, and leads to no other route."""
    before = api.get("/policy")
    for method, path in operations():
        if "{id}" in path:
            for piece in PIECES[-2::-4]:
                place = path.replace("{id}", quote(piece, safe="")).removeprefix(V1)
                answer = api.client.request(
                    method,
                    V1 + place,
                    headers={"Authorization": f"Bearer {api.keys['Admin']}"},
                    json=body_of(method, path),
                )
                assert answer.status_code in (404, 405, 422), (method, path, piece, answer.text)
                assert "X-Injected" not in answer.headers
    assert api.get("/policy") == before


def _bodies() -> Iterator[tuple[str, str, str]]:
    """Every member of a body that takes a text: what makes something, and what changes it."""
    for method, path in operations():
        content = operation(method, path).get("requestBody", {}).get("content", {}).get("application/json")
        for name, described in schema_of(content["schema"])["properties"].items() if content else ():
            if '"type": "string"' in json.dumps(described):
                yield method, path, name


@pytest.mark.threat(53)
def test_a_piece_in_a_body_is_a_text_or_refused(api: Api):
    """At every member: it is kept to the letter or refused, never run, and what was there stays as it was."""
    pairs = two_of_each(api.engine)
    for number, (method, path, name) in enumerate(_bodies()):
        for piece in PIECES[number % 7 :: 7]:
            shape = body_of(method, path) or {}
            value: Any = [piece] if isinstance(shape.get(name), list) else piece
            word = path.removeprefix(V1).split("/")[1]
            place = filled(path, pairs[word][0] if word in pairs else "").removeprefix(V1)
            answer = api.ask(method, place, json=shape | {name: value})
            assert answer.status_code < 500, (method, path, name, piece)
            if answer.status_code in (200, 201) and isinstance(answer.json().get(name), str):
                assert answer.json()[name] in (piece, piece.replace("\r\n", "\n")), (method, path, name)
            assert "X-Injected" not in answer.headers
    assert {each["id"] for each in api.get("/partners?limit=200")["items"]} >= {"contoso", "fabrikam"}
    assert api.get("/me")["role"] == "Admin"
