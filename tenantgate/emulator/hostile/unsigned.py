"""Tokens without a signature, and with one of an algorithm that is not the key's."""

from __future__ import annotations

from typing import Final

from tenantgate.emulator.hostile.recipe import ABSENT, Recipe, family, json_bytes, spoil_header
from tenantgate.emulator.hostile.signing import by_ec_stranger, by_ed25519_stranger, by_nobody, by_stranger, rsa_with

_REFUSED: Final = "algorithm_not_allowed"

UNSIGNED: Final = family(
    "unsigned",
    spoil_header(
        "alg-none",
        _REFUSED,
        "The header says that nothing was signed, and nothing was.",
        "RFC 7518 §3.6, RFC 8725 §3.2, CVE-2021-22160",
        sign=by_nobody,
        alg="none",
    ),
    spoil_header(
        "alg-none-capital",
        _REFUSED,
        "A list of forbidden words that tells capitals apart does not have this one.",
        "RFC 8725 §3.2",
        sign=by_nobody,
        alg="None",
    ),
    spoil_header(
        "alg-none-mixed",
        _REFUSED,
        "The same word in mixed case.",
        "RFC 8725 §3.2",
        sign=by_nobody,
        alg="nOnE",
    ),
    spoil_header(
        "alg-none-without-kid",
        _REFUSED,
        "Without a kid no key is looked for, and so none is missed.",
        "RFC 8725 §3.2",
        sign=by_nobody,
        alg="none",
        kid=ABSENT,
    ),
    spoil_header(
        "alg-none-with-signature",
        _REFUSED,
        "The header says that nothing was signed, and the signature part is not empty.",
        "RFC 7518 §3.6",
        sign=by_stranger,
        alg="none",
    ),
    Recipe(
        "alg-none-escaped",
        _REFUSED,
        "The word is spelled with a JSON escape, which a search of the bytes does not find.",
        "RFC 8725 §3.2",
        lambda sound: sound.token(
            json_bytes({**sound.header, "alg": "none"}).replace(b'"none"', b'"\\u006eone"'), sign=by_nobody
        ),
        forged=True,
    ),
    spoil_header(
        "alg-absent",
        _REFUSED,
        "There is no alg, and so a default would have to be guessed.",
        "RFC 7515 §4.1.1",
        sign=by_nobody,
        alg=ABSENT,
    ),
    spoil_header("alg-empty", _REFUSED, "The alg is empty.", "RFC 7515 §4.1.1", sign=by_nobody, alg=""),
    spoil_header("alg-null", _REFUSED, "The alg is null.", "RFC 7515 §4.1.1", sign=by_nobody, alg=None),
    spoil_header(
        "alg-list",
        _REFUSED,
        "The alg is a list, and one of it would be allowed.",
        "RFC 7515 §4.1.1",
        sign=by_nobody,
        alg=["RS256", "none"],
    ),
    Recipe(
        "signature-removed",
        "signature_invalid",
        "A good header and payload have an empty signature.",
        "RFC 7515 §5.2",
        lambda sound: sound.token(sign=by_nobody),
        forged=True,
    ),
    Recipe(
        "signature-part-removed",
        "token_malformed",
        "A good header and payload have no third part.",
        "RFC 7515 §7.1",
        lambda sound: sound.token().rpartition(".")[0],
        forged=True,
    ),
)

ALGORITHMS: Final = family(
    "algorithms",
    spoil_header(
        "rs512-by-the-same-key",
        _REFUSED,
        "The key is for RS256, and the token chose another hash for it.",
        "RFC 8725 §3.1, CVE-2026-48523",
        sign=rsa_with("RS512"),
        alg="RS512",
    ),
    spoil_header(
        "ps256-by-the-same-key",
        _REFUSED,
        "The key is for RS256, and the token chose another padding for it.",
        "RFC 8725 §3.1",
        sign=rsa_with("PS256"),
        alg="PS256",
    ),
    spoil_header(
        "ps256-called-rs256",
        "signature_invalid",
        "The header names the key's algorithm, and the signature was made with another.",
        "RFC 7515 §5.2",
        sign=rsa_with("PS256"),
    ),
    spoil_header(
        "rs512-called-rs256",
        "signature_invalid",
        "The signature says itself which hash it is over, but only the header's counts.",
        "RFC 8017 §8.2.2",
        sign=rsa_with("RS512"),
    ),
    spoil_header(
        "sha1-called-rs256",
        "signature_invalid",
        "The signature is over SHA-1, for which collisions can be made.",
        "RFC 7518 §3.3",
        sign=rsa_with("RS1"),
    ),
    spoil_header(
        "rs1",
        _REFUSED,
        "The header names RSA over SHA-1, for which collisions can be made.",
        "RFC 8725 §3.2",
        sign=rsa_with("RS1"),
        alg="RS1",
    ),
    spoil_header(
        "es256-under-an-rsa-kid",
        _REFUSED,
        "An elliptic curve's signature stands under the kid of an RSA key.",
        "RFC 8725 §3.1",
        sign=by_ec_stranger,
        alg="ES256",
    ),
    spoil_header(
        "eddsa-under-an-rsa-kid",
        _REFUSED,
        "An Ed25519 signature stands under the kid of an RSA key.",
        "RFC 8725 §3.1",
        sign=by_ed25519_stranger,
        alg="EdDSA",
    ),
    spoil_header("alg-lower-case", _REFUSED, "Names of algorithms are case-sensitive.", "RFC 7515 §4.1.1", alg="rs256"),
    spoil_header(
        "alg-trailing-space", _REFUSED, "The name is known only once it is trimmed.", "RFC 7515 §4.1.1", alg="RS256 "
    ),
    spoil_header(
        "alg-of-encryption",
        _REFUSED,
        "The alg is one of encryption, where a signature's belongs.",
        "RFC 7518 §4.1",
        alg="RSA-OAEP",
    ),
    spoil_header("alg-unheard-of", _REFUSED, "Nobody has registered this algorithm.", "RFC 7515 §5.2", alg="RS257"),
)
