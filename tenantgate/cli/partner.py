"""`tenantgate partner`: the companies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tenantgate.admin.shapes import PartnerOut
from tenantgate.cli.bulk import Why, move
from tenantgate.cli.changes import Clear, members_of
from tenantgate.cli.importing import import_file
from tenantgate.cli.moments import EndsAfter, EndsAt, EndsBefore
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, show, show_change, show_list
from tenantgate.core.policy import PartnerState
from tenantgate.registry import partners
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.tables import Partner

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

PartnerId = Annotated[str, typer.Argument(metavar="ID", help="Id of the partner.")]
PartnerIds = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Id of the partner; of several, all are moved or none.")
]
COLUMNS = ("id", "name", "state", "ends_at", "updated_at")


@app.callback()
def partner() -> None:
    """The companies whose daemons may call."""


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What people call it.")],
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Its id; made up where left out.")] = None,
    state: Annotated[Literal["active", "invited"], typer.Option("--state", help="How it begins.")] = "active",
    ends_at: EndsAt = None,
    contact: Annotated[
        list[str] | None, typer.Option("--contact", metavar="TEXT", help="Whom to ask; several.")
    ] = None,
    notes: Annotated[str, typer.Option("--notes", help="What to remember.")] = "",
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List a company."""
    spec = PartnerSpec(name=name, id=id_, state=state, ends_at=ends_at, contacts=tuple(contact or ()), notes=notes)
    with office(database) as desk:
        with desk.changing() as work:
            row = partners.create(work, spec)
        show_change(PartnerOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def change(
    id_: PartnerId,
    name: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
    ends_at: EndsAt = None,
    contact: Annotated[
        list[str] | None, typer.Option("--contact", metavar="TEXT", help="Whom to ask; several, instead of all.")
    ] = None,
    notes: Annotated[str | None, typer.Option("--notes", help="What to remember.")] = None,
    clear: Clear = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Change name, end, contacts or notes; what is not named stays."""
    members = members_of(
        {"name": name, "ends_at": ends_at, "contacts": contact, "notes": notes},
        clear,
        {"ends_at": None, "contacts": (), "notes": ""},
    )
    with office(database) as desk:
        with desk.changing() as work:
            row = partners.change(work, id_, members)
        show_change(PartnerOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(
    state: Annotated[PartnerState | None, typer.Option("--state", help="Only those in this state.")] = None,
    ends_after: EndsAfter = None,
    ends_before: EndsBefore = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List partners."""
    with office(database) as desk, desk.reading() as session:
        page = partners.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            state=state,
            ends_after=ends_after,
            ends_before=ends_before,
        )
        show_list(map(PartnerOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(id_: PartnerId, database: Database = None, as_json: Json = False) -> None:
    """Show a partner."""
    with office(database) as desk, desk.reading() as session:
        show(PartnerOut.model_validate(partners.get(session, id_)), as_json=as_json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="The columns are in docs/imports.md.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, and report what would be.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Import partners with their tenants, daemons and roles. Exit status 1: a line was refused.

    A line is done whole or not at all, and the same file again does what is missing.
    """
    with office(database) as desk:
        import_file(desk, file, dry_run=dry_run, as_json=as_json)


@app.command()
def suspend(ids: PartnerIds, reason: Why = "", database: Database = None, as_json: Json = False) -> None:
    """Let nothing of this partner in any more, from its next request on."""
    with office(database) as desk:
        move(desk, Partner, partners.suspend, ids, reason, PartnerOut, as_json=as_json)


@app.command()
def activate(ids: PartnerIds, reason: Why = "", database: Database = None, as_json: Json = False) -> None:
    """Let an invited or suspended partner's daemons in."""
    with office(database) as desk:
        move(desk, Partner, partners.activate, ids, reason, PartnerOut, as_json=as_json)


@app.command()
def archive(id_: PartnerId, database: Database = None, as_json: Json = False) -> None:
    """End it for good: everything is kept, nothing comes back."""
    with office(database) as desk:
        with desk.changing() as work:
            row = partners.archive(work, id_)
        show_change(PartnerOut.model_validate(row), work.revision, as_json=as_json)
