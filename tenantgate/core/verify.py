"""Is this token authentic? Form, issuer, key, binding, signature: a table of steps over one token.

Nothing a token says is believed before its signature holds; until then `iss` and `tid` only choose the
rule. What comes out has not been weighed by the policy yet: time, audience and the allow-list are asked
by `core.judge` on every request, whether the claims are fresh or remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from tenantgate.core.claims import Caller, VerifiedClaims, read_claims, read_entra_caller
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.entries import IssuerEntry
from tenantgate.core.index import PLACEHOLDER, PolicyIndex
from tenantgate.core.keys import KeySet, KeySetRef, KeySource, NoKeys, VerifyKey
from tenantgate.core.policy import CONSUMER_TENANT, IssuerRow
from tenantgate.core.recognise import Known, Recognised
from tenantgate.core.strict import guid_bytes, guid_text, shown
from tenantgate.core.token import READER, Refused, TokenReader, UnverifiedToken

_CONSUMERS: Final = guid_bytes(CONSUMER_TENANT)
_TID_TWINS: Final = frozenset(("TID", "TId", "TiD", "Tid", "tID", "tId", "tiD"))
_AN_ISSUER: Final = "an iss the policy knows"
_STRANGER: Final = f"issuer: expected {_AN_ISSUER}, got iss "
_NO_ISSUER: Final = R.ISSUER_UNKNOWN  # a member looked up costs a stranger's refusal more than a name does
_VERSIONS: Final = {"v1": "1.0", "v2": "2.0"}


class NeedKeys(NamedTuple):
    """The judgement waits for keys: `ref` has never been fetched, or does not hold `kid`.

    `reason` is the denial if no fetch brings it.
    """

    ref: KeySetRef
    kid: str | None
    reason: R
    detail: str


class Verified(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An authentic token: its claims, and what they hang on: the key, its key set, the issuer's row.

    Remembered claims hold only while the key set still has this very key and the policy this very row.
    """

    claims: VerifiedClaims
    key: VerifyKey
    ref: KeySetRef
    issuer: IssuerRow


class Reading:
    """One token on its way through the steps; each step finds what the next one needs.

    `appid` is the API's own application id where Entra signs its tokens with keys of its own. `token`, `tried` and
    `holds` are what is known already: the token taken apart, a key it was tried with, and whether its signature held.
    """

    __slots__ = (
        "appid",
        "caller",
        "claims",
        "document",
        "entry",
        "holds",
        "index",
        "iss",
        "key",
        "key_set",
        "keys",
        "raw",
        "reader",
        "recognised",
        "ref",
        "refused",
        "row",
        "signature",
        "taken",
        "tid",
        "tid_text",
        "token",
        "tried",
    )

    def __init__(
        self,
        raw: str | bytes,
        index: PolicyIndex,
        keys: KeySource,
        reader: TokenReader = READER,
        appid: str | None = None,
        token: UnverifiedToken | None = None,
        tried: VerifyKey | None = None,
        *,
        holds: bool = False,
    ) -> None:
        self.raw: str | bytes = raw
        self.index = index
        self.keys = keys
        self.reader = reader
        self.appid = appid
        self.token: UnverifiedToken
        if token is not None:
            self.token = token
        self.taken = token is not None
        self.recognised: Recognised
        self.iss: str
        self.entry: IssuerEntry
        self.row: IssuerRow
        self.document: str
        self.tid: bytes | None
        self.tid_text: str
        self.key: VerifyKey
        self.key_set: KeySet
        self.ref: KeySetRef
        self.caller: Caller
        self.claims: VerifiedClaims
        self.signature: bytes
        self.tried = tried
        self.holds = holds
        self.refused: Refused | None = None


Outcome = R | NeedKeys | None


class Step(NamedTuple):
    """One step: a test, and the two sides of it for the trace (safe values only)."""

    name: str
    test: Callable[[Reading], Outcome]
    expected: Callable[[Reading], str]
    received: Callable[[Reading], str]


def verify(
    token: str | bytes,
    index: PolicyIndex,
    keys: KeySource,
    reader: TokenReader = READER,
    appid: str | None = None,
) -> Verified | Denied | NeedKeys:
    """Decide whether a token was signed by the issuer it names, with a key that is that issuer's own.

    `token` is untrusted. Asks no clock, opens no connection. Any input ends in one of the three.
    """
    holds: bool | None = None
    try:
        taken = reader.take_apart(token)
    except Refused:
        return _by_steps(Reading(token, index, keys, reader, appid))
    found = index.recognised.find(taken) if appid is None else None
    known, own = (None, ()) if found is None else found
    if known is not None and keys.key_set(known.ref) is known.key_set and not index.broken:
        # The short way only ever says yes; whatever is wrong with a token, the steps below name it. All of them between
        # form and signature depend on nothing but what the caller was recognised by, and the last one passed them.
        try:
            holds = known.key.check(taken.raw[: taken.end], reader.prove(taken))
            if holds:
                return Verified(known.read(taken.payload, own), known.key, known.ref, known.issuer)
        except Refused:
            pass  # of what, the steps say
    elif known is None:
        iss = taken.payload.get("iss")
        # The first thing the steps would find, said without them; `_is_stranger` written out, for strangers are many.
        if type(iss) is str and index.find_issuer(iss) is None and not index.broken:
            return Denied(_NO_ISSUER, _STRANGER + shown(iss), index.revision)
    tried = None if holds is None or known is None else known.key
    return _by_steps(Reading(token, index, keys, reader, appid, taken, tried, holds=holds or False))


def _is_stranger(iss: Any, index: PolicyIndex) -> bool:
    return type(iss) is str and index.find_issuer(iss) is None and not index.broken


def _by_steps(reading: Reading) -> Verified | Denied | NeedKeys:
    for test in _TESTS:
        outcome = test(reading)
        if outcome is not None:
            return _ended(reading, test, outcome)
    _remember(reading)
    return Verified(reading.claims, reading.key, reading.ref, reading.row)


def _ended(reading: Reading, test: Callable[[Reading], Outcome], outcome: R | NeedKeys) -> Denied | NeedKeys:
    if isinstance(outcome, NeedKeys):
        return outcome
    step = STEPS[_TESTS.index(test)]
    detail = f"{step.name}: expected {step.expected(reading)}, got {step.received(reading)}"
    return Denied(outcome, detail, reading.index.revision)


def _remember(reading: Reading) -> None:
    if reading.appid is None and reading.tid is not None and reading.index.is_settled(reading.iss):
        token, caller, roles = reading.token, reading.caller, reading.claims.roles
        known = Known(token.header, reading.key_set, reading.key, reading.ref, reading.row, caller, roles)
        reading.recognised.add(token.payload, known)


def _policy(reading: Reading) -> R | None:
    """A policy that was applied by half cannot say whose fault anything is."""
    return R.POLICY_UNAVAILABLE if reading.index.broken else None


def _form(reading: Reading) -> R | None:
    if reading.taken:
        return None
    try:
        reading.token = reading.reader.take_apart(reading.raw)
    except Refused as refused:
        reading.refused = refused
        return refused.reason
    return None


def _strict(reading: Reading) -> R | None:
    """One spelling, each name once. Of a stranger's token nobody wants to know: the next step refuses it for less."""
    if _is_stranger(reading.token.payload.get("iss"), reading.index):
        return None
    try:
        reading.signature = reading.reader.prove(reading.token)
    except Refused as refused:
        reading.refused = refused
        return refused.reason
    return None


def _issuer(reading: Reading) -> R | None:
    iss = reading.token.payload.get("iss")
    if type(iss) is not str:
        return R.CLAIM_MISSING if iss is None else R.CLAIM_MALFORMED
    reading.recognised = reading.index.recognised  # before the issuer is read: what replaces it meanwhile stays clean
    match = reading.index.find_issuer(iss)
    if match is None:
        return R.ISSUER_UNKNOWN
    reading.iss, reading.row = iss, match.entry.row
    reading.entry, reading.document, reading.tid, reading.tid_text = match
    return R.CONSUMER_TENANT if match.tid == _CONSUMERS else None


def _tenant(reading: Reading) -> R | None:
    """Entra: `tid` is a GUID, the one in `iss`, and stands there once however it is spelled."""
    if reading.tid is None:
        return None
    payload = reading.token.payload
    tid = payload.get("tid")
    if not _TID_TWINS.isdisjoint(payload):
        return R.CLAIM_MALFORMED  # somebody else would believe the other spelling
    # Compared as text, as Microsoft's own validator does: the issuer writes both alike.
    if tid == reading.tid_text:
        return None
    if tid is None:
        return R.CLAIM_MISSING
    return R.CLAIM_MALFORMED if guid_bytes(tid) is None else R.TENANT_MISMATCH


def _version(reading: Reading) -> R | None:
    if reading.tid is None:
        return None
    version = reading.token.payload.get("ver")
    if version == _VERSIONS[reading.document]:
        return None
    return R.CLAIM_MISSING if version is None else R.VERSION_MISMATCH


def _type(reading: Reading) -> R | None:
    typ, oidc = reading.token.header.typ, reading.entry.oidc
    allowed = reading.row.token_types if oidc is None else oidc.token_types
    if typ is None and oidc is not None and oidc.typ_required:
        return R.TOKEN_TYPE_NOT_ALLOWED
    if typ is None or typ in allowed:
        return None
    short = typ.lower().removeprefix("application/")
    return None if any(short == each.lower() for each in allowed) else R.TOKEN_TYPE_NOT_ALLOWED


def _key(reading: Reading) -> Outcome:
    """Find the key by `kid`, in the key sets where a token of this form may have it."""
    kid = reading.token.header.kid
    need: NeedKeys | None = None
    for ref in reading.entry.key_sets.refs(reading.document, reading.appid):
        found = reading.keys.key_set(ref)
        if isinstance(found, KeySet):
            key = found.find(kid)
            if key is not None:
                reading.key, reading.key_set, reading.ref = key, found, ref
                return R.SIGNING_KEY_DISTRUSTED if key.distrusted else None
            need = need or NeedKeys(ref, kid, R.SIGNING_KEY_UNKNOWN, f"no key {shown(kid)} at {ref.issuer}")
        else:
            need = need or _no_keys(ref, kid, found)
    # What no document brings is not worth a fetch where it would verify nothing.
    return R.SIGNING_KEY_DISTRUSTED if kid in reading.row.distrusted_keys else need


def _no_keys(ref: KeySetRef, kid: str | None, found: NoKeys) -> NeedKeys:
    if found.too_old:
        return NeedKeys(ref, kid, R.KEY_SET_TOO_OLD, f"keys of {ref.issuer} are {found.age or 0:.0f} s old")
    return NeedKeys(ref, kid, R.KEY_SET_UNAVAILABLE, f"keys of {ref.issuer} ({ref.document}) have not been fetched")


def _algorithm(reading: Reading) -> R | None:
    return None if reading.token.header.alg == reading.key.alg else R.ALGORITHM_NOT_ALLOWED


def _binding(reading: Reading) -> R | None:
    """The key belongs to the token's issuer (Entra's per-key `issuer`). No setting switches this off."""
    named, row = reading.key.issuer, reading.row
    if reading.tid is None:
        return None if named is None or named == reading.iss else R.KEY_ISSUER_MISMATCH
    if reading.ref.document == "v1":
        wanted: str | None = row.v1_issuer
        if named is None:  # v1 documents name no issuer: the document itself is the cloud's own
            return None
    else:
        wanted = row.v2_issuer
    if named is None or wanted is None:
        return R.KEY_ISSUER_MISMATCH  # a tenant-independent v2 document must say whose each key is
    if named == wanted:  # the same template
        return None
    # v1 tokens may be signed by keys of the v2 document: then the v2 issuer with this tid must be the key's.
    tid = reading.tid_text
    return None if named.replace(PLACEHOLDER, tid) == wanted.replace(PLACEHOLDER, tid) else R.KEY_ISSUER_MISMATCH


def _signature(reading: Reading) -> R | None:
    if reading.tried is not reading.key:  # else it was asked on the short way: nobody makes us ask twice
        token = reading.token
        reading.holds = reading.key.check(token.raw[: token.end], reading.signature)
    return None if reading.holds else R.SIGNATURE_INVALID


def _claims(reading: Reading) -> R | None:
    """From here on the payload is what the issuer signed; its types are settled once."""
    payload, limits = reading.token.payload, reading.reader.limits
    try:
        if reading.tid is None:
            assert reading.entry.oidc is not None
            reading.claims = reading.entry.oidc.read(payload, limits)
        else:
            reading.caller = read_entra_caller(payload, reading.row, reading.document, reading.tid, limits)
            reading.claims = read_claims(reading.caller, payload)
    except Refused as refused:
        reading.refused = refused
        return refused.reason
    return None


def _refused(reading: Reading) -> str:
    return reading.refused.detail if reading.refused is not None else "as expected"


def _claim(name: str) -> Callable[[Reading], str]:
    def received(reading: Reading) -> str:
        value = reading.token.payload.get(name)
        if value is None:
            return f"no {name}"
        return f"{name} {shown(value)}" if type(value) is str else f"{name} {shown(value)} (not a string)"

    return received


def _tenant_in_issuer(reading: Reading) -> str:
    return "no tid" if reading.tid is None else f"tid {guid_text(reading.tid)}, once"


def _typ(reading: Reading) -> str:
    typ = reading.token.header.typ
    return "no typ" if typ is None else f"typ {shown(typ)}"


def _wanted_typ(reading: Reading) -> str:
    oidc = reading.entry.oidc
    if oidc is None:
        return f"typ absent or one of {', '.join(reading.row.token_types)}"
    return f"typ {'' if oidc.typ_required else 'absent or '}one of {', '.join(oidc.token_types)}"


def _wanted_version(reading: Reading) -> str:
    return "no ver" if reading.tid is None else f"ver {_VERSIONS[reading.document]}"


def _key_issuer(reading: Reading) -> str:
    return "a key that names no issuer" if reading.key.issuer is None else f"a key of {shown(reading.key.issuer)}"


STEPS: Final = (
    Step(
        "policy",
        _policy,
        lambda r: "a policy that could be applied",
        lambda r: "one that could not" if r.index.broken else "as expected",
    ),
    Step("form", _form, lambda r: "a compact JWS of a supported algorithm", _refused),
    Step("strict form", _strict, lambda r: "one spelling, each name once", _refused),
    Step("issuer", _issuer, lambda r: _AN_ISSUER, _claim("iss")),
    Step("tid", _tenant, _tenant_in_issuer, _claim("tid")),
    Step("version", _version, _wanted_version, _claim("ver")),
    Step("type", _type, _wanted_typ, _typ),
    Step(
        "key",
        _key,
        lambda r: f"a kid that {r.row.id} publishes{' and no operator distrusts' if r.row.distrusted_keys else ''}",
        lambda r: f"kid {shown(r.token.header.kid)}",
    ),
    Step("algorithm", _algorithm, lambda r: f"alg {r.key.alg}", lambda r: f"alg {shown(r.token.header.alg)}"),
    Step("binding", _binding, lambda r: f"a key of {shown(r.iss)}", _key_issuer),
    Step(
        "signature",
        _signature,
        lambda r: f"a signature by key {shown(r.key.kid)}",
        lambda r: "as expected" if r.holds else "another signature",
    ),
    Step("claims", _claims, lambda r: "every needed claim, of its type", _refused),
)
"""The steps in order. `verify` runs the tests; `core.trace` runs the same rows and writes both sides down."""

_TESTS: Final = tuple(step.test for step in STEPS)
