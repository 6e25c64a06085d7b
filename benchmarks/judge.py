"""One token: the whole judgement against the signature alone, against a floor, and against other validators.

In one process, in interleaved rounds: *raw* is `cryptography` verifying the signature and nothing else, which
nobody can undercut; the *floor* is the least a judge must do beside it: base64 of payload and signature, one
decoding of the payload into a struct, SHA-256 of the token. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pybase64
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from benchmarks.measure import Subject, each, figure, measure, ratios
from benchmarks.peers import node_peers, python_peers
from benchmarks.report import machine, versions
from benchmarks.world import RESOURCE, ROLE, World, build, policy
from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason, Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import judge
from tenantgate.core.keys import StaticKeys
from tenantgate.core.verify import Verified, verify

TOKENS: Final = 64
ROUNDS: Final = 200
_WANTED: Final = (ROLE,)
_MEASURED: Final = (
    "tenantgate", "cryptography", "msgspec", "pybase64", "pyjwt", "joserfc", "authlib", "fastapi-azure-auth",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of {TOKENS} tokens (default {ROUNDS})")
    parser.add_argument("--tokens", type=int, default=TOKENS, help=f"different tokens a round (default {TOKENS})")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the figures."""
    world = build(now=int(time.time()), tokens=arguments.tokens)
    others = python_peers(world)
    ours = [raw(world), floor(world), cold(world), newcomer(world), first(world), warm(world), refusal(world)]
    times = measure([*ours, *others.subjects], arguments.rounds)
    peers: dict[str, Any] = {each.name: figure(ratios(times, each.name, "raw")) for each in others.subjects}
    rows = zip(times["cold"], times["raw"], times["floor"], strict=True)
    return {
        "raw_us": figure(times["raw"]),
        "floor_us": figure(times["floor"]),
        "cold_us": figure(times["cold"]),
        "cold_over_raw": figure(ratios(times, "cold", "raw")),
        "overhead_over_floor": figure((whole - signature) / least for whole, signature, least in rows),
        "newcomer_over_raw": figure(ratios(times, "newcomer", "raw")),
        "first_over_raw": figure(ratios(times, "first", "raw")),
        "warm_us": figure(times["warm"]),
        "warm_over_raw": figure(ratios(times, "warm", "raw")),
        "refusal_over_raw": figure(ratios(times, "refusal", "raw")),
        "peers": {**peers, **others.absent, **node_peers(world, max(20, arguments.rounds // 2))},
        "token_bytes": len(world.tokens[0]),
        "rounds": arguments.rounds,
        "machine": machine(),
        "versions": versions(_MEASURED),
    }


def raw(world: World) -> Subject:
    """Return the limit: the signature of each token, split and decoded beforehand."""
    public = world.signer.private.public_key()
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()

    def check(parts: tuple[bytes, bytes]) -> None:
        public.verify(parts[1], parts[0], scheme, digest)

    return each("raw", check, [_split(token) for token in world.tokens])


def _split(token: bytes) -> tuple[bytes, bytes]:
    signed, _, signature = token.rpartition(b".")
    return signed, pybase64.urlsafe_b64decode(signature + b"==")


class LeastClaims(msgspec.Struct, gc=False):
    """What a judge cannot do without."""

    aud: str | list[str]
    iss: str
    iat: int
    exp: int
    nbf: int
    azp: str
    azpacr: str
    idtyp: str
    oid: str
    sub: str
    tid: str
    ver: str
    roles: list[str] = []


def floor(world: World) -> Subject:
    """Return the least work there is beside the signature. The token is split beforehand."""
    decode = msgspec.json.Decoder(LeastClaims).decode
    decode_base64, sha256 = pybase64.b64decode, hashlib.sha256

    def least(parts: tuple[bytes, bytes, bytes]) -> None:
        token, payload, signature = parts
        decode(decode_base64(payload + b"==", b"-_"))
        decode_base64(signature + b"==", b"-_")
        sha256(token).digest()

    return each("floor", least, [(token, *token.split(b".")[1:]) for token in world.tokens])


def cold(world: World) -> Subject:
    """Return the whole judgement of a token never seen before."""

    def ask(token: bytes) -> object:
        return decide(token, world.index, world.keys, RESOURCE, _WANTED, world.now)

    return _checked("cold", ask, world.tokens, None)


def newcomer(world: World) -> Subject:
    """Return the same where the caller was never seen before either: nothing of it is remembered."""
    # An index of its own: nobody else is to begin anew because of it.
    index = PolicyIndex.from_snapshot(policy(1000, {"keys": [world.signer.jwk]}))
    keys = StaticKeys(entry.row for entry in index.issuers.values())
    forget = index.recognised.clear

    def ask(token: bytes) -> object:
        forget()
        return decide(token, index, keys, RESOURCE, _WANTED, world.now)

    return _checked("newcomer", ask, world.tokens, None)


def first(world: World) -> Subject:
    """Return what a gate does with a token it sees for the first time: as cold, and it is remembered."""
    remembered: dict[bytes, Verified] = {}

    def ask(token: bytes) -> object:
        digest = hashlib.sha256(token).digest()
        remembered.pop(digest, None)
        verified = verify(token, world.index, world.keys)
        if not isinstance(verified, Verified):
            return verified
        remembered[digest] = verified
        return judge(verified.claims, world.index, RESOURCE, _WANTED, world.now)

    return _checked("first", ask, world.tokens, None)


def warm(world: World) -> Subject:
    """Return the judgement of a token seen before: digest, look-up, is the key still the key, policy."""
    remembered: dict[bytes, Verified] = {}
    for token in world.tokens:
        verified = verify(token, world.index, world.keys)
        assert isinstance(verified, Verified)
        remembered[hashlib.sha256(token).digest()] = verified
    index, keys = world.index, world.keys

    def ask(token: bytes) -> object:
        found = remembered[hashlib.sha256(token).digest()]
        issuer, in_use = index.issuers[found.ref.issuer], keys.key_set(found.ref)
        if issuer.row is not found.issuer or in_use.find(found.key.kid) is not found.key:  # type: ignore[union-attr]
            raise AssertionError("nobody changed keys or issuers")
        return judge(found.claims, index, RESOURCE, _WANTED, world.now)

    return _checked("warm", ask, world.tokens, None)


def refusal(world: World) -> Subject:
    """Return the refusal of a token whose issuer nobody listed."""

    def ask(token: bytes) -> object:
        return decide(token, world.index, world.keys, RESOURCE, _WANTED, world.now)

    return _checked("refusal", ask, world.strangers, DenialReason.ISSUER_UNKNOWN)


def _checked(
    name: str, ask: Callable[[bytes], object], tokens: tuple[bytes, ...], reason: DenialReason | None
) -> Subject:
    """Return the subject, once every answer has been seen to be the expected one."""
    for token in tokens:
        decision = ask(token)
        right = isinstance(decision, Granted) if reason is None else isinstance(decision, Denied)
        if not right or (isinstance(decision, Denied) and decision.reason is not reason):
            raise AssertionError(f"{name} is measured on the wrong answer: {decision!r}")
    return each(name, ask, tokens)
