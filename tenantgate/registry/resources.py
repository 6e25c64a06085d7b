"""Resources: the protected APIs and their token rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa
from msgspec.structs import replace
from sqlmodel import Session, col, select

from tenantgate.core.policy import (
    AppOnlyRule,
    CredentialStrength,
    ReportOnly,
    RequiredClaim,
    ResourceRow,
    TokenRoles,
    TokenVersion,
    one_spelling,
)
from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.errors import ConflictError
from tenantgate.registry.ordering import bytewise, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import columns_of, data_of_row
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import (
    add,
    amend,
    checked,
    choose_id,
    get_row,
    refer,
    refuse_in_use,
    remove,
    require_future,
    written_by,
)
from tenantgate.registry.tables import AppRole, Issuer, Resource, RoleAssignment
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSpec:
    """What a resource is to be; members as in `core.policy.ResourceRow`, durations in seconds.

    `access_requests`: its gates note authentic callers that are on no list. No gate judges by it.
    """

    audiences: tuple[str, ...]
    id: str | None = None
    app_only: AppOnlyRule = "strict"
    agent_identities: bool = False
    token_roles: TokenRoles = "ignore"
    tenant_wide_roles: bool = False
    min_credential: CredentialStrength = "none"
    max_lifetime: int = 86_400
    clock_skew: int = 60
    issuers: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    token_versions: tuple[TokenVersion, ...] = ()
    required_claims: tuple[RequiredClaim, ...] = ()
    addresses: tuple[str, ...] = ()
    report_only: tuple[ReportOnly, ...] = ()
    signing_keys_appid: str | None = None
    token_header: str | None = None
    token_query: str | None = None
    token_scheme: str = "Bearer"
    failure_status: int | None = None
    failure_message: str | None = None
    show_reasons: bool = False
    access_requests: bool = False


def create(work: Work, spec: ResourceSpec) -> Resource:
    """Protect an API.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`, `time_in_past`.
        ConflictError: `id_duplicate`, `audience_overlap`; `holder` is the resource that accepts the audience.
    """
    id_ = choose_id(work, Resource, "res", spec.id)
    members = asdict(spec) | {"id": id_}
    own = {"access_requests": members.pop("access_requests")}
    data = checked(ResourceRow(**members))
    _check_fit(work, data, ())
    return add(work, Resource(**columns_of(data), **own, **written_by(work)), "resource.created")


def change(work: Work, id_: str, members: Mapping[str, Any]) -> Resource:
    """Change a resource's rules. `members` are those of a ResourceSpec but its id; what is not named stays.

    Where it is so already nothing is written. What was reported only and has ended may stand there again.

    Raises:
        NotFoundError: `resource_not_found`.
        InvalidError: a member is at fault, `reference_unknown`, `time_in_past`.
        ConflictError: `audience_overlap`; `tenant_wide_in_use`, where assignments to tenants are still there.
    """
    row = get_row(work.session, Resource, id_, for_change=True)
    before = data_of_row("resource", row)
    assert isinstance(before, ResourceRow)
    own = {name: value for name, value in members.items() if name == "access_requests"}
    data = checked(replace(before, **{name: value for name, value in members.items() if name not in own}))
    _check_fit(work, data, before.report_only)
    if before.tenant_wide_roles and not data.tenant_wide_roles:
        _refuse_wide(work.session, id_)
    return amend(work, row, columns_of(data) | own, "resource.changed")


def _check_fit(work: Work, data: ResourceRow, known: tuple[ReportOnly, ...]) -> None:
    """Refuse what does not fit the other rows or the time. `known` was there before and may have ended since."""
    for place, audience in enumerate(data.audiences):
        if one_spelling(audience) in work.reserved_audiences:
            message = f"audience {audience} is that of administrators' tokens"
            raise ConflictError("audience_overlap", message, field=f"audiences[{place}]")
    # Resources are few: all of them are looked at.
    for other in work.session.exec(select(Resource).where(col(Resource.id) != data.id)):
        taken = set(map(one_spelling, other.audiences))
        for place, audience in enumerate(data.audiences):
            if one_spelling(audience) in taken:
                message = f"audience {audience} is already accepted by resource {other.id}"
                raise ConflictError("audience_overlap", message, field=f"audiences[{place}]", holder=other.id)
    for place, issuer in enumerate(data.issuers):
        refer(work.session, Issuer, issuer, f"issuers[{place}]")
    for place, each in enumerate(data.report_only):
        if each not in known:
            require_future(work, each.until, f"report_only[{place}].until")


def _refuse_wide(session: Session, id_: str) -> None:
    """Refuse to switch tenant-wide roles off while some are given: they would be there and count for nothing."""
    wide = select(RoleAssignment).join(AppRole).where(AppRole.resource == id_, col(RoleAssignment.tenant).is_not(None))
    if (assignment := session.exec(wide.order_by(col(RoleAssignment.id))).first()) is not None:
        message = f"assignment {assignment.id} gives a role to all of tenant {assignment.tenant}"
        raise ConflictError("tenant_wide_in_use", message, field="tenant_wide_roles", holder=assignment.id)


def delete(work: Work, id_: str) -> Resource:
    """Protect it no more, where no role of it is defined. The row goes; what it was stays in the audit.

    Raises:
        NotFoundError: `resource_not_found`.
        ConflictError: `resource_in_use`; `holder` is the first that names it.
    """
    row = get_row(work.session, Resource, id_, for_change=True)
    refuse_in_use(work.session, row)
    work.session.execute(sa.delete(AccessRequest).where(col(AccessRequest.resource) == id_))  # nobody can be let in
    return remove(work, row, "resource.deleted")


def get(session: Session, id_: str) -> Resource:
    """Return a resource. Raises NotFoundError."""
    return get_row(session, Resource, id_)


RESOURCES: Final = Catalogue(Resource, orders_of(Resource), (own(Resource, bytewise(col(Resource.id))),))


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
) -> Page[Resource]:
    """Return resources, in order of id or as `sort` says. `search` is the beginning of an id."""
    return RESOURCES.page(session, after=after, limit=limit, sort=sort, search=search)
