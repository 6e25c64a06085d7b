"""Who issued it: spellings of `iss`, and what Entra's `tid` and `ver` must say beside it."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.emulator.hostile.recipe import ABSENT, Recipe, Sound, family, json_bytes, spoil_claims

OTHER_TID: Final = "eeeeeeee-0000-4000-8000-000000000005"
"""A tenant that nobody has."""
CONSUMERS: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of all personal Microsoft accounts."""

_UNKNOWN: Final = "issuer_unknown"
_EXACT: Final = "RFC 7519 §4.1.1, RFC 8725 §3.8"
_ENTRA: Final = "Entra: access tokens, validating the issuer"


def _iss(sound: Sound) -> str:
    return str(sound.claims["iss"])


def _spelled(name: str, attacks: str, iss: Any, reference: str = _EXACT, reason: str = _UNKNOWN) -> Recipe:
    return spoil_claims(name, reason, attacks, reference, iss=iss)


ISSUER: Final = family(
    "issuer",
    _spelled("iss-absent", "The token names no issuer.", ABSENT, reason="claim_missing"),
    _spelled("iss-null", "The issuer is null.", None, reason="claim_missing"),
    _spelled("iss-empty", "The issuer is empty, and is a part of every text.", "", "CVE-2024-53861"),
    _spelled("iss-prefix", "The issuer is the right one without its end.", lambda s: _iss(s)[:-1], "CVE-2024-53861"),
    _spelled(
        "iss-suffix", "The issuer is the right one without its beginning.", lambda s: _iss(s)[8:], "CVE-2024-53861"
    ),
    _spelled("iss-one-letter", "The issuer is a single letter of the right one.", "h", "CVE-2024-53861"),
    _spelled("iss-slash-more", "A slash stands behind the issuer.", lambda s: _iss(s) + "/"),
    _spelled("iss-space-more", "A space stands behind the issuer.", lambda s: _iss(s) + " "),
    _spelled("iss-nul-more", "A NUL stands behind the issuer.", lambda s: _iss(s) + "\0"),
    _spelled("iss-capitals", "The issuer's scheme and host are in capitals.", lambda s: _upper_host(s)),
    _spelled("iss-other-scheme", "Only the scheme is another.", lambda s: _other_scheme(s)),
    _spelled(
        "iss-in-user-information",
        "The right host stands before an @, where it is a user's name.",
        lambda s: _iss(s).replace("/" + s.claims["tid"], "@attacker.example/" + s.claims["tid"]),
    ),
    _spelled(
        "iss-percent-encoded", "A letter of the issuer is percent-encoded.", lambda s: _iss(s).replace("/v2", "/%762")
    ),
    _spelled(
        "iss-compatibility-character",
        "A digit of the issuer is another character that looks alike and normalises to it.",
        lambda s: _iss(s).replace("v2.0", "v\uff12.0"),
    ),
    _spelled(
        "iss-dot-segments",
        "The issuer's path comes back to the right one.",
        lambda s: _iss(s).replace("/v2.0", "/x/../v2.0"),
    ),
    _spelled("iss-query", "A query stands behind the issuer.", lambda s: _iss(s) + "?"),
    _spelled("iss-of-nobody", "Nobody has heard of this issuer.", "https://issuer.attacker.example/"),
    _spelled(
        "iss-template",
        "The issuer is the template of Entra's shared documents, letter by letter.",
        lambda s: s.iss_of("{tenantid}"),
        _ENTRA,
    ),
    _spelled(
        "iss-common", "The issuer is that of no tenant, but of the name for all.", lambda s: s.iss_of("common"), _ENTRA
    ),
    _spelled(
        "iss-list",
        "The issuer is a list that has the right one.",
        lambda s: [_iss(s), "https://issuer.attacker.example/"],
        "RFC 7519 §4.1.1, CVE-2025-30144",
        "claim_malformed",
    ),
    _spelled("iss-object", "The issuer is an object.", lambda s: {_iss(s): 1}, reason="claim_malformed"),
    _spelled("iss-number", "The issuer is a number.", 7, reason="claim_malformed"),
)


def _upper_host(sound: Sound) -> str:
    host, tid, path = _iss(sound).partition(sound.claims["tid"])
    return host.upper() + tid + path


def _other_scheme(sound: Sound) -> str:
    scheme, _, rest = _iss(sound).partition("://")
    return f"{'http' if scheme == 'https' else 'https'}://{rest}"


def _tid(name: str, attacks: str, tid: Any, reason: str = "claim_malformed") -> Recipe:
    return spoil_claims(name, reason, attacks, _ENTRA, tid=tid)


def _twin_by_an_escape(sound: Sound) -> str:
    return sound.token(payload=json_bytes(sound.claims)[:-1] + f',"T\\u0049D":"{OTHER_TID}"}}'.encode())


ENTRA_BINDING: Final = family(
    "entra-binding",
    _tid("tid-of-another", "The tenant is another than the issuer's.", OTHER_TID, "tenant_mismatch"),
    spoil_claims(
        "iss-of-another",
        "tenant_mismatch",
        "The issuer is another tenant's than the token's own.",
        _ENTRA,
        iss=lambda s: s.iss_of(OTHER_TID),
    ),
    spoil_claims(
        "v1-iss-of-another",
        "tenant_mismatch",
        "The issuer is another tenant's, in the form of version 1.",
        _ENTRA,
        version=1,
        iss=lambda s: s.iss_of(OTHER_TID),
    ),
    _tid("tid-absent", "The token does not say which tenant it is from.", ABSENT, "claim_missing"),
    _tid("tid-null", "The tenant is null.", None, "claim_missing"),
    _tid("tid-empty", "The tenant is empty, and is a part of every issuer.", ""),
    _tid("tid-domain", "The tenant is a domain's name, which may change hands.", "acme.example"),
    _tid("tid-list", "The tenant is a list that has the right one.", lambda s: [s.claims["tid"]]),
    _tid("tid-in-braces", "The tenant is in braces, as some tools write GUIDs.", lambda s: f"{{{s.claims['tid']}}}"),
    _tid("tid-without-hyphens", "The tenant has no hyphens.", lambda s: s.claims["tid"].replace("-", "")),
    _tid("tid-template", "The tenant is the placeholder of the issuer's template.", "{tenantid}"),
    _tid(
        "tid-in-capitals",
        "The tenant is in capitals, and in the issuer it is not.",
        lambda s: s.claims["tid"].upper(),
        "tenant_mismatch",
    ),
    spoil_claims(
        "tid-twin",
        "claim_malformed",
        "A second tid in capitals is what some readers find.",
        _ENTRA,
        TID=OTHER_TID,
    ),
    Recipe(
        "tid-twin-by-an-escape",
        "claim_malformed",
        "The second tid's name is spelled with an escape.",
        _ENTRA,
        _twin_by_an_escape,
    ),
    spoil_claims(
        "consumer-tenant",
        "consumer_tenant",
        "The token is from the tenant of personal accounts, where anybody can register.",
        _ENTRA,
        iss=lambda s: s.iss_of(CONSUMERS),
        tid=CONSUMERS,
    ),
    spoil_claims(
        "v1-consumer-tenant",
        "consumer_tenant",
        "The token is from the tenant of personal accounts, in the form of version 1.",
        _ENTRA,
        version=1,
        iss=lambda s: s.iss_of(CONSUMERS),
        tid=CONSUMERS,
    ),
    spoil_claims("ver-absent", "claim_missing", "The token does not say which version it is.", _ENTRA, ver=ABSENT),
    spoil_claims("ver-of-v1", "version_mismatch", "Version 1.0 stands in the form of 2.0.", _ENTRA, ver="1.0"),
    spoil_claims(
        "v1-ver-of-v2", "version_mismatch", "Version 2.0 stands in the form of 1.0.", _ENTRA, version=1, ver="2.0"
    ),
    spoil_claims("ver-number", "version_mismatch", "The version is a number.", _ENTRA, ver=2.0),
    spoil_claims(
        "v1-iss-without-slash",
        "issuer_unknown",
        "The issuer of version 1 lacks its slash.",
        _ENTRA,
        version=1,
        iss=lambda s: _iss(s).removesuffix("/"),
    ),
)
