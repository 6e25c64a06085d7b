"""Tokens: `parse_token`, `verify`, `decide` and `explain` over a small fixed policy, beside the oracle.

An input is a token as it stands; or `S` and a header and a payload, two lines, signed here with the key that the
policy's issuers publish, so that what is changed is seen behind the signature; or `F`, the same signed by a stranger.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.limits import LIMITS
from tenantgate.core.policy import IssuerRow, PolicySnapshot, row_of
from tenantgate.core.token import READER, Refused
from tenantgate.core.trace import explain
from tenantgate.core.verify import Verified, verify
from tests.builders import (
    NOW,
    V2_TEMPLATE,
    Signer,
    json_bytes,
    oidc_claims,
    policy_rows,
    static_keys,
    v1_claims,
    v2_claims,
)
from tests.core.oracle import answer
from tests.core.oracle_caller import Question, named
from tests.core.said import granted_answer
from tests.core.worlds import MARKS, SPOILS
from tests.fuzz.shapes import changed, document, text
from tests.fuzz.target import Change, Target, vector_files
from tests.parsed import Parsed, parse_token

KEY: Final = Signer("EdDSA", Ed25519PrivateKey.from_private_bytes(b"k" * 32), "fuzz")
STRANGER: Final = Signer("EdDSA", Ed25519PrivateKey.from_private_bytes(b"s" * 32), "fuzz")
ROWS: Final = tuple(
    policy_rows(
        cloud={"jwks": {"keys": [KEY.jwk(issuer=V2_TEMPLATE)]}, "v1_jwks": {"keys": [KEY.jwk()]}},
        oidc={"jwks": {"keys": [KEY.jwk()]}},
    )
)
INDEX: Final = PolicyIndex.from_snapshot(PolicySnapshot(epoch="e", revision=1, rows=tuple(row_of(r, 1) for r in ROWS)))
KEYS: Final = static_keys(INDEX)
HEADER: Final = {"typ": "JWT", "alg": "EdDSA", "kid": "fuzz"}
NEVER: Final = ("jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "cty", "enc", "epk", "p2c", "p2s", "nonce", "url")
HEADER_WORDS: Final = {
    "alg": ("EdDSA", "Ed25519", "none", "HS256", "RS256", "ES256", "eddsa"),
    "kid": ("fuzz", "", "x", "../fuzz"),
    "typ": ("JWT", "at+jwt", "application/at+jwt", "jwt", "logout+jwt"),
    **dict.fromkeys(NEVER, ("x", None, ["exp"], True)),
}
PAYLOAD_WORDS: Final = {**{name: [v for v in values if v is not ...] for name, values in SPOILS.items()}, **MARKS}


def run(data: bytes) -> None:
    """Judge a token, and hold the answer to what is plain from the bytes."""
    token = token_of(data)
    parsed = parsed_alike(token)
    decision = decide(token, INDEX, KEYS, "orders", (), NOW)
    assert isinstance(decision, Granted | Denied), decision
    assert decide(token, INDEX, KEYS, "orders", (), NOW) == decision, "asked twice, answered twice"
    trace = explain(token, INDEX, KEYS, "orders", (), NOW)
    assert trace.reason is (decision.reason if isinstance(decision, Denied) else None)
    if isinstance(decision, Denied):
        check_detail(decision.detail)
    if isinstance(parsed, Parsed):
        check_form(token, parsed)
        check_judgement(token, parsed, decision)
    else:
        assert isinstance(decision, Denied)
        assert decision.reason is parsed or is_of_a_stranger(token, parsed, decision), (decision, parsed)


def token_of(data: bytes) -> bytes:
    """Return the token an input stands for."""
    if data[:1] not in (b"S", b"F"):
        return data
    header, _, payload = data[1:].partition(b"\n")
    return (KEY if data[:1] == b"S" else STRANGER).sign(payload, header).encode()


def parsed_alike(token: bytes) -> Parsed | R:
    """Parse a token twice, as bytes and (where it can be) as text: one answer, a token or the reason against it."""
    answers: list[Any] = []
    for each in (token, token, *([token.decode()] if token.isascii() else [])):
        try:
            answers.append(parse_token(each))
        except Refused as refused:
            check_detail(refused.detail)
            answers.append(refused.reason)
    assert all(each == answers[0] for each in answers), answers
    return answers[0]  # type: ignore[no-any-return]


def is_of_a_stranger(token: bytes, parsed: R, decision: Denied) -> bool:
    """Whether a token was refused for its issuer, which is nobody known, before it was proved to have one spelling."""
    if (parsed, decision.reason) != (R.TOKEN_MALFORMED, R.ISSUER_UNKNOWN):
        return False
    iss = READER.take_apart(token).payload["iss"]
    return not any(list(named(row, iss)) for row in ROWS if isinstance(row, IssuerRow))


def check_detail(detail: str) -> None:
    """What an operator reads is short and printable, whatever came in."""
    assert len(detail) < 1_000
    assert detail.replace("…", "").isascii()
    assert detail.isprintable()


def strictly(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice."""
    assert len(dict(pairs)) == len(pairs), "a duplicate member was let through"
    return dict(pairs)


def no_constant(name: str) -> None:
    """Refuse NaN and infinities."""
    raise AssertionError(f"{name} was let through")


def check_form(token: bytes, parsed: Parsed) -> None:
    """The token has one spelling, and another reader of JSON sees the same in it."""
    assert len(token) <= LIMITS.token_bytes
    header, payload, signature = (
        base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)) for part in token.split(b".")
    )
    assert b".".join(base64.urlsafe_b64encode(each).rstrip(b"=") for each in (header, payload, signature)) == token
    assert (parsed.signed, parsed.signature) == (token.rpartition(b".")[0], signature)
    for raw in (header, payload):
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=strictly, parse_constant=no_constant)
        assert type(value) is dict
    assert json_bytes(json.loads(json_bytes(parsed.payload))) == json_bytes(parsed.payload)
    assert same(value, parsed.payload), "two readers, two payloads"
    again = KEY.sign(json_bytes(parsed.payload), header)
    assert parse_token(again).payload == parsed.payload, "what was read cannot be read again"


def same(one: Any, other: Any) -> bool:
    """Whether two readings agree. An integer beyond 64 bits may have become a float: no claim takes either."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is int and type(other) is float:
        return abs(one) >= 2**63 and float(one) == other
    return type(one) is type(other) and one == other


def check_judgement(token: bytes, parsed: Parsed, decision: Granted | Denied) -> None:
    """A yes hangs on a signature that holds, and on a payload that the oracle lets in; a no on what applies."""
    header = json.loads(base64.urlsafe_b64decode(token.partition(b".")[0] + b"=="))
    signers = frozenset(["cloud", "oidc"]) if is_signed(parsed) else frozenset[str]()
    wanted = answer(Question(ROWS, parsed.payload, signers, "orders", (), NOW))
    if isinstance(decision, Granted):
        assert is_signed(parsed), "a yes without a signature"
        assert isinstance(verify(token, INDEX, KEYS), Verified)
        assert header["alg"] in ("EdDSA", "Ed25519")
        assert header.get("kid") in ("fuzz", None)
        assert not set(NEVER) & header.keys()
        assert granted_answer(decision.principal) == wanted, decision
    elif header == HEADER:
        assert decision.reason in wanted.reasons, (decision, wanted)


def is_signed(parsed: Parsed) -> bool:
    """Whether the published key signed this, by `cryptography` alone."""
    try:
        KEY.private.public_key().verify(parsed.signature, parsed.signed)
    except InvalidSignature:
        return False
    return True


def seeds() -> Iterator[bytes]:
    """Yield sound tokens of each form, signed and forged, the spoiled ones of the oracle, and published vectors."""
    sound = [v2_claims(), v1_claims(), oidc_claims()]
    for claims in sound:
        yield KEY.sign(claims).encode()
        yield b"S" + json_bytes(HEADER) + b"\n" + json_bytes(claims)
        yield b"F" + json_bytes(HEADER) + b"\n" + json_bytes(claims)
    for claims in sound:
        for name, values in PAYLOAD_WORDS.items():
            yield b"S" + json_bytes(HEADER) + b"\n" + json_bytes({**claims, name: values[0]})
    for name, words in HEADER_WORDS.items():
        yield b"S" + json_bytes({**HEADER, name: words[0]}) + b"\n" + json_bytes(sound[0])
    for path in vector_files("wycheproof"):
        for group in json.loads(path.read_bytes())["testGroups"]:
            yield from (test["jws"].encode() for test in group["tests"] if isinstance(test["jws"], str))
    for path in vector_files("jsontestsuite", "test_parsing.json"):
        for case in json.loads(path.read_bytes()):
            yield b"S" + json_bytes(HEADER) + b'\n{"iss":' + base64.b64decode(case["b64"])[:4_000] + b"}"


def mutate(data: bytes, number: int, change: Change) -> bytes:
    """Change one member of header or payload; now and then the bytes, or the spelling of the whole token."""
    random = Random(number)
    if random.random() < 0.1:
        return respelled(token_of(data), random)
    if data[:1] not in (b"S", b"F") or random.random() < 0.1:
        return change(data)
    header, _, payload = data[1:].partition(b"\n")
    if random.random() < 0.15:
        header = text(changed(document(header), random, change, HEADER_WORDS))
    else:
        payload = text(changed(document(payload), random, change, PAYLOAD_WORDS))
    return data[:1] + header.replace(b"\n", b"") + b"\n" + payload


def respelled(token: bytes, random: Random) -> bytes:
    """Write one part of a token in another way: other unused bits, padding, another alphabet, a character more."""
    parts = token.split(b".")
    place = random.randrange(len(parts))
    part = parts[place]
    last = bytes([random.choice(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")])
    other = (part[:-1] + last, part + b"=", part + b"==", part + last, part + b"\n", part.replace(b"-", b"+"), b"")
    parts[place] = random.choice(other)
    return b".".join(parts)


TARGET: Final = Target(run, seeds, mutate, LIMITS.token_bytes + 64)
