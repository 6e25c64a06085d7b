"""Sensitive roles: asked for by one operator, approved by another, and in force no moment before.

Two are two operators: whichever credentials they use, the same operator is one. Commands on the machine run in
nobody's name that could be checked (`cli:NAME`), so of the two at least one came with a credential. That is no wall
against who may open the database; both are in the audit. Whom nobody here made an operator is neither of the two.

What was asked is approved, or nothing: where role, subject or assignment have become others since, it is refused
(`registry.as_asked`). Nor is a daemon that holds such a role pinned to another caller by one operator, or let in with a
weaker credential (`registry.approved`).
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace
from sqlmodel import Session, col, select

from tenantgate.core.policy import RoleAssignmentRow
from tenantgate.registry import assignments
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.as_asked import ADMIN_KEY, asked_of, is_as_asked
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.daemons import partner_of
from tenantgate.registry.errors import ConflictError, TransitionError
from tenantgate.registry.ordering import bytewise, moment, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import columns_of, data_of_row, facts_of
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import (
    REASON_LENGTH,
    add,
    amend,
    checked,
    choose_id,
    get_row,
    refer,
    require_future,
    text,
    written_by,
)
from tenantgate.registry.tables import AdminKey, AppRole, Daemon, Operator, Partner, RoleAssignment, Tenant
from tenantgate.registry.unit_of_work import Actor, Work

APPROVAL_LIFETIME: Final = 14 * 86_400
"""Seconds. So long a request may be approved; then it is to be asked for again."""
CLI: Final = "cli"
"""The scheme of commands on the machine, which show no credential."""

_GRANTING: Final = frozenset({"Admin", "Operator"})


def grant_or_request(work: Work, spec: AssignmentSpec) -> RoleAssignment | PendingGrant:
    """Grant a role, or ask for it where it is sensitive.

    Raises as `assignments.grant`, and `grant_pending`, `operator_self_made`.
    """
    draft = assignments.drafted(work, spec)
    if not get_row(work.session, AppRole, draft.app_role).sensitive:
        return add(work, draft, "role_assignment.granted")
    return _ask(work, draft, "grant", spec.id)


def request_window(
    work: Work, assignment: str, *, not_before: int | None, expires_at: int | None, reason: str = ""
) -> PendingGrant:
    """Ask that an assignment of a sensitive role gets another window: both ends as they are to be then.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`, `time_in_past`.
        ConflictError: `assignment_overlap`, `grant_pending`.
        TransitionError: `state_unchanged`: the window is no wider; the assignment itself is changed then.
            `operator_self_made`, `partner_archived`.
    """
    row = refer(work.session, RoleAssignment, assignment, "assignment")
    said = text(reason, "reason", limit=REASON_LENGTH, lines=True, empty=True)
    wanted = _with_window(work, row, not_before, expires_at)
    sensitive = get_row(work.session, AppRole, row.app_role).sensitive
    if not sensitive or not assignments.widens(row, not_before, expires_at):
        message = f"assignment {assignment} needs no approval for this: change it"
        raise TransitionError("state_unchanged", message, field="expires_at")
    draft = RoleAssignment(**columns_of(wanted), granted_by=work.actor.operator_id, reason=said, **written_by(work))
    return _ask(work, draft, "widen", assignment)


def approve(work: Work, id_: str) -> PendingGrant:
    """Give what was asked for: the assignment, its audit and the request's are one unit of work.

    Raises:
        NotFoundError: `pending_grant_not_found`.
        TransitionError: `request_decided`, `request_expired`, `second_operator_needed`, `requester_not_allowed`,
            `operator_self_made`, `request_outdated`, `subject_not_active`.
        InvalidError, ConflictError: as `assignments.grant`, of what has become of the world since.
    """
    row = _open_one(work, id_)
    _require_second(row, work.actor)
    _require_granting(work.session, row.created_by, row.scheme)
    _require_unrevoked(work.session, row)
    for operator in (row.created_by, work.actor.operator_id):
        _require_known(work.session, operator)
    if not is_as_asked(asked_of(work.session, row), row.asked):
        raise TransitionError("request_outdated", f"what pending grant {id_} names has changed since; ask again")
    _require_active(work.session, row)
    made = _granted(work, row) if row.kind == "grant" else _widened(work, row)
    return _decide(work, row, "approved", assignment=made.id)


def reject(work: Work, id_: str) -> PendingGrant:
    """Refuse it for good. Raises NotFoundError, TransitionError (`request_decided`, `request_expired`)."""
    return _decide(work, _open_one(work, id_), "rejected")


def withdraw(work: Work, id_: str) -> PendingGrant:
    """Take one's own request back.

    Raises:
        NotFoundError: `pending_grant_not_found`.
        TransitionError: `request_decided`, `request_expired`, `not_requester`.
    """
    row = _open_one(work, id_)
    if row.created_by != work.actor.operator_id:
        raise TransitionError("not_requester", f"{row.created_by} asked for it; reject it instead")
    return _decide(work, row, "withdrawn")


def get(session: Session, id_: str) -> PendingGrant:
    """Return a request, decided or not. Raises NotFoundError."""
    return get_row(session, PendingGrant, id_)


PENDING_GRANTS: Final = Catalogue(
    PendingGrant,
    orders_of(PendingGrant, open_until=moment(PendingGrant.open_until)),
    (own(PendingGrant, bytewise(col(PendingGrant.id))),),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    state: str | None = None,
    app_role: str | None = None,
    daemon: str | None = None,
    tenant: str | None = None,
) -> Page[PendingGrant]:
    """Return requests, in order of id or as `sort` says, decided and expired ones included.

    `search` is the beginning of an id.
    """
    equal = {"state": state, "app_role": app_role, "daemon": daemon, "tenant": tenant}
    return PENDING_GRANTS.page(session, after=after, limit=limit, sort=sort, search=search, equal=equal)


def _ask(work: Work, draft: RoleAssignment, kind: str, assignment: str | None) -> PendingGrant:
    _require_known(work.session, work.actor.operator_id)  # nobody could approve it
    same = select(PendingGrant).where(
        PendingGrant.state == "open",
        PendingGrant.open_until > work.now,
        PendingGrant.app_role == draft.app_role,
        PendingGrant.daemon == draft.daemon,
        PendingGrant.tenant == draft.tenant,
    )
    if (other := work.session.exec(same).first()) is not None:
        message = f"pending grant {other.id} asks for role {draft.app_role} already"
        raise ConflictError("grant_pending", message, field="app_role", holder=other.id)
    row = PendingGrant(
        id=choose_id(work, PendingGrant, "pnd", None),
        kind=kind,
        app_role=draft.app_role,
        daemon=draft.daemon,
        tenant=draft.tenant,
        not_before=draft.not_before,
        expires_at=draft.expires_at,
        reason=draft.reason,
        ticket=draft.ticket,
        assignment=assignment,
        asked={},
        scheme=work.actor.scheme,
        state="open",
        open_until=work.now + APPROVAL_LIFETIME,
        **written_by(work),
    )
    came_with = {ADMIN_KEY: work.actor.admin_key} if work.actor.admin_key else {}
    row.asked = asked_of(work.session, row) | came_with
    return add(work, row, "pending_grant.requested", policy=False)


def _open_one(work: Work, id_: str) -> PendingGrant:
    row = get_row(work.session, PendingGrant, id_, for_change=True)
    if row.state != "open":
        raise TransitionError("request_decided", f"pending grant {id_} was {row.state} by {row.decided_by}")
    if work.now >= row.open_until:
        raise TransitionError("request_expired", f"pending grant {id_} has expired; ask again")
    return row


def _require_second(row: PendingGrant, actor: Actor) -> None:
    same = actor.operator_id.removeprefix("cli:") == row.created_by.removeprefix("cli:")
    if same or (actor.scheme == CLI and row.scheme == CLI):
        message = (
            f"{row.created_by} asked for it ({row.scheme}); another operator approves, at least one with a credential"
        )
        raise TransitionError("second_operator_needed", message)


def _require_known(session: Session, operator: str) -> None:
    """Ask that somebody here made this operator: by coming with tokens of two issuers one person would be two."""
    found = session.get(Operator, operator)
    if found is not None and found.created_by == operator:
        message = f"operator {operator} came with a token and was made by nobody here: link who it is to one that was"
        raise TransitionError("operator_self_made", message, holder=operator)


def _require_granting(session: Session, operator: str, scheme: str) -> None:
    if scheme == CLI:
        return
    found = session.get(Operator, operator)
    if found is None or found.state != "active" or found.role not in _GRANTING:
        raise TransitionError("requester_not_allowed", f"operator {operator}, who asked for it, may grant no roles now")


def _require_unrevoked(session: Session, row: PendingGrant) -> None:
    """Ask that nobody took back the admin key that was asked with: one that leaked is not its operator's word."""
    id_ = row.asked.get(ADMIN_KEY)
    key = session.get(AdminKey, id_) if id_ is not None else None
    if id_ is not None and (key is None or key.revoked_at is not None):
        message = f"admin key {id_}, with which {row.created_by} asked for it, was revoked since; ask again"
        raise TransitionError("requester_not_allowed", message, holder=id_)


def _require_active(session: Session, row: PendingGrant) -> None:
    """Ask that what gets the role could use it: suspended meanwhile, somebody had a reason."""
    daemon = get_row(session, Daemon, row.daemon) if row.daemon is not None else None
    tenant = get_row(session, Tenant, daemon.tenant if daemon is not None else row.tenant or "")
    owner = partner_of(session, daemon) if daemon is not None else tenant.partner
    partner = session.get(Partner, owner) if owner is not None else None
    for subject, fine in ((daemon, {"active"}), (tenant, {"active"}), (partner, {"active", "invited"})):
        if subject is not None and subject.state not in fine:
            raise TransitionError("subject_not_active", f"{subject.id} is {subject.state}", holder=subject.id)


def _granted(work: Work, row: PendingGrant) -> RoleAssignment:
    spec = AssignmentSpec(
        app_role=row.app_role,
        id=row.assignment,
        daemon=row.daemon,
        tenant=row.tenant,
        not_before=row.not_before,
        expires_at=row.expires_at,
        reason=row.reason,
        ticket=row.ticket,
    )
    draft = assignments.drafted(work, spec)
    draft.granted_by, draft.approved_by = row.created_by, work.actor.operator_id
    return add(work, draft, "role_assignment.granted")


def _widened(work: Work, row: PendingGrant) -> RoleAssignment:
    there = get_row(work.session, RoleAssignment, row.assignment or "", for_change=True)
    wanted = _with_window(work, there, row.not_before, row.expires_at)
    columns = columns_of(wanted) | {"granted_by": row.created_by, "approved_by": work.actor.operator_id}
    return amend(work, there, columns, "role_assignment.changed")


def _with_window(work: Work, row: RoleAssignment, not_before: int | None, expires_at: int | None) -> RoleAssignmentRow:
    data = data_of_row("role_assignment", row)
    assert isinstance(data, RoleAssignmentRow)
    wanted = checked(replace(data, not_before=not_before, expires_at=expires_at))
    require_future(work, wanted.expires_at, "expires_at")
    assignments.check_subject(work.session, wanted, get_row(work.session, AppRole, wanted.app_role))
    assignments.refuse_overlap(work, wanted)
    return wanted


def _decide(work: Work, row: PendingGrant, state: str, *, assignment: str | None = None) -> PendingGrant:
    before = facts_of(row)
    row.sqlmodel_update(
        {
            "state": state,
            "decided_by": work.actor.operator_id,
            "decided_scheme": work.actor.scheme,
            "decided_at": work.now,
            "updated_at": work.now,
            "version": row.version + 1,
        }
    )
    row.assignment = assignment or row.assignment
    work.session.add(row)
    work.session.flush()
    work.record(f"pending_grant.{state}", "pending_grant", row.id, before, facts_of(row))
    return row
