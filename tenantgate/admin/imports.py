"""`/imports`: partners and what is theirs, from a CSV file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Final

from fastapi import Query

from tenantgate.admin.parameters import Cursor, Limit, PathId, searching, sorting
from tenantgate.admin.problems import AdminError
from tenantgate.admin.route import Call, Calling, Routes, Uploaded
from tenantgate.admin.shapes_imports import ImportLineOut, ImportOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import imports
from tenantgate.registry.errors import ConflictError, NotFoundError, RegistryError
from tenantgate.registry.import_file import ImportRow, read_file
from tenantgate.registry.import_lines import Outcome

log: Final = logging.getLogger("tenantgate.admin")

routes: Final = Routes("Imports")

Sort = Annotated[str | None, sorting(imports.IMPORTS)]
Search = Annotated[str | None, searching("an id")]
OfDryRun = Annotated[bool | None, Query(description="Only those that changed nothing, or only those that did.")]
DryRun = Annotated[bool, Query(description="Change nothing, and report what would be.")]
AfterLine = Annotated[str | None, Query(description="`next` of the page before.", pattern="^[0-9]{1,9}$")]
OfOutcome = Annotated[Outcome | None, Query(description="Only lines with this outcome.")]


@routes.upload("/imports", ConflictError)
def create_import(call: Calling, file: Uploaded, dry_run: DryRun = False) -> ImportOut:
    """Import partners with their tenants, daemons and roles from a CSV file; the columns are in docs/imports.md.

    The answer comes when the file was read; `GET /imports/{id}` says how far it is. A line is done whole or not at all,
    and the same file again does what is missing. It makes no issuers, resources or app roles.
    """
    rows = read_file(file)
    with call.changing() as work:
        job = imports.begin(work, file, rows, dry_run=dry_run)
    call.created(f"/imports/{job.id}")
    begin = _trying_out if dry_run else _running
    threading.Thread(target=begin(call, job.id, rows), name="tenantgate-import", daemon=True).start()
    return ImportOut.of(job, call.now)


@routes.get("/imports")
def list_imports(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    dry_run: OfDryRun = None,
) -> Listing[ImportOut]:
    """List the imports of the last month."""
    with call.reading() as session:
        page = imports.list_(session, after=cursor, limit=limit, sort=sort, search=search, dry_run=dry_run)
    return Listing[ImportOut](items=[ImportOut.of(job, call.now) for job in page.items], next=page.after)


@routes.get("/imports/{id}", NotFoundError)
def get_import(call: Calling, id_: PathId) -> ImportOut:
    """Show how far an import is, whichever server runs it."""
    with call.reading() as session:
        return ImportOut.of(imports.get(session, id_), call.now)


@routes.get("/imports/{id}/lines", NotFoundError)
def list_import_lines(
    call: Calling, id_: PathId, cursor: AfterLine = None, limit: Limit = 50, outcome: OfOutcome = None
) -> Listing[ImportLineOut]:
    """List what came of the lines, in their order in the file."""
    with call.reading() as session:
        page = imports.list_lines(session, id_, after=int(cursor or 0), limit=limit, outcome=outcome)
    items = [ImportLineOut.model_validate(line.model_dump(exclude={"job"})) for line in page.items]
    return Listing[ImportLineOut](items=items, next=None if page.after is None else str(page.after))


def _running(call: Call, job: str, rows: list[ImportRow]) -> Callable[[], None]:
    def run() -> None:
        with _told(job):
            imports.run(call.context.engine, job, rows, lambda: call.going_on(job), now=call.context.now)

    return run


def _trying_out(call: Call, job: str, rows: list[ImportRow]) -> Callable[[], None]:
    context, actor = call.context, replace(call.actor, request_id=job)

    def run() -> None:
        with _told(job):
            imports.try_out(context.engine, job, rows, actor, new_id=context.new_id, now=context.now)

    return run


@contextmanager
def _told(job: str) -> Iterator[None]:
    """Say in the log what ended an import; nobody waits for this thread's answer."""
    try:
        yield
    except RegistryError as error:
        log.warning("import interrupted: %s", error.code, extra={"import": job, "reason": error.message})
    except AdminError as error:
        log.warning("import interrupted: %s", error.code, extra={"import": job, "reason": error.detail})
