"""What a request for a sensitive role was asked for, and whether it is that still: an id may be another's by then.

What is looked at here is kept with the request (`PendingGrant.asked`) when it is made, and compared when it is
approved. Where those who may come got fewer since, or may come for a shorter time, it is as asked. A request that says
less than is looked at today, because a version before made it, cannot be compared, and is asked for anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

from sqlmodel import Session

from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.approved import ASSURED, STRENGTH, ends_later, is_weaker, loosened
from tenantgate.registry.tables import AppRole, Daemon, Issuer, Partner, Resource, RoleAssignment, Tenant

_WHO: Final = ("kind", "authority", "issuer", "v1_issuer", "v2_issuer")
"""Whose tokens an issuer's are."""
_READING: Final = ("metadata_url", "v1_metadata_url", "profile", "client_id_claim", "subject_pin")
"""Where its keys are had, and by what a caller is told from others."""
_KEYS: Final = ("jwks", "v1_jwks")
"""Keys that were given; kept as a digest."""
ADMIN_KEY: Final = "admin_key"
"""The id of the key that who asked came with, on the page too; not there where they came without one."""
_END: Final = "ends_at"
"""When a partner ends, and with it all that its daemons may."""
_TIGHTENED: Final[dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any], dict[str, Any]], object]]]] = {
    "daemon": (ASSURED, loosened),
    "resource": ((STRENGTH,), is_weaker),
    "partner": ((_END,), lambda before, after: ends_later(before, after, _END)),
}
"""What may have become tighter since: its members, and what tells that it did not."""


def asked_of(session: Session, row: PendingGrant) -> dict[str, Any]:
    """Return what a request's ids stand for now."""
    role = session.get(AppRole, row.app_role)
    resource = session.get(Resource, role.resource) if role is not None else None
    found: dict[str, Any] = {"role": role and {"resource": role.resource, "value": role.value}}
    if resource is not None:
        found["resource"] = {"audiences": sorted(resource.audiences), STRENGTH: resource.min_credential}
    daemon = session.get(Daemon, row.daemon) if row.daemon is not None else None
    tenant = session.get(Tenant, daemon.tenant if daemon is not None else row.tenant or "")
    if tenant is not None:
        found["tenant"] = {"id": tenant.id, "issuer": tenant.issuer, "tid": tenant.tid, "partner": tenant.partner}
        found["issuer"] = _issuer(session, tenant.issuer)
    if daemon is not None:
        assured = {name: getattr(daemon, name) for name in ASSURED}
        found["daemon"] = {"client_id": daemon.client_id, "partner": daemon.partner, **assured}
    owner = (daemon and daemon.partner) or (tenant and tenant.partner)
    if (partner := session.get(Partner, owner) if owner else None) is not None:
        found["partner"] = {"id": partner.id, _END: partner.ends_at}
    if row.kind == "widen":
        there = session.get(RoleAssignment, row.assignment)
        found["assignment"] = there and {"not_before": there.not_before, "expires_at": there.expires_at}
    return found


def _issuer(session: Session, id_: str) -> dict[str, Any] | None:
    row = session.get(Issuer, id_)
    if row is None:
        return None
    return {name: getattr(row, name) for name in (*_WHO, *_READING)} | {
        name: keys and hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()
        for name in _KEYS
        for keys in [getattr(row, name)]
    }


def is_as_asked(now: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether it is still what was asked for.

    A daemon may have been pinned since, or have to show more; a partner may end earlier.
    """
    asked = {name: value for name, value in asked.items() if name != ADMIN_KEY}
    for kind, (members, lets_in_more) in _TIGHTENED.items():
        there, before = now.get(kind), asked.get(kind)
        if there and before and not lets_in_more(before, there):
            now = now | {kind: there | {name: before[name] for name in members if name in before}}
    return now == asked
