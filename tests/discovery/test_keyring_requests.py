"""What a request may cause: at most one fetch per key set and cooldown, shared, bounded, and never an exception."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tenantgate.core.keys import KeySet, KeySetRef, NoKeys
from tenantgate.net.door import FetchRules, StatusRefused, TlsFailed
from tests.builders import signer
from tests.discovery.fakes import JWKS, METADATA, World, a_row, metadata, settle

A, B, C = (signer("ES256", name) for name in "abc")
REF = KeySetRef("globex")


def kids(world: World) -> set[str]:
    """Return the kids that serve now."""
    found = world.keyring.key_set(REF)
    assert isinstance(found, KeySet), found
    return set(found.keys)


async def test_a_cold_issuer_has_no_keys_until_one_request_fetches_them():
    """Nothing is fetched by itself; the first request that needs keys does, metadata first, once."""
    world = World(A)
    assert world.keyring.key_set(REF) == NoKeys(too_old=False)
    assert world.keyring.wants(REF, A.kid)
    assert (world.door.opened, world.door.seen) == (0, {})

    await world.keyring.ensure(REF, A.kid)

    assert kids(world) == {A.kid}
    assert world.door.seen == {METADATA: 1, JWKS: 1}
    assert not world.keyring.wants(REF, A.kid)


async def test_fifty_requests_share_one_fetch():
    """Single flight: whoever comes while a fetch is under way waits for that one."""
    world = World(A)
    world.door.hold()
    waiting = [asyncio.create_task(world.keyring.ensure(REF, A.kid)) for _ in range(50)]
    await settle()
    world.door.release()
    await asyncio.gather(*waiting)

    assert world.door.seen == {METADATA: 1, JWKS: 1}
    assert world.door.opened == 1
    assert kids(world) == {A.kid}


async def test_waiting_requests_are_bounded():
    """The 65th request does not wait: it returns at once, and `wants` says so beforehand."""
    world = World(A, waiters=64)
    world.door.hold()
    waiting = [asyncio.create_task(world.keyring.ensure(REF, A.kid)) for _ in range(64)]
    await settle()

    assert not world.keyring.wants(REF, A.kid)
    await world.keyring.ensure(REF, A.kid)

    assert not any(task.done() for task in waiting)
    world.door.release()
    await asyncio.gather(*waiting)
    assert world.fetches == 1


async def test_a_request_waits_no_longer_than_it_may():
    """A fetch that hangs lets its waiters go after `wait`; it goes on and its keys arrive later."""
    world = World(A, wait=0.01)
    world.door.hold()

    await world.keyring.ensure(REF, A.kid)

    assert world.keyring.key_set(REF) == NoKeys(too_old=False)
    world.door.release()
    await settle()
    assert kids(world) == {A.kid}


async def test_a_cancelled_waiter_cancels_nobody_else():
    """The fetch belongs to no request: cancelling the one that started it leaves it to the others."""
    world = World(A)
    world.door.hold()
    first = asyncio.create_task(world.keyring.ensure(REF, A.kid))
    second = asyncio.create_task(world.keyring.ensure(REF, A.kid))
    await settle()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    world.door.release()

    await second

    assert kids(world) == {A.kid}
    assert world.fetches == 1


async def test_cancelling_every_waiter_frees_their_places():
    """Waiters that went away do not count: others may wait for the same fetch."""
    world = World(A, waiters=2)
    world.door.hold()
    waiting = [asyncio.create_task(world.keyring.ensure(REF, A.kid)) for _ in range(2)]
    await settle()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    assert world.keyring.wants(REF, A.kid)
    world.door.release()
    await world.keyring.ensure(REF, A.kid)
    assert kids(world) == {A.kid}


async def test_the_cooldown_begins_when_a_successful_fetch_ends():
    """An unknown kid right after a fetch causes none; 30 s after its end, it may."""
    world = World(A)
    world.door.hold()
    first = asyncio.create_task(world.keyring.ensure(REF, A.kid))
    await world.clock.advance(20)
    world.door.release()
    await first
    world.publish(A, B)

    await world.clock.advance(29.9)
    assert not world.keyring.wants(REF, B.kid)
    await world.keyring.ensure(REF, B.kid)
    assert world.fetches == 1

    await world.clock.advance(0.1)
    assert world.keyring.wants(REF, B.kid)
    await world.keyring.ensure(REF, B.kid)
    assert world.fetches == 2
    assert kids(world) == {A.kid, B.kid}


@pytest.mark.threat(29)
async def test_the_cooldown_begins_when_a_failed_fetch_ends():
    """A failing issuer is not asked again for each token: the cooldown counts from the end of the failure."""
    world = World(A)
    restore = world.fail(METADATA)
    world.door.hold()
    first = asyncio.create_task(world.keyring.ensure(REF, A.kid))
    await world.clock.advance(20)
    world.door.release()
    await first
    restore()

    for _ in range(100):
        await world.keyring.ensure(REF, A.kid)
    await world.clock.advance(29.9)
    await world.keyring.ensure(REF, A.kid)
    assert world.door.seen == {METADATA: 1}
    assert not world.keyring.wants(REF, A.kid)

    await world.clock.advance(0.1)
    await world.keyring.ensure(REF, A.kid)
    assert kids(world) == {A.kid}


async def test_requests_are_not_held_up_by_the_backgrounds_back_off():
    """However often an issuer failed, requests try again every cooldown; nobody waits ten minutes after it heals."""
    world = World(A)
    restore = world.fail(METADATA)
    for _ in range(6):
        await world.keyring.ensure(REF, A.kid)
        await world.clock.advance(30)
    restore()

    await world.keyring.ensure(REF, A.kid)

    assert kids(world) == {A.kid}


async def test_a_server_that_asks_us_to_wait_is_left_alone():
    """Retry-After lengthens the cooldown, up to the longest back-off."""
    world = World(A, backoff=600)
    restore = world.fail(JWKS, StatusRefused("busy", 429, 120.0))
    await world.keyring.ensure(REF, A.kid)
    await world.clock.advance(119)
    assert not world.keyring.wants(REF, A.kid)
    await world.clock.advance(1)
    world.fail(JWKS, StatusRefused("busy", 503, 1e8))
    await world.keyring.ensure(REF, A.kid)
    await world.clock.advance(600)
    restore()

    await world.keyring.ensure(REF, A.kid)

    assert kids(world) == {A.kid}


@pytest.mark.threat(29)
async def test_a_flood_of_unknown_kids_is_one_fetch_per_cooldown():
    """10,000 random kids in a minute cause two fetches, and the good kid goes on."""
    world = World(A)
    await world.keyring.ensure(REF, A.kid)
    await world.clock.advance(30)
    for second in range(60):
        for number in range(166):
            await world.keyring.ensure(REF, f"random-{second}-{number}")
        await world.clock.advance(1)
        assert kids(world) == {A.kid}

    assert world.fetches == 1 + 2
    assert world.door.seen[METADATA] == 1


async def test_an_unknown_kid_is_remembered_for_a_while():
    """A kid that a successful fetch did not bring causes no further one until `unknown_ttl` has passed."""
    world = World(A, unknown_ttl=60.0)
    await world.keyring.ensure(REF, "nobody")
    await world.clock.advance(59)
    assert not world.keyring.wants(REF, "nobody")
    assert world.keyring.wants(REF, "nobody-else")
    await world.clock.advance(1)
    assert world.keyring.wants(REF, "nobody")


async def test_a_remembered_kid_is_accepted_once_it_is_published():
    """The memory of unknown kids never hides a key that has come meanwhile."""
    world = World(A)
    await world.keyring.ensure(REF, B.kid)
    world.publish(A, B)
    await world.clock.advance(30)
    await world.keyring.ensure(REF, "another")

    assert B.kid in kids(world)


async def test_a_failed_fetch_remembers_no_kid():
    """A kid is unknown only after the issuer has answered: a failed fetch proves nothing about it."""
    world = World(A)
    await world.keyring.ensure(REF, A.kid)
    world.publish(A, B)
    restore = world.fail()
    await world.clock.advance(30)
    await world.keyring.ensure(REF, B.kid)
    restore()
    await world.clock.advance(30)

    assert world.keyring.wants(REF, B.kid)
    await world.keyring.ensure(REF, B.kid)
    assert B.kid in kids(world)


async def test_a_kid_that_comes_while_the_answer_is_on_its_way_is_not_remembered():
    """The answer may be older than the key: the issuer rotated meanwhile, and signs with the new one."""
    world = World(A)
    world.door.hold()
    early = asyncio.create_task(world.keyring.ensure(REF, "nobody"))
    await settle()  # the metadata is asked for
    joining = asyncio.create_task(world.keyring.ensure(REF, "nobody-else"))
    await settle()
    world.door.release()
    await settle()
    await asyncio.gather(early, joining)
    await world.clock.advance(30)
    assert not world.keyring.wants(REF, "nobody-else")  # it came before the keys were asked for

    world.door.hold()
    asking = asyncio.create_task(world.keyring.ensure(REF, "another"))
    await settle()
    assert world.fetches == 2
    late = asyncio.create_task(world.keyring.ensure(REF, B.kid))
    await settle()
    world.door.release()
    await asyncio.gather(asking, late)
    assert B.kid not in kids(world)

    world.publish(A, B)
    await world.clock.advance(30)
    assert not world.keyring.wants(REF, "another")
    await world.keyring.ensure(REF, B.kid)
    assert B.kid in kids(world)


async def test_remembered_kids_are_bounded():
    """The memory of unknown kids holds `unknown_most`, whatever an attacker sends."""
    world = World(A, unknown_most=8, cooldown=0.0)
    for number in range(50):
        await world.keyring.ensure(REF, f"random-{number}")

    state = world.keyring._states[REF]
    assert len(state.unknown) == 8


FAULTS = {
    "door fails": (TlsFailed("expired"), "tls"),
    "defect of ours": (ZeroDivisionError("oops"), "unexpected"),
    "not json": (b"<html>", "key_set_malformed"),
    "empty body": (b"", "key_set_malformed"),
    "no keys": (b"{}", "key_set_malformed"),
    "empty set": (b'{"keys":[]}', "key_set_malformed"),
    "only rubbish": (b'{"keys":[{"kty":"oct","k":"AAAA"}]}', "key_set_malformed"),
}


@pytest.mark.threat(29)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fetch_that_fails_keeps_the_old_keys(fault: str):
    """Whatever comes instead of keys is recorded by its code; the very objects in use stay, callers see nothing."""
    answer, code = FAULTS[fault]
    world = World(A)
    await world.keyring.ensure(REF, A.kid)
    before = world.keyring.key_set(REF)
    world.door.documents[JWKS] = answer
    await world.clock.advance(30)

    await world.keyring.ensure(REF, "unknown")

    assert world.keyring.key_set(REF) is before
    health = world.health()
    assert (health.last_error, health.failures, health.age) == (code, 1, 30)
    assert world.fetches == 2


LIES = {
    "not json": (b"<html>", "metadata_malformed"),
    "another issuer": (metadata(issuer="https://id.initech.example"), "issuer_mismatch"),
    "keys elsewhere": (metadata(jwks_uri="https://evil.example/keys"), "jwks_uri_refused"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_metadata_that_lies_leads_nowhere(lie: str):
    """A refused metadata document ends the fetch before any key is asked for."""
    world = World(A)
    world.door.documents[METADATA], code = LIES[lie]

    await world.keyring.ensure(REF, A.kid)

    assert world.keyring.key_set(REF) == NoKeys(too_old=False)
    assert world.health().last_error == code
    assert world.door.seen == {METADATA: 1}


async def test_a_good_fetch_clears_the_failures():
    """Health tells the present: after a success there is no last error and no failure streak."""
    world = World(A)
    restore = world.fail()
    await world.keyring.ensure(REF, A.kid)
    assert (world.health().failures, world.health().last_error) == (1, "dns")
    restore()
    await world.clock.advance(30)
    await world.keyring.ensure(REF, A.kid)

    assert (world.health().failures, world.health().last_error, world.health().age) == (0, None, 0)


async def test_metadata_is_never_fetched_for_an_unknown_kid():
    """Metadata has its own timer: at hand, however old, it serves every fetch that a request causes."""
    world = World(A, hard_age=1e9)
    await world.keyring.ensure(REF, A.kid)
    for day in range(3):
        await world.clock.advance(86_400)
        await world.keyring.ensure(REF, f"unknown-{day}")

    assert world.door.seen == {METADATA: 1, JWKS: 4}


async def test_past_the_hard_age_keys_judge_nothing():
    """72 h after the last success the keys are too old, however known the kid; a fetch brings them back, the same."""
    world = World(A)
    await world.keyring.ensure(REF, A.kid)
    before = world.keyring.key_set(REF)
    restore = world.fail()
    await world.clock.advance(72 * 3600 - 1)
    assert world.keyring.key_set(REF) is before
    await world.clock.advance(1)

    assert world.keyring.key_set(REF) == NoKeys(too_old=True, age=72 * 3600)
    assert world.health().too_old
    assert world.keyring.wants(REF, A.kid)
    await world.keyring.ensure(REF, A.kid)
    assert world.keyring.key_set(REF) == NoKeys(too_old=True, age=72 * 3600)

    restore()
    await world.clock.advance(30)
    await world.keyring.ensure(REF, A.kid)
    after = world.keyring.key_set(REF)
    assert isinstance(before, KeySet)
    assert isinstance(after, KeySet)
    assert after.keys[A.kid] is before.keys[A.kid]


@pytest.mark.parametrize("ref", [KeySetRef("nobody"), KeySetRef("globex", "v1"), KeySetRef("globex", "v2", "an-app")])
async def test_key_sets_that_are_not_served_cause_nothing(ref: KeySetRef):
    """An issuer, document or app that the policy does not name has no keys, and none are ever asked for."""
    world = World(A)

    assert world.keyring.key_set(ref) == NoKeys(too_old=False)
    assert not world.keyring.wants(ref, A.kid)
    await world.keyring.ensure(ref, A.kid)
    assert world.door.opened == 0


@pytest.mark.threat(31)
async def test_a_million_unknown_issuers_leave_no_trace():
    """Asking for issuers nobody configured creates no state (sampled at 10,000)."""
    world = World(A)
    for number in range(10_000):
        await world.keyring.ensure(KeySetRef(f"random-{number}"), "kid")

    assert len(world.keyring._states) == 1
    assert world.door.opened == 0


async def test_one_hanging_issuer_does_not_hold_up_another():
    """Each key set has a flight of its own: while one hangs, another is fetched and served."""
    slow = a_row(id="slow", issuer="https://id.slow.example")
    world = World(A, rows=[a_row(), slow])
    world.door.hold()
    waiting = asyncio.create_task(world.keyring.ensure(KeySetRef("slow"), "kid"))
    await settle()
    world.door.release()
    world.door.documents["https://id.slow.example/.well-known/openid-configuration"] = b""
    await world.keyring.ensure(REF, A.kid)

    assert kids(world) == {A.kid}
    await waiting


async def test_a_fetch_follows_the_issuers_rules():
    """Each request to an issuer carries that issuer's switches and the keyring's bounds, and nothing else."""
    row = a_row(allow_private_addresses=True, insecure_allow_http=True)
    world = World(A, rows=[row], deadline=1.5, max_bytes=5000)
    await world.keyring.ensure(REF, A.kid)

    wanted = FetchRules(insecure_allow_http=True, allow_private_addresses=True, deadline=1.5, max_bytes=5000)
    assert world.door.rules == [wanted, wanted]


async def test_a_door_that_cannot_be_opened_is_a_failed_fetch():
    """Whatever goes wrong on the way out is recorded and begins the cooldown; no caller sees it."""
    world = World(A)
    world.keyring._open_door = lambda: 1 // 0  # type: ignore[assignment,return-value]

    await world.keyring.ensure(REF, A.kid)

    assert world.health().last_error == "unexpected"
    assert not world.keyring.wants(REF, A.kid)


async def test_what_keeps_keys_away_is_logged_once_a_code_and_its_end(caplog: pytest.LogCaptureFixture):
    """A reader of the log learns which issuer's keys cannot be had, by which code; a lasting trouble is one line."""
    caplog.set_level(logging.INFO, "tenantgate.discovery")
    world = World(A, cooldown=1.0)
    restore = world.fail()
    for _ in range(3):
        await world.keyring.ensure(REF, A.kid)
        world.clock.now += 3_600
    world.door.documents[JWKS] = b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'
    await world.keyring.ensure(REF, A.kid)
    world.clock.now += 3_600
    restore()
    await world.keyring.ensure(REF, A.kid)

    said = [
        (record.levelname, getattr(record, "code", None), getattr(record, "issuer", "")) for record in caplog.records
    ]
    assert said == [
        ("WARNING", "dns", "globex"),
        ("WARNING", "key_set_malformed", "globex"),
        ("INFO", None, "globex"),
    ]
    assert "c2VjcmV0" not in caplog.text
