"""What kind of token it is: another kind of JWT, a user's, an agent's, or Entra's claims about the client."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.emulator.hostile.recipe import ABSENT, Recipe, family, spoil_claims, spoil_header

OTHER_CLIENT: Final = "eeeeeeee-0000-4000-8000-000000000006"

_MALFORMED: Final = "claim_malformed"
_MISSING: Final = "claim_missing"
_NOT_APP: Final = "not_app_only"
_CLAIMS: Final = "Entra: access token claims"
_AGENTS: Final = "Entra: agent token claims"
_TYPED: Final = "RFC 7515 §4.1.9, RFC 8725 §3.11"


def _typ(name: str, attacks: str, typ: Any, reference: str = _TYPED) -> Recipe:
    return spoil_header(name, "token_type_not_allowed", attacks, reference, typ=typ)


def _id_token(name: str, attacks: str, reference: str, claim: str) -> Recipe:
    mark: dict[str, Any] = {claim: "opaque"}
    return spoil_claims(name, "id_token_presented", attacks, reference, **mark)


KIND: Final = family(
    "kind",
    _typ("typ-logout", "A logout token's type.", "logout+jwt", "OpenID Connect Back-Channel Logout §2.4"),
    _typ("typ-dpop", "A DPoP proof's type.", "dpop+jwt", "RFC 9449 §4.2"),
    _typ("typ-security-event", "A security event's type.", "secevent+jwt", "RFC 8417 §2.3"),
    _typ("typ-introspection", "An introspection response's type.", "token-introspection+jwt", "RFC 9701 §5"),
    _typ("typ-number", "The type is a number.", 7),
    _typ("typ-empty", "The type is empty.", ""),
    _id_token("id-token-nonce", "An ID token: it has a nonce.", "OpenID Connect Core §2", "nonce"),
    _id_token(
        "id-token-at-hash", "An ID token: it vouches for an access token.", "OpenID Connect Core §3.1.3.6", "at_hash"
    ),
    _id_token("id-token-c-hash", "An ID token: it vouches for a code.", "OpenID Connect Core §3.3.2.11", "c_hash"),
    spoil_claims(
        "events",
        "token_type_not_allowed",
        "A logout token, by its events.",
        "RFC 8417 §2.2, OpenID Connect Back-Channel Logout §2.4",
        events={"http://schemas.openid.net/event/backchannel-logout": {}},
    ),
    spoil_claims(
        "act",
        _NOT_APP,
        "Somebody acts for somebody else.",
        "RFC 8693 §4.1",
        act={"sub": OTHER_CLIENT},
    ),
    spoil_claims(
        "may-act",
        _NOT_APP,
        "Somebody may act for somebody else.",
        "RFC 8693 §4.4",
        may_act={"sub": OTHER_CLIENT},
    ),
    spoil_claims(
        "actor-token",
        _NOT_APP,
        "A token within the token says who is meant.",
        "CVE-2025-55241",
        actortoken="eyJhbGciOiJub25lIn0.e30.",
    ),
)


def _user(name: str, attacks: str, **claims: Any) -> Recipe:
    return spoil_claims(name, _NOT_APP, attacks, _CLAIMS, **claims)


APP_ONLY: Final = family(
    "app-only",
    _user("idtyp-absent", "Nothing says that no user stands behind the token.", idtyp=ABSENT),
    _user("idtyp-user", "A user stands behind the token.", idtyp="user"),
    _user("idtyp-device", "A device stands behind the token.", idtyp="device"),
    _user("idtyp-in-capitals", "The proof is in capitals.", idtyp="APP"),
    _user("idtyp-list", "The proof is one of a list.", idtyp=["app", "user"]),
    _user("scp-beside-app", "A user's delegation stands beside the proof that there is no user.", scp="Orders.Read"),
    _user("scp-list", "A delegation is a list.", scp=["Orders.Read"]),
    _user("upn", "A user's name stands beside the proof that there is no user.", upn="somebody@acme.example"),
    _user(
        "preferred-username",
        "A user's name stands there in its newer form.",
        preferred_username="somebody@acme.example",
    ),
    _user("amr", "Somebody signed in with a password.", amr=["pwd"]),
    spoil_claims("idrel-member", _NOT_APP, "The subject is a member of the tenant, a user.", _AGENTS, xms_idrel="1"),
    spoil_claims(
        "idrel-without-service-principal",
        "service_principal_missing",
        "The client has no service principal in the tenant it speaks for.",
        "Entra: blocked service-principal-less authentication",
        xms_idrel="7 13",
    ),
    spoil_claims("idrel-unreadable", _MALFORMED, "The relations are no numbers.", _AGENTS, xms_idrel="7,13"),
    spoil_claims("agent-acting", "agent_identity_not_allowed", "An agent identity acts.", _AGENTS, xms_act_fct="3 11"),
    spoil_claims(
        "agent-subject", "agent_identity_not_allowed", "An agent identity is the subject.", _AGENTS, xms_sub_fct="11"
    ),
    spoil_claims("agent-unreadable", _MALFORMED, "The facets are no numbers.", _AGENTS, xms_act_fct={"11": True}),
)


def _azp(name: str, attacks: str, azp: Any, reason: str = _MALFORMED) -> Recipe:
    return spoil_claims(name, reason, attacks, _CLAIMS, azp=azp)


def _oid(name: str, attacks: str, oid: Any, reason: str = _MALFORMED) -> Recipe:
    return spoil_claims(name, reason, attacks, _CLAIMS, oid=oid)


ENTRA_CLAIMS: Final = family(
    "entra-claims",
    _azp("azp-absent", "The token does not say which client it is.", ABSENT, _MISSING),
    _azp("azp-name", "The client is a name and no GUID.", "nightly-sync"),
    _azp("azp-list", "The client is a list that has the right one.", lambda s: [s.claims["azp"]]),
    _azp("azp-without-hyphens", "The client has no hyphens.", lambda s: s.claims["azp"].replace("-", "")),
    _azp("azp-in-braces", "The client is in braces.", lambda s: f"{{{s.claims['azp']}}}"),
    spoil_claims("appid-beside-azp", _MALFORMED, "A second claim names another client.", _CLAIMS, appid=OTHER_CLIENT),
    spoil_claims(
        "appid-instead-of-azp",
        _MISSING,
        "The client is in the claim of the other version.",
        _CLAIMS,
        azp=ABSENT,
        appid=lambda s: s.claims["azp"],
    ),
    spoil_claims(
        "v1-appid-absent",
        _MISSING,
        "The token of version 1 does not say which client it is.",
        _CLAIMS,
        version=1,
        appid=ABSENT,
    ),
    spoil_claims(
        "v1-azp-beside-appid",
        _MALFORMED,
        "A second claim names another client, in the form of version 1.",
        _CLAIMS,
        version=1,
        azp=OTHER_CLIENT,
    ),
    spoil_claims("azpacr-unknown", _MALFORMED, "The client proved itself in a way nobody knows.", _CLAIMS, azpacr="3"),
    spoil_claims("azpacr-number", _MALFORMED, "The client's proof is a number.", _CLAIMS, azpacr=2),
    _oid(
        "oid-absent",
        "The client has no object in the tenant it speaks for.",
        ABSENT,
        "service_principal_missing",
    ),
    _oid("oid-null", "The client's object is null.", None, "service_principal_missing"),
    _oid("oid-name", "The client's object is a name and no GUID.", "nightly-sync"),
    _oid("oid-list", "The client's object is a list.", lambda s: [s.claims["oid"]]),
    spoil_claims(
        "roles-text", _MALFORMED, "The roles are a text, which has every part of itself.", _CLAIMS, roles="Orders.Read"
    ),
    spoil_claims("roles-object", _MALFORMED, "The roles are an object.", _CLAIMS, roles={"Orders.Read": False}),
    spoil_claims(
        "roles-list-in-list", _MALFORMED, "A list stands in the list of roles.", _CLAIMS, roles=[["Orders.Read"]]
    ),
    spoil_claims("roles-number", _MALFORMED, "A number stands in the list of roles.", _CLAIMS, roles=[7]),
    spoil_claims("uti-number", _MALFORMED, "The token's id is a number.", _CLAIMS, uti=7),
)
