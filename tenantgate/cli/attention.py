"""`tenantgate attention`: what needs a person."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes_attention import AttentionKind, attention_out
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Json, print_json, print_table
from tenantgate.registry import attention as found_by

app = typer.Typer(add_completion=False, rich_markup_mode=None)

COLUMNS = ("kind", "id", "text", "since", "until")


@app.command()
def attention(
    kind: Annotated[AttentionKind | None, typer.Option("--kind", help="Only items of this kind.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Show what needs a person: who asks to be let in, what ends within 30 days, what fails.

    Exit status: 0 nothing does, 1 something does.
    """
    with office(database) as desk, desk.reading() as session:
        shown = attention_out(found_by.read(session, now=desk.now), kind)
    if as_json:
        print_json(shown.model_dump(mode="json"))
    elif shown.items:
        print_table(COLUMNS, [item.model_dump(mode="json") for item in shown.items])
    else:
        typer.echo("Nothing needs you.")
    if shown.items:
        raise typer.Exit(1)
