"""Who may come in, said a second time: a short judge written from the design, to hold the fast one to.

Slow and plain on purpose; of the code it knows rows and the names of reasons. A rule is a line in a table: when it
applies, and what it refuses for. Which of several comes first is not asked: the judge may answer any that applies.
Headers and key documents are not its business (`test_cross_signing` has them).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.policy import IssuerRow
from tests.core.oracle_caller import Caller, Question, as_accepted, audience, guid, instant, items, named, sane, texts

NUMBERS, ACCESS = ("xms_idrel", "xms_act_fct", "xms_sub_fct"), ("bearer", "jwt", "at+jwt")
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
ID_TOKEN, DELEGATED = ("nonce", "at_hash", "c_hash", "s_hash"), ("act", "may_act", "actortoken")
OIDC_USER = ("amr", "auth_time", "sid", "session_state", "email", "given_name", "family_name", "upn")
RANK = {None: 0, "0": 0, "1": 1, "2": 2, "none": 0, "secret": 1, "certificate": 2}


class Answer(NamedTuple):
    """`reasons`: what it may be refused for. With none: the partner, tenant and daemon that come in, and what of them.

    `would_deny`: what rules that are reported only hold against it.
    """

    reasons: frozenset[R]
    who: tuple[str, str, str] = ("", "", "")
    roles: tuple[str, ...] = ()
    identity: str = ""
    would_deny: frozenset[R] = frozenset()


def answer(asked: Question) -> Answer:
    """Say whether a token's bearer may come in, as whom, and with which roles."""
    iss = asked.claims.get("iss")
    if not isinstance(iss, str):
        return Answer(frozenset([R.CLAIM_MISSING if iss is None else R.CLAIM_MALFORMED]))
    callers = [Caller(asked, *found) for row in asked.rows if isinstance(row, IssuerRow) for found in named(row, iss)]
    best = max((each.standing for each in callers), default=0)  # of two clouds with one v1 issuer
    answers = [answer_for(each) for each in callers if each.standing == best]
    if len(answers) == 1:
        return answers[0]
    return Answer(frozenset([R.ISSUER_UNKNOWN]).union(*(each.reasons for each in answers)))


def answer_for(caller: Caller) -> Answer:
    """Ask the tables: the policy is asked once the token is authentic and its claims have their form."""
    reasons = against(caller, AUTHENTIC) or against(caller, CONFIGURED)
    if reasons:
        return Answer(reasons)
    reported = [row for rule, row in RULES.items() if caller.reported(rule)]
    reasons = against(caller, [*WELCOME, *(row for row in RULES.values() if row not in reported)])
    if reasons:
        return Answer(reasons)
    who = (caller.partner.id, caller.tenant.id, caller.daemon.id)
    roles = caller.roles() if caller.reported("token_roles") else caller.roles_told()
    return Answer(frozenset(), who, tuple(sorted(roles)), caller.identity(), against(caller, reported))


def against(caller: Caller, table: Any) -> frozenset[R]:
    """Return what the rows of a table hold against a caller."""
    return frozenset(reason for applies, *refused in table for reason in refused if applies(caller))


FORGED = (R.SIGNING_KEY_UNKNOWN, R.SIGNATURE_INVALID, R.ALGORITHM_NOT_ALLOWED, R.KEY_ISSUER_MISMATCH)
AUTHENTIC: Any = (
    (lambda c: c.issuer.id not in c.asked.signers, *FORGED),
    (lambda c: c.tid and c.tid.lower() == CONSUMERS, R.CONSUMER_TENANT),
    (lambda c: c.tid and any(name.lower() == "tid" != name for name in c.claims), R.CLAIM_MALFORMED),
    (lambda c: c.tid and c.claims.get("tid") != c.tid, R.TENANT_MISMATCH),
    (lambda c: c.tid and c.claims.get("ver") != c.version, R.VERSION_MISMATCH),
    (lambda c: c.tid and c.claims.get("oid") is None, R.SERVICE_PRINCIPAL_MISSING),
    (lambda c: c.tid and None in (c.claims.get("tid"), c.claims.get("ver")), R.CLAIM_MISSING),
    (lambda c: None in map(c.claims.get, (c.name, "sub", "aud", "iat", "exp")), R.CLAIM_MISSING),
    (lambda c: c.claims.get("nbf", 0) is None, R.CLAIM_MISSING),
    (lambda c: c.has(c.other) and c.claims[c.other] != c.claims.get(c.name), R.CLAIM_MALFORMED),
    (
        lambda c: c.misshapen(**{c.name: guid if c.tid else sane, "sub": sane, "jti": sane, "uti": sane}),
        R.CLAIM_MALFORMED,
    ),
    (lambda c: c.misshapen(aud=audience, iat=instant, exp=instant, nbf=instant), R.CLAIM_MALFORMED),
    (lambda c: c.tid and c.misshapen(tid=guid, oid=guid), R.CLAIM_MALFORMED),
    (lambda c: c.tid and c.misshapen(**{c.acr: lambda v: v in (None, "0", "1", "2")}), R.CLAIM_MALFORMED),
    (lambda c: c.tid and c.misshapen(roles=lambda v: v is None or texts(v)), R.CLAIM_MALFORMED),
    (lambda c: not c.tid and c.misshapen(roles=lambda v: not isinstance(v, list) or texts(v)), R.CLAIM_MALFORMED),
)
CONFIGURED: Any = ((lambda c: c.resource is None, R.POLICY_UNAVAILABLE),)
WELCOME: Any = (
    (
        lambda c: not as_accepted(c.resource.audiences) & {*items(c.claims["aud"]), str(c.claims["aud"])},
        R.AUDIENCE_MISMATCH,
    ),
    (lambda c: c.claims["exp"] + c.resource.clock_skew <= c.asked.now, R.TOKEN_EXPIRED),
    (lambda c: c.claims.get("nbf", 0) > c.asked.now + c.resource.clock_skew, R.TOKEN_NOT_YET_VALID),
    (lambda c: c.claims["iat"] > c.asked.now + c.resource.clock_skew, R.TOKEN_ISSUED_IN_FUTURE),
    (lambda c: c.has("cnf"), R.CONFIRMATION_UNSUPPORTED),
    # No user, no other kind of token.
    (lambda c: c.has(*ID_TOKEN), R.ID_TOKEN_PRESENTED),
    (lambda c: c.has("events"), R.TOKEN_TYPE_NOT_ALLOWED),
    (lambda c: c.has(*DELEGATED), R.NOT_APP_ONLY),
    (lambda c: c.tid and any(-1 in c.numbers(name) for name in NUMBERS), R.CLAIM_MALFORMED),
    (lambda c: c.tid and 13 in c.numbers("xms_idrel"), R.SERVICE_PRINCIPAL_MISSING),
    (lambda c: c.tid and c.has("xms_idrel") and not c.numbers("xms_idrel") & {7, 33}, R.NOT_APP_ONLY),
    (lambda c: c.identity() == "agent" and not c.resource.agent_identities, R.AGENT_IDENTITY_NOT_ALLOWED),
    (lambda c: c.tid and not (c.says_app() if c.has("idtyp") else c.looks_like_app()), R.NOT_APP_ONLY),
    (
        lambda c: not c.tid and str("JWT" if c.claims.get("typ") is None else c.claims["typ"]).lower() not in ACCESS,
        R.TOKEN_TYPE_NOT_ALLOWED,
    ),
    (lambda c: not c.tid and c.claims.get("token_use", "access") != "access", R.ID_TOKEN_PRESENTED),
    (lambda c: not c.tid and (c.has(*OIDC_USER) or not (c.pinned("subject") or c.is_client())), R.NOT_APP_ONLY),
    # The list.
    (lambda c: not c.tenant, R.TENANT_NOT_LISTED),
    (lambda c: c.tenant and c.tenant.state == "suspended", R.TENANT_SUSPENDED),
    (lambda c: c.tenant and not c.daemon, R.DAEMON_NOT_LISTED),
    (lambda c: c.daemon and c.daemon.state == "suspended", R.DAEMON_SUSPENDED),
    (lambda c: c.tenant and (c.partner.state in ("invited", "archived") if c.partner else True), R.PARTNER_NOT_ACTIVE),
    (lambda c: c.partner and c.partner.state == "suspended", R.PARTNER_SUSPENDED),
    (lambda c: c.partner and c.past(c.partner.ends_at), R.PARTNER_ENDED),
    (lambda c: c.pinned("oid") and c.daemon.oid != str(c.claims["oid"]).lower(), R.OBJECT_ID_MISMATCH),
    (lambda c: c.pinned("subject") and c.daemon.subject != c.claims["sub"], R.OBJECT_ID_MISMATCH),
    (lambda c: c.daemon and RANK[c.acr_value] < RANK[c.daemon.min_credential], R.CREDENTIAL_TOO_WEAK),
    (lambda c: c.daemon and not c.suffice(c.roles()), R.ROLE_NOT_ASSIGNED),
)
# What a resource adds, and may have reported only until a date. What is weaker in the same matter stands above.
RULES: Any = {
    "max_lifetime": (
        lambda c: c.claims["exp"] - c.claims["iat"] > c.resource.max_lifetime + 300,
        R.TOKEN_LIFETIME_TOO_LONG,
    ),
    "token_versions": (
        lambda c: c.tid and c.version not in (c.resource.token_versions or [c.version]),
        R.TOKEN_VERSION_NOT_ACCEPTED,
    ),
    "app_only": (lambda c: c.tid and c.resource.app_only == "strict" and not c.has("idtyp"), R.NOT_APP_ONLY),
    "required_claims": (lambda c: not all(map(c.carries, c.resource.required_claims)), R.REQUIRED_CLAIM_MISMATCH),
    "issuers": (lambda c: c.issuer.id not in (c.resource.issuers or [c.issuer.id]), R.ISSUER_NOT_ACCEPTED),
    "clients": (lambda c: c.client not in (as_accepted(c.resource.clients) or [c.client]), R.CLIENT_NOT_ACCEPTED),
    "min_credential": (lambda c: RANK[c.acr_value] < RANK[c.resource.min_credential], R.CREDENTIAL_TOO_WEAK),
    "addresses": (lambda c: c.resource.addresses and not c.calls_from(c.resource.addresses), R.ADDRESS_NOT_ALLOWED),
    "token_roles": (lambda c: c.daemon and not c.suffice(c.roles_told()), R.ROLE_NOT_ASSIGNED),
}
TABLES = (AUTHENTIC, CONFIGURED, WELCOME, tuple(RULES.values()))
