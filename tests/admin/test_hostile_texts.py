"""Hostile text in every text of every body: it comes back to the letter, or that very member is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from tests.admin.makeable import WAYS, Way, kept_at_its_place, make_world
from tests.admin.test_hostile import may_be_kept, naughty_strings
from tests.admin.world import V1, Api, body_of, operation, operations, schema_of

JSON = {"Content-Type": "application/json"}
HALF = "half a character"
HOSTILE = {
    "NUL": "a\0b",
    "escape": "\x1b[31mred",
    "line": "a\nb",
    "right to left": "abc\u202edef",
    "isolate": "\u2066abc",
    "Arabic": "مرحبا بالعالم",
    HALF: "a\ud800b",
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
LEFT_OUT = ("metadata_url", "v1_metadata_url", "v1_issuer", "v2_issuer")
"""Of an issuer: where these are empty, it is as if they were not there, and what is usual is filled in."""
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
IDS = ("id", "ids", "partner", "tenant", "daemon", "issuer", "resource", "app_role", "app_roles", "operator", "scopes")
"""Members that name things."""
FREE = {
    "/access-requests/{id}/approve": ("reason",),
    "/admin-keys": ("name",),
    "/app-roles": ("display_name",),
    "/client-certificates": ("name",),
    "/daemons": ("notes",),
    "/daemons/suspend": ("reason",),
    "/invitations": ("reason",),
    "/operators": ("name",),
    "/partners": ("name", "notes", "contacts"),
    "/partners/suspend": ("reason",),
    "/pending-grants": ("reason",),
    "/resources": ("failure_message",),
    "/role-assignments": ("reason", "ticket"),
    "/subscription-keys": ("name",),
    "/tenants": ("notes",),
    "/tenants/activate": ("reason",),
}
"""Texts that people write as they like, by the path they are sent to."""


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


def _hostile(api: Api, path: str, member: str) -> list[tuple[str, str]]:
    """The texts for one member: all; or some, others for each member, where the rule was asked before.

    All ids have one rule, a look at an issuer has those of an issuer, and PostgreSQL has those of SQLite.
    """
    found = [(kind, text) for kind, text in HOSTILE.items() if text or member not in LEFT_OUT]
    is_asked = member in IDS or path.endswith("/probe") or api.engine.dialect.name != "sqlite"
    return found[len(path + member) % 4 :: 4] if is_asked else found


def _entries(api: Api) -> int:
    """How many entries the audit has."""
    with api.engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM audit_entry")).scalar_one())


def _is_about(answer: Any, *members: str) -> bool:
    """Whether a refusal names one of these members, and none but them."""
    named = {each["field"].partition("[")[0] for each in answer.json().get("errors", ())}
    return answer.status_code in (409, 422) and bool(named) and named <= set(members)


def test_the_texts_are_found():
    """The search above finds what there is: names, notes, reasons, ids, lists of contacts."""
    found = {f"{method} {path}": dict(_texts(_shape(method, path))) for method, path in _bodies("POST", "PATCH")}
    assert found[f"POST {V1}/partners"].keys() == {"id", "name", "contacts", "notes"}
    assert found[f"PATCH {V1}/role-assignments/{{id}}"].keys() == {"reason", "ticket"}
    assert sum(map(len, found.values())) > 80


def test_what_a_change_keeps_is_what_was_sent(api: Api):
    """Changed to it, the thing has it, in the answer and when it is read again; or it is as it was."""
    wrong = []
    for method, path in _bodies("PATCH"):
        name = path.removeprefix(V1).split("/")[1]
        target = f"/{name}/{AT.get(name) or api.get('/me')['admin_key']['id']}"
        for member, many in _texts(_shape(method, path)):
            before, entries = api.get(target), _entries(api)
            for kind, text in _hostile(api, path, member):
                answer = _send(api, method, target, {member: [text] if many else text})
                if answer.status_code == 200:
                    before, entries = api.get(target), _entries(api)
                    if not answer.json()[member] == before[member] == ([text] if many else text):
                        wrong.append((path, member, kind, answer.text))
                elif not (kind == HALF and answer.status_code == 400) and not _is_about(answer, member):
                    wrong.append((path, member, kind, answer.text))
                elif _entries(api) != entries:
                    wrong.append((path, member, kind, "something was kept"))
            if api.get(target) != before:
                wrong.append((path, member, "", "a refusal changed it"))
    assert wrong == []


def test_there_is_a_way_to_every_text():
    """Each POST with a text is asked below."""
    texts = {path.removeprefix(V1) for method, path in _bodies("POST") if _texts(_shape(method, path))}
    assert set(WAYS) == texts
    assert {path for path, members in FREE.items() if members} <= set(WAYS)


def test_what_is_made_of_it_has_what_was_sent(api: Api):
    """Made with it, the thing has it, also when it is read again; or that very member is refused, and nothing made."""
    make_world(api)
    wrong, numbers = [], iter(range(2, 10_000))
    for path, way in WAYS.items():
        kept = set()
        for member, many in [("", False), *_texts(_shape("POST", V1 + path))]:
            for kind, text in _hostile(api, path, member) if member else [("nothing", "")]:
                problem = _one(api, path, way, next(numbers), member, [text] if many else text, kind)
                if problem is None:
                    kept.add(member)
                elif problem:
                    wrong.append((path, member, kind, problem))
        if not {"", *FREE.get(path, ())} <= kept:
            wrong.append((path, str(kept), "", "is always refused"))
    assert wrong == []


def _one(api: Api, path: str, way: Way, number: int, member: str, value: Any, kind: str) -> str | None:
    """Send one body: None if it was taken and kept, else what is wrong with the refusal (empty: nothing)."""
    place = way.place(api, number) if way.place else path.replace("{id}", AT.get(path.split("/")[1], ""))
    body = way.made(api, number, member, value)
    entries = _entries(api)
    answer = _send(api, "POST", place, body)
    if answer.is_success:
        again = way.kept(api, answer, member) if way.kept and member else value
        shown = answer.json().get(member, value) if way.kept is kept_at_its_place else value
        way.after(api, answer)
        return None if shown == again == value else f"{again!r} is kept; {answer.text}"
    if _entries(api) != entries:
        return "something was kept"
    if way.absent and answer.status_code == 404:
        return ""
    if (kind == HALF and answer.status_code == 400) or _is_about(answer, member):
        return ""
    return f"{answer.status_code} {answer.text}"


@pytest.mark.vectors
@pytest.mark.threat(53)
def test_naughty_strings_are_kept_to_the_letter_everywhere(api: Api):
    """In every kind's texts, one kind after the other: what may be kept is, the rest is refused by name."""
    make_world(api)
    paths, taken = sorted(FREE.keys() - {"/resources"}), set()  # what a refused caller reads is ASCII
    for number, text in enumerate(naughty_strings()[::3], 2):
        path = paths[number % len(paths)]
        way, members = WAYS[path], FREE[path]
        values = {member: [text] if member == "contacts" else text for member in members}
        place = way.place(api, number) if way.place else path
        answer = api.ask("POST", place, json=way.made(api, number) | values)
        if answer.is_success:
            assert way.kept is not None
            assert {member: way.kept(api, answer, member) for member in members} == values, (path, text)
            way.after(api, answer)
            taken.add(path)
        else:
            assert _is_about(answer, *members), (path, text, answer.text)
            assert not may_be_kept(text), (path, text, answer.text)
    assert taken == set(paths)
