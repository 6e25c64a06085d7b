"""The tables of imports: how far each is, and what came of every line. Neither is policy, nor audited."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Field

from tenantgate.registry.tables import Base, Named


class ImportJob(Named, table=True):
    """One import of a CSV file. `seen_at`: when whoever runs it last wrote here; an old one is interrupted."""

    __table_args__ = (sa.CheckConstraint("state IN ('running', 'done', 'interrupted')", name="state"),)
    created_at: int = Field(sa_type=sa.BigInteger)
    created_by: str
    dry_run: bool
    digest: str
    state: str
    problem: str | None = None
    lines: int
    done: int
    created: int
    changed: int
    existing: int
    refused: int
    seen_at: int = Field(sa_type=sa.BigInteger)
    ended_at: int | None = Field(default=None, sa_type=sa.BigInteger)


class ImportLine(Base, table=True):
    """What came of one line of the file, by its number there (the header is line 1)."""

    job: str = Field(primary_key=True, foreign_key="import_job.id")
    line: int = Field(primary_key=True)
    partner: str
    outcome: str
    code: str | None = None
    cell: str | None = None
    message: str | None = None
