"""A whole policy into a new index: what `PolicyIndex` does row by row, for the kinds of which there are a million.

Here stands only what is quick. Whatever is odd about a row (an id that is there already, a reference to nothing, a
GUID that is none) goes the usual way, which knows what to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from tenantgate.core.entries import DaemonEntry
from tenantgate.core.policy import DaemonRow, RoleAssignmentRow, Row
from tenantgate.core.strict import guid_bytes

if TYPE_CHECKING:
    from tenantgate.core.index import PolicyIndex


def load_daemons(index: PolicyIndex, rows: Iterable[Row]) -> None:
    """Put daemons into an index that has its tenants. Raises PolicyError as the index does."""
    tenants, daemons, partners = index.tenants, index.daemons, index.partners
    for row in rows:
        data = row.data
        if type(data) is not DaemonRow or row.op != "put" or data.id != row.id or data.id in daemons:
            index.take(row)
            continue
        tenant = tenants.get(data.tenant)
        if tenant is None:
            index.take(row)
            continue
        key = data.client_id if tenant.tid is None else guid_bytes(data.client_id)
        oid = None if data.oid is None else guid_bytes(data.oid)
        if key is None or key in tenant.daemons or (oid is None and data.oid is not None):
            index.take(row)
            continue
        partner = None if data.partner is None else partners.get(data.partner)
        entry = DaemonEntry(
            data.id,
            tenant.row.id,
            key,
            oid,
            data.subject,
            data.partner if partner is None else partner.id,
            data.state == "active",
            data.min_credential,
        )
        tenant.daemons[key] = entry
        daemons[data.id] = entry


def load_assignments(index: PolicyIndex, rows: Iterable[Row]) -> None:
    """Put role assignments into an index that has its daemons and roles. Raises PolicyError as the index does."""
    daemons, roles, assignments = index.daemons, index.app_roles, index.assignments
    for row in rows:
        data = row.data
        if type(data) is not RoleAssignmentRow or row.op != "put" or data.id != row.id or data.id in assignments:
            index.take(row)
            continue
        daemon = None if data.daemon is None else daemons.get(data.daemon)
        role = roles.get(data.app_role)
        if daemon is None or role is None or data.tenant is not None:
            index.take(row)
            continue
        # Made anew with the ids that their own rows hold: a decoded row has copies, a tenth of all memory.
        own = RoleAssignmentRow(
            id=data.id, app_role=role.id, daemon=daemon.id, not_before=data.not_before, expires_at=data.expires_at
        )
        daemon.grants = (*daemon.grants, own) if daemon.grants else (own,)
        assignments[data.id] = own


LOADERS: Final[dict[str, Callable[[PolicyIndex, Iterable[Row]], None]]] = {
    "daemon": load_daemons,
    "role_assignment": load_assignments,
}
"""By kind. Every other kind goes row by row."""
