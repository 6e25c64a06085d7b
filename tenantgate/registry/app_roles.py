"""App roles: what a resource lets its callers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import Session, col, select

from tenantgate.core.fields import NAME_LENGTH
from tenantgate.core.policy import AppRoleRow
from tenantgate.registry.errors import ConflictError, TransitionError
from tenantgate.registry.ordering import bytewise, folded, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import columns_of, facts_of
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import (
    add,
    amend,
    checked,
    choose_id,
    get_row,
    only,
    refer,
    refuse_in_use,
    remove,
    text,
    written_by,
)
from tenantgate.registry.tables import AppRole, Resource
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRoleSpec:
    """What an app role is to be: `value` is what the API asks for, `display_name` what people read (may be empty).

    To grant a `sensitive` one takes two operators (`pending_grants`).
    """

    resource: str
    value: str
    id: str | None = None
    display_name: str = ""
    sensitive: bool = False


def create(work: Work, spec: AppRoleSpec) -> AppRole:
    """Define a role of a resource.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`.
        ConflictError: `id_duplicate`, `role_value_duplicate`; `holder` is the role that has the value.
    """
    id_ = choose_id(work, AppRole, "rol", spec.id)
    data = checked(AppRoleRow(id=id_, resource=spec.resource, value=spec.value))
    display_name = text(spec.display_name, "display_name", limit=NAME_LENGTH, empty=True)
    refer(work.session, Resource, data.resource, "resource")
    same = select(AppRole).where(AppRole.resource == data.resource, AppRole.value == data.value)
    if (other := work.session.exec(same).first()) is not None:
        message = f"resource {data.resource} already defines {data.value} as role {other.id}"
        raise ConflictError("role_value_duplicate", message, field="value", holder=other.id)
    row = AppRole(**columns_of(data), display_name=display_name, sensitive=spec.sensitive, **written_by(work))
    return add(work, row, "app_role.created")


def change(work: Work, id_: str, members: Mapping[str, Any]) -> AppRole:
    """Change the name people read; resource and value are what it is. Where it is so already nothing is written.

    Raises:
        NotFoundError: `app_role_not_found`.
        InvalidError: a member is at fault.
    """
    row = get_row(work.session, AppRole, id_, for_change=True)
    name = only(members, frozenset({"display_name"})).get("display_name", row.display_name)
    columns = {"display_name": text(name, "display_name", limit=NAME_LENGTH, empty=True)}
    return amend(work, row, columns, "app_role.changed")


def delete(work: Work, id_: str) -> AppRole:
    """Define it no more. The row goes; what it was stays in the audit.

    Raises:
        NotFoundError: `app_role_not_found`.
        ConflictError: `app_role_in_use`; `holder` is the first that names it.
    """
    row = get_row(work.session, AppRole, id_, for_change=True)
    refuse_in_use(work.session, row)
    return remove(work, row, "app_role.deleted")


def mark_sensitive(work: Work, id_: str) -> AppRole:
    """From now on it takes two operators to grant it. Who has it keeps it, mappings that give it stay.

    Raises:
        NotFoundError: `app_role_not_found`.
        TransitionError: `state_unchanged`.
    """
    return _mark(work, id_, sensitive=True)


def unmark_sensitive(work: Work, id_: str) -> AppRole:
    """From now on one operator grants it alone. What waits for approval goes on waiting. Raises as `mark_sensitive`."""
    return _mark(work, id_, sensitive=False)


def _mark(work: Work, id_: str, *, sensitive: bool) -> AppRole:
    row = get_row(work.session, AppRole, id_, for_change=True)
    before = facts_of(row)
    if row.sensitive == sensitive:
        said = "sensitive already" if sensitive else "not sensitive"
        raise TransitionError("state_unchanged", f"app role {id_} is {said}", field="sensitive")
    # The registry's own column: it is in no row of the policy, so gates hear of nothing.
    row.sqlmodel_update({"sensitive": sensitive, "updated_at": work.now, "version": row.version + 1})
    work.session.add(row)
    work.session.flush()
    work.record("app_role.marked" if sensitive else "app_role.unmarked", "app_role", id_, before, facts_of(row))
    return row


def get(session: Session, id_: str) -> AppRole:
    """Return an app role. Raises NotFoundError."""
    return get_row(session, AppRole, id_)


APP_ROLES: Final = Catalogue(
    AppRole,
    orders_of(AppRole, name=folded(col(AppRole.display_name))),
    (
        own(AppRole, bytewise(col(AppRole.id))),
        own(AppRole, folded(col(AppRole.value))),
        own(AppRole, folded(col(AppRole.display_name))),
    ),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    resource: str | None = None,
    value: str | None = None,
) -> Page[AppRole]:
    """Return app roles, in order of id or as `sort` says (`name`: what people read).

    `search` is the beginning of an id, a value or a name.
    """
    equal = {"resource": resource, "value": value}
    return APP_ROLES.page(session, after=after, limit=limit, sort=sort, search=search, equal=equal)
