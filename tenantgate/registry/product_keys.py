"""The keys that the product makes for itself: once for all servers, in the database, sealed under the master key.

Whatever one server signs with them every other takes. A key has versions: the newest signs, all of them verify, until
the older ones are forgotten. Making, rotating and forgetting are units of work and stand in the audit, which never
holds a key. Where the master key cannot open what is there, nothing is made and nothing is written over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlmodel import Session, col, select

from tenantgate.registry.engine import reading
from tenantgate.registry.errors import DatabaseError, MasterKeyError, NotFoundError, RegistryError, TransitionError
from tenantgate.registry.ids import NewId, RandomBytes
from tenantgate.registry.key_tables import ProductKey
from tenantgate.registry.master_key import KEY_BYTES, MasterKey
from tenantgate.registry.unit_of_work import Actor, Work, unit_of_work

log: Final = logging.getLogger("tenantgate.registry")

KeyName = Literal["session", "oidc_state", "pepper"]
"""What there are keys for: sealing session tokens, the state of a sign-in at an identity provider, hashing secrets."""

NAMES: Final[tuple[str, ...]] = get_args(KeyName)
LOOK_INTERVAL: Final = 30.0
"""Seconds after which a rotation is known to every server."""
_NEWER_INTERVAL: Final = 1.0
"""Seconds between two looks for a version that only another server can know yet."""
_SERVER: Final = Actor("system:server", "system", "local")


@dataclass(frozen=True, slots=True)
class Secret:
    """A version of a product key, opened."""

    version: int
    value: bytes = field(repr=False)


class ProductKeys:
    """The product's keys, as one process has them. Safe for many threads; asks the database every half minute.

    `now` gives epoch seconds, `clock` monotonic seconds. `get` makes a key that is not there yet, in a unit of work of
    its own: never ask for one for the first time inside of another.
    """

    def __init__(
        self,
        engine: Engine,
        master: MasterKey,
        *,
        now: Callable[[], int],
        clock: Callable[[], float],
        new_id: NewId,
        random_bytes: RandomBytes,
    ) -> None:
        self._engine = engine
        self._master = master
        self._now = now
        self._clock = clock
        self._new_id = new_id
        self._random_bytes = random_bytes
        self._held: dict[str, dict[int, bytes]] = {}
        self._look_at: dict[str, float] = {}
        self._newer_at: dict[str, float] = {}
        self._making = threading.Lock()

    def get(self, name: KeyName) -> bytes:
        """Return the newest version, 32 bytes. Raises as `current`."""
        return self.current(name).value

    def current(self, name: KeyName) -> Secret:
        """Return the newest version, and which it is.

        Raises:
            MasterKeyError: `master_key_wrong`, `product_key_damaged`.
            DatabaseError: the database cannot be read now, and the key was never had.
        """
        versions = self._versions(name)
        newest = max(versions)
        return Secret(newest, versions[newest])

    def find(self, name: KeyName, version: int) -> bytes | None:
        """Return one version, or None where there is no such; one just made by another server is found. Raises so.

        One that the master key cannot open, while others are had, is not found: another server has it.
        """
        versions = self._versions(name)
        if version > max(versions) and self._clock() >= self._newer_at.get(name, 0.0):
            # `version` may be anybody's invention: the database is asked once a second, whoever comes with what.
            self._newer_at[name] = self._clock() + _NEWER_INTERVAL
            try:
                versions = self._look(name)
            except MasterKeyError as error:
                _say_unread(name, error)
        return versions.get(version)

    def is_newer(self, name: KeyName, version: int) -> bool:
        """Whether a version (untrusted) is newer than any that this process has: only another server can know it."""
        return version > max(self._held.get(name, {}), default=0)

    def check(self) -> None:
        """Open all there is, and make what every server needs. Raises as `current`."""
        with reading(self._engine) as session:
            open_all(session, self._master)
        self.current("session")

    def _versions(self, name: str) -> dict[int, bytes]:
        held = self._held.get(name)
        if held is not None and self._clock() < self._look_at[name]:
            return held
        try:
            return self._look(name) or self._make(name)
        except (DatabaseError, MasterKeyError) as error:
            held = self._held.get(name)
            if held is None:
                raise
            # What we have goes on: a session ends with the database, not with a look that failed.
            _say_unread(name, error)
            self._look_at[name] = self._clock() + LOOK_INTERVAL
            return held

    def _look(self, name: str) -> dict[int, bytes]:
        """Read the versions of a key; what was opened before needs not be again (the master key may have changed)."""
        with reading(self._engine) as session:
            rows = session.exec(select(ProductKey).where(ProductKey.name == name)).all()
            held = self._keep_only(name, {row.version for row in rows})
            if any(row.version not in held for row in rows):
                opened = open_all(session, self._master)
                held = {version: value for (of, version), value in opened.items() if of == name}
        return self._hold(name, {row.version: held[row.version] for row in rows})

    def _keep_only(self, name: str, versions: set[int]) -> dict[int, bytes]:
        """Drop what was forgotten: that takes no master key, and must not wait for one. Return what is left."""
        left = {version: value for version, value in self._held.get(name, {}).items() if version in versions}
        if left:
            self._held[name] = left
        else:
            self._held.pop(name, None)
        return left

    def _make(self, name: str) -> dict[int, bytes]:
        """Make the first version, unless another server was faster."""
        with self._making, unit_of_work(self._engine, actor=_SERVER, now=self._now(), new_id=self._new_id) as work:
            opened = open_all(work.session, self._master)
            made = {version: value for (of, version), value in opened.items() if of == name}
            if not made:
                secret = add_version(work, self._master, name, random_bytes=self._random_bytes)
                made = {secret.version: secret.value}
        return self._hold(name, made)

    def _hold(self, name: str, versions: dict[int, bytes]) -> dict[int, bytes]:
        if versions:
            self._look_at[name] = self._clock() + LOOK_INTERVAL
            self._held[name] = versions
        return versions


def _say_unread(name: str, error: RegistryError) -> None:
    log.warning("product keys could not be looked at: %s", error.code, extra={"product_key": name})


def list_(session: Session) -> list[ProductKey]:
    """Return every version of every key, sealed, in order."""
    return list(session.exec(select(ProductKey).order_by(col(ProductKey.name), col(ProductKey.version))).all())


def open_all(session: Session, master: MasterKey) -> dict[tuple[str, int], bytes]:
    """Open everything there is.

    Raises:
        MasterKeyError: `master_key_wrong`, none of it can be opened; `product_key_damaged`, some of it cannot.
    """
    opened = {(row.name, row.version): master.open(row.name, row.version, row.sealed) for row in list_(session)}
    sound = {place: value for place, value in opened.items() if value is not None and len(value) == KEY_BYTES}
    if opened and not sound:
        raise MasterKeyError(
            "master_key_wrong", "the keys in the database were sealed under another master key; nothing was changed"
        )
    if len(sound) < len(opened):
        name, version = next(place for place in opened if place not in sound)
        raise MasterKeyError("product_key_damaged", f"version {version} of the key {name} in the database is damaged")
    return sound


def add_version(work: Work, master: MasterKey, name: str, *, random_bytes: RandomBytes) -> Secret:
    """Make a new version of a key: it signs from now on, the older ones still verify. Raises as `open_all`."""
    versions = [version for of, version in open_all(work.session, master) if of == name]
    secret = Secret(max(versions, default=0) + 1, random_bytes(KEY_BYTES))
    row = ProductKey(
        name=name,
        version=secret.version,
        created_at=work.now,
        created_by=work.actor.operator_id,
        sealed=master.seal(name, secret.version, secret.value, random_bytes=random_bytes),
    )
    work.session.add(row)
    work.record("product_key.created", "product_key", name, None, _facts(row))
    return secret


def forget_older(work: Work, name: str) -> int:
    """Forget all versions of a key but the newest: what they signed is worth nothing from now on. Returns how many.

    Raises:
        NotFoundError: `product_key_not_found`.
        TransitionError: `state_unchanged`: there is one version alone.
    """
    rows = [row for row in list_(work.session) if row.name == name]
    if not rows:
        raise NotFoundError("product_key_not_found", f"there is no key {name}")
    if len(rows) == 1:
        raise TransitionError("state_unchanged", f"the key {name} has one version alone")
    older = rows[:-1]
    newest = rows[-1].version
    work.session.execute(sa.delete(ProductKey).where(col(ProductKey.name) == name, col(ProductKey.version) < newest))
    for row in older:
        work.record("product_key.forgotten", "product_key", name, _facts(row), None)
    return len(older)


def forget_all(work: Work) -> int:
    """Forget everything, whatever it was sealed under. Returns how much.

    Raises:
        TransitionError: `state_unchanged`: there is nothing.
    """
    rows = list_(work.session)
    if not rows:
        raise TransitionError("state_unchanged", "there are no keys")
    work.session.execute(sa.delete(ProductKey))
    for row in rows:
        work.record("product_key.forgotten", "product_key", row.name, _facts(row), None)
    return len(rows)


def seal_anew(work: Work, old: MasterKey, new: MasterKey, *, random_bytes: RandomBytes) -> int:
    """Seal everything under another master key, all of it or nothing. Returns how much. Raises as `open_all`."""
    opened = open_all(work.session, old)
    for row in list_(work.session):
        secret = opened[row.name, row.version]
        row.sealed = new.seal(row.name, row.version, secret, random_bytes=random_bytes)
        work.session.add(row)
    work.record("master_key.rotated", "master_key", "master", None, {"product_keys": len(opened)})
    return len(opened)


def _facts(row: ProductKey) -> dict[str, object]:
    return row.model_dump(exclude={"sealed"})
