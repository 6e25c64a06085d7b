"""How each public code is answered, and the form of a row in the table of refusals (`core.refusals`)."""

from __future__ import annotations

from typing import Final, NamedTuple

from tenantgate.core.decision import PublicCode as C


class Answered(NamedTuple):
    """How a public code is answered. `oauth_error` is the challenge's `error` (RFC 6750 §3.1), if any."""

    status: int
    oauth_error: str | None
    challenge: bool
    text: str


class Refusal(NamedTuple):
    """One row: the public code, what the reason means, what the partner does about it, what the publisher does.

    `meaning` and `publisher` are for operators. `partner` may be read by whoever runs the daemon: it tells
    nothing of the policy. A `reserved` reason belongs to a check that is not built yet: nothing gives it.
    """

    code: C
    meaning: str
    partner: str
    publisher: str
    reserved: bool = False


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

NOTHING_TO_DO: Final = "Nothing to do."
ASK_THE_PUBLISHER: Final = "Ask the publisher of this API, and give the decision's id."
