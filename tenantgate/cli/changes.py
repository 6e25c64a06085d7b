"""Changes by commands: what is named becomes so, `--clear` unsets, the rest stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

Clear = Annotated[
    list[str] | None, typer.Option("--clear", metavar="MEMBER", help="Unset a member, as ends_at or notes. Several.")
]


def members_of(
    given: Mapping[str, Any], clear: list[str] | None = None, unset: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the members that are to be different. `unset` is what can be cleared, and what it is then.

    Raises:
        typer.BadParameter: nothing is to be different, or a member is given and cleared, or cannot be cleared.
    """
    members = {name: value for name, value in given.items() if value not in (None, [])}
    members = {name: tuple(value) if isinstance(value, list) else value for name, value in members.items()}
    for name in clear or ():
        if name not in (unset or {}):
            raise typer.BadParameter(f"must be one of {', '.join(unset or {})}", param_hint="--clear")
        if name in members:
            raise typer.BadParameter(f"{name} is given and cleared", param_hint="--clear")
        members[name] = (unset or {})[name]
    if not members:
        raise typer.BadParameter("say what is to be different", param_hint="options")
    return members
