"""Access requests: authentic callers that are on no list, seen at a gate, waiting for a human.

Only where a resource says so (`access_requests`). What is shown of a caller comes from verified tokens, yet anybody
with a directory of their own can send such tokens: what is kept is bounded, and whoever was not heard of for longest is
forgotten. One tenant cannot push the others out; nor, where many share one, can one subject push out the rest.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

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
MOST_OF_A_SHARED: Final = 200
"""The same of a tenant in which many partners are, or strangers: hosted, or all of an issuer that has no tenants."""
MOST_OF_A_SUBJECT: Final = 5
"""Of those, client ids that one object id, or `sub`, came with."""
_AT_ONCE: Final = 1_000
LATE: Final = 60
"""Seconds. What gates refused before they heard of an approval may be told after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalSpec:
    """What an approved caller gets: as `OnboardSpec`. `pin`: only the object id, or `sub`, that asked may come in.

    `oid`, `tid` and `client_id` say which caller was looked at; None: whoever the request stands for now. One that was
    forgotten and made anew has its old id again, and may stand for another object id.
    """

    partner: str | PartnerSpec
    app_roles: tuple[str, ...] = ()
    expires_at: int | None = None
    reason: str = ""
    pin: bool = True
    oid: str | None = None
    tid: str | None = None
    client_id: str | None = None


# What the gates write.


def note(session: Session, strangers: Iterable[Stranger]) -> int:
    """Take in who asked, for resources that want to know. How many were forgotten for it.

    Gates may tell late: who was seen before resource or issuer was made asked one that had the id before it.
    """
    asked = sorted(strangers, key=lambda each: (each.issuer, each.tid, each.client_id))  # in one order for all gates
    wanting = select(Resource.id, Resource.created_at).where(
        col(Resource.access_requests), col(Resource.id).in_({s.resource for s in asked})
    )
    known = select(Issuer.id, Issuer.created_at).where(col(Issuer.id).in_({s.issuer for s in asked}))
    wanted = dict(session.exec(wanting).all()) if asked else {}
    issuers = dict(session.exec(known).all()) if wanted else {}
    taken = [
        each
        for each in asked
        if each.resource in wanted
        and each.issuer in issuers
        and each.first_at >= max(wanted[each.resource], issuers[each.issuer])
    ]
    new = {_Place(each.resource, each.issuer, each.tid) for each in taken if _take_in(session, each)}
    session.flush()
    forgotten = sum(_forget_in(session, place) for place in sorted(new))
    return forgotten + sum(_forget_oldest(session, resource) for resource in sorted({each.resource for each in taken}))


def id_of(resource: str, issuer: str, tid: str, client_id: str) -> str:
    """Return the id of a caller's request."""
    digest = hashlib.sha256("\n".join((resource, issuer, tid, client_id)).encode()).digest()
    return f"acr-{b32encode(digest[:10]).decode('ascii').lower()}"


class _Place(NamedTuple):
    """Where callers are from, and what they ask for."""

    resource: str
    issuer: str
    tid: str


def _take_in(session: Session, stranger: Stranger) -> bool:
    """Note that a caller asked. Whether it is a new one."""
    id_ = id_of(stranger.resource, stranger.issuer, stranger.tid, stranger.client_id)
    row = session.get(AccessRequest, id_, with_for_update=True)
    is_new = row is None
    if row is None:
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
    return is_new


def _forget_in(session: Session, place: _Place) -> int:
    """Forget callers of one tenant, where there are too many of them, or of one subject in a shared one."""
    mine = [getattr(AccessRequest, name) == value for name, value in place._asdict().items()]
    if not _is_shared(session, place):
        return sum(_forget_beyond(session, MOST_OF_A_TENANT, *mine, _in_state(state)) for state in _STATES)
    many = select(AccessRequest.oid).where(*mine).group_by(AccessRequest.oid)
    subjects = session.exec(many.having(sa.func.count() > MOST_OF_A_SUBJECT).limit(_AT_ONCE)).all()
    forgotten = sum(
        _forget_beyond(session, MOST_OF_A_SUBJECT, *mine, _in_state(state), col(AccessRequest.oid) == subject)
        for subject in subjects
        for state in _STATES
    )
    return forgotten + sum(_forget_beyond(session, MOST_OF_A_SHARED, *mine, _in_state(state)) for state in _STATES)


def _is_shared(session: Session, place: _Place) -> bool:
    """Whether callers of many owners come from there: they must not be able to push each other out so easily."""
    listed = select(Tenant.hosted).where(Tenant.issuer == place.issuer, Tenant.tid == (place.tid or None))
    hosted = session.exec(listed).first()
    return hosted if hosted is not None else not place.tid


def _forget_oldest(session: Session, resource: str) -> int:
    mine = col(AccessRequest.resource) == resource
    return sum(_forget_beyond(session, MOST, mine, _in_state(state)) for state in _STATES)


_STATES: Final = ("open", "approved", "dismissed")


def _in_state(state: str) -> sa.ColumnElement[bool]:
    return col(AccessRequest.state) == state


def _forget_beyond(session: Session, most: int, *mine: sa.ColumnElement[bool]) -> int:
    """Forget those that were not heard of for longest, but for who is being decided or noted at this very moment."""
    newest = col(AccessRequest.last_seen_at).desc(), col(AccessRequest.id)
    beyond = session.exec(select(AccessRequest.id).where(*mine).order_by(*newest).offset(most).limit(_AT_ONCE)).all()
    if not beyond:
        return 0
    # Waiting for another gate's lock could be waiting for each other.
    free = select(AccessRequest.id).where(col(AccessRequest.id).in_(beyond)).with_for_update(skip_locked=True)
    forgotten = session.exec(free).all()
    session.execute(sa.delete(AccessRequest).where(col(AccessRequest.id).in_(forgotten)))
    return len(forgotten)


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
        TransitionError: `already_decided`, `caller_changed`, `partner_archived`.
        InvalidError: as `onboard`; `oids_differ`, where `pin` is asked for and two object ids asked.
        ConflictError: as `onboard`.
    """
    row = _undecided(work, id_)
    _require_seen(row, spec)
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


def _require_seen(row: AccessRequest, spec: ApprovalSpec) -> None:
    for name, seen in (("oid", spec.oid), ("tid", spec.tid), ("client_id", spec.client_id)):
        if seen is not None and seen != getattr(row, name):
            message = f"access request {row.id} stands for another {name} now than the one named: look at it again"
            raise TransitionError("caller_changed", message, field=name)


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
