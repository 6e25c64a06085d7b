"""App roles: what a resource lets its callers do."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, select

from tenantgate.core.fields import NAME_LENGTH
from tenantgate.core.policy import AppRoleRow
from tenantgate.registry.errors import ConflictError
from tenantgate.registry.rows import columns_of
from tenantgate.registry.service import Page, add, checked, choose_id, get_row, page, refer, text, written_by
from tenantgate.registry.tables import AppRole, Resource
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRoleSpec:
    """What an app role is to be: `value` is what the API asks for, `display_name` what people read (may be empty)."""

    resource: str
    value: str
    id: str | None = None
    display_name: str = ""


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
    return add(work, AppRole(**columns_of(data), display_name=display_name, **written_by(work)), "app_role.created")


def get(session: Session, id_: str) -> AppRole:
    """Return an app role. Raises NotFoundError."""
    return get_row(session, AppRole, id_)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    resource: str | None = None,
    value: str | None = None,
) -> Page[AppRole]:
    """Return app roles in order of id."""
    equal = {"resource": resource, "value": value}
    return page(session, select(AppRole), AppRole, after=after, limit=limit, equal=dict(equal))
