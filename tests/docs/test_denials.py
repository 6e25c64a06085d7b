"""`docs/denials.md` is the table of refusals, for people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tenantgate.cli.denials import page
from tenantgate.core.advice import HINTS
from tenantgate.core.decision import DenialReason, PublicCode
from tenantgate.core.refusals import CODES, REFUSALS
from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "denials.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?m)^### `([a-z_]+)`\n\n((?:(?!#).*\n?)+)", PAGE))


def plain(text: str) -> str:
    """Return a text with its line breaks as spaces."""
    return " ".join(text.split())


EXPLAIN = re.compile(r"(decision|token_refusals|caller_refusals|hints\w*|stands|rendering|denials)\.py")


def given_by_code(reason: DenialReason) -> bool:
    """Whether any module names a reason but those that only explain."""
    named = re.compile(rf"\b(R|DenialReason)\.{reason.name}\b")
    return any(
        named.search(_text(path)) for path in (ROOT / "tenantgate").rglob("*.py") if not EXPLAIN.fullmatch(path.name)
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_reason_has_its_heading_in_order():
    """Each reason is a heading on the page, once, in the order of the enum, and there is no other."""
    headings = re.findall(r"(?m)^### (.*)$", PAGE)

    assert headings == [f"`{reason.value}`" for reason in DenialReason]


def test_the_page_is_what_the_table_says():
    """The committed page is the one written from the table (`python -m tenantgate.cli.denials`)."""
    assert page() == PAGE


@pytest.mark.parametrize("reason", list(DenialReason))
def test_a_section_has_the_code_and_both_sides(reason: DenialReason):
    """Code, status and meaning come first; partner and publisher each have a line; no line is wider than 120."""
    row = REFUSALS[reason]
    section = plain(SECTIONS[reason.value])
    partner, publisher = f"- *Partner:* {row.partner}", f"- *Publisher:* {row.publisher}"

    assert section.startswith(f"`{row.code.value}`, {CODES[row.code].status}.")
    assert section.index(row.meaning) < section.index(partner) < section.index(publisher)
    assert section.count("*Partner:*") == section.count("*Publisher:*") == 1
    assert all(len(line) <= 120 for line in SECTIONS[reason.value].splitlines())


@pytest.mark.parametrize("reason", list(HINTS))
def test_a_section_names_what_is_told_apart(reason: DenialReason):
    """Every case in which the advice is more exact is named."""
    section = plain(SECTIONS[reason.value])

    assert all(hint.when in section for hint in HINTS[reason])


@pytest.mark.parametrize("reason", list(DenialReason))
def test_reserved_means_that_nothing_gives_it(reason: DenialReason):
    """A reason is marked reserved exactly as long as no module gives it."""
    assert ("*Reserved.*" in SECTIONS[reason.value]) is not given_by_code(reason)


@pytest.mark.parametrize("code", list(PublicCode))
def test_the_table_of_public_codes_is_the_codes(code: PublicCode):
    """Status, OAuth error and public text of each code stand in the page's table."""
    answered = CODES[code]
    error = f"`{answered.oauth_error}`" if answered.oauth_error else "none"

    assert f"| `{code.value}` | {answered.status} | {error} | {answered.text} |" in PAGE


def test_the_table_has_no_other_row():
    """No code of the past stays in the table."""
    assert re.findall(r"(?m)^\| `([a-z_]+)` \|", PAGE) == [code.value for code in PublicCode]
