"""`tenantgate resource setup-guide`: the publisher's own side at Entra, printed, never done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import typer

from tenantgate.cli.policies import read_either, unusable
from tenantgate.cli.registration import Registration, az, graph, terraform
from tenantgate.core.fields import check_guid, check_id, check_identity, check_text, check_url
from tenantgate.core.policy import AppRoleRow, IssuerRow, PolicyError, PolicySnapshot, ResourceRow, is_guid
from tenantgate.core.rules import check_row

Format = Literal["az", "graph", "terraform", "all"]
WORLDWIDE: Final = "https://login.microsoftonline.com"
_FORMATS: Final[dict[str, Callable[[Registration], str]]] = {"az": az, "graph": graph, "terraform": terraform}


def setup_guide(
    id_: Annotated[
        str | None, typer.Option("--id", metavar="RESOURCE", help="A resource of the policy: its audience and roles.")
    ] = None,
    app_id_uri: Annotated[
        str | None, typer.Option("--app-id-uri", metavar="URI", help="As api://orders.example; api://<app id> without.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What people read when they consent.")] = None,
    role: Annotated[list[str] | None, typer.Option("--role", metavar="VALUE", help="An app role; several.")] = None,
    client_id: Annotated[
        str | None, typer.Option("--client-id", metavar="GUID", help="Change the registration that has this app id.")
    ] = None,
    redirect_uri: Annotated[
        str | None, typer.Option("--redirect-uri", metavar="URL", help="Where administrators land after consent.")
    ] = None,
    authority: Annotated[
        str | None, typer.Option("--authority", metavar="URL", help="Login address of the cloud.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = "az",
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="With --id: the policy file it is in.")
    ] = None,
    database: Annotated[
        str | None, typer.Option("--database", metavar="URL", help="Or the registry; TENANTGATE_DATABASE_URL.")
    ] = None,
) -> None:
    """Print how this API is registered at Entra: as az commands, Microsoft Graph requests or Terraform.

    Nothing is sent. With --id the resource comes from the policy; else give --name, and what else is known.
    """
    if id_ is None and name is None:
        raise typer.BadParameter("give --id RESOURCE, or --name.")
    found = _read(id_, read_either(policy, database)) if id_ is not None else _Found()
    try:
        registration = _checked(
            Registration(
                id=id_ or "api",
                name=name or id_ or "",
                app_id_uri=app_id_uri or found.app_id_uri,
                roles=tuple(role or found.roles),
                authority=(authority or found.authority or WORLDWIDE).rstrip("/"),
                listed=found.listed,
                client_id=client_id or found.client_id,
                redirect_uri=redirect_uri,
            )
        )
    except PolicyError as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo("\n".join(_FORMATS[each](registration) for each in (_FORMATS if form == "all" else (form,))), nl=False)


class _Found(NamedTuple):
    """What the policy says of the resource; empty where none is asked for."""

    listed: bool = False
    app_id_uri: str | None = None
    client_id: str | None = None
    authority: str | None = None
    roles: tuple[str, ...] = ()


def _read(id_: str, snapshot: PolicySnapshot) -> _Found:
    """Return what the policy has about a resource; a client id among its audiences is a registration that is there."""
    rows = [row.data for row in snapshot.rows]
    resource = next((each for each in rows if isinstance(each, ResourceRow) and each.id == id_), None)
    if resource is None:
        raise unusable("resource_unknown", f"the policy has no resource {id_!r}")
    clouds = {each.authority for each in rows if isinstance(each, IssuerRow) and each.authority is not None}
    return _Found(
        listed=True,
        app_id_uri=next((each for each in resource.audiences if not is_guid(each)), None),
        client_id=next((each for each in resource.audiences if is_guid(each)), None),
        authority=clouds.pop() if len(clouds) == 1 else None,
        roles=tuple(each.value for each in rows if isinstance(each, AppRoleRow) and each.resource == id_),
    )


def _checked(registration: Registration) -> Registration:
    """Return the registration, every text of which can stand on a line of a script.

    Raises:
        PolicyError: naming the option.
    """
    check_id(registration.id, "--id")
    check_text(registration.name, "--name")
    if registration.app_id_uri is not None:
        check_identity(registration.app_id_uri, "--app-id-uri", spaces=False)
    if registration.client_id is not None:
        check_guid(registration.client_id, "--client-id")
    if registration.redirect_uri is not None:
        check_url(registration.redirect_uri, "--redirect-uri", allow_http=True)
    check_url(registration.authority, "--authority", allow_http=True)
    for value in registration.roles:
        check_row(AppRoleRow(id="role", resource=registration.id, value=value))
    return registration
