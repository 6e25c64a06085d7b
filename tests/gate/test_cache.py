"""Remembered tokens: bounded in number and in bytes, in two generations, and never a token in there."""

from __future__ import annotations

import hashlib
import sys
import threading
import tracemalloc
from typing import Any

import msgspec
import pytest

from tenantgate.core.verify import Verified, verify
from tenantgate.gate.cache import VerifiedTokens, weight_of
from tests.builders import an_index, static_keys, v2_token


def a_verified() -> Verified:
    """Return what verification finds in acme's good token."""
    index = an_index()
    found = verify(v2_token(), index, static_keys(index))
    assert isinstance(found, Verified)
    return found


VERIFIED = a_verified()


def digest(number: int) -> bytes:
    """Return the digest of the token of that number."""
    return hashlib.sha256(str(number).encode()).digest()


def test_remembers_what_was_put():
    """What was found is given back for the very same digest, and nothing for any other."""
    tokens = VerifiedTokens()
    tokens.put(digest(1), VERIFIED, 1200)

    assert tokens.get(digest(1)) is VERIFIED
    assert tokens.get(digest(2)) is None
    assert len(tokens) == 1


def test_never_holds_more_entries_than_it_may():
    """Ten times the tokens leave no more than the bound, and the newest is always among them."""
    tokens = VerifiedTokens(entries=100)
    for number in range(1000):
        tokens.put(digest(number), VERIFIED, 1)
        assert len(tokens) <= 100
        assert tokens.get(digest(number)) is VERIFIED


def test_never_holds_more_bytes_than_it_may():
    """Large tokens push others out long before the number of entries would."""
    tokens = VerifiedTokens(entries=1000, size=10_000)
    for number in range(100):
        tokens.put(digest(number), VERIFIED, 1000)
        assert len(tokens) <= 10


@pytest.mark.threat(31)
@pytest.mark.parametrize(
    "payload",
    [
        {"a": "x" * 11_000},
        {"a": [[{} for _ in range(250)] for _ in range(14)]},
        {"a": [[[] for _ in range(250)] for _ in range(14)]},
        {"a": [[f"{number:02}" for number in range(100)] for _ in range(20)]},
        {f"{number:02x}": number + 0.5 for number in range(250)},
    ],
    ids=["one text", "empty objects", "empty lists", "short texts", "members"],
)
def test_claims_are_counted_at_what_they_weigh(payload: dict[str, Any]):
    """A token of many small values weighs twenty times its text, and no partner may fill the memory with such."""
    document = msgspec.json.encode(payload)
    tracemalloc.start()
    try:
        kept = msgspec.json.decode(document)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held <= 1.75 * weight_of(document, kept)


def test_a_token_larger_than_everything_else_does_not_stay_with_others():
    """One token beyond the half of the bytes stands alone in its generation."""
    tokens = VerifiedTokens(entries=1000, size=1000)
    tokens.put(digest(1), VERIFIED, 10)
    tokens.put(digest(2), VERIFIED, 600)
    tokens.put(digest(3), VERIFIED, 10)

    assert tokens.get(digest(1)) is None
    assert tokens.get(digest(3)) is VERIFIED


def test_a_token_that_is_used_survives_the_change_of_generation():
    """Asking for a token carries it over, so that only what is not used any more is forgotten."""
    tokens = VerifiedTokens(entries=10)
    tokens.put(digest(0), VERIFIED, 1)
    for number in range(1, 40):
        tokens.put(digest(number), VERIFIED, 1)
        assert tokens.get(digest(0)) is VERIFIED
    assert tokens.get(digest(1)) is None


def test_tokens_that_stay_in_use_do_not_outgrow_the_bounds():
    """Carrying a token over counts like putting it: asking for all of them never holds more than the bounds say."""
    many, heavy = VerifiedTokens(entries=100), VerifiedTokens(size=10_000)
    for number in range(500):
        for tokens in (many, heavy):
            tokens.put(digest(number), VERIFIED, 100)
            for known in range(number):
                tokens.get(digest(known))
        assert len(many) <= 100
        assert len(heavy) <= 100


@pytest.mark.parametrize("entries", [0, 1, 2])
def test_the_smallest_cache_works(entries: int):
    """A bound too small to be useful is still a bound, and still remembers the last token."""
    tokens = VerifiedTokens(entries=entries)
    for number in range(5):
        tokens.put(digest(number), VERIFIED, 1)
        assert tokens.get(digest(number)) is VERIFIED
        assert len(tokens) <= 2


def test_threads_may_share_it():
    """Threads that put and get at once never see an entry that nobody put."""
    tokens = VerifiedTokens(entries=64)
    wrong: list[object] = []

    def use(start: int) -> None:
        for number in range(start, start + 3000):
            tokens.put(digest(number % 200), VERIFIED, 1)
            found = tokens.get(digest((number * 7) % 200))
            if found is not None and found is not VERIFIED:
                wrong.append(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=use, args=(place * 50,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
