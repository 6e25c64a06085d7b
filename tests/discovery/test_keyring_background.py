"""What happens without being asked: refresh before expiry, back-off, retirement, and a clean end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tenantgate.core.keys import KeySet, KeySetRef, NoKeys
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.limits import KeyLimits
from tenantgate.net.door import RedirectRefused
from tests.builders import Signer, json_bytes, signer
from tests.discovery.fakes import ISSUER, JWKS, METADATA, World, a_row, checked, key_document, metadata, settle

A, B = (signer("ES256", name) for name in "ab")
REF = KeySetRef("globex")


@asynccontextmanager
async def running(*signers: Signer, **options: Any) -> AsyncIterator[World]:
    """Yield a world whose background is running and has fetched what it fetches at once."""
    world = World(*signers, **options)
    task = asyncio.create_task(world.keyring.run())
    await settle()
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await world.keyring.aclose()


def kids(world: World) -> set[str]:
    """Return the kids that serve now."""
    found = world.keyring.key_set(REF)
    assert isinstance(found, KeySet), found
    return set(found.keys)


async def test_a_configured_issuer_is_fetched_without_a_request():
    """The background fetches every issuer once it runs, so that requests find keys."""
    async with running(A) as world:
        assert kids(world) == {A.kid}
        assert world.door.seen == {METADATA: 1, JWKS: 1}


async def test_a_machine_that_slept_fetches_within_a_minute():
    """While it sleeps the loop's timers stand still; keys age all the same, and what is due is made up for."""
    async with running(A) as world:
        world.clock.now += 80 * 3600  # nobody was woken
        assert world.keyring.key_set(REF) == NoKeys(too_old=True, age=80 * 3600)
        assert world.fetches == 1
        for _ in range(60):  # by the loop's own time, which knows nothing of it
            await world.clock.advance(1)
        assert world.fetches == 2
        assert kids(world) == {A.kid}


@pytest.mark.parametrize(("luck", "after"), [(0.0, 480.0), (0.5, 600.0), (1.0, 720.0)])
async def test_keys_are_refreshed_with_jitter(luck: float, after: float):
    """An OIDC issuer's keys are fetched again after 10 min, 20 % sooner or later."""
    world = World(A)
    world.luck = luck
    task = asyncio.create_task(world.keyring.run())
    await settle()
    await world.clock.advance(after - 0.1)
    assert world.fetches == 1
    await world.clock.advance(0.2)
    assert world.fetches == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("max_age", "after"), [(None, 600.0), (86_400, 600.0), (400, 400.0), (10, 300.0), (0, 300.0)])
async def test_the_servers_max_age_counts_within_bounds(max_age: int | None, after: float):
    """A shorter max-age brings the refresh forward, not below 5 min; a longer one does not put it off."""
    world = World(A)
    world.door.max_age = max_age
    task = asyncio.create_task(world.keyring.run())
    await settle()
    await world.clock.advance(after - 1)
    assert world.fetches == 1
    await world.clock.advance(2)
    assert world.fetches == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


CLOUD = checked(
    IssuerRow(
        id="cloud",
        kind="entra",
        authority="https://login.cloud.example",
        v1_issuer="https://sts.cloud.example/{tenantid}/",
    )
)


async def test_entra_has_two_key_sets_refreshed_hourly():
    """An Entra cloud's v1 and v2 documents are fetched each by itself, and again after an hour."""
    assert CLOUD.v2_issuer
    assert CLOUD.v1_issuer
    base = "https://login.cloud.example/organizations"
    documents = {
        f"{base}/v2.0/.well-known/openid-configuration": json_bytes(
            {"issuer": CLOUD.v2_issuer, "jwks_uri": f"{base}/discovery/v2.0/keys"}
        ),
        f"{base}/.well-known/openid-configuration": json_bytes(
            {"issuer": CLOUD.v1_issuer, "jwks_uri": f"{base}/discovery/keys"}
        ),
        f"{base}/discovery/v2.0/keys": key_document(signer("RS256"), issuer=CLOUD.v2_issuer),
        f"{base}/discovery/keys": key_document(signer("RS256")),
    }
    world = World(rows=[CLOUD])
    world.door.documents = dict(documents)
    task = asyncio.create_task(world.keyring.run())
    await settle()
    await world.clock.advance(1)
    for document in ("v1", "v2"):
        found = world.keyring.key_set(KeySetRef("cloud", document))
        assert isinstance(found, KeySet)
        assert {key.issuer for key in found.keys.values()} == {CLOUD.v2_issuer if document == "v2" else None}
    assert world.door.seen == dict.fromkeys(documents, 1)
    await world.clock.advance(3600)
    assert {url: times for url, times in world.door.seen.items() if "/discovery/" in url} == {
        f"{base}/discovery/v2.0/keys": 2,
        f"{base}/discovery/keys": 2,
    }
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_age_limit_is_an_outage_that_is_lived_through():
    """Keys that may be two hours old are fetched each hour at the latest, an hour old ones each half hour."""
    row = a_row(kind="entra", id="cloud", issuer=None, authority="https://login.cloud.example", max_key_age=3600)
    assert KeyLimits().refresh(row, None) == 1800.0
    assert KeyLimits().refresh(row, 86_400) == 1800.0
    assert KeyLimits().refresh(a_row(max_key_age=3600), None) == 600.0
    assert KeyLimits().refresh(a_row(), None) == 600.0


async def test_v1_tokens_with_unknown_kids_cost_an_entra_cloud_one_fetch_a_cooldown():
    """Both documents judge: a flood is one GET in 30 s; a new key of the v2 one is found with the next."""
    assert CLOUD.metadata_url
    assert CLOUD.v1_metadata_url
    base = "https://login.cloud.example/organizations"
    one, two = f"{base}/discovery/keys", f"{base}/discovery/v2.0/keys"
    old, new = signer("RS256"), signer("RS256", "b")
    world = World(rows=[CLOUD])
    world.door.documents = {
        CLOUD.metadata_url: json_bytes({"issuer": CLOUD.v2_issuer, "jwks_uri": two}),
        CLOUD.v1_metadata_url: json_bytes({"issuer": CLOUD.v1_issuer, "jwks_uri": one}),
        one: key_document(old),
        two: key_document(old, issuer=CLOUD.v2_issuer),
    }
    v1 = KeySetRef("cloud", "v1")
    await world.keyring.ensure(v1, old.kid)
    assert (world.door.seen[one], world.door.seen[two]) == (1, 1)  # neither had keys: both at once
    await world.clock.advance(30)
    world.door.documents[two] = key_document(old, new, issuer=CLOUD.v2_issuer)
    for second in range(60):
        for number in range(50):
            await world.keyring.ensure(v1, f"random-{second}-{number}")
        await world.keyring.ensure(v1, new.kid)
        await world.clock.advance(1)
    assert world.door.seen[one] + world.door.seen[two] == 2 + 2
    for _ in range(2):  # without the flood: at the latest with the next but one
        await world.keyring.ensure(v1, new.kid)
        await world.clock.advance(30)
    found = world.keyring.key_set(KeySetRef("cloud"))
    assert isinstance(found, KeySet)
    assert found.find(new.kid) is not None


async def test_issuers_that_come_one_by_one_are_spread_as_well():
    """300 commands of a script are 300 changes of the policy, and no burst of fetches either."""
    rows = [a_row(id=f"i{number}", issuer=f"https://i{number}.example") for number in range(300)]
    world = World(rows=[])
    task = asyncio.create_task(world.keyring.run())
    await settle()
    for number in range(300):
        world.keyring.set_issuers(rows[: number + 1])
        await settle()
    assert len(world.door.seen) == 1
    await world.clock.advance(15)
    assert 140 <= len(world.door.seen) <= 160
    await world.clock.advance(15.1)
    assert len(world.door.seen) == 300
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await world.keyring.aclose()


async def test_an_unknown_kid_of_a_v1_token_is_looked_for_in_both_documents():
    """It may be new in either: the v2 document's keys sign v1 tokens, too."""
    assert CLOUD.metadata_url
    assert CLOUD.v1_metadata_url
    base = "https://login.cloud.example/organizations"
    world = World(rows=[CLOUD])
    world.door.documents = {
        CLOUD.metadata_url: json_bytes({"issuer": CLOUD.v2_issuer, "jwks_uri": f"{base}/discovery/v2.0/keys"}),
        f"{base}/discovery/v2.0/keys": key_document(signer("RS256"), issuer=CLOUD.v2_issuer),
    }
    await world.keyring.ensure(KeySetRef("cloud", "v1"), signer("RS256").kid)
    assert isinstance(world.keyring.key_set(KeySetRef("cloud", "v1")), NoKeys)
    found = world.keyring.key_set(KeySetRef("cloud"))
    assert isinstance(found, KeySet)
    assert found.find(signer("RS256").kid) is not None
    assert not world.keyring.wants(KeySetRef("cloud"), "another")
    assert world.door.seen[f"{base}/discovery/v2.0/keys"] == 1


async def test_a_request_puts_the_refresh_off():
    """A fetch that a request caused counts: the next refresh is due after that one."""
    async with running(A) as world:
        await world.clock.advance(500)
        await world.keyring.ensure(REF, "unknown")
        assert world.fetches == 2
        await world.clock.advance(599)
        assert world.fetches == 2
        await world.clock.advance(2)
        assert world.fetches == 3


async def test_old_keys_serve_while_a_refresh_hangs():
    """Nobody waits for the background: known kids are served while the issuer does not answer."""
    async with running(A) as world:
        world.door.hold()
        await world.clock.advance(601)
        assert world.fetches == 2
        assert kids(world) == {A.kid}
        assert not world.keyring.wants(REF, A.kid)
        world.door.release()


async def test_a_request_joins_a_refresh_under_way():
    """An unknown kid during a refresh waits for that one instead of starting another."""
    async with running(A) as world:
        world.door.hold()
        world.publish(A, B)
        await world.clock.advance(601)
        waiting = asyncio.create_task(world.keyring.ensure(REF, B.kid))
        await settle()
        world.door.release()
        await waiting
        assert kids(world) == {A.kid, B.kid}
        assert world.fetches == 2


async def test_failures_back_off_to_ten_minutes_and_keep_the_keys():
    """A failing issuer is asked after 30, 60, 120, 240, 480, 500, 500 s; its keys serve all the while."""
    async with running(A) as world:
        world.fail()
        await world.clock.advance(600)
        for number, pause in enumerate((30, 60, 120, 240, 480, 500, 500)):
            assert (world.health().failures, world.health().next_refresh) == (number + 1, pause)
            assert world.fetches == number + 2
            await world.clock.advance(pause)
        assert kids(world) == {A.kid}


async def test_an_issuer_that_heals_is_served_again():
    """A cold issuer that was down at the start is fetched by the back-off once it is there."""
    world = World(A)
    restore = world.fail(METADATA)
    task = asyncio.create_task(world.keyring.run())
    await settle()
    assert world.keyring.key_set(REF) == NoKeys(too_old=False)
    restore()
    await world.clock.advance(31)
    assert kids(world) == {A.kid}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_withdrawn_key_is_refused_in_time():
    """A removed key retires at a fetch made for it, 5 min after the first that lacked it: within 20 min at worst."""
    async with running(A, B) as world:
        world.publish(B)
        await world.clock.advance(601)
        assert kids(world) == {A.kid, B.kid}
        assert world.health().withdrawn == (A.kid,)
        await world.clock.advance(298)
        assert kids(world) == {A.kid, B.kid}
        await world.clock.advance(3)
        assert kids(world) == {B.kid}
        assert [(event.kid, event.change) for event in world.health().history[-2:]] == [
            (A.kid, "absent"),
            (A.kid, "retired"),
        ]


async def test_metadata_has_its_own_timer():
    """Metadata is read again by the background once a day, whatever the keys do."""
    async with running(A) as world:
        await world.clock.advance(86_000)
        assert world.door.seen[METADATA] == 1
        assert world.fetches > 100
        await world.clock.advance(1200)
        assert world.door.seen[METADATA] == 2


async def test_metadata_that_cannot_be_had_again_goes_on():
    """When the daily look at the metadata fails or lies, the one at hand goes on, and health says so."""
    async with running(A) as world:
        world.door.documents[METADATA] = metadata(issuer="https://id.initech.example")
        await world.clock.advance(86_400 + 600)
        assert world.door.seen[METADATA] >= 2
        assert world.health().metadata_error == "issuer_mismatch"
        assert (world.health().last_error, kids(world)) == (None, {A.kid})
        world.door.documents[METADATA] = metadata()
        await world.clock.advance(601)
        assert world.health().metadata_error is None


async def test_moved_keys_are_found_again():
    """When the key document is gone from its place, the background asks the metadata where it is now."""
    async with running(A) as world:
        world.fail(JWKS, RedirectRefused("moved"))
        moved = f"{ISSUER}/keys2"
        world.door.documents |= {METADATA: metadata(jwks_uri=moved), moved: key_document(A, B)}
        await world.clock.advance(601)
        assert world.health().last_error == "redirect"
        await world.clock.advance(31)
        assert kids(world) == {A.kid, B.kid}


async def test_many_cold_issuers_are_spread():
    """300 issuers at the start are not fetched at once: they spread over 30 s, but a request jumps the queue."""
    rows = [a_row(id=f"i{number}", issuer=f"https://i{number}.example") for number in range(300)]
    async with running(rows=rows) as world:
        assert len(world.door.seen) == 1
        await world.clock.advance(10)
        assert 95 <= len(world.door.seen) <= 105
        await world.keyring.ensure(KeySetRef("i299"), "kid")
        assert world.door.seen["https://i299.example/.well-known/openid-configuration"] == 1
        await world.clock.advance(19.9)
        assert len(world.door.seen) == 300


async def test_issuers_that_come_and_go_are_followed():
    """A new issuer is fetched without a restart; a removed one is asked no more, though its fetch may end."""
    async with running(A) as world:
        other = "https://id.initech.example"
        url = f"{other}/.well-known/openid-configuration"
        world.keyring.set_issuers([a_row(), a_row(id="initech", issuer=other)])
        await settle()
        await world.clock.advance(1)
        assert world.door.seen[url] == 1

        world.keyring.set_issuers([a_row()])
        await world.clock.advance(5000)
        assert world.door.seen[url] == 1
        assert [each.issuer for each in world.keyring.health()] == ["globex"]


async def test_issuers_may_be_set_from_another_thread():
    """The policy's thread tells the running background without touching its loop."""
    async with running(rows=[]) as world:
        world.door.documents = {METADATA: metadata(), JWKS: key_document(A)}
        await asyncio.to_thread(world.keyring.set_issuers, [a_row()])
        await settle()
        assert kids(world) == {A.kid}


async def test_the_background_ends_cleanly():
    """Cancelling `run` ends every task it started; `aclose` ends the fetches and the door. Keys go on serving."""
    before = asyncio.all_tasks()
    world = World(A)
    task = asyncio.create_task(world.keyring.run())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    task = asyncio.create_task(world.keyring.run())
    await settle()
    world.door.hold()
    await world.clock.advance(601)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await world.keyring.aclose()
    await world.keyring.aclose()

    assert asyncio.all_tasks() == before
    assert (world.door.opened, world.door.closed) == (1, 1)
    assert kids(world) == {A.kid}
    assert not world.keyring.wants(REF, "unknown")
    await world.keyring.ensure(REF, "unknown")
    assert world.door.opened == 1


async def test_a_waiter_outlives_a_close():
    """Who waits for a fetch when the keyring is closed returns; the end of the fetch is not its end."""
    world = World(A)
    world.door.hold()
    waiting = asyncio.create_task(world.keyring.ensure(REF, A.kid))
    await settle()

    await world.keyring.aclose()
    await waiting

    assert world.keyring.key_set(REF) == NoKeys(too_old=False)
