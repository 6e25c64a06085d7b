"""What instances say of issuers' keys: not policy and not audited, written by the processes themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.registry.tables import Instance, IssuerHealth

OF_ADMINISTRATORS: Final = "administrators/"
"""Before the name of an issuer of administrators' tokens, among those of the policy: none of them can be called so."""

Name = tuple[str, str, str]
"""Issuer, document and appid (empty for the shared key set)."""


def name_of(facts: dict[str, Any]) -> Name:
    """Return which key set a report is of."""
    return facts["issuer"], facts["document"], facts["appid"] or ""


def put(session: Session, instance: str, reports: Iterable[dict[str, Any]], *, now: int) -> None:
    """Write down what an instance says; of what did not change nothing is written, and what it no longer has goes."""
    said = {name_of(facts): facts for facts in reports}
    for row in session.exec(select(IssuerHealth).where(col(IssuerHealth.instance) == instance)):
        facts = said.pop((row.issuer, row.document, row.appid), None)
        if facts is None:
            session.delete(row)
        elif facts != row.facts:
            row.facts, row.reported_at = facts, now
            session.add(row)
    for (issuer, document, appid), facts in said.items():
        session.add(
            IssuerHealth(instance=instance, issuer=issuer, document=document, appid=appid, reported_at=now, facts=facts)
        )
    session.flush()


def forget(session: Session, instance: str) -> None:
    """Strike what an instance said."""
    session.execute(sa.delete(IssuerHealth).where(col(IssuerHealth.instance) == instance))


def list_(session: Session, *, issuer: str | None = None, seen_since: int) -> list[IssuerHealth]:
    """Return what the instances say that were heard of since then, of one issuer or of all."""
    query = select(IssuerHealth).join(Instance, col(Instance.id) == col(IssuerHealth.instance))
    query = query.where(col(Instance.seen_at) >= seen_since)
    if issuer is not None:
        query = query.where(col(IssuerHealth.issuer) == issuer)
    order = (IssuerHealth.issuer, IssuerHealth.document, IssuerHealth.appid, IssuerHealth.instance)
    return list(session.exec(query.order_by(*(col(each) for each in order))))
