"""`tenantgate access-request`: authentic callers on no list, waiting for a human."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes_access_requests import AccessRequestOut, AccessRequestState
from tenantgate.cli.moments import ExpiresAt
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, show, show_change, show_list
from tenantgate.registry import access_requests
from tenantgate.registry.access_requests import ApprovalSpec
from tenantgate.registry.partners import PartnerSpec

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

RequestId = Annotated[str, typer.Argument(metavar="ID", help="Id of the access request.")]
COLUMNS = ("id", "resource", "issuer", "tid", "client_id", "reason", "count", "last_seen_at", "state")


@app.callback()
def access_request() -> None:
    """Authentic callers on no list, waiting for a human."""


@app.command("list")
def list_(
    state: Annotated[AccessRequestState, typer.Option("--state", help="Only those in this state.")] = "open",
    resource: Annotated[str | None, typer.Option("--resource", metavar="ID", help="Only for this resource.")] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", metavar="ID", help="Only of this issuer.")] = None,
    tid: Annotated[str | None, typer.Option("--tid", metavar="GUID", help="Only of this directory.")] = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List callers that ask to be let in: those of resources with --access-requests on."""
    with office(database) as desk, desk.reading() as session:
        page = access_requests.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            state=state,
            resource=resource,
            issuer=issuer,
            tid=tid,
        )
        show_list(map(AccessRequestOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(id_: RequestId, database: Database = None, as_json: Json = False) -> None:
    """Show an access request."""
    with office(database) as desk, desk.reading() as session:
        show(AccessRequestOut.model_validate(access_requests.get(session, id_)), as_json=as_json)


@app.command()
def approve(
    id_: RequestId,
    partner: Annotated[
        str | None, typer.Option("--partner", metavar="ID", help="Whose it is, where the partner is there.")
    ] = None,
    new_partner: Annotated[
        str | None, typer.Option("--new-partner", metavar="NAME", help="Or the name of a partner to be made.")
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", metavar="ID", help="An app role it gets; may be repeated.")
    ] = None,
    expires_at: ExpiresAt = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for who asks later.")] = "",
    pin: Annotated[
        bool, typer.Option("--pin/--no-pin", help="Only the object id, or sub, that asked may come in.")
    ] = True,
    oid: Annotated[
        str | None,
        typer.Option("--oid", metavar="ID", help="As it was shown: refused where it stands for another one by now."),
    ] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List the caller with tenant, daemon and roles, in one go or not at all."""
    if (partner is None) is (new_partner is None):
        raise typer.BadParameter("give one of --partner and --new-partner", param_hint="--partner")
    whose = partner if partner is not None else PartnerSpec(name=new_partner or "")
    spec = ApprovalSpec(
        partner=whose, app_roles=tuple(role or ()), expires_at=expires_at, reason=reason, pin=pin, oid=oid
    )
    with office(database) as desk:
        with desk.changing() as work:
            row, _ = access_requests.approve(work, id_, spec)
        show_change(AccessRequestOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def dismiss(id_: RequestId, database: Database = None, as_json: Json = False) -> None:
    """Show this caller's request no more, however often it asks."""
    with office(database) as desk:
        with desk.changing() as work:
            row = access_requests.dismiss(work, id_)
        show_change(AccessRequestOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def reopen(id_: RequestId, database: Database = None, as_json: Json = False) -> None:
    """Show a dismissed request again."""
    with office(database) as desk:
        with desk.changing() as work:
            row = access_requests.reopen(work, id_)
        show_change(AccessRequestOut.model_validate(row), work.revision, as_json=as_json)
