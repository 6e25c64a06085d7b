"""Runs migrations inside the one transaction that `tenantgate.registry.migrations` opened."""

from __future__ import annotations

from alembic import context
from tenantgate.registry.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most things in place: batch mode copies the table.
    render_as_batch=True,
    # True also for SQLite: the registry's engine hook keeps DDL inside the transaction.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
