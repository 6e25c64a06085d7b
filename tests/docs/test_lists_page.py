"""What `docs/rest-api.md` says of lists is what the API takes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "rest-api.md").read_text()
PATHS: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
BASE = "/api/v1"
EVERYWHERE = frozenset({"cursor", "limit", "sort", "search"})
APART = frozenset({"/audit", "/decisions"})
"""Lists with an order of their own."""


def parameters(path: str) -> dict[str, Any]:
    """The query parameters of a list, by name."""
    found = PATHS[BASE + path]["get"].get("parameters", [])
    return {each["name"]: each for each in found if each["in"] == "query"}


def lists() -> set[str]:
    """The paths of all lists of things of their own."""
    paths = (path.removeprefix(BASE) for path in PATHS if path.startswith(BASE) and "{" not in path)
    return {path for path in paths if "get" in PATHS[BASE + path] and "cursor" in parameters(path)} - {"/access"}


def rows() -> dict[str, list[str]]:
    """Path → the cells of its row in the table of lists."""
    table = PAGE.partition("| list | `sort=`")[2].partition("\n\n")[0]
    cells = [[each.strip() for each in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {"/" + row[0].partition(" (")[0].replace(" ", "-"): row for row in cells}


def test_every_list_has_its_row():
    """And every row its list."""
    assert set(rows()) == lists() - APART


@pytest.mark.parametrize("path", sorted(lists() - APART))
def test_orders_and_filters_are_those_of_the_api(path: str):
    """Each order, by its name; each filter; and every such list is searched."""
    name, sorts, search, filters = rows()[path]
    ways = {way for way in parameters(path)["sort"]["schema"]["enum"] if way is not None}
    usual = {"id", "created_at", "updated_at"}
    missing = {"created_at", "updated_at"} if "without both" in name else set(re.findall("`([a-z_]+)`", name))
    said = usual - missing | set(re.findall("`([a-z_]+)`", sorts))
    assert ways == said | {f"-{way}" for way in said}
    assert search
    assert "search" in parameters(path)
    named = set(re.findall("`([a-z_]+)`", re.sub(r"\(.*?\)", "", filters)))
    assert named == set(parameters(path)) - EVERYWHERE


@pytest.mark.parametrize("path", sorted(APART))
def test_lists_with_an_order_of_their_own_say_their_filters(path: str):
    """The audit and decisions."""
    text = PAGE.partition("The audit counts by")[2].partition("\n\n")[0]
    told = set(re.findall("`([a-z_]+)`", text.partition("; decisions")[2 * (path == "/decisions")]))
    assert set(parameters(path)) - EVERYWHERE - {"order"} <= told
