"""CSV that can be read back, and that no spreadsheet runs."""

from __future__ import annotations

import csv
import io

import pytest

from tenantgate.admin.csv_text import cell, csv_lines


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "\uff1d1+1", "\uff20x", "-"],
)
@pytest.mark.threat(53)
def test_a_formula_is_text(text: str):
    """CWE-1236: a partner's name must not run on the officer's machine."""
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Contoso", "a=b", "2031-01-31T00:00:00Z", "'quoted'", " =1"])
def test_other_texts_stay(text: str):
    """Nothing else is changed."""
    assert cell(text) == text


def test_values_that_are_no_text():
    """Nothing, numbers, booleans and objects, as JSON has them."""
    assert [cell(each) for each in (None, 7, True, {"name": "Ω"})] == ["", "7", "true", '{"name": "Ω"}']


def test_what_is_written_is_read_back():
    """Separators, quotes and line feeds inside of cells; a header also where there is no row."""
    rows = [{"a": 'x,"y"', "b": "two\nlines"}, {"a": "", "b": "Ω 🙂"}]
    text = "".join(csv_lines(("a", "b"), rows))
    assert list(csv.DictReader(io.StringIO(text, newline=""))) == rows
    assert "".join(csv_lines(("a", "b"), [])) == "a,b\r\n"
