"""What is told of an issuer's keys: here, with ages; to other machines, with times."""

from __future__ import annotations

from tenantgate.core.keys import KeySetRef, thumbprint
from tests.builders import signer
from tests.discovery.fakes import EPOCH, World, a_row, key_document

A, B = (signer("ES256", name) for name in "ab")
REF = KeySetRef("globex")


async def test_each_key_has_its_story():
    """When it was first and last listed, and whether it counts."""
    world = World(A, B, rows=[a_row(distrusted_keys=(B.kid,))])
    await world.keyring.ensure(REF, None)
    await world.clock.advance(40)
    world.publish(B)
    await world.keyring.ensure(REF, "unknown")
    await world.clock.advance(5)

    one, two = sorted(world.health().keys, key=lambda key: key.kid)
    assert (one.kid, one.alg, one.state, one.first_seen, one.last_seen) == (A.kid, "ES256", "withdrawn", 45.0, 45.0)
    assert (two.kid, two.state, two.first_seen, two.last_seen) == (B.kid, "distrusted", 45.0, 5.0)
    found = world.keyring.key_set(REF)
    key = found.find(A.kid)  # type: ignore[union-attr]
    assert key is not None
    assert one.thumbprint == thumbprint("ES256", key.key)


async def test_a_withdrawn_key_was_last_seen_when_it_was_listed_last():
    """However many fetches have lacked it since."""
    world = World(A, B)
    for published in ((A, B), (A, B), (A,), (A,)):
        world.publish(*published)
        await world.keyring.ensure(REF, f"unknown at {world.clock.now}")
        await world.clock.advance(40)

    assert {key.kid: key.last_seen for key in world.health().keys} == {A.kid: 40.0, B.kid: 120.0}


async def test_the_clocks_are_compared_at_each_success():
    """By the date of the answer with the keys; what a server does not say stays as it was."""
    world = World(A)
    assert world.health().clock_ahead is None
    for date, expected in ((EPOCH + world.clock.now - 7, 7.0), (None, 7.0), (EPOCH + world.clock.now + 100, -20.0)):
        world.door.date = date
        await world.keyring.ensure(REF, f"unknown at {world.clock.now}")
        assert world.health().clock_ahead == expected
        await world.clock.advance(40)


async def test_a_report_changes_when_something_does():
    """Times in place of ages: a second later it says the same."""
    world = World(A)
    (before,) = world.keyring.reports()
    await world.keyring.ensure(REF, None)
    (first,) = world.keyring.reports()
    await world.clock.advance(10)
    (second,) = world.keyring.reports()
    await world.clock.advance(30)
    await world.keyring.ensure(REF, "unknown")
    (third,) = world.keyring.reports()

    assert (before["fetched_at"], before["keys"], before["due_at"]) == (None, [], None)
    assert first == second != third
    assert first["fetched_at"] == first["tried_at"] == EPOCH + 1000
    assert first["keys"][0]["first_seen"] == first["history"][0]["at"] == EPOCH + 1000
    assert third["keys"][0]["last_seen"] == EPOCH + 1040
    assert first["due_at"] == EPOCH + 1600


async def test_a_failure_is_told():
    """Its class, what was said, and how often in a row."""
    world = World(A)
    world.fail()
    await world.keyring.ensure(REF, None)

    (report,) = world.keyring.reports()
    assert (report["last_error"], report["last_detail"], report["failures"]) == ("dns", "no such name", 1)
    assert (report["fetched_at"], report["tried_at"]) == (None, EPOCH + 1000)


async def test_keys_of_the_policy_are_static():
    """They have no age and no next refresh."""
    world = World(rows=[a_row(jwks={"keys": [A.jwk()]})])

    (report,) = world.keyring.reports()
    assert (report["static"], report["fetched_at"], report["due_at"]) == (True, None, None)
    assert [each["kid"] for each in report["keys"]] == [A.kid]


async def test_a_key_without_a_name_is_told():
    """By an empty one."""
    world = World()
    world.door.documents[next(url for url in world.door.documents if url.endswith("keys"))] = key_document(A, kid=...)
    await world.keyring.ensure(REF, None)

    assert [(key.kid, key.state) for key in world.health().keys] == [("", "serving")]
