"""How rows fit together: one beside those it names, and all of a policy. Codes are those of `core.rules`.

The registry asks the small questions one change at a time; a policy file asks `check_references` once.
Both expect rows that `core.rules.check_row` has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from tenantgate.core.fields import PLACEHOLDER, check_absent, check_guid
from tenantgate.core.policy import (
    KINDS,
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PolicyError,
    ResourceRow,
    RoleAssignmentRow,
    RoleMappingRow,
    RowData,
    TenantRow,
    is_guid,
    kind_of,
    one_spelling,
)
from tenantgate.core.profiles.table import get_profile, wants_pin


def check_references(rows: Iterable[RowData]) -> None:
    """Refuse a whole policy whose rows (each passed by `check_row`) do not fit together.

    Raises:
        PolicyError: `path` is array, position and member (`tenants[2].tid`).
    """
    whole = _Whole()
    for row in rows:
        whole.add(row)
    whole.check()


# One row beside those it names.


def check_issuers(issuer: IssuerRow, other: IssuerRow) -> None:
    """Refuse `issuer` where a token's `iss` could mean either of the two. A v1 issuer may be shared by clouds."""
    clash = ""
    if issuer.kind == other.kind == "oidc":
        clash = "issuer" if issuer.issuer == other.issuer else ""
    elif issuer.kind == other.kind:
        clash = _clash_of_clouds(issuer, other)
    elif issuer.kind == "oidc":
        clash = "issuer" if _covers(other, issuer.issuer or "") else ""
    else:
        clash = "authority" if _covers(issuer, other.issuer or "") else ""
    if clash:
        raise PolicyError("issuer_duplicate", f"issuer {other.id} already covers this", clash)


def _clash_of_clouds(issuer: IssuerRow, other: IssuerRow) -> str:
    if issuer.authority == other.authority:
        return "authority"
    if issuer.v2_issuer in {other.v2_issuer, other.v1_issuer}:
        return "v2_issuer"
    return "v1_issuer" if issuer.v1_issuer == other.v2_issuer else ""


def _covers(cloud: IssuerRow, iss: str) -> bool:
    for template in filter(None, (cloud.v1_issuer, cloud.v2_issuer)):
        prefix, _, suffix = template.partition(PLACEHOLDER)
        middle = iss[len(prefix) : len(iss) - len(suffix)]
        if iss == prefix + middle + suffix and is_guid(middle):
            return True
    return False


def shares_v1_issuer(issuer: IssuerRow, other: IssuerRow) -> bool:
    """Whether a v1 token of one cloud looks as if it came from the other: no tid may be active in both."""
    return issuer.v1_issuer is not None and issuer.v1_issuer == other.v1_issuer


def check_tenant(tenant: TenantRow, issuer: IssuerRow) -> None:
    """Refuse a tenant that does not fit its issuer: Entra needs a tid, an OIDC issuer is its own one tenant."""
    if issuer.kind == "oidc":
        check_absent(tenant, "an OIDC issuer is itself the tenant", "tid")
    elif tenant.tid is None:
        raise PolicyError("member_missing", "a tenant of an Entra issuer needs its tid", "tid")


def check_daemon(daemon: DaemonRow, tenant: TenantRow) -> DaemonRow:
    """Return the daemon, its client id in lower case where it is a GUID of Entra's, or refuse it."""
    if not tenant.hosted:
        check_absent(daemon, "the partner is the tenant's; only a hosted tenant's daemons name one", "partner")
    elif daemon.partner is None:
        raise PolicyError("member_missing", "a hosted tenant's daemon names its partner", "partner")
    if tenant.tid is None:
        check_absent(daemon, "only an Entra tenant has object ids; name the subject", "oid")
        return daemon
    check_absent(daemon, "an Entra daemon is pinned by its object id", "subject")
    return replace(daemon, client_id=check_guid(daemon.client_id, "client_id"))


def check_profile(daemon: DaemonRow, issuer: IssuerRow) -> None:
    """Refuse a daemon that no token of its issuer could ever be, or that the issuer's profile wants pinned."""
    if issuer.kind != "oidc":
        return
    profile = get_profile(issuer.profile)
    if issuer.client_id_claim is None and not profile.client_form.fits(daemon.client_id):
        raise PolicyError("client_id_malformed", f"{profile.client_form.told} (profile {profile.name})", "client_id")
    if wants_pin(profile, issuer) and daemon.subject is None:
        raise PolicyError("member_missing", f"a daemon of issuer {issuer.id} needs its subject", "subject")


def needs_subject(issuer: IssuerRow) -> bool:
    """Whether a daemon of this issuer must be pinned to a `sub`."""
    return issuer.kind == "oidc" and wants_pin(get_profile(issuer.profile), issuer)


def check_tenant_wide(tenant: TenantRow, resource: ResourceRow) -> None:
    """Refuse a tenant-wide assignment where the resource does not allow it or the tenant is hosted."""
    if tenant.hosted:
        raise PolicyError("tenant_wide_not_allowed", f"tenant {tenant.id} is hosted", "tenant")
    if not resource.tenant_wide_roles:
        raise PolicyError("tenant_wide_not_allowed", f"resource {resource.id} does not allow it", "tenant")


# A whole policy.


class _Whole:
    """Every row of a policy by kind and id, each with its place in the file."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, tuple[str, Any]]] = {kind: {} for kind in KINDS}
        self.taken: dict[tuple[str, ...], str] = {}
        # Issuers seen so far; the many of kind oidc are told apart by `taken`, the few clouds one by one.
        self.issuers: list[IssuerRow] = []
        self.clouds: list[IssuerRow] = []

    def add(self, row: RowData) -> None:
        kind = kind_of(row)
        known = self.rows[kind]
        # A place is known by how many of the kind came before: none is ever passed over.
        place = f"{kind}s[{len(known)}]"
        if row.id in known:
            raise PolicyError("id_duplicate", f"{row.id} is already the id of {known[row.id][0]}", f"{place}.id")
        known[row.id] = (place, row)

    def check(self) -> None:
        """Judge the kinds in the order in which they refer to each other."""
        checks: dict[str, Callable[[Any], None]] = {
            "issuer": self._issuer,
            "tenant": self._tenant,
            "daemon": self._daemon,
            "resource": self._resource,
            "app_role": self._app_role,
            "role_assignment": self._assignment,
            "role_mapping": self._mapping,
        }
        for kind, check in checks.items():
            for place, row in self.rows[kind].values():
                with _under(place):
                    check(row)

    def _get(self, kind: str, id_: str, member: str) -> Any:
        if id_ not in self.rows[kind]:
            raise PolicyError("reference_unknown", f"there is no {kind} {id_}", member)
        return self.rows[kind][id_][1]

    def _take(self, code: str, member: str, owner: str, *key: str) -> None:
        other = self.taken.setdefault((code, *key), owner)
        if other != owner:
            raise PolicyError(code, f"{key[-1]} is already taken by {other}", member)

    def _issuer(self, row: IssuerRow) -> None:
        if row.kind == "oidc":
            self._take("issuer_duplicate", "issuer", row.id, row.issuer or "")
        others = self.issuers if row.kind == "entra" else self.clouds
        for other in others:
            check_issuers(row, other)
        self.issuers.append(row)
        if row.kind == "entra":
            self.clouds.append(row)

    def _tenant(self, row: TenantRow) -> None:
        issuer = self._get("issuer", row.issuer, "issuer")
        if row.partner is not None:
            self._get("partner", row.partner, "partner")
        check_tenant(row, issuer)
        tenant = (row.issuer, row.tid) if row.tid else ("", row.issuer)  # the last is what the refusal names
        self._take("tenant_duplicate", "tid" if row.tid else "issuer", row.id, *tenant)
        if row.tid is not None and row.state == "active" and issuer.v1_issuer is not None:
            self._take("v1_issuer_shared", "tid", row.id, issuer.v1_issuer, row.tid)

    def _daemon(self, row: DaemonRow) -> None:
        tenant = self._get("tenant", row.tenant, "tenant")
        row = check_daemon(row, tenant)
        check_profile(row, self._get("issuer", tenant.issuer, "tenant"))
        if row.partner is not None:
            self._get("partner", row.partner, "partner")
        self._take("client_id_duplicate", "client_id", row.id, row.tenant, row.client_id)

    def _resource(self, row: ResourceRow) -> None:
        for place, audience in enumerate(row.audiences):
            self._take("audience_overlap", f"audiences[{place}]", row.id, one_spelling(audience))
        for place, issuer in enumerate(row.issuers):
            self._get("issuer", issuer, f"issuers[{place}]")

    def _app_role(self, row: AppRoleRow) -> None:
        self._get("resource", row.resource, "resource")
        self._take("role_value_duplicate", "value", row.id, row.resource, row.value)

    def _assignment(self, row: RoleAssignmentRow) -> None:
        role = self._get("app_role", row.app_role, "app_role")
        if row.daemon is not None:
            self._get("daemon", row.daemon, "daemon")
        else:
            tenant = self._get("tenant", row.tenant or "", "tenant")
            check_tenant_wide(tenant, self._get("resource", role.resource, "app_role"))

    def _mapping(self, row: RoleMappingRow) -> None:
        self._get("issuer", row.issuer, "issuer")
        self._get("app_role", row.app_role, "app_role")
        self._take("role_mapping_duplicate", "value", row.id, row.issuer, row.app_role, row.claim, row.value)


@contextmanager
def _under(place: str) -> Iterator[None]:
    try:
        yield
    except PolicyError as error:
        raise PolicyError(error.code, error.message, f"{place}.{error.path}") from None
