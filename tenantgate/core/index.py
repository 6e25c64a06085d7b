"""The policy live in memory: plain dicts of small structs, changed in place by one writer.

Readers take no lock. The writer makes `generation` odd while it changes rows and even again after; a
judgement reads it before and after and, where it moved or was odd, is done again, so that no decision
mixes two revisions (without this, 2,125 of 775,000 torn reads granted wrongly). Rows stay normalised:
suspending a partner is one write. Dates are kept and judged with `now`, never compiled in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, NamedTuple

from msgspec.structs import replace

from tenantgate.core.claims import Caller
from tenantgate.core.entries import (
    DaemonEntry,
    IssuerEntry,
    MappingEntry,
    ResourceEntry,
    TenantEntry,
    key_sets_of,
    resource_entry,
)
from tenantgate.core.loading import LOADERS
from tenantgate.core.oidc import OidcReader
from tenantgate.core.pointer import parse_pointer
from tenantgate.core.policy import (
    KINDS,
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicyDelta,
    PolicyError,
    PolicySnapshot,
    ResourceRow,
    RoleAssignmentRow,
    RoleMappingRow,
    Row,
    RowData,
    TenantRow,
    data_of,
    put_rows,
)
from tenantgate.core.recognise import Recognised
from tenantgate.core.strict import guid_bytes

PLACEHOLDER: Final = "{tenantid}"
_GUID_LENGTH: Final = 36
_MATCHES: Final = 4096
"""Issuers of listed tenants remembered by their whole `iss`, at most."""


class IssuerMatch(NamedTuple):
    """An issuer found by an unverified `iss`, the document its form names, and the tid in it (bytes and text)."""

    entry: IssuerEntry
    document: str
    tid: bytes | None
    tid_text: str


class _Template(NamedTuple):
    prefix: str
    suffix: str
    document: str
    issuer: str
    length: int


class PolicyIndex:
    """The policy a gate enforces. One thread writes (`apply`), any number read.

    `era` is another object after each change: what was found out in one says nothing about the next. `recognised` is
    what `core.verify` remembers of verified tokens, dropped whenever an issuer changes.
    """

    def __init__(self, epoch: str = "", revision: int = 0) -> None:
        self.epoch = epoch
        self.revision = revision
        self.generation = 0
        self.broken = False
        self.issuers: dict[str, IssuerEntry] = {}
        self.partners: dict[str, PartnerRow] = {}
        self.tenants: dict[str, TenantEntry] = {}
        self.daemons: dict[str, DaemonEntry] = {}
        self.resources: dict[str, ResourceEntry] = {}
        self.app_roles: dict[str, AppRoleRow] = {}
        self.assignments: dict[str, RoleAssignmentRow] = {}
        self.mappings: dict[str, RoleMappingRow] = {}
        self._exact: dict[str, IssuerMatch] = {}
        self._matches: dict[str, IssuerMatch] = {}
        self.era = object()
        self.recognised = Recognised()
        self._templates: tuple[_Template, ...] = ()

    @classmethod
    def from_snapshot(cls, snapshot: PolicySnapshot) -> PolicyIndex:
        """Build an index from a whole policy.

        Raises:
            PolicyError: a row refers to what is not there.
        """
        index = cls(snapshot.epoch, snapshot.revision)
        rows = put_rows(snapshot.rows, snapshot.revision)
        for kind in KINDS:
            found, loader = rows.by_kind.get(kind, ()), LOADERS.get(kind)
            if loader is not None:
                loader(index, found)
            else:
                for data in found:
                    index.put(kind, data)
        return index

    def apply(self, delta: PolicyDelta, before_seen: Callable[[], None] | None = None) -> None:
        """Apply a delta in place; readers see all of it or none of it.

        `before_seen` runs when the rows are in and nobody has judged by them yet: the place to change
        what must change together with them (an issuer's keys).

        Raises:
            PolicyError: the delta does not follow this revision (nothing changed), or a row cannot be
                applied: the index is then `broken` and refuses everything until it is replaced.
        """
        if delta.epoch != self.epoch or delta.since != self.revision:
            raise PolicyError("delta_out_of_order", f"delta since {delta.since} does not follow {self.revision}")
        self.generation += 1
        try:
            for row in delta.rows:
                self.take(row)
            if before_seen is not None:
                before_seen()
            self.revision = delta.revision
        except BaseException:
            self.broken = True
            raise
        finally:
            self.era = object()
            self.generation += 1

    def retire(self) -> None:
        """End this index: whoever still judges by it starts again with the one that follows."""
        self.generation |= 1

    def find_issuer(self, iss: str) -> IssuerMatch | None:
        """Return the issuer an unverified `iss` names, or None. Exact strings and configured templates only."""
        matches = self._matches
        return matches.get(iss) or self._exact.get(iss) or self._find_fitting(iss, matches)

    def lists(self, caller: Caller) -> bool:
        """Whether the caller's tenant is on the list, in whatever state."""
        issuer = self.issuers.get(caller.issuer)
        return issuer is not None and caller.tid in issuer.tenants

    def is_settled(self, iss: str) -> bool:
        """Whether an `iss` that `find_issuer` found names a listed tenant of one cloud, whatever else changes."""
        return iss in self._matches

    def _find_fitting(self, iss: str, matches: dict[str, IssuerMatch]) -> IssuerMatch | None:
        best: IssuerMatch | None = None
        fitting = 0
        length = len(iss)
        for prefix, suffix, document, issuer, whole in self._templates:
            if length != whole or not iss.startswith(prefix) or not iss.endswith(suffix):
                continue
            text = iss[len(prefix) : len(prefix) + _GUID_LENGTH]
            tid, entry = guid_bytes(text), self.issuers.get(issuer)
            found = None if tid is None or entry is None else IssuerMatch(entry, document, tid, text)
            if found is not None:
                fitting += 1
                # Two clouds may share the v1 form (sts.windows.net): the one that lists the tenant is meant, and where
                # both do (one of them suspended, or the policy is refused), the one where it is active.
                best = found if best is None else max(best, found, key=_standing)
        if best is not None and fitting == 1 and best.tid in best.entry.tenants:
            if len(matches) >= _MATCHES:
                matches.clear()
            # Into the dict this began with: what the writer has meanwhile replaced, it has replaced for good.
            matches[iss] = best
        return best

    # One writer below.

    def take(self, row: Row) -> None:
        """Take one row in, outside of any change: for an index that nobody judges by yet. Raises PolicyError."""
        if row.kind in KINDS and row.op == "delete":
            self._delete[row.kind](self, row.id)
        else:
            self.put(row.kind, data_of(row))

    def put(self, kind: str, data: RowData) -> None:
        """Put data in force that is of this kind, as `take` does a row. Raises PolicyError."""
        self._put[kind](self, data)

    def _put_issuer(self, row: IssuerRow) -> None:
        entry = self.issuers.get(row.id)
        reader = OidcReader(row) if row.kind == "oidc" else None
        if entry is None:
            self.issuers[row.id] = IssuerEntry(row, key_sets_of(row), reader)
        else:
            entry.row, entry.key_sets, entry.oidc = row, key_sets_of(row), reader
        self._find_anew()

    def _delete_issuer(self, id_: str) -> None:
        entry = self.issuers.pop(id_, None)
        for tenant in list(entry.tenants.values()) if entry else ():
            self._delete_tenant(tenant.row.id)
        for mapping in entry.mappings if entry else ():
            self.mappings.pop(mapping.row.id, None)
        self._find_anew()

    def _find_anew(self) -> None:
        """Rebuild the two ways from an `iss` to its issuer; issuers are few and change rarely."""
        exact: dict[str, IssuerMatch] = {}
        templates: list[_Template] = []
        for entry in self.issuers.values():
            row = entry.row
            if row.kind == "oidc":
                if row.issuer:  # a row without one never matches: an empty `iss` is nobody's
                    exact[row.issuer] = IssuerMatch(entry, "v2", None, "")
                continue
            for document, template in (("v2", row.v2_issuer), ("v1", row.v1_issuer)):
                if template is not None and template.count(PLACEHOLDER) == 1:
                    prefix, _, suffix = template.partition(PLACEHOLDER)
                    length = len(prefix) + _GUID_LENGTH + len(suffix)
                    templates.append(_Template(prefix, suffix, document, row.id, length))
        self._exact = exact
        self._templates = tuple(templates)
        self._matches = {}
        self.recognised = Recognised()

    def _put_partner(self, row: PartnerRow) -> None:
        self.partners[row.id] = row

    def _delete_partner(self, id_: str) -> None:
        self.partners.pop(id_, None)

    def _put_tenant(self, row: TenantRow) -> None:
        issuer = self.issuers.get(row.issuer)
        if issuer is None:
            raise PolicyError("reference_unknown", f"tenant {row.id} names issuer {row.issuer}, which is not there")
        tid = _optional_guid(row.tid, f"tid of tenant {row.id}")
        old = self.tenants.get(row.id)
        if old is not None:
            self._unlink_tenant(old)
        row = replace(row, issuer=issuer.row.id, partner=_own(self.partners, row.partner))
        if old is not None:
            old.row, old.tid = row, tid
        entry = old or TenantEntry(row, tid)
        if tid in issuer.tenants:
            raise PolicyError("tenant_duplicate", f"tenant {row.id} is listed twice at issuer {row.issuer}")
        self.tenants[row.id] = entry
        issuer.tenants[tid] = entry

    def _delete_tenant(self, id_: str) -> None:
        entry = self.tenants.pop(id_, None)
        if entry is None:
            return
        self._unlink_tenant(entry)
        for daemon in list(entry.daemons.values()):
            self._delete_daemon(daemon.id)
        for grant in entry.grants:
            self.assignments.pop(grant.id, None)

    def _unlink_tenant(self, entry: TenantEntry) -> None:
        issuer = self.issuers.get(entry.row.issuer)
        if issuer is not None and issuer.tenants.get(entry.tid) is entry:
            del issuer.tenants[entry.tid]

    def _put_daemon(self, row: DaemonRow) -> None:
        tenant = self.tenants.get(row.tenant)
        if tenant is None:
            raise PolicyError("reference_unknown", f"daemon {row.id} names tenant {row.tenant}, which is not there")
        key = client_key(row.client_id, entra=tenant.tid is not None)
        old = self.daemons.get(row.id)
        if old is not None:
            self._unlink_daemon(old)
        if key in tenant.daemons:
            raise PolicyError("daemon_duplicate", f"daemon {row.id} is listed twice in tenant {row.tenant}")
        entry = DaemonEntry(
            row.id,
            tenant.row.id,
            key,
            _optional_guid(row.oid, f"oid of daemon {row.id}"),
            row.subject,
            _own(self.partners, row.partner),
            row.state == "active",
            row.min_credential,
            old.grants if old is not None else (),
        )
        tenant.daemons[key] = entry
        self.daemons[row.id] = entry

    def _delete_daemon(self, id_: str) -> None:
        entry = self.daemons.pop(id_, None)
        if entry is None:
            return
        self._unlink_daemon(entry)
        for grant in entry.grants:
            self.assignments.pop(grant.id, None)

    def _unlink_daemon(self, entry: DaemonEntry) -> None:
        tenant = self.tenants.get(entry.tenant)
        if tenant is not None and tenant.daemons.get(entry.key) is entry:
            del tenant.daemons[entry.key]

    def _put_resource(self, row: ResourceRow) -> None:
        self.resources[row.id] = resource_entry(row)

    def _delete_resource(self, id_: str) -> None:
        self.resources.pop(id_, None)

    def _put_app_role(self, row: AppRoleRow) -> None:
        self.app_roles[row.id] = row

    def _delete_app_role(self, id_: str) -> None:
        self.app_roles.pop(id_, None)

    def _put_assignment(self, row: RoleAssignmentRow) -> None:
        self._delete_assignment(row.id)
        holder = self._holder(row)
        if holder is None:
            raise PolicyError("reference_unknown", f"assignment {row.id} names a daemon or tenant that is not there")
        row = replace(
            row,
            app_role=_own(self.app_roles, row.app_role),
            daemon=_own(self.daemons, row.daemon),
            tenant=_own(self.tenants, row.tenant),
        )
        holder.grants = (*holder.grants, row)
        self.assignments[row.id] = row

    def _delete_assignment(self, id_: str) -> None:
        old = self.assignments.pop(id_, None)
        holder = self._holder(old) if old is not None else None
        if holder is not None:
            holder.grants = tuple(grant for grant in holder.grants if grant.id != id_)

    def _put_mapping(self, row: RoleMappingRow) -> None:
        self._delete_mapping(row.id)
        issuer = self.issuers.get(row.issuer)
        if issuer is None:
            raise PolicyError("reference_unknown", f"mapping {row.id} names issuer {row.issuer}, which is not there")
        entry = MappingEntry(row, parse_pointer(row.claim, "claim"))
        issuer.mappings = (*issuer.mappings, entry)
        self.mappings[row.id] = row

    def _delete_mapping(self, id_: str) -> None:
        old = self.mappings.pop(id_, None)
        issuer = self.issuers.get(old.issuer) if old is not None else None
        if issuer is not None:
            issuer.mappings = tuple(each for each in issuer.mappings if each.row.id != id_)

    def _holder(self, row: RoleAssignmentRow) -> DaemonEntry | TenantEntry | None:
        if row.daemon is not None:
            return self.daemons.get(row.daemon)
        return self.tenants.get(row.tenant or "")

    _put: ClassVar[dict[str, Callable[[PolicyIndex, Any], None]]] = {
        "issuer": _put_issuer,
        "partner": _put_partner,
        "tenant": _put_tenant,
        "daemon": _put_daemon,
        "resource": _put_resource,
        "app_role": _put_app_role,
        "role_assignment": _put_assignment,
        "role_mapping": _put_mapping,
    }
    _delete: ClassVar[dict[str, Callable[[PolicyIndex, str], None]]] = {
        "issuer": _delete_issuer,
        "partner": _delete_partner,
        "tenant": _delete_tenant,
        "daemon": _delete_daemon,
        "resource": _delete_resource,
        "app_role": _delete_app_role,
        "role_assignment": _delete_assignment,
        "role_mapping": _delete_mapping,
    }


def _standing(match: IssuerMatch) -> int:
    """Return how well a match's tenant stands: 2 listed and active, 1 listed, 0 not listed."""
    tenant = match.entry.tenants.get(match.tid)
    return 0 if tenant is None else 1 + (tenant.row.state == "active")


def _own(rows: Mapping[str, Any], id_: str | None) -> str | None:
    """Return an id as the very string its own row has: decoded rows hold one copy each, a tenth of all memory."""
    if id_ is None:
        return None
    found = rows.get(id_)
    if found is None:
        return id_
    return str(found.row.id) if isinstance(found, TenantEntry) else str(found.id)


def _optional_guid(value: str | None, what: str) -> bytes | None:
    """Read a GUID that may be absent. One that cannot be read must not turn into "not pinned"."""
    if value is None:
        return None
    guid = guid_bytes(value)
    if guid is None:
        raise PolicyError("guid_malformed", f"the {what} is not a GUID")
    return guid


def client_key(client_id: str, *, entra: bool) -> bytes | str:
    """Return the form a client id is looked up by: 16 bytes where it is a GUID of Entra's, else itself.

    Raises:
        PolicyError: an Entra client id that is no GUID.
    """
    if not entra:
        return client_id
    key = guid_bytes(client_id)
    if key is None:
        raise PolicyError("guid_malformed", "an Entra client id is not a GUID")
    return key
