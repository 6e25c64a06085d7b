"""An issuer's keys for one command: what a gate has kept on disk, and what is fetched now where one asks for it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySetRef, KeySource
from tenantgate.core.token import READER, Refused
from tenantgate.discovery.disk import KeptKeys
from tenantgate.discovery.health import IssuerHealth
from tenantgate.discovery.keyring import Keyring
from tenantgate.discovery.limits import KeyLimits

if TYPE_CHECKING:
    from tenantgate.net.door import Door

_LIMITS: Final = KeyLimits(wait=10.0)  # a person waits, not a request


def keys_at_hand(token: str, index: PolicyIndex, resource: str, kept: Path | None, *, fetch: bool) -> KeySource:
    """Return the keys of the policy, and those that a gate has kept in the folder `kept`; with `fetch`, those of the
    token's issuer fetched from where its row says.

    `token` is untrusted: it chooses one of the policy's issuers, never an address. What goes wrong with a fetch, and
    how old kept keys are, is a line on standard error; the judgement says what is missing.
    """
    # What goes wrong is told below; without a handler Python would write the keyring's own line beside it.
    logging.getLogger("tenantgate.discovery").addHandler(logging.NullHandler())
    keyring = Keyring(
        _open_door,
        clock=time.monotonic,
        wall=time.time,
        jitter=random.random,
        limits=_LIMITS,
        store=None if kept is None else KeptKeys(kept),
    )
    entry = index.resources.get(resource)
    appid = None if entry is None else entry.row.signing_keys_appid
    keyring.set_issuers([each.row for each in index.issuers.values()], () if appid is None else (appid,))
    try:
        unverified = READER.take_apart(token)
    except Refused:
        return keyring  # no issuer can be read, and the explanation says why
    iss = unverified.payload.get("iss")
    match = index.find_issuer(iss) if isinstance(iss, str) else None
    if match is not None:
        refs = match.entry.key_sets.refs(match.document, appid)
        if fetch:
            asyncio.run(_fetch(keyring, refs, unverified.header.kid))
        _tell([each for each in keyring.health() if KeySetRef(each.issuer, each.document, each.appid) in refs])
    return keyring


async def _fetch(keyring: Keyring, refs: tuple[KeySetRef, ...], kid: str | None) -> None:
    try:
        for ref in refs:
            await keyring.ensure(ref, kid)
    finally:
        await keyring.aclose()


def _tell(found: Iterable[IssuerHealth]) -> None:
    for health in found:
        which = health.document if health.appid is None else f"{health.document}, appid {health.appid}"
        if health.last_error is not None:
            what = f"cannot be had: {health.last_error}: {health.last_detail}"
            typer.echo(f"keys of {health.issuer} ({which}) {what}", err=True)
        if health.restored and health.age is not None:
            typer.echo(f"keys of {health.issuer} ({which}) are those a gate kept, {health.age:.0f} s old", err=True)


def _open_door() -> Door:
    from tenantgate.net.http import HttpDoor  # the network's modules load where they are asked for

    return HttpDoor()
