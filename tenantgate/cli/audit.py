"""`tenantgate audit`: who did what, and the proof that nobody changed it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from tenantgate.admin.shapes_admin import AuditEntryOut, ChainOut
from tenantgate.cli.moments import moment
from tenantgate.cli.office import Database, office, told
from tenantgate.cli.output import Json, Limit, print_json, print_table, show_list
from tenantgate.registry.access import Held, held_at, of_partner
from tenantgate.registry.audit import canonical, verify_chain
from tenantgate.registry.audit import export as export_entries
from tenantgate.registry.audit import list_ as list_entries
from tenantgate.registry.tables import AuditEntry

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

EXPORTED = (
    "sequence",
    "at",
    "operator",
    "scheme",
    "address",
    "request_id",
    "action",
    "kind",
    "row_id",
    "revision",
    "before",
    "after",
    "hash",
)
HELD = tuple(each.name for each in fields(Held))
_INSTANTS = ("not_before", "expires_at", "granted_at")
_SHOWN = ("partner", "daemon", "resource", "role", "expires_at", "granted_by", "granted_at", "reason", "counted")
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
    write = _write_csv if form == "csv" else _write_lines
    with office(database) as desk, desk.reading() as session:
        found = export_entries(session, after=after, since=since, until=until)
        with closing(found):
            write(found)


@app.command()
def access(
    as_of: Annotated[
        int | None, typer.Option("--as-of", parser=moment, metavar="TIME", help="At that moment; now where left out.")
    ] = None,
    partner: Annotated[str | None, typer.Option("--partner", metavar="ID", help="Only this partner's.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Show who held which role at a moment, granted by whom and why, as the audit knows it.

    `counted` is no where daemon, tenant or partner was suspended or had ended: the role let nobody in then.
    """
    with office(database) as desk, desk.reading() as session:
        found = held_at(session, desk.now if as_of is None else as_of)
    if partner is not None:
        found = list(of_partner(found, partner))
    rows = [{**asdict(each), **{name: _when(getattr(each, name)) for name in _INSTANTS}} for each in found]
    if as_json:
        print_json(rows)
    elif as_csv:
        table = csv.writer(sys.stdout)
        table.writerow(HELD)
        table.writerows([_cell(row[name]) for name in HELD] for row in rows)
    else:
        print_table(_SHOWN, rows)


def _when(moment: int | None) -> str | None:
    return None if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _write_lines(entries: Iterable[AuditEntry]) -> None:
    for entry in entries:
        sys.stdout.write(f'{canonical(entry)[:-1]},"hash":"{entry.hash}"}}\n')


def _write_csv(entries: Iterable[AuditEntry]) -> None:
    table = csv.writer(sys.stdout)
    table.writerow(EXPORTED)
    for entry in entries:
        shown = AuditEntryOut.model_validate(entry).model_dump(mode="json")
        table.writerow([_cell(shown[name]) for name in EXPORTED])


def _cell(value: Any) -> str:
    """Return one cell. What a spreadsheet would take for a formula is text (CWE-1236)."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text


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
