"""`tenantgate resource`: the protected APIs."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes import ResourceOut
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, show, show_change, show_list
from tenantgate.cli.setup_guide import setup_guide
from tenantgate.core.policy import AppOnlyRule, CredentialStrength, TokenRoles
from tenantgate.registry import resources
from tenantgate.registry.resources import ResourceSpec

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("id", "audiences", "app_only", "min_credential", "token_roles", "tenant_wide_roles")


@app.callback()
def resource() -> None:
    """The protected APIs and their token rules."""


@app.command()
def create(
    audience: Annotated[list[str], typer.Option("--audience", metavar="AUD", help="An accepted aud; several.")],
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="What the gate asks for.")] = None,
    app_only: Annotated[
        AppOnlyRule, typer.Option("--app-only", help="strict: proof that no user is there.")
    ] = "strict",
    token_roles: Annotated[  # no password, whatever its name makes a linter believe
        TokenRoles, typer.Option("--token-roles", help="Whether a token's roles count.")
    ] = "ignore",  # noqa: S107
    tenant_wide_roles: Annotated[bool, typer.Option("--tenant-wide-roles", help="Allow roles for tenants.")] = False,
    min_credential: Annotated[CredentialStrength, typer.Option("--min-credential", help="Least credential.")] = "none",
    max_lifetime: Annotated[int, typer.Option("--max-lifetime", metavar="SECONDS", help="Longest exp - iat.")] = 86_400,
    clock_skew: Annotated[int, typer.Option("--clock-skew", metavar="SECONDS", help="How far clocks may differ.")] = 60,
    show_reasons: Annotated[bool, typer.Option("--show-reasons", help="Callers read the exact reason.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Protect an API."""
    spec = ResourceSpec(
        audiences=tuple(audience),
        id=id_,
        app_only=app_only,
        token_roles=token_roles,
        tenant_wide_roles=tenant_wide_roles,
        min_credential=min_credential,
        max_lifetime=max_lifetime,
        clock_skew=clock_skew,
        show_reasons=show_reasons,
    )
    with office(database) as desk:
        with desk.changing() as work:
            row = resources.create(work, spec)
        show_change(ResourceOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(limit: Limit = 50, cursor: Cursor = None, database: Database = None, as_json: Json = False) -> None:
    """List resources in order of id."""
    with office(database) as desk, desk.reading() as session:
        page = resources.list_(session, after=cursor, limit=limit)
        show_list(map(ResourceOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the resource.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Show a resource."""
    with office(database) as desk, desk.reading() as session:
        show(ResourceOut.model_validate(resources.get(session, id_)), as_json=as_json)


app.command("setup-guide")(setup_guide)
