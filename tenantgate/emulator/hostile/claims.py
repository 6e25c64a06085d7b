"""For whom, when and about whom: audience, instants, identities, and proofs of possession."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.emulator.hostile.recipe import ABSENT, Recipe, family, spoil_claims

_MALFORMED: Final = "claim_malformed"
_MISSING: Final = "claim_missing"
_AUD: Final = "RFC 7519 §4.1.3, RFC 8725 §3.9"
_DATE: Final = "RFC 7519 §2"
_DAY: Final = 86_400


def _aud(name: str, attacks: str, aud: Any, reason: str = "audience_mismatch", reference: str = _AUD) -> Recipe:
    return spoil_claims(name, reason, attacks, reference, aud=aud)


AUDIENCE: Final = family(
    "audience",
    _aud("aud-absent", "The token is for nobody in particular.", ABSENT, _MISSING, f"{_AUD}, CVE-2023-22482"),
    _aud("aud-null", "The audience is null.", None, _MISSING),
    _aud("aud-empty-list", "The audience is an empty list.", [], _MALFORMED, f"{_AUD}, CVE-2020-26160"),
    _aud("aud-empty-text", "The audience is empty.", "", _MALFORMED, f"{_AUD}, CVE-2020-26160"),
    _aud("aud-list-of-empty", "The audience is a list of an empty text.", [""], _MALFORMED),
    _aud("aud-of-another", "The token is for another API.", "aaaaaaaa-0000-4000-8000-0000000000ff"),
    _aud("aud-of-others", "The token is for several other APIs.", ["api://one.example", "api://two.example"]),
    _aud("aud-of-graph", "The token is for Microsoft Graph.", "https://graph.microsoft.com"),
    _aud("aud-prefix", "The audience is the right one without its end.", lambda s: s.claims["aud"][:-1]),
    _aud("aud-longer", "The audience begins with the right one.", lambda s: s.claims["aud"] + "0"),
    _aud("aud-slash-more", "A slash stands behind the audience.", lambda s: s.claims["aud"] + "/"),
    _aud("aud-in-capitals", "The audience is in capitals.", lambda s: s.claims["aud"].upper()),
    _aud(
        "aud-joined", "The right audience is one word of several.", lambda s: f"api://other.example {s.claims['aud']}"
    ),
    _aud(
        "aud-object", "The audience is an object with the right name in it.", lambda s: {s.claims["aud"]: 1}, _MALFORMED
    ),
    _aud("aud-list-in-list", "The right audience is in a list in the list.", lambda s: [[s.claims["aud"]]], _MALFORMED),
    _aud("aud-beside-number", "A number stands beside the right audience.", lambda s: [s.claims["aud"], 7], _MALFORMED),
    _aud("aud-of-65", "The token is for the right API and 64 others.", lambda s: [s.claims["aud"]] * 65, _MALFORMED),
)


def _exp(name: str, attacks: str, exp: Any, reason: str = _MALFORMED, reference: str = _DATE) -> Recipe:
    return spoil_claims(name, reason, attacks, reference, exp=exp)


TIME: Final = family(
    "time",
    _exp("exp-absent", "The token never ends.", ABSENT, _MISSING, "RFC 7519 §4.1.4"),
    _exp("exp-null", "The token's end is null.", None, _MISSING, "RFC 7519 §4.1.4"),
    _exp("exp-past", "The token ended an hour ago.", lambda s: s.now - 3600, "token_expired", "RFC 7519 §4.1.4"),
    _exp(
        "exp-past-by-the-leeway",
        "The token ended two minutes ago, and clocks may differ by one.",
        lambda s: s.now - 120,
        "token_expired",
        "RFC 7519 §4.1.4",
    ),
    _exp("exp-zero", "The token ended in 1970, which some take for never.", 0, "token_expired", "RFC 7519 §4.1.4"),
    _exp("exp-negative", "The token ended before there was a clock.", -1),
    _exp("exp-text", "The end is a text.", lambda s: str(s.now + 3600)),
    _exp("exp-text-with-underscores", "The end is a text that only Python takes for a number.", "4_000_000_000"),
    _exp("exp-arabic-digits", "The end is a text in other digits.", "٤٠٠٠٠٠٠٠٠٠"),
    _exp("exp-true", "The end is true, which some take for 1.", True),
    _exp("exp-list", "The end is a list.", lambda s: [s.now + 3600]),
    _exp("exp-object", "The end is an object.", lambda s: {"at": s.now + 3600}),
    _exp("exp-beyond-2-53", "The end is a number that a float does not tell from its neighbour.", 2**53 + 1),
    _exp("exp-huge-integer", "The end has thirty digits, and no clock can be compared with it.", 10**30),
    _exp("exp-huge-float", "The end is a float that no calendar has.", 1e300),
    _exp(
        "lifetime-without-end",
        "The token lives for millions of years.",
        2**53,
        "token_lifetime_too_long",
        "",
    ),
    spoil_claims(
        "lifetime-of-a-month",
        "token_lifetime_too_long",
        "The token outlives every removal from a list by a month.",
        exp=lambda s: s.claims["iat"] + 31 * _DAY,
    ),
    spoil_claims(
        "nbf-future",
        "token_not_yet_valid",
        "The token begins in an hour.",
        "RFC 7519 §4.1.5",
        nbf=lambda s: s.now + 3600,
    ),
    spoil_claims("nbf-null", _MISSING, "The token's beginning is null.", "RFC 7519 §4.1.5", nbf=None),
    spoil_claims("nbf-text", _MALFORMED, "The beginning is a text.", "RFC 7519 §4.1.5", nbf=lambda s: str(s.now)),
    spoil_claims("iat-absent", _MISSING, "Nobody knows how old the token is.", "RFC 9068 §2.2", iat=ABSENT),
    spoil_claims(
        "iat-future",
        "token_issued_in_future",
        "The token was issued in an hour.",
        "RFC 7519 §4.1.6",
        iat=lambda s: s.now + 3600,
        exp=lambda s: s.now + 7200,
    ),
    spoil_claims("iat-text", _MALFORMED, "The time of issue is a text.", "RFC 7519 §4.1.6", iat=lambda s: str(s.now)),
    spoil_claims("iat-true", _MALFORMED, "The time of issue is true.", "RFC 7519 §4.1.6", iat=True),
)


def _sub(name: str, attacks: str, sub: Any, reason: str = _MALFORMED, reference: str = "RFC 7519 §4.1.2") -> Recipe:
    return spoil_claims(name, reason, attacks, reference, sub=sub)


CLAIMS: Final = family(
    "claims",
    _sub("sub-absent", "The token is about nobody.", ABSENT, _MISSING, "RFC 9068 §2.2"),
    _sub("sub-null", "The subject is null.", None, _MISSING),
    _sub("sub-number", "The subject is a number.", 7),
    _sub("sub-list", "The subject is a list that has the right one.", lambda s: [s.claims["sub"]]),
    _sub("sub-empty", "The subject is empty.", ""),
    _sub("sub-nul", "A NUL stands behind the subject, where some readers stop.", lambda s: s.claims["sub"] + "\0"),
    _sub(
        "sub-line-break",
        "A line break in the subject writes a line of its own into a log.",
        "a\nlevel=info granted=true",
    ),
    _sub("sub-turned-round", "A control character shows the subject in the other direction.", "admin\u202eelpmaxe."),
    _sub("sub-zero-width", "A character without width tells two subjects apart that look alike.", "ad\u200bmin"),
    _sub("sub-decomposed", "A letter and its accent are two characters, and one in another spelling.", "re\u0301seau"),
    _sub("sub-long", "The subject has more letters than any name.", "s" * 600),
    spoil_claims("jti-number", _MALFORMED, "The token's id is a number.", "RFC 7519 §4.1.7", jti=7),
    spoil_claims("jti-list", _MALFORMED, "The token's id is a list.", "RFC 7519 §4.1.7", jti=["a"]),
    spoil_claims("jti-empty", _MALFORMED, "The token's id is empty.", "RFC 7519 §4.1.7", jti=""),
)

CONFIRMATION: Final = family(
    "confirmation",
    spoil_claims(
        "cnf-certificate",
        "confirmation_unsupported",
        "The token is bound to a client certificate that was not presented.",
        "RFC 8705 §3.1",
        cnf={"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},
    ),
    spoil_claims(
        "cnf-dpop",
        "confirmation_unsupported",
        "The token is bound to a DPoP key, and was presented without its proof.",
        "RFC 9449 §6.1, §7.1",
        cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
    ),
    spoil_claims(
        "cnf-unknown-method",
        "confirmation_unsupported",
        "The token is bound in a way that nobody knows.",
        "RFC 7800 §3.1",
        cnf={"unheard-of": "opaque"},
    ),
    spoil_claims("cnf-empty", "confirmation_unsupported", "The token is bound to nothing.", "RFC 7800 §3.1", cnf={}),
    spoil_claims("cnf-null", "confirmation_unsupported", "The binding is null.", "RFC 7800 §3.1", cnf=None),
)
