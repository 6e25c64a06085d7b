"""docs/imports.md says of a file what the code does, and its example works."""

from __future__ import annotations

import re

from tenantgate.registry import imports
from tenantgate.registry.import_file import COLUMNS, LARGEST_FILE, MOST_LINES, read_file
from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "imports.md").read_text()


def test_every_column_is_described():
    """As the code describes it."""
    assert dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", PAGE, re.MULTILINE)) == COLUMNS


def test_limits_are_those_of_the_code():
    """Bytes, lines, pieces and days."""
    assert f"{LARGEST_FILE // 1024 // 1024} MiB and {MOST_LINES:,} lines" in PAGE
    assert f"pieces of {imports.BATCH} lines" in PAGE
    assert f"kept for {imports.KEPT // 86_400} days" in PAGE


def test_the_example_can_be_read():
    """It has a header that is known and a line of the same length."""
    (example,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    (row,) = read_file(example.encode())
    assert row.fault is None
    assert row.cell("partner") == "contoso"
