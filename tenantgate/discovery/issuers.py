"""From issuer rows to key sets: which exist, which stay as they are, which begin anew."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tenantgate.core.keys import KeySetRef, MalformedKeySet, build_key_set, own_key_set
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.alarms import say_dropped
from tenantgate.discovery.limits import KeyLimits
from tenantgate.discovery.metadata import Document, metadata_url
from tenantgate.discovery.published import Published
from tenantgate.discovery.state import IssuerState
from tenantgate.discovery.stored import KEYS_STAY, Restored

States = Mapping[KeySetRef, IssuerState]


Restore = Callable[[IssuerRow], Mapping[KeySetRef, Restored]]
"""Returns what an earlier process left of an issuer's keys."""


def nothing(row: IssuerRow) -> Mapping[KeySetRef, Restored]:
    """Restore nothing, where nothing is kept."""
    del row
    return {}


def states_for(
    rows: Iterable[IssuerRow],
    old: States,
    limits: KeyLimits,
    clock: Callable[[], float],
    appids: Collection[str] = (),
    restore: Restore = nothing,
) -> dict[KeySetRef, IssuerState]:
    """Return the state of every key set these rows name, taken over from `old` where it may be, else restored.

    Each application in `appids` has a key set of its own wherever an issuer knows such a thing.
    Called by the policy's thread while the Keeper's loop may be writing to the old states: they are only
    read here, and what a fetch under way brings to a replaced state is not looked at any more.
    """
    states: dict[KeySetRef, IssuerState] = {}
    for row in rows:
        left = functools.cache(functools.partial(restore, row))
        for ref, document in _key_sets(row, appids):
            before = old.get(ref)
            if before is not None and before.row == row:
                states[ref] = before
            else:
                states[ref] = _new_state(ref, row, document, before, limits, clock, left)
    return states


def static_keys(row: IssuerRow, document: Document) -> dict[str, Any] | None:
    """Return the keys that a row gives itself: they never age, and nothing is fetched."""
    return row.v1_jwks if document == "v1" else row.jwks


def documents_of(row: IssuerRow) -> tuple[Document, ...]:
    """Return the documents in which an issuer has keys: fetched, or given with the row."""
    both: tuple[Document, Document] = ("v2", "v1")
    return tuple(
        document
        for document in (both if row.kind == "entra" else both[:1])
        if static_keys(row, document) is not None or metadata_url(row, document) is not None
    )


def _key_sets(row: IssuerRow, appids: Iterable[str]) -> Iterator[tuple[KeySetRef, Document]]:
    for document in documents_of(row):
        yield KeySetRef(row.id, document), document
    own = own_key_set(row)
    if own is not None:
        for appid in appids:
            yield own._replace(appid=appid), "v2"


def _new_state(
    ref: KeySetRef,
    row: IssuerRow,
    document: Document,
    before: IssuerState | None,
    limits: KeyLimits,
    clock: Callable[[], float],
    left: Callable[[], Mapping[KeySetRef, Restored]],
) -> IssuerState:
    given = static_keys(row, document)
    state = IssuerState(ref, row, document, static=given is not None)
    state.forget_flight(limits, clock)
    if given is not None:
        _publish_static(state, given, clock())
    elif before is not None and _same_keys(before.row, row):
        _take_over(state, before, limits.judging(row))
    elif (found := left().get(ref)) is not None:
        state.metadata, state.metadata_at, state.published = found
        state.restored = True
    return state


def _publish_static(state: IssuerState, given: dict[str, Any], now: float) -> None:
    try:
        keys = build_key_set(given, state.row)
    except MalformedKeySet as error:
        state.failed("key_set_malformed", str(error))
        return
    state.published = Published(keys, now, float("inf"), {}, dict.fromkeys(keys.keys, now))
    say_dropped(state, ())


def _same_keys(old: IssuerRow, new: IssuerRow) -> bool:
    """Whether two rows get the same keys from the same place: they differ only in what is done with them."""
    return old == msgspec.structs.replace(new, **{name: getattr(old, name) for name in KEYS_STAY})


def _take_over(state: IssuerState, before: IssuerState, judging: float) -> None:
    """Go on with what is known, under new key objects: what was verified by the old row is verified again.

    Without this, changing how an issuer's tokens are read while it is down would shut its partners out.
    """
    while True:
        published = before.published
        _copy(state, before)
        if before.published is published:  # else a fetch has landed meanwhile: its timers go with its keys
            break
    state.published = published and published.remade(state.row, judging)


def _copy(state: IssuerState, before: IssuerState) -> None:
    state.restored = before.restored
    state.clock_ahead = before.clock_ahead
    state.metadata, state.metadata_at, state.metadata_error = before.metadata, before.metadata_at, before.metadata_error
    state.tried_at, state.open_at, state.due_at = before.tried_at, before.open_at, before.due_at
    state.failures, state.last_error, state.last_detail = before.failures, before.last_error, before.last_detail
    state.history, state.youngest = before.history, before.youngest
