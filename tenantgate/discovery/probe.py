"""A look at an issuer, step by step, for whoever sets one up or wonders what is wrong with it. Nothing of it is kept.

It goes through the same door and by the same rules as a fetch in service. The steps: `name` (its addresses),
`connection` (TLS and the certificate), `metadata`, `keys`, `clock`; the first that fails ends those of its document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Literal, Protocol

import msgspec

from tenantgate.core.keys import KeySet, MalformedKeySet, VerifyKey, build_key_set
from tenantgate.core.policy import IssuerRow
from tenantgate.core.strict import shown
from tenantgate.discovery.advice import ADVICE
from tenantgate.discovery.errors import UNEXPECTED, DiscoveryError
from tenantgate.discovery.fetch import fetch_keys, fetch_metadata
from tenantgate.discovery.issuers import documents_of, static_keys
from tenantgate.discovery.limits import KeyLimits
from tenantgate.discovery.metadata import Document, metadata_url
from tenantgate.net.door import Certificate, Door, FetchRules, NetError

Step = Literal["name", "connection", "metadata", "keys", "clock"]
State = Literal["ok", "warning", "failed"]
LARGEST_OFFSET: Final = 30.0
"""Seconds that two clocks may differ without a warning: half the usual skew of a resource."""
_SOON: Final = 14 * 86_400.0
"""Seconds before its end from which a certificate is worth a warning."""
_NONE_LEFT: Final = ("all of its keys are distrusted", "keys_none")
_MOST: Final = 8
"""Keys or addresses named in one finding, at most."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one step found. `code` is stable, None where all is well; `advice` says what to do about it."""

    document: Document
    step: Step
    state: State
    detail: str
    code: str | None = None
    advice: str | None = None


class Scout(Protocol):
    """The first half of a fetch (`net.greeting`). Raises NetError."""

    async def look_up(self, url: str, rules: FetchRules) -> tuple[str, ...]:
        """Return the addresses of a host."""
        ...

    async def greet(self, url: str, rules: FetchRules) -> Certificate | None:
        """Shake hands; None where there is no TLS."""
        ...


async def probe(
    row: IssuerRow,
    door: Door,
    scout: Scout,
    wall: Callable[[], float],
    limits: KeyLimits = KeyLimits(),  # noqa: B008 - frozen
) -> list[Finding]:
    """Look at a checked row's issuer now. `wall`: epoch seconds. What goes wrong is a finding, never an exception."""
    found: list[Finding] = []
    for document in documents_of(row):
        given = static_keys(row, document)
        if given is not None:
            found.append(_given(row, document, given))
            continue
        look = _Look(row, document, limits.rules(row), door, scout, wall)
        for step in (look.names, look.connects, look.describes_itself, look.has_keys):
            steps = await _tried(look, step)
            found += steps
            if steps and steps[-1].state == "failed":
                break
    return found


async def _tried(look: _Look, step: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        return await step()
    except (NetError, DiscoveryError) as error:
        return [look.finding("failed", str(error), error.code)]
    except Exception as error:  # noqa: BLE001 - a defect at one issuer must not hide what is said of the others
        return [look.finding("failed", f"unexpected: {type(error).__name__}", UNEXPECTED)]


class _Look:
    """One document of one issuer, looked at in order."""

    def __init__(
        self,
        row: IssuerRow,
        document: Document,
        rules: FetchRules,
        door: Door,
        scout: Scout,
        wall: Callable[[], float],
    ) -> None:
        self._row = row
        self._document = document
        self._rules = rules
        self._door = door
        self._scout = scout
        self._wall = wall
        self._url = metadata_url(row, document) or ""
        self._jwks_uri = ""
        self._step: Step = "name"

    def finding(self, state: State, detail: str, code: str | None = None) -> Finding:
        """Return what the step under way found."""
        advice = ADVICE.get(code or "")
        return Finding(document=self._document, step=self._step, state=state, detail=detail, code=code, advice=advice)

    async def names(self) -> list[Finding]:
        """Look the host up; by a proxy, that is the proxy's business."""
        self._step = "name"
        if self._rules.proxy is not None:
            return [self.finding("ok", f"the proxy {self._rules.proxy} looks the name up")]
        addresses = await self._scout.look_up(self._url, self._rules)
        return [self.finding("ok", ", ".join(addresses[:_MOST]))]

    async def connects(self) -> list[Finding]:
        """Shake hands."""
        self._step = "connection"
        if self._rules.proxy is not None:
            return []
        certificate = await self._scout.greet(self._url, self._rules)
        if certificate is None:
            return [self.finding("warning", "plain http, on this machine", "plain_http")]
        left = certificate.ends_at - self._wall()
        detail = f"certificate of {certificate.subject}, by {certificate.issuer}, for {left / 86_400:.0f} more days"
        return [self.finding("warning", detail, "certificate_ends") if left < _SOON else self.finding("ok", detail)]

    async def describes_itself(self) -> list[Finding]:
        """Fetch the metadata, and believe it only as a gate would."""
        self._step = "metadata"
        metadata = await fetch_metadata(self._door, self._row, self._document, self._rules)
        self._jwks_uri = metadata.jwks_uri
        return [self.finding("ok", f"of {metadata.issuer}; keys at {shown(metadata.jwks_uri, 200)}")]

    async def has_keys(self) -> list[Finding]:
        """Fetch the keys, weigh each, and compare the clocks."""
        self._step = "keys"
        fetched = await fetch_keys(self._door, self._jwks_uri, self._row, self._rules)
        found = list(_weighed(self, fetched.keys))
        if fetched.date is not None:
            self._step = "clock"
            found.append(self._compared(self._wall() - fetched.date))
        return found

    def _compared(self, ahead: float) -> Finding:
        if abs(ahead) <= LARGEST_OFFSET:
            return self.finding("ok", f"this machine's clock agrees with the issuer's ({ahead:+.0f} s)")
        way = "ahead of" if ahead > 0 else "behind"
        return self.finding("warning", f"this machine's clock is {abs(ahead):.0f} s {way} the issuer's", "clock_offset")


def _weighed(look: _Look, keys: KeySet) -> Iterator[Finding]:
    every = _every(keys)
    good = [key for key in every if not key.distrusted]
    named = ", ".join(f"{_named(key)} ({key.alg})" for key in good[:_MOST])
    yield look.finding("ok", f"{len(good)} to verify with: {named}") if good else look.finding("failed", *_NONE_LEFT)
    if keys.dropped:
        reasons = "; ".join(f"{each.kid or 'no kid'}: {each.reason}" for each in keys.dropped[:_MOST])
        yield look.finding("warning", f"{len(keys.dropped)} not used: {reasons}", "keys_dropped")
    distrusted = [_named(key) for key in every if key.distrusted]
    if good and distrusted:
        yield look.finding("warning", f"distrusted: {', '.join(distrusted[:_MOST])}", "keys_distrusted")


def _given(row: IssuerRow, document: Document, given: dict[str, object]) -> Finding:
    """Weigh keys that stand in the row itself: nothing is asked of anybody."""
    try:
        keys = build_key_set(given, row)
    except MalformedKeySet as error:
        code = "key_set_malformed"
        return Finding(
            document=document, step="keys", state="failed", detail=str(error), code=code, advice=ADVICE.get(code)
        )
    good = sum(not key.distrusted for key in _every(keys))
    if not good:
        detail, code = _NONE_LEFT
        return Finding(
            document=document, step="keys", state="failed", detail=detail, code=code, advice=ADVICE.get(code)
        )
    return Finding(document=document, step="keys", state="ok", detail=f"{good} given in the policy; none are fetched")


def _every(keys: KeySet) -> list[VerifyKey]:
    nameless = keys.nameless
    return [*keys.keys.values(), *([nameless] if nameless is not None and nameless.kid is None else [])]


def _named(key: VerifyKey) -> str:
    return shown(key.kid) if key.kid is not None else "no kid"
