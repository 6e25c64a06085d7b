"""Header members that a token may not have, or that must not be followed."""

from __future__ import annotations

from typing import Final

from tenantgate.emulator.hostile.recipe import ABSENT, family, spoil_header
from tenantgate.emulator.hostile.signing import bare_jwk, by_stranger, x5c

_REFUSED: Final = "header_not_allowed"
_KEYS_URL: Final = "https://keys.attacker.example/jwks"

HEADER_MEMBERS: Final = family(
    "header-members",
    spoil_header(
        "jwk-of-the-attacker",
        _REFUSED,
        "The token brings the key that it is to be verified with.",
        "RFC 7515 §4.1.3, CVE-2018-0114, CVE-2026-27962",
        sign=by_stranger,
        jwk=lambda sound: bare_jwk(sound.stranger),
    ),
    spoil_header(
        "jwk-of-the-attacker-without-kid",
        _REFUSED,
        "The token brings its key, and no kid that could be looked up first.",
        "RFC 7515 §4.1.3, CVE-2018-0114",
        sign=by_stranger,
        jwk=lambda sound: bare_jwk(sound.stranger),
        kid=ABSENT,
    ),
    spoil_header(
        "x5c-of-the-attacker",
        _REFUSED,
        "The token brings a certificate that the attacker has made.",
        "RFC 7515 §4.1.6",
        sign=by_stranger,
        x5c=lambda sound: [x5c(sound.stranger)],
    ),
    spoil_header(
        "jku-of-the-attacker",
        _REFUSED,
        "The token says where its key is to be fetched from.",
        "RFC 7515 §4.1.2, RFC 8725 §3.10",
        sign=by_stranger,
        jku=_KEYS_URL,
    ),
    spoil_header(
        "jku-into-the-network",
        _REFUSED,
        "The token names an address that only the server itself can reach.",
        "RFC 8725 §3.10",
        sign=by_stranger,
        jku="http://169.254.169.254/latest/meta-data/",
    ),
    spoil_header(
        "x5u-of-the-attacker",
        _REFUSED,
        "The token says where its certificate is to be fetched from.",
        "RFC 7515 §4.1.5, RFC 8725 §3.10",
        sign=by_stranger,
        x5u=_KEYS_URL,
    ),
    spoil_header(
        "crit-unknown",
        _REFUSED,
        "An extension must be understood, and nobody understands it.",
        "RFC 7515 §4.1.11, CVE-2025-59420, CVE-2026-32597",
        crit=["unheard"],
        unheard=1,
    ),
    spoil_header("crit-empty", _REFUSED, "An empty crit is not allowed.", "RFC 7515 §4.1.11", crit=[]),
    spoil_header("crit-text", _REFUSED, "The crit is a text and not a list.", "RFC 7515 §4.1.11", crit="exp"),
    spoil_header(
        "crit-standard-member", _REFUSED, "The crit names what is no extension.", "RFC 7515 §4.1.11", crit=["alg"]
    ),
    spoil_header(
        "crit-missing-member",
        _REFUSED,
        "The crit names a member that the header does not have.",
        "RFC 7515 §4.1.11",
        crit=["b64"],
    ),
    spoil_header(
        "b64-true",
        _REFUSED,
        "The extension for payloads that are not encoded has no place in a token.",
        "RFC 7797 §7, CVE-2026-48525",
        crit=["b64"],
        b64=True,
    ),
    spoil_header(
        "b64-false",
        _REFUSED,
        "The payload part was signed as it stands, and is not to be decoded.",
        "RFC 7797 §7, CVE-2026-48525",
        crit=["b64"],
        b64=False,
    ),
    spoil_header(
        "zip",
        _REFUSED,
        "A compressed payload is a few bytes that become a gigabyte.",
        "RFC 7516 §4.1.3, RFC 8725 §3.6",
        zip="DEF",
    ),
    spoil_header("cty-jwt", _REFUSED, "The header promises a token in the token.", "RFC 7519 §5.2", cty="JWT"),
    spoil_header(
        "nonce-in-the-header",
        _REFUSED,
        "Entra puts a nonce into the header of tokens that only its own resources can verify.",
        nonce="opaque",
    ),
    spoil_header(
        "p2c-huge",
        _REFUSED,
        "The token chooses how often a key is to be stretched.",
        "RFC 7518 §4.8.1.2, CVE-2023-50966",
        p2c=2_147_483_647,
        p2s="AAAAAAAAAAA",
    ),
    spoil_header("kid-number", _REFUSED, "The kid is a number.", "RFC 7515 §4.1.4", kid=7),
    spoil_header("kid-list", _REFUSED, "The kid is a list.", "RFC 7515 §4.1.4", kid=lambda sound: [sound.key.kid]),
    spoil_header("kid-empty", _REFUSED, "The kid is empty.", "RFC 7515 §4.1.4", kid=""),
    spoil_header(
        "kid-nul",
        _REFUSED,
        "A NUL stands behind the kid, where some readers stop.",
        "RFC 8725 §3.10",
        kid=lambda sound: f"{sound.key.kid}\0",
    ),
    spoil_header(
        "kid-line-break",
        _REFUSED,
        "A line break in the kid writes a line of its own into a log.",
        "RFC 8725 §3.10",
        kid="a\r\nlevel=info granted=true",
    ),
    spoil_header(
        "kid-long",
        _REFUSED,
        "A kid of a kilobyte fills the memory of whoever keeps what was asked for.",
        "RFC 8725 §3.10",
        kid="k" * 1024,
    ),
)
