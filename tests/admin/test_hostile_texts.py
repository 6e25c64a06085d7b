"""Hostile text in every text of every body: it comes back to the letter, or is refused and nothing is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.admin.world import V1, Api, body_of, operation, operations, schema_of

JSON = {"Content-Type": "application/json"}
HOSTILE = {
    "NUL": "a\0b",
    "escape": "\x1b[31mred",
    "line": "a\nb",
    "right to left": "abc\u202edef",
    "isolate": "\u2066abc",
    "Arabic": "مرحبا بالعالم",
    "half a character": "a\ud800b",
    "byte order mark": "\ufeffa",
    "line separator": "a\u2028b",
    "decomposed": "cafe\u0301",
    "blanks around": "  a  ",
    "emoji": "💩🏳️‍🌈",
    "astral": "𝕬𐍈",
    "long": "x" * 10_000,
    "SQL": "'; DROP TABLE partner; --",
    "HTML": "<script>alert(1)</script>",
    "formula": "=cmd|' /C calc'!A0",
    "template": "{{7*7}} ${7*7} %s%n",
    "path": "../../etc/passwd",
    "empty": "",
}
AT = {
    "partners": "contoso",
    "tenants": "contoso-entra",
    "daemons": "nightly",
    "role-assignments": "nightly-read",
    "issuers": "entra",
    "resources": "orders",
    "app-roles": "orders-read",
    "operators": "adm",
}


def _bodies(*methods: str) -> list[tuple[str, str]]:
    return [(method, path) for method, path in operations() if method in methods and body_of(method, path)]


def _shape(method: str, path: str) -> dict[str, Any]:
    return schema_of(operation(method, path)["requestBody"]["content"]["application/json"]["schema"])


def _texts(shape: dict[str, Any]) -> list[tuple[str, bool]]:
    """The members that are a text, or a list of texts."""
    found = []
    for name, described in shape["properties"].items():
        for kind in (described, *described.get("anyOf", ())):
            if kind.get("type") == "string" and "enum" not in kind and kind.get("format") != "date-time":
                found.append((name, False))
            elif kind.get("type") == "array" and kind["items"].get("type") == "string" and "enum" not in kind["items"]:
                found.append((name, True))
    return found


def _send(api: Api, method: str, path: str, body: dict[str, Any]) -> Any:
    # Escaped, so that a half of a character gets through to the reader.
    return api.ask(method, path, content=json.dumps(body).encode(), headers=JSON)


def test_the_texts_are_found():
    """The search above finds what there is: names, notes, reasons, ids, lists of contacts."""
    found = {f"{method} {path}": dict(_texts(_shape(method, path))) for method, path in _bodies("POST", "PATCH")}
    assert found[f"POST {V1}/partners"].keys() == {"id", "name", "contacts", "notes"}
    assert found[f"PATCH {V1}/role-assignments/{{id}}"].keys() == {"reason", "ticket"}
    assert sum(map(len, found.values())) > 80


@pytest.mark.parametrize(("method", "path"), _bodies("PATCH"))
def test_what_a_change_keeps_is_what_was_sent(api: Api, method: str, path: str):
    """Changed to it, the thing has it, in the answer and when it is read again; or it is as it was."""
    name = path.removeprefix(V1).split("/")[1]
    id_ = AT.get(name) or api.get("/me")["admin_key"]["id"]
    target = f"/{name}/{id_}"
    before = api.get(target)
    for member, many in _texts(_shape(method, path)):
        for kind, text in HOSTILE.items():
            if member in ("metadata_url", "v1_metadata_url") and kind == "empty":
                continue  # as left out: the usual place is filled in
            answer = _send(api, method, target, {member: [text] if many else text})
            after = api.get(target)
            if answer.status_code == 200:
                assert answer.json()[member] == after[member] == ([text] if many else text), (member, kind)
            else:
                assert answer.status_code in (400, 409, 422), (member, kind, answer.text)
                assert after == before, (member, kind)
            before = after


@pytest.mark.parametrize(("method", "path"), _bodies("POST"))
def test_what_is_made_of_it_has_what_was_sent(api: Api, method: str, path: str):
    """Made with it, the thing has it; or nothing is made, and the answer says with a code why."""
    name = path.removeprefix(V1).split("/")[1]
    target = path.removeprefix(V1).replace("{id}", AT.get(name, "nobody"))
    body = {key: value for key, value in (body_of(method, path) or {}).items() if key != "id"}
    before = api.get("/policy")["audit_sequence"]
    for member, many in _texts(_shape(method, path)):
        for kind, text in HOSTILE.items():
            answer = _send(api, method, target, body | {member: [text] if many else text})
            before, known = api.get("/policy")["audit_sequence"], before
            if answer.status_code in (200, 201, 202):
                shown = answer.json()
                assert shown.get(member, text) in (text, [text]), (member, kind, answer.text)
            else:
                assert answer.status_code in (400, 403, 404, 409, 422, 429), (member, kind, answer.text)
                assert answer.json()["code"]
                assert before == known, (member, kind)
