"""What a judgement can be: granted to a principal, or denied for one reason.

`DenialReason` is exact and for the operator; `PublicCode` is what any caller learns. `core.refusals`
holds the one table that says how each reason is answered.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec


class PublicCode(StrEnum):
    """What a caller learns (`X-TG-Reason`). Public and stable: add members, never rename one."""

    NO_CREDENTIAL = "no_credential"
    INVALID_REQUEST = "invalid_request"
    INVALID_TOKEN = "invalid_token"
    CALLER_NOT_ALLOWED = "caller_not_allowed"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    CERTIFICATE_REQUIRED = "certificate_required"
    CANNOT_JUDGE = "cannot_judge"


class DenialReason(StrEnum):
    """Why a request was refused, exactly.

    Values are public (decision log, metrics, batch command, `docs/denials.md`): add members, never
    rename one. Each has one row in `core.refusals.REFUSALS`.
    """

    # The request carries no usable credential.
    NO_CREDENTIAL = "no_credential"
    CREDENTIAL_AMBIGUOUS = "credential_ambiguous"
    SCHEME_NOT_ALLOWED = "scheme_not_allowed"
    REQUEST_INVALID = "request_invalid"
    # The token's form is at fault (RFC 7515, RFC 8725).
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_TOO_LARGE = "token_too_large"
    TOKEN_ENCRYPTED = "token_encrypted"
    HEADER_NOT_ALLOWED = "header_not_allowed"
    TOKEN_TYPE_NOT_ALLOWED = "token_type_not_allowed"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    ID_TOKEN_PRESENTED = "id_token_presented"
    # Who signed it is not who it says, or nobody we trust.
    ISSUER_UNKNOWN = "issuer_unknown"
    TENANT_MISMATCH = "tenant_mismatch"
    KEY_ISSUER_MISMATCH = "key_issuer_mismatch"
    CONSUMER_TENANT = "consumer_tenant"
    VERSION_MISMATCH = "version_mismatch"
    SIGNING_KEY_UNKNOWN = "signing_key_unknown"
    SIGNING_KEY_DISTRUSTED = "signing_key_distrusted"
    SIGNATURE_INVALID = "signature_invalid"
    # A claim is missing, malformed or not for us.
    CLAIM_MISSING = "claim_missing"
    CLAIM_MALFORMED = "claim_malformed"
    AUDIENCE_MISMATCH = "audience_mismatch"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    TOKEN_ISSUED_IN_FUTURE = "token_issued_in_future"
    TOKEN_LIFETIME_TOO_LONG = "token_lifetime_too_long"
    TOKEN_VERSION_NOT_ACCEPTED = "token_version_not_accepted"
    REQUIRED_CLAIM_MISMATCH = "required_claim_mismatch"
    NOT_APP_ONLY = "not_app_only"
    SERVICE_PRINCIPAL_MISSING = "service_principal_missing"
    AGENT_IDENTITY_NOT_ALLOWED = "agent_identity_not_allowed"
    CONFIRMATION_UNSUPPORTED = "confirmation_unsupported"
    CONFIRMATION_MISMATCH = "confirmation_mismatch"
    # The caller is authentic and not on the list.
    TENANT_NOT_LISTED = "tenant_not_listed"
    TENANT_SUSPENDED = "tenant_suspended"
    PARTNER_NOT_ACTIVE = "partner_not_active"
    PARTNER_SUSPENDED = "partner_suspended"
    PARTNER_ENDED = "partner_ended"
    DAEMON_NOT_LISTED = "daemon_not_listed"
    DAEMON_SUSPENDED = "daemon_suspended"
    OBJECT_ID_MISMATCH = "object_id_mismatch"
    SUBJECT_NOT_PINNED = "subject_not_pinned"
    CREDENTIAL_TOO_WEAK = "credential_too_weak"
    ISSUER_NOT_ACCEPTED = "issuer_not_accepted"
    CLIENT_NOT_ACCEPTED = "client_not_accepted"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    ROLE_NOT_ASSIGNED = "role_not_assigned"
    # Client certificates.
    CERTIFICATE_REQUIRED = "certificate_required"
    CERTIFICATE_HEADER_MISSING = "certificate_header_missing"
    CERTIFICATE_MALFORMED = "certificate_malformed"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_NOT_LISTED = "certificate_not_listed"
    # Subscription keys.
    SUBSCRIPTION_KEY_UNKNOWN = "subscription_key_unknown"
    SUBSCRIPTION_KEY_EXPIRED = "subscription_key_expired"
    # We cannot judge; says nothing about the caller.
    KEY_SET_UNAVAILABLE = "key_set_unavailable"
    KEY_SET_TOO_OLD = "key_set_too_old"
    POLICY_UNAVAILABLE = "policy_unavailable"
    POLICY_TOO_OLD = "policy_too_old"
    OVERLOADED = "overloaded"


Strength = Literal["none", "secret", "certificate"]
Identity = Literal["application", "managed_identity", "federated", "agent"]
"""What kind of client it is, as far as its issuer says: `federated` proved itself by another issuer's token."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who came in. Every value stems from the policy or from a verified token.

    `oid` is the Entra object id, or the `sub` of another issuer; `strength` is how the client proved
    itself to its issuer, where the issuer says so; `identity` what kind of client it is. `would_deny` are the reasons
    for which rules that are reported only would have refused it.
    """

    partner: str
    tenant: str
    daemon: str
    client_id: str
    oid: str | None
    roles: tuple[str, ...]
    resource: str
    credential: str = "token"
    strength: Strength | None = None
    identity: Identity = "application"
    would_deny: tuple[DenialReason, ...] = ()


class Granted(msgspec.Struct, frozen=True):
    """A yes. `revision` is the policy revision it was judged by."""

    principal: Principal
    revision: int = 0
    id: str = ""


class Denied(msgspec.Struct, frozen=True, gc=False):
    """A no. `reason` is stable; `detail` is for operators and never holds the token or its signature.

    `wanted_roles` are the roles the resource asked for: public, since the API's own documentation names them.
    `advice` is for the caller, more exact than the table's (`core.advice`); empty where nobody explained.
    """

    reason: DenialReason
    detail: str = ""
    revision: int = 0
    id: str = ""
    resource: str = ""
    wanted_roles: tuple[str, ...] = ()
    show_reason: bool = False
    advice: str = ""


Decision = Granted | Denied
