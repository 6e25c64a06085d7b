"""How an issuer's keys are doing, as values for people: any thread may ask, nothing is kept open."""

from __future__ import annotations

import functools
from typing import Any, Literal

import msgspec

from tenantgate.core.keys import DroppedKey, VerifyKey, thumbprint
from tenantgate.discovery.published import KeyEvent, Published
from tenantgate.discovery.state import IssuerState
from tenantgate.discovery.stored import Clocks

KeyState = Literal["serving", "withdrawn", "distrusted"]


class KeyHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One key; `kid` is empty where it has none. Seconds since it was first and last listed."""

    kid: str
    alg: str
    thumbprint: str
    state: KeyState
    first_seen: float
    last_seen: float


class IssuerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one key set is doing; with `appid`, that of an application's own keys.

    Ages and waits in seconds; `last_error` is a stable code, None after a success. `restored`: the keys in use are
    those that an earlier process left on disk. `metadata_error`: the metadata was due and could not be had; the one at
    hand goes on. `clock_ahead`: seconds by which this machine's clock was ahead of the issuer's at the last success,
    `clock_ahead_at_most`: what the youngest token of the last hour says about it (negative: it is behind by at least as
    much; Entra dates its tokens five minutes back).
    `kids` verify now (an empty one: a key without a name); `withdrawn` are those among them that the issuer no longer
    lists; `keys` has more of each. `history`: the newest key events, with their age in place of a time.
    """

    issuer: str
    document: str
    appid: str | None
    static: bool
    restored: bool
    kids: tuple[str, ...]
    withdrawn: tuple[str, ...]
    dropped: tuple[DroppedKey, ...]
    age: float | None
    too_old: bool
    failures: int
    last_error: str | None
    last_detail: str
    metadata_error: str | None
    tried_ago: float | None
    next_refresh: float | None
    clock_ahead: float | None
    clock_ahead_at_most: float | None
    history: tuple[KeyEvent, ...]
    keys: tuple[KeyHealth, ...]


def health_of(state: IssuerState, now: float) -> IssuerHealth:
    """Return a state as a value. `now`: monotonic seconds."""
    published, tried_at = state.published, state.tried_at
    return IssuerHealth(
        issuer=state.ref.issuer,
        document=state.document,
        appid=state.ref.appid,
        static=state.static,
        restored=state.restored,
        kids=_kids(published),
        withdrawn=tuple(published.absent) if published else (),
        dropped=published.keys.dropped if published else (),
        age=None if published is None or state.static else now - published.fetched_at,
        too_old=published is not None and now >= published.stale_at,
        failures=state.failures,
        last_error=state.last_error,
        last_detail=state.last_detail,
        metadata_error=state.metadata_error,
        tried_ago=None if tried_at is None else now - tried_at,
        next_refresh=None if state.static or tried_at is None else max(0.0, state.due_at - now),
        clock_ahead=state.clock_ahead,
        clock_ahead_at_most=state.youngest.at(now),
        history=tuple(event._replace(at=now - event.at) for event in state.history),
        keys=() if published is None else tuple(_key(published, key, now) for key in _every(published)),
    )


def report_of(health: IssuerHealth, now: Clocks) -> dict[str, Any]:
    """Return a health as JSON has it, with epoch seconds in place of ages, so that it changes when something does."""
    report: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(health))  # lists, as they come back from JSON
    for name in ("age", "tried_ago", "next_refresh", "kids", "withdrawn"):
        del report[name]
    report["fetched_at"] = None if health.age is None else round(now.wall - health.age)
    report["tried_at"] = None if health.tried_ago is None else round(now.wall - health.tried_ago)
    report["due_at"] = None if health.next_refresh is None else round(now.wall + health.next_refresh)
    for name in ("clock_ahead", "clock_ahead_at_most"):
        report[name] = None if report[name] is None else round(report[name])
    for each in report["keys"]:
        for name in ("first_seen", "last_seen"):
            each[name] = round(now.wall - each[name])
    report["history"] = [
        {"at": round(now.wall - each.at), "kid": each.kid, "change": each.change} for each in health.history
    ]
    return report


def _every(published: Published) -> tuple[VerifyKey, ...]:
    nameless = published.keys.nameless
    return (*published.keys.keys.values(), *([nameless] if nameless is not None and nameless.kid is None else []))


def _kids(published: Published | None) -> tuple[str, ...]:
    return () if published is None else tuple(key.kid or "" for key in _every(published))


def _key(published: Published, key: VerifyKey, now: float) -> KeyHealth:
    kid = key.kid or ""
    return KeyHealth(
        kid=kid,
        alg=key.alg,
        thumbprint=_thumbprint(key),
        state="distrusted" if key.distrusted else "withdrawn" if kid in published.absent else "serving",
        first_seen=now - published.first_seen.get(kid, published.fetched_at),
        last_seen=now - published.last_seen.get(kid, published.fetched_at),
    )


@functools.lru_cache(maxsize=4096)
def _thumbprint(key: VerifyKey) -> str:
    return thumbprint(key.alg, key.key)
