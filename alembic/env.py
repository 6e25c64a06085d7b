"""Runs migrations inside the one transaction that `tenantgate.registry.migrations` opened."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

import tenantgate.registry.key_tables  # noqa: F401 - its tables belong to the metadata
from alembic import context
from tenantgate.registry import (
    admission_tables,  # noqa: F401 - its tables are compared
    decision_tables,  # noqa: F401 - so that the metadata is whole
)
from tenantgate.registry.tables import Base


def note_oldest_compatible(*, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    """Write down, after each step up or down, the oldest schema whose code may go on with what is there now.

    A migration that does not say lets no older version go on.
    """
    del heads, run_args
    for script in step.destination_revisions:
        columns = {each["name"] for each in sa.inspect(ctx.connection).get_columns("revision")}
        if "oldest_compatible" in columns:
            oldest = getattr(script.module, "oldest_compatible", script.revision)
            ctx.connection.execute(sa.text("UPDATE revision SET oldest_compatible = :oldest"), {"oldest": oldest})


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most things in place: batch mode copies the table.
    render_as_batch=True,
    # True also for SQLite: the registry's engine hook keeps DDL inside the transaction.
    transactional_ddl=True,
    on_version_apply=note_oldest_compatible,
)
with context.begin_transaction():
    context.run_migrations()
