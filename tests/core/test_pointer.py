"""Where a claim stands: a name, or a JSON Pointer, parsed once and followed safely (RFC 6901)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantgate.core.pointer import ABSENT, MAX_STEPS, find, parse_pointer, texts
from tenantgate.core.policy import PolicyError

PAYLOAD = {
    "azp": "sync",
    "realm_access": {"roles": ["a", "b"]},
    "resource_access": {"orders/api": {"roles": ["c"]}, "a~b": 1, "": 2},
    "kubernetes.io": {"namespace": "orders", "serviceaccount": {"uid": "u"}},
    "kubernetes.io/serviceaccount/service-account.uid": "old",
    "null": None,
    "https://orders.example/claim": 7,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("azp", "sync"),
        ("/azp", "sync"),
        ("kubernetes.io", PAYLOAD["kubernetes.io"]),
        ("/kubernetes.io/serviceaccount/uid", "u"),
        ("/realm_access/roles", ["a", "b"]),
        ("/resource_access/orders~1api/roles", ["c"]),
        ("/resource_access/a~0b", 1),
        ("kubernetes.io/serviceaccount/service-account.uid", "old"),
        ("/kubernetes.io~1serviceaccount~1service-account.uid", "old"),
        ("https://orders.example/claim", 7),
        ("null", None),
    ],
)
def test_a_place_is_a_name_or_a_pointer(text: str, value: Any):
    """Dots and slashes of real claim names are read in one way only."""
    assert find(PAYLOAD, parse_pointer(text, "claim")) == value


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "realm_access.roles",
        "/realm_access/roles/0",
        "/azp/0",
        "/azp/s",
        "/null/x",
        "/resource_access/orders/api/roles",
        "/resource_access/orders~01api/roles",
        "/kubernetes/io/namespace",
        "/realm_access/Roles",
    ],
)
def test_what_is_not_there_is_absent(text: str):
    """No guessing: dots are no path, lists are not walked, a string has no parts."""
    assert find(PAYLOAD, parse_pointer(text, "claim")) is ABSENT


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "text_empty"),
        ("/", "pointer_malformed"),
        ("//azp", "pointer_malformed"),
        ("/azp/", "pointer_malformed"),
        ("/a~2b", "pointer_malformed"),
        ("/a~", "pointer_malformed"),
        ("/a" * (MAX_STEPS + 1), "pointer_malformed"),
        ("/a\nb", "text_not_allowed"),
        ("x" * 257, "text_too_long"),
    ],
)
def test_what_cannot_be_a_place_is_refused(text: str, code: str):
    """A place that could never be followed is refused when the policy is written, naming the member."""
    with pytest.raises(PolicyError) as caught:
        parse_pointer(text, "roles_claim")

    assert (caught.value.code, caught.value.path) == (code, "roles_claim")


def test_the_longest_place_is_read():
    """As many names as may be are not too many."""
    assert parse_pointer("/a" * MAX_STEPS, "claim") == ("a",) * MAX_STEPS


def test_tilde_one_is_read_before_tilde_zero():
    """`~01` is `~1`, never `/` (RFC 6901 §4)."""
    assert parse_pointer("/a~01b", "claim") == ("a~1b",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), st.lists(st.text(max_size=3), min_size=1, max_size=8))
def test_following_never_fails(payload: dict[str, Any], steps: list[str]):
    """Whatever an issuer signs, the answer is a value of the payload or ABSENT."""
    value = find(payload, tuple(steps))

    expected: Any = payload
    for step in steps:
        expected = expected.get(step, ABSENT) if isinstance(expected, dict) else ABSENT
    assert value is expected


@pytest.mark.parametrize(
    ("value", "separator", "found"),
    [
        (ABSENT, None, ()),
        (None, None, ()),
        ("a b", None, ("a b",)),
        ("a  b", " ", ("a", "b")),
        ("a\tb c", " ", ("a\tb", "c")),
        (["a", True, 7, None, ["b"], {"c": 1}, 1.5], None, ("a", "true", "7")),
        (False, None, ("false",)),
        ({"a": 1}, " ", ()),
    ],
)
def test_texts_of_a_value(value: Any, separator: str | None, found: tuple[str, ...]):
    """A claim is one text, or those of its list; what is no text is none."""
    assert texts(value, separator) == found
