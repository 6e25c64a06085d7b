"""Keys are made when they are needed, once, and named by their certificate."""

from __future__ import annotations

import threading

import pytest

from tenantgate.emulator.errors import NameUnknown
from tenantgate.emulator.keys import KeyRing, SigningKey, generate_key, self_signed
from tests.emulator.world import NOW, FakeClock, key_factory, rsa_key


def test_no_key_is_made_before_it_is_needed() -> None:
    """Making a ring costs nothing; the first look at it makes one key, later looks make none."""
    made: list[SigningKey] = []
    make = key_factory()

    def counted(now: float) -> SigningKey:
        made.append(make(now))
        return made[-1]

    ring = KeyRing(counted, FakeClock())
    assert not made
    assert ring.signing() is ring.signing()
    assert ring.published() == tuple(made)
    assert len(made) == 1


def test_many_first_looks_agree_on_one_key() -> None:
    """Threads that need the first key at once all get the same one."""
    ring = KeyRing(key_factory(), FakeClock())
    together = threading.Barrier(4)
    seen: list[str] = []

    def look() -> None:
        together.wait()
        seen.append(ring.signing().kid)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 4
    assert len(set(seen)) == 1


def test_the_same_key_time_and_serial_give_the_same_kid() -> None:
    """A test that brings its own key gets a predictable name for it."""
    key = rsa_key(0)

    assert self_signed(key, now=NOW, serial=1).kid == self_signed(key, now=NOW, serial=1).kid
    assert self_signed(key, now=NOW, serial=1).kid != self_signed(key, now=NOW, serial=2).kid


def test_a_generated_key_is_new_each_time() -> None:
    """The real factory gives RSA keys of 2048 bits, no two the same."""
    first, second = generate_key(NOW), generate_key(NOW)

    assert first.private_key.key_size == 2048
    assert first.kid != second.kid


def test_a_key_does_not_show_its_private_half() -> None:
    """What lands in a traceback or a log names neither the private key nor the certificate."""
    assert repr(self_signed(rsa_key(0), now=NOW, serial=1)) == "SigningKey(only_tid=None)"


def test_an_unknown_kid_is_an_error() -> None:
    """Nothing is signed by a key that was only guessed."""
    with pytest.raises(NameUnknown):
        KeyRing(key_factory(), FakeClock()).get("guessed")
