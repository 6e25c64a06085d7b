"""What a process knew of keys serves the next one: without a network, as old as it is, and no longer than it may."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tenantgate.core.keys import KeySet, KeySetRef, NoKeys
from tenantgate.core.policy import IssuerRow
from tenantgate.net.door import DnsFailed
from tests.builders import V1_TEMPLATE, V2_TEMPLATE, an_entra_issuer, cloud_key, json_bytes, signer
from tests.discovery.fakes import JWKS, METADATA, World, a_row, checked

A, B, C = (signer("ES256", name) for name in "abc")
REF = KeySetRef("globex")
HOUR, DAY = 3600.0, 86_400.0


async def left_behind(folder: Path, *signers: Any, **options: Any) -> World:
    """Return a process that fetched keys and has ended."""
    world = World(*signers, folder=folder, **options)
    await world.keyring.ensure(REF, None)
    await world.end()
    return world


def restarted(folder: Path, after: float, *, rows: list[IssuerRow] | None = None, **limits: Any) -> World:
    """Return the process that starts some time later, on a machine that came up just now and has no network."""
    world = World(folder=folder, rows=[], **limits)
    world.door.documents = {}
    world.clock.now, world.epoch = 30.0, world.epoch + 1000.0 + after - 30.0
    world.keyring.set_issuers([a_row()] if rows is None else rows)
    return world


def kids(world: World, ref: KeySetRef = REF) -> set[str] | NoKeys:
    """Return the kids that serve now, or why there are none."""
    found = world.keyring.key_set(ref)
    return set(found.keys) if isinstance(found, KeySet) else found


async def test_a_restart_without_a_network_has_the_keys(tmp_path: Path):
    """Known keys serve at once; no request waits for an issuer that is down."""
    await left_behind(tmp_path, A, B)

    world = restarted(tmp_path, 5 * HOUR)

    assert kids(world) == {A.kid, B.kid}
    assert not world.keyring.wants(REF, A.kid)
    health = world.health()
    assert (health.restored, health.age, health.too_old, health.tried_ago) == (True, 5 * HOUR, False, None)


async def test_keys_from_disk_are_fetched_anew_at_once(tmp_path: Path):
    """The background does not wait for their next refresh, and a request asks for a kid that they lack."""
    await left_behind(tmp_path, A)
    world = restarted(tmp_path, HOUR)
    world.door.documents = World(A, B).door.documents

    assert world.keyring.wants(REF, B.kid)
    await world.keyring.ensure(REF, B.kid)

    assert kids(world) == {A.kid, B.kid}
    assert world.door.seen == {JWKS: 1}  # where the keys are was known, too
    assert (world.health().restored, world.health().age) == (False, 0)


async def test_keys_from_disk_judge_no_longer_than_fetched_ones(tmp_path: Path):
    """The hard age counts from the fetch, whoever made it."""
    await left_behind(tmp_path, A)
    world = restarted(tmp_path, 72 * HOUR - 1)
    assert kids(world) == {A.kid}

    await world.clock.advance(1)

    assert kids(world) == NoKeys(too_old=True, age=72 * HOUR)
    assert kids(restarted(tmp_path, 100 * HOUR)) == NoKeys(too_old=True, age=100 * HOUR)
    assert world.keyring.wants(REF, A.kid)


async def test_outages_add_up_over_restarts(tmp_path: Path):
    """Every process that fails writes down how old the keys are by now."""
    await left_behind(tmp_path, A)
    for start in (30, 60):
        world = restarted(tmp_path, start * HOUR)
        assert kids(world) == {A.kid}
        await world.keyring.ensure(REF, B.kid)
        await world.end()

    assert kids(restarted(tmp_path, 71 * HOUR)) == {A.kid}
    assert kids(restarted(tmp_path, 73 * HOUR)) == NoKeys(too_old=True, age=73 * HOUR)


async def test_a_clock_set_back_makes_no_key_immortal(tmp_path: Path):
    """A machine whose clock always starts in the past: what processes saw of the keys' age adds up all the same."""
    await left_behind(tmp_path, A)
    for hours in (40, 31):
        world = restarted(tmp_path, -365 * DAY)
        assert kids(world) == {A.kid}
        await world.clock.advance(hours * HOUR)
        await world.keyring.ensure(REF, B.kid)
        await world.end()

    last = restarted(tmp_path, -365 * DAY)
    assert last.health().age == 71 * HOUR
    await last.clock.advance(HOUR)
    assert kids(last) == NoKeys(too_old=True, age=72 * HOUR)


@pytest.mark.parametrize(("ahead", "known_by"), [(30 * DAY, 0.0), (61.0, 0.0), (60.0, 60.0)])
async def test_a_clock_that_ran_ahead_makes_no_key_young(tmp_path: Path, ahead: float, known_by: float):
    """The last fetch was made while it did. The answer has the issuer's own time, and the keys are of that."""
    world = World(A, folder=tmp_path)
    world.door.date = world.wall()
    world.epoch += ahead
    await world.keyring.ensure(REF, None)
    await world.end()

    again = restarted(tmp_path, 71 * HOUR)
    assert (kids(again), again.health().age) == ({A.kid}, 71 * HOUR - known_by)
    assert kids(restarted(tmp_path, 80 * HOUR)) == NoKeys(too_old=True, age=80 * HOUR - known_by)


async def test_withdrawn_keys_go_on_retiring(tmp_path: Path):
    """A restart neither brings a withdrawn key back nor drops it early; time without a fetch retires nothing."""
    world = World(A, B, folder=tmp_path)
    await world.keyring.ensure(REF, None)
    world.publish(A)
    await world.clock.advance(31)
    await world.keyring.ensure(REF, C.kid)
    assert world.health().withdrawn == (B.kid,)
    await world.end()

    again = restarted(tmp_path, 31 + 200.0)
    assert kids(again) == {A.kid, B.kid}
    assert again.health().withdrawn == (B.kid,)
    await again.clock.advance(200)
    assert kids(again) == {A.kid, B.kid}
    again.door.documents = {METADATA: world.door.documents[METADATA], JWKS: world.door.documents[JWKS]}
    await again.keyring.ensure(REF, C.kid)

    assert kids(again) == {A.kid}


@pytest.mark.parametrize("change", [{"algorithms": ("ES256",)}, {"metadata_url": "https://id.globex.example/other"}])
async def test_another_rows_keys_do_not_serve(tmp_path: Path, change: dict[str, Any]):
    """The issuer's row was changed while no process ran: it begins anew, as it would in a running one."""
    await left_behind(tmp_path, A)

    assert kids(restarted(tmp_path, HOUR, rows=[a_row(**change)])) == NoKeys(too_old=False)


async def test_a_row_that_reads_tokens_otherwise_keeps_its_keys(tmp_path: Path):
    """As it would in a running process."""
    await left_behind(tmp_path, A)

    assert kids(restarted(tmp_path, HOUR, rows=[a_row(profile="keycloak")])) == {A.kid}


async def test_what_was_distrusted_meanwhile_does_not_serve(tmp_path: Path):
    """The row decides, not the file; and the file is still of this row."""
    await left_behind(tmp_path, A, B)
    world = restarted(tmp_path, HOUR, rows=[a_row(distrusted_keys=(A.kid,), max_key_age=7200)])

    found = world.keyring.key_set(REF)
    assert isinstance(found, KeySet)
    assert {kid: key.distrusted for kid, key in found.keys.items()} == {A.kid: True, B.kid: False}
    await world.clock.advance(HOUR)
    assert kids(world) == NoKeys(too_old=True, age=2 * HOUR)


async def test_a_damaged_file_costs_a_fetch_and_nothing_else(tmp_path: Path):
    """The issuer begins without keys."""
    await left_behind(tmp_path, A)
    path = tmp_path / "keys" / "globex.json"
    path.write_bytes(path.read_bytes()[:-1])
    world = restarted(tmp_path, HOUR)
    world.door.documents = World(A).door.documents

    assert kids(world) == NoKeys(too_old=False)
    await world.keyring.ensure(REF, A.kid)
    assert kids(world) == {A.kid}


async def test_keys_that_the_row_does_not_allow_do_not_serve(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The file has its checksum and the row's own mark, and what is in it is weighed all the same."""
    from tenantgate.discovery.stored import read_stored, write_stored

    await left_behind(tmp_path, A)
    path = tmp_path / "keys" / "globex.json"
    stored = read_stored(path.read_bytes(), a_row())
    text = json.dumps(json.loads(write_stored(stored).partition(b"\n")[0])).replace(JWKS, "https://evil.example/keys")
    import hashlib

    path.write_bytes(f"{text}\nsha256 {hashlib.sha256(text.encode()).hexdigest()}\n".encode())

    assert kids(restarted(tmp_path, HOUR)) == NoKeys(too_old=False)
    assert [record.__dict__["code"] for record in caplog.records] == ["stored_malformed"]


async def test_both_documents_of_a_cloud_are_in_one_file(tmp_path: Path):
    """And an application's own keys beside them; each is found under its own name."""
    row = checked(an_entra_issuer(jwks=None, v1_jwks=None))
    appid = "a1b2c3d4-0000-4000-8000-00000000000e"
    refs = [KeySetRef(row.id, "v2"), KeySetRef(row.id, "v1"), KeySetRef(row.id, "v2", appid)]
    world = World(folder=tmp_path, rows=[])
    world.keyring.set_issuers([row], (appid,))
    home = (row.metadata_url or "").partition("/common")[0]
    assert row.metadata_url is not None
    assert row.v1_metadata_url is not None
    keys = {name: signer("RS256", name) for name in ("two", "one", "own")}
    for url, issuer, name in (
        (row.metadata_url, V2_TEMPLATE, "two"),
        (row.v1_metadata_url, V1_TEMPLATE, "one"),
        (f"{row.metadata_url}?appid={appid}", V2_TEMPLATE, "own"),
    ):
        where = f"{home}/keys/{name}"
        world.door.documents[url] = json_bytes({"issuer": issuer, "jwks_uri": where})
        world.door.documents[where] = json_bytes({"keys": [keys[name].jwk(issuer=issuer)]})
    for ref in refs:
        await world.keyring.ensure(ref, None)
    await world.end()
    assert [path.name for path in (tmp_path / "keys").glob("*.json")] == ["cloud.json"]

    again = World(folder=tmp_path, rows=[])
    again.door.documents = {}
    again.keyring.set_issuers([row], (appid,))

    assert [kids(again, ref) for ref in refs] == [{keys[name].kid} for name in ("two", "one", "own")]
    assert cloud_key().kid not in keys


async def test_an_issuer_that_brings_its_keys_leaves_no_file(tmp_path: Path):
    """Static keys are in the policy."""
    row = a_row(jwks={"keys": [A.jwk()]})
    world = World(folder=tmp_path, rows=[row])
    await world.keyring.ensure(REF, "unknown")
    await world.end()

    assert list((tmp_path / "keys").iterdir()) == []


async def test_a_first_fetch_that_fails_leaves_no_file(tmp_path: Path):
    """There is nothing to keep."""
    world = World(folder=tmp_path)
    world.fail(METADATA, DnsFailed("no such name"))
    await world.keyring.ensure(REF, None)
    await world.end()

    assert list((tmp_path / "keys").iterdir()) == []


async def test_a_fork_leaves_writing_to_each(tmp_path: Path):
    """The child's store is its own."""
    world = World(A, folder=tmp_path)
    world.keyring.reset_after_fork()
    await world.keyring.ensure(REF, None)
    await world.end()

    assert (tmp_path / "keys" / "globex.json").exists()
