"""Signing in on the page: single-use links, and the sessions they open.

A link's code and a session's token are 256 random bits; only their SHA-256 is stored. Whether one has
ended is judged with `now`, never stored. The token against forged posts (CSRF) is derived from the
session's token, so every instance knows it and none keeps it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.registry import tables
from tenantgate.registry.errors import CredentialError, TransitionError
from tenantgate.registry.ids import RandomBytes
from tenantgate.registry.operators import (
    authenticate_key,
    hash_of,
    is_limited,
    new_secret,
    require_active,
    require_live_key,
)
from tenantgate.registry.rows import facts_of
from tenantgate.registry.service import Page, add, choose_id, get_row, page, refer
from tenantgate.registry.tables import AdminKey, Operator, SignInLink
from tenantgate.registry.unit_of_work import Work

LINK_LIFETIME: Final = 600
SESSION_LIFETIME: Final = 8 * 3_600
IDLE_LIFETIME: Final = 3_600
TOUCH_INTERVAL: Final = 60
"""Seconds. A session's idle clock is written at most this often."""


@dataclass(frozen=True, slots=True)
class NewLink:
    """A sign-in link just made. `code` belongs into the fragment of an address; it is never stored."""

    row: SignInLink
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just opened. `token` is what the cookie holds; it is never stored."""

    row: tables.Session
    operator: Operator
    token: str = field(repr=False)
    csrf: str = field(repr=False)


def create_link(work: Work, operator: str, *, random_bytes: RandomBytes) -> NewLink:
    """Make a link that signs an operator in once, within ten minutes.

    Raises:
        InvalidError: `reference_unknown`.
        CredentialError: `operator_suspended`.
    """
    refer(work.session, Operator, operator, "operator")
    require_active(work.session, operator)
    code = new_secret(random_bytes)
    row = SignInLink(
        id=choose_id(work, SignInLink, "lnk", None),
        operator=operator,
        code_hash=hash_of(code),
        created_at=work.now,
        created_by=work.actor.operator_id,
        expires_at=work.now + LINK_LIFETIME,
    )
    return NewLink(add(work, row, "sign_in_link.created", policy=False), code)


def redeem(work: Work, code: str, *, random_bytes: RandomBytes, seal: Callable[[str], str] | None = None) -> NewSession:
    """Open a session for who holds the code (untrusted). Of many at once exactly one gets in.

    `seal` makes the token out of its secret (`seals.sealer`): the page takes no token without.

    Raises:
        CredentialError: `link_unknown`, `link_used`, `link_expired`, `operator_suspended`.
    """
    code_hash = hash_of(code)
    claimed = work.session.execute(
        sa.update(SignInLink)
        .where(
            col(SignInLink.code_hash) == code_hash,
            col(SignInLink.used_at).is_(None),
            col(SignInLink.expires_at) > work.now,
        )
        .values(used_at=work.now)
    )
    link = work.session.exec(select(SignInLink).where(SignInLink.code_hash == code_hash)).first()
    if link is None:
        raise CredentialError("link_unknown", "there is no such sign-in link")
    if claimed.rowcount != 1:  # type: ignore[attr-defined]
        if link.used_at is not None:
            raise CredentialError("link_used", "this sign-in link was used before; ask for a new one")
        raise CredentialError("link_expired", "this sign-in link has expired; ask for a new one")
    work.act_as(link.operator)
    work.record("sign_in_link.used", "sign_in_link", link.id, None, facts_of(link))
    return _open(work, link.operator, "sign_in_link", None, random_bytes, seal)


def sign_in_with_key(
    work: Work, presented: str, *, random_bytes: RandomBytes, seal: Callable[[str], str] | None = None
) -> NewSession:
    """Open a session for who holds an admin key (untrusted). The session ends when the key does. `seal`: as `redeem`.

    Raises:
        CredentialError: as `operators.authenticate_key`; `key_limited`: on the page an operator may do all they may.
    """
    operator, key = authenticate_key(work.session, presented, now=work.now)
    if is_limited(key):
        raise CredentialError("key_limited", f"admin key {key.id} may do less than its operator; it is for the API")
    work.act_as(operator.id)
    return _open(work, operator.id, "admin_key", key.id, random_bytes, seal)


def authenticate(session: Session, token: str, *, now: int) -> tuple[Operator, tables.Session]:
    """Return whose session this is. `token` is untrusted. Writes nothing: see `touch`.

    Raises:
        CredentialError: `session_unknown`, `session_revoked`, `session_expired`, `session_idle`,
            `key_revoked`, `key_expired`, `operator_suspended`.
    """
    row = session.exec(select(tables.Session).where(tables.Session.token_hash == hash_of(token))).first()
    if row is None:
        raise CredentialError("session_unknown", "there is no such session")
    if row.revoked_at is not None:
        raise CredentialError("session_revoked", "this session was ended")
    if now >= row.expires_at:
        raise CredentialError("session_expired", "this session has reached its end; sign in again")
    if now >= row.seen_at + IDLE_LIFETIME:
        raise CredentialError("session_idle", "this session was not used for an hour; sign in again")
    if row.admin_key is not None:
        require_live_key(session, get_row(session, AdminKey, row.admin_key), now=now)
    return require_active(session, row.operator), row


def touch(session: Session, row: tables.Session, *, now: int) -> bool:
    """Set the idle clock back; `session` is one of `engine.writing`. Returns whether there was need to write."""
    if now < row.seen_at + TOUCH_INTERVAL:
        return False
    table = tables.Session
    session.execute(sa.update(table).where(col(table.id) == row.id, col(table.seen_at) < now).values(seen_at=now))
    return True


def needs_touch(row: tables.Session, *, now: int) -> bool:
    """Whether `touch` would write: asked first, so that reading a page takes no write lock."""
    return now >= row.seen_at + TOUCH_INTERVAL


def get_link(session: Session, id_: str) -> SignInLink:
    """Return a sign-in link (never its code). Raises NotFoundError."""
    return get_row(session, SignInLink, id_)


def get(session: Session, id_: str) -> tables.Session:
    """Return a session (never its token). Raises NotFoundError."""
    return get_row(session, tables.Session, id_)


def list_(
    session: Session, *, after: str | None = None, limit: int = 50, operator: str | None = None
) -> Page[tables.Session]:
    """Return sessions in order of id, those that ended included."""
    table = tables.Session
    return page(session, select(table), table, after=after, limit=limit, equal={"operator": operator})


def revoke(work: Work, id_: str) -> tables.Session:
    """End a session: sign out, or be signed out.

    Raises:
        NotFoundError: `session_not_found`.
        TransitionError: `already_revoked`.
    """
    row = get_row(work.session, tables.Session, id_, for_change=True)
    if row.revoked_at is not None:
        raise TransitionError("already_revoked", f"session {id_} was ended before")
    before = facts_of(row)
    row.revoked_at = work.now
    work.session.add(row)
    work.record("session.revoked", "session", id_, before, facts_of(row))
    return row


def end_all(work: Work) -> int:
    """End every session and close every sign-in link; how many sessions. Whoever does it says so in the audit."""
    live = col(tables.Session.revoked_at).is_(None), col(tables.Session.expires_at) > work.now
    ended = work.session.exec(select(sa.func.count()).select_from(tables.Session).where(*live)).one()
    work.session.execute(sa.update(tables.Session).where(*live).values(revoked_at=work.now))
    links = sa.update(SignInLink).where(col(SignInLink.expires_at) > work.now)
    work.session.execute(links.values(expires_at=work.now))
    return ended


def csrf_of(token: str) -> str:
    """Return what a form of this session must carry."""
    return hmac.new(token.encode(errors="replace"), b"tenantgate csrf", hashlib.sha256).hexdigest()


def is_csrf(token: str, presented: str) -> bool:
    """Whether what a form carried (untrusted) belongs to this session."""
    return hmac.compare_digest(csrf_of(token).encode(), presented.encode(errors="replace"))


def _open(
    work: Work,
    operator: str,
    scheme: str,
    admin_key: str | None,
    random_bytes: RandomBytes,
    seal: Callable[[str], str] | None,
) -> NewSession:
    holder = require_active(work.session, operator)
    secret = new_secret(random_bytes)
    token = seal(secret) if seal is not None else secret
    row = tables.Session(
        id=choose_id(work, tables.Session, "ses", None),
        operator=operator,
        token_hash=hash_of(token),
        scheme=scheme,
        admin_key=admin_key,
        address=work.actor.address,
        created_at=work.now,
        seen_at=work.now,
        expires_at=work.now + SESSION_LIFETIME,
    )
    return NewSession(add(work, row, "session.opened", policy=False), holder, token, csrf_of(token))
