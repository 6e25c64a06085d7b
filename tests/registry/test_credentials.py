"""Certificates and subscription keys of daemons: kept, audited, ended; and in no change feed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.registry import audit, certificates, partners, subscription_keys
from tenantgate.registry.certificates import CertificateSpec
from tenantgate.registry.credential_tables import ClientCertificate
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import ConflictError, InvalidError, NotFoundError, RegistryError, TransitionError
from tenantgate.registry.snapshot import read_snapshot, read_state
from tenantgate.registry.subscription_keys import NewSubscriptionKey, RotationSpec, SubscriptionKeySpec
from tenantgate.registry.unit_of_work import Work
from tests.client_certificates import a_certificate, private_pem
from tests.registry.builders import NOW, Registry, a_daemon, counting_bytes

DAY = 86_400
PEM = a_certificate()


def refusal(registry: Registry, call: Callable[[Work], Any]) -> RegistryError:
    """What a change is refused with."""
    with pytest.raises(RegistryError) as caught, registry.work() as work:
        call(work)
    return caught.value


def added(registry: Registry, **changed: Any) -> str:
    """Add the certificate to the nightly program."""
    spec: dict[str, Any] = {"id": "own", "daemon": "nightly", "certificate": PEM} | changed
    with registry.work() as work:
        return certificates.create(work, CertificateSpec(**spec)).id


def key_spec(**changed: Any) -> SubscriptionKeySpec:
    """A key of the nightly program's, for a day."""
    spec: dict[str, Any] = {"daemon": "nightly", "name": "primary", "expires_at": NOW + DAY} | changed
    return SubscriptionKeySpec(**spec)


def made(registry: Registry, *, start: int = 50, **changed: Any) -> NewSubscriptionKey:
    """Make one."""
    with registry.work() as work:
        return subscription_keys.create(work, key_spec(**changed), random_bytes=counting_bytes(start))


def actions(registry: Registry, kind: str) -> list[str]:
    """What the audit says was done to a kind, oldest first."""
    with reading(registry.engine) as session:
        return [entry.action for entry in audit.list_(session, kind=kind).items]


def test_neither_is_in_the_change_feed(registry: Registry):
    """Both are stored and audited; the policy's revision stays, so that no gate meets a kind it does not know."""
    with reading(registry.engine) as session:
        before, snapshot = read_state(session), read_snapshot(session)

    added(registry)
    made(registry)

    with reading(registry.engine) as session:
        after = read_state(session)
        assert read_snapshot(session) == snapshot
        assert audit.verify_chain(session).sound
    assert (after.revision, after.audit_sequence) == (before.revision, before.audit_sequence + 2)


def test_certificate_keeps_what_tells_it_from_others(registry: Registry):
    """Thumbprints, names and dates; not the PEM. It begins active."""
    added(registry, name="from May")

    with reading(registry.engine) as session:
        row = certificates.get(session, "own")
        entry = audit.list_(session, kind="client_certificate").items[0]
    assert (row.daemon, row.name, row.state, row.version) == ("nightly", "from May", "active", 1)
    assert (row.subject, row.serial) == ("CN=nightly.contoso.example", "1")
    assert len(row.thumbprint) == len(row.spki_thumbprint) == 64
    assert row.not_before < NOW < row.not_after
    assert entry.after == row.model_dump()
    assert "BEGIN" not in str(entry.after)


def test_a_certificate_belongs_to_one_daemon(registry: Registry):
    """The same one is added to no daemon twice, also not after it was revoked; `holder` says where it is."""
    added(registry)
    with registry.work() as work:
        other = a_daemon(work, id="weekly", client_id="bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee")
    for daemon in ("nightly", other):
        spec = CertificateSpec(daemon=daemon, certificate=PEM)
        error = refusal(registry, lambda work, spec=spec: certificates.create(work, spec))  # type: ignore[misc]
        assert isinstance(error, ConflictError)
        assert (error.code, error.holder, error.field) == ("certificate_duplicate", "own", "certificate")
    with registry.work() as work:
        certificates.revoke(work, "own")
    error = refusal(registry, lambda work: certificates.create(work, CertificateSpec(daemon=other, certificate=PEM)))
    assert error.code == "certificate_duplicate"


def test_a_renewal_with_the_same_key_is_found_by_it(registry: Registry):
    """Two certificates of one key are two rows with one SPKI thumbprint."""
    added(registry)
    added(registry, id="next", certificate=a_certificate(serial=2))

    with reading(registry.engine) as session:
        own, following = (certificates.get(session, id_) for id_ in ("own", "next"))
    assert own.thumbprint != following.thumbprint
    assert own.spki_thumbprint == following.spki_thumbprint


REFUSED = [
    ("certificate_too_large", PEM + "\n" * 20_000),
    ("certificate_private_key", PEM + private_pem()),
    ("certificate_malformed", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
    ("certificate_chain", PEM + PEM),
    ("certificate_weak", a_certificate("RSA-1024")),
]


@pytest.mark.parametrize(("code", "pem"), REFUSED, ids=[code for code, _ in REFUSED])
def test_what_is_not_taken_leaves_nothing(registry: Registry, code: str, pem: str):
    """Each is refused with its code, names the member, quotes nothing, and leaves no entry."""
    error = refusal(
        registry, lambda work: certificates.create(work, CertificateSpec(daemon="nightly", certificate=pem))
    )

    assert isinstance(error, InvalidError)
    assert (error.code, error.field) == (code, "certificate")
    assert "BEGIN" not in error.message
    assert actions(registry, "client_certificate") == []


def test_an_expired_certificate_is_refused(registry: Registry):
    """By the time of the unit of work."""
    with pytest.raises(InvalidError) as caught, registry.work(now=3_000_000_000) as work:
        certificates.create(work, CertificateSpec(daemon="nightly", certificate=PEM))
    assert caught.value.code == "certificate_expired"


def test_a_certificate_names_a_daemon_that_is_there(registry: Registry):
    """An unknown one, a malformed id, and an id that is taken."""
    for daemon in ("nobody", "No Body", ""):
        spec = CertificateSpec(daemon=daemon, certificate=PEM)
        error = refusal(registry, lambda work, spec=spec: certificates.create(work, spec))  # type: ignore[misc]
        assert (error.code, error.field) == ("reference_unknown", "daemon")
    added(registry)
    spec = CertificateSpec(id="own", daemon="nightly", certificate=a_certificate(serial=3))
    assert refusal(registry, lambda work: certificates.create(work, spec)).code == "id_duplicate"


def test_the_life_of_a_certificate(registry: Registry):
    """Active, suspended, active; revoked is the end. Each step is in the audit once."""
    added(registry)
    with registry.work() as work:
        assert certificates.suspend(work, "own").state == "suspended"
    assert refusal(registry, lambda work: certificates.suspend(work, "own")).code == "state_unchanged"
    with registry.work() as work:
        assert certificates.activate(work, "own").version == 3
    with registry.work() as work:
        assert certificates.revoke(work, "own").state == "revoked"
    for move in (certificates.suspend, certificates.activate, certificates.revoke):
        error = refusal(registry, lambda work, move=move: move(work, "own"))  # type: ignore[misc]
        assert isinstance(error, TransitionError)
        assert error.code == "already_revoked"
    unknown = refusal(registry, lambda work: certificates.revoke(work, "other"))
    assert isinstance(unknown, NotFoundError)
    assert unknown.code == "client_certificate_not_found"
    assert actions(registry, "client_certificate") == [
        f"client_certificate.{each}" for each in ("created", "suspended", "activated", "revoked")
    ]


def test_an_archived_partner_gets_no_credential(registry: Registry):
    """Neither a certificate nor a key, and nothing is activated; what there is can be ended."""
    added(registry)
    key = made(registry)
    with registry.work() as work:
        certificates.suspend(work, "own")
        partners.archive(work, "contoso")
    next_ = CertificateSpec(daemon="nightly", certificate=a_certificate(serial=2))
    rotation = RotationSpec(expires_at=NOW + DAY)
    for call in (
        lambda work: certificates.create(work, next_),
        lambda work: certificates.activate(work, "own"),
        lambda work: subscription_keys.create(work, key_spec(), random_bytes=counting_bytes(60)),
        lambda work: subscription_keys.rotate(work, key.row.id, rotation, random_bytes=counting_bytes(60)),
    ):
        assert refusal(registry, call).code == "partner_archived"
    with registry.work() as work:
        certificates.revoke(work, "own")
        subscription_keys.revoke(work, key.row.id)


def test_certificates_are_listed(registry: Registry):
    """By daemon, state, and thumbprint in any usual spelling; in pages."""
    added(registry)
    added(registry, id="two", certificate=a_certificate(serial=2))
    with registry.work() as work:
        certificates.suspend(work, "two")
    with reading(registry.engine) as session:
        thumbprint = certificates.get(session, "own").thumbprint
        spelled = ":".join(thumbprint[place : place + 2].upper() for place in range(0, 64, 2))

        def ids(**wanted: Any) -> list[str]:
            return [row.id for row in certificates.list_(session, **wanted).items]

        assert ids() == ids(daemon="nightly") == ["own", "two"]
        assert ids(thumbprint=spelled) == ids(thumbprint=thumbprint) == ids(state="active") == ["own"]
        assert ids(daemon="nobody") == ids(thumbprint="' OR 1=1 --") == []
        assert certificates.list_(session, limit=1).after == "own"
        assert ids(after="own") == ["two"]


def test_key_is_shown_once_and_kept_as_a_hash(registry: Registry):
    """`tgs_<id>_<secret>` with 256 bits; the row has the SHA-256 of the secret, the audit has neither."""
    key = made(registry)
    prefix, id_, secret = key.value.split("_", 2)
    with reading(registry.engine) as session:
        row = subscription_keys.get(session, key.row.id)
        entry = audit.list_(session, kind="subscription_key").items[0]

    assert (prefix, id_, len(secret)) == ("tgs", row.id, 43)
    assert row.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in repr(key)
    told = {"id", "daemon", "name", "created_at", "created_by", "expires_at", "revoked_at"}
    assert entry.after is not None
    assert set(entry.after) == told


@pytest.mark.file
def test_keys_value_is_nowhere_in_the_database(registry: Registry):
    """Not in the table, the audit, an index or the log of what is written."""
    secret = made(registry).value.split("_", 2)[2]
    registry.engine.dispose()

    assert not any(secret.encode() in path.read_bytes() for path in registry.path.parent.iterdir())


def test_rotation_makes_the_next_and_lets_the_old_one_work_on(registry: Registry):
    """The old one ends after the overlap, or where it would have ended before that; the new one has its name."""
    old = made(registry, expires_at=NOW + 30 * DAY)
    short = made(registry, start=51, name="short", expires_at=NOW + 60)
    with registry.work() as work:
        rotation = RotationSpec(expires_at=NOW + 60 * DAY, overlap=3_600)
        new = subscription_keys.rotate(work, old.row.id, rotation, random_bytes=counting_bytes(52))
        subscription_keys.rotate(work, short.row.id, rotation, random_bytes=counting_bytes(53))

    with reading(registry.engine) as session:
        assert subscription_keys.get(session, old.row.id).expires_at == NOW + 3_600
        assert subscription_keys.get(session, short.row.id).expires_at == NOW + 60
        assert subscription_keys.get(session, old.row.id).revoked_at is None
    assert (new.row.name, new.row.daemon, new.row.expires_at) == ("primary", "nightly", NOW + 60 * DAY)
    assert new.value != old.value
    assert actions(registry, "subscription_key")[2:4] == ["subscription_key.created", "subscription_key.rotated"]


def test_rotation_without_overlap_ends_the_old_one(registry: Registry):
    """A key that leaked is rotated so; it is revoked then."""
    old = made(registry)
    with registry.work() as work:
        rotation = RotationSpec(expires_at=NOW + DAY, overlap=0)
        subscription_keys.rotate(work, old.row.id, rotation, random_bytes=counting_bytes(52))
    with reading(registry.engine) as session:
        assert subscription_keys.get(session, old.row.id).revoked_at == NOW


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"daemon": "nobody"}, "reference_unknown"),
        ({"name": ""}, "text_empty"),
        ({"name": "a\u202eb"}, "text_not_allowed"),
        ({"name": "x" * 201}, "text_too_long"),
        ({"expires_at": NOW}, "time_in_past"),
        ({"expires_at": 2**60}, "number_out_of_range"),
    ],
)
def test_odd_keys_are_refused(registry: Registry, changed: dict[str, Any], code: str):
    """A key names a daemon, says what it is for, and ends some day."""
    spec = key_spec(**changed)
    error = refusal(registry, lambda work: subscription_keys.create(work, spec, random_bytes=counting_bytes(50)))

    assert (error.code, error.field) == (code, next(iter(changed)))
    assert actions(registry, "subscription_key") == []


def test_odd_rotations_are_refused(registry: Registry):
    """One that ended, one that was revoked, an overlap without end, an end that has passed, an unknown key."""
    key = made(registry)
    rotation = RotationSpec(expires_at=NOW + 5 * DAY)

    def code(id_: str = key.row.id, *, now: int = NOW, **changed: Any) -> str:
        spec = dataclasses.replace(rotation, **changed)
        with pytest.raises(RegistryError) as caught, registry.work(now=now) as work:
            subscription_keys.rotate(work, id_, spec, random_bytes=counting_bytes(55))
        return caught.value.code

    assert code("nobody") == "subscription_key_not_found"
    assert code(overlap=-1) == code(overlap=31 * DAY) == "number_out_of_range"
    assert code(expires_at=NOW - 1) == "time_in_past"
    assert code(now=NOW + DAY) == "already_expired"
    with registry.work() as work:
        subscription_keys.revoke(work, key.row.id)
    assert code() == "already_revoked"
    assert refusal(registry, lambda work: subscription_keys.revoke(work, key.row.id)).code == "already_revoked"


def test_keys_of_a_daemon_are_bounded(registry: Registry):
    """Ten work at the same time; one that ended makes room."""
    keys = [made(registry, start=60 + place) for place in range(10)]
    spec = key_spec()
    error = refusal(registry, lambda work: subscription_keys.create(work, spec, random_bytes=counting_bytes(80)))
    assert (error.code, error.field, error.holder) == ("subscription_keys_too_many", "daemon", "nightly")
    with registry.work() as work:
        subscription_keys.revoke(work, keys[0].row.id)
    made(registry, start=81)
    with reading(registry.engine) as session:
        assert len(subscription_keys.list_(session, daemon="nightly").items) == 11
        assert subscription_keys.list_(session, daemon="nobody").items == ()


def test_the_database_keeps_the_bounds_too(registry: Registry):
    """An unknown state, a thumbprint twice: refused by the database, whoever writes there."""
    added(registry)
    columns = ", ".join(name for name in ClientCertificate.model_fields if name != "id")
    copy = f"INSERT INTO client_certificate (id, {columns}) SELECT 'copy', {columns} FROM client_certificate"
    with registry.engine.connect() as connection:
        for statement in ("UPDATE client_certificate SET state = 'trusted'", copy):
            with pytest.raises(sa.exc.IntegrityError):
                connection.execute(sa.text(statement))
            connection.rollback()
