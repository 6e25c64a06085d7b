"""Signing in: a link works once, a session ends by itself, and neither can be read out of the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.registry import audit, operators, sessions
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import CredentialError, InvalidError, NotFoundError, RegistryError, TransitionError
from tenantgate.registry.operators import KeySpec
from tenantgate.registry.sessions import (
    IDLE_LIFETIME,
    LINK_LIFETIME,
    SESSION_LIFETIME,
    TOUCH_INTERVAL,
    NewLink,
    NewSession,
    csrf_of,
    is_csrf,
)
from tenantgate.registry.tables import SignInLink
from tenantgate.registry.unit_of_work import Actor, Work
from tests.registry.builders import NOW, Registry, counting_bytes

VISITOR = Actor("", "sign_in_link", "198.51.100.4")
RANDOM = counting_bytes(7)


@pytest.fixture
def link(registry: Registry) -> NewLink:
    """A link for Adm."""
    with registry.work() as work:
        return sessions.create_link(work, "adm", random_bytes=RANDOM)


@pytest.fixture
def signed_in(registry: Registry, link: NewLink) -> NewSession:
    """Adm, signed in by the link."""
    return redeem(registry, link.code)


def redeem(registry: Registry, code: str, *, now: int = NOW) -> NewSession:
    """Sign in with a code."""
    with registry.work(actor=VISITOR, now=now) as work:
        return sessions.redeem(work, code, random_bytes=RANDOM)


def code_of(call: Callable[[], Any]) -> str:
    """The code with which a credential is refused."""
    with pytest.raises(CredentialError) as caught:
        call()
    return caught.value.code


def authenticate(registry: Registry, token: str, *, now: int = NOW) -> str:
    """Who holds a session."""
    with reading(registry.engine) as session:
        return sessions.authenticate(session, token, now=now)[0].id


def change(registry: Registry, call: Callable[[Work], Any], *, now: int = NOW) -> Any:
    """Run one change as a unit of work of its own."""
    with registry.work(now=now) as work:
        return call(work)


def test_link_signs_its_operator_in(registry: Registry, link: NewLink):
    """Who holds the code becomes the operator the link was made for."""
    opened = redeem(registry, link.code)

    assert (opened.operator.id, opened.row.scheme, opened.row.address) == ("adm", "sign_in_link", "198.51.100.4")
    assert authenticate(registry, opened.token) == "adm"


def test_link_works_once(registry: Registry, link: NewLink):
    """A code used before is refused, and the answer says so."""
    redeem(registry, link.code)

    assert code_of(lambda: redeem(registry, link.code)) == "link_used"


def test_link_works_ten_minutes(registry: Registry, link: NewLink):
    """A code is refused at its end, and was not used up by trying."""
    assert code_of(lambda: redeem(registry, link.code, now=NOW + LINK_LIFETIME)) == "link_expired"

    assert redeem(registry, link.code, now=NOW + LINK_LIFETIME - 1).operator.id == "adm"


@pytest.mark.parametrize("code", ["", "A" * 43, "\ud800", "'; DROP TABLE session; --", "x" * 100_000])
def test_wrong_code_is_refused(registry: Registry, code: str):
    """Whatever is posted as a code, it is unknown; never a crash."""
    assert code_of(lambda: redeem(registry, code)) == "link_unknown"


def test_of_many_at_once_one_gets_in(registry: Registry, link: NewLink):
    """A code posted by several at the same moment opens exactly one session."""
    results: list[str] = []

    def post() -> None:
        try:
            results.append(redeem(registry, link.code).operator.id)
        except CredentialError as error:
            results.append(error.code)

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == ["adm"] + ["link_used"] * 5
    with reading(registry.engine) as session:
        assert len(sessions.list_(session, operator="adm").items) == 1


def test_links_are_for_operators_who_may_act(registry: Registry, link: NewLink):
    """No link for nobody or for a suspended operator, and a suspended one's link does not work."""
    with pytest.raises(InvalidError) as caught:
        change(registry, lambda work: sessions.create_link(work, "nobody", random_bytes=RANDOM))
    assert (caught.value.code, caught.value.field) == ("reference_unknown", "operator")

    change(registry, lambda work: operators.suspend(work, "adm"))
    assert code_of(lambda: redeem(registry, link.code)) == "operator_suspended"
    with pytest.raises(CredentialError):
        change(registry, lambda work: sessions.create_link(work, "adm", random_bytes=RANDOM))


def test_session_ends_after_eight_hours(registry: Registry, signed_in: NewSession):
    """However much it is used, a session ends."""
    for hour in range(1, 8):
        with writing(registry.engine) as session:
            row = sessions.get(session, signed_in.row.id)
            assert sessions.touch(session, row, now=NOW + hour * IDLE_LIFETIME - 1)
    assert authenticate(registry, signed_in.token, now=NOW + 7 * IDLE_LIFETIME) == "adm"

    late = NOW + SESSION_LIFETIME
    assert code_of(lambda: authenticate(registry, signed_in.token, now=late)) == "session_expired"


def test_session_ends_after_an_hour_unused(registry: Registry, signed_in: NewSession):
    """A session nobody used for an hour is over."""
    assert authenticate(registry, signed_in.token, now=NOW + IDLE_LIFETIME - 1) == "adm"

    assert code_of(lambda: authenticate(registry, signed_in.token, now=NOW + IDLE_LIFETIME)) == "session_idle"


def test_idle_clock_is_written_once_a_minute(registry: Registry, signed_in: NewSession):
    """Using a session writes at most once a minute, and asking whether to is free."""
    row = signed_in.row
    assert not sessions.needs_touch(row, now=NOW + TOUCH_INTERVAL - 1)
    assert sessions.needs_touch(row, now=NOW + TOUCH_INTERVAL)

    with writing(registry.engine) as session:
        assert not sessions.touch(session, row, now=NOW + TOUCH_INTERVAL - 1)
        assert sessions.touch(session, row, now=NOW + TOUCH_INTERVAL)
    with reading(registry.engine) as session:
        assert sessions.get(session, row.id).seen_at == NOW + TOUCH_INTERVAL


def test_signing_out_ends_the_session(registry: Registry, signed_in: NewSession):
    """A session that was ended lets nobody in, and is ended once."""
    change(registry, lambda work: sessions.revoke(work, signed_in.row.id))

    assert code_of(lambda: authenticate(registry, signed_in.token)) == "session_revoked"
    with pytest.raises(TransitionError) as caught:
        change(registry, lambda work: sessions.revoke(work, signed_in.row.id))
    assert caught.value.code == "already_revoked"


@pytest.mark.parametrize("token", ["", "A" * 43, "\udcff"])
def test_unknown_session_is_refused(registry: Registry, signed_in: NewSession, token: str):
    """A cookie that is nobody's lets nobody in; nor does a session's id or stored hash."""
    assert code_of(lambda: authenticate(registry, token)) == "session_unknown"
    assert code_of(lambda: authenticate(registry, signed_in.row.id)) == "session_unknown"
    assert code_of(lambda: authenticate(registry, signed_in.row.token_hash)) == "session_unknown"


def test_suspended_operators_session_lets_nobody_in(registry: Registry, signed_in: NewSession):
    """Suspending an operator ends their sessions at once."""
    change(registry, lambda work: operators.suspend(work, "adm"))

    assert code_of(lambda: authenticate(registry, signed_in.token)) == "operator_suspended"


@pytest.fixture
def by_key(registry: Registry) -> tuple[str, NewSession]:
    """Adm, signed in on the page with an admin key, and the key's id."""
    spec = KeySpec(operator="adm", name="laptop", expires_at=NOW + 600)
    key = change(registry, lambda work: operators.create_key(work, spec, random_bytes=RANDOM))
    with registry.work(actor=VISITOR) as work:
        return key.row.id, sessions.sign_in_with_key(work, key.value, random_bytes=RANDOM)


def test_admin_key_signs_in(registry: Registry, by_key: tuple[str, NewSession]):
    """An admin key opens a session, in the name of its operator."""
    _, opened = by_key

    assert (opened.row.scheme, opened.row.admin_key) == ("admin_key", by_key[0])
    assert authenticate(registry, opened.token) == "adm"
    with reading(registry.engine) as session:
        entry = audit.list_(session, newest_first=True).items[0]
    assert (entry.action, entry.operator, entry.scheme) == ("session.opened", "adm", "sign_in_link")


def test_session_ends_with_the_key_that_opened_it(registry: Registry, by_key: tuple[str, NewSession]):
    """A session opened with a key does not outlive it, by its end or by being revoked."""
    key, opened = by_key
    assert code_of(lambda: authenticate(registry, opened.token, now=NOW + 600)) == "key_expired"

    change(registry, lambda work: operators.revoke_key(work, key))

    assert code_of(lambda: authenticate(registry, opened.token)) == "key_revoked"


def test_wrong_admin_key_opens_nothing(registry: Registry):
    """A key that does not let in opens no session."""

    def post() -> None:
        with registry.work(actor=VISITOR) as work:
            sessions.sign_in_with_key(work, "tg_key_" + "A" * 43, random_bytes=RANDOM)

    assert code_of(post) == "key_unknown"


@pytest.mark.file
def test_secrets_are_nowhere_but_in_the_answers(registry: Registry, link: NewLink, signed_in: NewSession):
    """Neither code, token nor form token is in the database or in a repr; no hash of them is in the audit."""
    registry.engine.dispose()
    stored = b"".join(path.read_bytes() for path in registry.path.parent.iterdir())
    with reading(registry.engine) as session:
        told = repr([(entry.before, entry.after) for entry in audit.list_(session, limit=500).items])

    for secret in (link.code, signed_in.token, signed_in.csrf):
        assert secret.encode() not in stored
        assert secret not in repr(link) + repr(signed_in)
    for stored_hash in (link.row.code_hash, signed_in.row.token_hash):
        assert stored_hash not in told


def test_signing_in_is_audited_and_changes_no_policy(registry: Registry, link: NewLink, signed_in: NewSession):
    """Making and using a link and opening a session are in the audit, in the operator's name, at the same revision."""
    with reading(registry.engine) as session:
        entries = audit.list_(session, newest_first=True, limit=3).items

    assert [(entry.action, entry.operator, entry.revision) for entry in reversed(entries)] == [
        ("sign_in_link.created", "adm", 1),
        ("sign_in_link.used", "adm", 1),
        ("session.opened", "adm", 1),
    ]
    assert entries[0].address == "198.51.100.4"


def test_form_token_belongs_to_its_session(signed_in: NewSession):
    """The token against forged posts is the session's own; another one is refused, whatever it holds."""
    assert is_csrf(signed_in.token, signed_in.csrf)
    assert csrf_of(signed_in.token) == signed_in.csrf != csrf_of("another")
    for wrong in ("", signed_in.csrf[:-1], csrf_of("another"), "é", "\ud800"):
        assert not is_csrf(signed_in.token, wrong)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda work: sessions.get(work.session, "nobody"), "session_not_found"),
        (lambda work: sessions.revoke(work, "nobody"), "session_not_found"),
        (lambda work: sessions.get_link(work.session, "nobody"), "sign_in_link_not_found"),
    ],
)
def test_what_is_not_there(registry: Registry, call: Callable[[Work], Any], code: str):
    """`get` and changes of what is not there say what is not there."""
    with pytest.raises(NotFoundError) as caught:
        change(registry, call)

    assert caught.value.code == code


def test_failed_sign_in_uses_nothing_up(registry: Registry, link: NewLink):
    """A sign-in that fails after the code was claimed leaves the code good."""

    def fail(_: int) -> bytes:
        raise RegistryError("database_full", "no room")

    with pytest.raises(RegistryError), registry.work(actor=VISITOR) as work:
        sessions.redeem(work, link.code, random_bytes=fail)

    with reading(registry.engine) as session:
        assert session.get_one(SignInLink, link.row.id).used_at is None
    assert redeem(registry, link.code).operator.id == "adm"
