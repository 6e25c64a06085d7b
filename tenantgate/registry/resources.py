"""Resources: the protected APIs and their token rules."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlmodel import Session, select

from tenantgate.core.policy import AppOnlyRule, CredentialStrength, ResourceRow, TokenRoles
from tenantgate.registry.errors import ConflictError
from tenantgate.registry.rows import columns_of
from tenantgate.registry.service import Page, add, checked, choose_id, get_row, page, written_by
from tenantgate.registry.tables import Resource
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSpec:
    """What a resource is to be; members as in `core.policy.ResourceRow`, durations in seconds."""

    audiences: tuple[str, ...]
    id: str | None = None
    app_only: AppOnlyRule = "strict"
    token_roles: TokenRoles = "ignore"
    tenant_wide_roles: bool = False
    min_credential: CredentialStrength = "none"
    max_lifetime: int = 86_400
    clock_skew: int = 60
    show_reasons: bool = False


def create(work: Work, spec: ResourceSpec) -> Resource:
    """Protect an API.

    Raises:
        InvalidError: a member is at fault.
        ConflictError: `id_duplicate`, `audience_overlap`; `holder` is the resource that accepts the audience.
    """
    id_ = choose_id(work, Resource, "res", spec.id)
    data = checked(ResourceRow(**(asdict(spec) | {"id": id_})))
    # Resources are few: all of them are looked at.
    for other in work.session.exec(select(Resource)):
        for place, audience in enumerate(data.audiences):
            if audience in other.audiences:
                message = f"audience {audience} is already accepted by resource {other.id}"
                raise ConflictError("audience_overlap", message, field=f"audiences[{place}]", holder=other.id)
    return add(work, Resource(**columns_of(data), **written_by(work)), "resource.created")


def get(session: Session, id_: str) -> Resource:
    """Return a resource. Raises NotFoundError."""
    return get_row(session, Resource, id_)


def list_(session: Session, *, after: str | None = None, limit: int = 50) -> Page[Resource]:
    """Return resources in order of id."""
    return page(session, select(Resource), Resource, after=after, limit=limit)
