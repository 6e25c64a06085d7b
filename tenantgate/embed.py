"""Composition root of an embedded gate: real clocks, the real network, and the source you name."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import secrets
import socket
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySource
from tenantgate.core.limits import LIMITS, Limits
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.disk import Disk, KeptKeys
from tenantgate.discovery.keyring import Keyring
from tenantgate.discovery.limits import KeyLimits
from tenantgate.discovery.probe import Finding, probe
from tenantgate.feed.file import FileSource
from tenantgate.feed.source import FeedError, GuardedSource, PolicySource
from tenantgate.gate.gate import Gate

if TYPE_CHECKING:
    from tenantgate.net.door import Door


MAX_POLICY_AGE: Final = 86_400.0
"""Seconds for which a gate judges without having heard of its database."""
DECISION_DAYS: Final = 30
DECISION_SAMPLE: Final = 0.01
"""Days for which details of decisions are kept, and the part of the grants of which they are."""


def open_gate(
    source: str | os.PathLike[str],
    *,
    resource: str,
    key_limits: KeyLimits | None = None,
    limits: Limits = LIMITS,
    state_dir: str | os.PathLike[str] | None = None,
    max_policy_age: float = MAX_POLICY_AGE,
    decision_days: int = DECISION_DAYS,
    decision_sample: float = DECISION_SAMPLE,
) -> Gate:
    """Open a gate for one resource over a policy file or a database, and follow it until `close`.

    `source` is the path of a policy file (TOML or JSON), or a database URL (`sqlite:///…`, `postgresql://…`). The
    policy is loaded before this returns; keys are fetched when they are first needed. `key_limits` changes how often
    and how long keys are fetched and kept, `limits` how much of a token is read. `state_dir` is a folder of this user's
    own, in which the issuers' last good keys and a database's policy outlive the process; without it a restart needs
    both. A database that was not heard of for `max_policy_age` seconds ends the judging; a policy file serves on.
    With a database every decision is counted there; details of denials, and of `decision_sample` of the grants (0 to
    1), stay for `decision_days`.

    Raises:
        StateDirUnusable: nothing can be kept there.
        FeedError: the source has no policy to give (its `code` says why).
        PolicyError: the policy cannot be used, or does not know the resource (`resource_unknown`).
    """
    gate = new_gate(resource, key_limits, limits, None if state_dir is None else Path(state_dir))
    try:
        policy = _source(source, None if state_dir is None else Path(state_dir), max_policy_age)
        follow(gate, policy, None if isinstance(policy, FileSource) else max_policy_age)
        gate.require_resource()
        if not isinstance(policy, FileSource):
            record(gate, os.fspath(source), decision_days, decision_sample)
    except BaseException:
        gate.close()
        raise
    return gate


def follow(gate: Gate, source: PolicySource, max_age: float | None) -> None:
    """Have a gate follow a source by the real clock. Raises as `Gate.follow` does."""
    gate.follow(source, max_age=max_age, clock=_steady())


def record(gate: Gate, url: str, days: int, sample: float) -> None:
    """Have a gate count its decisions in the TenantGate database it follows. Raises as `Gate.record` does."""
    from tenantgate.registry.decision_sink import DatabaseSink
    from tenantgate.registry.ids import random_ids

    sink = DatabaseSink(url, now=lambda: int(time.time()), new_id=random_ids(secrets.token_bytes), detail_days=days)
    gate.record(sink, chance=random.random, sample=sample)


def new_gate(
    resource: str, key_limits: KeyLimits | None = None, limits: Limits = LIMITS, state_dir: Path | None = None
) -> Gate:
    """Return a gate with the real clocks and network, and no policy yet.

    Raises:
        StateDirUnusable: keys cannot be kept in `state_dir`.
    """
    return Gate(
        resource,
        new_keyring(key_limits, state_dir),
        now=time.time,
        yield_thread=_yield_thread,
        id_prefix=f"{secrets.token_hex(4)}-",
        limits=limits,
    )


def new_keyring(key_limits: KeyLimits | None = None, state_dir: Path | None = None) -> Keyring:
    """Return keys that are fetched by the real clocks and network.

    Raises:
        StateDirUnusable: they cannot be kept in `state_dir`.
    """
    return Keyring(
        _open_door,
        clock=_steady(),
        jitter=random.random,
        limits=key_limits or KeyLimits(),
        wall=time.time,
        store=None if state_dir is None else Disk(state_dir, time.time),
        prepare=_import_door,
    )


def keys_at_hand(index: PolicyIndex, resource: str, kept: Path | None) -> KeySource:
    """Return the keys that a policy gives, and those that gates have kept in the folder `kept`. Fetches nothing."""
    there = kept is not None and kept.is_dir()
    keyring = Keyring(
        _open_door,
        clock=_steady(),
        jitter=random.random,
        limits=KeyLimits(),
        wall=time.time,
        store=KeptKeys(kept) if there and kept is not None else None,
    )
    entry = index.resources.get(resource)
    appid = None if entry is None else entry.row.signing_keys_appid
    keyring.set_issuers([each.row for each in index.issuers.values()], () if appid is None else (appid,))
    return keyring


def probe_issuer(row: IssuerRow) -> list[Finding]:
    """Look at an issuer now, once, and keep nothing of it. `row` is checked. Blocks for less than a minute."""
    from tenantgate.net.greeting import Scout
    from tenantgate.net.http import HttpDoor

    async def look() -> list[Finding]:
        return await probe(row, HttpDoor(), Scout(), time.time)

    return asyncio.run(look())


def _steady() -> Callable[[], float]:
    """Return a clock of monotonic seconds: where there is such a one, a clock that goes on while the machine sleeps.

    Keys that a machine had before it was suspended for a week are a week old.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    return time.monotonic


def _yield_thread() -> None:
    time.sleep(0)


def _import_door() -> None:
    # httpx comes in with the first issuer whose keys are fetched: a gate over static keys never pays for it.
    from tenantgate.net.prepared import import_all

    import_all()


def _open_door() -> Door:
    from tenantgate.net.http import HttpDoor

    return HttpDoor()


def _source(source: str | os.PathLike[str], state_dir: Path | None, max_age: float) -> PolicySource:
    text = os.fspath(source)
    scheme, separator, _ = text.partition("://")
    if not separator:
        return FileSource(Path(text))
    if scheme in ("sqlite", "postgresql", "postgres"):
        return database_source(text, kind="embedded", state_dir=state_dir, max_age=max_age)
    raise FeedError(
        "source_unknown", f"{scheme}:// is not a policy source; give a policy file, sqlite:///… or postgresql://…"
    )


def database_source(
    url: str, *, kind: str, state_dir: Path | None = None, max_age: float | None = None
) -> GuardedSource:
    """Return the source that follows a TenantGate database. The registry is imported only here.

    With a `state_dir` the policy is kept there for a start without the database, while it is younger than `max_age`.

    Raises:
        FeedError: the address can never work.
        StateDirUnusable: nothing can be kept in `state_dir`.
    """
    from tenantgate.feed.kept import KeptSource
    from tenantgate.feed.store import PolicyStore
    from tenantgate.registry.errors import RegistryError
    from tenantgate.registry.follower import DatabaseSource
    from tenantgate.registry.instances import InstanceSpec

    def describe() -> InstanceSpec:
        host = "".join(each if each.isalnum() else "-" for each in socket.gethostname().lower())[:30].strip("-")
        id_ = f"{host or 'host'}-{os.getpid()}-{secrets.token_hex(3)}"
        return InstanceSpec(id=id_, kind=kind, version=version("tenantgate"))

    try:
        source = DatabaseSource(url, describe=describe, now=lambda: int(time.time()), clock=time.monotonic)
    except RegistryError as error:
        raise FeedError(error.code, error.message) from error
    if state_dir is None:
        return source
    return KeptSource(source, PolicyStore(state_dir, time.time), max_age=max_age, clock=_steady(), wall=time.time)
