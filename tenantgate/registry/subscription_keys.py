"""Subscription keys: values of ours that a daemon may show. Kept and audited now; no gate judges by them yet.

A key is `tgs_<id>_<secret>`; the secret is 256 random bits, so its SHA-256 needs no salt and no slow hash. It is
shown once. Changing over takes two live keys: `rotate` makes the next one and lets the old one work a while longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.core.fields import LATEST, NAME_LENGTH, check_number
from tenantgate.core.policy import PolicyError
from tenantgate.registry.credential_tables import SubscriptionKey
from tenantgate.registry.daemons import of_partner, require_open
from tenantgate.registry.errors import ConflictError, TransitionError, from_policy_error
from tenantgate.registry.ids import RandomBytes
from tenantgate.registry.operators import hash_of, new_secret
from tenantgate.registry.ordering import bytewise, folded, moment, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import facts_of
from tenantgate.registry.searching import Catalogue, ends_between, own, sort_by_end
from tenantgate.registry.service import add, choose_id, get_row, refer, require_future, text
from tenantgate.registry.tables import Daemon
from tenantgate.registry.unit_of_work import Work

LIVE_KEYS: Final = 10
"""Keys of one daemon that work at the same time."""
LONGEST_OVERLAP: Final = 30 * 86_400
DEFAULT_OVERLAP: Final = 86_400
"""Seconds. So long a rotated key works beside the new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionKeySpec:
    """What a key is to be. Every key ends: `expires_at` is epoch seconds, exclusive."""

    daemon: str
    name: str
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationSpec:
    """How to change over: when the new key ends, and for how many seconds the old one works on (0: not at all)."""

    expires_at: int
    overlap: int = DEFAULT_OVERLAP


@dataclass(frozen=True, slots=True)
class NewSubscriptionKey:
    """A key just made. `value` is the secret, shown once and never stored."""

    row: SubscriptionKey
    value: str = field(repr=False)


def create(work: Work, spec: SubscriptionKeySpec, *, random_bytes: RandomBytes) -> NewSubscriptionKey:
    """Make a key for a daemon. The value is in the answer and nowhere else.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`, `time_in_past`.
        ConflictError: `subscription_keys_too_many`.
        TransitionError: `partner_archived`.
    """
    name = text(spec.name, "name", limit=NAME_LENGTH)
    _check(spec.expires_at, "expires_at", 0, LATEST)
    require_future(work, spec.expires_at, "expires_at")
    daemon = refer(work.session, Daemon, spec.daemon, "daemon")
    require_open(work.session, daemon)
    _refuse_many(work, daemon.id)
    return _make(work, daemon.id, name, spec.expires_at, random_bytes)


def rotate(work: Work, id_: str, spec: RotationSpec, *, random_bytes: RandomBytes) -> NewSubscriptionKey:
    """Make the next key of the same name and end the old one after the overlap, or where it ends before that.

    Raises:
        NotFoundError: `subscription_key_not_found`.
        InvalidError: `number_out_of_range`, `time_in_past`.
        ConflictError: `subscription_keys_too_many`.
        TransitionError: `already_revoked`, `already_expired`, `partner_archived`.
    """
    row = get_row(work.session, SubscriptionKey, id_, for_change=True)
    _require_live(row, work.now)
    _check(spec.overlap, "overlap", 0, LONGEST_OVERLAP)
    new = create(
        work,
        SubscriptionKeySpec(daemon=row.daemon, name=row.name, expires_at=spec.expires_at),
        random_bytes=random_bytes,
    )
    before = facts_of(row)
    if not spec.overlap:
        row.revoked_at = work.now
    row.expires_at = min(row.expires_at, work.now + spec.overlap)
    work.session.add(row)
    work.record("subscription_key.rotated", "subscription_key", id_, before, facts_of(row))
    return new


def get(session: Session, id_: str) -> SubscriptionKey:
    """Return a key (never its value). Raises NotFoundError."""
    return get_row(session, SubscriptionKey, id_)


_ENDS: Final = moment(SubscriptionKey.expires_at)
SUBSCRIPTION_KEYS: Final = Catalogue(
    SubscriptionKey,
    orders_of(SubscriptionKey, name=folded(col(SubscriptionKey.name)), expires_at=_ENDS),
    (own(SubscriptionKey, bytewise(col(SubscriptionKey.id))), own(SubscriptionKey, folded(col(SubscriptionKey.name)))),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    daemon: str | None = None,
    partner: str | None = None,
    expires_after: int | None = None,
    expires_before: int | None = None,
) -> Page[SubscriptionKey]:
    """Return keys, in order of id or, where ends are asked for, of `expires_at`; or as `sort` says.

    Those that ended are among them. `search` is the beginning of an id or a name. `partner` finds those of its daemons.
    `expires_after` and `expires_before` (exclusive) are epoch seconds.
    """
    return SUBSCRIPTION_KEYS.page(
        session,
        after=after,
        limit=limit,
        sort=sort_by_end("expires_at", sort, search, expires_after, expires_before),
        search=search,
        equal={"daemon": daemon},
        where=[*ends_between(_ENDS, expires_after, expires_before), *of_partner(col(SubscriptionKey.daemon), partner)],
    )


def revoke(work: Work, id_: str) -> SubscriptionKey:
    """End a key at once.

    Raises:
        NotFoundError: `subscription_key_not_found`.
        TransitionError: `already_revoked`.
    """
    row = get_row(work.session, SubscriptionKey, id_, for_change=True)
    if row.revoked_at is not None:
        raise TransitionError("already_revoked", f"subscription key {id_} was revoked before")
    before = facts_of(row)
    row.revoked_at = work.now
    work.session.add(row)
    work.record("subscription_key.revoked", "subscription_key", id_, before, facts_of(row))
    return row


def _make(work: Work, daemon: str, name: str, expires_at: int, random_bytes: RandomBytes) -> NewSubscriptionKey:
    id_ = choose_id(work, SubscriptionKey, "sub", None)
    secret = new_secret(random_bytes)
    row = SubscriptionKey(
        id=id_,
        daemon=daemon,
        name=name,
        secret_hash=hash_of(secret),
        created_at=work.now,
        created_by=work.actor.operator_id,
        expires_at=expires_at,
    )
    return NewSubscriptionKey(add(work, row, "subscription_key.created", policy=False), f"tgs_{id_}_{secret}")


def _require_live(row: SubscriptionKey, now: int) -> None:
    if row.revoked_at is not None:
        raise TransitionError("already_revoked", f"subscription key {row.id} was revoked before")
    if now >= row.expires_at:
        raise TransitionError("already_expired", f"subscription key {row.id} has expired; make a new one")


def _refuse_many(work: Work, daemon: str) -> None:
    live = (
        select(sa.func.count())
        .select_from(SubscriptionKey)
        .where(
            col(SubscriptionKey.daemon) == daemon,
            col(SubscriptionKey.revoked_at).is_(None),
            col(SubscriptionKey.expires_at) > work.now,
        )
    )
    if work.session.exec(live).one() >= LIVE_KEYS:
        message = f"daemon {daemon} has {LIVE_KEYS} keys that work; revoke one first"
        raise ConflictError("subscription_keys_too_many", message, field="daemon", holder=daemon)


def _check(value: int, name: str, low: int, high: int) -> None:
    try:
        check_number(value, name, low, high)
    except PolicyError as error:
        raise from_policy_error(error) from None
