"""What a request for a sensitive role was asked for, and whether it is that still: an id may be another's by then.

What is looked at here is kept with the request (`PendingGrant.asked`) when it is made, and compared when it is
approved. Where those who may come got fewer since, it is as asked. A request that says less than is looked at today,
because a version before made it, cannot be compared, and is asked for anew.
"""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.approved import ASSURED, loosened
from tenantgate.registry.tables import AppRole, Daemon, RoleAssignment, Tenant


def asked_of(session: Session, row: PendingGrant) -> dict[str, Any]:
    """Return what a request's ids stand for now."""
    role = session.get(AppRole, row.app_role)
    found: dict[str, Any] = {"role": role and {"resource": role.resource, "value": role.value}}
    daemon = session.get(Daemon, row.daemon) if row.daemon is not None else None
    tenant = session.get(Tenant, daemon.tenant if daemon is not None else row.tenant or "")
    if tenant is not None:
        found["tenant"] = {"id": tenant.id, "issuer": tenant.issuer, "tid": tenant.tid, "partner": tenant.partner}
    if daemon is not None:
        assured = {name: getattr(daemon, name) for name in ASSURED}
        found["daemon"] = {"client_id": daemon.client_id, "partner": daemon.partner, **assured}
    if row.kind == "widen":
        there = session.get(RoleAssignment, row.assignment)
        found["assignment"] = there and {"not_before": there.not_before, "expires_at": there.expires_at}
    return found


def is_as_asked(now: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether it is still what was asked for. A daemon may have been pinned since, or have to show more."""
    daemon, before = now.get("daemon"), asked.get("daemon")
    if daemon and before and not loosened(before, daemon):
        now = now | {"daemon": daemon | {name: before[name] for name in ASSURED if name in before}}
    return now == asked
