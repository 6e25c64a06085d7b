"""What a look at something found, a line a step and below it what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import typer

from tenantgate.cli.output import print_json
from tenantgate.discovery.probe import Finding

_MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}


def show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print findings; end the command with status 1 where a step failed."""
    if as_json:
        print_json([msgspec.to_builtins(each) for each in findings])
    else:
        for each in findings:
            say(each.state, f"{each.document} {each.step}", each.detail, each.code, each.advice)
    if any(each.state == "failed" for each in findings):
        raise typer.Exit(1)


def say(state: str, step: str, detail: str, code: str | None = None, advice: str | None = None) -> None:
    """Print one finding."""
    named = f" [{code}]" if code is not None else ""
    typer.echo(_visible(f"{_MARKS[state]}  {step:<14} {detail}{named}"))
    if advice is not None:
        typer.echo(_visible(f"{'':9}{'':<14} → {advice}"))


def _visible(text: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
