"""Bringing a database to the schema of this version, and refusing one that is not there.

The migrations are Alembic scripts in the folder `alembic/`, which the wheel carries as
`tenantgate/_migrations`. An upgrade is one transaction: killed half-way, it leaves what was.

A database that a newer version migrated says itself which older versions may go on with it
(`revision.oldest_compatible`, decision 0028), so that servers and gates are replaced one after the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

import tenantgate.registry

# So that the metadata knows every table, whoever asks it.
from tenantgate.registry import approval_tables as _approval_tables  # noqa: F401
from tenantgate.registry import credential_tables as _credential_tables  # noqa: F401
from tenantgate.registry import import_tables as _import_tables  # noqa: F401
from tenantgate.registry import invitation_tables as _invitation_tables  # noqa: F401
from tenantgate.registry.engine import open_engine, translated
from tenantgate.registry.errors import SchemaError
from tenantgate.registry.tables import SCHEMA_REVISION

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATING: Final = 0x7467_6D69
"""The advisory lock of those who migrate (PostgreSQL): any number that nobody else takes."""


def migrations_folder() -> Path:
    """Return the folder with the migrations: the wheel's, else the checkout's.

    Raises:
        SchemaError: `migrations_missing`.
    """
    package = Path(tenantgate.registry.__file__).resolve().parent.parent
    for folder in (package / "_migrations", package.parent / "alembic"):
        if (folder / "env.py").is_file():
            return folder
    raise SchemaError("migrations_missing", "the migrations were not installed with tenantgate")


def migrate(target: Engine | str, *, epoch: str) -> str:
    """Bring a database (an engine or an address) to the newest schema and return the name of the schema it has.

    One that a newer version has migrated, and that lets this one go on, is left as it is. `epoch` is a fresh random
    name, used only where the database is made now: it tells this history from any other.

    Raises:
        DatabaseError: the database cannot be written now.
        SchemaError: the database is newer than this version and not for it, or not a registry.
    """
    from alembic import command

    engine = open_engine(target, deadline=None) if isinstance(target, str) else target
    try:
        with translated(), engine.begin() as connection:
            _wait_for_others(connection)
            newer = _refuse_strangers(connection)
            if newer is not None:
                return newer
            config = alembic_config(connection)
            config.attributes["epoch"] = epoch
            command.upgrade(config, "head")
    finally:
        if engine is not target:
            engine.dispose()
    return head_revision()


def _wait_for_others(connection: Connection) -> None:
    """Let no two migrations run at once: the second finds all done. SQLite's write lock does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))


def alembic_config(connection: Connection) -> Config:
    """Return what Alembic's commands need to work inside the transaction of `connection`."""
    from alembic.config import Config

    config = Config()
    # Alembic reads a percent sign as the beginning of an interpolation.
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head_revision() -> str:
    """Return the name of the newest migration this version carries."""
    return SCHEMA_REVISION


def current_revision(engine: Engine) -> str | None:
    """Return the name of the schema a database has, or None where it has none.

    Raises:
        DatabaseError: the database cannot be read now.
    """
    with translated(), engine.connect() as connection:
        return _current(connection)


def require_known_schema(engine: Engine) -> None:
    """Refuse a database that this version cannot work with: an older schema, or a newer one that is not for it.

    Raises:
        SchemaError: `schema_missing`, `schema_old`, `schema_unknown`.
        DatabaseError: the database cannot be read now.
    """
    with translated(), engine.connect() as connection:
        found = _current(connection)
        if found == SCHEMA_REVISION:
            return
        if found is None:
            if not _is_empty(connection):
                raise SchemaError("schema_unknown", "the database belongs to another program")
            raise SchemaError("schema_missing", "the database holds no registry yet: run `tenantgate migrate`")
        needed = f"the database has schema {found}, this version needs {SCHEMA_REVISION}"
        if found in _known_revisions():
            raise SchemaError("schema_old", f"{needed}: run `tenantgate migrate`")
        if not _lets_us_go_on(connection):
            raise SchemaError("schema_unknown", f"{needed}: use the version that made it")


def _current(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all()
    return str(found[0]) if len(found) == 1 else None


def _is_empty(connection: Connection) -> bool:
    # Alembic's own table stays behind, empty, where everything was downgraded.
    return not set(sa.inspect(connection).get_table_names()) - {"alembic_version"}


def _refuse_strangers(connection: Connection) -> str | None:
    """Never write our tables into a database that somebody else made, or that a newer version made.

    Returns the schema of one that a newer version made for this one, too.
    """
    found = _current(connection)
    if found is None and not _is_empty(connection):
        raise SchemaError("schema_unknown", "the database belongs to another program")
    if found is None or found in _known_revisions():
        return None
    if not _lets_us_go_on(connection):
        raise SchemaError("schema_unknown", f"the database has schema {found}, which this version does not know")
    return found


def _lets_us_go_on(connection: Connection) -> bool:
    """Whether the version that made this schema, which we do not know, says that ours may work with it."""
    inspector = sa.inspect(connection)
    if not inspector.has_table("revision"):
        return False
    if "oldest_compatible" not in {each["name"] for each in inspector.get_columns("revision")}:
        return False
    found = connection.execute(sa.text("SELECT oldest_compatible FROM revision")).scalars().all()
    return len(found) == 1 and found[0] in _known_revisions()


def _known_revisions() -> frozenset[str]:
    """Return the names of the migrations up to ours: they are numbered (a test compares).

    Not asked of Alembic: a follower's thread wants to know, and imports nothing (decision 0037).
    """
    return frozenset(f"{number:04}" for number in range(1, int(SCHEMA_REVISION) + 1))
