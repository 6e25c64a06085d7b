"""What all services share: looking up, adding, changing, removing. Lists are in `pages` and `searching`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.core.fields import check_id, check_text
from tenantgate.core.policy import PolicyError, RowData, is_id
from tenantgate.core.rules import check_row
from tenantgate.registry import tables
from tenantgate.registry.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    TransitionError,
    from_policy_error,
)
from tenantgate.registry.pages import LARGEST_PAGE as LARGEST_PAGE
from tenantgate.registry.pages import Page as Page
from tenantgate.registry.pages import check_limit as check_limit
from tenantgate.registry.pages import page as page
from tenantgate.registry.rows import MEMBERS, facts_of

if TYPE_CHECKING:
    from tenantgate.registry.unit_of_work import Work

NOTES_LENGTH: Final = 4_000
REASON_LENGTH: Final = 500

N = TypeVar("N", bound=tables.Named)
W = TypeVar("W", bound=tables.Written)
D = TypeVar("D", bound=RowData)


def checked(data: D) -> D:
    """Return the row with its defaults filled in, GUIDs in lower case.

    Raises:
        InvalidError: `field` names the member at fault.
    """
    try:
        found = check_row(data)
    except PolicyError as error:
        raise from_policy_error(error) from None
    assert type(found) is type(data)
    return found


def fitting(check: Callable[..., Any], *rows: RowData, holder: str = "") -> Any:
    """Return what a check of `core.references` says, its refusal turned into the registry's."""
    try:
        return check(*rows)
    except PolicyError as error:
        raise from_policy_error(error, holder) from None


def text(value: str, field: str, *, limit: int, lines: bool = False, empty: bool = False) -> str:
    """Return a text of the registry's own (a name, a note) if it may be kept.

    Raises:
        InvalidError: one of the `text_…` codes.
    """
    if not value and empty:
        return value
    try:
        check_text(value, field, limit=limit, lines=lines)
    except PolicyError as error:
        raise from_policy_error(error) from None
    return value


def check_slug(value: str, field: str) -> None:
    """Refuse what is not a slug.

    Raises:
        InvalidError: `id_malformed`.
    """
    try:
        check_id(value, field)
    except PolicyError as error:
        raise from_policy_error(error) from None


def choose_id(work: Work, table: type[tables.Named], prefix: str, given: str | None) -> str:
    """Return the id for a new row: the one given, if it is free, or a new one.

    Raises:
        InvalidError: `id_malformed`.
        ConflictError: `id_duplicate`.
    """
    id_ = given if given is not None else work.new_id(prefix)
    check_slug(id_, "id")
    if work.session.get(table, id_) is not None:
        raise ConflictError("id_duplicate", f"the id {id_} is taken", field="id", holder=id_)
    return id_


def get_row(session: Session, table: type[N], id_: str, *, for_change: bool = False) -> N:
    """Return the row with this id; `for_change` locks it where the engine locks rows.

    Raises:
        NotFoundError: `…_not_found`.
    """
    row = session.get(table, id_, with_for_update=for_change or None) if is_id(id_) else None
    if row is None:
        kind = kind_of_table(table)
        raise NotFoundError(f"{kind}_not_found", f"there is no {kind.replace('_', ' ')} {id_}")
    return row


def refer(session: Session, table: type[N], id_: str, field: str) -> N:
    """Return the row another one names in `field`.

    Raises:
        InvalidError: `reference_unknown`.
    """
    row = session.get(table, id_) if is_id(id_) else None
    if row is None:
        kind = kind_of_table(table).replace("_", " ")
        raise InvalidError("reference_unknown", f"there is no {kind} {id_}", field=field)
    return row


def kind_of_table(table: type[tables.Base]) -> str:
    """Return a table's name, which is the kind in codes and in the audit."""
    return str(table.__tablename__)


def written_by(work: Work) -> dict[str, Any]:
    """Return the columns that say who writes a new row, and when."""
    return {"created_at": work.now, "created_by": work.actor.operator_id, "updated_at": work.now, "version": 1}


def add(work: Work, row: N, action: str, *, policy: bool = True) -> N:
    """Add a row, say so in the audit and, if it is `policy`, in the change feed."""
    kind = kind_of_table(type(row))
    if policy and isinstance(row, tables.Written):
        row.version = _first_version(work.session, kind, row.id)
    work.session.add(row)
    work.session.flush()
    work.record(action, kind, row.id, None, facts_of(row))
    if policy:
        work.change(kind, row.id, "put")
    return row


def _first_version(session: Session, kind: str, id_: str) -> int:
    """Return the version of a new row: 1, or one that no earlier row of this id ever had, as the audit knows it.

    Whoever has seen the earlier one must not change this one in the belief that it is the same (`preconditions`).
    """
    entries = select(tables.AuditEntry).where(tables.AuditEntry.kind == kind, tables.AuditEntry.row_id == id_)
    last = session.exec(entries.order_by(col(tables.AuditEntry.sequence).desc()).limit(1)).first()
    if last is None:
        return 1
    versions = [each["version"] for each in (last.before, last.after) if each and "version" in each]
    # No row has more versions than the audit has entries, for one whose entry does not say which it was in.
    return int(max(versions, default=last.sequence)) + 1


def set_state(work: Work, row: W, state: str, action: str, *, policy: bool = True, reason: str = "") -> W:
    """Put a row into another state. A `reason` stands in the audit, beside what the row is then.

    Raises:
        TransitionError: `state_unchanged`.
        InvalidError: `reason` is no text that may be kept.
    """
    said = {"reason": text(reason, "reason", limit=REASON_LENGTH, lines=True)} if reason else {}
    kind = kind_of_table(type(row))
    before = facts_of(row)
    if before["state"] == state:
        raise TransitionError("state_unchanged", f"{kind} {row.id} is already {state}", field="state")
    row.sqlmodel_update({"state": state, "updated_at": work.now, "version": row.version + 1})
    work.session.add(row)
    work.session.flush()
    work.record(action, kind, row.id, before, facts_of(row) | said)
    if policy:
        work.change(kind, row.id, "put")
    return row


def amend(work: Work, row: W, columns: dict[str, Any], action: str, *, anew: bool = False) -> W:
    """Give a row other columns and say so; where it has them already nothing is done.

    Gates hear of it where a column is one of the policy's: a note makes no revision. `anew`: it is done, and makes one,
    whatever the columns are.
    """
    kind = kind_of_table(type(row))
    before = facts_of(row)
    if columns.items() <= before.items() and not anew:
        return row
    row.sqlmodel_update({**columns, "updated_at": work.now, "version": row.version + 1})
    work.session.add(row)
    work.session.flush()
    work.record(action, kind, row.id, before, facts_of(row))
    if anew or any(columns.get(name, before[name]) != before[name] for name in MEMBERS.get(kind, ())):
        work.change(kind, row.id, "put")
    return row


def only(members: Mapping[str, Any], changeable: frozenset[str]) -> Mapping[str, Any]:
    """Return the members that are to be different, if they may be.

    Raises:
        InvalidError: `member_not_allowed`.
    """
    if unknown := members.keys() - changeable:
        raise InvalidError("member_not_allowed", "says what it is and stays: make another one", field=min(unknown))
    return members


def refuse_in_use(session: Session, row: tables.Named) -> None:
    """Refuse to delete what another row refers to.

    Raises:
        ConflictError: `…_in_use`; `holder` is the id of the first that does.
    """
    kind = kind_of_table(type(row))
    for table in tables.Base.metadata.sorted_tables:
        for column in table.columns:
            if not any(key.references(type(row).__table__) for key in column.foreign_keys):  # type: ignore[attr-defined]
                continue
            user = session.execute(sa.select(table.c.id).where(column == row.id).order_by(table.c.id).limit(1)).scalar()
            if user is not None:
                message = f"{table.name.replace('_', ' ')} {user} names this {kind.replace('_', ' ')}"
                raise ConflictError(f"{kind}_in_use", message, holder=user)


def remove(work: Work, row: W, action: str) -> W:
    """Delete a row of the policy and say so; what it was stays in the audit."""
    kind = kind_of_table(type(row))
    work.record(action, kind, row.id, facts_of(row), None)
    work.change(kind, row.id, "delete")
    work.session.delete(row)
    work.session.flush()
    return row


def require_future(work: Work, value: int | None, field: str) -> None:
    """Refuse an end that has passed; ends are exclusive.

    Raises:
        InvalidError: `time_in_past`.
    """
    if value is not None and value <= work.now:
        raise InvalidError("time_in_past", "has already passed", field=field)
