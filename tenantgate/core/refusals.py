"""How each denial is answered: reason → public code → status and challenge → texts → advice.

One table, read by `gate.answer`, the decision log, the command line and `docs/denials.md`. The public
text helps nobody to enumerate the allow-list: an unknown tenant, an unknown daemon and a suspended
partner read alike (RFC 6750 §3.1; the exact reason is for the operator).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import PublicCode as C


class Answered(NamedTuple):
    """How a public code is answered. `oauth_error` is the challenge's `error` (RFC 6750 §3.1), if any."""

    status: int
    oauth_error: str | None
    challenge: bool
    text: str


class Refusal(NamedTuple):
    """One row: the public code, what it means for the operator, and what to do about it."""

    code: C
    meaning: str
    advice: str


CODES: Final[dict[C, Answered]] = {
    C.NO_CREDENTIAL: Answered(
        401, None, True, "This API asks for an access token; the request carried none it accepts."
    ),
    C.INVALID_REQUEST: Answered(400, "invalid_request", True, "The request's headers cannot be read in one way only."),
    C.INVALID_TOKEN: Answered(401, "invalid_token", True, "The access token is not valid for this API."),
    C.CALLER_NOT_ALLOWED: Answered(
        403, None, False, "The caller is not allowed to use this API. A new token will not change that."
    ),
    C.INSUFFICIENT_SCOPE: Answered(
        403, "insufficient_scope", True, "The caller lacks a role that this operation needs."
    ),
    C.CERTIFICATE_REQUIRED: Answered(403, None, False, "This API asks for a client certificate it can accept."),
    C.CANNOT_JUDGE: Answered(
        503,
        None,
        False,
        "The request could not be judged just now. This says nothing about the token; try again later.",
    ),
}

REFUSALS: Final[dict[R, Refusal]] = {
    R.NO_CREDENTIAL: Refusal(
        C.NO_CREDENTIAL,
        "The request carries no credential.",
        "Send the access token as `Authorization: Bearer <token>`.",
    ),
    R.CREDENTIAL_AMBIGUOUS: Refusal(
        C.INVALID_REQUEST,
        "The request carries more than one credential, or the same header twice.",
        "Send exactly one Authorization header; look for a proxy that adds a second one.",
    ),
    R.SCHEME_NOT_ALLOWED: Refusal(
        C.NO_CREDENTIAL,
        "The Authorization header uses a scheme that is not enabled for this API.",
        "Use the Bearer scheme with an access token.",
    ),
    R.REQUEST_INVALID: Refusal(
        C.INVALID_REQUEST,
        "A header is malformed, too large, or looks smuggled.",
        "Send the headers as HTTP has them: one value each, visible ASCII, no more than 64 KiB in all.",
    ),
    R.TOKEN_MALFORMED: Refusal(
        C.INVALID_TOKEN,
        "The token is not a compact JWS with strict base64url and strict JSON.",
        "Send the token exactly as the identity provider issued it; an opaque token is not accepted here.",
    ),
    R.TOKEN_TOO_LARGE: Refusal(
        C.INVALID_TOKEN,
        "The token, or a part of it, is larger than the limit.",
        "Ask for fewer claims; group claims are the usual cause.",
    ),
    R.TOKEN_ENCRYPTED: Refusal(
        C.INVALID_TOKEN,
        "The token is encrypted (five parts); only signed tokens are accepted.",
        "Switch token encryption off for this API at the identity provider.",
    ),
    R.HEADER_NOT_ALLOWED: Refusal(
        C.INVALID_TOKEN,
        "The token's header holds a member that is never followed (`jwk`, `jku`, `x5u`, `x5c`, `crit`, …).",
        "Ask for a plain access token; a header with `nonce` is a token for Microsoft Graph, not for this API.",
    ),
    R.TOKEN_TYPE_NOT_ALLOWED: Refusal(
        C.INVALID_TOKEN,
        "The token's `typ` is not that of an access token of this issuer.",
        "Send the access token, not a logout, DPoP, refresh or security-event token.",
    ),
    R.ALGORITHM_NOT_ALLOWED: Refusal(
        C.INVALID_TOKEN,
        "The token's `alg` is not the one algorithm its signing key may be used with.",
        "Sign with the algorithm agreed for this issuer; symmetric algorithms and `none` are never accepted.",
    ),
    R.ID_TOKEN_PRESENTED: Refusal(
        C.INVALID_TOKEN,
        "This is an ID token (`nonce`, `at_hash`, `c_hash`), which tells a client who signed in.",
        "Send the access token of the same answer.",
    ),
    R.ISSUER_UNKNOWN: Refusal(
        C.INVALID_TOKEN,
        "No issuer in the policy has this `iss`. No key was fetched for it.",
        "Add the issuer if this partner is to be let in; otherwise the partner uses the wrong identity provider.",
    ),
    R.TENANT_MISMATCH: Refusal(
        C.INVALID_TOKEN,
        "The token's `tid` and the tenant in its `iss` disagree.",
        "Nothing to configure: no honest issuer mints this. Treat it as an attack.",
    ),
    R.KEY_ISSUER_MISMATCH: Refusal(
        C.INVALID_TOKEN,
        "The signing key belongs to another issuer than the token's `iss`, or does not say to which.",
        "Nothing to configure: the key document binds each key to its issuer. Treat it as an attack.",
    ),
    R.CONSUMER_TENANT: Refusal(
        C.INVALID_TOKEN,
        "The token is for a personal Microsoft account.",
        "Use an identity in the partner's own organisation.",
    ),
    R.VERSION_MISMATCH: Refusal(
        C.INVALID_TOKEN,
        "The token's `ver` does not agree with the form of its `iss`.",
        "Nothing to configure: no honest issuer mints this.",
    ),
    R.SIGNING_KEY_UNKNOWN: Refusal(
        C.INVALID_TOKEN,
        "The issuer does not publish the key that the token's `kid` names.",
        "Ask for a fresh token; if keys were just rotated, try again in half a minute.",
    ),
    R.SIGNING_KEY_DISTRUSTED: Refusal(
        C.INVALID_TOKEN,
        "An operator has distrusted the key that signed this token.",
        "Ask for a fresh token, signed by another key.",
    ),
    R.SIGNATURE_INVALID: Refusal(
        C.INVALID_TOKEN,
        "The signature does not hold: the token was changed, or signed by somebody else.",
        "Send the token byte for byte as it was issued.",
    ),
    R.CLAIM_MISSING: Refusal(
        C.INVALID_TOKEN,
        "A claim that every access token of this issuer has is missing.",
        "Check that this is an access token for this API, and the issuer's claim configuration.",
    ),
    R.CLAIM_MALFORMED: Refusal(
        C.INVALID_TOKEN,
        "A claim has the wrong type or form.",
        "Check the issuer's claim mapping; the detail names the claim.",
    ),
    R.AUDIENCE_MISMATCH: Refusal(
        C.INVALID_TOKEN,
        "The token is for another audience.",
        "Ask for the scope `<this API's App ID URI>/.default`; a token for Microsoft Graph is not one for this API.",
    ),
    R.TOKEN_EXPIRED: Refusal(
        C.INVALID_TOKEN,
        "The token has expired.",
        "Ask for a new token before the old one ends; if tokens look fresh, compare the clocks.",
    ),
    R.TOKEN_NOT_YET_VALID: Refusal(
        C.INVALID_TOKEN,
        "The token's `nbf` lies in the future.",
        "Compare the clocks of the issuer and of this server.",
    ),
    R.TOKEN_ISSUED_IN_FUTURE: Refusal(
        C.INVALID_TOKEN,
        "The token's `iat` lies in the future.",
        "Compare the clocks of the issuer and of this server.",
    ),
    R.TOKEN_LIFETIME_TOO_LONG: Refusal(
        C.INVALID_TOKEN,
        "The token lives longer (`exp - iat`) than the resource allows.",
        "Shorten the lifetime at the issuer, or raise the resource's `max_lifetime`.",
    ),
    R.TOKEN_VERSION_NOT_ACCEPTED: Refusal(
        C.INVALID_TOKEN,
        "The token's version is not one that the resource accepts.",
        "Set `requestedAccessTokenVersion` of this API's app registration to the version it accepts.",
    ),
    R.REQUIRED_CLAIM_MISMATCH: Refusal(
        C.INVALID_TOKEN,
        "A claim the resource requires is absent or has another value.",
        "Compare the token with the resource's required claims.",
    ),
    R.NOT_APP_ONLY: Refusal(
        C.INVALID_TOKEN,
        "Nothing proves that no user stands behind this token.",
        "Entra: switch on the optional claim `idtyp` for this API and use client credentials. "
        "Other issuers: use client credentials, or pin the daemon's `subject` where the profile lets it decide.",
    ),
    R.SERVICE_PRINCIPAL_MISSING: Refusal(
        C.INVALID_TOKEN,
        "The client has no service principal in its tenant (no `oid`, or `xms_idrel` says so).",
        "Create the service principal of the daemon's app in the partner's tenant.",
    ),
    R.AGENT_IDENTITY_NOT_ALLOWED: Refusal(
        C.INVALID_TOKEN,
        "The token belongs to an agent identity, which this resource does not take.",
        "Use a daemon's own app registration.",
    ),
    R.CONFIRMATION_UNSUPPORTED: Refusal(
        C.INVALID_TOKEN,
        "The token is bound (`cnf`) in a way that is not enforced here, so it cannot be accepted.",
        "Ask for an unbound token, or for a binding that this API supports.",
    ),
    R.CONFIRMATION_MISMATCH: Refusal(
        C.INVALID_TOKEN,
        "The token is bound to another certificate or key than the caller's.",
        "Call with the certificate the token was issued for.",
    ),
    R.TENANT_NOT_LISTED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The token is authentic, but its tenant belongs to no partner.",
        "Add the tenant to a partner, if this caller is welcome.",
    ),
    R.TENANT_SUSPENDED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The caller's tenant is suspended.",
        "Activate the tenant when the reason for the suspension is gone.",
    ),
    R.PARTNER_NOT_ACTIVE: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The caller's partner is invited or archived, not active.",
        "Activate the partner.",
    ),
    R.PARTNER_SUSPENDED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The caller's partner is suspended.",
        "Activate the partner when the reason for the suspension is gone.",
    ),
    R.PARTNER_ENDED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The partner's end date has passed.",
        "Give the partner a later end date, if the agreement was renewed.",
    ),
    R.DAEMON_NOT_LISTED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The tenant is known, but this client id is not one of its listed daemons.",
        "Add the daemon's client id to the tenant, if this caller is welcome.",
    ),
    R.DAEMON_SUSPENDED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The daemon is suspended.",
        "Activate the daemon when the reason for the suspension is gone.",
    ),
    R.OBJECT_ID_MISMATCH: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The client id is listed, but held by another object than the one the daemon is pinned to.",
        "If the partner re-created the app or its service principal, change the pin.",
    ),
    R.SUBJECT_NOT_PINNED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The daemon is listed, but its issuer's client ids say too little, and it names no `subject`.",
        "Name the daemon's `subject`: the `sub` its tokens carry, exactly.",
    ),
    R.CREDENTIAL_TOO_WEAK: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The daemon proved itself to its issuer with a weaker credential than is asked for.",
        "Use a certificate or a federated credential instead of a client secret.",
    ),
    R.ISSUER_NOT_ACCEPTED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The resource does not accept this issuer, though the policy knows it.",
        "Add the issuer to the resource's `issuers`, if its callers are welcome here.",
    ),
    R.CLIENT_NOT_ACCEPTED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The daemon is listed, but is not one of the resource's own `clients`.",
        "Add the client id to the resource's `clients`, if this caller is welcome here.",
    ),
    R.ADDRESS_NOT_ALLOWED: Refusal(
        C.CALLER_NOT_ALLOWED,
        "The call came from an address outside the allowed ranges.",
        "Call from an agreed address, or change the ranges.",
    ),
    R.ROLE_NOT_ASSIGNED: Refusal(
        C.INSUFFICIENT_SCOPE,
        "The daemon does not hold every role that was asked for (now, on this resource).",
        "Assign the role to the daemon, or extend an assignment that has ended.",
    ),
    R.CERTIFICATE_REQUIRED: Refusal(
        C.CERTIFICATE_REQUIRED, "The resource takes client certificates only.", "Call with the agreed certificate."
    ),
    R.CERTIFICATE_HEADER_MISSING: Refusal(
        C.CERTIFICATE_REQUIRED,
        "The trusted proxy did not forward a client certificate.",
        "Let the proxy ask for the certificate and forward it.",
    ),
    R.CERTIFICATE_MALFORMED: Refusal(
        C.CERTIFICATE_REQUIRED,
        "The forwarded certificate cannot be read.",
        "Compare the proxy's encoding with the setting.",
    ),
    R.CERTIFICATE_UNTRUSTED: Refusal(
        C.CERTIFICATE_REQUIRED,
        "No chain leads from the certificate to a trusted root.",
        "Add the root, or pin the certificate.",
    ),
    R.CERTIFICATE_EXPIRED: Refusal(
        C.CERTIFICATE_REQUIRED, "The certificate is outside its validity dates.", "Renew the certificate."
    ),
    R.CERTIFICATE_REVOKED: Refusal(
        C.CERTIFICATE_REQUIRED, "The certificate has been revoked.", "Issue a new certificate."
    ),
    R.CERTIFICATE_NOT_LISTED: Refusal(
        C.CALLER_NOT_ALLOWED, "The certificate is sound, but belongs to no daemon.", "Add the certificate to a daemon."
    ),
    R.SUBSCRIPTION_KEY_UNKNOWN: Refusal(
        C.INVALID_TOKEN, "The subscription key is not known.", "Send the key as it was shown when it was made."
    ),
    R.SUBSCRIPTION_KEY_EXPIRED: Refusal(
        C.INVALID_TOKEN, "The subscription key has ended.", "Use the newer key, or make one."
    ),
    R.KEY_SET_UNAVAILABLE: Refusal(
        C.CANNOT_JUDGE,
        "The issuer's keys have never been fetched, and cannot be fetched now.",
        "Look at the issuer's health; its address must be reachable from here.",
    ),
    R.KEY_SET_TOO_OLD: Refusal(
        C.CANNOT_JUDGE,
        "The issuer's keys are older than the hard limit.",
        "Look at the issuer's health; its keys could not be refreshed for a long time.",
    ),
    R.POLICY_UNAVAILABLE: Refusal(
        C.CANNOT_JUDGE, "This gate has no policy, or the resource is not in it.", "Look at the gate's policy source."
    ),
    R.POLICY_TOO_OLD: Refusal(
        C.CANNOT_JUDGE, "The policy is older than the hard limit.", "Restore the connection to the policy source."
    ),
    R.OVERLOADED: Refusal(C.CANNOT_JUDGE, "Too many requests were waiting.", "Try again; add processes if it lasts."),
}
