"""The gate over the real Keyring: one fetch for however many wait, and no thread left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from tenantgate.core.decision import Decision
from tenantgate.core.decision import DenialReason as R
from tenantgate.discovery.keyring import Keyring
from tenantgate.gate.gate import Gate
from tests.builders import NOW, REMOVE, a_snapshot, cloud_key, signer, v2_claims
from tests.gate.world import (
    CLOUD_V2,
    KEYS_URL,
    FakeKeys,
    ThreadedDoor,
    a_fetched_snapshot,
    a_keyring,
    a_view,
    eventually,
    is_granted,
    reason_of,
)

Make = Callable[..., Gate]
READ = ("Orders.Read",)
ROTATED = signer("RS256", "rotated")


def waiters(keyring: Keyring) -> int:
    """Return how many requests wait for the cloud's keys."""
    flight = keyring._states[CLOUD_V2].flight
    return flight.waiters if flight is not None else 0


def ask_from_threads(gate: Gate, count: int, door: ThreadedDoor, keyring: Keyring) -> list[Decision]:
    """Ask from `count` threads at once; let the door answer when all of them wait."""
    decisions: list[Decision] = []
    threads = [
        threading.Thread(target=lambda: decisions.append(gate.decide(a_view(), READ)), name=f"asker-{place}")
        for place in range(count)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: waiters(keyring) == count)
    door.go.set()
    for thread in threads:
        thread.join()
    return decisions


def test_thirty_two_threads_make_one_fetch(make: Make):
    """Threads that miss the same key wait for one fetch together, and all of them are let in by it."""
    door = ThreadedDoor()
    keyring = a_keyring(door)
    gate = make(keyring, a_fetched_snapshot())
    door.go.clear()
    decisions = ask_from_threads(gate, 32, door, keyring)

    assert [is_granted(each) for each in decisions] == [True] * 32
    assert (door.fetches, door.opened) == (1, 1)


async def test_fifty_tasks_make_one_fetch(make: Make):
    """Tasks that miss the same key wait for one fetch together, and the loop they run on goes on meanwhile."""
    door = ThreadedDoor()
    keyring = a_keyring(door)
    gate = make(keyring, a_fetched_snapshot())
    door.go.clear()
    tasks = [asyncio.create_task(gate.adecide(a_view(), READ)) for _ in range(50)]
    for _ in range(5000):
        if waiters(keyring) == 50:
            break
        await asyncio.sleep(0.002)
    assert waiters(keyring) == 50
    door.go.set()

    assert [is_granted(each) for each in await asyncio.gather(*tasks)] == [True] * 50
    assert door.fetches == 1


def test_threads_and_tasks_wait_for_the_same_fetch(make: Make):
    """`decide` and `adecide` may be mixed: they join one flight."""
    door = ThreadedDoor()
    keyring = a_keyring(door)
    gate = make(keyring, a_fetched_snapshot())
    door.go.clear()
    found: list[Decision] = []
    threads = [
        threading.Thread(target=lambda: found.append(gate.decide(a_view(), READ))),
        threading.Thread(target=lambda: found.append(asyncio.run(gate.adecide(a_view(), READ)))),
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: waiters(keyring) == 2)
    door.go.set()
    for thread in threads:
        thread.join()

    assert [is_granted(each) for each in found] == [True, True]
    assert door.fetches == 1


async def test_a_caller_that_goes_away_does_not_take_the_fetch_along(make: Make):
    """A request cancelled while it waits leaves the fetch to the others that wait for it."""
    door = ThreadedDoor()
    keyring = a_keyring(door)
    gate = make(keyring, a_fetched_snapshot())
    door.go.clear()
    leaving, staying = (asyncio.create_task(gate.adecide(a_view(), READ)) for _ in range(2))
    for _ in range(5000):
        if waiters(keyring) == 2:
            break
        await asyncio.sleep(0.002)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    door.go.set()

    assert is_granted(await staying)
    assert door.fetches == 1


def test_a_rotated_key_is_fetched_when_it_is_first_seen(make: Make):
    """A token of a key that was published since is accepted after one fetch, without a restart."""
    door = ThreadedDoor()
    gate = make(a_keyring(door, cooldown=0.0), a_fetched_snapshot())
    assert is_granted(gate.decide(a_view(), READ))
    door.publish(cloud_key(), ROTATED)

    assert is_granted(gate.decide(a_view(ROTATED.sign(v2_claims())), READ))
    assert is_granted(gate.decide(a_view(), READ))
    assert door.fetches == 2


@pytest.mark.threat(29)
def test_forged_key_names_make_one_fetch_in_a_cooldown(make: Make):
    """A flood of unknown `kid`s reaches the issuer once; each is refused as unknown."""
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot())
    for place in range(20):
        forged = ROTATED.sign(v2_claims(), kid=f"forged-{place}")
        assert reason_of(gate.decide(a_view(forged), READ)) is R.SIGNING_KEY_UNKNOWN
    assert door.fetches == 1


@pytest.mark.threat(29)
def test_an_issuer_that_is_down_is_503_and_known_keys_go_on(make: Make):
    """Without keys nothing can be judged; with keys at hand a dead issuer changes nothing for known partners."""
    door = ThreadedDoor()
    documents = dict(door.documents)
    gate = make(a_keyring(door, cooldown=0.0), a_fetched_snapshot())
    door.documents.clear()
    denied = gate.decide(a_view(), READ)
    assert reason_of(denied) is R.KEY_SET_UNAVAILABLE
    assert gate.answer(denied).status == 503
    door.documents.update(documents)
    assert is_granted(gate.decide(a_view(), READ))
    door.documents.clear()

    assert reason_of(gate.decide(a_view(ROTATED.sign(v2_claims())), READ)) is R.SIGNING_KEY_UNKNOWN
    assert is_granted(gate.decide(a_view(), READ))


@pytest.mark.parametrize("ask", ["decide", "adecide"])
async def test_a_door_that_hangs_costs_a_request_its_deadline(make: Make, ask: str):
    """A request waits until its deadline and no longer; when the door answers later, the next one is let in."""
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot(), deadline=0.05)
    door.go.clear()
    decision = gate.decide(a_view(), READ) if ask == "decide" else await gate.adecide(a_view(), READ)
    assert reason_of(decision) is R.KEY_SET_UNAVAILABLE
    door.go.set()

    eventually(lambda: is_granted(gate.decide(a_view(), READ)))
    assert door.fetches == 1


def test_an_issuer_that_leaves_the_policy_is_not_asked_any_more(make: Make):
    """Once the policy names other keys, the old address is not fetched again and its tokens mean nothing."""
    door = ThreadedDoor()
    gate = make(a_keyring(door, cooldown=0.0), a_fetched_snapshot())
    assert is_granted(gate.decide(a_view(), READ))
    gone = dict.fromkeys(("cloud", "acme_tenant", "initech_tenant", "home", "acme_daemon", "acme_second"), REMOVE)
    gone |= dict.fromkeys(("initech_daemon", "home_daemon", "acme_reads", "initech_reads", "home_reads"), REMOVE)
    gate.install(a_snapshot(revision=2, **gone))

    assert reason_of(gate.decide(a_view(), READ)) is R.ISSUER_UNKNOWN
    assert door.seen[KEYS_URL] == 1


def test_closing_ends_the_thread_and_the_door(make: Make):
    """After `close` the loop's thread is gone, the door is closed, and what is at hand still judges."""
    before = set(threading.enumerate())
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot())
    assert is_granted(gate.decide(a_view(), READ))
    [thread] = set(threading.enumerate()) - before
    assert thread.name == "tenantgate-keeper"
    gate.close()

    assert not thread.is_alive()
    assert set(threading.enumerate()) == before
    assert door.closed == 1
    assert is_granted(gate.decide(a_view(), READ))


def test_closing_ends_a_fetch_under_way(make: Make):
    """A door that hangs does not keep `close` from ending; whoever waited is answered."""
    before = set(threading.enumerate())
    door = ThreadedDoor()
    keyring = a_keyring(door)
    gate = make(keyring, a_fetched_snapshot())
    door.go.clear()
    found: list[Decision] = []
    asker = threading.Thread(target=lambda: found.append(gate.decide(a_view(), READ)))
    asker.start()
    eventually(lambda: waiters(keyring) == 1)
    gate.close()
    asker.join()

    assert [reason_of(each) for each in found] == [R.KEY_SET_UNAVAILABLE]
    assert set(threading.enumerate()) == before


def test_closing_twice_is_closing_once(make: Make):
    """`close` may be called again, and before anything was started."""
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot())
    gate.close()
    gate.close()

    assert (door.opened, door.closed) == (0, 0)


@pytest.mark.parametrize("ask", ["decide", "adecide"])
@pytest.mark.parametrize("used", [False, True], ids=["never used", "used before"])
async def test_a_closed_gate_answers_without_a_fetch(make: Make, ask: str, used: bool):
    """After `close` a request that misses keys is refused at once; it neither raises nor wakes a thread."""
    before = set(threading.enumerate())
    keys = FakeKeys()
    gate = make(keys, a_fetched_snapshot())
    if used:
        await gate.adecide(a_view(), READ)
    gate.close()
    asked = len(keys.fetches)
    decision = gate.decide(a_view(), READ) if ask == "decide" else await gate.adecide(a_view(), READ)

    assert reason_of(decision) is R.KEY_SET_UNAVAILABLE
    assert len(keys.fetches) == asked
    assert set(threading.enumerate()) == before


def test_static_keys_never_start_a_thread(make: Make):
    """A gate over keys that the policy carries needs no network, so there is no thread for it."""
    before = set(threading.enumerate())
    gate = make(a_keyring(ThreadedDoor()))
    assert is_granted(gate.decide(a_view(), READ))
    assert reason_of(gate.decide(a_view(ROTATED.sign(v2_claims(exp=NOW + 60))), READ)) is R.SIGNING_KEY_UNKNOWN

    assert set(threading.enumerate()) == before
