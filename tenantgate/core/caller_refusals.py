"""What each refusal beside the token means, and what helps: the request, the list, other credentials, ourselves."""

from __future__ import annotations

from typing import Final

from tenantgate.core.answers import ASK_THE_PUBLISHER, NOTHING_TO_DO, Refusal
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import PublicCode as C

_NOT_LISTED: Final = C.CALLER_NOT_ALLOWED
_CERTIFICATE: Final = C.CERTIFICATE_REQUIRED
_LATER: Final = "Keep the token and try again after `Retry-After`."

REQUEST_REFUSALS: Final[dict[R, Refusal]] = {
    R.NO_CREDENTIAL: Refusal(
        C.NO_CREDENTIAL,
        "The request carries no credential.",
        "Send the access token as `Authorization: Bearer <token>`; look for a client or a proxy that drops the header "
        "on a redirect.",
        "Nothing to do, unless a gateway of yours strips the header on its way here.",
    ),
    R.CREDENTIAL_AMBIGUOUS: Refusal(
        C.INVALID_REQUEST,
        "The request carries more than one credential, or the same header twice.",
        "Send exactly one `Authorization` header with one value.",
        "If the partner does, a proxy of yours adds a second one, or joins two with a comma.",
    ),
    R.SCHEME_NOT_ALLOWED: Refusal(
        C.NO_CREDENTIAL,
        "The Authorization header uses a scheme that is not enabled for this API.",
        "Use the scheme `Bearer`, not `Basic` or another one.",
        NOTHING_TO_DO,
    ),
    R.REQUEST_INVALID: Refusal(
        C.INVALID_REQUEST,
        "A header is malformed, too large, or looks smuggled.",
        "Send each header once, in visible ASCII, no more than 64 KiB in all.",
        "Look at the detail. White space around a header's name comes from somebody who tries to get past a proxy, or "
        "from a broken client.",
    ),
}

CALLER_REFUSALS: Final[dict[R, Refusal]] = {
    R.TENANT_NOT_LISTED: Refusal(
        _NOT_LISTED,
        "The token is authentic, but its tenant belongs to no partner.",
        "Send the publisher your tenant id and the client id of the daemon. A new token changes nothing.",
        "If this caller is welcome, add the tenant to a partner. The detail names the tid and the client id; both are "
        "authentic.",
    ),
    R.TENANT_SUSPENDED: Refusal(
        _NOT_LISTED,
        "The caller's tenant is suspended.",
        ASK_THE_PUBLISHER,
        "Activate the tenant when the reason for the suspension is gone; its daemons and roles are as they were.",
    ),
    R.PARTNER_NOT_ACTIVE: Refusal(
        _NOT_LISTED,
        "The caller's partner is invited or archived, not active.",
        "Ask the publisher whether the onboarding is finished.",
        "Activate the partner. In a hosted tenant the daemon must name a partner that exists.",
    ),
    R.PARTNER_SUSPENDED: Refusal(
        _NOT_LISTED,
        "The caller's partner is suspended.",
        ASK_THE_PUBLISHER,
        "Activate the partner when the reason for the suspension is gone; it acts on the next request.",
    ),
    R.PARTNER_ENDED: Refusal(
        _NOT_LISTED,
        "The partner's end date has passed.",
        "Renew the agreement with the publisher.",
        "Give the partner a later end date, or none, if the agreement was renewed.",
    ),
    R.DAEMON_NOT_LISTED: Refusal(
        _NOT_LISTED,
        "The tenant is known, but this client id is not one of its listed daemons.",
        "Send the publisher the client id of this daemon: each daemon of a tenant is listed by itself.",
        "If this caller is welcome, add the client id in the detail to the tenant. A tenant-wide role does not let in "
        "an unlisted daemon.",
    ),
    R.DAEMON_SUSPENDED: Refusal(
        _NOT_LISTED,
        "The daemon is suspended.",
        ASK_THE_PUBLISHER,
        "Activate the daemon when the reason for the suspension is gone.",
    ),
    R.OBJECT_ID_MISMATCH: Refusal(
        _NOT_LISTED,
        "The client id is listed, but held by another object than the one the daemon is pinned to.",
        "Tell the publisher if you re-created the app or its service principal.",
        "Ask the partner whether that is so, by another way than this call; then change the pin. If not, somebody "
        "else holds the client id.",
    ),
    R.SUBJECT_NOT_PINNED: Refusal(
        _NOT_LISTED,
        "The daemon is listed, but its issuer's client ids say too little, and it names no `subject`.",
        "Tell the publisher the exact `sub` of your tokens.",
        "Set the daemon's `subject`. At GitHub the client id is a repository, and every branch of it would come in; "
        "where that is what you want, say `subject_pin = false` at the issuer.",
    ),
    R.CREDENTIAL_TOO_WEAK: Refusal(
        _NOT_LISTED,
        "The daemon proved itself to its issuer with a weaker credential than is asked for.",
        "Use a certificate or a federated credential instead of a client secret at your identity provider.",
        "What is asked for is the stronger of the daemon's and the resource's `min_credential`. Issuers other than "
        "Entra do not tell how a client proved itself, so they never reach more than `none`.",
    ),
    R.ISSUER_NOT_ACCEPTED: Refusal(
        _NOT_LISTED,
        "The resource does not accept this issuer, though the policy knows it.",
        "Use the identity provider that was agreed for this API.",
        "Add the issuer to the resource's `issuers`, if its callers are welcome here.",
    ),
    R.CLIENT_NOT_ACCEPTED: Refusal(
        _NOT_LISTED,
        "The daemon is listed, but is not one of the resource's own `clients`.",
        "Ask the publisher for access to this API.",
        "Add the client id to the resource's `clients`, if this caller is welcome here.",
    ),
    R.ADDRESS_NOT_ALLOWED: Refusal(
        _NOT_LISTED,
        "The call came from an address outside the allowed ranges.",
        "Call from an agreed address.",
        "Change the resource's `addresses` if the partner has moved. An address that nobody knows lies in no range: "
        "let the door tell it.",
    ),
    R.ROLE_NOT_ASSIGNED: Refusal(
        C.INSUFFICIENT_SCOPE,
        "The daemon does not hold every role that was asked for (now, on this resource).",
        "Ask the publisher for the role that the answer's `scope` names.",
        "Assign the role to the daemon, or extend an assignment that has ended. With `token_roles` = `intersect` the "
        "role must stand in the token's `roles` too, granted in the partner's tenant.",
    ),
}

OTHER_REFUSALS: Final[dict[R, Refusal]] = {
    R.CERTIFICATE_REQUIRED: Refusal(
        _CERTIFICATE,
        "The resource takes client certificates only.",
        "Call with the agreed client certificate.",
        NOTHING_TO_DO,
        reserved=True,
    ),
    R.CERTIFICATE_HEADER_MISSING: Refusal(
        _CERTIFICATE,
        "The trusted proxy did not forward a client certificate.",
        "Call with the agreed client certificate.",
        "Let the proxy ask for the certificate and forward it.",
        reserved=True,
    ),
    R.CERTIFICATE_MALFORMED: Refusal(
        _CERTIFICATE,
        "The forwarded certificate cannot be read.",
        "Nothing to do: the proxy forwards it.",
        "Compare the proxy's encoding with the setting.",
        reserved=True,
    ),
    R.CERTIFICATE_UNTRUSTED: Refusal(
        _CERTIFICATE,
        "No chain leads from the certificate to a trusted root.",
        "Send the intermediate certificates too.",
        "Add the root, or pin the certificate.",
        reserved=True,
    ),
    R.CERTIFICATE_EXPIRED: Refusal(
        _CERTIFICATE,
        "The certificate is outside its validity dates.",
        "Renew the certificate, and compare your clock.",
        NOTHING_TO_DO,
        reserved=True,
    ),
    R.CERTIFICATE_REVOKED: Refusal(
        _CERTIFICATE,
        "The certificate has been revoked.",
        "Issue a new certificate and tell the publisher.",
        "List the new certificate; find out why the old one was revoked.",
        reserved=True,
    ),
    R.CERTIFICATE_NOT_LISTED: Refusal(
        _NOT_LISTED,
        "The certificate is sound, but belongs to no daemon.",
        "Send the publisher your certificate.",
        "Add the certificate to a daemon, if this caller is welcome.",
        reserved=True,
    ),
    R.SUBSCRIPTION_KEY_UNKNOWN: Refusal(
        C.INVALID_TOKEN,
        "The subscription key is not known.",
        "Send the key as it was shown when it was made.",
        "Make a new key if the old one is lost; it cannot be shown again.",
        reserved=True,
    ),
    R.SUBSCRIPTION_KEY_EXPIRED: Refusal(
        C.INVALID_TOKEN,
        "The subscription key has ended.",
        "Use the newer key.",
        "Make a new key if the partner is to go on.",
        reserved=True,
    ),
    R.KEY_SET_UNAVAILABLE: Refusal(
        C.CANNOT_JUDGE,
        "No keys of the issuer are at hand, and none can be fetched now.",
        _LATER,
        "Look at the issuer's health: its address must be reachable from here. Once fetched, keys serve on without "
        "the issuer.",
    ),
    R.KEY_SET_TOO_OLD: Refusal(
        C.CANNOT_JUDGE,
        "The issuer's keys are older than the hard limit.",
        _LATER,
        "The issuer could not be reached for longer than the hard age limit. Restore the way to it, or give its keys "
        "as a file.",
    ),
    R.POLICY_UNAVAILABLE: Refusal(
        C.CANNOT_JUDGE,
        "This gate has no policy, or the resource is not in it.",
        _LATER,
        "Look at the gate's policy source: nothing was loaded, a change could not be applied, or this gate's "
        "`resource` is not in the policy.",
    ),
    R.POLICY_TOO_OLD: Refusal(
        C.CANNOT_JUDGE,
        "The policy is older than the hard limit.",
        _LATER,
        "Restore the connection to the policy source: who was suspended meanwhile is not known at this gate.",
    ),
    R.OVERLOADED: Refusal(
        C.CANNOT_JUDGE,
        "Too many requests were waiting.",
        "Try again, with growing pauses.",
        "Add processes if it lasts: verification uses one core a process.",
    ),
}
