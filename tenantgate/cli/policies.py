"""Where commands that judge offline get their policy: a policy file, or the registry's database, read once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenantgate.core.policy import PolicyError, PolicySnapshot
from tenantgate.feed.file import FileSource
from tenantgate.feed.source import FeedError

if TYPE_CHECKING:
    from tenantgate.settings import Settings

PolicyOrNone = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="Policy file (TOML or JSON; docs/policy-file.md).")
]
DatabaseOrNone = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="Or the registry: sqlite:///PATH, postgresql://HOST/NAME."),
]


def read_file(path: Path) -> PolicySnapshot:
    """Return the policy in a file; one that cannot be used ends the command with one line and status 2."""
    try:
        return FileSource(path).load()
    except (PolicyError, FeedError) as error:
        raise unusable(error.code, str(error)) from None


def read_either(policy: Path | None, database: str | None) -> PolicySnapshot:
    """Return the policy of the file, else of the database (of the settings, where none is named).

    Both at once, neither, and a policy that cannot be used end the command with one line and status 2.
    """
    if policy is not None:
        if database is not None:
            raise typer.BadParameter("give --policy or --database, not both.")
        return read_file(policy)
    return _read_database(database)


def state_folder(policy: Path | None, database: str | None) -> Path | None:
    """Return where a gate over this policy or database keeps what outlives it, by the settings; None where nowhere."""
    from tenantgate.settings import SettingsError, read_settings

    try:
        settings = read_settings(os.environ, policy=policy, database_url=database)
    except SettingsError:
        return None  # what a command does not need must not keep it from its work
    beside = settings.state_dir if policy is not None else settings.state_folder
    return beside if beside is not None and beside.is_dir() else None


def read_database(address: str) -> PolicySnapshot:
    """Return the policy in a database now.

    Raises:
        RegistryError: it cannot be read, or is of another version.
    """
    # The registry, and SQLAlchemy with it, is imported only here: a policy file needs neither.
    from tenantgate.registry.engine import open_engine, reading
    from tenantgate.registry.migrations import require_known_schema
    from tenantgate.registry.snapshot import read_snapshot

    engine = open_engine(address, create=False)
    try:
        require_known_schema(engine)
        with reading(engine) as session:
            return read_snapshot(session)
    finally:
        engine.dispose()


def _read_database(database: str | None) -> PolicySnapshot:
    from tenantgate.cli.office import settings_with
    from tenantgate.registry.errors import RegistryError
    from tenantgate.settings import SettingsError

    try:
        return read_database(_address(settings_with(database)))
    except SettingsError as error:
        raise unusable("settings_invalid", str(error)) from None
    except RegistryError as error:
        raise unusable(error.code, error.message) from None


def _address(settings: Settings) -> str:
    if settings.database_url is None:
        raise typer.BadParameter("give --policy FILE or --database URL.")
    return settings.database_url


def unusable(code: str, message: str) -> typer.Exit:
    """Say in one line why the policy cannot be used; return how to end the command."""
    typer.echo(f"policy unusable: {code}: {' '.join(message.split())}", err=True)
    return typer.Exit(2)
