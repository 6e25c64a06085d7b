"""May this caller do this, now? Verified claims × policy × the roles asked for: a table of checks.

Runs on every request, for fresh and for remembered claims alike, so a suspension acts on the next request
whatever is cached. Pure: `now` (epoch seconds) is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from tenantgate.core.claims import VerifiedClaims
from tenantgate.core.decision import Decision, Denied, Granted, Principal
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.entries import BACKDATED, DaemonEntry, IssuerEntry, ResourceEntry, TenantEntry
from tenantgate.core.index import PolicyIndex
from tenantgate.core.oidc import OidcReader
from tenantgate.core.policy import PartnerRow, ResourceRow
from tenantgate.core.roles import held_roles
from tenantgate.core.strict import guid_text, shown
from tenantgate.core.token_rules import (
    describe_address,
    describe_networks,
    describe_required,
    describe_required_received,
    is_inside,
    lacks_required,
)

_RANK: Final[dict[str | None, int]] = {None: 0, "none": 0, "secret": 1, "certificate": 2}
_BEYOND: Final = 3
"""What nobody has proved: an unknown value in a row asks for this."""


class Torn(NamedTuple):
    """The policy changed while it was read: judge again. Never an answer."""


TORN: Final = Torn()


class Case(msgspec.Struct, gc=False, eq=False):
    """One judgement on its way through the checks; the look-ups find what later checks need.

    `peer` is the caller's address as the door saw it, None where nobody knows it. `would_deny` gathers what rules
    that are reported only would have refused.
    """

    claims: VerifiedClaims
    index: PolicyIndex
    resource: ResourceEntry
    wanted: tuple[str, ...]
    now: float
    peer: str | None = None
    issuer: IssuerEntry | None = None
    tenant: TenantEntry | None = None
    daemon: DaemonEntry | None = None
    partner: PartnerRow | None = None
    roles: tuple[str, ...] = ()
    would_deny: tuple[R, ...] = ()


Test = Callable[[Case], R | None]


class Line(NamedTuple):
    """One line of the explanation: the reasons it stands for, and its two sides (safe values only)."""

    name: str
    reasons: tuple[R, ...]
    expected: Callable[[Case], str]
    received: Callable[[Case], str]


class Check(NamedTuple):
    """One test, and the lines that explain it: it asks them in their order and returns the first one's reason.

    `rule` is the resource's member it enforces, where that may be reported only; `applies` whether a resource asks
    for it at all.
    """

    test: Test
    lines: tuple[Line, ...]
    rule: str | None = None
    applies: Callable[[ResourceRow], bool] | None = None


class Plan(NamedTuple):
    """The checks that a resource asks for, in order; `tests` are what a judgement runs of them.

    `is_settled`: all but the first depend on caller, policy and time alone and nothing is reported only, so what they
    say holds for the caller's next token too.
    """

    checks: tuple[Check, ...]
    tests: tuple[Test, ...]
    is_settled: bool


class Standing(NamedTuple):
    """What the policy of one era says of a caller, and when: granted, in `since` ≤ now < `until`, with these roles.

    Kept on the caller. It is found out anew after every change of the policy (`era`) and at every date that a row
    consulted for it names, so that nobody is let in by what was true before.
    """

    era: object
    resource: ResourceEntry
    since: float
    until: float
    roles: frozenset[str]
    principal: Principal


def judge(
    claims: VerifiedClaims,
    index: PolicyIndex,
    resource: str,
    wanted: tuple[str, ...],
    now: float,
    decision_id: str = "",
    peer: str | None = None,
) -> Decision | Torn:
    """Judge verified claims by the policy. `wanted`: all are needed; with none, any role on the resource will do.

    `peer` is the address the call came from, where the door knows it.
    Returns TORN where the policy was changed meanwhile: the caller lets the writer run and asks again.
    """
    generation = index.generation
    entry = index.resources.get(resource)
    if entry is None or index.broken:
        what = "the policy could not be applied" if index.broken else f"resource {shown(resource)} is not in the policy"
        return _unless_torn(
            Denied(R.POLICY_UNAVAILABLE, what, index.revision, decision_id, resource, wanted), index, generation
        )
    standing: Standing | None = claims.caller.standing
    if standing is not None:
        era, of, since, until, roles, granted = standing
        if (
            era is index.era
            and of is entry
            and since <= now < until
            and roles.issuperset(wanted)
            and own_reason(claims, entry, now) is None
            and index.generation == generation
            and not generation & 1
        ):
            return Granted(granted, index.revision, decision_id)
    era, case = index.era, Case(claims, index, entry, wanted, now, peer)
    plan = plan_of(entry)
    for test in plan.tests:
        reason = test(case)
        if reason is not None:
            return _unless_torn(_denied(case, plan, test, reason, decision_id), index, generation)
    principal = _principal(case)
    decision = _unless_torn(Granted(principal, index.revision, decision_id), index, generation)
    if decision is not TORN and plan.is_settled and case.issuer is not None and not case.issuer.mappings:
        claims.caller.standing = Standing(era, entry, *_window(case), frozenset(case.roles), principal)
    return decision


def _principal(case: Case) -> Principal:
    tenant, daemon, partner, caller = case.tenant, case.daemon, case.partner, case.claims.caller
    assert tenant is not None
    assert daemon is not None
    assert partner is not None
    return Principal(
        partner=partner.id,
        tenant=tenant.row.id,
        daemon=daemon.id,
        client_id=caller.client_id,
        oid=caller.holder,
        roles=case.roles,
        resource=case.resource.row.id,
        strength=caller.strength,
        identity=caller.identity,
        would_deny=case.would_deny,
    )


def _unless_torn(decision: Decision, index: PolicyIndex, generation: int) -> Decision | Torn:
    return decision if index.generation == generation and not generation & 1 else TORN


def _denied(case: Case, plan: Plan, test: Test, reason: R, decision_id: str) -> Denied:
    line = line_of(plan.checks[plan.tests.index(test)], reason)
    detail = f"{line.name}: expected {line.expected(case)}, got {line.received(case)}"
    row = case.resource.row
    return Denied(reason, detail, case.index.revision, decision_id, row.id, case.wanted, row.show_reasons)


def line_of(check: Check, reason: R) -> Line:
    """Return the line of a check that a reason belongs to."""
    return next(line for line in check.lines if reason in line.reasons)


def plan_of(entry: ResourceEntry) -> Plan:
    """Return the checks of a resource. Made once per row: what it does not ask for costs nothing.

    Threads that make it at the same time have one each: a judgement keeps to the one it began with.
    """
    plan: Plan | None = entry.plan
    if plan is None:
        until = {each.rule: each.until for each in entry.row.report_only}
        checks = tuple(check for check in CHECKS if check.applies is None or check.applies(entry.row))
        tests = tuple(
            _reported(check.test, _WITHOUT.get(check.test), until[check.rule]) if check.rule in until else check.test
            for check in checks
        )
        settled = not until and _OF_A_REQUEST.isdisjoint(check.test for check in checks)
        plan = entry.plan = Plan(checks, tests, settled)
    return plan


def _window(case: Case) -> tuple[float, float]:
    """Return since when and until when all dates consulted for this case compare with `now` as they do now."""
    assert case.tenant is not None
    assert case.daemon is not None
    assert case.partner is not None
    grants = (*case.daemon.grants, *case.tenant.grants) if case.tenant.grants else case.daemon.grants
    dates = {case.partner.ends_at, *(grant.not_before for grant in grants), *(grant.expires_at for grant in grants)}
    passed = [date for date in dates if date is not None and date <= case.now]
    ahead = [date for date in dates if date is not None and date > case.now]
    return max(passed, default=float("-inf")), min(ahead, default=float("inf"))


def _reported(test: Test, without: Test | None, until: int) -> Test:
    """Return a test that, until then, only notes what it would have denied. `without` is what holds all the same.

    It is asked last, whatever the test says: the roles it finds are those that count meanwhile.
    """

    def reported(case: Case) -> R | None:
        reason = test(case)
        if case.now >= until:
            return reason
        denied = None if without is None else without(case)
        if reason is not None and denied is None:
            case.would_deny = (*case.would_deny, reason)
        return denied

    return reported


def own_reason(claims: VerifiedClaims, resource: ResourceEntry, now: float) -> R | None:
    """Is the token for this resource, in its time, and free of a binding that nobody here enforces?"""
    if resource.audiences.isdisjoint(claims.caller.audiences):
        return R.AUDIENCE_MISMATCH
    skew = resource.row.clock_skew
    if not now < claims.expires_at + skew:
        return R.TOKEN_EXPIRED
    latest = now + skew
    if claims.not_before > latest:
        return R.TOKEN_NOT_YET_VALID
    if claims.issued_at > latest:
        return R.TOKEN_ISSUED_IN_FUTURE
    if claims.expires_at - claims.issued_at > resource.longest:
        return R.TOKEN_LIFETIME_TOO_LONG
    return R.CONFIRMATION_UNSUPPORTED if "cnf" in claims.payload else None


def _own(case: Case) -> R | None:
    return own_reason(case.claims, case.resource, case.now)


def _lifetime(case: Case) -> R | None:
    """Where it may be reported only; else `own_reason` has asked it."""
    claims = case.claims
    longest = case.resource.row.max_lifetime + BACKDATED
    return R.TOKEN_LIFETIME_TOO_LONG if claims.expires_at - claims.issued_at > longest else None


def _version(case: Case) -> R | None:
    version = case.claims.caller.version
    return R.TOKEN_VERSION_NOT_ACCEPTED if version and version not in case.resource.row.token_versions else None


def _required_claims(case: Case) -> R | None:
    lacking = lacks_required(case.claims.payload, case.resource.required)
    return None if lacking is None else R.REQUIRED_CLAIM_MISMATCH


def _find(case: Case) -> R | None:
    """Look up tenant, partner and daemon. Finds only: standing is judged by the rows below."""
    index, claims = case.index, case.claims
    issuer = index.issuers.get(claims.caller.issuer)
    if issuer is None:
        return R.ISSUER_UNKNOWN
    case.issuer = issuer
    tenant = issuer.tenants.get(claims.caller.tid)
    if tenant is None:
        return None
    case.tenant = tenant
    case.daemon = daemon = tenant.daemons.get(claims.caller.client)
    partner = tenant.row.partner
    if tenant.row.hosted:
        partner = daemon.partner if daemon is not None else None
    case.partner = index.partners.get(partner) if partner is not None else None
    return None


def _app_only(case: Case) -> R | None:
    """Ask for proof, by the token itself or (where the issuer has none of its own) by the daemon's pinned `sub`."""
    caller, daemon = case.claims.caller, case.daemon
    if caller.identity == "agent" and not case.resource.row.agent_identities:
        return R.AGENT_IDENTITY_NOT_ALLOWED
    if not caller.entra and daemon is not None and daemon.subject is not None:
        return caller.app_only.vouched
    return caller.app_only.proved


def _app_only_compatible(case: Case) -> R | None:
    """Do without Entra's own proof, where the publisher cannot switch it on."""
    caller = case.claims.caller
    reason = _app_only(case)
    return (
        caller.app_only.vouched if reason is not None and reason is caller.app_only.proved and caller.entra else reason
    )


def _listed(case: Case) -> R | None:
    """Do tenant and partner stand on the list, in a state that lets them in?"""
    tenant, partner = case.tenant, case.partner
    if tenant is None:
        return R.TENANT_NOT_LISTED
    if tenant.row.state != "active":
        return R.TENANT_SUSPENDED
    if partner is None:  # only a hosted tenant has none of its own: its unlisted daemons belong to nobody
        return R.DAEMON_NOT_LISTED if case.daemon is None else R.PARTNER_NOT_ACTIVE
    if partner.state != "active":
        return R.PARTNER_SUSPENDED if partner.state == "suspended" else R.PARTNER_NOT_ACTIVE
    return R.PARTNER_ENDED if partner.ends_at is not None and not case.now < partner.ends_at else None


def _daemon(case: Case) -> R | None:
    """Does the daemon stand on the list and may come in, is it the very object pinned, and proved well enough?"""
    daemon, caller = case.daemon, case.claims.caller
    if daemon is None:
        return R.DAEMON_NOT_LISTED
    if not daemon.active:
        return R.DAEMON_SUSPENDED
    if daemon.oid is not None and daemon.oid != caller.oid:
        return R.OBJECT_ID_MISMATCH
    if daemon.subject is not None and daemon.subject != caller.sub:
        return R.OBJECT_ID_MISMATCH
    if not caller.entra and daemon.subject is None and _pin_needed(case):
        return R.SUBJECT_NOT_PINNED
    if daemon.min_credential != "none" and _RANK[caller.strength] < _RANK.get(daemon.min_credential, _BEYOND):
        return R.CREDENTIAL_TOO_WEAK
    return None


def _pin_needed(case: Case) -> bool:
    """Whether the issuer's client ids alone say too little (GitHub: any branch of the repository)."""
    oidc = _oidc(case)
    return oidc is not None and oidc.subject_pin


def _oidc(case: Case) -> OidcReader | None:
    """Return how the issuer's tokens are read, None where that is Entra."""
    return None if case.issuer is None else case.issuer.oidc


def _resource_strength(case: Case) -> R | None:
    too_weak = _RANK[case.claims.caller.strength] < _RANK.get(case.resource.row.min_credential, _BEYOND)
    return R.CREDENTIAL_TOO_WEAK if too_weak else None


def _issuer(case: Case) -> R | None:
    return None if case.claims.caller.issuer in case.resource.row.issuers else R.ISSUER_NOT_ACCEPTED


def _client(case: Case) -> R | None:
    return None if case.claims.caller.client_id in case.resource.clients else R.CLIENT_NOT_ACCEPTED


def _address(case: Case) -> R | None:
    return None if is_inside(case.peer, case.resource.networks) else R.ADDRESS_NOT_ALLOWED


def _roles(case: Case) -> R | None:
    return _hold(case, held_roles(case))


def _roles_both_give(case: Case) -> R | None:
    return _hold(case, held_roles(case, also_in_token=True))


def _hold(case: Case, held: set[str]) -> R | None:
    case.roles = tuple(sorted(held)) if len(held) > 1 else tuple(held)
    return None if held and held.issuperset(case.wanted) else R.ROLE_NOT_ASSIGNED


_OF_A_REQUEST: Final = frozenset((_required_claims, _address, _roles_both_give))
"""Checks further on that ask what may differ from one request to the next."""
_WITHOUT: Final[dict[Test, Test]] = {_app_only: _app_only_compatible, _roles_both_give: _roles}
"""What still holds where a rule is reported only: the weaker form of the same rule."""


def _lifetimes(case: Case) -> str:
    return f"{case.claims.expires_at - case.claims.issued_at:.0f} s"


def _caller(case: Case) -> str:
    caller = case.claims.caller
    where = caller.issuer if caller.tid is None else f"tid {guid_text(caller.tid)}"
    return f"client {shown(caller.client_id)} of {where}"


def _standing(case: Case) -> str:
    if case.partner is None:
        return "no partner"
    ended = "" if case.partner.ends_at is None else f", ends at {case.partner.ends_at}"
    return f"partner {case.partner.id}, {case.partner.state}{ended}"


def _holder(case: Case) -> str:
    claims = case.claims
    return f"sub {shown(claims.caller.sub)}" if claims.caller.oid is None else f"oid {guid_text(claims.caller.oid)}"


def _pinned(case: Case) -> str:
    daemon = case.daemon
    if daemon is None or (daemon.oid is None and daemon.subject is None):
        return "a daemon with a pinned sub" if _pin_needed(case) else "any object (not pinned)"
    return f"oid {guid_text(daemon.oid)}" if daemon.oid is not None else f"sub {shown(daemon.subject)}"


def _kind(case: Case) -> str:
    payload, oidc = case.claims.payload, _oidc(case)
    if oidc is not None:
        return oidc.told(payload, case.claims.caller.sub)
    return f"idtyp {shown(payload.get('idtyp'))}, scp {shown(payload.get('scp'))}, sub {shown(case.claims.caller.sub)}"


def _confirmed_by(case: Case) -> str:
    cnf = case.claims.payload.get("cnf")
    if cnf is None:
        return "cnf null" if "cnf" in case.claims.payload else "no cnf"
    return f"cnf with {_several(tuple(map(shown, cnf)))}" if type(cnf) is dict and cnf else "cnf that names nothing"


def _begins(case: Case) -> str:
    claims = case.claims
    begins = f"nbf {claims.not_before:.0f}" if "nbf" in claims.payload else "no nbf"
    return f"{begins}, iat {claims.issued_at:.0f}"


def _received_strength(case: Case) -> str:
    return case.claims.caller.strength or "unknown"


def _wanted_roles(case: Case) -> str:
    return _several(case.wanted) or "at least one role"


def _held(case: Case) -> str:
    return _several(case.roles) or "no role"


def _counts_assigned(row: ResourceRow) -> bool:
    return row.token_roles == "ignore"


def _how(case: Case) -> str:
    oidc = _oidc(case)
    return case.resource.row.app_only if oidc is None else f"profile {oidc.profile}"


def _several(values: tuple[str, ...]) -> str:
    """Return values for a trace: bounded, however many an operator or an issuer has named."""
    return shown(", ".join(values), 300)


_APP_ONLY: Final = (
    Line(
        "agent",
        (R.AGENT_IDENTITY_NOT_ALLOWED,),
        lambda c: "any identity" if c.resource.row.agent_identities else "no agent identity",
        lambda c: f"a token of kind {c.claims.caller.identity}",
    ),
    Line(
        "app-only",
        (
            R.NOT_APP_ONLY,
            R.ID_TOKEN_PRESENTED,
            R.TOKEN_TYPE_NOT_ALLOWED,
            R.SERVICE_PRINCIPAL_MISSING,
            R.CLAIM_MALFORMED,
        ),
        lambda c: f"an app's own access token ({_how(c)})",
        _kind,
    ),
)
_LIFETIME: Final = Line(
    "lifetime", (R.TOKEN_LIFETIME_TOO_LONG,), lambda c: f"at most {c.resource.row.max_lifetime} s", _lifetimes
)
CHECKS: Final = (
    Check(
        _own,
        (
            Line(
                "audience",
                (R.AUDIENCE_MISMATCH,),
                lambda c: f"one of {_several(c.resource.row.audiences)}",
                lambda c: _several(c.claims.caller.audiences),
            ),
            Line(
                "expiry",
                (R.TOKEN_EXPIRED,),
                lambda c: f"exp after {c.now - c.resource.row.clock_skew:.0f}",
                lambda c: f"exp {c.claims.expires_at:.0f}",
            ),
            Line(
                "begin",
                (R.TOKEN_NOT_YET_VALID, R.TOKEN_ISSUED_IN_FUTURE),
                lambda c: f"nbf and iat up to {c.now + c.resource.row.clock_skew:.0f}",
                _begins,
            ),
            _LIFETIME,
            Line("confirmation", (R.CONFIRMATION_UNSUPPORTED,), lambda c: "no cnf", _confirmed_by),
        ),
    ),
    Check(
        _lifetime,
        (_LIFETIME,),
        "max_lifetime",
        lambda row: any(each.rule == "max_lifetime" for each in row.report_only),
    ),
    Check(
        _version,
        (
            Line(
                "token version",
                (R.TOKEN_VERSION_NOT_ACCEPTED,),
                lambda c: f"ver {' or '.join(c.resource.row.token_versions)}",
                lambda c: f"ver {c.claims.caller.version or 'unknown'}",
            ),
        ),
        "token_versions",
        lambda row: bool(row.token_versions),
    ),
    Check(
        _find,
        (
            Line(
                "issuer in force",
                (R.ISSUER_UNKNOWN,),
                lambda c: "an issuer of the policy",
                lambda c: f"issuer {c.claims.caller.issuer}",
            ),
        ),
    ),
    Check(_app_only, _APP_ONLY, "app_only", lambda row: row.app_only != "compatible"),
    Check(_app_only_compatible, _APP_ONLY, None, lambda row: row.app_only == "compatible"),
    Check(
        _required_claims,
        (
            Line(
                "required claims",
                (R.REQUIRED_CLAIM_MISMATCH,),
                lambda c: describe_required(c.claims.payload, c.resource.required),
                lambda c: describe_required_received(c.claims.payload, c.resource.required),
            ),
        ),
        "required_claims",
        lambda row: bool(row.required_claims),
    ),
    Check(
        _listed,
        (
            Line(
                "tenant",
                (R.TENANT_NOT_LISTED, R.TENANT_SUSPENDED),
                lambda c: "a listed, active tenant",
                _caller,
            ),
            Line(
                "partner",
                (R.PARTNER_NOT_ACTIVE, R.PARTNER_SUSPENDED, R.PARTNER_ENDED, R.DAEMON_NOT_LISTED),
                lambda c: f"an active partner at {c.now:.0f}",
                _standing,
            ),
        ),
    ),
    Check(
        _daemon,
        (
            Line(
                "daemon",
                (R.DAEMON_NOT_LISTED, R.DAEMON_SUSPENDED),
                lambda c: "a listed, active daemon",
                _caller,
            ),
            Line("pin", (R.OBJECT_ID_MISMATCH, R.SUBJECT_NOT_PINNED), _pinned, _holder),
            Line(
                "strength",
                (R.CREDENTIAL_TOO_WEAK,),
                lambda c: f"{c.daemon.min_credential if c.daemon is not None else 'none'} or better",
                _received_strength,
            ),
        ),
    ),
    Check(
        _issuer,
        (
            Line(
                "resource's issuers",
                (R.ISSUER_NOT_ACCEPTED,),
                lambda c: f"one of {_several(c.resource.row.issuers)}",
                lambda c: f"issuer {c.claims.caller.issuer}",
            ),
        ),
        "issuers",
        lambda row: bool(row.issuers),
    ),
    Check(
        _client,
        (
            Line(
                "resource's clients",
                (R.CLIENT_NOT_ACCEPTED,),
                lambda c: f"one of {_several(c.resource.row.clients)}",
                lambda c: f"client {shown(c.claims.caller.client_id)}",
            ),
        ),
        "clients",
        lambda row: bool(row.clients),
    ),
    Check(
        _resource_strength,
        (
            Line(
                "resource's strength",
                (R.CREDENTIAL_TOO_WEAK,),
                lambda c: f"{c.resource.row.min_credential} or better",
                _received_strength,
            ),
        ),
        "min_credential",
        lambda row: row.min_credential != "none",
    ),
    Check(
        _address,
        (
            Line(
                "address",
                (R.ADDRESS_NOT_ALLOWED,),
                lambda c: describe_networks(c.resource.networks),
                lambda c: describe_address(c.peer),
            ),
        ),
        "addresses",
        lambda row: bool(row.addresses),
    ),
    Check(_roles, (Line("roles", (R.ROLE_NOT_ASSIGNED,), _wanted_roles, _held),), None, _counts_assigned),
    Check(
        _roles_both_give,
        (Line("roles", (R.ROLE_NOT_ASSIGNED,), lambda c: f"{_wanted_roles(c)}, in the token too", _held),),
        "token_roles",
        lambda row: not _counts_assigned(row),
    ),
)
"""Every check in order. `judge` runs the tests of those a resource asks for; `core.trace` writes both sides down."""
