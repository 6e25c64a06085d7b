"""`tenantgate sign-in-link`: let an operator into the page."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.wire import format_instant
from tenantgate.cli.office import Database, office, public_url
from tenantgate.cli.output import Json, print_json
from tenantgate.registry import sessions
from tenantgate.web.links import sign_in_address

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def sign_in_link() -> None:
    """Links that sign an operator in on the page, once."""


@app.command()
def create(
    operator: Annotated[str, typer.Option("--operator", metavar="ID", help="Who signs in; `operator list` shows ids.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Print a link that signs the operator in once, within ten minutes.

    It leads to TENANTGATE_PUBLIC_URL, else to TENANTGATE_BIND (127.0.0.1:8440 where nothing is said).
    """
    with office(database) as desk:
        address = public_url(desk.settings)
        with desk.changing() as work:
            made = sessions.create_link(work, operator, random_bytes=desk.random_bytes)
    url, ends = sign_in_address(address, made.code), format_instant(made.row.expires_at)
    if as_json:
        print_json({"id": made.row.id, "operator": made.row.operator, "url": url, "expires_at": ends})
        return
    typer.echo(url)
    typer.echo(f"Signs operator {made.row.operator} in once, until {ends}.", err=True)
