"""`tenantgate serve`: the server, in the foreground."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tenantgate.cli.serving import address_of, bind, serve_on
from tenantgate.core.policy import PolicyError
from tenantgate.feed.source import FeedError
from tenantgate.files import StateDirUnusable
from tenantgate.registry.errors import RegistryError
from tenantgate.server import build_service, configure_logging
from tenantgate.settings import SettingsError, check_settings, read_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def serve(
    bind_to: Annotated[str | None, typer.Option("--bind", help="HOST:PORT; port 0 lets the system choose.")] = None,
    database: Annotated[
        str | None, typer.Option("--database", help="sqlite:///PATH or postgresql://HOST/NAME.")
    ] = None,
    resource: Annotated[str | None, typer.Option("--resource", help="The resource /auth/check judges.")] = None,
) -> None:
    """Serve the REST API, the page and /auth/check until stopped.

    Settings come from TENANTGATE_* and tenantgate.toml (docs/configuration.md); options win. One JSON line on
    standard output says when the server listens; logs go to standard error. Exit status 2: it cannot start.
    """
    try:
        settings = read_settings(os.environ, bind=bind_to, database_url=database, resource=resource)
        check_settings(settings)
        configure_logging(settings.log_level)
        listening = bind(settings.host, settings.port)
    except SettingsError as error:
        raise _refused("settings_invalid", error) from None
    except OSError as error:
        why = error.strerror or "it cannot be had"
        raise _refused("address_unavailable", f"{settings.bind}: {why}; name another with --bind") from None
    try:
        service = build_service(settings, address_of(listening))
    except SettingsError as error:
        listening.close()
        raise _refused("settings_invalid", error) from None
    except (RegistryError, FeedError, PolicyError, StateDirUnusable) as error:
        listening.close()
        raise _refused(error.code, error) from None
    serve_on(listening, service)


def _refused(code: str, why: object) -> typer.Exit:
    typer.echo(f"{code}: {why}", err=True)
    return typer.Exit(2)
