"""Old keys and new: what serves after a successful fetch. Pure values; `now` is monotonic seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from tenantgate.core.keys import KeySet, VerifyKey, is_distrusted
from tenantgate.core.policy import IssuerRow
from tenantgate.core.strict import shown

KeyChange = Literal["added", "absent", "returned", "retired", "replaced"]


class KeyEvent(NamedTuple):
    """One key of an issuer changed. `replaced` (same kid, other key) is worth an alarm. `at`: monotonic seconds."""

    at: float
    kid: str
    change: KeyChange


class Published(msgspec.Struct, frozen=True, eq=False):
    """The keys in use. Replaced as a whole, so that a reader in any thread sees one consistent value.

    `absent`: kids that the last successful fetch did not list, with the time of the first that did not.
    `first_seen`, `last_seen`: when each kid was first and last listed. From `stale_at` on nothing is judged with them.
    `fetched_wall`: epoch seconds of the last success, by the clock of the process that had it; by the issuer's, where
    that clock was far ahead.
    """

    keys: KeySet
    fetched_at: float
    stale_at: float
    absent: Mapping[str, float] = {}
    first_seen: Mapping[str, float] = {}
    last_seen: Mapping[str, float] = {}
    fetched_wall: float = 0.0

    def remade(self, row: IssuerRow, judging: float) -> Published:
        """Return the same for a changed row, every key object new: what was verified with the old ones must be again.

        `judging`: seconds after the last success for which the keys judge.
        """
        old = self.keys
        named = {kid: _remade(key, row) for kid, key in old.keys.items()}
        nameless = old.nameless and (named.get(old.nameless.kid or "") or _remade(old.nameless, row))
        keys = KeySet(named, nameless, old.dropped)
        return msgspec.structs.replace(self, keys=keys, stale_at=self.fetched_at + judging)


class Merging(NamedTuple):
    """How a new set meets an old one: a withdrawn key retires after `retire`; `retained` of them are kept at most."""

    now: float
    hard_age: float
    retire: float
    retained: int


def merge(old: Published | None, fresh: KeySet, how: Merging) -> tuple[Published, tuple[KeyEvent, ...]]:
    """Return what serves after a fetch brought `fresh`, and what changed.

    A key that did not change stays the very object it was, because verified tokens are remembered by it.
    A key no longer listed goes on until it retires, unless the old set was too old to judge with, or the
    issuer still lists its kid in a form we do not use.
    """
    before = old.keys.keys if old is not None else {}
    keys = {kid: _kept(before.get(kid), key) for kid, key in fresh.keys.items()}
    absent = {} if old is None or how.now >= old.stale_at else _absent(old, fresh, how)
    events = _events(old, keys, absent, how.now)
    keys |= {kid: before[kid] for kid in absent}
    first_seen = {kid: old.first_seen.get(kid, how.now) if old is not None else how.now for kid in keys}
    nameless = fresh.nameless and _kept(old.keys.nameless if old is not None else None, fresh.nameless)
    if nameless is None and len(fresh.keys) == 1 and absent:
        # The issuer has one key: a token without a kid means that one, not a withdrawn one beside it.
        nameless = keys[next(iter(fresh.keys))]
    merged = KeySet(keys, nameless, fresh.dropped)
    last_seen = {kid: _last_seen(kid, old) if kid in absent else how.now for kid in keys}
    return Published(merged, how.now, how.now + how.hard_age, absent, first_seen, last_seen), events


def _last_seen(kid: str, old: Published | None) -> float:
    assert old is not None  # nothing can be absent at the first fetch
    return old.last_seen.get(kid, old.fetched_at)


def _absent(old: Published, fresh: KeySet, how: Merging) -> dict[str, float]:
    unusable = {drop.kid for drop in fresh.dropped}
    since = {
        kid: old.absent.get(kid, how.now)
        for kid in old.keys.keys
        if kid not in fresh.keys and shown(kid) not in unusable
    }
    lasting = sorted((at, kid) for kid, at in since.items() if how.now - at < how.retire)
    return {kid: at for at, kid in lasting[-how.retained :]} if how.retained else {}


def _events(
    old: Published | None, listed: Mapping[str, VerifyKey], absent: Mapping[str, float], now: float
) -> tuple[KeyEvent, ...]:
    if old is None:
        return tuple(KeyEvent(now, kid, "added") for kid in listed)
    events: list[KeyEvent] = []
    for kid, key in listed.items():
        before = old.keys.keys.get(kid)
        if before is None:
            events.append(KeyEvent(now, kid, "added"))
        elif before is not key:
            events.append(KeyEvent(now, kid, "replaced"))
        elif kid in old.absent:
            events.append(KeyEvent(now, kid, "returned"))
    events += [KeyEvent(now, kid, "absent") for kid in absent if kid not in old.absent]
    events += [KeyEvent(now, kid, "retired") for kid in old.keys.keys if kid not in listed and kid not in absent]
    return tuple(events)


def _remade(key: VerifyKey, row: IssuerRow) -> VerifyKey:
    return msgspec.structs.replace(key, distrusted=is_distrusted(key.kid, key.alg, key.key, row))


def _kept(old: VerifyKey | None, new: VerifyKey) -> VerifyKey:
    """Return the old object where the new one is the same key for the same use."""
    if old is not None and (old.kid, old.alg, old.issuer) == (new.kid, new.alg, new.issuer) and old.key == new.key:
        return old
    return new
