"""Other shapes than three parts in base64url: too many parts, JSON, encryption, and parts of two tokens."""

from __future__ import annotations

import json
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenantgate.emulator.hostile.recipe import Recipe, Sound, family, json_bytes
from tenantgate.emulator.hostile.signing import modulus
from tenantgate.emulator.keys import base64url

_MALFORMED: Final = "token_malformed"
_COMMA: Final = "credential_ambiguous"  # as if two Authorization headers had been joined (RFC 9110 §5.3)
_ITERATIONS: Final = 2_147_483_647


def _raised(sound: Sound) -> str:
    return base64url(json_bytes({**sound.claims, "roles": ["Everything.All"]}))


def _without_payload(sound: Sound) -> str:
    header, _, signature = sound.token().split(".")
    return f"{header}..{signature}"


def _with_another_payload(sound: Sound) -> str:
    header, _, signature = sound.token().split(".")
    return f"{header}.{_raised(sound)}.{signature}"


def _with_another_header(sound: Sound) -> str:
    _, payload, signature = sound.token().split(".")
    return f"{base64url(json_bytes({**sound.header, 'added': 1}))}.{payload}.{signature}"


def _flattened(sound: Sound) -> str:
    header, payload, signature = sound.token().split(".")
    return json.dumps({"protected": header, "payload": payload, "signature": signature})


def _general(sound: Sound) -> str:
    header, payload, signature = sound.token().split(".")
    signatures = [{"protected": header, "signature": "AAAA"}, {"protected": header, "signature": signature}]
    return json.dumps({"payload": payload, "signatures": signatures})


def _json_around_compact(sound: Sound) -> str:
    header, payload, signature = sound.token().split(".")
    compact = f"  {header}.{_raised(sound)}."
    return json.dumps({compact: "", "protected": header, "payload": payload, "signature": signature})


def _encrypted(sound: Sound) -> str:
    header = base64url(json_bytes({"alg": "dir", "enc": "A256GCM", "kid": sound.key.kid}))
    nonce = bytes(12)  # one message under one key: here it may be fixed
    sealed = AESGCM(modulus(sound.rsa)[:32]).encrypt(nonce, json_bytes(sound.claims), header.encode())
    return f"{header}..{base64url(nonce)}.{base64url(sealed[:-16])}.{base64url(sealed[-16:])}"


def _encrypted_by_password(sound: Sound) -> str:
    header = {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2s": "AAAAAAAAAAA", "p2c": _ITERATIONS}
    return ".".join(map(base64url, (json_bytes(header), bytes(40), bytes(12), bytes(64), bytes(16))))


STRUCTURE: Final = family(
    "structure",
    Recipe("empty", _MALFORMED, "There is no token.", "RFC 7515 §7.1", lambda sound: "", forged=True),
    Recipe(
        "opaque", _MALFORMED, "The token is no JWT.", "RFC 7515 §7.1", lambda sound: "0123456789abcdef", forged=True
    ),
    Recipe(
        "four-parts",
        _MALFORMED,
        "Behind a good token stands a fourth part.",
        "RFC 7515 §7.1",
        lambda sound: f"{sound.token()}.e30",
        forged=True,
    ),
    Recipe(
        "dots",
        _MALFORMED,
        "Whoever splits before counting holds thousands of empty parts.",
        "CVE-2025-30204, CVE-2025-27144",
        lambda sound: "." * 12_000,
        forged=True,
    ),
    Recipe(
        "payload-detached",
        _MALFORMED,
        "The payload is said to be somewhere else.",
        "RFC 7515 Appendix F",
        _without_payload,
        forged=True,
    ),
    Recipe(
        "payload-swapped",
        "signature_invalid",
        "A good signature stands under another payload.",
        "RFC 7515 §5.2",
        _with_another_payload,
        forged=True,
    ),
    Recipe(
        "header-swapped",
        "signature_invalid",
        "A good signature stands under another header.",
        "RFC 7515 §5.2",
        _with_another_header,
        forged=True,
    ),
    Recipe(
        "token-too-long",
        "token_too_large",
        "A good token carries 16 KiB that nobody asked for.",
        "RFC 8725 §3.4",
        lambda sound: sound.token(payload={**sound.claims, "pad": "x" * 16_384}),
    ),
    Recipe(
        "header-too-long",
        "token_too_large",
        "A good token has a header of more than 4 KiB.",
        "RFC 8725 §3.4",
        lambda sound: sound.token({**sound.header, "pad": "x" * 4096}),
    ),
    Recipe(
        "json-flattened",
        _MALFORMED,
        "A JWS in JSON is no JWT, and is read by another parser.",
        "RFC 7515 §7.2.2, RFC 7519 §3",
        _flattened,
        in_header=_COMMA,
    ),
    Recipe(
        "json-general",
        _MALFORMED,
        "Of two signatures in JSON only one is good.",
        "RFC 7515 §7.2.1, RFC 7519 §3",
        _general,
        in_header=_COMMA,
    ),
    Recipe(
        "json-around-compact",
        _MALFORMED,
        "One parser verifies the JSON, and another believes the compact token that is in it.",
        "CVE-2022-39227",
        _json_around_compact,
        forged=True,
        in_header=_COMMA,
    ),
    Recipe(
        "encrypted",
        "token_encrypted",
        "A payload was encrypted instead of signed, with a key that anybody can know.",
        "RFC 9068 §4, CVE-2024-21319",
        _encrypted,
        forged=True,
    ),
    Recipe(
        "encrypted-by-password",
        "token_encrypted",
        "Two thousand million iterations stand before the first claim.",
        "RFC 7518 §4.8.1.2, CVE-2023-50966",
        _encrypted_by_password,
        forged=True,
    ),
    Recipe(
        "enc-in-a-signed-header",
        "token_encrypted",
        "A token of three parts has a header of encryption.",
        "RFC 7516 §9",
        lambda sound: sound.token({**sound.header, "enc": "A256GCM"}),
    ),
    Recipe(
        "token-in-the-payload",
        _MALFORMED,
        "The payload is another token.",
        "RFC 7519 §5.2",
        lambda sound: sound.token(payload=sound.token().encode()),
    ),
)
