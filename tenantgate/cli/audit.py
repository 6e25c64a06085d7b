"""`tenantgate audit`: who did what, and the proof that nobody changed it."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated, Literal

import typer

from tenantgate.admin.audit_text import as_lines, as_table
from tenantgate.admin.csv_text import csv_lines
from tenantgate.admin.shapes_access import COLUMNS as HELD
from tenantgate.admin.shapes_access import HeldOut
from tenantgate.admin.shapes_admin import AuditEntryOut, ChainOut
from tenantgate.cli.moments import moment
from tenantgate.cli.office import Database, office, told
from tenantgate.cli.output import Json, Limit, print_json, print_table, show_list
from tenantgate.registry.access import held_at
from tenantgate.registry.audit import export as export_entries
from tenantgate.registry.audit import list_ as list_entries
from tenantgate.registry.audit import verify_chain

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

_SHOWN = (
    "partner",
    "daemon",
    "resource",
    "role",
    "expires_at",
    "granted_by",
    "approved_by",
    "granted_at",
    "reason",
    "counted",
)
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
def export(
    form: Annotated[
        Literal["jsonl", "csv"], typer.Option("--format", help="jsonl has all there is; csv is for a table.")
    ] = "jsonl",
    after: Annotated[int, typer.Option("--after", min=0, max=2**62, metavar="N", help="Only entries after this.")] = 0,
    since: Annotated[
        int | None, typer.Option("--since", parser=moment, metavar="TIME", help="Only from this time on.")
    ] = None,
    until: Annotated[
        int | None, typer.Option("--until", parser=moment, metavar="TIME", help="Only before this time.")
    ] = None,
    database: Database = None,
) -> None:
    """Write out what was done, oldest first.

    In jsonl a line is an entry: the text its hash is over, byte for byte, and the hash as one more member at its end.
    """
    write = as_table if form == "csv" else as_lines
    with office(database) as desk, desk.reading() as session:
        found = export_entries(session, after=after, since=since, until=until)
        with closing(found):
            sys.stdout.writelines(write(found))


@app.command()
def access(
    as_of: Annotated[
        int | None, typer.Option("--as-of", parser=moment, metavar="TIME", help="At that moment; now where left out.")
    ] = None,
    partner: Annotated[str | None, typer.Option("--partner", metavar="ID", help="Only this partner's.")] = None,
    resource: Annotated[str | None, typer.Option("--resource", metavar="ID", help="Only roles of this.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Show who held which role at a moment, granted and approved by whom and why, as the audit knows it.

    `counted` is no where daemon, tenant or partner was suspended or had ended: the role let nobody in then.
    """
    with office(database) as desk, desk.reading() as session:
        found = held_at(session, desk.now if as_of is None else as_of, partner=partner, resource=resource)
    rows = [HeldOut.model_validate(each).model_dump(mode="json") for each in found]
    if as_json:
        print_json(rows)
    elif as_csv:
        sys.stdout.writelines(csv_lines(HELD, rows))
    else:
        print_table(_SHOWN, rows)


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
