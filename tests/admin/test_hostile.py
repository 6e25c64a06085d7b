"""Hostile and odd input: whatever is sent, the answer is documented, and what is kept comes back as it was."""

from __future__ import annotations

import json
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.admin.world import V1, Api, body_of, filled, operation, operations, schema_of
from tests.real_parts import vectors_dir


def _parts(described: dict[str, Any]) -> set[str]:
    return {*described, *described["responses"]}


CREATE = [
    path
    for method, path in operations()
    if method == "POST" and {"requestBody", "201"} <= _parts(operation(method, path))
]
JSON = {"Content-Type": "application/json"}


def _members(path: str, status: str) -> set[str]:
    response = operation("POST", path)["responses"][status]
    return set(schema_of(response["content"]["application/json"]["schema"])["properties"])


def _own(path: str) -> set[str]:
    return set(schema_of(operation("POST", path)["requestBody"]["content"]["application/json"]["schema"])["properties"])


@pytest.mark.parametrize("path", CREATE)
@pytest.mark.threat(46)
def test_what_only_the_server_sets_cannot_be_sent(api: Api, path: str):
    """Every member of the answer that is none of the body is refused in it: nobody grants themselves a state."""
    body = body_of("POST", path)
    assert body is not None
    foreign = (_members(path, "201") - _own(path)) | {"approved", "__class__", "secret_hash", "tenant_id"}
    assert {"created_at", "created_by"} <= foreign
    for member in sorted(foreign):
        problem = api.refused("POST", path.removeprefix(V1), json=body | {member: "active"})
        assert (problem["status"], problem["code"]) == (422, "request_invalid"), member
        assert [(each["field"], each["code"]) for each in problem["errors"]] == [(member, "member_unknown")]


OTHER = [
    (method, path)
    for method, path in operations()
    if method == "POST" and path not in CREATE and body_of(method, path) is not None
]


@pytest.mark.threat(46)
def test_words_of_a_change_are_its_own(api: Api):
    """What says how to approve, suspend, rotate or look takes no member but its own, nor who or what it is about."""
    assert len(OTHER) > 10
    for method, path in OTHER:
        body = body_of(method, path)
        assert body is not None
        for member in {"id", "state", "client_id", "created_by", "approved", "tenant_id", "operator"} - _own(path):
            problem = api.refused(method, filled(path).removeprefix(V1), json=body | {member: "active"})
            assert (problem["status"], problem["code"]) == (422, "request_invalid"), (path, member)
            assert [(each["field"], each["code"]) for each in problem["errors"]] == [(member, "member_unknown")]


@pytest.mark.threat(46)
def test_a_state_is_reached_by_its_route_alone(api: Api):
    """A partner begins invited or active; nothing else begins in a state of somebody's choice."""
    for state in ("suspended", "archived", "ACTIVE", "", None):
        assert api.refused("POST", "/partners", json={"name": "A", "state": state})["status"] == 422
    assert [path for path in CREATE if "state" in _own(path)] == [f"{V1}/partners"]


def naughty_strings() -> list[str]:
    """The published ones."""
    strings: list[str] = json.loads((vectors_dir("naughty-strings") / "blns.json").read_text(encoding="utf-8"))
    return strings


def may_be_kept(text: str) -> bool:
    """What the registry's rule for names says, said once more in other words."""
    joined = re.sub("(?<=[^\x00-\u02ff\u200c\u200d])[\u200c\u200d]", "", text)  # between what is not Latin, as in emoji
    hidden = any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for each in joined)
    blank = any(each in "\u115f\u1160\u3164\uffa0" for each in text)
    fits = 0 < len(text) <= 200 and text == text.strip()
    return fits and not (hidden or blank) and unicodedata.is_normalized("NFC", text)


@pytest.mark.vectors
@pytest.mark.threat(53)
def test_naughty_strings_come_back_as_they_were_or_are_refused(api: Api):
    """As a name or contact every string is kept to the letter or refused with a code; nothing is mended in silence."""
    kept = [text for text in naughty_strings() if may_be_kept(text)]
    assert len(kept) > 250
    for start in range(0, len(kept), 64):
        some = kept[start : start + 64]
        made = api.make("/partners", name=some[0], contacts=some)
        again = api.get(f"/partners/{made['id']}")
        assert (again["name"], again["contacts"]) == (some[0], some)
    for text in naughty_strings():
        if not may_be_kept(text):
            for body in ({"name": text}, {"name": "A", "contacts": [text]}):
                problem = api.refused("POST", "/partners", json=body)
                assert (problem["status"], len(problem["errors"])) == (422, 1), repr(text)


@pytest.mark.vectors
@pytest.mark.threat(53)
def test_naughty_strings_in_searches_and_addresses_find_nothing_and_break_nothing(api: Api):
    """Filters, cursors and ids take any text; none is a pattern or a statement."""
    for text in naughty_strings()[::10]:
        short = text[:256]
        assert api.ask("GET", "/partners", params={"search": short}).status_code == 200, repr(text)
        assert api.ask("GET", "/partners", params={"cursor": short}).status_code in (200, 422), repr(text)
        assert api.ask("GET", "/daemons", params={"client_id": short, "partner": short}).json()["items"] == []
        answer = api.ask("GET", f"/partners/{quote(short[:60], safe='')}")
        assert answer.status_code in (404, 422), repr(text)
    assert api.get("/partners/contoso")["state"] == "active"


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_body_ends_in_a_documented_answer(api: Api, data: st.DataObject):
    """Whatever JSON is sent to whatever makes something, the answer is documented and no server error."""
    path = data.draw(st.sampled_from(CREATE))
    body: dict[str, Any] = dict(body_of("POST", path) or {})
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(_own(path))), ANY_JSON, max_size=3))
    place = filled(path).removeprefix(V1)
    answer = api.ask("POST", place, content=json.dumps(body | changed).encode(), headers=JSON)
    assert answer.status_code in (201, 400, 409, 422, *((404,) if "{id}" in path else ()))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200), which=st.sampled_from(operations()))
def test_any_bytes_end_in_a_documented_answer(api: Api, raw: bytes, which: tuple[str, str]):
    """Bytes that are no JSON break nothing either, wherever they are sent."""
    method, path = which
    answer = api.ask(method, filled(path).removeprefix(V1), content=raw, headers=JSON)
    assert answer.status_code < 500


@pytest.mark.threat(47)
def test_of_many_at_once_exactly_one_wins(api: Api):
    """Suspended by many at the same moment: one change, one entry, the others are told that it was done."""

    def suspend(_: int) -> int:
        status: int = api.ask("POST", "/partners/contoso/suspend").status_code
        return status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(suspend, range(24)))
    assert statuses == [200] + [409] * 23
    actions = [entry["action"] for entry in api.get("/audit?kind=partner&row_id=contoso")["items"]]
    assert actions == ["partner.suspended", "partner.created"]
