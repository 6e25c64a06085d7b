"""An issuer's verification keys: parsed from a JWKS, weighed, each bound to exactly one algorithm.

A bad key is dropped with a reason and the good ones serve; a set without a usable key is malformed. The
documents come from the network: nothing in them is trusted beyond "these are this issuer's public keys".
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec
import pybase64

from tenantgate.core.clouds import find_cloud
from tenantgate.core.limits import LIMITS
from tenantgate.core.policy import IssuerRow
from tenantgate.core.strict import Unreadable, decode_base64url, is_identity, read_object, shown

if TYPE_CHECKING:
    from jwt.algorithms import Algorithm

RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVE_ALGORITHMS: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
SUPPORTED: Final = frozenset((*RSA_ALGORITHMS, *CURVE_ALGORITHMS.values()))
"""Every algorithm a token may name. Symmetric ones and `none` are not here and cannot be configured."""

MAX_KID: Final = LIMITS.kid_bytes
"""Characters of a `kid`."""
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192

PRIVATE_MEMBERS: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
"""Members of a JWK that only its owner may know (RFC 7518 §6)."""
_TO_BASE64URL: Final = str.maketrans("+/", "-_")
_COORDINATE: Final = {"P-256": 32, "P-384": 48, "P-521": 66, "Ed25519": 32}


class MalformedKeySet(Exception):
    """The document is not a key set, or no key in it can be used. The set that was in use stays."""


class KeySetRef(NamedTuple):
    """Names one key set: an issuer, its document (`v1` or `v2`; `v2` for any OIDC issuer), an `appid` or none."""

    issuer: str
    document: str = "v2"
    appid: str | None = None


def own_key_set(row: IssuerRow) -> KeySetRef | None:
    """Return the key set in which applications have keys of their own at an issuer, without its appid; None elsewhere.

    Entra's v2 document, where it is discovered: its keys say whose they are. A v1 document's do not, and what one
    application's lists is less Microsoft's own word than the shared one.
    """
    discovered = row.kind == "entra" and row.jwks is None and row.metadata_url is not None
    return KeySetRef(row.id, "v2") if discovered else None


class VerifyKey(msgspec.Struct, frozen=True, eq=False):
    """A public key and the one algorithm it may be used with.

    `issuer` is the JWK's own `issuer` member (an Entra extension), maybe a `{tenantid}` template. `check` is `verify`
    with everything prepared. `distrusted`: an operator said that it verifies nothing.
    """

    kid: str | None
    alg: str
    key: Any
    check: Callable[[bytes, bytes], bool]
    issuer: str | None = None
    distrusted: bool = False

    def verify(self, signed: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `signed`."""
        return self.check(signed, signature)


class DroppedKey(msgspec.Struct, frozen=True):
    """A key of the document that is not used, and why. `kid` is as `shown` makes it: bounded, visible ASCII."""

    kid: str
    reason: str


class KeySet(msgspec.Struct, frozen=True, eq=False):
    """One issuer's usable keys by `kid`, and those that were dropped."""

    keys: dict[str, VerifyKey]
    nameless: VerifyKey | None = None
    dropped: tuple[DroppedKey, ...] = ()

    def find(self, kid: str | None) -> VerifyKey | None:
        """Return the key that `kid` names; without a `kid`, the only key there is."""
        if kid is not None:
            return self.keys.get(kid)
        if self.nameless is not None:
            return self.nameless
        return next(iter(self.keys.values())) if len(self.keys) == 1 else None


class NoKeys(NamedTuple):
    """There are no keys to judge with: never fetched (`too_old` false), or past the hard age limit."""

    too_old: bool
    age: float | None = None


_NEVER_FETCHED: Final = NoKeys(too_old=False)


class KeySource(Protocol):
    """Where `verify` finds keys that are at hand. Never fetches, never waits."""

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Return the key set in use for `ref`."""
        ...


class StaticKeys:
    """A KeySource over the key sets that issuer rows carry themselves: no fetch, no age.

    Raises:
        MalformedKeySet: a row's key set has no usable key.
    """

    def __init__(self, rows: Iterable[IssuerRow]) -> None:
        self._sets: dict[KeySetRef, KeySet] = {}
        for row in rows:
            for document, jwks in (("v2", row.jwks), ("v1", row.v1_jwks)):
                if jwks is not None:
                    self._sets[KeySetRef(row.id, document)] = build_key_set(jwks, row)

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Return the key set the row carried, or that there is none."""
        return self._sets.get(ref, _NEVER_FETCHED)


def parse_jwks(raw: bytes, issuer: IssuerRow) -> KeySet:
    """Parse a fetched JWKS document (untrusted bytes) for an issuer.

    Raises:
        MalformedKeySet: not strict JSON, no `keys` array, or no usable key in it.
    """
    try:
        document = read_object(raw)
    except Unreadable as error:
        raise MalformedKeySet(f"the key set is {error}") from None
    return build_key_set(document, issuer)


def build_key_set(document: dict[str, Any], issuer: IssuerRow) -> KeySet:
    """Weigh every key of a decoded JWKS (RFC 7517 §5) and keep the good ones.

    Raises:
        MalformedKeySet: no `keys` array, or no usable key in it.
    """
    members = document.get("keys")
    if type(members) is not list or len(members) > LIMITS.members:
        raise MalformedKeySet("the key set has no `keys` array of a sane length")
    if not members:
        raise MalformedKeySet("the key set is empty")
    good: dict[str, VerifyKey] = {}
    twice: set[str] = set()
    nameless: list[VerifyKey] = []
    dropped: list[DroppedKey] = []
    for jwk in members:
        try:
            key = parse_jwk(jwk, issuer)
        except Unusable as error:
            dropped.append(DroppedKey(_name(jwk), str(error)))
            continue
        if key.kid is None:
            nameless.append(key)
        elif key.kid in good or key.kid in twice:
            good.pop(key.kid, None)
            twice.add(key.kid)
            dropped.append(DroppedKey(shown(key.kid), _TWICE))
        else:
            good[key.kid] = key
    if nameless and (good or len(nameless) > 1):
        dropped.extend(DroppedKey("", "no kid, and it is not the only key") for _ in nameless)
        nameless.clear()
    if not good and not nameless:
        reasons = ", ".join(sorted({drop.reason for drop in dropped}))
        raise MalformedKeySet(f"the key set has no usable key: {reasons}")
    return KeySet(good, nameless[0] if nameless else None, tuple(dropped))


_TWICE: Final = "kid appears twice"


class Unusable(Exception):
    """A JWK that will not be used. The message is the reason, without key material."""


def parse_jwk(jwk: object, issuer: IssuerRow) -> VerifyKey:
    """Turn one JWK into a prepared key bound to one algorithm.

    Raises:
        Unusable: with the reason, which names no key material.
    """
    if type(jwk) is not dict:
        raise Unusable("not a JSON object")
    kid = jwk.get("kid")
    if kid is not None and not is_identity(kid, MAX_KID):
        raise Unusable("kid is not a sane string")
    _check_purpose(jwk)
    alg = _algorithm_of(jwk, issuer)
    named = _text_member(jwk, "issuer")
    _check_cloud(jwk, issuer)
    numbers = _with_coordinates(jwk)
    algorithm = _algorithm(alg)
    try:
        public = algorithm.from_jwk(numbers)
    except Exception as error:  # noqa: BLE001 - PyJWT lets ValueError, TypeError, KeyError and its own out of here
        raise Unusable(f"not a {shown(jwk.get('kty'))} public key ({type(error).__name__})") from None
    if jwk["kty"] == "RSA":
        check_rsa(public)
    elif jwk["kty"] == "OKP":
        check_ed25519(public)
    distrusted = is_distrusted(kid, alg, public, issuer)
    return VerifyKey(kid, alg, public, _checker(alg, algorithm, public), named, distrusted)


def public_jwk(key: VerifyKey) -> dict[str, Any]:
    """Return a key as a JWK from which `parse_jwk` makes the same key for the same use."""
    members = {"alg": key.alg, "kid": key.kid, "issuer": key.issuer}
    return _numbers(key.alg, key.key) | {name: value for name, value in members.items() if value is not None}


def thumbprint(alg: str, public: Any) -> str:
    """Return a public key's name by its numbers alone (RFC 7638, SHA-256, base64url)."""
    numbers = _numbers(alg, public)
    needed = {name: numbers[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in numbers}
    text = msgspec.json.encode(needed, order="sorted")
    return pybase64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()


def is_distrusted(kid: str | None, alg: str, public: Any, issuer: IssuerRow) -> bool:
    """Whether an operator has distrusted a key of an issuer: by its `kid`, or by its thumbprint under any name."""
    named = issuer.distrusted_keys
    return bool(named) and (kid in named or thumbprint(alg, public) in named)


def _numbers(alg: str, public: Any) -> dict[str, Any]:
    numbers: dict[str, Any] = _algorithm(alg).to_jwk(public, as_dict=True)
    return numbers


def _checker(alg: str, algorithm: Algorithm, public: Any) -> Callable[[bytes, bytes], bool]:
    """Return the verification of one key.

    PyJWT's algorithm objects do it. For RSASSA-PKCS1-v1_5, which nearly every token is signed with, what they make
    anew for each signature (padding and digest) is made once here.
    """
    if not alg.startswith("RS"):
        return lambda signed, signature: bool(algorithm.verify(signed, public, signature))
    # Imported when the first key is prepared: a process that judges nothing pays nothing.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    digests: dict[str, type[hashes.HashAlgorithm]] = {
        "RS256": hashes.SHA256,
        "RS384": hashes.SHA384,
        "RS512": hashes.SHA512,
    }
    verify, scheme, digest = public.verify, padding.PKCS1v15(), digests[alg]()

    def check(signed: bytes, signature: bytes) -> bool:
        try:
            verify(signature, signed, scheme, digest)
        except InvalidSignature:
            return False
        return True

    return check


def _text_member(jwk: dict[str, Any], name: str) -> str | None:
    value = jwk.get(name)
    if value is not None and type(value) is not str:
        raise Unusable(f"{name} member is not a string")
    return value


def _check_cloud(jwk: dict[str, Any], issuer: IssuerRow) -> None:
    """A key that names its cloud (`cloud_instance_name`, an Entra extension) serves in no other one."""
    named = _text_member(jwk, "cloud_instance_name")
    cloud = find_cloud(urlsplit(issuer.authority).netloc) if named is not None and issuer.authority else None
    if cloud is not None and cloud.names and named not in cloud.names:
        raise Unusable(f"it belongs to the cloud {shown(named)}")


def _name(jwk: object) -> str:
    return shown(jwk.get("kid", "")) if type(jwk) is dict else ""


def _check_purpose(jwk: dict[str, Any]) -> None:
    if jwk.get("kty") == "oct":
        raise Unusable("symmetric key")
    if not PRIVATE_MEMBERS.isdisjoint(jwk):
        raise Unusable("private members are published")
    if jwk.get("use", "sig") != "sig":
        raise Unusable(f"use is {shown(jwk['use'])}, not sig")
    operations = jwk.get("key_ops")
    if operations is not None and (type(operations) is not list or "verify" not in operations):
        raise Unusable("key_ops has no verify")


def _algorithm_of(jwk: dict[str, Any], issuer: IssuerRow) -> str:
    """Return the one algorithm this key may be used with (RFC 8725bis §3.1: exactly one per key).

    The issuer's configuration decides where it leaves one choice, else the JWK's `alg`, else the curve. An RSA key
    without `alg` takes the issuer's one configured RSA algorithm (RS256 where none is); of several, nobody can say.
    """
    fitting = _fitting_algorithms(jwk)
    configured = tuple(each for each in issuer.algorithms if each in fitting)
    if issuer.algorithms and not configured:
        named = jwk.get("alg", fitting[0] if len(fitting) == 1 else "RS256")
        raise Unusable(f"alg {shown(named)} is not configured for this issuer")
    alg = jwk.get("alg")
    if alg == "Ed25519":  # RFC 9864 gives EdDSA with this curve a name of its own
        alg = "EdDSA"
    if alg is None:
        choice = configured or (fitting[:1] if len(fitting) == 1 else ("RS256",))
        if len(choice) > 1:
            raise Unusable("it names no alg, and several RSA algorithms are configured for this issuer")
        return choice[0]
    if alg not in fitting:
        raise Unusable(f"alg {shown(alg)} does not fit the key")
    if configured and alg not in configured:
        raise Unusable(f"alg {alg} is not configured for this issuer")
    return str(alg)


def _fitting_algorithms(jwk: dict[str, Any]) -> tuple[str, ...]:
    kty = jwk.get("kty")
    if kty == "RSA":
        return RSA_ALGORITHMS
    if kty not in ("EC", "OKP"):
        raise Unusable(f"kty {shown(kty)} is not supported")
    curve = CURVE_ALGORITHMS.get(jwk["crv"]) if type(jwk.get("crv")) is str else None
    if curve is None or (kty == "OKP") != (curve == "EdDSA"):
        raise Unusable(f"curve {shown(jwk.get('crv'))} is not used for signatures here")
    return (curve,)


def _with_coordinates(jwk: dict[str, Any]) -> dict[str, Any]:
    """Check the numbers of a key; return it with RSA numbers in base64url.

    Some issuers write RSA numbers in plain, padded base64. A published number is not signed bytes, so a
    second spelling of it helps nobody; both are taken (a token's own segments are not so lucky).
    """
    changed = dict(jwk)
    for name in {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",)}[jwk["kty"]]:
        value = jwk.get(name)
        if type(value) is not str or not value.isascii():
            raise Unusable(f"{name} is missing or not a string")
        if jwk["kty"] == "RSA":
            value = changed[name] = value.rstrip("=").translate(_TO_BASE64URL)
        try:
            octets = decode_base64url(value.encode())
        except Unreadable:
            raise Unusable(f"{name} is not base64url") from None
        if jwk["kty"] == "RSA" and len(octets) > MAX_RSA_BITS // 8 + 1:
            raise Unusable(f"{name} is longer than {MAX_RSA_BITS} bits")
        if jwk["kty"] != "RSA" and len(octets) != _COORDINATE[jwk["crv"]]:
            raise Unusable(f"{name} has not the full length of the curve")
    return changed


def check_rsa(public: Any) -> None:
    """Refuse an RSA key that is weak, or a burden to compute with. Raises Unusable."""
    numbers = public.public_numbers()
    bits = numbers.n.bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise Unusable(f"RSA key of {bits} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are accepted")
    if numbers.e < 65537 or numbers.e % 2 == 0 or numbers.e.bit_length() > 32:
        raise Unusable("RSA exponent is not an odd number from 65537 to 2^32")
    if any(numbers.n % prime == 0 for prime in (2, *_ROCA_PRIMES)):
        raise Unusable("RSA modulus has a small factor")
    if has_roca_fingerprint(numbers.n):
        raise Unusable("RSA key has the ROCA fingerprint (CVE-2017-15361)")


# The y coordinates of Ed25519's points of small order, canonical and not, without the sign bit: under
# such a key anybody can make signatures that hold for any message.
_P25519: Final = 2**255 - 19
_SMALL_ORDER: Final = frozenset(
    (
        0,
        1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        _P25519 - 1,
        _P25519,
        _P25519 + 1,
    )
)


def check_ed25519(public: Any) -> None:
    """Refuse an Ed25519 key under which anybody can sign. Raises Unusable."""
    if int.from_bytes(public.public_bytes_raw(), "little") & (2**255 - 1) in _SMALL_ORDER:
        raise Unusable("Ed25519 key is a point of small order")


@functools.cache
def _algorithm(name: str) -> Algorithm:
    # Imported when the first key is prepared: a process that judges nothing pays nothing.
    from jwt.algorithms import get_default_algorithms

    return get_default_algorithms()[name]


_ROCA_PRIMES: Final = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip


@functools.cache
def _roca_residues() -> tuple[frozenset[int], ...]:
    residues = []
    for prime in _ROCA_PRIMES:
        reached, power = set(), 1
        while power not in reached:
            reached.add(power)
            power = power * 65537 % prime
        residues.append(frozenset(reached))
    return tuple(residues)


def has_roca_fingerprint(modulus: int) -> bool:
    """Whether a modulus is a product of primes of the weak form k·M + 65537^a mod M (Nemec et al., CCS 2017)."""
    return all(modulus % prime in reached for prime, reached in zip(_ROCA_PRIMES, _roca_residues(), strict=True))
