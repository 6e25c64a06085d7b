"""What needs a person: who asks to be let in, what ends soon, what fails. Found when it is asked for; nothing is kept.

Each kind is one function in `KINDS`. An item names what it is about and where that is; what is shown of a caller stems
from verified tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.core.strict import shown
from tenantgate.registry import decisions, instances, issuer_health, pins
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.credential_tables import ClientCertificate, SubscriptionKey
from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.invitation_tables import Invitation
from tenantgate.registry.ordering import end_of
from tenantgate.registry.snapshot import read_state
from tenantgate.registry.tables import AdminKey, AuditEntry, Instance, Operator, Partner, RoleAssignment

SOON: Final = 30 * 86_400
INVITATION_SOON: Final = 2 * 86_400
"""Seconds before its end in which something ends soon; and an invitation, which lives for days."""
DROPS: Final = 86_400
FORGOTTEN: Final = 86_400
LAG: Final = 5
"""Seconds: for which drops are shown, after which an instance that died unseen is no news any more, and by which one
may be behind."""
LOOK_BACK: Final = 200
"""Entries of the audit among which the revision is looked for that an instance does not enforce yet."""
MOST: Final = 1_000
"""Items of one kind that are counted; where there are so many, there may be more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that needs a person. `since` and `until` are epoch seconds, `path` is below /api/v1."""

    kind: str
    id: str
    text: str
    path: str
    since: int | None = None
    until: int | None = None


Find = Callable[[Session, int], list[Item]]


def read(session: Session, *, now: int) -> dict[str, list[Item]]:
    """Return what needs a person by kind, the most pressing first; every kind is there."""
    return {kind: find(session, now) for kind, find in KINDS.items()}


def _access_requests(session: Session, now: int) -> list[Item]:
    del now
    found = select(AccessRequest).where(AccessRequest.state == "open")
    newest = col(AccessRequest.last_seen_at).desc(), col(AccessRequest.id)
    return [
        Item(
            kind="access_request",
            id=row.id,
            text=f"{shown(row.client_id)} of {shown(row.tid or row.issuer)} asks for {row.resource} "
            f"({row.reason}, {row.count} times)",
            path=f"/access-requests/{row.id}",
            since=row.first_seen_at,
        )
        for row in session.exec(found.order_by(*newest).limit(MOST))
    ]


def _pending_grants(session: Session, now: int) -> list[Item]:
    open_ = select(PendingGrant).where(PendingGrant.state == "open", col(PendingGrant.open_until) > now)
    return [
        Item(
            kind="pending_grant",
            id=row.id,
            text=f"{row.created_by} asks for {row.app_role} for {row.daemon or row.tenant}: another operator decides",
            path=f"/pending-grants/{row.id}",
            since=row.created_at,
            until=row.open_until,
        )
        for row in session.exec(open_.order_by(col(PendingGrant.open_until), col(PendingGrant.id)).limit(MOST))
    ]


def _invitations(session: Session, now: int) -> list[Item]:
    """Return invitations whose developer has entered something: an operator is to look at it."""
    del now
    redeemed = select(Invitation).where(Invitation.state == "redeemed")
    return [
        Item(
            kind="invitation_redeemed",
            id=row.id,
            text=f"partner {row.partner} names a daemon for {row.resource}",
            path=f"/invitations/{row.id}",
            since=row.redeemed_at,
        )
        for row in session.exec(redeemed.order_by(col(Invitation.redeemed_at), col(Invitation.id)).limit(MOST))
    ]


def _invitations_ending(session: Session, now: int) -> list[Item]:
    """Return links nobody has used that end in a day or two: they live for days, not months."""
    end = col(Invitation.expires_at)
    unused = select(Invitation).where(Invitation.state == "open", end > now, end <= now + INVITATION_SOON)
    return [
        Item(
            kind="invitation_ending",
            id=row.id,
            text=f"of partner {row.partner} for {row.resource} was not used and ends",
            path=f"/invitations/{row.id}",
            until=row.expires_at,
        )
        for row in session.exec(unused.order_by(end, col(Invitation.id)).limit(MOST))
    ]


def _object_ids(session: Session, now: int) -> list[Item]:
    del now
    return [
        Item(
            kind="object_id_conflict",
            id=daemon.id,
            text=f"came with object ids {', '.join(each.oid for each in seen)}; "
            + ("none is pinned" if daemon.oid is None else f"{daemon.oid} is pinned"),
            path=f"/daemons/{daemon.id}",
            since=min(each.first_seen_at for each in seen),
        )
        for daemon, seen in pins.conflicts(session, limit=MOST)
    ]


def _ending(session: Session, now: int, table: Any, end: Any, *where: Any) -> list[Any]:
    """Return rows that end soon, the first to end first. `end` is written as its index is (`ordering.end_of`)."""
    query = select(table).where(end > now, end <= now + SOON, *where)
    return list(session.exec(query.order_by(end, table.id).limit(MOST)))


def _roles(session: Session, now: int) -> list[Item]:
    return [
        Item(
            kind="role_ending",
            id=row.id,
            text=f"{row.app_role} of {'daemon ' + row.daemon if row.daemon else 'tenant ' + str(row.tenant)} ends",
            path=f"/role-assignments/{row.id}",
            until=row.expires_at,
        )
        for row in _ending(session, now, RoleAssignment, end_of(col(RoleAssignment.expires_at)))
    ]


def _partners(session: Session, now: int) -> list[Item]:
    going_on = col(Partner.state) != "archived"
    return [
        Item(kind="partner_ending", id=row.id, text=f"{row.name} ends", path=f"/partners/{row.id}", until=row.ends_at)
        for row in _ending(session, now, Partner, end_of(col(Partner.ends_at)), going_on)
    ]


def _admin_keys(session: Session, now: int) -> list[Item]:
    in_use = (
        col(AdminKey.revoked_at).is_(None),
        col(AdminKey.operator).in_(select(Operator.id).where(Operator.state == "active")),
    )
    return [
        Item(
            kind="admin_key_ending",
            id=row.id,
            text=f"{row.name}, of operator {row.operator}, ends",
            path=f"/admin-keys/{row.id}",
            until=row.expires_at,
        )
        for row in _ending(session, now, AdminKey, end_of(col(AdminKey.expires_at)), *in_use)
    ]


def _certificates(session: Session, now: int) -> list[Item]:
    end, in_use = col(ClientCertificate.not_after), col(ClientCertificate.state) == "active"
    found = _ending(session, now, ClientCertificate, end, in_use)
    return [_of_a_daemon("certificate_ending", "client-certificates", row, row.not_after) for row in found]


def _subscription_keys(session: Session, now: int) -> list[Item]:
    end, in_use = col(SubscriptionKey.expires_at), col(SubscriptionKey.revoked_at).is_(None)
    found = _ending(session, now, SubscriptionKey, end, in_use)
    return [_of_a_daemon("subscription_key_ending", "subscription-keys", row, row.expires_at) for row in found]


def _of_a_daemon(kind: str, path: str, row: ClientCertificate | SubscriptionKey, until: int) -> Item:
    """Return that a credential of a daemon's ends."""
    text = f"{row.name}, of daemon {row.daemon}, ends"
    return Item(kind=kind, id=row.id, text=text, path=f"/{path}/{row.id}", until=until)


def _issuers(session: Session, now: int) -> list[Item]:
    """Return issuers whose keys some running instance cannot have; the worst instance tells."""
    worst: dict[str, Item] = {}
    for row in issuer_health.list_(session, seen_since=now - instances.HEARD_OF):
        facts = row.facts
        if not facts.get("too_old") and not facts.get("failures"):
            continue
        if row.issuer in worst and not facts.get("too_old"):
            continue
        what = "its keys are too old to judge by" if facts.get("too_old") else "its keys cannot be refreshed"
        ours = row.issuer.startswith(issuer_health.OF_ADMINISTRATORS)  # of the settings: no route of its own
        worst[row.issuer] = Item(
            kind="issuer_failing",
            id=row.issuer,
            text=f"{what} at {row.instance} ({row.document}): {facts.get('last_error') or 'no fetch succeeded'}, "
            f"{facts.get('failures', 0)} failed attempts",
            path=f"/instances/{row.instance}" if ours else f"/issuers/{row.issuer}/health",
            since=facts.get("fetched_at"),
        )
    return list(worst.values())[:MOST]


def _instances(session: Session, now: int) -> list[Item]:
    """Return instances that are there and behind: they let in whom the newest revision does not."""
    revision = read_state(session).revision
    behind = select(Instance).where(
        col(Instance.seen_at) >= now - instances.HEARD_OF,
        sa.or_(col(Instance.acknowledged_revision).is_(None), col(Instance.acknowledged_revision) != revision),
    )
    found = []
    for row in session.exec(behind.order_by(col(Instance.id)).limit(MOST)):
        since = _behind_since(session, row)
        if since is not None and since <= now - LAG:
            enforced = "nothing yet" if row.acknowledged_revision is None else f"revision {row.acknowledged_revision}"
            text = f"enforces {enforced}, the newest is {revision}"
            found.append(Item(kind="instance_lagging", id=row.id, text=text, path=f"/instances/{row.id}", since=since))
    return found


def _behind_since(session: Session, row: Instance) -> int | None:
    """Return when the first revision was made that an instance does not enforce; looks back so far and no further."""
    if row.acknowledged_revision is None:
        return row.started_at
    newest = select(AuditEntry.revision, AuditEntry.at).order_by(col(AuditEntry.sequence).desc()).limit(LOOK_BACK)
    since = None
    for revision, at in session.exec(newest):
        if revision <= row.acknowledged_revision:
            break
        since = at
    return since


def _silent(session: Session, now: int) -> list[Item]:
    """Return instances that did not sign off and are not heard of any more."""
    silent = select(Instance).where(
        col(Instance.seen_at) < now - instances.HEARD_OF, col(Instance.seen_at) >= now - FORGOTTEN
    )
    return [
        Item(
            kind="instance_silent",
            id=row.id,
            text=f"was last heard of at revision {row.acknowledged_revision} and did not sign off",
            path=f"/instances/{row.id}",
            since=row.seen_at,
        )
        for row in session.exec(silent.order_by(col(Instance.seen_at).desc(), col(Instance.id)).limit(MOST))
    ]


def _drops(session: Session, now: int) -> list[Item]:
    number, last = decisions.dropped_since(session, now - DROPS)
    if not number:
        return []
    text = f"{number} decisions came faster than they could be counted, in the last day"
    return [
        Item(kind="decisions_dropped", id="decisions", text=text, path="/decisions/counts?outcome=dropped", since=last)
    ]


KINDS: Final[dict[str, Find]] = {
    "issuer_failing": _issuers,
    "instance_lagging": _instances,
    "instance_silent": _silent,
    "object_id_conflict": _object_ids,
    "access_request": _access_requests,
    "invitation_redeemed": _invitations,
    "pending_grant": _pending_grants,
    "role_ending": _roles,
    "partner_ending": _partners,
    "admin_key_ending": _admin_keys,
    "certificate_ending": _certificates,
    "subscription_key_ending": _subscription_keys,
    "invitation_ending": _invitations_ending,
    "decisions_dropped": _drops,
}
"""Every kind, in the order in which they are shown."""
