"""Access requests: authentic callers that are on no list, seen at a gate, waiting for a human.

Only where a resource says so (`access_requests`). What is shown of a caller comes from verified tokens, yet anybody
with a directory of their own can send such tokens: what is kept is bounded, the oldest of all is forgotten, and one
tenant cannot push the others out.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.feed.sink import Stranger
from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.errors import InvalidError, TransitionError
from tenantgate.registry.onboarding import Onboarded, OnboardSpec, onboard
from tenantgate.registry.ordering import bytewise, folded, moment, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.rows import facts_of
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import get_row, refer
from tenantgate.registry.tables import Issuer, Resource, Tenant
from tenantgate.registry.unit_of_work import Work

MOST: Final = 500
"""Requests kept for a resource in one state, at most."""
MOST_OF_A_TENANT: Final = 20
"""Of them, callers of one tenant."""
_AT_ONCE: Final = 1_000
LATE: Final = 60
"""Seconds. What gates refused before they heard of an approval may be told after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalSpec:
    """What an approved caller gets: as `OnboardSpec`. `pin`: only the object id, or `sub`, that asked may come in."""

    partner: str | PartnerSpec
    app_roles: tuple[str, ...] = ()
    expires_at: int | None = None
    reason: str = ""
    pin: bool = True


# What the gates write.


def note(session: Session, strangers: Iterable[Stranger]) -> int:
    """Take in who asked, for resources that want to know. How many were forgotten for it."""
    asked = sorted(strangers, key=lambda each: (each.issuer, each.tid, each.client_id))  # in one order for all gates
    wanting = select(Resource.id).where(
        col(Resource.access_requests), col(Resource.id).in_({s.resource for s in asked})
    )
    wanted = set(session.exec(wanting)) if asked else set[str]()
    taken = [each for each in asked if each.resource in wanted and _take_in(session, each)]
    session.flush()
    return sum(_forget_oldest(session, resource) for resource in {each.resource for each in taken})


def id_of(resource: str, issuer: str, tid: str, client_id: str) -> str:
    """Return the id of a caller's request."""
    digest = hashlib.sha256("\n".join((resource, issuer, tid, client_id)).encode()).digest()
    return f"acr-{b32encode(digest[:10]).decode('ascii').lower()}"


def _take_in(session: Session, stranger: Stranger) -> bool:
    id_ = id_of(stranger.resource, stranger.issuer, stranger.tid, stranger.client_id)
    row = session.get(AccessRequest, id_, with_for_update=True)
    if row is None:
        if not _has_room(session, stranger):
            return False
        row = AccessRequest(
            id=id_,
            resource=stranger.resource,
            issuer=stranger.issuer,
            tid=stranger.tid,
            client_id=stranger.client_id,
            oid=stranger.oid,
            oids_differ=stranger.oids_differ,
            reason=stranger.reason,
            state="open",
            count=0,
            first_seen_at=stranger.first_at,
            last_seen_at=stranger.last_at,
        )
    shown = row.state, row.oids_differ
    if row.state == "approved" and stranger.last_at > (row.decided_at or 0) + LATE:
        # Listed once and on no list any more: somebody is to look at it again.
        row.sqlmodel_update({"state": "open", "decided_at": None, "decided_by": None, "daemon": None})
    row.count += stranger.count
    row.last_seen_at = max(row.last_seen_at, stranger.last_at)
    row.oids_differ = row.oids_differ or stranger.oids_differ or row.oid != stranger.oid
    if (row.state, row.oids_differ) != shown:
        row.version += 1  # whoever has looked at it before is to look again
    row.reason = stranger.reason
    session.add(row)
    session.flush()
    return True


def _has_room(session: Session, stranger: Stranger) -> bool:
    same = select(sa.func.count()).where(
        AccessRequest.resource == stranger.resource,
        AccessRequest.issuer == stranger.issuer,
        AccessRequest.tid == stranger.tid,
    )
    return session.exec(same).one() < MOST_OF_A_TENANT


def _forget_oldest(session: Session, resource: str) -> int:
    forgotten = 0
    for state in ("open", "approved", "dismissed"):
        mine = (AccessRequest.resource == resource, AccessRequest.state == state)
        newest = col(AccessRequest.last_seen_at).desc(), col(AccessRequest.id)
        beyond = session.exec(
            select(AccessRequest.id).where(*mine).order_by(*newest).offset(MOST).limit(_AT_ONCE)
        ).all()
        if beyond:
            session.execute(sa.delete(AccessRequest).where(col(AccessRequest.id).in_(beyond)))
        forgotten += len(beyond)
    return forgotten


# What operators do.


def get(session: Session, id_: str) -> AccessRequest:
    """Return an access request. Raises NotFoundError."""
    return get_row(session, AccessRequest, id_)


ACCESS_REQUESTS: Final = Catalogue(
    AccessRequest,
    orders_of(
        AccessRequest,
        first_seen_at=moment(AccessRequest.first_seen_at),
        last_seen_at=moment(AccessRequest.last_seen_at),
        count=moment(AccessRequest.count),
    ),
    (
        own(AccessRequest, bytewise(col(AccessRequest.id))),
        own(AccessRequest, bytewise(col(AccessRequest.tid))),
        own(AccessRequest, folded(col(AccessRequest.client_id))),
    ),
    wide=("state", "resource"),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    resource: str | None = None,
    issuer: str | None = None,
    state: str = "open",
    tid: str | None = None,
) -> Page[AccessRequest]:
    """Return access requests in one state, in order of id or as `sort` says; the open ones where nothing else is said.

    `search` is the beginning of an id, a tid or a client id.
    """
    equal = {"resource": resource, "issuer": issuer, "state": state, "tid": tid.lower() if tid else None}
    return ACCESS_REQUESTS.page(session, after=after, limit=limit, sort=sort, search=search, equal=equal)


def approve(work: Work, id_: str, spec: ApprovalSpec) -> tuple[AccessRequest, Onboarded]:
    """Put the caller on the list with all that it needs, in this one unit of work.

    Raises:
        NotFoundError: `access_request_not_found`.
        TransitionError: `already_decided`, `partner_archived`.
        InvalidError: as `onboard`; `oids_differ`, where `pin` is asked for and two object ids asked.
        ConflictError: as `onboard`.
    """
    row = _undecided(work, id_)
    entra = refer(work.session, Issuer, row.issuer, "issuer").kind == "entra"
    if spec.pin and row.oids_differ:
        message = "callers with different object ids asked; find out which is the partner's, then approve unpinned"
        raise InvalidError("oids_differ", message, field="pin")
    hosted = select(Tenant.id).where(Tenant.issuer == row.issuer, Tenant.tid == (row.tid or None), col(Tenant.hosted))
    made = onboard(
        work,
        OnboardSpec(
            partner=spec.partner,
            issuer=row.issuer,
            tid=row.tid or None,
            client_id=row.client_id,
            oid=row.oid if spec.pin and entra else None,
            hosted=work.session.exec(hosted).first(),
            subject=row.oid if spec.pin and not entra else None,
            app_roles=spec.app_roles,
            expires_at=spec.expires_at,
            reason=spec.reason,
        ),
    )
    return _decide(work, row, "approved", made.daemon.id), made


def dismiss(work: Work, id_: str) -> AccessRequest:
    """Show a caller's request no more, however often it asks. Raises NotFoundError, TransitionError."""
    return _decide(work, _undecided(work, id_), "dismissed")


def reopen(work: Work, id_: str) -> AccessRequest:
    """Show a dismissed request again. Raises NotFoundError, TransitionError (`state_unchanged`, `already_decided`)."""
    row = get_row(work.session, AccessRequest, id_, for_change=True)
    if row.state == "open":
        raise TransitionError("state_unchanged", f"access request {id_} is already open", field="state")
    if row.state == "approved":
        raise TransitionError("already_decided", f"access request {id_} was approved", field="state")
    return _decide(work, row, "open")


def _undecided(work: Work, id_: str) -> AccessRequest:
    row = get_row(work.session, AccessRequest, id_, for_change=True)
    if row.state != "open":
        raise TransitionError(
            "already_decided", f"access request {id_} was {row.state} by {row.decided_by}", field="state"
        )
    return row


_ACTIONS: Final = {"open": "reopened", "approved": "approved", "dismissed": "dismissed"}


def _decide(work: Work, row: AccessRequest, state: str, daemon: str | None = None) -> AccessRequest:
    before = facts_of(row)
    decided = {"decided_at": work.now, "decided_by": work.actor.operator_id}
    if state == "open":
        decided = {"decided_at": None, "decided_by": None}
    row.sqlmodel_update({"state": state, "daemon": daemon, "version": row.version + 1, **decided})
    work.session.add(row)
    work.session.flush()
    work.record(f"access_request.{_ACTIONS[state]}", "access_request", row.id, before, facts_of(row))
    return row
