"""`tenantgate pending-grant`: sensitive roles that one operator asked for, and another approves."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes_approval import PendingGrantOut, PendingGrantShown, PendingState
from tenantgate.cli.moments import ExpiresAt, NotBefore
from tenantgate.cli.office import Database, office, warn
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, show, show_change, show_list
from tenantgate.registry import assignments, pending_grants

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("id", "kind", "app_role", "daemon", "tenant", "expires_at", "created_by", "state", "open_until")

PendingId = Annotated[str, typer.Argument(metavar="ID", help="Id of the pending grant.")]


@app.callback()
def pending_grant() -> None:
    """Sensitive roles that one operator asked for, and another approves.

    What a command asked for, an operator with a credential approves (REST), and the other way round: two commands are
    not two people.
    """


@app.command()
def widen(
    assignment: Annotated[str, typer.Argument(metavar="ASSIGNMENT", help="Id of the assignment.")],
    not_before: NotBefore = None,
    expires_at: ExpiresAt = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for who approves.")] = "",
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Ask that an assignment of a sensitive role counts for longer; an end left out is no end.

    A new assignment is asked for with `tenantgate role grant`.
    """
    with office(database) as desk:
        with desk.changing() as work:
            row = pending_grants.request_window(
                work, assignment, not_before=not_before, expires_at=expires_at, reason=reason
            )
            warnings = assignments.warnings_of(work.session, row.tenant)
        warn(warnings)
        show_change(PendingGrantShown.of(row, warnings), work.revision, as_json=as_json)


@app.command("list")
def list_(
    state: Annotated[PendingState | None, typer.Option("--state", help="Only those in this state.")] = None,
    app_role: Annotated[str | None, typer.Option("--role", metavar="ID", help="Only of this role.")] = None,
    daemon: Annotated[str | None, typer.Option("--daemon", metavar="ID", help="Only for this daemon.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Only for this whole tenant.")] = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List pending grants, decided and expired ones included."""
    with office(database) as desk, desk.reading() as session:
        page = pending_grants.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            state=state,
            app_role=app_role,
            daemon=daemon,
            tenant=tenant,
        )
        show_list(map(PendingGrantOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(id_: PendingId, database: Database = None, as_json: Json = False) -> None:
    """Show a pending grant."""
    with office(database) as desk, desk.reading() as session:
        row = pending_grants.get(session, id_)
        show(PendingGrantShown.of(row, assignments.warnings_of(session, row.tenant)), as_json=as_json)


@app.command()
def approve(id_: PendingId, database: Database = None, as_json: Json = False) -> None:
    """Give what an operator asked for with a credential of theirs."""
    with office(database) as desk:
        with desk.changing() as work:
            row = pending_grants.approve(work, id_)
            warnings = assignments.warnings_of(work.session, row.tenant)
        warn(warnings)
        show_change(PendingGrantShown.of(row, warnings), work.revision, as_json=as_json)


@app.command()
def reject(id_: PendingId, database: Database = None, as_json: Json = False) -> None:
    """Refuse it for good."""
    with office(database) as desk:
        with desk.changing() as work:
            row = pending_grants.reject(work, id_)
        show_change(PendingGrantOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def withdraw(id_: PendingId, database: Database = None, as_json: Json = False) -> None:
    """Take your own request back."""
    with office(database) as desk:
        with desk.changing() as work:
            row = pending_grants.withdraw(work, id_)
        show_change(PendingGrantOut.model_validate(row), work.revision, as_json=as_json)
