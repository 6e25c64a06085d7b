"""Hints about what an authentic token says: when it counts, and who stands behind it."""

from __future__ import annotations

from typing import Final

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.facts import Facts
from tenantgate.core.hints import Hint, always, nothing
from tenantgate.core.hints_audience import AUDIENCE_HINTS
from tenantgate.core.strict import shown
from tenantgate.core.wording import instant, lasting, listed, quoted

SHORT: Final = 600
"""Seconds up to which clocks, rather than a kept token, are the likely cause."""
_DAY: Final = 86_400
_CONTINUOUS: Final = 28 * 3_600
"""The longest life of an Entra token under continuous access evaluation, in seconds."""
_SOURCE_MARKS: Final = ("act", "may_act", "actortoken")
_USER_MARKS: Final = (
    "scp", "upn", "unique_name", "preferred_username", "puid", "name", "amr", "auth_time", "sid", "session_state",
    "email", "given_name", "family_name",
)  # fmt: skip


def _late(facts: Facts) -> float:
    return 0.0 if facts.claims is None else facts.now - facts.claims.expires_at


def _early(facts: Facts) -> float:
    """Return in how many seconds the token begins, by whichever of `nbf` and `iat` is the later."""
    if facts.claims is None:
        return 0.0
    return max(facts.claims.issued_at, facts.claims.not_before) - facts.now


def _life(facts: Facts) -> float:
    return 0.0 if facts.claims is None else facts.claims.expires_at - facts.claims.issued_at


def _most(facts: Facts) -> float:
    return 0.0 if facts.resource is None else facts.resource.max_lifetime


def _ended(facts: Facts) -> str:
    at = 0.0 if facts.claims is None else facts.claims.expires_at
    return f"The token ended {lasting(_late(facts))} ago, at {instant(at)}"


def _marks(facts: Facts) -> list[str]:
    """Return the claims that only a user's token has."""
    return [mark for mark in _USER_MARKS if mark in facts.payload and not (mark == "scp" and _agents_scope(facts))]


def _agents_scope(facts: Facts) -> bool:
    return facts.text("scp") in ("", "/") and type(facts.payload.get("scp")) is str


def _users(facts: Facts) -> bool:
    return bool(_marks(facts)) or facts.text("idtyp") == "user"


def _why_users(facts: Facts) -> str:
    marks = _marks(facts)
    return f"it has {listed(marks)}" if marks else "its `idtyp` is user"


def _tid(facts: Facts) -> str:
    return "" if facts.match is None else facts.match.tid_text.lower()


def _consent(facts: Facts) -> str:
    """Return how an administrator of the partner's tenant creates the service principal of the daemon's app."""
    if facts.match is None or not facts.client_id:
        return "an administrator of your tenant consents to the daemon's app, or runs `az ad sp create`"
    authority = shown(facts.match.entry.row.authority, 256)
    return (
        f"an administrator of tenant {_tid(facts)} runs `az ad sp create --id {quoted(facts.client_id)}`, or opens "
        f"{authority}/{_tid(facts)}/adminconsent?client_id={quoted(facts.client_id)}"
    )


TIME_HINTS: Final[dict[R, tuple[Hint, ...]]] = {
    R.TOKEN_EXPIRED: (
        Hint(
            "it ended less than ten minutes ago",
            lambda f: 0 <= _late(f) < SHORT,
            lambda f: (
                f"{_ended(f)}. Ask for a new one before the old one ends; if your tokens look fresh, your clock is "
                "slow."
            ),
            lambda f: (
                f"{_ended(f)}. The daemon kept it too long, or a clock is wrong: compare this server's, above all if "
                "many partners are hit."
            ),
        ),
        Hint(
            "it ended longer ago",
            lambda f: _late(f) >= SHORT,
            lambda f: f"{_ended(f)}. Ask for a new one shortly before the old one ends, and do not keep one for ever.",
            lambda f: f"{_ended(f)}: the daemon does not ask for new ones.",
        ),
    ),
    R.TOKEN_NOT_YET_VALID: (
        Hint(
            "it begins within ten minutes",
            lambda f: 0 < _early(f) < SHORT,
            lambda f: f"The token begins in {lasting(_early(f))}: the clock of the machine that issues it is fast.",
            lambda f: (
                f"The token begins in {lasting(_early(f))}. Compare this server's clock first; the allowed difference "
                "is the resource's `clock_skew`."
            ),
        ),
    ),
    R.TOKEN_ISSUED_IN_FUTURE: (
        Hint(
            "it was issued up to ten minutes from now",
            lambda f: 0 < _early(f) < SHORT,
            lambda f: (
                f"The token says it will be issued in {lasting(_early(f))}: the clock of the machine that issues it is "
                "fast."
            ),
            lambda f: (
                f"The token says it will be issued in {lasting(_early(f))}. Compare this server's clock first; the "
                "allowed difference is the resource's `clock_skew`."
            ),
        ),
    ),
    R.TOKEN_LIFETIME_TOO_LONG: (
        Hint(
            "it lives about a day, as those of managed identities do",
            lambda f: _most(f) < _DAY and _DAY - SHORT <= _life(f) <= _DAY + SHORT,
            lambda f: (
                f"The token lives {lasting(_life(f))}, as those of managed identities do; this API accepts "
                f"{lasting(_most(f))}. Call as an app registration, with the managed identity as its federated "
                "credential."
            ),
            lambda f: (
                f"The token lives {lasting(_life(f))}, as those of managed identities do. If you accept that, set "
                f"`max_lifetime` of resource {f.asked} to {_DAY}."
            ),
        ),
        Hint(
            "it is an Entra token of continuous access evaluation",
            lambda f: f.entra and _DAY < _life(f) <= _CONTINUOUS + SHORT,
            lambda f: (
                f"The token lives {lasting(_life(f))}; this API accepts {lasting(_most(f))}. Do not declare the client "
                "capability `cp1`, or ask the publisher."
            ),
            lambda f: (
                f"The token lives {lasting(_life(f))}: with continuous access evaluation Entra gives up to "
                f"{lasting(_CONTINUOUS)}. If you accept that, set `max_lifetime` of resource {f.asked} to "
                f"{_CONTINUOUS}."
            ),
        ),
        Hint(
            "it lives longer",
            lambda f: f.claims is not None,
            lambda f: (
                f"The token lives {lasting(_life(f))}; this API accepts {lasting(_most(f))}. Ask for a shorter "
                "lifetime at your identity provider."
            ),
            lambda f: (
                f"The token lives {lasting(_life(f))}; {lasting(_most(f))} are allowed. Raise `max_lifetime` of "
                f"resource {f.asked} if you accept it."
            ),
        ),
    ),
}

WHO_HINTS: Final[dict[R, tuple[Hint, ...]]] = {
    R.TOKEN_VERSION_NOT_ACCEPTED: (
        Hint(
            "it is a v1 token and version 2 is accepted",
            lambda f: f.resource is not None and f.text("ver") == "1.0" and "2.0" in f.resource.token_versions,
            always(
                "Nothing to do but to tell the publisher: the API's registration has version 1 tokens issued, and this "
                "API accepts version 2. Then ask for a fresh token."
            ),
            lambda f: (
                "The API's registration has version 1 tokens issued: set its `requestedAccessTokenVersion` to 2 "
                f"(`tenantgate resource setup-guide --id {quoted(f.asked)}`), or add 1.0 to `token_versions`."
            ),
        ),
    ),
    R.NOT_APP_ONLY: (
        Hint(
            "somebody acts for somebody else in it",
            lambda f: f.has(*_SOURCE_MARKS),
            always("This token was exchanged: somebody acts for somebody else. Use client credentials of the daemon."),
            always("Nothing to configure: a token in which somebody acts for somebody else is not a daemon's own."),
        ),
        Hint(
            "it is a user's token",
            _users,
            lambda f: (
                f"This token stands for a user ({_why_users(f)}). Use client credentials: no user signs in for a "
                "daemon."
            ),
            lambda f: f"Nothing to configure: the token stands for a user ({_why_users(f)}).",
        ),
        Hint(
            "all of it looks like an app's but `idtyp`, which the API's registration does not ask for",
            lambda f: f.entra and "idtyp" not in f.payload,
            always(
                "Nothing to do: the optional claim `idtyp` is not switched on for this API. Tell the publisher; then "
                "ask for a fresh token."
            ),
            lambda f: (
                "The optional claim `idtyp` is not switched on for this API: `tenantgate resource setup-guide "
                f"--id {quoted(f.asked)}` shows how. Tokens asked for after that have it."
            ),
        ),
        Hint(
            "its `sub` is not the client",
            lambda f: f.claims is not None and not f.entra and f.claims.caller.app_only.vouched is None,
            lambda f: (
                "Use the client-credentials flow. If you do, tell the publisher that your tokens' `sub` is "
                f"{shown(f.payload.get('sub'))}."
            ),
            lambda f: (
                f"The token's `sub`, {shown(f.payload.get('sub'))}, is not the client. If the partner confirms that it "
                "is the daemon's own, set the daemon's `subject` to it."
            ),
        ),
    ),
    R.SERVICE_PRINCIPAL_MISSING: (
        Hint(
            "the tenant and the client are known",
            lambda f: f.entra,
            lambda f: (
                f"The daemon's app has no service principal in your tenant: {_consent(f)}. Then ask for a fresh token."
            ),
            lambda f: (
                "Nothing to configure: without a service principal nobody in the partner's tenant controls this "
                f"client. It is made where {_consent(f)}."
            ),
        ),
    ),
    R.CONFIRMATION_UNSUPPORTED: (
        Hint(
            "it is bound to a client certificate",
            lambda f: _bound_by(f, "x5t#S256"),
            always(
                "The token is bound to a client certificate (`cnf`), which this API does not ask for. Switch "
                "certificate-bound tokens off for this client at your identity provider."
            ),
            always("Nothing to configure: certificate-bound tokens (RFC 8705) are not enforced here, so not taken."),
        ),
        Hint(
            "it is bound to a DPoP key",
            lambda f: _bound_by(f, "jkt"),
            always(
                "The token is bound to a DPoP key (`cnf`), which this API does not ask for. Switch DPoP off for this "
                "client at your identity provider."
            ),
            always("Nothing to configure: DPoP (RFC 9449) is not enforced here, so its tokens are not taken."),
        ),
    ),
    R.ID_TOKEN_PRESENTED: (
        Hint(
            "it says so itself (`token_use`)",
            lambda f: "token_use" in f.payload,
            lambda f: f"This token's `token_use` is {shown(f.payload.get('token_use'))}. Send the access token.",
            nothing,
        ),
    ),
}


def _bound_by(facts: Facts, member: str) -> bool:
    cnf = facts.payload.get("cnf")
    return type(cnf) is dict and member in cnf


CLAIM_HINTS: Final[dict[R, tuple[Hint, ...]]] = {R.AUDIENCE_MISMATCH: AUDIENCE_HINTS, **TIME_HINTS, **WHO_HINTS}
