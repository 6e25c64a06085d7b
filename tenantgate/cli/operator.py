"""`tenantgate operator`: who administers."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tenantgate.admin.shapes_admin import IdentityOut, OperatorOut
from tenantgate.cli.changes import members_of
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, show_change, show_list
from tenantgate.registry import identities, operators
from tenantgate.registry.identities import Identity
from tenantgate.registry.operators import OperatorRole, OperatorSpec

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

OperatorId = Annotated[str, typer.Argument(metavar="ID", help="Id of the operator.")]
COLUMNS = ("id", "name", "role", "state", "created_at")
IDENTITY_COLUMNS = ("id", "issuer", "tid", "oid", "sub", "created_at", "created_by")


@app.callback()
def operator() -> None:
    """Who administers: people and automation."""


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What people call them.")],
    role: Annotated[OperatorRole, typer.Option("--role", help="What they may do.")],
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Their id; made up where left out.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Let somebody administer, once they have an admin key or a sign-in link."""
    with office(database) as desk:
        with desk.changing() as work:
            row = operators.create(work, OperatorSpec(name=name, role=role, id=id_))
        show_change(OperatorOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def change(
    id_: OperatorId,
    name: Annotated[str | None, typer.Option("--name", help="What people call them.")] = None,
    role: Annotated[OperatorRole | None, typer.Option("--role", help="What they may do.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Change name or role, from their next request on."""
    members = members_of({"name": name, "role": role})
    with office(database) as desk:
        with desk.changing() as work:
            row = operators.change(work, id_, members)
        show_change(OperatorOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(
    role: Annotated[OperatorRole | None, typer.Option("--role", help="Only with this role.")] = None,
    state: Annotated[Literal["active", "suspended"] | None, typer.Option("--state", help="Only in this state.")] = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List operators."""
    with office(database) as desk, desk.reading() as session:
        page = operators.list_(session, after=cursor, limit=limit, sort=sort, search=search, role=role, state=state)
        show_list(map(OperatorOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command()
def suspend(id_: OperatorId, database: Database = None, as_json: Json = False) -> None:
    """Let the operator do nothing more: keys and sessions stop at once."""
    with office(database) as desk:
        with desk.changing() as work:
            row = operators.suspend(work, id_)
        show_change(OperatorOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def activate(id_: OperatorId, database: Database = None, as_json: Json = False) -> None:
    """Let the operator administer again; keys that have not ended work."""
    with office(database) as desk:
        with desk.changing() as work:
            row = operators.activate(work, id_)
        show_change(OperatorOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def link(
    id_: OperatorId,
    issuer: Annotated[str, typer.Option("--issuer", metavar="URL", help="Entra's authority, or the exact iss.")],
    tid: Annotated[str | None, typer.Option("--tid", help="Entra: the tenant.")] = None,
    oid: Annotated[
        str | None, typer.Option("--oid", help="Entra: the user's or service principal's object id.")
    ] = None,
    sub: Annotated[str | None, typer.Option("--sub", help="Any other issuer: the token's sub.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Let somebody at an issuer of administrators' tokens be this operator (TENANTGATE_ADMIN_ISSUERS)."""
    with office(database) as desk:
        with desk.changing() as work:
            row = identities.link(work, id_, Identity(issuer=issuer, tid=tid, oid=oid, sub=sub))
        show_change(IdentityOut.model_validate(row), work.revision, as_json=as_json)


@app.command("identities")
def list_identities(
    id_: OperatorId, limit: Limit = 50, cursor: Cursor = None, database: Database = None, as_json: Json = False
) -> None:
    """List who at which issuer is this operator."""
    with office(database) as desk, desk.reading() as session:
        page = identities.list_(session, id_, after=cursor, limit=limit)
        show_list(map(IdentityOut.model_validate, page.items), page.after, IDENTITY_COLUMNS, as_json=as_json)


@app.command()
def unlink(
    id_: OperatorId,
    identity: Annotated[str, typer.Argument(metavar="IDENTITY", help="Id of the identity.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Let an identity be this operator no more, at once.

    It shuts nobody out where TENANTGATE_ADMIN_UNLINKED is `create`: the identity's next token with a role makes another
    operator of it. To shut somebody out, suspend the operator.
    """
    with office(database) as desk:
        with desk.changing() as work:
            row = identities.unlink(work, id_, identity)
        show_change(IdentityOut.model_validate(row), work.revision, as_json=as_json)
