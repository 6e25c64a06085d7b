"""More exact advice for callers who may read reasons: a refusal is judged once more for it, so many times a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from tenantgate.core.decision import Denied
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySource
from tenantgate.core.token import READER, TokenReader
from tenantgate.core.trace import explain

MOST: Final = 50
"""Refusals explained in one second, at most: an explanation costs about two judgements, and a flood needs none."""


class Advisor:
    """Explains refusals to their callers. Thread-safe: a race costs one explanation more or less."""

    def __init__(self, now: Callable[[], float], reader: TokenReader = READER, most: int = MOST) -> None:
        self._now = now
        self._reader = reader
        self._most = most
        self._began = float("-inf")
        self._given = 0

    def advise(
        self,
        denied: Denied,
        token: bytes | None,
        index: PolicyIndex | None,
        keys: KeySource,
        peer: str | None = None,
    ) -> Denied:
        """Return the denial with what its caller can do about this very token, where the resource shows reasons.

        Where another policy is in force by now the explanation may be of another reason: then it is not given.
        """
        if not denied.show_reason or token is None or index is None or not self._may():
            return denied
        resource, wanted = denied.resource, denied.wanted_roles
        trace = explain(token, index, keys, resource, wanted, self._now(), peer=peer, reader=self._reader)
        return replace(denied, advice=trace.partner) if trace.reason is denied.reason else denied

    def _may(self) -> bool:
        now = self._now()
        if not 0 <= now - self._began < 1:  # a clock that was set back begins a second, too
            self._began, self._given = now, 0
        self._given += 1
        return self._given <= self._most
