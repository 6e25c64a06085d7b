"""A hint: advice more exact than the table's, given where the facts of one judgement allow it.

Hints are rows, tried in order; the first that applies speaks. `partner` is read by whoever runs the daemon: it may
repeat the token's own claims and what the API tells anybody (its audience, the roles asked for), and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tenantgate.core.answers import NOTHING_TO_DO
from tenantgate.core.facts import Facts
from tenantgate.core.fields import IDENTITY_LENGTH
from tenantgate.core.policy import is_guid
from tenantgate.core.strict import shown

Words = Callable[[Facts], str]

MICROSOFT: Final = {
    "https://login.microsoftonline.com/": "https://login.microsoftonline.com",
    "https://sts.windows.net/": "https://login.microsoftonline.com",
    "https://login.microsoftonline.us/": "https://login.microsoftonline.us",
    "https://login.partner.microsoftonline.cn/": "https://login.partner.microsoftonline.cn",
    "https://sts.chinacloudapi.cn/": "https://login.partner.microsoftonline.cn",
}
"""What the `iss` of Microsoft's clouds begins with → the cloud's login address. US Government shares the v1 form."""


class Hint(NamedTuple):
    """One hint. `when` completes "when …" in `docs/denials.md`; it is empty where the hint only adds names."""

    when: str
    applies: Callable[[Facts], bool]
    partner: Words
    publisher: Words


def always(text: str) -> Words:
    """Return words that no fact changes."""
    return lambda facts: text


nothing: Final = always(NOTHING_TO_DO)


def cloud_of(iss: str) -> str | None:
    """Return the login address of the Microsoft cloud that an unverified `iss` names, or None."""
    for prefix, authority in MICROSOFT.items():
        if iss.startswith(prefix) and is_guid(iss[len(prefix) : len(prefix) + 36]):
            return authority
    return None


def audience_of(facts: Facts) -> str | None:
    """Return the audience to ask this API's tokens for: an App ID URI rather than a client id."""
    if facts.resource is None:
        return None
    audiences = facts.resource.audiences
    chosen = next((each for each in audiences if not is_guid(each)), audiences[0])
    return shown(chosen, IDENTITY_LENGTH)


def ask_for(facts: Facts) -> str:
    """Return the sentence that says which token to ask for instead."""
    audience = audience_of(facts)
    if audience is None:
        return "Ask for a token for this API."
    if facts.entra or cloud_of(facts.text("iss")) is not None:
        return f"Ask for the scope {audience}/.default."
    return f"Ask for a token whose `aud` is {audience}."
