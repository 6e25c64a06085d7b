"""The page of all commands, written from themselves: `python -m tenantgate.cli.reference > docs/commands.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any, Final

import typer

from tenantgate.cli.app import COMMANDS, app

INTRODUCTION: Final = """\
# Commands

Every command and option of `tenantgate`, written from the program itself (`python -m tenantgate.cli.reference`).
Commands that work on the registry take the database from `--database` or `TENANTGATE_DATABASE_URL`
([configuration](configuration.md)). What goes wrong is one line `code: message` on standard error; the exit status is
then 1, or 2 where the call itself cannot be used.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command by its whole name, in the order of `tenantgate --help`."""
    root = typer.main.get_command(app)
    context = root.make_context("tenantgate", [], resilient_parsing=True)
    for name in COMMANDS:
        found: Any = root.get_command(context, name)  # type: ignore[attr-defined]
        inner = getattr(found, "commands", None)
        if inner is None:
            yield name, found
            continue
        for below, command in inner.items():
            yield f"{name} {below}", command


def page() -> str:
    """Return the whole page."""
    return INTRODUCTION + "".join(_section(name, command) for name, command in commands())


def _section(name: str, command: Any) -> str:
    lines = ["", f"## tenantgate {name}", "", inspect.cleandoc(command.help or "")]
    options = [each for each in command.params if "--help" not in each.opts]
    if options:
        lines += ["", *(_option(each) for each in options)]
    return "\n".join(lines) + "\n"


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if option.param_type_name == "argument":
        names = f"`{(option.metavar or option.name).upper()}`"
    needed = " Needed." if option.required else ""
    return f"- {names}: {getattr(option, 'help', None) or 'which one.'}{needed}"


if __name__ == "__main__":
    sys.stdout.write(page())
