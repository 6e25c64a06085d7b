"""Where the commands that work on the registry get their database, clock, ids and randomness: for real, once each call.

Who may open the database file may administer: these commands ask for no key. What they do is in the audit as `cli:NAME`
(the user of this machine), a name no operator can have.
"""

from __future__ import annotations

import os
import pwd
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from sqlalchemy.engine import Engine
from sqlmodel import Session

from tenantgate.core.fields import is_loopback
from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.errors import RegistryError
from tenantgate.registry.ids import NewId, RandomBytes, random_ids
from tenantgate.registry.migrations import require_known_schema
from tenantgate.registry.unit_of_work import Actor, Work, unit_of_work
from tenantgate.settings import Settings, SettingsError, read_settings

UNUSABLE: Final = 2
"""Exit status: settings or options are at fault. What the registry refuses is 1."""

Database = Annotated[
    str | None,
    typer.Option(
        "--database", metavar="URL", help="sqlite:///PATH or postgresql://HOST/NAME; TENANTGATE_DATABASE_URL."
    ),
]


@dataclass(frozen=True, slots=True)
class Office:
    """What a command works with."""

    engine: Engine
    settings: Settings
    actor: Actor
    new_id: NewId
    random_bytes: RandomBytes
    now: int

    def reading(self) -> AbstractContextManager[Session]:
        """Open a session that sees one moment of the database."""
        return reading(self.engine)

    def changing(self) -> AbstractContextManager[Work]:
        """Run a unit of work in the name of this machine's user."""
        return unit_of_work(
            self.engine,
            actor=self.actor,
            now=self.now,
            new_id=self.new_id,
            reserved_audiences=self.settings.admin_audiences,
        )


@contextmanager
def office(database: str | None) -> Iterator[Office]:
    """Open the registry at `database`, or where the settings say. Errors end the command with one line."""
    with errors_told():
        settings = settings_with(database)
        engine = open_engine(address_in(settings), create=False)
        try:
            require_known_schema(engine)
            yield Office(
                engine=engine,
                settings=settings,
                actor=Actor(f"cli:{_user()}", "cli", "local"),
                new_id=random_ids(secrets.token_bytes),
                random_bytes=secrets.token_bytes,
                now=int(time.time()),
            )
        finally:
            engine.dispose()


def settings_with(database: str | None) -> Settings:
    """Read the settings; the option wins.

    Raises:
        SettingsError: naming every setting at fault.
    """
    return read_settings(os.environ, database_url=database)


def address_in(settings: Settings) -> str:
    """Return where the registry is.

    Raises:
        SettingsError: nobody said.
    """
    if settings.database_url is None:
        raise SettingsError("give --database sqlite:///PATH or postgresql://HOST/NAME, or set TENANTGATE_DATABASE_URL")
    return settings.database_url


@contextmanager
def errors_told() -> Iterator[None]:
    """Turn what can go wrong into `code: message` on standard error and an exit status; never a stack."""
    try:
        yield
    except SettingsError as error:
        raise told("settings_invalid", str(error), UNUSABLE) from None
    except RegistryError as error:
        for fault in error.faults:
            told(fault.code, _placed(fault))
        raise told(error.code, _placed(error)) from None


def _placed(error: RegistryError) -> str:
    return f"{error.field}: {error.message}" if error.field else error.message


def told(code: str, message: str, status: int = 1) -> typer.Exit:
    """Say what is wrong in one line; return how to end the command."""
    typer.echo(f"{code}: {' '.join(message.split())}", err=True)
    return typer.Exit(status)


def warn(warnings: Iterable[str]) -> None:
    """Say on standard error what is to be known; standard output stays what was asked for."""
    for each in warnings:
        typer.echo(f"warning: {each}", err=True)


def public_url(settings: Settings) -> str:
    """Return where people reach the server: as set, or where it listens on this machine."""
    if settings.public_url is not None:
        return settings.public_url
    if is_loopback(settings.host) and settings.port:
        return f"http://{settings.bind}"
    raise SettingsError("TENANTGATE_PUBLIC_URL is needed where TENANTGATE_BIND is no fixed loopback address")


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
