"""What answers look like: imports, and what came of their lines."""

from __future__ import annotations

from pydantic import Field

from tenantgate.admin.wire import Instant, Out
from tenantgate.registry.import_lines import Outcome
from tenantgate.registry.import_tables import ImportJob
from tenantgate.registry.imports import ImportState, state_of


class ImportOut(Out):
    """An import, and how far it is. Lines are those with something in them, the header not counted."""

    id: str = Field(description="Also the `request_id` of what it did, in the audit.")
    created_at: Instant
    created_by: str = Field(description="Id of the operator; `cli:NAME` for the command line.")
    dry_run: bool = Field(description="Nothing is changed; the report is what a real run's would be.")
    digest: str = Field(description="SHA-256 of the file.")
    state: ImportState = Field(description="Interrupted: whoever ran it is gone, or `problem` ended it. Run it again.")
    problem: str | None = Field(description="The code of what ended it too early.", examples=["database_unavailable"])
    lines: int
    done: int = Field(description="How many of them.")
    created: int = Field(description="Lines that made something.")
    changed: int = Field(description="Lines that made nothing new, and changed something.")
    existing: int = Field(description="Lines whose content was there already.")
    refused: int = Field(description="Lines of which nothing was done.")
    seen_at: Instant = Field(description="When something was last written down of it.")
    ended_at: Instant | None

    @classmethod
    def of(cls, job: ImportJob, now: int) -> ImportOut:
        """Return what is shown of an import at this moment."""
        return cls.model_validate({**job.model_dump(), "state": state_of(job, now)})


class ImportLineOut(Out):
    """What came of one line."""

    line: int = Field(description="Its number in the file; the header is 1.")
    partner: str
    outcome: Outcome
    code: str | None = Field(description="Why it was refused.", examples=["reference_unknown"])
    cell: str | None = Field(description="The column at fault.", examples=["roles"])
    message: str | None
