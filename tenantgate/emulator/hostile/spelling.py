"""The same values spelled otherwise: base64url with several spellings, and text that is not plain UTF-8."""

from __future__ import annotations

from typing import Final

from tenantgate.emulator.hostile.recipe import Recipe, Sound, family, json_bytes, spoil_payload
from tenantgate.emulator.keys import base64url

_MALFORMED: Final = "token_malformed"
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _other_last_character(segment: str) -> str:
    """Return another spelling of the same bytes: the unused bits of the last character are set."""
    assert len(segment) % 4 in (2, 3), "only such a segment has unused bits"
    return segment[:-1] + _ALPHABET[_ALPHABET.index(segment[-1]) + 1]


def _payload_twin(sound: Sound) -> str:
    body = json_bytes(sound.claims)
    body += b" " * ((1 - len(body)) % 3)  # white space behind the object, so that the last character has unused bits
    return sound.compact(base64url(json_bytes(sound.header)), _other_last_character(base64url(body)))


def _signature_twin(sound: Sound) -> str:
    signed, _, signature = sound.token().rpartition(".")
    return f"{signed}.{_other_last_character(signature)}"


def _standard_alphabet(sound: Sound) -> str:
    payload = base64url(json_bytes({**sound.claims, "aio": "?????"}))  # wherever it stands, this gives a "_"
    return sound.compact(base64url(json_bytes(sound.header)), payload.replace("_", "/"))


def _padded(sound: Sound) -> str:
    body = json_bytes(sound.claims)
    body += b" " * ((1 - len(body)) % 3)
    return sound.compact(base64url(json_bytes(sound.header)), base64url(body) + "==")


ENCODING: Final = family(
    "encoding",
    Recipe(
        "signature-padded",
        _MALFORMED,
        "Padding gives a token a second spelling, which no list of revoked spellings has.",
        "RFC 7515 §2",
        lambda sound: f"{sound.token()}==",
    ),
    Recipe("payload-padded", _MALFORMED, "The payload was signed with padding.", "RFC 7515 §2", _padded),
    Recipe(
        "signature-twin",
        _MALFORMED,
        "Another last character means the same signature, and the same token has a second spelling.",
        "RFC 4648 §3.5",
        _signature_twin,
    ),
    Recipe(
        "payload-twin",
        _MALFORMED,
        "The payload's last character has bits set that mean nothing.",
        "RFC 4648 §3.5",
        _payload_twin,
    ),
    Recipe(
        "standard-alphabet",
        _MALFORMED,
        "The payload is in base64 and not in base64url.",
        "RFC 4648 §5",
        _standard_alphabet,
    ),
    Recipe(
        "line-break-at-the-end",
        _MALFORMED,
        "A line break at the end gives the token a second spelling.",
        "RFC 4648 §3.3",
        lambda sound: f"{sound.token()}\n",
        in_header="request_invalid",
    ),
    Recipe(
        "space-in-the-signature",
        _MALFORMED,
        "A space in the signature gives the token a second spelling.",
        "RFC 4648 §3.3",
        lambda sound: f"{sound.token()[:-2]} {sound.token()[-2:]}",
    ),
    Recipe(
        "letter-outside-ascii",
        _MALFORMED,
        "A letter outside of ASCII is ignored by some decoders.",
        "RFC 4648 §3.3",
        lambda sound: f"{sound.token()}é",
    ),
    Recipe(
        "dots-escaped",
        _MALFORMED,
        "The dots are written as in an address.",
        "RFC 7515 §7.1",
        lambda sound: sound.token().replace(".", "%2E"),
    ),
    spoil_payload(
        "payload-behind-bom",
        _MALFORMED,
        "A byte order mark stands before the payload.",
        "RFC 8259 §8.1",
        lambda claims: b"\xef\xbb\xbf" + json_bytes(claims),
    ),
    spoil_payload(
        "payload-in-utf16",
        _MALFORMED,
        "The payload is in UTF-16, which some readers guess.",
        "RFC 8259 §8.1, RFC 8725 §3.7",
        lambda claims: json_bytes(claims).decode().encode("utf-16"),
    ),
    spoil_payload(
        "payload-in-utf32",
        _MALFORMED,
        "The payload is in UTF-32, which some readers guess.",
        "RFC 8259 §8.1, RFC 8725 §3.7",
        lambda claims: json_bytes(claims).decode().encode("utf-32-be"),
    ),
    Recipe(
        "header-in-utf16",
        _MALFORMED,
        "The header is in UTF-16, which some readers guess.",
        "RFC 8259 §8.1, RFC 8725 §3.7",
        lambda sound: sound.token(json_bytes(sound.header).decode().encode("utf-16-le")),
    ),
    Recipe(
        "header-behind-bom",
        _MALFORMED,
        "A byte order mark stands before the header.",
        "RFC 8259 §8.1",
        lambda sound: sound.token(b"\xef\xbb\xbf" + json_bytes(sound.header)),
    ),
    spoil_payload(
        "payload-not-utf8",
        _MALFORMED,
        "A claim has a byte that is in no UTF-8.",
        "RFC 8725 §3.7",
        lambda claims: json_bytes({**claims, "name": "@"}).replace(b'"@"', b'"\xff"'),
    ),
    spoil_payload(
        "payload-overlong-utf8",
        _MALFORMED,
        "A slash is spelled in two bytes, which a check of the bytes does not see.",
        "RFC 3629 §10",
        lambda claims: json_bytes({**claims, "name": "@"}).replace(b'"@"', b'"\xc0\xaf"'),
    ),
    spoil_payload(
        "lone-surrogate",
        _MALFORMED,
        "Half a character: some readers keep it, some replace it, some stop.",
        "RFC 8259 §8.2",
        lambda claims: json_bytes({**claims, "name": "\ud800"}),
    ),
)
