"""`docs/denials.md` and the table of refusals tell the same story."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tenantgate.core.decision import DenialReason, PublicCode
from tenantgate.core.refusals import CODES, REFUSALS
from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "denials.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?m)^### `([a-z_]+)`\n\n((?:(?!#).*\n?)+)", PAGE))


def plain(text: str) -> str:
    """Return a text with its line breaks as spaces."""
    return " ".join(text.split())


def given_by_code(reason: DenialReason) -> bool:
    """Whether any module but the two tables names a reason."""
    tables = {ROOT / "tenantgate" / "core" / name for name in ("decision.py", "refusals.py")}
    named = re.compile(rf"\b(R|DenialReason)\.{reason.name}\b")
    return any(named.search(_text(path)) for path in (ROOT / "tenantgate").rglob("*.py") if path not in tables)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_reason_has_its_heading_in_order():
    """Each reason is a heading on the page, once, in the order of the enum, and there is no other."""
    headings = re.findall(r"(?m)^### (.*)$", PAGE)

    assert headings == [f"`{reason.value}`" for reason in DenialReason]


@pytest.mark.parametrize("reason", list(DenialReason))
def test_a_section_agrees_with_the_table(reason: DenialReason):
    """Public code, status and meaning are those of the table."""
    row = REFUSALS[reason]
    section = plain(SECTIONS[reason.value])

    assert section.startswith(f"`{row.code.value}`, {CODES[row.code].status}.")
    assert row.meaning in section


@pytest.mark.parametrize("reason", list(DenialReason))
def test_a_section_tells_both_what_to_do(reason: DenialReason):
    """Partner and publisher each have a line, and the section stays short."""
    section = SECTIONS[reason.value]

    assert section.count("- *Partner:* ") == section.count("- *Publisher:* ") == 1
    assert section.index("- *Partner:*") < section.index("- *Publisher:*")
    assert len(section.strip().splitlines()) <= 8
    assert all(len(line) <= 120 for line in section.splitlines())


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
