"""`tenantgate migrate`: make the database, or bring it to the schema of this version."""

from __future__ import annotations

import secrets

import typer

from tenantgate.cli.office import Database, address_in, errors_told, settings_with
from tenantgate.cli.output import Json, print_json
from tenantgate.registry.engine import open_engine
from tenantgate.registry.ids import random_ids
from tenantgate.registry.migrations import current_revision, head_revision
from tenantgate.registry.migrations import migrate as bring_up

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def migrate(database: Database = None, as_json: Json = False) -> None:
    """Make the database, or bring it to the schema of this version. Harmless where there is nothing to do."""
    with errors_told():
        engine = open_engine(address_in(settings_with(database)))
        try:
            before = current_revision(engine)
            after = bring_up(engine, epoch=random_ids(secrets.token_bytes)("epoch"))
        finally:
            engine.dispose()
    if as_json:
        print_json({"before": before, "after": after})
    elif after != head_revision():
        typer.echo(f"The database has schema {after}, made by a newer version; this one works with it as it is.")
    elif before == after:
        typer.echo(f"The database has schema {after} already.")
    else:
        typer.echo(f"The database now has schema {after}.")
