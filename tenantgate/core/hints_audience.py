"""Hints about whom a token is for: the commonest mistake of a partner's first call."""

from __future__ import annotations

from typing import Final

from tenantgate.core.facts import Facts
from tenantgate.core.hints import Hint, always, ask_for
from tenantgate.core.policy import is_guid
from tenantgate.core.wording import listed

_GRAPH: Final = frozenset(("00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com"))
_MICROSOFT_APIS: Final = {
    "https://management.azure.com": "Azure Resource Manager",
    "https://management.core.windows.net": "Azure Resource Manager",
    "https://graph.windows.net": "Azure AD Graph",
    "00000002-0000-0000-c000-000000000000": "Azure AD Graph",
    "https://vault.azure.net": "Azure Key Vault",
    "https://storage.azure.com": "Azure Storage",
}
_EXCHANGE: Final = "api://azureadtokenexchange"


def audiences(facts: Facts) -> tuple[str, ...]:
    """Return what the token says it is for."""
    return () if facts.claims is None else facts.claims.caller.audiences


def _plain(facts: Facts) -> set[str]:
    return {each.rstrip("/").lower() for each in audiences(facts)}


def _accepted(facts: Facts) -> tuple[str, ...]:
    return () if facts.resource is None else facts.resource.audiences


def _microsoft_api(facts: Facts) -> str | None:
    return next((_MICROSOFT_APIS[each] for each in sorted(_plain(facts)) if each in _MICROSOFT_APIS), None)


def _nearly(facts: Facts) -> str | None:
    """Return the accepted audience that differs from the token's in a final slash or in case alone."""
    plain = _plain(facts)
    return next((each for each in _accepted(facts) if each.rstrip("/").lower() in plain), None)


def _other_resource(facts: Facts) -> str | None:
    entries = tuple(facts.index.resources.values())
    return next((each.row.id for each in entries if not each.audiences.isdisjoint(audiences(facts))), None)


def _for_itself(facts: Facts) -> bool:
    """Whether the client asked for a token for itself: its own id, or the App ID URI that Entra makes of it."""
    own = facts.client_id.lower()
    return bool(own) and not _plain(facts).isdisjoint((own, f"api://{own}"))


def _guid_unlisted(facts: Facts) -> bool:
    v2 = facts.match is not None and facts.entra and facts.match.document == "v2"
    return v2 and not any(map(is_guid, _accepted(facts)))


def _uri_unlisted(facts: Facts) -> bool:
    v1 = facts.match is not None and facts.entra and facts.match.document == "v1"
    return v1 and all(map(is_guid, _accepted(facts)))


def _said(facts: Facts) -> str:
    return listed(audiences(facts))


def _name(facts: Facts) -> str:
    return f"resource {facts.asked}"


AUDIENCE_HINTS: Final[tuple[Hint, ...]] = (
    Hint(
        "it is for Microsoft Graph",
        lambda f: not _GRAPH.isdisjoint(_plain(f)),
        lambda f: f"This token is for Microsoft Graph. {ask_for(f)}",
        always("Nothing to configure: the daemon asked for Microsoft Graph's scope instead of this API's."),
    ),
    Hint(
        "it is for another API of Microsoft",
        lambda f: _microsoft_api(f) is not None,
        lambda f: f"This token is for {_microsoft_api(f)}. {ask_for(f)}",
        lambda f: f"Nothing to configure: the daemon asked for the scope of {_microsoft_api(f)}.",
    ),
    Hint(
        "it is one to be exchanged for another (`api://AzureADTokenExchange`)",
        lambda f: any(each.startswith(_EXCHANGE) for each in _plain(f)),
        lambda f: (
            "This token proves a workload to Entra and is to be exchanged there: use it as `client_assertion` at your "
            f"tenant's token endpoint. {ask_for(f)}"
        ),
        always("Nothing to configure: the daemon sent its federated credential instead of its access token."),
    ),
    Hint(
        "an accepted audience differs from it in a final slash or in case alone",
        lambda f: _nearly(f) is not None,
        lambda f: f"The token's `aud` is {_said(f)}, which differs in a final slash or in case alone. {ask_for(f)}",
        lambda f: (
            f"The token's `aud` is {_said(f)}; {_name(f)} accepts {listed([_nearly(f) or ''])}. A v1 token repeats "
            "what the daemon asked for: let it ask exactly so, or add that spelling to `audiences`."
        ),
    ),
    Hint(
        "it is for another resource of the policy",
        lambda f: _other_resource(f) is not None,
        lambda f: f"The token is for {_said(f)}, another API. {ask_for(f)}",
        lambda f: f"Nothing to configure: this is a token for resource {_other_resource(f)}, presented to {f.asked}.",
    ),
    Hint(
        "it is for Keycloak's `account`: the client has no audience mapper",
        lambda f: not f.entra and audiences(f) == ("account",),
        lambda f: (
            "The token's `aud` is Keycloak's default, `account`: add an Audience mapper for this API to the client. "
            f"{ask_for(f)}"
        ),
        always("Nothing to configure: the partner's Keycloak does not yet write this API into its tokens."),
    ),
    Hint(
        "it is for the client itself",
        _for_itself,
        lambda f: f"The token is for your own app ({_said(f)}). {ask_for(f)}",
        always("Nothing to configure: the daemon asked for its own scope instead of this API's."),
    ),
    Hint(
        "it is a v2 token and the resource lists no client id",
        _guid_unlisted,
        lambda f: (
            f"The token is for {_said(f)}. If that is this API's client id, tell the publisher; otherwise: {ask_for(f)}"
        ),
        lambda f: (
            f"Entra writes the API's client id into v2 tokens, and {_name(f)} lists none. If {_said(f)} is this API's "
            "client id, add it to `audiences`."
        ),
    ),
    Hint(
        "it is a v1 token and the resource lists client ids alone",
        _uri_unlisted,
        lambda f: (
            f"The token is for {_said(f)}. If that is this API's App ID URI, tell the publisher; "
            f"otherwise: {ask_for(f)}"
        ),
        lambda f: (
            f"A v1 token's `aud` is what the daemon asked for, and {_name(f)} lists client ids alone. If {_said(f)} is "
            "this API, add it to `audiences`, or let the registration ask for version 2 (`tenantgate resource "
            "setup-guide`)."
        ),
    ),
    Hint(
        "it is for somebody else",
        lambda f: f.claims is not None,
        lambda f: f"The token is for {_said(f)}. {ask_for(f)}",
        lambda f: (
            f"The token is for {_said(f)}. If that is this API too, add it to `audiences` of {_name(f)}; every "
            "difference counts."
        ),
    ),
)
