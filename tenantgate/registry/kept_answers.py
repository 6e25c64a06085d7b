"""Answers that are kept for a day, so that a change which is asked for twice is made once.

Written in the unit of work of the change itself: either both are there or neither, also where the answer was lost or
the process killed. Whoever comes second waits for the first, as every unit of work does. What was refused is not kept.
"""

from __future__ import annotations

import hashlib
from typing import Final

import sqlalchemy as sa
from sqlmodel import Field, col

from tenantgate.registry.errors import InvalidError
from tenantgate.registry.tables import Base
from tenantgate.registry.unit_of_work import Work

KEPT: Final = 86_400
"""Seconds."""


class KeptAnswer(Base, table=True):
    """What was answered to an operator's request with an Idempotency-Key. `body` is None where it held a secret."""

    __table_args__ = (sa.Index(None, "created_at"),)
    operator: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    created_at: int = Field(sa_type=sa.BigInteger)
    status: int
    location: str | None = None
    revision: int | None = Field(default=None, sa_type=sa.BigInteger)
    body: str | None = None


def fingerprint_of(*parts: bytes) -> str:
    """Return what tells one request from another: a SHA-256, in hexadecimal, over method, path, query and body."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def find(work: Work, key: str, fingerprint: str) -> KeptAnswer | None:
    """Return what was answered to this request before, if it was.

    Raises:
        InvalidError: `idempotency_key_reused`: the operator used the key for another request.
    """
    kept = work.session.get(KeptAnswer, (work.actor.operator_id, key))
    if kept is None or kept.created_at <= work.now - KEPT:
        return None
    if kept.fingerprint != fingerprint:
        raise InvalidError("idempotency_key_reused", "the key was used for another request: choose a new one")
    return kept


def keep(work: Work, answer: KeptAnswer) -> None:
    """Keep an answer, and forget those that are older than a day."""
    old = col(KeptAnswer.created_at) <= work.now - KEPT
    work.session.execute(sa.delete(KeptAnswer).where(old).execution_options(synchronize_session="fetch"))
    answer.revision = work.revision
    work.session.add(answer)
    work.session.flush()
