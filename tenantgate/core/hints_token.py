"""Hints about a token's form and about who signed it. Everything here is said of unproved words."""

from __future__ import annotations

from typing import Final

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.facts import Facts
from tenantgate.core.hints import Hint, always, ask_for, cloud_of, nothing
from tenantgate.core.keys import SUPPORTED
from tenantgate.core.strict import shown
from tenantgate.core.wording import listed

_KINDS: Final = {
    "refresh": "a refresh token",
    "offline": "an offline token",
    "id": "an ID token",
    "logout": "a logout token",
    "logout+jwt": "a logout token",
    "dpop+jwt": "a DPoP proof",
    "secevent+jwt": "a security event",
}
_CLIENT_CLAIMS: Final = ("cid", "appid", "client_id", "clientId", "azp", "sub")
_SYMMETRIC: Final = ("HS256", "HS384", "HS512")


def _payload_typ(facts: Facts) -> str:
    return facts.text("typ").lower()


def _header_typ(facts: Facts) -> str:
    typ = facts.header.get("typ")
    return typ.lower().removeprefix("application/") if type(typ) is str else ""


def _alg(facts: Facts) -> str:
    alg = facts.header.get("alg")
    return alg if type(alg) is str else ""


def _kind(facts: Facts) -> str | None:
    """Return what kind of token its header or payload (Keycloak) says it is."""
    if facts.has("events"):  # RFC 8417 §2.2
        return "a security event"
    return _KINDS.get(_header_typ(facts)) or _KINDS.get(_payload_typ(facts))


def _twin(facts: Facts) -> str | None:
    """Return the id of an OIDC issuer whose `iss` differs from the token's in a final slash or in case alone."""
    iss = facts.text("iss").rstrip("/").lower()
    for entry in tuple(facts.index.issuers.values()):
        if iss and entry.row.issuer is not None and entry.row.issuer.rstrip("/").lower() == iss:
            return entry.row.id
    return None


def _v2_alone(facts: Facts) -> str | None:
    """Return the id of an Entra issuer that has no v1 form, where the token says it is a v1 token."""
    if facts.text("ver") != "1.0":
        return None
    rows = [entry.row for entry in tuple(facts.index.issuers.values())]
    return next((row.id for row in rows if row.kind == "entra" and row.v1_issuer is None), None)


def _new_cloud(facts: Facts) -> bool:
    """Whether the token names a Microsoft cloud of which the policy has no issuer."""
    authority = cloud_of(facts.text("iss"))
    return authority is not None and all(
        entry.row.authority != authority for entry in tuple(facts.index.issuers.values())
    )


def _given_keys(facts: Facts) -> bool:
    if facts.match is None:
        return False
    row = facts.match.entry.row
    return (row.v1_jwks if facts.match.document == "v1" else row.jwks) is not None


def _client_claims(facts: Facts) -> list[str]:
    return [name for name in _CLIENT_CLAIMS if facts.text(name)]


def _iss(facts: Facts) -> str:
    return shown(facts.payload.get("iss"))


def _compare(facts: Facts) -> str:
    return f"Compare the token's `iss`, {_iss(facts)}, with what the publisher was told."


FORM_HINTS: Final[dict[R, tuple[Hint, ...]]] = {
    R.TOKEN_MALFORMED: (
        Hint(
            "the word `Bearer` is part of it",
            lambda f: f.form == "prefixed",
            always("Leave the word `Bearer` out of the token: it stands once, before it, in the header."),
            nothing,
        ),
        Hint(
            "quotes or brackets stand around it",
            lambda f: f.form == "quoted",
            always("Send the token without the quotes or brackets around it."),
            nothing,
        ),
        Hint(
            "white space or a line break stands in it",
            lambda f: f.form == "wrapped",
            always("Send the token in one piece: a space or a line break stands in it."),
            nothing,
        ),
        Hint(
            "it is opaque",
            lambda f: f.form == "opaque",
            lambda f: f"This is no JWT but an opaque token, which only its own provider can read. {ask_for(f)}",
            always("Nothing to configure: an opaque token is one for the provider's own API."),
        ),
        Hint(
            "a part is missing",
            lambda f: f.form == "cut",
            always("Send the whole token: of its three parts one is missing."),
            nothing,
        ),
    ),
    R.HEADER_NOT_ALLOWED: (
        Hint(
            "the token is for Microsoft Graph (`nonce` in its header)",
            lambda f: "nonce" in f.header,
            lambda f: (
                "This token is for Microsoft Graph: its header has `nonce`, and nobody else can verify it. "
                f"{ask_for(f)}"
            ),
            always("Nothing to configure: the daemon asked for Microsoft Graph's scope instead of this API's."),
        ),
    ),
    R.TOKEN_TYPE_NOT_ALLOWED: (
        Hint(
            "it says what it is instead: refresh, offline, ID or logout token, DPoP proof, security event",
            lambda f: _kind(f) is not None,
            lambda f: f"This is {_kind(f)}. Send `access_token` of the answer instead.",
            nothing,
        ),
        Hint(
            "its `typ` is another one",
            lambda f: f.match is not None and bool(_header_typ(f)),
            lambda f: f"Send an access token; this one's `typ` is {shown(f.header.get('typ'))}.",
            lambda f: (
                f"If access tokens of issuer {f.issuer} have the `typ` {shown(f.header.get('typ'))}, add it to that "
                "issuer's `token_types`, where its profile leaves that open."
            ),
        ),
    ),
    R.ALGORITHM_NOT_ALLOWED: (
        Hint(
            "it is not signed",
            lambda f: _alg(f).lower() == "none",
            always("Send the token as your identity provider signed it; this one says that it is not signed."),
            always("Nothing to configure: a token without a signature is a forgery, or a test that went astray."),
        ),
        Hint(
            "it is signed with a shared secret",
            lambda f: _alg(f) in _SYMMETRIC,
            always("Choose RS256 or another public-key algorithm for this API's tokens at your identity provider."),
            always("Nothing to configure: whoever could verify a shared secret's signature could also make one."),
        ),
        Hint(
            "its algorithm is another one than its key's",
            lambda f: _alg(f) in SUPPORTED and f.match is not None,
            lambda f: f"Use the algorithm agreed for this issuer; this token was signed with {_alg(f)}.",
            lambda f: (
                f"If issuer {f.issuer} signs with {_alg(f)} and its keys carry no `alg`, name it in that "
                "issuer's `algorithms`."
            ),
        ),
    ),
}

SIGNER_HINTS: Final[dict[R, tuple[Hint, ...]]] = {
    R.ISSUER_UNKNOWN: (
        Hint(
            "it is a v1 token and the issuer is known for v2 alone",
            lambda f: _v2_alone(f) is not None,
            _compare,
            lambda f: (
                f"This is a v1 token, and issuer {_v2_alone(f)} knows v2 tokens alone. Let the API's registration ask "
                "for version 2 (`tenantgate resource setup-guide`), or give that issuer a `v1_issuer`."
            ),
        ),
        Hint(
            "the policy has no issuer for that Microsoft cloud",
            _new_cloud,
            _compare,
            lambda f: (
                f"This is a token of Microsoft Entra at {cloud_of(f.text('iss'))}, of which the policy has no issuer: "
                f"`tenantgate issuer create --id entra --kind entra --authority {cloud_of(f.text('iss'))}`."
            ),
        ),
        Hint(
            "a known `iss` differs from it in a final slash or in case alone",
            lambda f: _twin(f) is not None,
            _compare,
            lambda f: (
                f"Issuer {_twin(f)} differs from the token's `iss`, {_iss(f)}, in a final slash or in case alone. An "
                "`iss` is compared exactly: spell the issuer as its tokens do."
            ),
        ),
    ),
    R.SIGNING_KEY_UNKNOWN: (
        Hint(
            "it has no `kid`",
            lambda f: "kid" not in f.header,
            always("Let your identity provider put the `kid` of the signing key into the token's header."),
            lambda f: f"Without a `kid` the key must be the only one; issuer {f.issuer} has several, or none at hand.",
        ),
        Hint(
            "the issuer's keys were given with the policy",
            _given_keys,
            always("Ask for a fresh token; if that does not help, tell the publisher that your keys were rotated."),
            lambda f: (
                f"The keys of issuer {f.issuer} stand in the policy and have no {shown(f.header.get('kid'))}. If the "
                "issuer rotated them, bring its key set up to date."
            ),
        ),
        Hint(
            "it is an Entra token",
            lambda f: f.entra,
            always("Ask for a fresh token. If keys have just been rotated, try again in half a minute."),
            always(
                "Look at the issuer's health. Where only this API's tokens fail, its registration has signing keys of "
                "its own (claims mapping, SAML sign-on): then name its app id in the resource's `signing_keys_appid`."
            ),
        ),
    ),
    R.SIGNATURE_INVALID: (
        Hint(
            "the signature is missing",
            lambda f: f.form == "cut",
            always("Send the whole token: its last part, the signature, is missing."),
            nothing,
        ),
    ),
    R.CLAIM_MISSING: (
        Hint(
            "it has no `aud`",
            lambda f: f.payload.get("aud") is None and f.match is not None and not f.entra,
            lambda f: (
                f"The token has no `aud`. {ask_for(f)} Keycloak writes it where the client has an Audience mapper "
                "for this API."
            ),
            always("Nothing to configure: a token for nobody in particular is not one for this API."),
        ),
        Hint(
            "the client's id stands in another claim",
            lambda f: f.match is not None and not f.entra and not f.client_id and bool(_client_claims(f)),
            always("Tell the publisher which claim of your tokens holds the client's id."),
            lambda f: (
                f"The token names no client where issuer {f.issuer} is read. It has {listed(_client_claims(f))}: "
                "choose the `profile` of that make, or name the right one in `client_id_claim`."
            ),
        ),
    ),
}
