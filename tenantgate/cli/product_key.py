"""`tenantgate product-key`: the keys that the product makes for itself, and new versions of them."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.wire import format_instant
from tenantgate.cli.office import Database, Office, office
from tenantgate.cli.output import Json, print_json, print_table
from tenantgate.registry import product_keys
from tenantgate.registry.key_opening import open_master_key
from tenantgate.registry.master_key import MasterKey
from tenantgate.registry.product_keys import KeyName

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("name", "version", "created_at", "created_by")


@app.callback()
def product_key() -> None:
    """Keys that the product makes for itself, the same for every server of a database. None is ever shown."""


@app.command("list")
def list_(database: Database = None, as_json: Json = False) -> None:
    """List every version of every key: when it was made, and by whom."""
    with office(database) as desk, desk.reading() as session:
        rows = [
            row.model_dump(include=set(COLUMNS)) | {"created_at": format_instant(row.created_at)}
            for row in product_keys.list_(session)
        ]
    if as_json:
        print_json({"items": rows})
    else:
        print_table(COLUMNS, rows)


@app.command()
def rotate(
    name: Annotated[KeyName, typer.Argument(help="Which key.")],
    forget_older: Annotated[
        bool, typer.Option("--forget-older", help="End what older versions signed: with session, who is signed in.")
    ] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Make a new version of a key: it signs from now on, within half a minute on every server.

    What older versions signed stays good, unless --forget-older. Needs the master key, as `serve` does.
    """
    with office(database) as desk:
        master = master_key_of(desk)
        with desk.changing() as work:
            made = product_keys.add_version(work, master, name, random_bytes=desk.random_bytes)
            several = forget_older and made.version > 1
            forgotten = product_keys.forget_older(work, name) if several else 0
    if as_json:
        print_json({"name": name, "version": made.version, "forgotten": forgotten})
    else:
        typer.echo(f"The key {name} has version {made.version} now; {forgotten} older ones were forgotten.")


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Everybody who is signed in signs in again: that is meant.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Forget every key, where the master key is lost for good. The next start of a server makes new ones."""
    if not yes:
        raise typer.BadParameter("say --yes")
    with office(database) as desk, desk.changing() as work:
        forgotten = product_keys.forget_all(work)
    if as_json:
        print_json({"forgotten": forgotten})
    else:
        typer.echo(f"{forgotten} keys were forgotten. Start every server again.")


def master_key_of(desk: Office) -> MasterKey:
    """Return the master key of the desk's database. Raises MasterKeyError."""
    settings = desk.settings
    return open_master_key(desk.engine, settings.given_master_key, settings.master_key_file, desk.random_bytes)
