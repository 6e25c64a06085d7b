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

from tenantgate.core.claims import CALLER_CLAIMS, Caller
from tenantgate.core.keys import KeySet, KeySetRef, VerifyKey
from tenantgate.core.policy import IssuerRow
from tenantgate.core.token import Header, UnverifiedToken

MOST: Final = 16_384
"""Callers remembered, at most: about 1 kB each."""
_SHAPES: Final = 256
"""Orders of claims for which the way to the static ones is kept, at most: an issuer writes few."""

STATIC: Final = ("iss", "tid", "ver", "azp", "appid", "azpacr", "appidacr", "aud", "oid", "sub", "idtyp", "xms_idrel")
"""The claims by whose values a caller is remembered. All must be strings."""
REMARKABLE: Final = CALLER_CLAIMS.difference(STATIC) | {"TID", "TId", "TiD", "Tid", "tID", "tId", "tiD"}
"""A token with one of these is read anew each time: they say more than a plain application's token does."""


class Known(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A caller seen before: its header and claims, and the key that header and issuer lead to."""

    header: Header
    key_set: KeySet
    key: VerifyKey
    ref: KeySetRef
    issuer: IssuerRow
    caller: Caller


class _Memory(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What a caller's tokens have alike: the names of the claims in their order, and the values of the static ones."""

    names: tuple[str, ...]
    static: Callable[[dict[str, Any]], Any]
    values: tuple[str, ...]
    known: Known


class Recognised:
    """The memory. Read and written by any thread, each step one operation on a dict."""

    __slots__ = ("_by_oid", "_static")

    def __init__(self) -> None:
        self._by_oid: dict[Any, _Memory] = {}
        self._static: dict[tuple[str, ...], Callable[[dict[str, Any]], Any]] = {}

    def clear(self) -> None:
        """Forget everybody."""
        self._by_oid.clear()

    def find(self, token: UnverifiedToken) -> Known | None:
        """Return what is known of an unverified token's like. Whether its key set is still in use is not asked here."""
        payload = token.payload
        oid = payload.get("oid")
        memory = self._by_oid.get(oid) if type(oid) is str else None
        if memory is None or tuple(payload) != memory.names or memory.static(payload) != memory.values:
            return None
        return memory.known if memory.known.header is token.header else None

    def add(self, payload: dict[str, Any], known: Known) -> None:
        """Remember the caller of a verified Entra token, where the token is a plain one."""
        if not payload.keys().isdisjoint(REMARKABLE):
            return
        names = tuple(payload)
        static = self._static.get(names) or self._add_static(names)
        values = static(payload)
        # Two values of other types may be equal and not mean the same (1, 1.0 and true).
        if set(map(type, values)) != {str}:
            return
        if len(self._by_oid) >= MOST:
            self.clear()
        self._by_oid[payload["oid"]] = _Memory(names, static, values, known)

    def _add_static(self, names: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
        if len(self._static) >= _SHAPES:
            self._static.clear()
        static = self._static[names] = itemgetter(*(name for name in STATIC if name in names))
        return static
