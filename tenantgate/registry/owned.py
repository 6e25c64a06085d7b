"""What is a partner's, as queries of ids: daemons of its tenants, its own in hosted ones, and what these hold."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from tenantgate.registry.tables import Daemon, RoleAssignment, Tenant


def daemons_of(partner: str) -> sa.CompoundSelect[Any]:
    """Return the query of the ids of a partner's daemons."""
    own_tenants = sa.select(col(Daemon.id)).join(Tenant, col(Tenant.id) == col(Daemon.tenant))
    return sa.union_all(
        own_tenants.where(col(Tenant.partner) == partner),
        sa.select(col(Daemon.id)).where(col(Daemon.partner) == partner),
    )


def assignments_of(partner: str) -> sa.CompoundSelect[Any]:
    """Return the query of the ids of the role assignments of a partner's daemons, and of its tenants."""
    tenants = sa.select(col(Tenant.id)).where(col(Tenant.partner) == partner)
    return sa.union_all(
        sa.select(col(RoleAssignment.id)).where(col(RoleAssignment.daemon).in_(daemons_of(partner))),
        sa.select(col(RoleAssignment.id)).where(col(RoleAssignment.tenant).in_(tenants)),
    )
