"""The roles a listed daemon holds on a resource, now: assigned, its tenant's, or mapped from a claim we believe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantgate.core.pointer import find, texts
from tenantgate.core.policy import RoleAssignmentRow

if TYPE_CHECKING:
    from tenantgate.core.judge import Case


def held_roles(case: Case, *, also_in_token: bool = False) -> set[str]:
    """Return the role values that count on the case's resource at `case.now`.

    `also_in_token`: an assigned role counts only where the token's `roles` has it too; an absent claim has none. What
    a mapping gives comes from the token already, and counts either way.
    """
    daemon, tenant, issuer = case.daemon, case.tenant, case.issuer
    assert daemon is not None
    assert tenant is not None
    assert issuer is not None
    held: set[str] = set()
    _add_assigned(held, case, daemon.grants)
    if tenant.grants and case.resource.row.tenant_wide_roles and not tenant.row.hosted:
        _add_assigned(held, case, tenant.grants)
    if also_in_token:
        held.intersection_update(case.claims.roles)
    if issuer.mappings:
        held.update(_mapped(case))
    return held


def _add_assigned(held: set[str], case: Case, grants: tuple[RoleAssignmentRow, ...]) -> None:
    roles, resource, now = case.index.app_roles, case.resource.row.id, case.now
    for grant in grants:
        role = roles.get(grant.app_role)
        if role is None or role.resource != resource:
            continue
        if grant.not_before is not None and now < grant.not_before:
            continue
        if grant.expires_at is not None and now >= grant.expires_at:
            continue
        held.add(role.value)


def _mapped(case: Case) -> set[str]:
    assert case.issuer is not None
    found: set[str] = set()
    for mapping in case.issuer.mappings:
        role = case.index.app_roles.get(mapping.row.app_role)
        if role is None or role.resource != case.resource.row.id:
            continue
        if mapping.row.value in texts(find(case.claims.payload, mapping.pointer)):
            found.add(role.value)
    return found
