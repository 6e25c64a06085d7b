"""Keys that the product makes: once for all servers, readable with one master key, never written over."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from sqlmodel import select

from tenantgate.registry import product_keys
from tenantgate.registry.audit import verify_chain
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import DatabaseError, MasterKeyError, NotFoundError, TransitionError
from tenantgate.registry.key_tables import ProductKey
from tenantgate.registry.master_key import MasterKey
from tenantgate.registry.product_keys import LOOK_INTERVAL, ProductKeys
from tenantgate.registry.seals import is_of_another, is_sealed, sealer
from tenantgate.registry.tables import AuditEntry
from tests.registry.builders import Registry, counting_bytes, work_on
from tests.registry.builders import product_keys as keys_in

RANDOM = counting_bytes(77)
OLD, NEW = MasterKey(b"m" * 32), MasterKey(b"n" * 32)


def stored(registry: Registry) -> list[tuple[object, ...]]:
    """Everything in the table, as it lies there."""
    with reading(registry.engine) as session:
        return [tuple(row.model_dump().values()) for row in product_keys.list_(session)]


def code_of(keys: ProductKeys) -> str:
    """The code with which a check ends."""
    with pytest.raises(MasterKeyError) as caught:
        keys.check()
    return caught.value.code


def rotate(registry: Registry, *, forget: bool = False) -> int:
    """Make a new version of the session's key."""
    with work_on(registry.engine) as work:
        made = product_keys.add_version(work, OLD, "session", random_bytes=RANDOM)
        if forget:
            product_keys.forget_older(work, "session")
        return made.version


def test_every_server_has_the_same_keys(registry: Registry):
    """Made once; each name another; the same in every process that has the master key."""
    first, second = keys_in(registry.engine), keys_in(registry.engine)
    names = ("session", "oidc_state", "pepper")

    made = {name: first.get(name) for name in names}
    assert {name: second.get(name) for name in reversed(names)} == made
    assert len(set(made.values())) == 3
    assert {len(value) for value in made.values()} == {32}


def test_servers_that_start_together_make_one_key(registry: Registry):
    """Whoever is faster makes it, and the others take that one."""
    found: list[bytes] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        keys = keys_in(registry.engine)
        barrier.wait()
        keys.check()
        found.append(keys.get("session"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(stored(registry)) == 1


def test_neither_database_nor_audit_nor_text_holds_a_key(registry: Registry):
    """What lies there is sealed; what is printed shows nothing."""
    keys = keys_in(registry.engine)
    secret = keys.get("session")

    with reading(registry.engine) as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.kind == "product_key")).all()
        assert verify_chain(session).sound
    assert [(entry.action, entry.operator, entry.row_id) for entry in entries] == [
        ("product_key.created", "system:server", "session")
    ]
    told = repr([entry.model_dump() for entry in entries]) + repr(stored(registry)) + repr(keys.current("session"))
    assert secret.hex() not in told
    assert repr(secret)[2:-1] not in told
    assert repr(OLD) == "MasterKey(…)"
    assert "sealed" not in (entries[0].after or {})


def test_a_wrong_master_key_changes_nothing(registry: Registry):
    """It opens nothing, so it makes nothing: neither a version nor a key of another name."""
    keys_in(registry.engine).check()
    before = stored(registry)
    wrong = keys_in(registry.engine, master=b"x")

    assert code_of(wrong) == "master_key_wrong"
    for name in ("session", "pepper"):
        with pytest.raises(MasterKeyError) as caught:
            wrong.get(name)  # type: ignore[arg-type]
        assert caught.value.code == "master_key_wrong"
    with pytest.raises(MasterKeyError), work_on(registry.engine) as work:
        product_keys.add_version(work, NEW, "session", random_bytes=RANDOM)
    assert stored(registry) == before


def test_a_sealed_key_serves_in_no_other_place(registry: Registry):
    """Copied under another name or version, or changed in one byte, it is damaged and not used."""
    keys_in(registry.engine).get("pepper")
    keys_in(registry.engine).get("session")
    for change in (
        "UPDATE product_key SET sealed = (SELECT sealed FROM product_key WHERE name = 'pepper') WHERE name = 'session'",
        "UPDATE product_key SET version = 2 WHERE name = 'session'",
        "UPDATE product_key SET sealed = substr(sealed, 1, 20) || 'AAAA' || substr(sealed, 25) WHERE name = 'session'",
        "UPDATE product_key SET sealed = '' WHERE name = 'session'",
        "UPDATE product_key SET sealed = '2' || substr(sealed, 2) WHERE name = 'session'",
        "UPDATE product_key SET sealed = '1.ä' WHERE name = 'session'",
    ):
        with registry.engine.begin() as connection:
            saved = connection.exec_driver_sql("SELECT sealed FROM product_key WHERE name = 'session'").scalar_one()
            connection.exec_driver_sql(change)
        assert code_of(keys_in(registry.engine)) == "product_key_damaged", change
        with registry.engine.begin() as connection:
            connection.execute(
                sa.update(ProductKey).where(ProductKey.name == "session").values(version=1, sealed=saved)  # type: ignore[arg-type]
            )
    keys_in(registry.engine).check()


def test_a_new_version_signs_and_the_old_one_still_verifies(registry: Registry):
    """At once on the server that sees it; on the others within the interval, and earlier where a token names it."""
    now = [0.0]
    one, two = (keys_in(registry.engine, clock=lambda: now[0]) for _ in range(2))
    old_token = sealer(one)("A" * 43)
    assert two.current("session").version == 1

    assert rotate(registry) == 2
    now[0] = LOOK_INTERVAL + 1
    new_token = sealer(one)("B" * 43)
    assert one.current("session").version == 2
    assert all(is_sealed(keys, token) for keys in (one, two) for token in (old_token, new_token))


def test_a_token_that_names_a_version_just_made_is_taken(registry: Registry):
    """By a server that has not looked yet; and inventions have it look no more than once a second."""
    now = [0.0]
    one, two = (keys_in(registry.engine, clock=lambda: now[0]) for _ in range(2))
    assert two.current("session").version == 1
    assert one.current("session").version == 1
    asked: list[str] = []
    sa.event.listen(registry.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    for version in range(2, 50):
        assert not is_sealed(two, f"{'A' * 43}.{version}.{'A' * 43}")
    looks = len([each for each in asked if "product_key" in each])
    assert looks <= 2
    rotate(registry)
    token = sealer(keys_in(registry.engine))("C" * 43)
    now[0] = 1.5
    assert is_sealed(two, token)


def test_what_is_forgotten_verifies_nothing(registry: Registry):
    """A token of a forgotten version is nobody's."""
    token = sealer(keys_in(registry.engine))("A" * 43)
    assert rotate(registry, forget=True) == 2
    assert not is_sealed(keys_in(registry.engine), token)
    with pytest.raises(TransitionError), work_on(registry.engine) as work:
        product_keys.forget_older(work, "session")
    with pytest.raises(NotFoundError) as caught, work_on(registry.engine) as work:
        product_keys.forget_older(work, "pepper")
    assert caught.value.code == "product_key_not_found"


@pytest.mark.parametrize(
    "token",
    ["", "A" * 43, f"{'A' * 43}.1.{'A' * 43}", f"{'A' * 43}.0.{'A' * 43}", f"{'A' * 43}.999999.{'A' * 43}", "é.1.é"],
)
def test_what_nobody_sealed_is_refused(registry: Registry, token: str):
    """Whatever it looks like; a seal is for its own secret."""
    keys = keys_in(registry.engine)
    good = sealer(keys)("B" * 43)
    assert is_sealed(keys, good)
    assert not is_sealed(keys, token)
    assert not is_sealed(keys, good.replace("B", "C", 1))
    assert not is_sealed(keys, f"{good}\n")


def test_another_master_key_seals_all_anew(registry: Registry):
    """The keys stay what they are; the old master key opens nothing any more; a server that runs goes on."""
    now = [0.0]
    running = keys_in(registry.engine, clock=lambda: now[0])
    running.get("pepper")
    secret = running.get("session")
    rotate(registry)

    with work_on(registry.engine) as work:
        assert product_keys.seal_anew(work, OLD, NEW, random_bytes=RANDOM) == 3

    after = keys_in(registry.engine, master=b"n")
    after.check()
    assert after.find("session", 1) == secret
    assert code_of(keys_in(registry.engine)) == "master_key_wrong"
    now[0] = LOOK_INTERVAL + 1
    assert running.find("session", 1) == secret
    assert running.get("session") == secret  # version 2 was made after it looked: it cannot open it, and goes on
    with reading(registry.engine) as session:
        assert verify_chain(session).sound


def forget_after_sealing_anew(registry: Registry) -> None:
    """Rotate the master key, then the session's, and forget what was before."""
    with work_on(registry.engine) as work:
        product_keys.seal_anew(work, OLD, NEW, random_bytes=RANDOM)
    with work_on(registry.engine) as work:
        product_keys.add_version(work, NEW, "session", random_bytes=RANDOM)
    with work_on(registry.engine) as work:
        product_keys.forget_older(work, "session")


def test_a_forgotten_version_is_dropped_without_the_master_key(registry: Registry):
    """A server that was not restarted since the master key was rotated takes no token of a forgotten version."""
    now = [0.0]
    running = keys_in(registry.engine, clock=lambda: now[0])
    token = sealer(running)("A" * 43)
    forget_after_sealing_anew(registry)
    now[0] = LOOK_INTERVAL + 1
    for _ in range(2):
        with pytest.raises(MasterKeyError) as caught:
            is_sealed(running, token)
        assert caught.value.code == "master_key_wrong"
    assert not is_sealed(keys_in(registry.engine, master=b"n"), token)


def test_of_several_versions_what_is_left_goes_on(registry: Registry):
    """The forgotten one is dropped, the one still there serves, the one it cannot open is another server's."""
    now = [0.0]
    running = keys_in(registry.engine, clock=lambda: now[0])
    first = sealer(running)("A" * 43)
    rotate(registry)
    now[0] = LOOK_INTERVAL + 1
    second = sealer(running)("B" * 43)
    with work_on(registry.engine) as work:
        product_keys.seal_anew(work, OLD, NEW, random_bytes=RANDOM)
    with work_on(registry.engine) as work:
        product_keys.forget_older(work, "session")
    with work_on(registry.engine) as work:
        product_keys.add_version(work, NEW, "session", random_bytes=RANDOM)
    third = sealer(keys_in(registry.engine, master=b"n"))("C" * 43)
    now[0] += LOOK_INTERVAL + 1
    assert [is_sealed(running, each) for each in (first, second, third)] == [False, True, False]
    assert [is_of_another(running, each) for each in (first, second, third, "x")] == [False, False, True, False]


def test_a_version_that_only_another_server_can_open_is_not_found(registry: Registry):
    """It may be anybody's invention: it is none of ours, and no failure."""
    running = keys_in(registry.engine, clock=lambda: 0.0)
    mine = sealer(running)("A" * 43)
    with work_on(registry.engine) as work:
        product_keys.seal_anew(work, OLD, NEW, random_bytes=RANDOM)
    with work_on(registry.engine) as work:
        product_keys.add_version(work, NEW, "session", random_bytes=RANDOM)
    theirs = sealer(keys_in(registry.engine, master=b"n"))("B" * 43)
    assert not is_sealed(running, theirs)
    assert is_sealed(running, mine)


def test_a_rotation_that_cannot_open_everything_changes_nothing(registry: Registry):
    """All of it or none, and not with a wrong key."""
    keys_in(registry.engine).check()
    before = stored(registry)
    with pytest.raises(MasterKeyError) as caught, work_on(registry.engine) as work:
        product_keys.seal_anew(work, NEW, OLD, random_bytes=RANDOM)
    assert caught.value.code == "master_key_wrong"
    assert stored(registry) == before


def test_lost_for_good_is_begun_anew(registry: Registry):
    """Where the master key is lost all keys are forgotten, and new ones made under another."""
    keys_in(registry.engine).check()
    with work_on(registry.engine) as work:
        assert product_keys.forget_all(work) == 1
    keys_in(registry.engine, master=b"x").check()
    with work_on(registry.engine) as work:
        product_keys.forget_all(work)
        with pytest.raises(TransitionError):
            product_keys.forget_all(work)


def test_a_database_that_is_away_ends_no_session(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    """Keys that were had serve on; those never had cannot be made up."""
    now = [0.0]
    keys = keys_in(registry.engine, clock=lambda: now[0])
    secret = keys.get("session")
    now[0] = LOOK_INTERVAL + 1

    def away(*_: object) -> None:
        raise DatabaseError("database_unavailable", "it is away")

    monkeypatch.setattr(product_keys, "reading", away)
    assert keys.get("session") == secret
    with pytest.raises(DatabaseError):
        keys.get("pepper")
