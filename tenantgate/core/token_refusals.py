"""What each refusal of a token means, and what helps: its form, who signed it, what it says."""

from __future__ import annotations

from typing import Final

from tenantgate.core.answers import NOTHING_TO_DO, Refusal
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import PublicCode as C

_BAD: Final = C.INVALID_TOKEN

TOKEN_REFUSALS: Final[dict[R, Refusal]] = {
    R.TOKEN_MALFORMED: Refusal(
        _BAD,
        "The token is not a compact JWS with strict base64url and strict JSON.",
        "Send the token exactly as the identity provider returned it: three parts, nothing added, decoded or wrapped. "
        "A short, opaque token is one for the provider's own API: ask for this API's audience.",
        "Nothing to configure. Duplicate member names, padding, a byte-order mark or non-canonical base64url are "
        "refused on purpose: other readers would see another token.",
    ),
    R.TOKEN_TOO_LARGE: Refusal(
        _BAD,
        "The token, or a part of it, is larger than the limit.",
        "Ask the identity provider for fewer claims; groups are the usual cause.",
        "The limits are 16 KiB for a token and 4 KiB for its header. They are not settings: app roles do the job of "
        "groups here.",
    ),
    R.TOKEN_ENCRYPTED: Refusal(
        _BAD,
        "The token is encrypted (five parts); only signed tokens are accepted.",
        "Ask for a signed token.",
        "Switch token encryption for this API off at the identity provider, and rely on TLS.",
    ),
    R.HEADER_NOT_ALLOWED: Refusal(
        _BAD,
        "The token's header holds a member that is never followed (`jwk`, `jku`, `x5u`, `x5c`, `crit`, …).",
        "Ask for a plain access token for this API.",
        "If `jwk`, `jku`, `x5u` or `x5c` is named, somebody brought a key of their own: such a key is never followed. "
        "Look at where the call came from.",
    ),
    R.TOKEN_TYPE_NOT_ALLOWED: Refusal(
        _BAD,
        "The token's `typ` is not that of an access token of this issuer.",
        "Send the access token, not a logout, DPoP, refresh or security-event token.",
        "If this issuer's access tokens carry a `typ` of their own, add it to the issuer's `token_types`. The profile "
        "`rfc9068` takes `at+jwt` alone and no token without `typ`; `keycloak` wants `Bearer` in the payload.",
    ),
    R.ALGORITHM_NOT_ALLOWED: Refusal(
        _BAD,
        "The token's `alg` is not the one algorithm its signing key may be used with.",
        "Use the algorithm that was agreed for this issuer.",
        "If the issuer signs with PS256, say, and its keys carry no `alg`, name it in the issuer's `algorithms`. "
        "Symmetric algorithms and `none` cannot be allowed: a token that names one is a forgery more often than a "
        "mistake.",
    ),
    R.ID_TOKEN_PRESENTED: Refusal(
        _BAD,
        "This is an ID token (`nonce`, `at_hash`, `c_hash`), which tells a client who signed in.",
        "Send `access_token` of the same answer, not `id_token`.",
        NOTHING_TO_DO,
    ),
    R.ISSUER_UNKNOWN: Refusal(
        _BAD,
        "No issuer in the policy has this `iss`. No key was fetched for it.",
        "Compare the token's `iss` with what the publisher was told: another tenant, realm, cloud or environment is "
        "the usual cause.",
        "If this partner is to be let in, add the issuer, spelled exactly as in `iss`, the final slash included. No "
        "key is ever fetched for an issuer that is not in the policy.",
    ),
    R.TENANT_MISMATCH: Refusal(
        _BAD,
        "The token's `tid` and the tenant in its `iss` disagree.",
        "Ask for a fresh token from your own tenant's endpoint, never by way of `common`.",
        "Nothing to configure. No honest issuer mints this, so treat it as an attack and keep the decision's id.",
    ),
    R.KEY_ISSUER_MISMATCH: Refusal(
        _BAD,
        "The signing key belongs to another issuer than the token's `iss`, or does not say to which.",
        "Ask for a fresh token; if that does not help, tell the publisher.",
        "Nothing to configure, and no setting switches this off. If every partner is hit at once, look at the "
        "issuer's `metadata_url`: a key document without `issuer` members is not Entra's v2 document.",
    ),
    R.CONSUMER_TENANT: Refusal(
        _BAD,
        "The token is for a personal Microsoft account.",
        "Use an app registration in your organisation's tenant, and that tenant's own token endpoint (not `common` or "
        "`consumers`); personal Microsoft accounts are never let in.",
        NOTHING_TO_DO,
    ),
    R.VERSION_MISMATCH: Refusal(
        _BAD,
        "The token's `ver` does not agree with the form of its `iss`.",
        "Ask for a fresh token.",
        "Nothing to configure. No honest issuer mints this, so treat it as an attack.",
    ),
    R.SIGNING_KEY_UNKNOWN: Refusal(
        _BAD,
        "The issuer does not publish the key that the token's `kid` names.",
        "Ask for a fresh token. If your provider has just rotated its keys, try again in half a minute.",
        "Compare the `kid` in the detail with the issuer's key document, and look whether that key was dropped, and "
        "why (issuer's health).",
    ),
    R.SIGNING_KEY_DISTRUSTED: Refusal(
        _BAD,
        "An operator has distrusted the key that signed this token.",
        "Ask for a fresh token; one that another key signed will do.",
        "If the alarm was a false one: `tenantgate issuer trust-key`, or take it out of the policy file's "
        "`distrusted_keys`.",
    ),
    R.SIGNATURE_INVALID: Refusal(
        _BAD,
        "The signature does not hold: the token was changed, or signed by somebody else.",
        "Send the token byte for byte as it was issued: a line break, a missing character or a proxy that rewrites "
        "headers breaks it.",
        "If only one partner is hit, it is that client's handling. Many, from many addresses, are forgeries, and they "
        "are refused.",
    ),
    R.CLAIM_MISSING: Refusal(
        _BAD,
        "A claim that every access token of this issuer has is missing.",
        "Check that this is an access token for this API and not one for another.",
        "The detail names the claim. At other issuers than Entra choose the `profile` of that make, or name the claim "
        "in which the client's id stands: `client_id_claim`.",
    ),
    R.CLAIM_MALFORMED: Refusal(
        _BAD,
        "A claim has the wrong type or form.",
        "Ask your identity provider's administrator about the claim mapping.",
        "The detail names the claim. Nothing is converted or guessed: a number written as text, a list where one "
        "string belongs, a control character or a second `tid` are refused.",
    ),
    R.AUDIENCE_MISMATCH: Refusal(
        _BAD,
        "The token is for another audience.",
        "Ask for a token for this API: at Entra the scope is `<App ID URI of this API>/.default`.",
        "Compare the `aud` in the detail with the resource's `audiences`: Entra writes the client id in v2 tokens, "
        "the App ID URI in v1 tokens, and every difference counts.",
    ),
    R.TOKEN_EXPIRED: Refusal(
        _BAD,
        "The token has expired.",
        "Ask for a new token shortly before the old one ends, and do not keep one for ever. If tokens look fresh, "
        "compare your clock.",
        "If many partners are hit at once, compare this server's clock. The allowed difference is the resource's "
        "`clock_skew`.",
    ),
    R.TOKEN_NOT_YET_VALID: Refusal(
        _BAD,
        "The token's `nbf` lies in the future.",
        "Compare the clock of the machine that issues the token.",
        "Compare this server's clock; the allowed difference is the resource's `clock_skew`.",
    ),
    R.TOKEN_ISSUED_IN_FUTURE: Refusal(
        _BAD,
        "The token's `iat` lies in the future.",
        "Compare the clock of the machine that issues the token.",
        "Compare this server's clock; the allowed difference is the resource's `clock_skew`.",
    ),
    R.TOKEN_LIFETIME_TOO_LONG: Refusal(
        _BAD,
        "The token lives longer (`exp - iat`) than the resource allows.",
        "Ask for a shorter lifetime at your identity provider.",
        "Raise the resource's `max_lifetime` if you accept it. The default of a day fits Entra's tokens, managed "
        "identities included.",
    ),
    R.TOKEN_VERSION_NOT_ACCEPTED: Refusal(
        _BAD,
        "The token's version is not one that the resource accepts.",
        "Nothing to do but to tell the publisher: the registration of the API decides which version is issued.",
        "Set `requestedAccessTokenVersion` of the API's registration (`tenantgate resource setup-guide`), or the "
        "resource's `token_versions`.",
    ),
    R.REQUIRED_CLAIM_MISMATCH: Refusal(
        _BAD,
        "A claim the resource requires is absent or has another value.",
        "Ask the publisher which claim is required.",
        "Compare the token with the resource's `required_claims`.",
    ),
    R.NOT_APP_ONLY: Refusal(
        _BAD,
        "Nothing proves that no user stands behind this token.",
        "Use the client-credentials flow: no user may stand behind the token.",
        "Entra: switch on the optional claim `idtyp` in this API's registration (`tenantgate resource setup-guide`), "
        "or, knowingly, set the resource's `app_only` to `compatible`. Other issuers: pin the daemon's `subject`, "
        "where the profile lets that decide.",
    ),
    R.SERVICE_PRINCIPAL_MISSING: Refusal(
        _BAD,
        "The client has no service principal in its tenant (no `oid`, or `xms_idrel` says so).",
        "Create the service principal of the daemon's app in your tenant (an administrator's consent does it), then "
        "ask for a fresh token.",
        "Nothing to configure: without a service principal nobody in the partner's tenant controls this client.",
    ),
    R.AGENT_IDENTITY_NOT_ALLOWED: Refusal(
        _BAD,
        "The token belongs to an agent identity, which this resource does not take.",
        "Call with the daemon's own app registration.",
        "If agents are welcome at this resource, switch on its `agent_identities`.",
    ),
    R.CONFIRMATION_UNSUPPORTED: Refusal(
        _BAD,
        "The token is bound (`cnf`) in a way that is not enforced here, so it cannot be accepted.",
        "Ask for an unbound token.",
        "A `cnf` claim says that only the holder of a certificate or key may use the token. Taking the token without "
        "asking for that proof would break the promise, so it is refused.",
    ),
    R.CONFIRMATION_MISMATCH: Refusal(
        _BAD,
        "The token is bound to another certificate or key than the caller's.",
        "Call with the certificate or key that the token was issued for.",
        "Nothing to do, unless a proxy of yours calls with a certificate of its own.",
        reserved=True,
    ),
}
