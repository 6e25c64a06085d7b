"""Operators and admin keys: shown once, stored as a hash, ended at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col

from tenantgate.registry import audit, operators, sessions
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import (
    ConflictError,
    CredentialError,
    InvalidError,
    NotFoundError,
    RegistryError,
    TransitionError,
)
from tenantgate.registry.operators import KeySpec, NewKey, OperatorSpec, authenticate_key
from tenantgate.registry.tables import AdminKey
from tenantgate.registry.unit_of_work import Work
from tests.registry.builders import NOW, Registry, an_operator, counting_bytes

END = NOW + 3_600


@pytest.fixture
def key(registry: Registry) -> NewKey:
    """A key of Adm's, good for an hour."""
    with registry.work() as work:
        return operators.create_key(
            work, KeySpec(operator="adm", name="laptop", expires_at=END), random_bytes=counting_bytes()
        )


def refused(registry: Registry, presented: str, *, now: int = NOW) -> str:
    """The code with which a key is refused."""
    with reading(registry.engine) as session, pytest.raises(CredentialError) as caught:
        authenticate_key(session, presented, now=now)
    assert "_" not in presented or presented not in str(caught.value)
    return caught.value.code


def refusal(registry: Registry, call: Callable[[Work], Any]) -> RegistryError:
    """What a change is refused with."""
    with pytest.raises(RegistryError) as caught, registry.work() as work:
        call(work)
    return caught.value


def test_key_lets_its_operator_in(registry: Registry, key: NewKey):
    """A key is `tg_<id>_<secret>`, and whoever holds it is its operator."""
    assert key.value.startswith(f"tg_{key.row.id}_")
    with reading(registry.engine) as session:
        operator, row = authenticate_key(session, key.value, now=NOW)

    assert (operator.id, operator.role, row.id, row.name) == ("adm", "Admin", key.row.id, "laptop")


def test_an_error_of_the_database_tells_no_hash(registry: Registry, key: NewKey):
    """Errors are logged with what caused them, and a statement's values are part of that where nobody forbids it."""
    with pytest.raises(ConflictError) as caught, writing(registry.engine) as session:
        session.add(AdminKey(**key.row.model_dump()))
    cause = caught.value.__cause__
    assert "admin_key" in str(cause)
    assert key.row.secret_hash not in f"{cause}{caught.value}"


@pytest.mark.file
def test_keys_value_is_nowhere_but_in_the_answer(registry: Registry, key: NewKey):
    """Neither the key nor its secret is in the database, in a repr, or in the audit; nor is the hash in the audit."""
    secret = key.value.split("_", 2)[2]
    registry.engine.dispose()
    stored = b"".join(path.read_bytes() for path in registry.path.parent.iterdir())

    assert len(secret) == 43
    assert secret.encode() not in stored
    assert secret not in repr(key)
    with reading(registry.engine) as session:
        entry = audit.list_(session, kind="admin_key").items[0]
    assert entry.after is not None
    assert set(entry.after) == {
        "id", "operator", "name", "created_at", "created_by", "expires_at", "revoked_at", "last_used_at",
        "role", "scopes", "version",
    }  # fmt: skip


def test_every_key_differs(registry: Registry):
    """Two keys have different ids and different secrets."""
    random_bytes = counting_bytes()
    with registry.work() as work:
        spec = KeySpec(operator="adm", name="laptop", expires_at=END)
        keys = [operators.create_key(work, spec, random_bytes=random_bytes) for _ in range(2)]

    assert len({key.row.id for key in keys}) == len({key.row.secret_hash for key in keys}) == 2


def test_wrong_keys_are_refused(registry: Registry, key: NewKey):
    """A key that is not one, one with another id, and one with another secret do not let in."""
    last = "A" if key.value[-1] != "A" else "B"

    assert refused(registry, key.value[:-1] + last) == "key_unknown"
    assert refused(registry, key.value.replace("key-", "kex-")) == "key_unknown"
    for odd in (
        "",
        "tg__",
        key.value[3:],
        key.value + "\n",
        key.value + "A",
        "Bearer " + key.value,
        "tg_é_" + "A" * 43,
    ):
        assert refused(registry, odd) == "key_malformed"


def test_key_ends(registry: Registry, key: NewKey):
    """A key works up to its end, and not at it."""
    with reading(registry.engine) as session:
        assert authenticate_key(session, key.value, now=END - 1)

    assert refused(registry, key.value, now=END) == "key_expired"


def test_revoked_key_lets_nobody_in(registry: Registry, key: NewKey):
    """A key revoked is refused at once, and can be revoked once."""
    with registry.work() as work:
        assert operators.revoke_key(work, key.row.id).revoked_at == NOW

    assert refused(registry, key.value) == "key_revoked"
    error = refusal(registry, lambda work: operators.revoke_key(work, key.row.id))
    assert isinstance(error, TransitionError)
    assert error.code == "already_revoked"


def test_suspended_operators_keys_let_nobody_in(registry: Registry, key: NewKey):
    """Suspending an operator ends all their keys until they are activated."""
    with registry.work() as work:
        operators.suspend(work, "adm")
    assert refused(registry, key.value) == "operator_suspended"
    assert work.revision is None

    with registry.work() as work:
        operators.activate(work, "adm")
    with reading(registry.engine) as session:
        assert authenticate_key(session, key.value, now=NOW)


def test_use_of_keys_is_noted_aside(registry: Registry, key: NewKey):
    """When a key was last used is written down apart from its use, and never goes back."""
    with reading(registry.engine) as session:
        authenticate_key(session, key.value, now=NOW)
        assert operators.get_key(session, key.row.id).last_used_at is None

    for at in (NOW + 5, NOW + 3):
        with writing(registry.engine) as session:
            operators.note_keys_used(session, {key.row.id: at, "key-gone": at})

    with reading(registry.engine) as session:
        assert operators.get_key(session, key.row.id).last_used_at == NOW + 5


@pytest.mark.parametrize(
    ("spec", "code", "field"),
    [
        (KeySpec(operator="nobody", name="x", expires_at=END), "reference_unknown", "operator"),
        (KeySpec(operator="adm", name="", expires_at=END), "text_empty", "name"),
        (KeySpec(operator="adm", name="x", expires_at=NOW), "time_in_past", "expires_at"),
        (KeySpec(operator="adm", name="x", expires_at=10**15), "number_out_of_range", "expires_at"),
        (KeySpec(operator="adm", name="x", expires_at=END, role="viewer"), "value_unknown", "role"),  # type: ignore[arg-type]
        (KeySpec(operator="adm", name="x", expires_at=END, scopes=("a", "a")), "list_duplicate", "scopes[1]"),
        (KeySpec(operator="adm", name="x", expires_at=END, scopes=("a b",)), "id_malformed", "scopes[0]"),
        (
            KeySpec(operator="adm", name="x", expires_at=END, scopes=tuple(f"s{n}" for n in range(33))),
            "list_too_long",
            "scopes",
        ),
    ],
)
def test_wrong_key_specs_are_refused(registry: Registry, spec: KeySpec, code: str, field: str):
    """A key needs an operator, a name, and an end in the future."""
    error = refusal(registry, lambda work: operators.create_key(work, spec, random_bytes=counting_bytes()))

    assert isinstance(error, InvalidError)
    assert (error.code, error.field) == (code, field)


@pytest.mark.parametrize(
    ("spec", "code", "field"),
    [
        (OperatorSpec(id="adm", name="Adm", role="Admin"), "id_duplicate", "id"),
        (OperatorSpec(name="Adm\x00", role="Admin"), "text_not_allowed", "name"),
        (OperatorSpec(name="Adm", role="admin"), "value_unknown", "role"),  # type: ignore[arg-type]
    ],
)
def test_wrong_operators_are_refused(registry: Registry, spec: OperatorSpec, code: str, field: str):
    """An operator has a free id, a name and one of three roles."""
    error = refusal(registry, lambda work: operators.create(work, spec))

    assert (error.code, error.field) == (code, field)


def test_operators_and_keys_are_listed(registry: Registry, key: NewKey):
    """Lists are filtered by role, state and operator."""
    with registry.work() as work:
        an_operator(work, id="grace", name="Grace", role="Viewer")
        operators.suspend(work, "grace")

    with reading(registry.engine) as session:
        assert [row.id for row in operators.list_(session).items] == ["adm", "grace"]
        assert [row.id for row in operators.list_(session, role="Viewer").items] == ["grace"]
        assert [row.id for row in operators.list_(session, state="active").items] == ["adm"]
        assert [row.id for row in operators.list_keys(session, operator="adm").items] == [key.row.id]
        assert operators.list_keys(session, operator="grace").items == ()
        assert operators.get(session, "grace").role == "Viewer"


@pytest.mark.parametrize(
    ("get", "code"), [(operators.get, "operator_not_found"), (operators.get_key, "admin_key_not_found")]
)
def test_getting_what_is_not_there(registry: Registry, get: Callable[..., Any], code: str):
    """`get` raises and names the kind."""
    with reading(registry.engine) as session, pytest.raises(NotFoundError) as caught:
        get(session, "nobody")

    assert caught.value.code == code


@pytest.mark.file
def test_readable_file_does_not_give_keys_away(registry: Registry, key: NewKey):
    """Who reads the table finds 64 hexadecimal digits that are not the secret."""
    with sqlite3.connect(registry.path) as connection:
        [(stored,)] = connection.execute("SELECT secret_hash FROM admin_key").fetchall()
    connection.close()

    assert len(stored) == 64
    assert refused(registry, f"tg_{key.row.id}_{stored[:43]}") == "key_unknown"


@pytest.fixture
def limited(registry: Registry) -> NewKey:
    """A key of Adm's that reads partners and nothing else."""
    spec = KeySpec(operator="adm", name="report", expires_at=END, role="Viewer", scopes=("partners",))
    with registry.work() as work:
        return operators.create_key(work, spec, random_bytes=counting_bytes(3))


@pytest.mark.threat(44)
def test_a_limited_key_cannot_be_widened_in_the_table(registry: Registry, limited: NewKey):
    """Its hash is over what it may: whoever writes another role or scope into its row has made it useless."""
    with reading(registry.engine) as session:
        _, row = authenticate_key(session, limited.value, now=NOW)
    assert (row.role, row.scopes) == ("Viewer", ["partners"])

    for widened in ({"role": None}, {"role": "Admin"}, {"scopes": []}, {"scopes": ["partners", "operators"]}):
        with writing(registry.engine) as session:
            session.execute(sa.update(AdminKey).where(col(AdminKey.id) == row.id).values(**widened))
        assert refused(registry, limited.value) == "key_unknown", widened
        with writing(registry.engine) as session:
            back = {"role": row.role, "scopes": row.scopes}
            session.execute(sa.update(AdminKey).where(col(AdminKey.id) == row.id).values(**back))
    with reading(registry.engine) as session:
        assert authenticate_key(session, limited.value, now=NOW)


def test_a_server_of_before_lets_nobody_in_with_a_limited_key(registry: Registry, limited: NewKey, key: NewKey):
    """It knows the secret's own hash alone: that is what a key without limits has, and a limited one has not."""
    for made, is_so in ((key, True), (limited, False)):
        with reading(registry.engine) as session:
            stored = operators.get_key(session, made.row.id).secret_hash
        assert (operators.hash_of(made.value[-43:]) == stored) is is_so


def test_a_limited_key_opens_no_session(registry: Registry, limited: NewKey):
    """On the page an operator may do all they may: a key that may do less does not lead there."""
    error = refusal(
        registry, lambda work: sessions.sign_in_with_key(work, limited.value, random_bytes=counting_bytes(4))
    )
    assert error.code == "key_limited"


@pytest.mark.threat(44)
def test_secrets_of_keys_are_compared_in_constant_time(
    registry: Registry, key: NewKey, monkeypatch: pytest.MonkeyPatch
):
    """Known and unknown ids, right and wrong secrets: each time two whole hashes are compared, by the one function."""
    seen: list[tuple[str, str]] = []
    real = operators.hmac.compare_digest

    def noting(one: str, other: str) -> bool:
        seen.append((one, other))
        return real(one, other)

    monkeypatch.setattr(operators.hmac, "compare_digest", noting)
    with reading(registry.engine) as session:
        authenticate_key(session, key.value, now=NOW)
    refused(registry, key.value[:-43] + "A" * 43)
    refused(registry, f"tg_nobody_{'A' * 43}")
    assert [(len(one), len(other)) for one, other in seen] == [(64, 64)] * 3
