"""Imports: a CSV file done in small units of work, whose progress stands in the database.

Whoever runs one writes down how far it is in the same transaction as what it did, so what is told is so, and a run
that was answered twice does nothing twice. A run whose process died is `interrupted` for all who ask; the same file
again does what is missing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlmodel import Session, col, select

from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import ConflictError, DatabaseError, RegistryError
from tenantgate.registry.ids import NewId
from tenantgate.registry.import_file import ImportRow
from tenantgate.registry.import_lines import LineResult, Made, Outcome, apply_line
from tenantgate.registry.import_tables import ImportJob, ImportLine
from tenantgate.registry.import_trial import open_trial
from tenantgate.registry.ordering import bytewise, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import check_limit, choose_id, get_row
from tenantgate.registry.unit_of_work import Actor, Work, unit_of_work

ImportState = Literal["running", "done", "interrupted"]
Changing = Callable[[], AbstractContextManager[Work]]
"""Opens a unit of work in the name of whoever runs the import, if they still may."""

BATCH: Final = 50
"""Lines a unit of work: what a suspension may have to wait for."""
BREATH: Final = 0.05
"""Seconds between two, in which others get their turn."""
SILENT: Final = 60
"""Seconds after which a run that writes nothing down is taken for dead."""
KEPT: Final = 30 * 86_400
"""Seconds that an import and its lines are kept."""
_PATIENCE: Final = 30.0
"""Seconds for which a database in trouble is asked again."""
_COUNTED: Final[dict[Outcome, str]] = {
    "created": "created",
    "changed": "changed",
    "exists": "existing",
    "refused": "refused",
}


@dataclass(frozen=True, slots=True)
class LinePage:
    """Some lines of a report, and the cursor for the next ones, or None at the end."""

    items: tuple[ImportLine, ...]
    after: int | None


def begin(work: Work, raw: bytes, rows: Sequence[ImportRow], *, dry_run: bool) -> ImportJob:
    """Write down that a file is being imported. One at a time, whichever server runs it.

    Raises:
        ConflictError: `import_running`; `holder` is the one under way.
    """
    for other in work.session.exec(select(ImportJob).where(ImportJob.state == "running")):
        if state_of(other, work.now) == "running":
            message = f"import {other.id} is at line {other.done} of {other.lines}"
            raise ConflictError("import_running", message, holder=other.id)
    _forget_old(work)
    job = ImportJob(
        id=choose_id(work, ImportJob, "imp", None),
        created_at=work.now,
        created_by=work.actor.operator_id,
        dry_run=dry_run,
        digest=hashlib.sha256(raw).hexdigest(),
        state="running",
        lines=len(rows),
        done=0,
        created=0,
        changed=0,
        existing=0,
        refused=0,
        seen_at=work.now,
    )
    work.session.add(job)
    work.session.flush()
    if not dry_run:
        work.record("import.begun", "import_job", job.id, None, {"lines": job.lines, "digest": job.digest})
    return job


def run(engine: Engine, job: str, rows: Sequence[ImportRow], changing: Changing, *, now: Callable[[], int]) -> None:
    """Do every line of a job that has begun. `changing` opens its units of work; `now` is epoch seconds.

    Raises:
        RegistryError: what ended it before its end; it is interrupted then, and says why.
    """
    made: Made = {}
    try:
        for place in range(0, len(rows), BATCH):
            batch = partial(_batch, changing, job, rows[place : place + BATCH], place, made, now)
            _patiently(batch)
            breathe()
        _patiently(lambda: _end(engine, job, "done", None, now()))
    except Exception as error:
        _interrupted(engine, job, getattr(error, "code", "internal_error"), now())
        raise


def try_out(
    engine: Engine, job: str, rows: Sequence[ImportRow], actor: Actor, *, new_id: NewId, now: Callable[[], int]
) -> None:
    """Do every line of a job on a copy of what is there, for its report alone. Raises RegistryError."""
    try:
        with reading(engine) as session:
            trial = open_trial(session, rows)
        begun, made = now(), Made()
        try:
            for place in range(0, len(rows), BATCH):
                with unit_of_work(trial, actor=actor, now=begun, new_id=new_id) as work:
                    results = [apply_line(work, row, made) for row in rows[place : place + BATCH]]
                _patiently(partial(_noted, engine, job, results, place, now()))
        finally:
            trial.dispose()
        _patiently(lambda: _end(engine, job, "done", None, now()))
    except Exception as error:
        _interrupted(engine, job, getattr(error, "code", "internal_error"), now())
        raise


def breathe() -> None:
    """Let others have their turn."""
    time.sleep(BREATH)


def state_of(job: ImportJob, now: int) -> ImportState:
    """Return how a job is doing: one that has not written anything down for a minute is interrupted."""
    if job.state == "running" and now >= job.seen_at + SILENT:
        return "interrupted"
    found: ImportState = job.state  # type: ignore[assignment]
    return found


def get(session: Session, id_: str) -> ImportJob:
    """Return an import. Raises NotFoundError."""
    return get_row(session, ImportJob, id_)


IMPORTS: Final = Catalogue(ImportJob, orders_of(ImportJob), (own(ImportJob, bytewise(col(ImportJob.id))),))


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    dry_run: bool | None = None,
) -> Page[ImportJob]:
    """Return imports, in order of id or as `sort` says. `search` is the beginning of an id."""
    return IMPORTS.page(session, after=after, limit=limit, sort=sort, search=search, equal={"dry_run": dry_run})


def list_lines(
    session: Session, id_: str, *, after: int = 0, limit: int = 50, outcome: Outcome | None = None
) -> LinePage:
    """Return what came of the lines of an import, in their order; `after` is the last line seen.

    Raises:
        NotFoundError: there is no such import.
        InvalidError: `number_out_of_range`, the limit.
    """
    check_limit(limit)
    job = get(session, id_)
    query = select(ImportLine).where(ImportLine.job == job.id, col(ImportLine.line) > after)
    if outcome is not None:
        query = query.where(ImportLine.outcome == outcome)
    found = session.exec(query.order_by(col(ImportLine.line)).limit(limit + 1)).all()
    items = tuple(found[:limit])
    return LinePage(items, items[-1].line if len(found) > limit else None)


def _batch(
    changing: Changing, job: str, rows: Sequence[ImportRow], place: int, made: Made, now: Callable[[], int]
) -> None:
    with changing() as work:
        if _is_next(work.session, job, place):
            _write_down(work.session, job, [apply_line(work, row, made) for row in rows], now())


def _noted(engine: Engine, job: str, results: Sequence[LineResult], place: int, now: int) -> None:
    with writing(engine) as session:
        if _is_next(session, job, place):
            _write_down(session, job, results, now)


def _is_next(session: Session, job: str, place: int) -> bool:
    """Whether a batch is still to be done: the answer to its commit may have been lost."""
    done = session.execute(
        sa.select(col(ImportJob.done)).where(col(ImportJob.id) == job).with_for_update()
    ).scalar_one()
    return bool(done == place)


def _write_down(session: Session, job: str, results: Sequence[LineResult], now: int) -> None:
    session.execute(sa.insert(ImportLine), [{"job": job, **asdict(each)} for each in results])
    counts = {name: sum(each.outcome == outcome for each in results) for outcome, name in _COUNTED.items()}
    more = {name: getattr(ImportJob, name) + count for name, count in counts.items()}
    done = col(ImportJob.done) + len(results)
    session.execute(sa.update(ImportJob).where(col(ImportJob.id) == job).values(done=done, seen_at=now, **more))


def _end(engine: Engine, job: str, state: ImportState, problem: str | None, now: int) -> None:
    with writing(engine) as session:
        ended = {"state": state, "problem": problem, "ended_at": now, "seen_at": now}
        session.execute(sa.update(ImportJob).where(col(ImportJob.id) == job).values(**ended))


def _interrupted(engine: Engine, job: str, code: str, now: int) -> None:
    # Best effort: what could not even be written down is soon taken for dead.
    with suppress(RegistryError):
        _end(engine, job, "interrupted", code, now)


def _patiently(do: Callable[[], None]) -> None:
    """Do something that can be done again as long as the database cannot do it now, for a while."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return do()
        except DatabaseError:
            if time.monotonic() >= until:
                raise
            time.sleep(1.0)


def _forget_old(work: Work) -> None:
    old = sa.select(col(ImportJob.id)).where(col(ImportJob.created_at) < work.now - KEPT)
    work.session.execute(sa.delete(ImportLine).where(col(ImportLine.job).in_(old)))
    work.session.execute(sa.delete(ImportJob).where(col(ImportJob.created_at) < work.now - KEPT))
