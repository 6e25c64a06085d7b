"""Entra's recorded flapping, replayed on a clock that is moved: 142 days, a fetch an hour, every key at every fetch."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Final

from tenantgate.core.keys import KeySet, KeySetRef
from tests.builders import json_bytes, signer
from tests.discovery.fakes import World, a_row
from tests.discovery.flapping import CHANGES, KEYS

AUTHORITY = "https://login.cloud.example"
DOCUMENT = f"{AUTHORITY}/organizations/discovery/v2.0/keys"
TEMPLATE = f"{AUTHORITY}/{{tenantid}}/v2.0"
REF = KeySetRef("cloud")
DAY: Final = 86_400.0


def documents(listed: frozenset[int]) -> bytes:
    """Return a key document. One pair of numbers for all: it is the names that come and go here."""
    return json_bytes(
        {"keys": [signer("RS256").jwk(kid=f"key-{number}", issuer=TEMPLATE) for number in sorted(listed)]}
    )


def a_world() -> World:
    """Return the cloud as it was at the first look."""
    row = a_row(id="cloud", kind="entra", issuer=None, authority=AUTHORITY)
    assert row.metadata_url is not None
    world = World(rows=[row])
    world.door.documents = {
        row.metadata_url: json_bytes({"issuer": TEMPLATE, "jwks_uri": DOCUMENT}),
        DOCUMENT: documents(CHANGES[0].listed),
    }
    return world


def in_use(world: World) -> frozenset[int]:
    """Return the numbers of the keys that verify."""
    found = world.keyring.key_set(REF)
    assert isinstance(found, KeySet)
    return frozenset(int(kid.removeprefix("key-")) for kid in found.keys)


def test_what_was_recorded_is_what_is_said_of_it():
    """The figures of docs/decisions/0033."""
    absences = list[float]()
    returns: Counter[int] = Counter()
    for number in KEYS:
        gone_at: float | None = None
        for before, after in pairwise(CHANGES):
            if number in before.listed and number not in after.listed:
                gone_at = after.at
            elif number in after.listed and number not in before.listed and gone_at is not None:
                absences.append(after.at - gone_at)
                returns[number] += 1

    assert (len(CHANGES), len(KEYS), len(returns), max(returns.values())) == (231, 42, 34, 23)
    assert {len(change.listed) for change in CHANGES} == set(range(6, 15))
    assert (len(absences), sum(each > DAY for each in absences), max(absences) < 2.1 * DAY) == (123, 7, True)


async def test_every_key_serves_through_its_absences():
    """A key is in use from the fetch that lists it until the first that lacks it a day after the first that did."""
    world = a_world()
    await world.keyring.ensure(REF, None)
    began = world.clock.now
    missing: dict[int, float] = {}
    hours, kept = 0, 0
    coming, listed = CHANGES[1:], CHANGES[0].listed
    seen = listed
    while coming:
        await world.clock.advance(3600.0)
        while coming and began + coming[0].at <= world.clock.now:
            listed = coming.pop(0).listed
        world.door.documents[DOCUMENT] = documents(listed)
        fetches = world.door.seen[DOCUMENT]
        await world.keyring.ensure(REF, f"unknown-{world.clock.now}")
        assert world.door.seen[DOCUMENT] == fetches + 1

        seen |= listed
        missing = {number: missing.get(number, world.clock.now) for number in seen - listed}
        used = in_use(world)
        assert used == listed | {number for number, since in missing.items() if world.clock.now - since < DAY}
        returning = missing.keys() & {number for change in coming for number in change.listed}
        hours += len(returning)
        kept += len(returning & used)

    # Hours in which a key was gone that came back, and in how many of them it verified nevertheless.
    assert (hours, kept) == (938, 908)
