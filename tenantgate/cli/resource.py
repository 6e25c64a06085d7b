"""`tenantgate resource`: the protected APIs."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes_resources import ResourceOut
from tenantgate.cli import resource_rules as rules
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, show, show_change, show_list
from tenantgate.cli.setup_guide import setup_guide
from tenantgate.registry import resources
from tenantgate.registry.resources import ResourceSpec

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

ResourceId = Annotated[str, typer.Argument(metavar="ID", help="Id of the resource.")]
COLUMNS = ("id", "audiences", "app_only", "min_credential", "token_roles", "tenant_wide_roles")


@app.callback()
def resource() -> None:
    """The protected APIs and their token rules."""


@app.command()
def create(
    audiences: Annotated[list[str], typer.Option("--audience", metavar="AUD", help="An accepted aud; several.")],
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="What the gate asks for.")] = None,
    app_only: rules.AppOnly = None,
    agent_identities: rules.AgentIdentities = None,
    token_roles: rules.WhichRoles = None,
    tenant_wide_roles: rules.TenantWideRoles = None,
    min_credential: rules.MinCredential = None,
    max_lifetime: rules.MaxLifetime = None,
    clock_skew: rules.ClockSkew = None,
    issuers: rules.Issuers = None,
    clients: rules.Clients = None,
    token_versions: rules.TokenVersions = None,
    required_claims: rules.RequiredClaims = None,
    addresses: rules.Addresses = None,
    report_only: rules.Reported = None,
    signing_keys_appid: rules.SigningKeysAppid = None,
    token_header: rules.TokenHeader = None,
    token_query: rules.TokenQuery = None,
    token_scheme: rules.TokenScheme = None,
    failure_status: rules.FailureStatus = None,
    failure_message: rules.FailureMessage = None,
    show_reasons: rules.ShowReasons = None,
    access_requests: rules.AccessRequests = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Protect an API."""
    # Each parameter is the member of its name; what was not given is left to the spec's own default.
    spec = ResourceSpec(id=id_, **rules.given(locals()))
    with office(database) as desk:
        with desk.changing() as work:
            row = resources.create(work, spec)
        show_change(ResourceOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def change(
    id_: ResourceId,
    audiences: Annotated[
        list[str] | None, typer.Option("--audience", metavar="AUD", help="An accepted aud; several.")
    ] = None,
    app_only: rules.AppOnly = None,
    agent_identities: rules.AgentIdentities = None,
    token_roles: rules.WhichRoles = None,
    tenant_wide_roles: rules.TenantWideRoles = None,
    min_credential: rules.MinCredential = None,
    max_lifetime: rules.MaxLifetime = None,
    clock_skew: rules.ClockSkew = None,
    issuers: rules.Issuers = None,
    clients: rules.Clients = None,
    token_versions: rules.TokenVersions = None,
    required_claims: rules.RequiredClaims = None,
    addresses: rules.Addresses = None,
    report_only: rules.Reported = None,
    signing_keys_appid: rules.SigningKeysAppid = None,
    token_header: rules.TokenHeader = None,
    token_query: rules.TokenQuery = None,
    token_scheme: rules.TokenScheme = None,
    failure_status: rules.FailureStatus = None,
    failure_message: rules.FailureMessage = None,
    show_reasons: rules.ShowReasons = None,
    access_requests: rules.AccessRequests = None,
    clear: rules.Clear = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Change a resource's rules, from the next request on.

    What is named becomes so, the rest stays. An option that may be given several times replaces the whole list.
    """
    members = rules.given(locals())
    for name in clear or ():
        if name in members:
            raise typer.BadParameter(f"{name} is given and cleared", param_hint="--clear")
        members[name] = rules.UNSET[name]
    if not members:
        raise typer.BadParameter("say what is to be different", param_hint="options")
    with office(database) as desk:
        with desk.changing() as work:
            row = resources.change(work, id_, members)
        show_change(ResourceOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List resources."""
    with office(database) as desk, desk.reading() as session:
        page = resources.list_(session, after=cursor, limit=limit, sort=sort, search=search)
        show_list(map(ResourceOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(id_: ResourceId, database: Database = None, as_json: Json = False) -> None:
    """Show a resource."""
    with office(database) as desk, desk.reading() as session:
        show(ResourceOut.model_validate(resources.get(session, id_)), as_json=as_json)


@app.command()
def delete(id_: ResourceId, database: Database = None, as_json: Json = False) -> None:
    """Protect it no more, where no role of it is defined. Shows what it was."""
    with office(database) as desk:
        with desk.changing() as work:
            row = resources.delete(work, id_)
        show_change(ResourceOut.model_validate(row), work.revision, as_json=as_json)


app.command("setup-guide")(setup_guide)
