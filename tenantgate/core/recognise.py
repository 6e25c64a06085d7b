"""Callers seen before: what a verified token taught, found again by the parts that all tokens of a caller have alike.

Tokens of one daemon differ in their times and ids and in nothing else. All that verification finds out between the
parse and the signature (issuer, tenant, version, key, algorithm, binding, and who the caller is) depends on the
header, on the claims in `STATIC`, on which claims there are at all, on the issuer's row and on the key set. So it is
found out once. Nothing is believed because of it: the signature is checked for every token, and what is remembered
only says by which key, and what the claims mean if it holds.

Only verified tokens of listed tenants get in, so strangers can neither fill it nor push anybody out.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

import msgspec

from tenantgate.core.claims import CALLER_CLAIMS, LATEST, Caller, VerifiedClaims, read_claims
from tenantgate.core.keys import KeySet, KeySetRef, VerifyKey
from tenantgate.core.policy import IssuerRow
from tenantgate.core.strict import is_identity
from tenantgate.core.token import Header, UnverifiedToken

MOST: Final = 16_384
"""Callers remembered, at most: about 1 kB each."""
_SHAPES: Final = 256
"""Orders of claims for which the way to the static ones is kept, at most: an issuer writes few."""

STATIC: Final = ("iss", "tid", "ver", "azp", "appid", "azpacr", "appidacr", "aud", "oid", "sub", "idtyp", "xms_idrel")
"""The claims by whose values a caller is remembered. All must be strings."""
REMARKABLE: Final = CALLER_CLAIMS.difference(STATIC) | {"TID", "TId", "TiD", "Tid", "tID", "tId", "tiD"}
"""A token with one of these is read anew each time: they say more than a plain application's token does."""


_OWN: Final = ("iat", "nbf", "exp", "uti", "roles")
"""What differs from one of a caller's tokens to the next, and is read of each. A plain token has all of them."""


class Known(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A caller seen before: its header and claims, and the key that header and issuer lead to.

    `roles` are those of its last token that was read in full.
    """

    header: Header
    key_set: KeySet
    key: VerifyKey
    ref: KeySetRef
    issuer: IssuerRow
    caller: Caller
    roles: tuple[str, ...] = ()

    def read(self, payload: dict[str, Any], own: tuple[Any, ...]) -> VerifiedClaims:
        """Read what is the own of a verified token of this caller, as `core.claims.read_claims` does.

        `own` are its values of the claims in `_OWN`.

        Raises:
            Refused: claim_missing or claim_malformed, naming the claim.
        """
        issued_at, not_before, expires_at, uti, roles = own
        if (
            type(issued_at) is int
            and type(not_before) is int
            and type(expires_at) is int
            and 0 <= issued_at | not_before | expires_at < LATEST  # no bit beyond, and no sign, in any of them
            and is_identity(uti)
            and type(roles) is list
            and (*roles,) == self.roles
        ):
            return VerifiedClaims(self.caller, issued_at, not_before, expires_at, self.roles, payload)
        return read_claims(self.caller, payload)


class _Shape(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Tokens with the very same claims. `values` gives all of them: the static ones, then a token's own, then the rest.

    It has a value for each name, and a token with as many claims that has each of them has no other.
    """

    count: int
    values: Callable[[dict[str, Any]], tuple[Any, ...]]
    static: slice
    own: slice


class _Memory(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What a caller's tokens have alike: which claims there are, and the values of the static ones."""

    shape: _Shape
    static: tuple[str, ...]
    known: Known


class Recognised:
    """The memory. Read and written by any thread, each step one operation on a dict."""

    __slots__ = ("_by_oid", "_shapes")

    def __init__(self) -> None:
        self._by_oid: dict[Any, _Memory] = {}
        self._shapes: dict[frozenset[str], _Shape] = {}

    def clear(self) -> None:
        """Forget everybody."""
        self._by_oid.clear()

    def find(self, token: UnverifiedToken) -> tuple[Known, tuple[Any, ...]] | None:
        """Return what is known of an unverified token's like, and the token's own values (as `Known.read` wants them).

        Whether its key set is still in use is not asked here.
        """
        payload = token.payload
        oid = payload.get("oid")
        memory = self._by_oid.get(oid) if type(oid) is str else None
        if memory is None or memory.known.header is not token.header or len(payload) != memory.shape.count:
            return None
        shape = memory.shape
        try:
            values = shape.values(payload)
        except KeyError:
            return None
        return (memory.known, values[shape.own]) if values[shape.static] == memory.static else None

    def add(self, payload: dict[str, Any], known: Known) -> None:
        """Remember the caller of a verified Entra token, where the token is a plain one."""
        names = payload.keys()
        if not names.isdisjoint(REMARKABLE) or not names >= _OWN_NAMES:
            return
        key = frozenset(names)
        shape = self._shapes.get(key) or self._add_shape(key)
        static = shape.values(payload)[shape.static]
        # Two values of other types may be equal and not mean the same (1, 1.0 and true).
        if set(map(type, static)) != {str}:
            return
        if len(self._by_oid) >= MOST:
            self.clear()
        self._by_oid[payload["oid"]] = _Memory(shape, static, known)

    def _add_shape(self, names: frozenset[str]) -> _Shape:
        if len(self._shapes) >= _SHAPES:
            self._shapes.clear()
        static = tuple(name for name in STATIC if name in names)
        rest = tuple(sorted(names.difference(static, _OWN)))
        own = slice(len(static), len(static) + len(_OWN))
        shape = _Shape(len(names), itemgetter(*(static + _OWN + rest)), slice(len(static)), own)
        self._shapes[names] = shape
        return shape


_OWN_NAMES: Final = frozenset(_OWN)
