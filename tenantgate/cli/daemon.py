"""`tenantgate daemon`: partners' programs that may call."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes import DaemonOut
from tenantgate.cli.bulk import Why, move
from tenantgate.cli.changes import Clear, members_of
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, show, show_change, show_list
from tenantgate.core.policy import CredentialStrength, DaemonState
from tenantgate.registry import daemons
from tenantgate.registry.daemons import DaemonSpec
from tenantgate.registry.tables import Daemon

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

DaemonId = Annotated[str, typer.Argument(metavar="ID", help="Id of the daemon.")]
DaemonIds = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Id of the daemon; of several, all are moved or none.")
]
COLUMNS = ("id", "tenant", "client_id", "oid", "state", "min_credential")


@app.callback()
def daemon() -> None:
    """Partners' programs that may call."""


@app.command()
def create(
    tenant: Annotated[str, typer.Option("--tenant", metavar="ID", help="The tenant it lives in.")],
    client_id: Annotated[str, typer.Option("--client-id", help="Its azp or appid; a GUID at Entra.")],
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Its id; made up where left out.")] = None,
    oid: Annotated[str | None, typer.Option("--oid", metavar="GUID", help="Entra: pins its service principal.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="OIDC: pins its sub.")] = None,
    partner: Annotated[
        str | None, typer.Option("--partner", metavar="ID", help="In a hosted tenant: whose it is.")
    ] = None,
    min_credential: Annotated[
        CredentialStrength, typer.Option("--min-credential", help="What it must have proved itself with.")
    ] = "none",
    pin_object_id: Annotated[
        bool, typer.Option("--pin-object-id", help="Entra: pin it to the object id of its first grant.")
    ] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List a daemon, active at once; it may do nothing before a role is granted."""
    spec = DaemonSpec(
        tenant=tenant,
        client_id=client_id,
        id=id_,
        oid=oid,
        subject=subject,
        partner=partner,
        min_credential=min_credential,
        pin_object_id=pin_object_id,
    )
    with office(database) as desk:
        with desk.changing() as work:
            row = daemons.create(work, spec)
        show_change(DaemonOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def change(
    id_: DaemonId,
    oid: Annotated[str | None, typer.Option("--oid", metavar="GUID", help="Entra: pins its service principal.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="OIDC: pins its sub.")] = None,
    min_credential: Annotated[
        CredentialStrength | None, typer.Option("--min-credential", help="What it must have proved itself with.")
    ] = None,
    pin_object_id: Annotated[
        bool | None,
        typer.Option("--pin-object-id/--no-pin-object-id", help="Entra: the object id of its first grant pins it."),
    ] = None,
    notes: Annotated[str | None, typer.Option("--notes", help="What to remember.")] = None,
    clear: Clear = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Change pins, credential strength or notes, from its next request on. Who it is stays."""
    members = members_of(
        {
            "oid": oid,
            "subject": subject,
            "min_credential": min_credential,
            "pin_object_id": pin_object_id,
            "notes": notes,
        },
        clear,
        {"oid": None, "subject": None, "notes": ""},
    )
    with office(database) as desk:
        with desk.changing() as work:
            row = daemons.change(work, id_, members)
        show_change(DaemonOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def delete(id_: DaemonId, database: Database = None, as_json: Json = False) -> None:
    """List it no more, where nothing names it. Shows what it was."""
    with office(database) as desk:
        with desk.changing() as work:
            row = daemons.delete(work, id_)
        show_change(DaemonOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Only those of this tenant.")] = None,
    client_id: Annotated[str | None, typer.Option("--client-id", help="Only with this client id.")] = None,
    issuer: Annotated[
        str | None, typer.Option("--issuer", metavar="ID", help="Only those of this issuer's tenants.")
    ] = None,
    partner: Annotated[str | None, typer.Option("--partner", metavar="ID", help="Only this partner's.")] = None,
    state: Annotated[DaemonState | None, typer.Option("--state", help="Only those in this state.")] = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List daemons."""
    with office(database) as desk, desk.reading() as session:
        page = daemons.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            tenant=tenant,
            client_id=client_id,
            issuer=issuer,
            partner=partner,
            state=state,
        )
        show_list(map(DaemonOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(id_: DaemonId, database: Database = None, as_json: Json = False) -> None:
    """Show a daemon."""
    with office(database) as desk, desk.reading() as session:
        show(DaemonOut.model_validate(daemons.get(session, id_)), as_json=as_json)


@app.command()
def suspend(ids: DaemonIds, reason: Why = "", database: Database = None, as_json: Json = False) -> None:
    """Let this daemon in no more, from its next request on."""
    with office(database) as desk:
        move(desk, Daemon, daemons.suspend, ids, reason, DaemonOut, as_json=as_json)


@app.command()
def activate(ids: DaemonIds, reason: Why = "", database: Database = None, as_json: Json = False) -> None:
    """Let this daemon in again."""
    with office(database) as desk:
        move(desk, Daemon, daemons.activate, ids, reason, DaemonOut, as_json=as_json)
