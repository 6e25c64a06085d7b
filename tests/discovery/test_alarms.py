"""Keys that are published and not fit to be used are said once, by name and reason; the good ones serve."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tenantgate.core.keys import KeySet, KeySetRef
from tests.builders import json_bytes, signer
from tests.discovery.fakes import JWKS, World, a_row, checked

A, B = (signer("ES256", name) for name in "ab")
REF = KeySetRef("globex")
BAD = [{"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}, {**B.jwk(), "use": "enc"}]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return what the log says of keys."""
    caplog.set_level(logging.WARNING, "tenantgate.discovery")
    return caplog


async def test_a_dropped_key_is_an_alarm_and_the_good_ones_serve(said: pytest.LogCaptureFixture):
    """Each by its kid and its reason, and no byte of it."""
    world = World(A)
    world.door.documents[JWKS] = json_bytes({"keys": [A.jwk(), *BAD]})
    await world.keyring.ensure(REF, A.kid)

    found = world.keyring.key_set(REF)
    assert isinstance(found, KeySet)
    assert set(found.keys) == {A.kid}
    assert [record.getMessage() for record in said.records] == [
        f"published keys are not used: shared: symmetric key; {B.kid}: use is enc, not sig"
    ]
    assert (said.records[0].code, said.records[0].dropped, said.records[0].issuer) == ("keys_dropped", 2, "globex")  # type: ignore[attr-defined]
    assert "c2VjcmV0" not in said.text


async def test_the_same_keys_are_not_said_twice(said: pytest.LogCaptureFixture):
    """Again at the next fetch is no news; other keys, or another reason, are."""
    world = World(A, cooldown=1.0)
    for keys in (BAD, BAD, BAD[:1]):
        world.door.documents[JWKS] = json_bytes({"keys": [A.jwk(), *keys]})
        await world.keyring.ensure(REF, "unknown")
        world.clock.now += 3_600

    assert len(said.records) == 2


async def test_many_are_said_in_one_bounded_line(said: pytest.LogCaptureFixture):
    """A hostile document fills no log: eight by name, the rest by number."""
    world = World(A)
    worse = [{"kty": "oct", "kid": f"shared-{number}", "k": "AA"} for number in range(100)]
    world.door.documents[JWKS] = json_bytes({"keys": [A.jwk(), *worse]})
    await world.keyring.ensure(REF, A.kid)

    (record,) = said.records
    assert record.getMessage().endswith("shared-7: symmetric key; and 92 more")


def test_keys_that_a_policy_gives_are_looked_at_too(said: pytest.LogCaptureFixture):
    """An issuer whose keys stand in its row is told of as well."""
    world = World(A)
    world.keyring.set_issuers([checked(a_row(jwks={"keys": [A.jwk(), *BAD]}))])

    assert [record.code for record in said.records] == ["keys_dropped"]  # type: ignore[attr-defined]


async def test_keys_that_become_too_old_are_an_alarm_once(said: pytest.LogCaptureFixture):
    """That nobody can be judged any more is another thing than that keys cannot be had."""
    world = World(A, hard_age=3600.0)
    await world.keyring.ensure(REF, A.kid)
    restore = world.fail()
    for minutes in (30, 29, 2, 10, 10):
        await world.clock.advance(minutes * 60)
        await world.keyring.ensure(REF, f"unknown at {world.clock.now}")
    codes = [record.code for record in said.records]  # type: ignore[attr-defined]
    assert codes == ["dns", "keys_too_old"]
    assert said.records[1].levelname == "ERROR"

    restore()
    await world.clock.advance(60)
    await world.keyring.ensure(REF, A.kid)
    assert isinstance(world.keyring.key_set(REF), KeySet)


async def test_keys_that_were_too_old_on_disk_are_an_alarm(said: pytest.LogCaptureFixture, tmp_path: Path):
    """A process that starts after too long says so with its first attempt."""
    world = World(A, folder=tmp_path, hard_age=3600.0)
    await world.keyring.ensure(REF, A.kid)
    await world.end()
    later = World(A, folder=tmp_path, hard_age=3600.0)
    later.epoch += 7200
    later.keyring.set_issuers([])
    later.keyring.set_issuers([a_row()])
    later.fail()
    await later.keyring.ensure(REF, A.kid)
    assert [record.code for record in said.records] == ["dns", "keys_too_old"]  # type: ignore[attr-defined]
    await later.end()


async def test_another_key_under_an_old_name_is_an_alarm(said: pytest.LogCaptureFixture):
    """The new one serves at once; an honest issuer would have given it a new name."""
    world = World(A, B)
    await world.keyring.ensure(REF, None)
    world.door.documents[JWKS] = json_bytes({"keys": [A.jwk(), signer("ES256", "other").jwk(kid=B.kid)]})
    await world.clock.advance(30)
    await world.keyring.ensure(REF, "unknown")

    (record,) = said.records
    assert (record.code, record.issuer) == ("keys_replaced", "globex")  # type: ignore[attr-defined]
    assert f"({B.kid})" in record.getMessage()
