"""May this caller do this, now? Verified claims × policy × the roles asked for: a table of checks.

Runs on every request, for fresh and for remembered claims alike, so a suspension acts on the next request
whatever is cached. Pure: `now` (epoch seconds) is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tenantgate.core.claims import VerifiedClaims
from tenantgate.core.decision import Decision, Denied, Granted, Principal
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.index import DaemonEntry, PolicyIndex, ResourceEntry, TenantEntry
from tenantgate.core.oidc import OidcReader
from tenantgate.core.policy import PartnerRow, RoleAssignmentRow
from tenantgate.core.strict import guid_text, shown

BACKDATED: Final = 300
"""Seconds by which issuers set `iat` before the true time (Entra does); not counted against `max_lifetime`."""

_RANK: Final = {None: 0, "none": 0, "secret": 1, "certificate": 2}


class Torn(NamedTuple):
    """The policy changed while it was read: judge again. Never an answer."""


TORN: Final = Torn()


class Case:
    """One judgement on its way through the checks; the look-ups find what later checks need."""

    __slots__ = ("claims", "daemon", "index", "now", "partner", "resource", "roles", "tenant", "wanted")

    def __init__(
        self, claims: VerifiedClaims, index: PolicyIndex, resource: ResourceEntry, wanted: tuple[str, ...], now: float
    ) -> None:
        self.claims = claims
        self.index = index
        self.resource = resource
        self.wanted = wanted
        self.now = now
        self.tenant: TenantEntry | None = None
        self.daemon: DaemonEntry | None = None
        self.partner: PartnerRow | None = None
        self.roles: tuple[str, ...] = ()


class Check(NamedTuple):
    """One check: a test, and the two sides of it for the trace (safe values only)."""

    name: str
    test: Callable[[Case], R | None]
    expected: Callable[[Case], str]
    received: Callable[[Case], str]


def judge(
    claims: VerifiedClaims,
    index: PolicyIndex,
    resource: str,
    wanted: tuple[str, ...],
    now: float,
    decision_id: str = "",
) -> Decision | Torn:
    """Judge verified claims by the policy. `wanted`: all are needed; with none, any role on the resource will do.

    Returns TORN where the policy was changed meanwhile: the caller lets the writer run and asks again.
    """
    generation = index.generation
    decision = _decide(claims, index, resource, wanted, now, decision_id)
    return decision if index.generation == generation and not generation & 1 else TORN


def _decide(
    claims: VerifiedClaims, index: PolicyIndex, resource: str, wanted: tuple[str, ...], now: float, decision_id: str
) -> Decision:
    entry = index.resources.get(resource)
    if entry is None or index.broken:
        detail = (
            "the policy could not be applied" if index.broken else f"resource {shown(resource)} is not in the policy"
        )
        return Denied(R.POLICY_UNAVAILABLE, detail, index.revision, decision_id, resource, wanted)
    case = Case(claims, index, entry, wanted, now)
    for test in _TESTS:
        reason = test(case)
        if reason is not None:
            return _denied(case, test, reason, decision_id)
    tenant, daemon, partner = case.tenant, case.daemon, case.partner
    assert tenant is not None
    assert daemon is not None
    assert partner is not None
    principal = Principal(
        partner=partner.id,
        tenant=tenant.row.id,
        daemon=daemon.id,
        client_id=claims.client_id,
        oid=claims.sub if claims.oid is None else guid_text(claims.oid),
        roles=case.roles,
        resource=resource,
        strength=claims.strength,
    )
    return Granted(principal, index.revision, decision_id)


def _denied(case: Case, test: Callable[[Case], R | None], reason: R, decision_id: str) -> Denied:
    check = CHECKS[_TESTS.index(test)]
    detail = f"{check.name}: expected {check.expected(case)}, got {check.received(case)}"
    row = case.resource.row
    return Denied(reason, detail, case.index.revision, decision_id, row.id, case.wanted, row.show_reasons)


def _audience(case: Case) -> R | None:
    return R.AUDIENCE_MISMATCH if case.resource.audiences.isdisjoint(case.claims.audiences) else None


def _not_expired(case: Case) -> R | None:
    return None if case.now < case.claims.expires_at + case.resource.row.clock_skew else R.TOKEN_EXPIRED


def _begun(case: Case) -> R | None:
    latest = case.now + case.resource.row.clock_skew
    if case.claims.not_before is not None and case.claims.not_before > latest:
        return R.TOKEN_NOT_YET_VALID
    return R.TOKEN_ISSUED_IN_FUTURE if case.claims.issued_at > latest else None


def _lifetime(case: Case) -> R | None:
    claims = case.claims
    longest = case.resource.row.max_lifetime + BACKDATED
    return R.TOKEN_LIFETIME_TOO_LONG if claims.expires_at - claims.issued_at > longest else None


def _confirmation(case: Case) -> R | None:
    return R.CONFIRMATION_UNSUPPORTED if "cnf" in case.claims.payload else None


def _find(case: Case) -> R | None:
    """Look up tenant, partner and daemon. Finds only: standing is judged by the rows below."""
    issuer = case.index.issuers.get(case.claims.issuer)
    if issuer is None:
        return R.ISSUER_UNKNOWN
    tenant = issuer.tenants.get(case.claims.tid)
    if tenant is None:
        return None
    case.tenant = tenant
    case.daemon = daemon = tenant.daemons.get(case.claims.client)
    partner = tenant.row.partner
    if tenant.row.hosted:
        partner = daemon.partner if daemon is not None else None
    case.partner = case.index.partners.get(partner) if partner is not None else None
    return None


def _app_only(case: Case) -> R | None:
    read = case.claims.app_only
    if case.claims.entra:
        return read.proved if case.resource.row.app_only == "strict" else read.vouched
    pinned = case.daemon is not None and case.daemon.subject is not None
    return read.vouched if pinned else read.proved


def _tenant(case: Case) -> R | None:
    if case.tenant is None:
        return R.TENANT_NOT_LISTED
    return None if case.tenant.row.state == "active" else R.TENANT_SUSPENDED


def _partner(case: Case) -> R | None:
    partner = case.partner
    if partner is None:  # only a hosted tenant has none of its own: its unlisted daemons belong to nobody
        return R.DAEMON_NOT_LISTED if case.daemon is None else R.PARTNER_NOT_ACTIVE
    if partner.state != "active":
        return R.PARTNER_SUSPENDED if partner.state == "suspended" else R.PARTNER_NOT_ACTIVE
    return R.PARTNER_ENDED if partner.ends_at is not None and partner.ends_at <= case.now else None


def _daemon(case: Case) -> R | None:
    if case.daemon is None:
        return R.DAEMON_NOT_LISTED
    return None if case.daemon.active else R.DAEMON_SUSPENDED


def _pin(case: Case) -> R | None:
    daemon, claims = case.daemon, case.claims
    assert daemon is not None
    if daemon.oid is not None and daemon.oid != claims.oid:
        return R.OBJECT_ID_MISMATCH
    if daemon.subject is not None:
        return R.OBJECT_ID_MISMATCH if daemon.subject != claims.sub else None
    return R.SUBJECT_NOT_PINNED if _pin_needed(case) else None


def _pin_needed(case: Case) -> bool:
    """Whether the issuer's client ids alone say too little (GitHub: any branch of the repository)."""
    oidc = _oidc(case)
    return oidc is not None and oidc.subject_pin


def _strength(case: Case) -> R | None:
    assert case.daemon is not None
    daemon, resource = case.daemon.min_credential, case.resource.row.min_credential
    if daemon == "none" and resource == "none":
        return None
    wanted = max(_RANK[daemon], _RANK[resource])
    return R.CREDENTIAL_TOO_WEAK if _RANK[case.claims.strength] < wanted else None


def _roles(case: Case) -> R | None:
    assert case.daemon is not None
    assert case.tenant is not None
    held = _held(case, case.daemon.grants)
    if case.resource.row.tenant_wide_roles and not case.tenant.row.hosted and case.tenant.grants:
        held |= _held(case, case.tenant.grants)
    if case.resource.row.token_roles == "intersect":
        held.intersection_update(case.claims.roles)
    case.roles = tuple(sorted(held))
    if case.wanted:
        return None if held.issuperset(case.wanted) else R.ROLE_NOT_ASSIGNED
    return None if held else R.ROLE_NOT_ASSIGNED


def _held(case: Case, grants: tuple[RoleAssignmentRow, ...]) -> set[str]:
    held: set[str] = set()
    for grant in grants:
        role = case.index.app_roles.get(grant.app_role)
        if role is None or role.resource != case.resource.row.id:
            continue
        if grant.not_before is not None and case.now < grant.not_before:
            continue
        if grant.expires_at is not None and case.now >= grant.expires_at:
            continue
        held.add(role.value)
    return held


def _lifetimes(case: Case) -> str:
    return f"{case.claims.expires_at - case.claims.issued_at:.0f} s"


def _caller(case: Case) -> str:
    claims = case.claims
    where = claims.issuer if claims.tid is None else f"tid {guid_text(claims.tid)}"
    return f"client {shown(claims.client_id)} of {where}"


def _oidc(case: Case) -> OidcReader | None:
    """Return how the issuer's tokens are read, None where that is Entra."""
    issuer = None if case.claims.entra else case.index.issuers.get(case.claims.issuer)
    return None if issuer is None else issuer.oidc


def _wanted_app(case: Case) -> str:
    oidc = _oidc(case)
    return f"an app's own access token ({case.resource.row.app_only if oidc is None else f'profile {oidc.profile}'})"


def _app_marks(case: Case) -> str:
    payload, oidc = case.claims.payload, _oidc(case)
    if oidc is not None:
        return oidc.told(payload, case.claims.sub)
    return f"idtyp {shown(payload.get('idtyp'))}, scp {shown(payload.get('scp'))}, sub {shown(case.claims.sub)}"


def _standing(case: Case) -> str:
    if case.partner is None:
        return "no partner"
    ended = "" if case.partner.ends_at is None else f", ends at {case.partner.ends_at}"
    return f"partner {case.partner.id}, {case.partner.state}{ended}"


def _holder(case: Case) -> str:
    claims = case.claims
    return f"sub {shown(claims.sub)}" if claims.oid is None else f"oid {guid_text(claims.oid)}"


def _pinned(case: Case) -> str:
    daemon = case.daemon
    if daemon is None or (daemon.oid is None and daemon.subject is None):
        return "a daemon with a pinned sub" if _pin_needed(case) else "any object (not pinned)"
    return f"oid {guid_text(daemon.oid)}" if daemon.oid is not None else f"sub {shown(daemon.subject)}"


def _wanted_strength(case: Case) -> str:
    least = case.daemon.min_credential if case.daemon is not None else "none"
    return max(least, case.resource.row.min_credential, key=lambda each: _RANK[each]) + " or better"


def _wanted_roles(case: Case) -> str:
    return _listed(case.wanted) or "at least one role"


def _listed(values: tuple[str, ...]) -> str:
    """Return values for a trace: bounded, however many an operator or an issuer has named."""
    return shown(", ".join(values), 300)


CHECKS: Final = (
    Check(
        "audience",
        _audience,
        lambda c: f"one of {_listed(c.resource.row.audiences)}",
        lambda c: _listed(c.claims.audiences),
    ),
    Check(
        "expiry",
        _not_expired,
        lambda c: f"exp after {c.now - c.resource.row.clock_skew:.0f}",
        lambda c: f"exp {c.claims.expires_at:.0f}",
    ),
    Check(
        "begin",
        _begun,
        lambda c: f"nbf and iat up to {c.now + c.resource.row.clock_skew:.0f}",
        lambda c: f"nbf {shown(c.claims.not_before)}, iat {c.claims.issued_at:.0f}",
    ),
    Check("lifetime", _lifetime, lambda c: f"at most {c.resource.row.max_lifetime} s", _lifetimes),
    Check(
        "confirmation", _confirmation, lambda c: "no cnf", lambda c: "cnf" if "cnf" in c.claims.payload else "no cnf"
    ),
    Check("issuer in force", _find, lambda c: "an issuer of the policy", lambda c: f"issuer {c.claims.issuer}"),
    Check(
        "app-only",
        _app_only,
        _wanted_app,
        _app_marks,
    ),
    Check("tenant", _tenant, lambda c: "a listed, active tenant", _caller),
    Check("partner", _partner, lambda c: f"an active partner at {c.now:.0f}", _standing),
    Check("daemon", _daemon, lambda c: "a listed, active daemon", _caller),
    Check("pin", _pin, _pinned, _holder),
    Check("strength", _strength, _wanted_strength, lambda c: c.claims.strength or "unknown"),
    Check("roles", _roles, _wanted_roles, lambda c: _listed(c.roles) or "no role"),
)
"""The checks in order. `judge` runs the tests; `core.trace` runs the same rows and writes both sides down."""

_TESTS: Final = tuple(check.test for check in CHECKS)
