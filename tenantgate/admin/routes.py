"""The whole of `/api/v1`, put together."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from tenantgate.admin import (
    access,
    access_requests,
    admin_keys,
    app_roles,
    attention,
    audit,
    certificates,
    daemons,
    decisions,
    explain,
    imports,
    invitations,
    issuers,
    operator_identities,
    operators,
    partners,
    pending_grants,
    policy,
    resources,
    role_assignments,
    role_mappings,
    subscription_keys,
    tenants,
)
from tenantgate.admin.context import AdminContext
from tenantgate.admin.route import PREFIX, Routes, bound_to

ALL: Final[tuple[Routes, ...]] = tuple(
    module.routes
    for module in (
        partners,
        tenants,
        daemons,
        certificates,
        subscription_keys,
        role_assignments,
        imports,
        pending_grants,
        access_requests,
        invitations,
        issuers,
        resources,
        app_roles,
        role_mappings,
        operators,
        operator_identities,
        admin_keys,
        attention,
        access,
        audit,
        decisions,
        explain,
        policy,
    )
)


def build_admin(context: AdminContext) -> APIRouter:
    """Return the REST API on `context`. Include it in an app that has `problems.install_problems`."""
    router = APIRouter(prefix=PREFIX, route_class=bound_to(context))
    for routes in ALL:
        routes.add_to(router)
    return router
