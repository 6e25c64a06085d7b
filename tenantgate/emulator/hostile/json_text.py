"""JSON that is none, or that two readers read differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tenantgate.emulator.hostile.recipe import Recipe, family, json_bytes, spoil_payload

_MALFORMED: Final = "token_malformed"

Payload = Callable[[Mapping[str, Any]], bytes]
"""Writes the claims of a good token as bytes."""


def _twice(name: str, first: Any) -> Payload:
    """Return what writes a claim twice: `first`, and then as it is in the good token."""
    return lambda claims: json_bytes({name: first})[:-1] + b"," + json_bytes(claims)[1:]


def _then(name: str, last: Any) -> Payload:
    """Return what writes a claim twice: as it is in the good token, and then as `last`."""
    return lambda claims: json_bytes(claims)[:-1] + b"," + json_bytes({name: last})[1:]


def _instead(name: str, text: bytes) -> Payload:
    """Return what writes a claim with these bytes for its value."""
    return lambda claims: json_bytes({**claims, name: "@"}).replace(b'"@"', text)


def _written(text: bytes) -> Payload:
    return lambda claims: text


_UNIQUE: Final = "RFC 7519 §4, RFC 8259 §4"

JSON: Final = family(
    "json",
    Recipe(
        "alg-twice",
        _MALFORMED,
        "The first alg is none, the last is the key's.",
        "RFC 7515 §4",
        lambda sound: sound.token(b'{"alg":"none",' + json_bytes(sound.header)[1:]),
    ),
    Recipe(
        "kid-twice",
        _MALFORMED,
        "Two kids: one is looked up, the other is logged.",
        "RFC 7515 §4",
        lambda sound: sound.token(b'{"kid":"another",' + json_bytes(sound.header)[1:]),
    ),
    spoil_payload("exp-twice", _MALFORMED, "The first exp has passed, the last has not.", _UNIQUE, _twice("exp", 1)),
    spoil_payload(
        "iss-twice",
        _MALFORMED,
        "Two issuers: one chose the key, the other is believed.",
        _UNIQUE,
        _twice("iss", "https://attacker.example/"),
    ),
    spoil_payload(
        "aud-twice", _MALFORMED, "The last aud is another API's.", _UNIQUE, _then("aud", "api://other.example")
    ),
    spoil_payload(
        "sub-twice-by-an-escape",
        _MALFORMED,
        "The second sub is spelled with an escape, which a search of the bytes does not find.",
        _UNIQUE,
        lambda claims: json_bytes(claims)[:-1] + b',"s\\u0075b":"another"}',
    ),
    spoil_payload(
        "twice-below",
        _MALFORMED,
        "A name stands twice in an object within a claim.",
        "RFC 8259 §4",
        _instead("extra", b'{"a":1,"a":2}'),
    ),
    spoil_payload("exp-nan", _MALFORMED, "No comparison with NaN is true.", "RFC 8259 §6", _instead("exp", b"NaN")),
    spoil_payload(
        "exp-infinity", _MALFORMED, "The token never ends, in no JSON.", "RFC 8259 §6", _instead("exp", b"Infinity")
    ),
    spoil_payload(
        "exp-beyond-any-float",
        _MALFORMED,
        "A number of JSON that becomes infinite in most readers.",
        "RFC 8259 §6",
        _instead("exp", b"1e400"),
    ),
    spoil_payload(
        "exp-leading-zero",
        _MALFORMED,
        "Some read this number as octal.",
        "RFC 8259 §6",
        _instead("exp", b"01800003900"),
    ),
    spoil_payload(
        "depth-17",
        _MALFORMED,
        "A claim is nested deeper than any claim is.",
        "RFC 8259 §9",
        _instead("extra", b"[" * 16 + b"]" * 16),
    ),
    spoil_payload(
        "depth-3000",
        _MALFORMED,
        "A claim is nested so deep that a recursive reader runs out of its stack.",
        "RFC 8259 §9, CVE-2025-53864",
        _instead("extra", b"[" * 3000 + b"]" * 3000),
    ),
    spoil_payload(
        "members-300",
        _MALFORMED,
        "Three hundred claims that nobody asked for.",
        "RFC 8259 §9",
        lambda claims: json_bytes({**claims, **{f"c{number}": number for number in range(300)}}),
    ),
    spoil_payload(
        "object-behind-the-payload",
        _MALFORMED,
        "A second object stands behind the first.",
        "RFC 8259 §2",
        lambda claims: json_bytes(claims) + b'{"roles":["Everything.All"]}',
    ),
    spoil_payload(
        "trailing-comma",
        _MALFORMED,
        "A comma stands before the last brace.",
        "RFC 8259 §4",
        lambda c: json_bytes(c)[:-1] + b",}",
    ),
    spoil_payload(
        "comment",
        _MALFORMED,
        "A comment stands in the payload.",
        "RFC 8259 §2",
        lambda c: b"{/* */" + json_bytes(c)[1:],
    ),
    spoil_payload(
        "single-quotes",
        _MALFORMED,
        "A claim's name is in single quotes.",
        "RFC 8259 §7",
        lambda c: b"{'a':1," + json_bytes(c)[1:],
    ),
    spoil_payload(
        "control-character-unescaped",
        _MALFORMED,
        "A claim has a tab that is not escaped.",
        "RFC 8259 §7",
        _instead("extra", b'"a\tb"'),
    ),
    spoil_payload(
        "payload-list", _MALFORMED, "The payload is a list.", "RFC 7519 §7.2", lambda c: json_bytes([dict(c)])
    ),
    spoil_payload("payload-text", _MALFORMED, "The payload is a text.", "RFC 7519 §7.2", _written(b'"claims"')),
    spoil_payload("payload-null", _MALFORMED, "The payload is null.", "RFC 7519 §7.2", _written(b"null")),
    spoil_payload("payload-empty", _MALFORMED, "The payload is empty.", "RFC 7519 §7.2", _written(b"")),
    Recipe(
        "header-list",
        _MALFORMED,
        "The header is a list.",
        "RFC 7515 §4",
        lambda sound: sound.token(json_bytes([dict(sound.header)])),
    ),
)
