"""`tenantgate whoami`: in whose name commands work here."""

from __future__ import annotations

from typing import Final

import typer

from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Json, print_json

app = typer.Typer(add_completion=False, rich_markup_mode=None)

WHY: Final = "whoever may write the database administers it; commands act in the name of this machine's user"


@app.command()
def whoami(database: Database = None, as_json: Json = False) -> None:
    """Show in whose name commands work on the registry, as what, and why; the audit has that name.

    Who comes with an admin key is told by `GET /api/v1/me`.
    """
    with office(database) as desk:
        me = {"operator": desk.actor.operator_id, "scheme": desk.actor.scheme, "role": "Admin", "why": WHY}
    if as_json:
        print_json(me)
        return
    for name, value in me.items():
        typer.echo(f"{name:<9} {value}")
