"""What a file of keys holds, what of it is believed again, and how old it then is."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest

from tenantgate.core.keys import KeySetRef, build_key_set
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.metadata import Metadata
from tenantgate.discovery.published import Published
from tenantgate.discovery.state import IssuerState
from tenantgate.discovery.stored import (
    LONGEST_KEPT,
    Clocks,
    Restored,
    Stored,
    StoredSet,
    UnusableStored,
    from_stored,
    newest,
    read_stored,
    row_digest,
    to_stored,
    write_stored,
)
from tests.builders import Signer, an_entra_issuer, cloud_key, signer
from tests.discovery.fakes import ISSUER, JWKS, a_row, checked

A, B, C = (signer("ES256", name) for name in "abc")
ROW = a_row()
REF = KeySetRef("globex")
HOUR = 3600.0
HARD = 72 * HOUR
NOW = Clocks(steady=500_000.0, wall=1_800_000_000.0)


def a_state(*signers: Signer, row: IssuerRow = ROW, ref: KeySetRef = REF, **published: Any) -> IssuerState:
    """Return a key set that was fetched an hour ago."""
    state = IssuerState(ref, row, "v2", static=False)
    keys = build_key_set({"keys": [each.jwk(alg=each.alg) for each in signers]}, row)
    fetched_at = NOW.steady - HOUR
    state.published = Published(keys, fetched_at, fetched_at + HARD, **published)
    state.metadata, state.metadata_at = Metadata(ISSUER, JWKS), NOW.steady - 2 * HOUR
    assert state.published is not None
    state.published = msgspec.structs.replace(state.published, fetched_wall=NOW.wall - HOUR)
    return state


def through_a_file(*states: IssuerState, row: IssuerRow = ROW, later: Clocks = NOW) -> dict[KeySetRef, Restored]:
    """Write states down, and read them by clocks of another process."""
    return from_stored(read_stored(write_stored(to_stored(row, states, NOW)), row), row, later, HARD)


def test_keys_come_back_as_they_were():
    """The same keys for the same use, as old as they were, and where they are found."""
    state = a_state(A, B, absent={B.kid: NOW.steady - 600.0}, first_seen={A.kid: NOW.steady - 9 * HOUR})
    assert state.published is not None
    later = Clocks(steady=70.0, wall=NOW.wall + 10 * HOUR)

    metadata, metadata_at, published = through_a_file(state, later=later)[REF]

    for kid, key in state.published.keys.keys.items():
        again = published.keys.keys[kid]
        assert (again.kid, again.alg, again.issuer, again.key) == (key.kid, key.alg, key.issuer, key.key)
        assert again is not key
    assert metadata == Metadata(ISSUER, JWKS)
    assert metadata_at == later.steady - 12 * HOUR
    assert published.fetched_wall == NOW.wall - HOUR
    assert published.fetched_at == later.steady - 11 * HOUR
    assert published.stale_at == published.fetched_at + HARD
    assert published.absent == {B.kid: later.steady - 10 * HOUR - 600.0}
    assert published.first_seen[A.kid] == later.steady - 19 * HOUR
    assert published.first_seen[B.kid] == published.fetched_at


@pytest.mark.parametrize("alg", ["RS256", "PS384", "ES384", "ES512", "EdDSA"])
def test_keys_of_every_kind_come_back(alg: str):
    """What they verify they verify again, and nothing else."""
    key = signer(alg, "kept")
    found = through_a_file(a_state(key))[REF].published.keys.find(key.kid)

    assert found is not None
    assert found.alg == alg
    head, payload, _ = key.sign({"sub": "x"}).split(".")
    signed = f"{head}.{payload}".encode()
    assert found.verify(signed, key.signature(signed))
    assert not found.verify(signed + b"x", key.signature(signed))


def test_whose_an_entra_key_is_comes_back():
    """The `issuer` of a key binds it; losing it would unbind it or shut it out."""
    row = checked(an_entra_issuer(jwks=None, v1_jwks=None))
    ref = KeySetRef(row.id)
    state = IssuerState(ref, row, "v2", static=False)
    keys = build_key_set({"keys": [cloud_key().jwk(issuer="https://one.example/{tenantid}/v2.0")]}, row)
    state.published = Published(keys, NOW.steady, NOW.steady + HARD)
    assert row.metadata_url is not None
    state.metadata = Metadata(row.v2_issuer or "", row.metadata_url)

    found = through_a_file(state, row=row)[ref].published.keys

    assert [key.issuer for key in found.keys.values()] == ["https://one.example/{tenantid}/v2.0"]


def test_a_key_without_a_kid_comes_back():
    """It is the issuer's only one."""
    row = ROW
    state = a_state(A)
    keys = build_key_set({"keys": [{name: value for name, value in A.jwk().items() if name != "kid"}]}, row)
    state.published = Published(keys, NOW.steady, NOW.steady + HARD)

    found = through_a_file(state)[REF].published.keys

    assert found.keys == {}
    assert found.nameless is not None
    assert keys.nameless is not None
    assert found.nameless.key == keys.nameless.key


def test_a_token_without_a_kid_means_the_one_listed_key():
    """Also where a withdrawn one stands beside it; of two listed ones nobody can say."""
    one = through_a_file(a_state(A, B, absent={B.kid: NOW.steady}))[REF].published.keys
    two = through_a_file(a_state(A, B, C, absent={B.kid: NOW.steady}))[REF].published.keys
    alone = through_a_file(a_state(B, absent={B.kid: NOW.steady}))[REF].published.keys

    assert one.find(None) is one.keys[A.kid]
    assert two.find(None) is None
    assert alone.find(None) is alone.keys[B.kid]


def test_what_was_not_fetched_is_not_written():
    """Neither keys that a row brings along, nor other issuers', nor what was never had."""
    static = IssuerState(KeySetRef("globex", "v1"), ROW, "v1", static=True)
    static.published, static.metadata = a_state(A).published, a_state(A).metadata
    unknown = IssuerState(REF, ROW, "v2", static=False)
    other = a_state(A, ref=KeySetRef("initech"))

    assert to_stored(ROW, [static, unknown, other], NOW).sets == ()


@pytest.mark.parametrize(
    ("step", "age"),
    [(0.0, HOUR), (5 * HOUR, 6 * HOUR), (-0.5 * HOUR, HOUR), (-1e6, HOUR)],
    ids=["at once", "later", "set back a little", "set back far"],
)
def test_a_clock_that_was_set_back_makes_no_key_younger(step: float, age: float):
    """They are at least as old as they were seen to be when they were written."""
    later = Clocks(steady=10.0, wall=NOW.wall + step)
    state = a_state(A, absent={A.kid: NOW.steady})

    published = through_a_file(state, later=later)[REF].published

    assert later.steady - published.fetched_at == age
    assert all(at <= later.steady for at in (*published.absent.values(), *published.first_seen.values()))


def text_of(*signers: Signer, **changes: Any) -> dict[str, Any]:
    """Return the members of a file."""
    members: dict[str, Any] = json.loads(write_stored(to_stored(ROW, [a_state(*signers)], NOW)).partition(b"\n")[0])
    return members | changes


def file_of(members: dict[str, Any]) -> bytes:
    """Return a file with a right checksum."""
    body = json.dumps(members).encode()
    return body + b"\nsha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


@pytest.mark.parametrize("cut", [0, 1, 40, -1, -2, -66, -80])
def test_a_file_that_was_not_written_to_the_end_is_known_for_one(cut: int):
    """The checksum stands at the end."""
    raw = write_stored(to_stored(ROW, [a_state(A)], NOW))
    with pytest.raises(UnusableStored) as caught:
        read_stored(raw[:cut], ROW)

    assert caught.value.code == "stored_damaged"


@pytest.mark.parametrize("place", [0, 100, 400])
def test_a_byte_that_changed_is_known(place: int):
    """Disks lie."""
    raw = bytearray(write_stored(to_stored(ROW, [a_state(A)], NOW)))
    raw[place] ^= 1
    with pytest.raises(UnusableStored) as caught:
        read_stored(bytes(raw), ROW)

    assert caught.value.code == "stored_damaged"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        (text_of(A, v=2), "stored_malformed"),
        (text_of(A, more=1), "stored_malformed"),
        (text_of(A, sets=[{}]), "stored_malformed"),
        (text_of(A, sets=None), "stored_malformed"),
        ({}, "stored_malformed"),
        (text_of(A, issuer="initech"), "stored_for_another_row"),
        (text_of(A, row="0" * 64), "stored_for_another_row"),
    ],
)
def test_what_is_not_of_this_form_or_row_is_not_read(members: dict[str, Any], code: str):
    """One code each, and the message quotes nothing."""
    with pytest.raises(UnusableStored) as caught:
        read_stored(file_of(members), ROW)

    assert caught.value.code == code


def test_a_member_twice_is_not_read():
    """The reader is the strict one."""
    body = json.dumps(text_of(A)).replace('"v": 1', '"v": 1, "v": 1').encode()
    raw = body + b"\nsha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"
    with pytest.raises(UnusableStored):
        read_stored(raw, ROW)


@pytest.mark.parametrize(
    "changes",
    [
        {"jwks_uri": "https://elsewhere.example/keys"},
        {"jwks_uri": "http://id.globex.example/keys"},
        {"keys": []},
        {"keys": [A.jwk(), A.jwk()]},
        {"keys": [A.jwk() | {"d": "AAAA"}]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]},
        {"keys": [B.jwk(), {name: value for name, value in A.jwk().items() if name != "kid"}]},
        {"absent": {"nobody": 1.0}},
        {"nameless": {"kty": "oct"}},
        {"document": "v1"},
    ],
)
def test_what_the_row_does_not_allow_does_not_serve(changes: dict[str, Any]):
    """What is read from disk is weighed as if it had been fetched."""
    members = text_of(A)
    members["sets"] = [members["sets"][0] | changes]
    stored = read_stored(file_of(members), ROW)
    with pytest.raises(UnusableStored) as caught:
        from_stored(stored, ROW, NOW, HARD)

    assert caught.value.code == "stored_malformed"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"profile": "keycloak"}, True),
        ({"roles_claim": "groups"}, True),
        ({"token_types": ("JWT",)}, True),
        ({"subject_pin": True}, True),
        ({"client_id_claim": "client"}, True),
        ({"metadata_url": f"{ISSUER}/other"}, False),
        ({"jwks_hosts": ("keys.globex.example",)}, False),
        ({"algorithms": ("ES256",)}, False),
        ({"allow_private_addresses": True}, False),
        ({"issuer": f"{ISSUER}/"}, False),
    ],
)
def test_a_file_is_of_one_row(change: dict[str, Any], same: bool):
    """A row that gets its keys from elsewhere, or uses them otherwise, begins without any."""
    assert (row_digest(a_row(**change)) == row_digest(ROW)) is same


def a_set(fetched_at: float, appid: str | None = None, age: float = 0.0) -> StoredSet:
    """Return a key set fetched at some time."""
    return StoredSet(
        document="v2", appid=appid, jwks_uri=JWKS, metadata_at=0.0, fetched_at=fetched_at, age=age, keys=(A.jwk(),)
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "kept"),
    [
        pytest.param((50.0, 0.0), (40.0, 9.0), (50.0, 0.0), id="ours is newer"),
        pytest.param((50.0, 0.0), (60.0, 0.0), (60.0, 0.0), id="theirs is newer"),
        pytest.param((50.0, 3.0), (50.0, 4.0), (50.0, 4.0), id="one fetch, they saw it age"),
        pytest.param((50.0, 5.0), (50.0, 4.0), (50.0, 5.0), id="one fetch, we saw it age"),
        pytest.param((50.0, 9.0), (101.0, 0.0), (50.0, 9.0), id="theirs is of the future"),
        pytest.param((101.0, 0.0), (50.0, 9.0), (50.0, 9.0), id="ours is of the future"),
        pytest.param((101.0, 2.0), (101.0, 1.0), (101.0, 2.0), id="one fetch, of the future"),
    ],
)
def test_of_two_writers_the_newest_fetch_stays(
    ours: tuple[float, float], theirs: tuple[float, float], kept: tuple[float, float]
):
    """A process that cannot reach the issuer must not undo what another one fetched, nor make it younger."""
    one, other = (Stored(issuer="g", row="r", sets=(a_set(at, age=age),)) for at, age in (ours, theirs))

    assert [(each.fetched_at, each.age) for each in newest(one, other, 100.0).sets] == [kept]


def test_another_process_key_sets_stay_for_a_while():
    """An application's own keys, which only another gate asks for; not those that nobody asked for in a month."""
    wall = 1e9
    ours = Stored(issuer="g", row="r", sets=(a_set(wall - 5),))
    theirs = Stored(issuer="g", row="r", sets=(a_set(wall - 9, "one"), a_set(wall - LONGEST_KEPT - 1, "two")))

    assert {each.appid for each in newest(ours, theirs, wall).sets} == {None, "one"}


def test_no_secret_is_in_a_file():
    """Public numbers, kids and addresses: `d` and the like are not even members of what we hold."""
    written = write_stored(to_stored(ROW, [a_state(A, signer("RS256", "rsa"))], NOW))
    stored = msgspec.json.decode(written.partition(b"\n")[0])

    members = {name for each in stored["sets"] for key in each["keys"] for name in key}
    assert members <= {"kty", "crv", "x", "y", "n", "e", "kid", "alg", "issuer", "key_ops"}


@pytest.mark.parametrize(("wall", "since"), [(10 * HOUR, 11.0), (0.0, 1.0), (-48 * HOUR, 1.0)])
def test_a_clock_set_back_makes_no_withdrawn_key_younger(wall: float, since: float):
    """It is absent for as long as it was at the writing, at least."""
    state = a_state(A, B, absent={B.kid: NOW.steady - HOUR})
    later = Clocks(steady=70.0, wall=NOW.wall + wall)

    assert through_a_file(state, later=later)[REF].published.absent == {B.kid: later.steady - since * HOUR}


def test_a_file_of_before_says_nothing_of_how_long():
    """Files without that member serve on."""
    raw = write_stored(to_stored(ROW, [a_state(A, B, absent={B.kid: NOW.steady - HOUR})], NOW))
    members: dict[str, Any] = json.loads(raw.partition(b"\n")[0])
    for each in members["sets"]:
        del each["absent_for"]
    found = from_stored(read_stored(file_of(members), ROW), ROW, NOW, HARD)

    assert found[REF].published.absent == {B.kid: NOW.steady - HOUR}
