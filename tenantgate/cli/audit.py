"""`tenantgate audit`: who did what, and the proof that nobody changed it."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes_admin import AuditEntryOut, ChainOut
from tenantgate.cli.office import Database, office, told
from tenantgate.cli.output import Json, Limit, print_json, show_list
from tenantgate.registry.audit import list_ as list_entries
from tenantgate.registry.audit import verify_chain

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("sequence", "at", "operator", "scheme", "address", "action", "row_id", "revision")


@app.callback()
def audit() -> None:
    """Who did what, and the proof that nobody changed it."""


@app.command("list")
def list_(
    kind: Annotated[str | None, typer.Option("--kind", help="What it was done to, as partner.")] = None,
    row_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Only what was done to this.")] = None,
    operator: Annotated[str | None, typer.Option("--operator", metavar="ID", help="Only what they did.")] = None,
    oldest: Annotated[bool, typer.Option("--oldest", help="Oldest first.")] = False,
    limit: Limit = 50,
    cursor: Annotated[
        int | None, typer.Option("--cursor", min=0, max=2**62, metavar="N", help="Go on from here.")
    ] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List what was done, newest first."""
    with office(database) as desk, desk.reading() as session:
        page = list_entries(
            session,
            after=cursor,
            limit=limit,
            newest_first=not oldest,
            kind=kind,
            row_id=row_id,
            operator=operator,
        )
        show_list(map(AuditEntryOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command()
def verify(database: Database = None, as_json: Json = False) -> None:
    """Walk the whole chain of entries. Exit status 1: an entry was changed, removed or moved.

    Who can write the database can forge a whole new chain: compare the head with one kept elsewhere.
    """
    with office(database) as desk, desk.reading() as session:
        report = verify_chain(session)
    if as_json:
        print_json(ChainOut.model_validate(report).model_dump(mode="json"))
    elif report.sound:
        typer.echo(f"{report.entries} entries in order, head {report.head}")
    if not report.sound:
        raise told("audit_broken", f"entry {report.first_bad}: {report.problem}")
