"""`tenantgate invitation`: links with which partners' developers name their daemons."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes_invitations import (
    ApprovedInvitationOut,
    InvitationOut,
    InvitationShown,
    InvitationState,
    NewInvitationOut,
)
from tenantgate.admin.wire import format_instant
from tenantgate.cli.moments import DAY, EndsAfter, EndsBefore, moment
from tenantgate.cli.office import Database, office, public_url
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, print_json, show, show_change, show_list
from tenantgate.registry import invitations, invited
from tenantgate.registry.invitations import InvitationSpec

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("id", "partner", "resource", "app_roles", "state", "expires_at", "tid", "client_id")

InvitationId = Annotated[str, typer.Argument(metavar="ID", help="Id of the invitation.")]


@app.callback()
def invitation() -> None:
    """Links with which partners' developers name their daemons, for an operator to approve."""


@app.command()
def create(
    partner: Annotated[str, typer.Option("--partner", metavar="ID", help="Who is invited.")],
    issuer: Annotated[str, typer.Option("--issuer", metavar="ID", help="Where their daemon has its identity.")],
    resource: Annotated[str, typer.Option("--resource", metavar="ID", help="What it is to call.")],
    app_roles: Annotated[
        list[str], typer.Option("--role", metavar="ID", help="A role to grant at the approval; may be repeated.")
    ],
    days: Annotated[int, typer.Option("--days", min=1, max=90, help="Redeemable for so many days.")] = 7,
    role_ends_at: Annotated[
        int | None, typer.Option("--role-ends-at", parser=moment, metavar="TIME", help="The roles count until then.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for who asks later.")] = "",
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Its id; made up where left out.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Print a link for the partner's developer: this is the only time it can be seen. No mail is sent.

    It leads to TENANTGATE_PUBLIC_URL, else to TENANTGATE_BIND (127.0.0.1:8440 where nothing is said).
    """
    with office(database) as desk:
        address = public_url(desk.settings)
        spec = InvitationSpec(
            partner=partner,
            issuer=issuer,
            resource=resource,
            app_roles=tuple(app_roles),
            id=id_,
            expires_at=desk.now + days * DAY,
            role_ends_at=role_ends_at,
            reason=reason,
        )
        with desk.changing() as work:
            made = invitations.create(work, spec, random_bytes=desk.random_bytes)
    shown = NewInvitationOut.of(made, address)
    if as_json:
        print_json(shown.model_dump(mode="json"))
        return
    typer.echo(shown.url)
    ends = format_instant(made.row.expires_at)
    typer.echo(f"Invitation {shown.id} of partner {partner}, until {ends}. The link is not shown again.", err=True)


@app.command("list")
def list_(
    partner: Annotated[str | None, typer.Option("--partner", metavar="ID", help="Only this partner's.")] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", metavar="ID", help="Only for this issuer.")] = None,
    resource: Annotated[str | None, typer.Option("--resource", metavar="ID", help="Only to this resource.")] = None,
    state: Annotated[InvitationState | None, typer.Option("--state", help="Only those in this state.")] = None,
    ends_after: EndsAfter = None,
    ends_before: EndsBefore = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List invitations, those that ended included; never their links."""
    with office(database) as desk, desk.reading() as session:
        page = invitations.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            partner=partner,
            issuer=issuer,
            resource=resource,
            state=state,
            expires_after=ends_after,
            expires_before=ends_before,
        )
        show_list(map(InvitationOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(id_: InvitationId, database: Database = None, as_json: Json = False) -> None:
    """Show an invitation, what was entered, and what an approval gives."""
    with office(database) as desk, desk.reading() as session:
        row = invitations.get(session, id_)
        show(InvitationShown.of(row, invited.read(session, row, now=desk.now)), as_json=as_json)


@app.command()
def approve(id_: InvitationId, database: Database = None, as_json: Json = False) -> None:
    """List what was entered, with the invitation's roles, and activate a partner who was invited.

    Ask the partner first whether the tenant is theirs.
    """
    with office(database) as desk:
        with desk.changing() as work:
            row, done = invitations.approve(work, id_)
        show_change(ApprovedInvitationOut.of(row, done), work.revision, as_json=as_json)


@app.command()
def reject(id_: InvitationId, database: Database = None, as_json: Json = False) -> None:
    """List nothing of what was entered, for good."""
    with office(database) as desk:
        with desk.changing() as work:
            row = invitations.reject(work, id_)
        show_change(InvitationOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def revoke(id_: InvitationId, database: Database = None, as_json: Json = False) -> None:
    """End an invitation, redeemed or not: its link leads nowhere then."""
    with office(database) as desk:
        with desk.changing() as work:
            row = invitations.revoke(work, id_)
        show_change(InvitationOut.model_validate(row), work.revision, as_json=as_json)
