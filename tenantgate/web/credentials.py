"""The certificates and subscription keys of daemons, as the partner's page shows them: read, never changed here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session, col, select

from tenantgate.registry.attention import SOON
from tenantgate.registry.credential_tables import ClientCertificate, SubscriptionKey


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate or key. `ends_at` is epoch seconds; `near` is whether it ends within the time attention is paid."""

    kind: Literal["certificate", "subscription key"]
    id: str
    name: str
    state: str
    ends_at: int
    near: bool


def is_near(end: int | None, now: int) -> bool:
    """Whether something still goes on and ends soon (both epoch seconds)."""
    return end is not None and now < end <= now + SOON


def of_daemons(session: Session, daemon_ids: Sequence[str], *, now: int) -> Mapping[str, tuple[Credential, ...]]:
    """Return what each daemon may show besides its token, by the daemon's id, certificates first."""
    found: dict[str, tuple[Credential, ...]] = defaultdict(tuple)
    certificates = select(ClientCertificate).where(col(ClientCertificate.daemon).in_(daemon_ids))
    for row in session.exec(certificates.order_by(col(ClientCertificate.not_after), col(ClientCertificate.id))):
        state = "ended" if row.state == "active" and row.not_after < now else row.state
        near = state == "active" and is_near(row.not_after, now)
        found[row.daemon] += (Credential("certificate", row.id, row.name, state, row.not_after, near),)
    keys = select(SubscriptionKey).where(col(SubscriptionKey.daemon).in_(daemon_ids))
    for key in session.exec(keys.order_by(col(SubscriptionKey.expires_at), col(SubscriptionKey.id))):
        state = "revoked" if key.revoked_at is not None else "ended" if key.expires_at <= now else "active"
        near = state == "active" and is_near(key.expires_at, now)
        found[key.daemon] += (Credential("subscription key", key.id, key.name, state, key.expires_at, near),)
    return found
