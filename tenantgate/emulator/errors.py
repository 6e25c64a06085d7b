"""What the emulator refuses, and the words it uses.

EmulatorError
├── ConfigInvalid     a configuration file or a control request that cannot be used
├── NameUnknown       a tenant, daemon, resource or key that nobody added
├── NameTaken         a tenant, daemon or resource that was added before
├── BodyTooLarge      a request body longer than any honest one
└── RequestRefused    an answer of the Entra-shaped surface: an OAuth error with an AADSTS number

The numbers are the ones Entra uses for the same mistake; the sentences are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final


class EmulatorError(Exception):
    """Base of everything this room raises. `code` is stable, `str()` is for people."""

    code: ClassVar[str] = "emulator_error"


class ConfigInvalid(EmulatorError):
    """A value somebody configured cannot be used; the text says which and why."""

    code = "config_invalid"


class NameUnknown(EmulatorError):
    """A tenant, daemon, resource or key was named that nobody added."""

    code = "name_unknown"


class NameTaken(EmulatorError):
    """A tenant, daemon or resource was added twice."""

    code = "name_taken"


class BodyTooLarge(EmulatorError):
    """A request body is longer than any honest one; it was not read to its end."""

    code = "body_too_large"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of the table below: how the Entra-shaped surface refuses one kind of request.

    `error` is the OAuth code of RFC 6749 §5.2 or Entra's own, `text` a format string.
    """

    number: int
    status: int
    error: str
    text: str


class RequestRefused(EmulatorError):
    """The Entra-shaped surface refuses a request; the HTTP layer renders it as Entra does."""

    code = "request_refused"

    def __init__(self, refusal: Refusal, **values: str) -> None:
        """Keep the row, and fill its text with `values` (untrusted; they only ever end in a JSON string)."""
        self.refusal = refusal
        self.text = refusal.text.format(**values)
        super().__init__(f"AADSTS{refusal.number}: {self.text}")


TENANT_NOT_FOUND: Final = Refusal(
    90002, 400, "invalid_tenant", "Tenant '{tenant}' not found. The emulator knows only the tenants it was given."
)
TENANT_MALFORMED: Final = Refusal(
    900023, 400, "invalid_request", "The tenant identifier '{tenant}' is not a GUID the emulator could know."
)
TENANT_NOT_NAMED: Final = Refusal(
    50059, 400, "invalid_request", "A daemon asks at its own tenant: '{tenant}' does not say which tenant that is."
)
BODY_UNREADABLE: Final = Refusal(
    90013, 400, "invalid_request", "The request body is not an application/x-www-form-urlencoded form: {why}."
)
PARAMETER_MISSING: Final = Refusal(
    900144, 400, "invalid_request", "The request body must contain the parameter '{parameter}'."
)
PARAMETER_REPEATED: Final = Refusal(
    9000411, 400, "invalid_request", "The parameter '{parameter}' stands more than once in the request."
)
GRANT_NOT_SUPPORTED: Final = Refusal(
    70003, 400, "unsupported_grant_type", "The grant type '{grant}' is not supported; daemons use client_credentials."
)
CLIENT_NOT_FOUND: Final = Refusal(
    700016, 400, "unauthorized_client", "The application '{client_id}' was not found in the tenant '{tenant}'."
)
CREDENTIAL_MISSING: Final = Refusal(
    7000218, 401, "invalid_client", "The request must contain either 'client_assertion' or 'client_secret'."
)
CREDENTIALS_AMBIGUOUS: Final = Refusal(
    50012, 401, "invalid_client", "The request authenticates the client in more than one way."
)
SECRET_WRONG: Final = Refusal(
    7000215, 401, "invalid_client", "The client secret of the application '{client_id}' is wrong."
)
ASSERTION_UNTRUSTED: Final = Refusal(
    700027, 401, "invalid_client", "The client assertion does not verify with the application's registered key."
)
ASSERTION_NOT_THIS_CLIENT: Final = Refusal(
    700021, 401, "invalid_client", "The client assertion's 'iss' and 'sub' must both be the client_id."
)
ASSERTION_NOT_FOR_US: Final = Refusal(
    700023, 401, "invalid_client", "The client assertion's 'aud' is not this tenant's token endpoint."
)
ASSERTION_OUT_OF_TIME: Final = Refusal(
    700024, 401, "invalid_client", "The client assertion is not within its valid time range."
)
SCOPE_INVALID: Final = Refusal(
    70011, 400, "invalid_scope", "The scope '{scope}' is not valid: a daemon asks for one App ID URI and '/.default'."
)
RESOURCE_NOT_FOUND: Final = Refusal(
    500011, 400, "invalid_resource", "The resource principal '{resource}' was not found in the tenant '{tenant}'."
)
