"""`tenantgate role`: what resources let their callers do, who was granted it, and which claims give it."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes import AppRoleOut, GrantedOut, RoleAssignmentOut, RoleMappingOut
from tenantgate.admin.shapes_approval import PendingGrantShown
from tenantgate.cli.changes import Clear, members_of
from tenantgate.cli.moments import EndsAfter, EndsBefore, ExpiresAt, NotBefore
from tenantgate.cli.office import Database, office, warn
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, show_change, show_list
from tenantgate.registry import app_roles, assignments, pending_grants, role_mappings
from tenantgate.registry.app_roles import AppRoleSpec
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.role_mappings import RoleMappingSpec

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("id", "resource", "value", "display_name", "sensitive")
ASSIGNMENT_COLUMNS = ("id", "app_role", "daemon", "tenant", "not_before", "expires_at", "granted_by", "reason")

MAPPING_COLUMNS = ("id", "issuer", "claim", "value", "app_role")


@app.callback()
def role() -> None:
    """What resources let their callers do, and who was granted it."""


@app.command()
def create(
    resource: Annotated[str, typer.Option("--resource", metavar="ID", help="Whose role it is.")],
    value: Annotated[str, typer.Option("--value", help="What the API asks for, as Orders.Read.")],
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Its id; made up where left out.")] = None,
    display_name: Annotated[str, typer.Option("--display-name", help="What people read.")] = "",
    sensitive: Annotated[bool, typer.Option("--sensitive", help="To grant it takes two operators.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Define a role of a resource."""
    spec = AppRoleSpec(resource=resource, value=value, id=id_, display_name=display_name, sensitive=sensitive)
    with office(database) as desk:
        with desk.changing() as work:
            row = app_roles.create(work, spec)
        show_change(AppRoleOut.model_validate(row), work.revision, as_json=as_json)


@app.command("mark-sensitive")
def mark_sensitive(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the role.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """From now on it takes two operators to grant it. Who has it keeps it, and mappings that give it stay."""
    with office(database) as desk:
        with desk.changing() as work:
            row = app_roles.mark_sensitive(work, id_)
        show_change(AppRoleOut.model_validate(row), work.revision, as_json=as_json)


@app.command("unmark-sensitive")
def unmark_sensitive(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the role.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """From now on one operator grants it alone."""
    with office(database) as desk:
        with desk.changing() as work:
            row = app_roles.unmark_sensitive(work, id_)
        show_change(AppRoleOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def change(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the role.")],
    display_name: Annotated[str | None, typer.Option("--display-name", help="What people read.")] = None,
    clear: Clear = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Change the name people read. Resource and value stay."""
    members = members_of({"display_name": display_name}, clear, {"display_name": ""})
    with office(database) as desk:
        with desk.changing() as work:
            row = app_roles.change(work, id_, members)
        show_change(AppRoleOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def delete(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the role.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Define it no more, where nothing names it. Shows what it was."""
    with office(database) as desk:
        with desk.changing() as work:
            row = app_roles.delete(work, id_)
        show_change(AppRoleOut.model_validate(row), work.revision, as_json=as_json)


@app.command("change-assignment")
def change_assignment(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the assignment.")],
    not_before: NotBefore = None,
    expires_at: ExpiresAt = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for who asks later.")] = None,
    ticket: Annotated[str | None, typer.Option("--ticket", help="Where it was asked for.")] = None,
    clear: Clear = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Change when a role counts, and why. A sensitive one is widened by a pending grant alone."""
    members = members_of(
        {"not_before": not_before, "expires_at": expires_at, "reason": reason, "ticket": ticket},
        clear,
        {"not_before": None, "expires_at": None, "reason": "", "ticket": ""},
    )
    with office(database) as desk:
        with desk.changing() as work:
            row = assignments.change(work, id_, members)
        show_change(RoleAssignmentOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(
    resource: Annotated[str | None, typer.Option("--resource", metavar="ID", help="Only this resource's.")] = None,
    value: Annotated[str | None, typer.Option("--value", help="Only with this value.")] = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List roles."""
    with office(database) as desk, desk.reading() as session:
        page = app_roles.list_(
            session, after=cursor, limit=limit, sort=sort, search=search, resource=resource, value=value
        )
        show_list(map(AppRoleOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command()
def grant(
    app_role: Annotated[str, typer.Option("--role", metavar="ID", help="The role.")],
    daemon: Annotated[str | None, typer.Option("--daemon", metavar="ID", help="Who gets it.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Or all listed daemons of this.")] = None,
    not_before: NotBefore = None,
    expires_at: ExpiresAt = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for who asks later.")] = "",
    ticket: Annotated[str, typer.Option("--ticket", help="Where it was asked for.")] = "",
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Id of the assignment.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Grant a role; it counts from the daemon's next request on. A sensitive one is asked for, and waits."""
    spec = AssignmentSpec(
        app_role=app_role,
        id=id_,
        daemon=daemon,
        tenant=tenant,
        not_before=not_before,
        expires_at=expires_at,
        reason=reason,
        ticket=ticket,
    )
    with office(database) as desk:
        with desk.changing() as work:
            made = pending_grants.grant_or_request(work, spec)
            warnings = assignments.warnings_of(work.session, made.tenant)
        warn(warnings)
        if isinstance(made, PendingGrant):
            warn([f"Role {app_role} is sensitive: nothing is granted before an operator approves {made.id}."])
            show_change(PendingGrantShown.of(made, warnings), work.revision, as_json=as_json)
        else:
            show_change(GrantedOut.of(made, warnings), work.revision, as_json=as_json)


@app.command()
def revoke(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the assignment.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Take a role back, from the daemon's next request on. Shows what it was."""
    with office(database) as desk:
        with desk.changing() as work:
            row = assignments.revoke(work, id_)
        show_change(RoleAssignmentOut.model_validate(row), work.revision, as_json=as_json)


@app.command("assignments")
def list_assignments(
    app_role: Annotated[str | None, typer.Option("--role", metavar="ID", help="Only of this role.")] = None,
    daemon: Annotated[str | None, typer.Option("--daemon", metavar="ID", help="Only this daemon's.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Only this tenant's own.")] = None,
    partner: Annotated[str | None, typer.Option("--partner", metavar="ID", help="Only this partner's.")] = None,
    ends_after: EndsAfter = None,
    ends_before: EndsBefore = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List who was granted what, those that have ended or not begun included."""
    with office(database) as desk, desk.reading() as session:
        page = assignments.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            app_role=app_role,
            daemon=daemon,
            tenant=tenant,
            partner=partner,
            expires_after=ends_after,
            expires_before=ends_before,
        )
        shown = map(RoleAssignmentOut.model_validate, page.items)
        show_list(shown, page.after, ASSIGNMENT_COLUMNS, as_json=as_json)


@app.command("map")
def map_(
    issuer: Annotated[str, typer.Option("--issuer", metavar="ID", help="Whose claim is believed.")],
    claim: Annotated[str, typer.Option("--claim", help="The claim's name, or a JSON Pointer, as /realm_access/roles.")],
    value: Annotated[str, typer.Option("--value", help="What the claim is, or holds where it is a list.")],
    app_role: Annotated[str, typer.Option("--role", metavar="ID", help="The role it gives.")],
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Id of the mapping.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Believe a value of an issuer's claim: it gives a role, to listed daemons alone."""
    spec = RoleMappingSpec(issuer=issuer, claim=claim, value=value, app_role=app_role, id=id_)
    with office(database) as desk:
        with desk.changing() as work:
            row = role_mappings.create(work, spec)
        show_change(RoleMappingOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def unmap(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the mapping.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Believe it no more, from the next request on. Shows what it was."""
    with office(database) as desk:
        with desk.changing() as work:
            row = role_mappings.delete(work, id_)
        show_change(RoleMappingOut.model_validate(row), work.revision, as_json=as_json)


@app.command("mappings")
def list_mappings(
    issuer: Annotated[str | None, typer.Option("--issuer", metavar="ID", help="Only this issuer's.")] = None,
    app_role: Annotated[
        str | None, typer.Option("--role", metavar="ID", help="Only those that give this role.")
    ] = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List which values of which claims give a role."""
    with office(database) as desk, desk.reading() as session:
        page = role_mappings.list_(
            session, after=cursor, limit=limit, sort=sort, search=search, issuer=issuer, app_role=app_role
        )
        shown = map(RoleMappingOut.model_validate, page.items)
        show_list(shown, page.after, MAPPING_COLUMNS, as_json=as_json)
