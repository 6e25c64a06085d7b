"""Role mappings: values of an issuer's claims that give an app role, where we choose to believe them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from sqlmodel import Session, col, select

from tenantgate.core.policy import RoleMappingRow
from tenantgate.registry.errors import ConflictError, TransitionError
from tenantgate.registry.ordering import bytewise, folded, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import columns_of
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import add, checked, choose_id, get_row, refer, remove, written_by
from tenantgate.registry.tables import AppRole, Issuer, RoleMapping
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleMappingSpec:
    """What a mapping is to be; members as in `core.policy.RoleMappingRow`."""

    issuer: str
    claim: str
    value: str
    app_role: str
    id: str | None = None


def create(work: Work, spec: RoleMappingSpec) -> RoleMapping:
    """Believe a value of an issuer's claim: it gives the role to the listed daemons whose tokens carry it.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`.
        ConflictError: `id_duplicate`, `role_mapping_duplicate`; `holder` is the mapping that says so already.
        TransitionError: `role_sensitive`: who writes the partner's claims would grant it, alone.
    """
    id_ = choose_id(work, RoleMapping, "map", spec.id)
    data = checked(RoleMappingRow(**(asdict(spec) | {"id": id_})))
    refer(work.session, Issuer, data.issuer, "issuer")
    if refer(work.session, AppRole, data.app_role, "app_role").sensitive:
        message = f"role {data.app_role} is sensitive: it is given by approved assignments, never by a claim"
        raise TransitionError("role_sensitive", message, field="app_role", holder=data.app_role)
    same = select(RoleMapping).where(
        RoleMapping.issuer == data.issuer,
        RoleMapping.app_role == data.app_role,
        RoleMapping.claim == data.claim,
        RoleMapping.value == data.value,
    )
    if (other := work.session.exec(same).first()) is not None:
        message = f"this value already gives role {data.app_role} by mapping {other.id}"
        raise ConflictError("role_mapping_duplicate", message, field="value", holder=other.id)
    return add(work, RoleMapping(**columns_of(data), **written_by(work)), "role_mapping.created")


def delete(work: Work, id_: str) -> RoleMapping:
    """Believe it no more. The row goes; what it was stays in the audit.

    Raises:
        NotFoundError: `role_mapping_not_found`.
    """
    return remove(work, get_row(work.session, RoleMapping, id_, for_change=True), "role_mapping.deleted")


def get(session: Session, id_: str) -> RoleMapping:
    """Return a mapping. Raises NotFoundError."""
    return get_row(session, RoleMapping, id_)


ROLE_MAPPINGS: Final = Catalogue(
    RoleMapping,
    orders_of(RoleMapping),
    (own(RoleMapping, bytewise(col(RoleMapping.id))), own(RoleMapping, folded(col(RoleMapping.value)))),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    issuer: str | None = None,
    app_role: str | None = None,
) -> Page[RoleMapping]:
    """Return mappings, in order of id or as `sort` says. `search` is the beginning of an id or of a claim's value."""
    equal = {"issuer": issuer, "app_role": app_role}
    return ROLE_MAPPINGS.page(session, after=after, limit=limit, sort=sort, search=search, equal=equal)
