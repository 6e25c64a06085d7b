"""What the commands print: tables for people, one JSON document with `--json`.

The JSON is what the REST API answers, member by member; what a change made has `revision` beside it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tenantgate.admin.wire import Out

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDE: Final = 200
"""Columns where nobody says how wide the paper is: a table in a pipe or a log must not be folded."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, metavar="N", help="How many at most.")]
Cursor = Annotated[str | None, typer.Option("--cursor", metavar="TEXT", help="Go on where the page before ended.")]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="NAME", help="In this order: id, created_at, updated_at …; -NAME: the other way."),
]
Search = Annotated[
    str | None, typer.Option("--search", metavar="TEXT", help="Only what begins so: ids, names, client ids, tids.")
]


def print_json(document: Any) -> None:
    """Print one JSON document, in UTF-8 wherever standard output leads."""
    typer.echo((json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode(), nl=False)


def show(thing: Out, *, as_json: bool) -> None:
    """Print one thing."""
    print_row(thing.model_dump(mode="json"), as_json=as_json)


def show_change(thing: Out, revision: int | None, *, as_json: bool) -> None:
    """Print what a change made, with the revision of the policy that has it (None: no policy)."""
    print_row({**thing.model_dump(mode="json"), "revision": revision}, as_json=as_json)


def show_list(things: Iterable[Out], after: object, columns: Sequence[str], *, as_json: bool) -> None:
    """Print a page of a list; in the table only `columns`, and below it how to go on."""
    rows = [thing.model_dump(mode="json") for thing in things]
    cursor = None if after is None else str(after)
    if as_json:
        print_json({"items": rows, "next": cursor})
        return
    print_table(columns, rows)
    if cursor is not None:
        typer.echo(f"There are more: --cursor {cursor}", err=True)


def print_row(row: dict[str, Any], *, as_json: bool) -> None:
    """Print the members of one thing below each other."""
    if as_json:
        print_json(row)
        return
    from rich.table import Table

    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in row.items():
        table.add_row(name, _cell(value))
    _console().print(table)


def print_table(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Print things as a table of these members."""
    from rich.table import Table

    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in columns))
    _console().print(table)


def print_blocks(columns: Sequence[str], rows: Iterable[dict[str, Any]], *, width: int) -> None:
    """Print things as a table where it has room for `width` columns of text, else each as lines of name and value.

    A table that is too narrow breaks what people want to copy.
    """
    if _console().width >= width:
        print_table(columns, rows)
        return
    longest = max(map(len, columns))
    for row in rows:
        told = [(name, str(_cell(row[name]))) for name in columns]
        typer.echo("\n".join(f"{name:<{longest}}  {value}" for name, value in told if value) + "\n")


def clear_screen() -> None:
    """Begin at the top of a terminal; a pipe or a file gets one table after the other."""
    _console().clear()


def _console() -> Console:
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE
    return Console(width=wide)


def _cell(value: Any) -> Text:
    from rich.text import Text

    # Text, not str: a name in square brackets is a name, not a style. What a terminal would obey is replaced.
    return Text("".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in _words(value)))


def _words(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
