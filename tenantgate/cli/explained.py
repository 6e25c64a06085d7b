"""Prints an explanation for people: the steps as a table, then what it comes to. Nothing in it is markup."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from textwrap import indent

import typer

from tenantgate.core.rendering import OperatorView, PartnerView
from tenantgate.core.stands import Fix, Stand
from tenantgate.core.trace import TraceStep

_WIDE = 200  # in a pipe or a log a line must not be folded
_MARKS = {True: "ok", False: "NO", None: "?"}


def print_for_partner(view: PartnerView) -> None:
    """Print what may be sent to whoever runs the daemon."""
    _print_steps(view.steps)
    typer.echo(_verdict(view.code, view.status, view.code))
    for text in (view.text, view.advice):
        if text:
            typer.echo(text)


def print_for_operator(view: OperatorView, *, from_file: bool) -> None:
    """Print everything. `from_file`: what is missing is shown as rows of a policy file, too."""
    _print_steps(view.steps)
    typer.echo(_verdict(view.reason, view.status, view.code))
    typer.echo(view.meaning)
    for who, text in (("partner", view.partner), ("publisher", view.publisher)):
        if text:
            typer.echo(f"{who}: {text}")
    typer.echo("\nwhat stands:")
    _print_stands(view.stands)
    if view.next is not None:
        _print_next(view.next, from_file=from_file)


def _verdict(reason: str | None, status: int, code: str | None) -> str:
    if reason is None:
        return "granted"
    return f"denied: {reason} ({status})" if reason == code else f"denied: {reason} ({status} {code})"


def _print_steps(steps: Sequence[TraceStep]) -> None:
    if not steps:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_lines=False)
    for title in ("step", "", "expected", "got"):
        table.add_column(title, overflow="fold")
    for step in steps:
        # As text: what stands in a token's claim must not be read as markup.
        table.add_row(step.name, _MARKS[step.passed], Text(step.expected), Text(step.received))
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE
    Console(width=wide, highlight=False, emoji=False).print(table)


def _print_stands(stands: Sequence[Stand]) -> None:
    wide = max((len(each.name) for each in stands), default=0)
    for each in stands:
        typer.echo(f"  {_MARKS[each.stands]:2} {each.name:{wide}}  {each.detail}")


def _print_next(fix: Fix, *, from_file: bool) -> None:
    typer.echo(f"\nnext: {fix.text}")
    if fix.command:
        typer.echo(indent(fix.command, "  "))
    if from_file and fix.rows:
        typer.echo("or in the policy file:")
        typer.echo(indent(fix.rows, "  "))
