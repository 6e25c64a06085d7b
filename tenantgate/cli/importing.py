"""What `tenantgate partner import` does: an import as the REST API makes them, run here and now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import typer

from tenantgate.admin.shapes_imports import ImportLineOut, ImportOut
from tenantgate.cli.office import UNUSABLE, Office, told
from tenantgate.cli.output import print_json, print_table
from tenantgate.registry import imports
from tenantgate.registry.import_file import LARGEST_FILE, ImportRow, read_file
from tenantgate.registry.import_lines import Outcome
from tenantgate.registry.service import LARGEST_PAGE
from tenantgate.registry.unit_of_work import Work, unit_of_work

_COLUMNS: Final = ("line", "partner", "outcome", "code", "cell", "message")


def import_file(desk: Office, file: Path, *, dry_run: bool, as_json: bool) -> None:
    """Import a file and show what came of it: every line with `--json`, else those that were refused.

    Raises:
        RegistryError: the file as a whole is at fault, or the database.
        typer.Exit: 1 where a line was refused, 2 where the file cannot be read.
    """
    raw = _read(file)
    rows = read_file(raw)
    with desk.changing() as work:
        job = imports.begin(work, raw, rows, dry_run=dry_run)
    _run(desk, job.id, rows, dry_run=dry_run)
    with desk.reading() as session:
        done = ImportOut.of(imports.get(session, job.id), _now())
    lines = list(_lines(desk, job.id, everything=as_json))
    if as_json:
        print_json({"import": done.model_dump(mode="json"), "lines": [line.model_dump(mode="json") for line in lines]})
    else:
        if lines:
            print_table(_COLUMNS, [line.model_dump(mode="json") for line in lines])
        would = "would be " if dry_run else ""
        typer.echo(
            f"{done.lines} lines: {would}{done.created} created, {done.changed} changed, {done.refused} refused; "
            f"{done.existing} were there already (import {done.id})"
        )
    if done.refused:
        raise typer.Exit(1)


def _run(desk: Office, job: str, rows: list[ImportRow], *, dry_run: bool) -> None:
    actor = replace(desk.actor, request_id=job)

    @contextmanager
    def changing() -> Iterator[Work]:
        with unit_of_work(desk.engine, actor=actor, now=_now(), new_id=desk.new_id) as work:
            yield work

    if dry_run:
        imports.try_out(desk.engine, job, rows, actor, new_id=desk.new_id, now=_now)
    else:
        imports.run(desk.engine, job, rows, changing, now=_now)


def _lines(desk: Office, job: str, *, everything: bool) -> Iterator[ImportLineOut]:
    after: int | None = 0
    while after is not None:
        with desk.reading() as session:
            outcome: Outcome | None = None if everything else "refused"
            page = imports.list_lines(session, job, after=after, limit=LARGEST_PAGE, outcome=outcome)
        yield from (ImportLineOut.model_validate(line.model_dump(exclude={"job"})) for line in page.items)
        after = page.after


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise told("file_unreadable", f"{file}: {error.strerror}", UNUSABLE) from None


def _now() -> int:
    return int(time.time())
