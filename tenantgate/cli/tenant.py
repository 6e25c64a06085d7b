"""`tenantgate tenant`: partners' slices of issuers."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes import TenantOut
from tenantgate.cli.bulk import Why, move
from tenantgate.cli.changes import Clear, members_of
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, show, show_change, show_list
from tenantgate.core.policy import TenantState
from tenantgate.registry import tenants
from tenantgate.registry.tables import Tenant
from tenantgate.registry.tenants import TenantSpec

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

TenantId = Annotated[str, typer.Argument(metavar="ID", help="Id of the tenant.")]
TenantIds = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Id of the tenant; of several, all are moved or none.")
]
COLUMNS = ("id", "issuer", "tid", "partner", "hosted", "state")


@app.callback()
def tenant() -> None:
    """Partners' slices of issuers: an Entra directory, or an OIDC issuer of their own."""


@app.command()
def create(
    issuer: Annotated[str, typer.Option("--issuer", metavar="ID", help="Where it is.")],
    partner: Annotated[str | None, typer.Option("--partner", metavar="ID", help="Whose it is.")] = None,
    tid: Annotated[str | None, typer.Option("--tid", metavar="GUID", help="Entra: the directory's id.")] = None,
    hosted: Annotated[bool, typer.Option("--hosted", help="Our own; each daemon in it names its partner.")] = False,
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Its id; made up where left out.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List a tenant, active at once."""
    spec = TenantSpec(issuer=issuer, id=id_, partner=partner, tid=tid, hosted=hosted)
    with office(database) as desk:
        with desk.changing() as work:
            row = tenants.create(work, spec)
        show_change(TenantOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def change(
    id_: TenantId,
    notes: Annotated[str | None, typer.Option("--notes", help="What to remember.")] = None,
    clear: Clear = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Change the notes. Who it is and whose stays."""
    members = members_of({"notes": notes}, clear, {"notes": ""})
    with office(database) as desk:
        with desk.changing() as work:
            row = tenants.change(work, id_, members)
        show_change(TenantOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def delete(id_: TenantId, database: Database = None, as_json: Json = False) -> None:
    """List it no more, where nothing names it. Shows what it was."""
    with office(database) as desk:
        with desk.changing() as work:
            row = tenants.delete(work, id_)
        show_change(TenantOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(
    issuer: Annotated[str | None, typer.Option("--issuer", metavar="ID", help="Only those of this issuer.")] = None,
    partner: Annotated[str | None, typer.Option("--partner", metavar="ID", help="Only this partner's.")] = None,
    tid: Annotated[str | None, typer.Option("--tid", metavar="GUID", help="Only with this tid.")] = None,
    state: Annotated[TenantState | None, typer.Option("--state", help="Only those in this state.")] = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List tenants."""
    with office(database) as desk, desk.reading() as session:
        page = tenants.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            issuer=issuer,
            partner=partner,
            tid=tid,
            state=state,
        )
        show_list(map(TenantOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(id_: TenantId, database: Database = None, as_json: Json = False) -> None:
    """Show a tenant."""
    with office(database) as desk, desk.reading() as session:
        show(TenantOut.model_validate(tenants.get(session, id_)), as_json=as_json)


@app.command()
def suspend(ids: TenantIds, reason: Why = "", database: Database = None, as_json: Json = False) -> None:
    """Let no daemon of this tenant in any more, from its next request on."""
    with office(database) as desk:
        move(desk, Tenant, tenants.suspend, ids, reason, TenantOut, as_json=as_json)


@app.command()
def activate(ids: TenantIds, reason: Why = "", database: Database = None, as_json: Json = False) -> None:
    """Let the tenant's listed daemons in again."""
    with office(database) as desk:
        move(desk, Tenant, tenants.activate, ids, reason, TenantOut, as_json=as_json)
