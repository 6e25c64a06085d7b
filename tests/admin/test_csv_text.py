"""CSV that can be read back, and that no spreadsheet runs."""

from __future__ import annotations

import csv
import io

import pytest

from tenantgate.admin.csv_text import cell, csv_lines


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "=cmd|' /C calc'!A0", "\uff1d1+1", "\uff20x", "-"],
)
@pytest.mark.threat(53)
def test_a_formula_is_text(text: str):
    """CWE-1236: a partner's name must not run on the officer's machine."""
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "Contoso", "a=b", "2031-01-31T00:00:00Z", "'quoted'", " =1", "a; b", "a;b-c", "a,=1", "a\nb"]
)
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


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "text",
    [
        "x;=cmd|' /C calc'!A0",
        "x\t+1",
        "x\n@SUM(A1)",
        "x\r\n-1",
        "\t=1",
        ";;\uff1d1",
        'x;"=1&"',
        'x;""=1',
        {"reason": "x;=1"},
    ],
)
@pytest.mark.threat(53)
def test_no_formula_begins_within_a_cell(text: object, separator: str):
    """A spreadsheet that separates by semicolons or tabs sees several where we wrote one, quotes or not."""
    written = "".join(csv_lines(("a", "b"), [{"a": "Contoso", "b": text}, {"a": text, "b": "Contoso"}]))
    cells = [each for row in csv.reader(io.StringIO(written, newline=""), delimiter=separator) for each in row]
    assert [each for each in cells if each[:1] in {*"=+-@\uff1d\uff0b\uff0d\uff20"}] == []


def test_whatever_somebody_separates_by_is_quoted():
    """Also what RFC 4180 leaves as it is."""
    texts = ["a;b", "a\tb", "a,b", 'a"b', "a\rb", "a\nb", "a b"]
    written = [line for text in texts for line in csv_lines(("n",), [{"n": text}])][1::2]
    assert written == ['"a;b"\r\n', '"a\tb"\r\n', '"a,b"\r\n', '"a""b"\r\n', '"a\rb"\r\n', '"a\nb"\r\n', "a b\r\n"]
