"""Reading forms: bounded, urlencoded, clear about what it does not take."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantgate.web.errors import FormRefused
from tenantgate.web.forms import LARGEST_BODY, MOST_FIELDS, end_of_day, parse_form
from tests.web.world import Browser, World, fabrikam

URLENCODED = "application/x-www-form-urlencoded"


@given(st.binary(max_size=300))
def test_any_body_is_a_form_or_refused(body: bytes):
    """Whatever is sent ends in a form or in the one refusal."""
    with contextlib.suppress(FormRefused):
        form = parse_form(body)
        assert isinstance(form.text("a"), str)
        assert "" not in form.texts("a")


@pytest.mark.parametrize(
    "body", [b"a=%FF", b"a=\xff", b"a=%ED%A0%80", b"&".join(b"a=1" for _ in range(MOST_FIELDS + 1))]
)
def test_malformed_body_is_refused(body: bytes):
    """What is not UTF-8, not ASCII outside, or too many fields, is not guessed at."""
    with pytest.raises(FormRefused):
        parse_form(body)


def test_fields_are_tidied():
    """Line feeds alone, no white space around; what is not there is empty; a repeated field keeps its order."""
    form = parse_form(b"a=+x%0D%0Ay+&r=2&r=1&r=2&r=")
    assert (form.text("a"), form.text("b"), form.texts("r"), form.texts("b")) == ("x\ny", "", ("2", "1"), ())


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        (URLENCODED, b"x=" + b"a" * LARGEST_BODY, 413, "form_too_large"),
        ("multipart/form-data; boundary=x", b"--x--", 415, "form_type_unknown"),
        ("application/json", b"{}", 415, "form_type_unknown"),
        ("text/plain", b"csrf=x", 415, "form_type_unknown"),
        ("", b"csrf=x", 415, "form_type_unknown"),
        (URLENCODED, b"csrf=%FF", 400, "form_malformed"),
    ],
)
def test_body_that_is_no_form_of_ours(operator: Browser, content_type: str, body: bytes, status: int, code: str):
    """A body of another type, too large or malformed is a clear page, before anything else is looked at."""
    headers = {"Content-Type": content_type, "Sec-Fetch-Site": "same-origin"}
    for path in ("/sign-in", "/onboard", "/partners/contoso/suspend"):
        answer = operator.client.post(path, content=body, headers=headers)
        assert answer.status_code == status
        assert code in answer.text


def test_endless_body_is_cut_off(operator: Browser):
    """A body without a length is read no further than a form may be long."""
    read = 0

    def chunks():
        nonlocal read
        for _ in range(10_000):
            read += 1
            yield b"a" * 1_024

    headers = {"Content-Type": URLENCODED, "Sec-Fetch-Site": "same-origin"}
    assert operator.client.post("/sign-in", content=chunks(), headers=headers).status_code == 413


def test_longest_form_fits(world: World):
    """Every field at its limit, in letters of four bytes, is taken."""
    fields = fabrikam(name="\U0001f600" * 200, reason="\U0001f600" * 500)
    assert world.signed_in().submit("/onboard", **fields).status_code == 303


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("1970-01-01", 86_400),
        ("2024-02-29", 1_709_251_200),
        ("2030-12-31", 1_924_992_000),
        ("9999-12-31", None),
        ("2023-02-29", None),
        ("20301231", None),
        ("2030-W01-1", None),
        ("2030-1-1", None),
        ("٢٠٣٠-١٢-٣١", None),
        ("2030-12-31\n", None),
        ("", None),
    ],
)
def test_day_ends_with_its_last_moment(text: str, end: int | None):
    """A last day counts whole: access ends at the first moment of the next, UTC."""
    assert end_of_day(text) == end
