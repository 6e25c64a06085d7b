"""Operators, people and automation that administer, and their admin keys.

An admin key is `tg_<id>_<secret>`; the secret is 256 random bits, so its SHA-256 needs no salt and no
slow hash. It is shown once. Every refusal of a key is a `CredentialError` whose code is for the
operator's log: a caller learns only that the key does not let in.

A key may do less than its operator: a lower role, or some scopes only. The hash of such a key is over
these too, so that nobody widens it by writing into its row, and so that a server of before, which
knows of no such keys, lets nobody in with one (decision 0061).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.core.fields import LATEST, NAME_LENGTH, check_id, check_list, check_number, check_value
from tenantgate.core.policy import PolicyError
from tenantgate.registry.errors import CredentialError, InvalidError, TransitionError, from_policy_error
from tenantgate.registry.ids import RandomBytes
from tenantgate.registry.ordering import bytewise, end_of, folded, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import facts_of
from tenantgate.registry.searching import Catalogue, ends_between, own, sort_by_end
from tenantgate.registry.service import (
    add,
    amend,
    choose_id,
    get_row,
    only,
    refer,
    require_future,
    set_state,
    text,
    written_by,
)
from tenantgate.registry.tables import AdminKey, Operator
from tenantgate.registry.unit_of_work import Work

OperatorRole = Literal["Admin", "Operator", "Viewer"]
_BY_RANK: Final[tuple[OperatorRole, ...]] = tuple(reversed(get_args(OperatorRole)))
RANK: Final[dict[str, int]] = {role: rank for rank, role in enumerate(_BY_RANK)}
"""How far a role reaches."""
SCOPES: Final = 32
"""Scopes of one key, at most."""

SECRET_BYTES: Final = 32
KEY_PREFIX: Final = "tg_"
"""What every admin key begins with, and no token does."""
_KEY: Final = re.compile(r"tg_([a-z0-9][a-z0-9.-]{0,62})_([A-Za-z0-9_-]{43})\Z")
_NOBODYS_HASH: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSpec:
    """What an operator is to be."""

    name: str
    role: OperatorRole
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """What an admin key is to be. Every key ends: `expires_at` is epoch seconds, exclusive.

    `role`: the most it may do (None: all that its operator may). `scopes`: where alone it counts (none: everywhere).
    """

    operator: str
    name: str
    expires_at: int
    role: OperatorRole | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewKey:
    """An admin key just made. `value` is the secret, shown once and never stored."""

    row: AdminKey
    value: str = field(repr=False)


def create(work: Work, spec: OperatorSpec) -> Operator:
    """Let somebody administer.

    Raises:
        InvalidError: a member is at fault.
        ConflictError: `id_duplicate`.
    """
    id_ = choose_id(work, Operator, "opr", spec.id)
    name = text(spec.name, "name", limit=NAME_LENGTH)
    _check_role(spec.role)
    row = Operator(id=id_, name=name, role=spec.role, state="active", **written_by(work))
    return add(work, row, "operator.created", policy=False)


def get(session: Session, id_: str) -> Operator:
    """Return an operator. Raises NotFoundError."""
    return get_row(session, Operator, id_)


OPERATORS: Final = Catalogue(
    Operator,
    orders_of(Operator, name=folded(col(Operator.name))),
    (own(Operator, bytewise(col(Operator.id))), own(Operator, folded(col(Operator.name)))),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    role: str | None = None,
    state: str | None = None,
) -> Page[Operator]:
    """Return operators, in order of id or as `sort` says. `search` is the beginning of an id or a name."""
    equal = {"role": role, "state": state}
    return OPERATORS.page(session, after=after, limit=limit, sort=sort, search=search, equal=equal)


def change(work: Work, id_: str, members: Mapping[str, Any]) -> Operator:
    """Change name or role, from the next request on; the rest stays. Where it is so already nothing is written.

    Raises:
        NotFoundError: `operator_not_found`.
        InvalidError: a member is at fault.
    """
    row = get_row(work.session, Operator, id_, for_change=True)
    wanted = {"name": row.name, "role": row.role} | dict(only(members, frozenset({"name", "role"})))
    text(wanted["name"], "name", limit=NAME_LENGTH)
    _check_role(wanted["role"])
    return amend(work, row, wanted, "operator.changed")


def _check_role(role: str) -> None:
    try:
        check_value(role, "role", OperatorRole)
    except PolicyError as error:
        raise from_policy_error(error) from None


def suspend(work: Work, id_: str) -> Operator:
    """Let the operator do nothing more: keys and sessions stop at once. Raises NotFoundError, TransitionError."""
    row = get_row(work.session, Operator, id_, for_change=True)
    return set_state(work, row, "suspended", "operator.suspended", policy=False)


def activate(work: Work, id_: str) -> Operator:
    """Let the operator administer again; keys and sessions that have not ended work. Raises as `suspend`."""
    row = get_row(work.session, Operator, id_, for_change=True)
    return set_state(work, row, "active", "operator.activated", policy=False)


def require_active(session: Session, id_: str) -> Operator:
    """Return the operator a credential stands for.

    Raises:
        CredentialError: `operator_suspended`.
    """
    operator = get_row(session, Operator, id_)
    if operator.state != "active":
        raise CredentialError("operator_suspended", f"operator {id_} is suspended")
    return operator


def lower_of(role: str, other: str | None) -> OperatorRole:
    """Return the lower of two roles; None is no limit."""
    return _BY_RANK[min(RANK[role], RANK[other or role])]


def new_secret(random_bytes: RandomBytes) -> str:
    """Return 256 random bits as 43 characters that need no quoting anywhere."""
    return urlsafe_b64encode(random_bytes(SECRET_BYTES)).rstrip(b"=").decode("ascii")


def hash_of(secret: str) -> str:
    """Return what is stored of a secret of 256 random bits. `secret` may be untrusted: any text has a hash."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def create_key(work: Work, spec: KeySpec, *, random_bytes: RandomBytes) -> NewKey:
    """Make an admin key. The value is in the answer and nowhere else.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`, `time_in_past`, `role_too_high`.
    """
    id_ = choose_id(work, AdminKey, "key", None)
    name = text(spec.name, "name", limit=NAME_LENGTH)
    holder = refer(work.session, Operator, spec.operator, "operator")
    _check_reach(spec, holder)
    try:
        check_number(spec.expires_at, "expires_at", 0, LATEST)
    except PolicyError as error:
        raise from_policy_error(error) from None
    require_future(work, spec.expires_at, "expires_at")
    secret = new_secret(random_bytes)
    row = AdminKey(
        id=id_,
        operator=spec.operator,
        name=name,
        secret_hash=_hash_of_key(secret, spec.role, spec.scopes),
        created_at=work.now,
        created_by=work.actor.operator_id,
        expires_at=spec.expires_at,
        role=spec.role,
        scopes=list(spec.scopes),
    )
    return NewKey(add(work, row, "admin_key.created", policy=False), f"tg_{id_}_{secret}")


def _check_reach(spec: KeySpec, holder: Operator) -> None:
    try:
        if spec.role is not None:
            check_value(spec.role, "role", OperatorRole)
        check_list(spec.scopes, "scopes")
        for place, scope in enumerate(spec.scopes):
            check_id(scope, f"scopes[{place}]")
    except PolicyError as error:
        raise from_policy_error(error) from None
    if len(spec.scopes) > SCOPES:
        raise InvalidError("list_too_long", f"must not hold more than {SCOPES}", field="scopes")
    if spec.role is not None and RANK[spec.role] > RANK[holder.role]:
        message = f"operator {holder.id} has the role {holder.role}, and a key of theirs can have no higher one"
        raise InvalidError("role_too_high", message, field="role")


def _hash_of_key(secret: str, role: str | None, scopes: Iterable[str]) -> str:
    """Return what is stored of a key's secret: of a key that may do less, with what it may."""
    words = (role or "", *scopes)  # roles and scopes are slugs or names without a blank
    return hash_of(secret) if not any(words) else hash_of(" ".join((secret, *words)))


def is_limited(row: AdminKey) -> bool:
    """Whether a key may do less than its operator."""
    return row.role is not None or bool(row.scopes)


def get_key(session: Session, id_: str) -> AdminKey:
    """Return an admin key (never its value). Raises NotFoundError."""
    return get_row(session, AdminKey, id_)


_KEYS_END: Final = end_of(col(AdminKey.expires_at))
ADMIN_KEYS: Final = Catalogue(
    AdminKey,
    orders_of(AdminKey, name=folded(col(AdminKey.name)), expires_at=_KEYS_END),
    (own(AdminKey, bytewise(col(AdminKey.id))), own(AdminKey, folded(col(AdminKey.name)))),
)


def list_keys(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    operator: str | None = None,
    expires_after: int | None = None,
    expires_before: int | None = None,
) -> Page[AdminKey]:
    """Return admin keys, in order of id or, where ends are asked for, of `expires_at`; or as `sort` says.

    Those that ended are among them. `search` is the beginning of an id or a name. `expires_after` and `expires_before`
    (exclusive) are epoch seconds.
    """
    return ADMIN_KEYS.page(
        session,
        after=after,
        limit=limit,
        sort=sort_by_end("expires_at", sort, search, expires_after, expires_before),
        search=search,
        equal={"operator": operator},
        where=ends_between(_KEYS_END, expires_after, expires_before),
    )


def live_keys(session: Session, *, now: int) -> Sequence[AdminKey]:
    """Return the admin keys that let somebody in at `now`, in order of id."""
    query = (
        select(AdminKey)
        .join(Operator, col(AdminKey.operator) == col(Operator.id))
        .where(col(AdminKey.revoked_at).is_(None), col(AdminKey.expires_at) > now, Operator.state == "active")
    )
    return session.exec(query.order_by(col(AdminKey.id))).all()


def change_key(work: Work, id_: str, members: Mapping[str, Any]) -> AdminKey:
    """Change what a key is called. What it may, and until when, it was made for.

    Raises:
        NotFoundError: `admin_key_not_found`.
        InvalidError: a member is at fault.
    """
    row = get_row(work.session, AdminKey, id_, for_change=True)
    name = text(only(members, frozenset({"name"})).get("name", row.name), "name", limit=NAME_LENGTH)
    before = facts_of(row)
    if name != row.name:
        row.sqlmodel_update({"name": name, "version": row.version + 1})
        work.session.add(row)
        work.record("admin_key.changed", "admin_key", id_, before, facts_of(row))
    return row


def revoke_key(work: Work, id_: str) -> AdminKey:
    """End an admin key, and every session that was opened with it.

    Raises:
        NotFoundError: `admin_key_not_found`.
        TransitionError: `already_revoked`.
    """
    row = get_row(work.session, AdminKey, id_, for_change=True)
    if row.revoked_at is not None:
        raise TransitionError("already_revoked", f"admin key {id_} was revoked before")
    before = facts_of(row)
    row.sqlmodel_update({"revoked_at": work.now, "version": row.version + 1})
    work.session.add(row)
    work.record("admin_key.revoked", "admin_key", id_, before, facts_of(row))
    return row


def authenticate_key(session: Session, presented: str, *, now: int) -> tuple[Operator, AdminKey]:
    """Return whose key this is. `presented` is untrusted. Writes nothing.

    Raises:
        CredentialError: `key_malformed`, `key_unknown`, `key_revoked`, `key_expired`, `operator_suspended`.
    """
    parts = _KEY.match(presented)
    if parts is None:
        raise CredentialError("key_malformed", "this is not an admin key")
    id_, secret = parts.groups()
    row = session.get(AdminKey, id_)
    # Compared even where there is no such key, so that time does not tell which ids exist.
    role, scopes, stored = (row.role, row.scopes, row.secret_hash) if row is not None else (None, (), _NOBODYS_HASH)
    same = hmac.compare_digest(_hash_of_key(secret, role, scopes), stored)
    if row is None or not same:
        raise CredentialError("key_unknown", "there is no such admin key")
    return require_live_key(session, row, now=now), row


def key_id_of(presented: str) -> str | None:
    """Return the id that a text (untrusted) of a key's form names, whether or not there is such a key; else None."""
    parts = _KEY.match(presented)
    return None if parts is None else parts.group(1)


def require_live_key(session: Session, row: AdminKey, *, now: int) -> Operator:
    """Return the operator of a key that has neither ended nor been revoked.

    Raises:
        CredentialError: `key_revoked`, `key_expired`, `operator_suspended`.
    """
    if row.revoked_at is not None:
        raise CredentialError("key_revoked", f"admin key {row.id} was revoked")
    if now >= row.expires_at:
        raise CredentialError("key_expired", f"admin key {row.id} has expired")
    return require_active(session, row.operator)


def note_keys_used(session: Session, used: Mapping[str, int]) -> None:
    """Write down when keys were last used (id → epoch seconds): from time to time, never on a request's way."""
    for id_, at in used.items():
        later = sa.or_(col(AdminKey.last_used_at).is_(None), col(AdminKey.last_used_at) < at)
        session.execute(sa.update(AdminKey).where(col(AdminKey.id) == id_, later).values(last_used_at=at))
