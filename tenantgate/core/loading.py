"""A whole policy into a new index: what `PolicyIndex` does row by row, for the kinds of which there are a million.

Here stands only what is quick. Whatever is odd about a row (an id that is there already, a reference to nothing, a
GUID that is none) goes the usual way, which knows what to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tenantgate.core.entries import DaemonEntry
from tenantgate.core.policy import DaemonRow, RoleAssignmentRow
from tenantgate.core.strict import guid_bytes, guids_bytes

if TYPE_CHECKING:
    from tenantgate.core.index import PolicyIndex

_BATCH: Final = 1_000
_AHEAD: Final = 4
"""Daemons without a role that may stand between two that have one."""
_NO_OID: Final = "00000000-0000-0000-0000-000000000000"


def load_daemons(index: PolicyIndex, found: Iterable[DaemonRow]) -> None:
    """Put daemons into an index that has its tenants. Raises PolicyError as the index does."""
    tenants, daemons, partners = index.tenants, index.daemons, index.partners
    for data, guid, oid in _with_guids(found):
        tenant = tenants.get(data.tenant)
        key = None if tenant is None else data.client_id if tenant.tid is None else guid
        if tenant is None or key is None or (oid is None and data.oid is not None):
            index.put("daemon", data)
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
        # Each dict is asked once: a look into one of a million is mostly a wait for the memory.
        if tenant.daemons.setdefault(key, entry) is not entry:
            index.put("daemon", data)
        elif daemons.setdefault(data.id, entry) is not entry:
            del tenant.daemons[key]
            index.put("daemon", data)


def _with_guids(found: Iterable[DaemonRow]) -> Iterator[tuple[DaemonRow, bytes | None, bytes | None]]:
    """Yield daemons with client id and object id as bytes, None where it is no GUID or there is none."""
    rows = iter(found)
    while batch := list(islice(rows, _BATCH)):
        ids = [data.client_id for data in batch]
        keys: Iterable[bytes | None] = guids_bytes(ids) or map(guid_bytes, ids)
        named = [data.oid for data in batch]
        oids = guids_bytes([oid or _NO_OID for oid in named])
        if oids is None:
            yield from zip(batch, keys, map(guid_bytes, named), strict=True)
        else:
            yield from zip(
                batch, keys, (oid if name else None for oid, name in zip(oids, named, strict=True)), strict=True
            )


def load_assignments(index: PolicyIndex, found: Iterable[RoleAssignmentRow]) -> None:
    """Put role assignments into an index that has its daemons and roles. Raises PolicyError as the index does."""
    roles, assignments = index.app_roles, index.assignments
    find = _InOrder(index.daemons).find
    for data in found:
        daemon = None if data.daemon is None else find(data.daemon)
        role = roles.get(data.app_role)
        if daemon is None or role is None or data.tenant is not None:
            index.put("role_assignment", data)
            continue
        # Made anew with the ids that their own rows hold: a decoded row has copies, a tenth of all memory.
        own = RoleAssignmentRow(
            id=data.id, app_role=role.id, daemon=daemon.id, not_before=data.not_before, expires_at=data.expires_at
        )
        if assignments.setdefault(data.id, own) is not own:
            index.put("role_assignment", data)
            continue
        daemon.grants = (*daemon.grants, own) if daemon.grants else (own,)


class _InOrder:
    """Daemons by id, asked for in about the order in which they are held: the next is nearly always one of the next."""

    def __init__(self, daemons: dict[str, DaemonEntry]) -> None:
        self._daemons = daemons
        self._following = iter(daemons.values())
        self._last = next(self._following, None)

    def find(self, id_: str) -> DaemonEntry | None:
        """Return the daemon, or None."""
        last = self._last
        if last is not None and last.id == id_:
            return last
        for entry in islice(self._following, _AHEAD):
            if entry.id == id_:
                self._last = entry
                return entry
        return self._daemons.get(id_)


LOADERS: Final[dict[str, Callable[[PolicyIndex, Any], None]]] = {
    "daemon": load_daemons,
    "role_assignment": load_assignments,
}
"""By kind. Every other kind goes row by row."""
