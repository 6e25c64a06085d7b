"""Which issuers are served: static and discovered, unchanged, changed, gone, malformed, and after a fork."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tenantgate.core.keys import KeySet, KeySetRef, NoKeys, VerifyKey, build_key_set
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.issuers import states_for
from tenantgate.discovery.limits import KeyLimits
from tenantgate.discovery.published import Published
from tenantgate.discovery.state import IssuerState
from tests.builders import an_entra_issuer, cloud_key, signer
from tests.core.test_fetching import certificate
from tests.discovery.fakes import JWKS, METADATA, FakeDoor, World, a_row, checked, settle

A, B = (signer("ES256", name) for name in "ab")
REF = KeySetRef("globex")


def key_of(world: World, ref: KeySetRef = REF, kid: str | None = A.kid) -> VerifyKey:
    """Return the key in use for a kid."""
    found = world.keyring.key_set(ref)
    assert isinstance(found, KeySet), found
    key = found.find(kid)
    assert key is not None
    return key


def a_static(**changes: Any) -> IssuerRow:
    """Return a row that brings its keys along."""
    return a_row(**{"id": "static", "issuer": "https://id.static.example", "jwks": {"keys": [A.jwk()]}, **changes})


STATIC = KeySetRef("static")


async def test_an_unchanged_row_keeps_state_and_key_objects():
    """A policy change elsewhere leaves an issuer alone: same keys, same timers, no fetch."""
    world = World(A)
    await world.keyring.ensure(REF, A.kid)
    key = key_of(world)
    await world.clock.advance(10)

    world.keyring.set_issuers([a_row(), a_static()])

    assert key_of(world) is key
    assert world.health().age == 10
    assert not world.keyring.wants(REF, "unknown")


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://id.globex.example/"},
        {"metadata_url": "https://id.globex.example/other"},
        {"jwks_hosts": ("keys.globex.example",)},
        {"algorithms": ("ES256",)},
        {"allow_private_addresses": True},
        {"ca_bundle": certificate()},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_changed_row_starts_anew(change: dict[str, Any]):
    """Where keys come from or what they may do has changed: nothing learnt before serves any more."""
    world = World(A)
    await world.keyring.ensure(REF, A.kid)

    world.keyring.set_issuers([a_row(**change)])

    assert world.keyring.key_set(REF) == NoKeys(too_old=False)
    assert world.keyring.wants(REF, A.kid)
    assert world.health().age is None


@pytest.mark.parametrize(
    "change",
    [
        {"token_types": ("JWT",)},
        {"client_id_claim": "client"},
        {"roles_claim": "/realm_access/roles"},
        {"subject_pin": True},
        {"profile": "keycloak"},
        {"distrusted_keys": ("another",)},
        {"max_key_age": 7200},
        {"proxy": "http://proxy.example:3128"},
    ],
)
async def test_a_change_in_what_is_done_with_keys_keeps_serving_under_new_objects(change: dict[str, Any]):
    """Tokens verified by the old row are verified again (new objects), but an issuer that is down stays served."""
    world = World(A)
    await world.keyring.ensure(REF, A.kid)
    key = key_of(world)
    await world.clock.advance(10)

    world.keyring.set_issuers([a_row(**change)])

    assert key_of(world) is not key
    assert key_of(world).key == key.key
    assert (world.health().age, world.fetches) == (10, 1)
    assert not world.keyring.wants(REF, "unknown")


async def test_a_key_is_distrusted_without_a_fetch():
    """The row says so: the very next look finds it marked, and unmarked when the row takes it back."""
    world = World(A, B)
    await world.keyring.ensure(REF, A.kid)

    for names, marked in (((A.kid,), True), ((), False)):
        world.keyring.set_issuers([a_row(distrusted_keys=names)])
        assert key_of(world).distrusted is marked
        assert key_of(world, kid=B.kid).distrusted is False
    assert world.fetches == 1


async def test_a_distrusted_key_stays_so_however_often_it_is_fetched():
    """What the issuer publishes changes nothing."""
    world = World(A, rows=[a_row(distrusted_keys=(A.kid,))])
    for _ in range(2):
        await world.keyring.ensure(REF, "unknown")
        assert key_of(world).distrusted is True
        await world.clock.advance(100)


async def test_a_row_says_how_long_its_keys_judge():
    """Shorter or longer than the process has it, and at once for keys that are there."""
    world = World(A, rows=[a_row(max_key_age=7200)], hard_age=10_000.0)
    await world.keyring.ensure(REF, A.kid)
    await world.clock.advance(7199)
    assert isinstance(world.keyring.key_set(REF), KeySet)
    await world.clock.advance(1)
    assert world.keyring.key_set(REF) == NoKeys(too_old=True, age=7200.0)

    for row, serves in ((a_row(max_key_age=20_000), True), (a_row(), True), (a_row(max_key_age=3600), False)):
        world.keyring.set_issuers([row])
        assert isinstance(world.keyring.key_set(REF), KeySet) is serves


async def test_a_fetch_goes_by_the_way_the_row_says():
    """Its authorities and its proxy reach the door."""
    row = a_row(ca_bundle=certificate(), proxy="http://proxy.example:3128")
    world = World(A, rows=[row])
    await world.keyring.ensure(REF, A.kid)

    assert {(rules.ca_bundle, rules.proxy) for rules in world.door.rules} == {(row.ca_bundle, row.proxy)}


async def test_a_removed_issuer_vanishes():
    """An issuer that left the policy has no keys and is not fetched."""
    world = World(A)
    await world.keyring.ensure(REF, A.kid)

    world.keyring.set_issuers([])

    assert world.keyring.key_set(REF) == NoKeys(too_old=False)
    assert not world.keyring.wants(REF, A.kid)
    assert world.keyring.health() == []


async def test_a_fetch_for_a_row_that_changed_meanwhile_brings_nothing():
    """What a fetch under way brings belongs to the row it was started for."""
    world = World(A)
    world.door.hold()
    waiting = asyncio.create_task(world.keyring.ensure(REF, A.kid))
    await settle()
    world.keyring.set_issuers([a_row(algorithms=("RS256",))])
    world.door.release()
    await waiting

    assert world.keyring.key_set(REF) == NoKeys(too_old=False)


async def test_static_keys_serve_at_once_and_for_ever():
    """Keys given with the row need no network: no fetch, no age, no unknown kid that would cause one."""
    world = World(rows=[a_static()])
    key = key_of(world, STATIC)
    await world.clock.advance(10 * 365 * 86_400)

    assert key_of(world, STATIC) is key
    assert not world.keyring.wants(STATIC, "unknown")
    await world.keyring.ensure(STATIC, "unknown")
    assert world.door.opened == 0
    health = world.health("static")
    assert (health.static, health.age, health.too_old, health.next_refresh) == (True, None, False, None)


async def test_static_keys_are_left_alone_by_the_background():
    """A site without internet makes not one attempt to fetch."""
    world = World(rows=[a_static()])
    task = asyncio.create_task(world.keyring.run())
    await world.clock.advance(100_000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert world.door.opened == 0


def test_both_documents_of_a_static_cloud_serve():
    """`jwks` is the v2 document, `v1_jwks` the v1 one; each is a key set of its own."""
    world = World(rows=[checked(an_entra_issuer())])

    assert key_of(world, KeySetRef("cloud", "v2"), cloud_key().kid).issuer is not None
    assert key_of(world, KeySetRef("cloud", "v1"), cloud_key().kid).issuer is None


def test_an_unchanged_static_row_keeps_its_key_objects():
    """A reloaded policy with the same keys does not make a single token be verified again."""
    world = World(rows=[a_static()])
    key = key_of(world, STATIC)

    world.keyring.set_issuers([a_static()])
    assert key_of(world, STATIC) is key
    world.keyring.set_issuers([a_static(jwks={"keys": [B.jwk()]})])
    assert key_of(world, STATIC, B.kid)


def test_a_malformed_static_set_harms_its_issuer_alone():
    """Unusable keys leave that issuer without any and say so; every other issuer is served."""
    world = World(rows=[a_static(jwks={"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}), a_static(id="good")])

    assert world.keyring.key_set(STATIC) == NoKeys(too_old=False)
    assert not world.keyring.wants(STATIC, "a")
    assert world.health("static").last_error == "key_set_malformed"
    assert "symmetric" in world.health("static").last_detail
    assert key_of(world, KeySetRef("good"))


@pytest.mark.threat(30)
async def test_dropped_keys_are_told_with_their_reasons():
    """A set with a bad key serves its good ones; health names the bad one and why."""
    world = World(A)
    world.publish(A, signer("RS256", "weak", 1024))
    await world.keyring.ensure(REF, A.kid)

    health = world.health()
    assert health.kids == (A.kid,)
    assert [(drop.kid, drop.reason.partition(";")[0]) for drop in health.dropped] == [
        ("weak-RS256", "RSA key of 1024 bits")
    ]


async def test_health_tells_what_happened_to_each_key():
    """The history holds the newest events with their age; a replaced key is among them."""
    world = World(A)
    await world.keyring.ensure(REF, A.kid)
    await world.clock.advance(100)
    world.publish(B, kid=A.kid)
    await world.keyring.ensure(REF, "unknown")
    await world.clock.advance(5)

    health = world.health()
    assert [tuple(event) for event in health.history] == [(105.0, A.kid, "added"), (5.0, A.kid, "replaced")]
    assert (health.tried_ago, health.next_refresh) == (5.0, 595.0)


async def test_a_nameless_key_shows_as_an_empty_kid():
    """An issuer whose one key has no kid does not look as if it had none."""
    world = World(A)
    world.publish(A, kid=...)
    await world.keyring.ensure(REF, None)

    assert key_of(world, REF, None)
    assert world.health().kids == ("",)


def test_after_a_fork_the_child_has_the_keys_and_a_door_of_its_own():
    """Fetches and door of the parent's loop are forgotten; keys serve on, and the child's loop fetches anew."""
    world = World(A)

    async def parent() -> None:
        await world.keyring.ensure(REF, A.kid)
        await world.clock.advance(60)
        world.door.hold()
        left.append(asyncio.create_task(world.keyring.ensure(REF, "unknown")))
        await settle()

    left: list[asyncio.Task[None]] = []
    parents = asyncio.new_event_loop()
    parents.run_until_complete(parent())
    flight = world.keyring._states[REF].flight
    assert flight is not None
    left.append(flight.task)
    key = key_of(world)
    world.door = FakeDoor()
    world.door.documents = {METADATA: b"", JWKS: b""}
    world.publish(A, B)
    world.keyring._open_door = world.door.open

    world.keyring.reset_after_fork()

    assert key_of(world) is key
    asyncio.run(world.keyring.ensure(REF, B.kid))
    assert world.door.opened == 1
    assert key_of(world, REF, B.kid)
    assert key_of(world) is key
    for task in left:
        task.cancel()
    parents.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    parents.close()


def test_setting_issuers_after_the_loop_has_ended_is_quiet():
    """A policy change that arrives while the Keeper is gone is kept for the next one."""
    world = World(A)
    loop = asyncio.new_event_loop()
    loop.close()
    world.keyring._wake = lambda: loop.call_soon_threadsafe(print)

    world.keyring.set_issuers([a_static()])

    assert key_of(world, STATIC)


class Landing(IssuerState):
    """A key set whose fetch lands while another thread copies it: keys first, and timers with them."""

    landing: Published | None = None

    @property
    def failures(self) -> int:  # type: ignore[override]
        if self.landing is not None:
            self.published, self.due_at, self.landing = self.landing, 5000.0, None
        return 0

    @failures.setter
    def failures(self, value: int) -> None:
        pass


def test_what_lands_while_a_row_changes_is_taken_over_whole():
    """Old keys with the timers of a new fetch would serve on until the next one."""
    row = a_row()
    before = Landing(REF, row, "v2", static=False)
    old = build_key_set({"keys": [A.jwk()]}, row)
    new = build_key_set({"keys": [B.jwk()]}, row)
    before.published, before.due_at = Published(old, 1000.0, 9000.0), 1600.0
    before.landing = Published(new, 1600.0, 9600.0)
    changed = a_row(max_key_age=7200)
    states = states_for([changed], {REF: before}, KeyLimits(), lambda: 1700.0)

    published = states[REF].published
    assert published is not None
    assert (set(published.keys.keys), published.fetched_at, states[REF].due_at) == ({B.kid}, 1600.0, 5000.0)
