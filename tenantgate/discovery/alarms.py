"""What an operator must hear of an issuer's keys: that they cannot be had, and that some are not fit to be used."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from tenantgate.core.keys import DroppedKey
from tenantgate.core.strict import shown
from tenantgate.discovery.published import KeyEvent
from tenantgate.discovery.state import IssuerState

log: Final = logging.getLogger("tenantgate.discovery")

_MOST: Final = 8
"""Keys named in one line, at most; health has all of them."""


def say_failure(state: IssuerState, before: str | None) -> None:
    """Write down that an issuer's keys cannot be had, once for each code, and that they can again."""
    code = state.last_error
    if code == before:
        return
    if code is None:
        log.info("keys can be had again", extra=_issuer(state))
    else:
        log.warning("keys cannot be had: %s", state.last_detail, extra={"code": code, **_issuer(state)})


def say_replaced(state: IssuerState, events: Iterable[KeyEvent]) -> None:
    """Write down that another key serves under an old name: an honest issuer gives a new key a new one."""
    replaced = [event.kid for event in events if event.change == "replaced"]
    if replaced:
        named = ", ".join(shown(kid) for kid in replaced[:_MOST])
        text = "keys were replaced under their names (%s): tokens by the old ones are refused from now on"
        log.warning(text, named, extra={"code": "keys_replaced", **_issuer(state)})


def say_too_old(state: IssuerState, tried: float | None) -> None:
    """Write down, once, that nothing is judged with an issuer's keys any more. `tried`: when the attempt before was."""
    published, now = state.published, state.tried_at
    if published is None or now is None or now < published.stale_at:
        return
    if tried is None or tried < published.stale_at:
        text = "keys are too old: nothing is judged with them until they can be had again"
        log.error(text, extra={"code": "keys_too_old", **_issuer(state)})


def say_dropped(state: IssuerState, known: tuple[DroppedKey, ...]) -> None:
    """Write down which published keys are not used, where they are not those of the last time. Good keys serve on."""
    published = state.published
    dropped = published.keys.dropped if published is not None else ()
    if not dropped or dropped == known:
        return
    named = "; ".join(f"{each.kid or 'a key without kid'}: {each.reason}" for each in dropped[:_MOST])
    more = f"; and {len(dropped) - _MOST} more" if len(dropped) > _MOST else ""
    extra = {"code": "keys_dropped", "dropped": len(dropped), **_issuer(state)}
    log.warning("published keys are not used: %s%s", named, more, extra=extra)


def say_unused(issuer: str, code: str, why: str) -> None:
    """Write down that what an earlier process left of an issuer's keys is not believed."""
    log.warning("keys on disk are not used: %s", why, extra={"code": code, "issuer": issuer})


def say_written(complaint: str | None, before: str | None) -> None:
    """Write down that keys cannot be kept on disk, once for each reason, and that they can again."""
    if complaint is not None and complaint != before:
        log.warning("keys cannot be written to disk: %s", complaint, extra={"code": "stored_unwritable"})
    elif complaint is None and before is not None:
        log.info("keys are written to disk again")


def _issuer(state: IssuerState) -> dict[str, str]:
    named = {"issuer": state.ref.issuer, "document": state.document}
    return named if state.ref.appid is None else {**named, "appid": state.ref.appid}
