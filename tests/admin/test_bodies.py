"""Bodies are read strictly: bounded, one JSON object, each name once, nothing that is not JSON."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request

from tenantgate.admin import route
from tenantgate.admin.body import LARGEST_BODY, read_request
from tenantgate.admin.wire import format_instant
from tests.admin.world import LATER, V1, Api, operation, operations
from tests.registry.builders import NOW

JSON = {"Content-Type": "application/json"}

MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "white space": b"  ",
    "no object": b"[]",
    "a text": b'"name"',
    "null": b"null",
    "cut off": b'{"name": "Contoso"',
    "two objects": b'{"name": "Contoso"}{}',
    "single quotes": b"{'name': 'Contoso'}",
    "a comment": b'{"name": "Contoso" /* the company */}',
    "a trailing comma": b'{"name": "Contoso",}',
    "a name twice": b'{"name": "Contoso", "name": "Fabrikam"}',
    "a name twice, once escaped": b'{"name": "Contoso", "n\\u0061me": "Fabrikam"}',
    "a name twice, deeper": b'{"name": "Contoso", "contacts": [{"a": 1, "a": 2}]}',
    "NaN": b'{"name": "Contoso", "ends_at": NaN}',
    "Infinity": b'{"name": "Contoso", "ends_at": -Infinity}',
    "a byte order mark": b'\xef\xbb\xbf{"name": "Contoso"}',
    "not UTF-8": b'{"name": "Contos\xf6"}',
    "UTF-16": '{"name": "Contoso"}'.encode("utf-16"),
    "UTF-32": '{"name": "Contoso"}'.encode("utf-32-le"),
    "overlong UTF-8": b'{"name": "Contoso\xc0\xaf"}',
    "half a surrogate pair": b'{"name": "Contoso \\ud800"}',
    "a control character": b'{"name": "Cont\x01oso"}',
    "too deep": b'{"name": ' + b"[" * 500 + b"]" * 500 + b"}",
    "far too deep": b'{"name": ' + b"[" * 30_000 + b"}",
    "too many members": b'{"contacts": [' + b",".join([b'"a"'] * 600) + b'], "name": "Contoso"}',
    "a form": b"name=Contoso",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_body_that_is_not_strict_json_is_refused(api: Api, name: str):
    """400 with one code, and nothing is written."""
    problem = api.refused("POST", "/partners", content=MALFORMED[name], headers=JSON)
    assert (problem["status"], problem["code"]) == (400, "body_malformed")
    assert len(api.get("/partners")["items"]) == 1


def test_a_repeated_name_is_named(api: Api):
    """The one most common slip is said in so many words."""
    problem = api.refused("POST", "/partners", content=MALFORMED["a name twice"], headers=JSON)
    assert "duplicate member name" in problem["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/vnd.api+json",
        "json",
    ],
)
def test_another_media_type_is_refused(api: Api, content_type: str | None):
    """415: a form posted by a page somewhere else is never taken for JSON."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    problem = api.refused("POST", "/partners", content=b'{"name": "Contoso"}', headers=headers)
    assert (problem["status"], problem["code"]) == (415, "media_type_unsupported")


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"]
)
def test_json_may_have_parameters(api: Api, content_type: str):
    """Parameters of the media type change nothing: JSON is UTF-8 (RFC 8259 §8.1)."""
    answer = api.ask("POST", "/partners", content=b'{"name": "Contoso"}', headers={"Content-Type": content_type})
    assert answer.status_code == 201


def _padded(length: int) -> bytes:
    start, end = b'{"name": "Contoso"', b"}"
    return start + b" " * (length - len(start) - len(end)) + end


def test_a_body_is_as_large_as_allowed_and_no_larger(api: Api):
    """The last byte that is allowed passes, one more is refused, declared or not."""
    assert api.ask("POST", "/partners", content=_padded(LARGEST_BODY), headers=JSON).status_code == 201
    assert api.refused("POST", "/partners", content=_padded(LARGEST_BODY + 1), headers=JSON)["code"] == "body_too_large"
    chunks = (b" " * 1024 for _ in range(100))
    assert api.refused("POST", "/partners", content=chunks, headers=JSON)["code"] == "body_too_large"


def test_what_takes_no_body_refuses_one(api: Api):
    """A body that nobody would read is refused, so that nobody believes in it; an empty object is none."""
    without = [
        path for method, path in operations() if method == "POST" and "requestBody" not in operation(method, path)
    ]
    for path in without:
        path = path.removeprefix(V1).replace("{id}", "contoso")
        problem = api.refused("POST", path, json={"state": "archived"})
        assert (problem["status"], problem["code"]) == (400, "body_not_expected")
    assert api.refused("GET", "/partners", content=b"x")["code"] == "body_not_expected"
    assert api.ask("POST", "/partners/contoso/suspend", json={}).status_code == 200


WRONG: list[Any] = [None, 1, 1.5, True, "", "x", [], ["x"], {}, {"x": 1}]


@pytest.mark.parametrize(
    ("member", "right"),
    [
        ("name", str),
        ("state", ()),
        ("ends_at", type(None)),
        ("contacts", list),
        ("notes", str),
        ("id", (str, type(None))),
    ],
)
def test_types_are_not_coerced(api: Api, member: str, right: Any):
    """A number is no text, a text no list: a value of another type is refused, and named."""
    for value in WRONG:
        if isinstance(value, right) and type(value) is not bool:
            continue
        problem = api.refused("POST", "/partners", json={"name": "Contoso", member: value})
        assert problem["status"] == 422, value
        assert problem["errors"][0]["field"].startswith(member), value


@pytest.mark.parametrize("value", ["true", 1, "yes", None])
def test_a_switch_is_true_or_false(api: Api, value: object):
    """What merely looks like a yes switches nothing on."""
    body = {"id": "stock", "audiences": ["api://stock"], "tenant_wide_roles": value}
    problem = api.refused("POST", "/resources", json=body)
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [("tenant_wide_roles", "type_wrong")]


@pytest.mark.parametrize(
    "value",
    [
        1_900_000_000,
        1_900_000_000.0,
        "1900000000",
        "2031-01-31",
        "2031-01-31T00:00:00",
        "2031-01-31 00:00:00Z",
        "2031-01-31T00:00:00.5Z",
        "2031-01-31T00:00Z",
        "2031-02-30T00:00:00Z",
        "2031-01-31T24:00:01Z",
        "2031-01-31T00:00:00+25:00",
        "２０３１-01-31T00:00:00Z",
        " 2031-01-31T00:00:00Z",
        "2031-01-31T00:00:00Z\n",
        "tomorrow",
        "",
        True,
    ],
)
def test_a_timestamp_has_one_form(api: Api, value: object):
    """RFC 3339 in whole seconds, with an offset; nothing is guessed. What was sent is not repeated."""
    problem = api.refused("POST", "/partners", json={"name": "Contoso", "ends_at": value})
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [("ends_at", "timestamp_malformed")]


def test_a_timestamp_is_kept_to_the_second_and_shown_in_utc(api: Api):
    """An offset is turned into UTC."""
    for given, shown in (
        ("2031-01-31T01:30:15+01:30", "2031-01-31T00:00:15Z"),
        ("2031-01-30t19:00:00-05:00", "2031-01-31T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ):
        assert api.make("/partners", name="Contoso", ends_at=given)["ends_at"] == shown


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "1969-12-31T23:59:59Z"])
def test_a_timestamp_beyond_what_is_kept_is_refused(api: Api, value: str):
    """Before 1970 and after 9999 there is nothing; at the edges nothing overflows."""
    problem = api.refused("POST", "/partners", json={"name": "Contoso", "ends_at": value})
    assert (problem["status"], problem["errors"][0]["field"]) == (422, "ends_at")


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("limit=0", "limit", "number_out_of_range"),
        ("limit=201", "limit", "number_out_of_range"),
        ("limit=many", "limit", "type_wrong"),
        ("limit=1&limit=2", "limit", "query_repeated"),
        ("limt=5", "limt", "member_unknown"),
        ("state=gone", "state", "value_unknown"),
        ("search=" + "x" * 257, "search", "text_too_long"),
        ("cursor=" + "x" * 2049, "cursor", "text_too_long"),
    ],
)
def test_parameters_are_strict_too(api: Api, query: str, field: str, code: str):
    """A misspelled filter is refused: it would have answered with everything."""
    problem = api.refused("GET", f"/partners?{query}")
    assert (problem["status"], problem["code"]) == (422, "request_invalid")
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [(field, code)]


def test_parameters_where_none_are_read_are_refused(api: Api):
    """Also a change takes no parameters nobody reads."""
    assert api.refused("POST", "/partners/contoso/suspend?dry_run=true")["code"] == "request_invalid"
    assert api.get("/partners/contoso")["state"] == "active"


def test_what_was_sent_is_never_repeated(api: Api):
    """A secret in the wrong place does not come back, nor into the answer's texts."""
    secret = "tg_key-abc_0123456789"
    bodies = [{"operator": secret, "name": 5, "expires_at": secret}, {"value": secret}, {"operator": [secret]}]
    for body in bodies:
        assert secret not in api.ask("POST", "/admin-keys", json=body).text


def test_a_slow_body_gains_nothing(api: Api, monkeypatch: pytest.MonkeyPatch):
    """What counts is when it is done: a key that has ended meanwhile changes nothing; nothing is dated back."""

    def slowly(seconds: int) -> None:
        async def read(request: Request, *, wants_body: bool) -> Request:
            api.clock.now += seconds
            return await read_request(request, wants_body=wants_body)

        monkeypatch.setattr(route, "read_request", read)

    slowly(3_600)
    assert api.make("/partners", name="Fabrikam")["created_at"] == format_instant(NOW + 3_600)
    monkeypatch.undo()
    assert api.get("/audit?order=newest&limit=1")["items"][0]["at"] == format_instant(NOW + 3_600)

    slowly(LATER - NOW)
    for headers in (JSON, JSON | {"Idempotency-Key": "k"}):
        api.clock.now = NOW
        problem = api.refused("POST", "/partners", content=b'{"name": "Contoso"}', headers=headers)
        assert problem["code"] == "admin_key_refused"
