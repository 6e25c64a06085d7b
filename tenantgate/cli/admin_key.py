"""`tenantgate admin-key`: what operators show to be let in. The first one is made here."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes_admin import AdminKeyOut, NewAdminKeyOut
from tenantgate.admin.who_may import known_scopes
from tenantgate.admin.wire import format_instant
from tenantgate.cli.changes import members_of
from tenantgate.cli.moments import DAY, moment
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, print_json, show_change, show_list
from tenantgate.registry import operators
from tenantgate.registry.operators import KeySpec, NewKey, OperatorRole, OperatorSpec
from tenantgate.registry.unit_of_work import Work

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("id", "operator", "name", "role", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")


@app.callback()
def admin_key() -> None:
    """What operators show to be let in at the REST API and the page."""


@app.command()
def create(
    operator: Annotated[str | None, typer.Option("--operator", metavar="ID", help="Whose it is.")] = None,
    operator_name: Annotated[str | None, typer.Option("--operator-name", help="Or a new operator's name.")] = None,
    role: Annotated[OperatorRole | None, typer.Option("--role", help="The new operator's role.")] = None,
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "command line",
    expires_at: Annotated[
        int | None, typer.Option("--expires-at", parser=moment, metavar="TIME", help="Works until just before then.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Or for so many days.")] = 90,
    key_role: Annotated[
        OperatorRole | None,
        typer.Option("--key-role", help="The most it may do; all that the operator may if left out."),
    ] = None,
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="WORD", help="Where alone it counts: first word of a path. May be repeated."),
    ] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Make an admin key, for an operator or, with --operator-name and --role, for a new one.

    Prints the key: this is the only time it can be seen.
    """
    if (operator is None) == (operator_name is None) or (operator_name is None) != (role is None):
        raise typer.BadParameter("give --operator, or --operator-name and --role.")
    with office(database) as desk:
        end = expires_at if expires_at is not None else desk.now + days * DAY
        with desk.changing() as work:
            holder = operator or _new_operator(work, operator_name, role)
            spec = KeySpec(operator=holder, name=name, expires_at=end, role=key_role, scopes=known_scopes(scopes or ()))
            made = operators.create_key(work, spec, random_bytes=desk.random_bytes)
    _show_new(made, as_json=as_json)


@app.command()
def change(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the key (not its value).")],
    name: Annotated[str | None, typer.Option("--name", help="What it is for.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Change what an admin key is called."""
    members = members_of({"name": name})
    with office(database) as desk:
        with desk.changing() as work:
            row = operators.change_key(work, id_, members)
        show_change(AdminKeyOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(
    operator: Annotated[str | None, typer.Option("--operator", metavar="ID", help="Only this operator's.")] = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List admin keys, those that ended included; never their values."""
    with office(database) as desk, desk.reading() as session:
        page = operators.list_keys(session, after=cursor, limit=limit, sort=sort, search=search, operator=operator)
        show_list(map(AdminKeyOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command()
def revoke(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the key (not its value).")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """End an admin key at once, and every session that was opened with it."""
    with office(database) as desk:
        with desk.changing() as work:
            row = operators.revoke_key(work, id_)
        show_change(AdminKeyOut.model_validate(row), work.revision, as_json=as_json)


def _new_operator(work: Work, name: str | None, role: OperatorRole | None) -> str:
    assert name is not None
    assert role is not None
    return operators.create(work, OperatorSpec(name=name, role=role)).id


def _show_new(made: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_json(NewAdminKeyOut.of(made).model_dump(mode="json"))
        return
    row = made.row
    typer.echo(made.value)
    typer.echo(
        f"Key {row.id} of operator {row.operator}, until {format_instant(row.expires_at)}. It is not shown again.",
        err=True,
    )
