"""`tenantgate master-key`: what the product's own keys are sealed under."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from tenantgate.cli.office import Database, Office, office
from tenantgate.cli.output import Json, print_json
from tenantgate.cli.product_key import master_key_of
from tenantgate.registry import product_keys
from tenantgate.registry.key_opening import next_master_key
from tenantgate.registry.master_key import MasterKey, new_master_key, read_master_key, take_next
from tenantgate.settings import SettingsError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def master_key() -> None:
    """What the product's own keys are sealed under: TENANTGATE_MASTER_KEY, or a file beside the SQLite database."""


@app.command()
def create() -> None:
    """Print a fresh master key, for where you keep secrets. It is stored nowhere."""
    typer.echo(new_master_key(secrets.token_bytes))


@app.command()
def rotate(
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Where the new one stands, a file of mode 0600: see `create`."),
    ] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Seal every key in the database under another master key, all of them or none.

    One that is kept in the file beside an SQLite database is replaced there by a new one. Where TENANTGATE_MASTER_KEY
    gives it, --to names the file with the new one. Servers that run go on; afterwards start each again with it.
    """
    with office(database) as desk:
        old = master_key_of(desk)
        new, file = _new_key(desk, to)
        with desk.changing() as work:
            count = product_keys.seal_anew(work, old, new, random_bytes=desk.random_bytes)
        if file is not None:
            take_next(file)
    if as_json:
        print_json({"sealed": count, "file": str(file) if file is not None else None})
    else:
        typer.echo(f"{count} keys are sealed under the new master key. Start every server again with it.")


def _new_key(desk: Office, to: Path | None) -> tuple[MasterKey, Path | None]:
    """Return the key to come, and the file that is to hold it."""
    settings = desk.settings
    if settings.given_master_key is None and settings.master_key_file is not None:
        if to is not None:
            raise SettingsError(f"--to goes with TENANTGATE_MASTER_KEY; here the key is in {settings.master_key_file}")
        return next_master_key(settings.master_key_file, desk.random_bytes), settings.master_key_file
    if to is None:
        raise SettingsError("--to is needed: where does the new master key stand?")
    found = read_master_key(to)
    if found is None:
        raise SettingsError(f"--to: there is no file {to}")
    return found, None
