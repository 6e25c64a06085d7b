"""Every way in which the registry says no.

    RegistryError
    ├── InvalidError      a value given is at fault; `field` names it
    ├── NotFoundError     there is no such thing
    ├── ConflictError     something else already holds it; `holder` is its id
    ├── TransitionError   not possible in the state it is in
    ├── PreconditionError it is not in the version that was expected
    ├── CredentialError   an admin key, sign-in code or session that does not let in
    ├── DatabaseError     the database cannot do it now
    ├── MasterKeyError    the product's own keys cannot be read or made
    └── SchemaError       the database is not one this version can work with

`code` is stable; `CODES` lists them all with their meaning. Messages are for operators and may quote
what the operator typed, never a secret.
"""

from __future__ import annotations

from typing import Final

from tenantgate.core.policy import PolicyError


class RegistryError(Exception):
    """Base of the room. `field` names the member at fault, `holder` the id of what is in the way; else empty."""

    faults: tuple[RegistryError, ...] = ()
    """Where several things were asked for at once: what is wrong with each, by its `field`."""

    def __init__(self, code: str, message: str, *, field: str = "", holder: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.holder = holder


class InvalidError(RegistryError):
    """A value given is at fault."""


class NotFoundError(RegistryError):
    """There is no such thing."""


class ConflictError(RegistryError):
    """Something else already holds it."""


class TransitionError(RegistryError):
    """Not possible in the state it is in."""


class PreconditionError(RegistryError):
    """It is not in the version that was expected."""


class CredentialError(RegistryError):
    """An admin key, sign-in code or session that does not let in. A caller outside learns no more than that."""


class DatabaseError(RegistryError):
    """The database cannot do it now; nothing was changed."""


class MasterKeyError(RegistryError):
    """The product's own keys cannot be read or made. No message shows any of a key."""


class SchemaError(RegistryError):
    """The database is not one this version can work with."""


ROW_CODES: Final[dict[str, str]] = {
    "id_malformed": "An id is a slug: 1 to 63 of a-z 0-9 . _ -, beginning with a letter or digit.",
    "text_empty": "A text that must say something is empty.",
    "text_too_long": "A text is longer than its limit.",
    "text_not_allowed": "A text holds a control character or one that nobody sees, or white space where none may be.",
    "text_not_normalised": "A text is not in Unicode normalisation form C.",
    "value_unknown": "A value is not one of the named ones.",
    "number_out_of_range": "A number is outside its limits.",
    "list_empty": "A list that must hold something is empty.",
    "list_too_long": "A list holds too much.",
    "list_duplicate": "A list holds something twice.",
    "guid_malformed": "Not a GUID.",
    "role_value_malformed": "A role value holds a space, comma, quote or backslash, or is too long.",
    "window_empty": "An assignment ends before it begins.",
    "pointer_malformed": "Neither a claim's name nor a JSON Pointer to one (RFC 6901).",
    "separator_malformed": "A separator is 1 to 4 characters.",
    "network_malformed": "Not an address or a network in CIDR form.",
    "header_malformed": "Not a header that can carry a token.",
    "query_malformed": "Not a query parameter that can carry a token.",
    "scheme_malformed": "Not an authentication scheme.",
    "url_malformed": "Not an absolute address, or one with user, fragment or query.",
    "url_not_https": "An address does not begin with https://.",
    "url_not_loopback": "Plain http to another machine.",
    "template_malformed": "An issuer template does not hold {tenantid} exactly once, in its path.",
    "host_malformed": "Not a host name.",
    "algorithm_not_allowed": "Not a public-key signature algorithm.",
    "token_type_malformed": "Not a value a token's typ can have.",
    "jwks_malformed": "Not a key set.",
    "ca_bundle_malformed": "Not certificates in PEM, or a private key among them.",
    "proxy_malformed": "Not the address of a proxy, or one with a password.",
    "claim_not_allowed": "A claim that people can change, or that means something else.",
    "client_id_malformed": "No token of the issuer's profile could carry this client id.",
    "member_missing": "A member is needed, given the others.",
    "member_not_allowed": "A member does not go with the others.",
    "authority_not_allowed": "A cloud that is closed, or not for tokens of partners.",
    "consumer_tenant": "The tenant of personal Microsoft accounts is nobody's partner.",
    "tenant_wide_not_allowed": "A tenant-wide role where the resource does not allow it or the tenant is hosted.",
    "reference_unknown": "Something named is not there.",
    "time_in_past": "An end that has already passed.",
    "idempotency_key_reused": "The Idempotency-Key was used for another request.",
    "timestamp_malformed": "Neither an RFC 3339 timestamp in whole seconds with an offset nor a day.",
    "csv_too_large": "The file is larger, or has more lines, than may be imported at once.",
    "csv_malformed": "The file is not CSV in UTF-8, or a line has not as many cells as the header.",
    "csv_header_unknown": "The header lacks a column, or has one twice or one that nobody knows.",
    "bulk_refused": "Not possible for all of them; `errors` names each at fault, and nothing was done.",
    "role_too_high": "An admin key can have no higher role than its operator.",
    "scope_unknown": "There is no such part of the API that a key could be for.",
    "certificate_too_large": "A certificate is larger than its limit.",
    "certificate_private_key": "A private key came with a certificate; it is to be thought of as lost.",
    "certificate_malformed": "Not one certificate in PEM.",
    "certificate_chain": "More than one certificate: the daemon's own alone is wanted.",
    "certificate_weak": "The key or the signature of a certificate is weak, or of an unknown kind.",
    "certificate_expired": "A certificate has expired.",
    "cursor_malformed": "Not a cursor of this list.",
    "oids_differ": "Callers with different object ids asked.",
}
"""InvalidError: the codes of `core.rules` that one row can raise, and the registry's own."""

CONFLICT_CODES: Final[dict[str, str]] = {
    "id_duplicate": "The id is taken.",
    "issuer_duplicate": "Another issuer covers the same iss.",
    "tenant_duplicate": "The tenant is already listed at this issuer.",
    "v1_issuer_shared": "The tid is active in another cloud that shares the v1 issuer.",
    "client_id_duplicate": "The client id is already listed in this tenant.",
    "role_value_duplicate": "The resource already defines a role with this value.",
    "audience_overlap": "Another resource accepts this audience, or it is that of administrators' tokens.",
    "assignment_overlap": "The role is already assigned for some of that time.",
    "role_mapping_duplicate": "This value of this claim already gives the role.",
    "pin_differs": "The daemon is pinned to another identity.",
    "import_running": "Another import is under way.",
    "tenant_wide_in_use": "Roles of the resource are still given to whole tenants.",
    "grant_pending": "The same is waiting for an approval already.",
    "certificate_duplicate": "A daemon has this certificate, or had it.",
    "subscription_keys_too_many": "The daemon has as many subscription keys as it may.",
    "tenant_in_use": "A daemon, a role assignment or something else names the tenant.",
    "daemon_in_use": "A role assignment, a certificate or something else names the daemon.",
    "resource_in_use": "An app role or something else names the resource.",
    "app_role_in_use": "A role assignment, a role mapping or something else names the app role.",
    "identity_linked": "The identity is already an operator's.",
    "issuer_in_use": "A tenant, a role mapping, a resource or an invitation names the issuer.",
    "epoch_changed": "The database is of another epoch than the one looked at.",
    "secret_not_repeated": "It was made before, and its secret is shown once alone.",
    "conflict": "Another change made at the same moment is in the way.",
}
"""ConflictError."""

NOT_FOUND_CODES: Final[dict[str, str]] = {
    f"{kind}_not_found": f"There is no {kind.replace('_', ' ')} with this id."
    for kind in (
        "issuer",
        "partner",
        "tenant",
        "daemon",
        "resource",
        "app_role",
        "role_assignment",
        "role_mapping",
        "operator",
        "admin_key",
        "operator_identity",
        "session",
        "sign_in_link",
        "instance",
        "client_certificate",
        "subscription_key",
        "product_key",
        "decision",
        "access_request",
        "import_job",
        "pending_grant",
        "invitation",
    )
} | {"key_not_found": "No such key of this issuer is distrusted."}
"""NotFoundError."""

TRANSITION_CODES: Final[dict[str, str]] = {
    "state_unchanged": "It is already in the state asked for.",
    "partner_archived": "An archived partner comes back by being onboarded anew, and gets nothing new.",
    "already_revoked": "It was revoked before.",
    "already_expired": "It has reached its end.",
    "already_decided": "The access request was decided before.",
    "caller_changed": "The access request stands for another caller than the one named.",
    "invitation_decided": "The invitation was approved, rejected or revoked before.",
    "invitation_open": "Nobody has redeemed the invitation yet.",
    "approval_needed": "The role is sensitive: to give it takes a second operator's approval.",
    "role_sensitive": "A sensitive role is given by approved assignments, never by a claim.",
    "second_operator_needed": "Who asked for it cannot approve it, by whatever credential.",
    "operator_self_made": "Who became an operator by coming is neither of the two that a sensitive role takes.",
    "request_decided": "It was approved, rejected or withdrawn before.",
    "request_expired": "It waited too long for an approval; ask again.",
    "request_outdated": "What was asked for is not what it was then; ask again.",
    "requester_not_allowed": "Who asked for it may grant no roles any more.",
    "subject_not_active": "The daemon, its tenant or its partner is not active.",
    "not_requester": "Only who asked for it withdraws it; others reject it.",
}
"""TransitionError."""

PRECONDITION_CODES: Final[dict[str, str]] = {
    "version_changed": "It has been changed since the version that was expected.",
}
"""PreconditionError."""

CREDENTIAL_CODES: Final[dict[str, str]] = {
    "key_malformed": "Not an admin key's form.",
    "key_unknown": "No admin key like this.",
    "key_expired": "The admin key has expired.",
    "key_revoked": "The admin key was revoked.",
    "key_limited": "The admin key may do less than its operator; the page is not for it.",
    "link_unknown": "No sign-in link like this.",
    "link_used": "The sign-in link was used before.",
    "link_expired": "The sign-in link has expired.",
    "session_unknown": "No session like this.",
    "session_expired": "The session has reached its end.",
    "session_idle": "The session was not used for too long.",
    "session_revoked": "The session was ended.",
    "operator_suspended": "The operator is suspended.",
    "invitation_unknown": "No invitation like this.",
    "invitation_expired": "The invitation has expired.",
    "invitation_revoked": "The invitation was revoked.",
    "invitation_redeemed": "The invitation was redeemed before.",
    "invitation_closed": "The invitation's partner is suspended or archived, or its issuer is gone.",
    "token_ended": "The token has expired meanwhile.",
    "audience_shared": "A resource accepts the audience of administrators' tokens.",
}
"""CredentialError."""

DATABASE_CODES: Final[dict[str, str]] = {
    "database_url_unsupported": "Not a database this version can open.",
    "database_folder_missing": "The folder of the database file is not there.",
    "database_missing": "The database is not there.",
    "database_driver_missing": "What speaks to this database is not installed.",
    "database_server_old": "The database server is older than PostgreSQL 15.",
    "database_not_a_file": "The path of the database is not a file.",
    "database_unwritable": "The database file or its folder may not be written.",
    "database_not_sqlite": "The file is something else than an SQLite database.",
    "database_replaced": "The database file was replaced while it was in use: stop everything, then start again.",
    "database_corrupt": "The database file is damaged.",
    "database_busy": "The database is busy; try again.",
    "database_full": "There is no room left on the disk.",
    "database_unavailable": "The database cannot be used.",
    "row_malformed": "A row in the database makes no sense; another program wrote there.",
}
"""DatabaseError."""

MASTER_KEY_CODES: Final[dict[str, str]] = {
    "master_key_missing": "The database needs a master key, and nobody gave one.",
    "master_key_malformed": "Not a master key: 32 random bytes, base64url.",
    "master_key_unsafe": "The file of the master key is not this user's alone.",
    "master_key_unreadable": "The file of the master key cannot be read.",
    "master_key_unwritable": "The file of the master key cannot be written.",
    "master_key_wrong": "The keys in the database were sealed under another master key.",
    "product_key_damaged": "A key in the database is damaged.",
}
"""MasterKeyError."""

SCHEMA_CODES: Final[dict[str, str]] = {
    "schema_missing": "The database holds no registry yet: migrate it.",
    "schema_old": "The database is older than this version: migrate it.",
    "schema_unknown": "The database is newer than this version and not for it, or not a registry.",
    "revision_missing": "The database lost its revision counter.",
    "migrations_missing": "The migrations were not installed with the package.",
}
"""SchemaError."""

CODES: Final[dict[str, str]] = {
    **ROW_CODES,
    **CONFLICT_CODES,
    **NOT_FOUND_CODES,
    **TRANSITION_CODES,
    **PRECONDITION_CODES,
    **CREDENTIAL_CODES,
    **DATABASE_CODES,
    **MASTER_KEY_CODES,
    **SCHEMA_CODES,
}
"""Every code with its meaning; the documented problem types are made from it."""


def from_policy_error(error: PolicyError, holder: str = "") -> RegistryError:
    """Return what the registry raises where a rule of core refused a row."""
    kind = ConflictError if error.code in CONFLICT_CODES else InvalidError
    return kind(error.code, error.message, field=error.path, holder=holder)
