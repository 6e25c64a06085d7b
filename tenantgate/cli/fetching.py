"""An issuer's keys, fetched once for one command: so that a first token can be proved before any gate runs."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Final

import typer

from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySetRef, KeySource
from tenantgate.core.token import READER, Refused
from tenantgate.discovery.keyring import Keyring
from tenantgate.discovery.limits import KeyLimits
from tenantgate.net.http import HttpDoor

_LIMITS: Final = KeyLimits(wait=10.0)  # a person waits, not a request


def fetched_keys(token: str, index: PolicyIndex, resource: str) -> KeySource:
    """Return the keys of the policy, those of the token's issuer fetched from where its row says.

    `token` is untrusted: it chooses one of the policy's issuers, never an address. What goes wrong is one line on
    standard error; the keys are then missing, and the judgement says so.
    """
    # What goes wrong is told below; without a handler Python would write the keyring's own line beside it.
    logging.getLogger("tenantgate.discovery").addHandler(logging.NullHandler())
    keyring = Keyring(HttpDoor, clock=time.monotonic, wall=time.time, jitter=random.random, limits=_LIMITS)
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
        asyncio.run(_fetch(keyring, refs, unverified.header.kid))
        _tell(keyring, match.entry.row.id)
    return keyring


async def _fetch(keyring: Keyring, refs: tuple[KeySetRef, ...], kid: str | None) -> None:
    try:
        for ref in refs:
            await keyring.ensure(ref, kid)
    finally:
        await keyring.aclose()


def _tell(keyring: Keyring, issuer: str) -> None:
    for health in keyring.health():
        if health.issuer == issuer and health.last_error is not None:
            which = health.document if health.appid is None else f"{health.document}, appid {health.appid}"
            typer.echo(f"keys of {issuer} ({which}) cannot be had: {health.last_error}: {health.last_detail}", err=True)
