"""Role assignments: who may do what, from when to when, granted by whom and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace
from sqlmodel import Session, col, select

from tenantgate.core.fields import NAME_LENGTH
from tenantgate.core.policy import RoleAssignmentRow
from tenantgate.core.references import check_tenant_wide
from tenantgate.registry import partners
from tenantgate.registry.approved import gives_more
from tenantgate.registry.daemons import partner_of
from tenantgate.registry.errors import ConflictError, TransitionError
from tenantgate.registry.ordering import bytewise, end_of, orders_of
from tenantgate.registry.owned import assignments_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import columns_of, data_of_row, facts_of
from tenantgate.registry.searching import Catalogue, ends_between, own, sort_by_end
from tenantgate.registry.service import (
    REASON_LENGTH,
    add,
    amend,
    checked,
    choose_id,
    fitting,
    get_row,
    only,
    refer,
    remove,
    require_future,
    text,
    written_by,
)
from tenantgate.registry.tables import AppRole, Daemon, Partner, Resource, RoleAssignment, Tenant
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentSpec:
    """A role for a daemon, or for a tenant's listed daemons. Epoch seconds; the end is exclusive."""

    app_role: str
    id: str | None = None
    daemon: str | None = None
    tenant: str | None = None
    not_before: int | None = None
    expires_at: int | None = None
    reason: str = ""
    ticket: str = ""


def grant(work: Work, spec: AssignmentSpec) -> RoleAssignment:
    """Grant a role that one operator may grant alone; `pending_grants.grant_or_request` takes any.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`, `time_in_past`, `tenant_wide_not_allowed`.
        ConflictError: `id_duplicate`, `assignment_overlap`; `holder` is the assignment for some of that time.
        TransitionError: `approval_needed`: the role is sensitive; `partner_archived`.
    """
    row = drafted(work, spec)
    require_ordinary(work.session, row.app_role)
    return add(work, row, "role_assignment.granted")


def drafted(work: Work, spec: AssignmentSpec) -> RoleAssignment:
    """Return the assignment that a spec stands for, checked and not added. Raises as `grant`, whatever the role."""
    id_ = choose_id(work, RoleAssignment, "asg", spec.id)
    data = checked(
        RoleAssignmentRow(
            id=id_,
            app_role=spec.app_role,
            daemon=spec.daemon,
            tenant=spec.tenant,
            not_before=spec.not_before,
            expires_at=spec.expires_at,
        )
    )
    require_future(work, data.expires_at, "expires_at")
    said = _said(spec.reason, spec.ticket)
    role = refer(work.session, AppRole, data.app_role, "app_role")
    check_subject(work.session, data, role)
    refuse_overlap(work, data)
    return RoleAssignment(**columns_of(data), granted_by=work.actor.operator_id, **said, **written_by(work))


def _said(reason: str, ticket: str) -> dict[str, Any]:
    """Return the columns that say why, checked."""
    return {
        "reason": text(reason, "reason", limit=REASON_LENGTH, lines=True, empty=True),
        "ticket": text(ticket, "ticket", limit=NAME_LENGTH, empty=True),
    }


CHANGEABLE: Final = frozenset({"not_before", "expires_at", "reason", "ticket"})


def change(work: Work, id_: str, members: Mapping[str, Any]) -> RoleAssignment:
    """Change when a role counts and why (`CHANGEABLE`); the rest stays. Where it is so already nothing is written.

    Raises:
        NotFoundError: `role_assignment_not_found`.
        InvalidError: a member is at fault, `time_in_past`, `tenant_wide_not_allowed`.
        ConflictError: `assignment_overlap`.
        TransitionError: `approval_needed`: the role is sensitive, and this would give it at other times than now;
            `partner_archived`, where it would give an ordinary one so.
    """
    row = get_row(work.session, RoleAssignment, id_, for_change=True)
    wanted = {name: getattr(row, name) for name in CHANGEABLE} | dict(only(members, CHANGEABLE))
    said = _said(wanted.pop("reason"), wanted.pop("ticket"))
    before = data_of_row("role_assignment", row)
    assert isinstance(before, RoleAssignmentRow)
    data = checked(replace(before, **wanted))
    if data != before:
        require_future(work, data.expires_at if data.expires_at != before.expires_at else None, "expires_at")
        refuse_overlap(work, data)
    if widens(row, data.not_before, data.expires_at):
        require_ordinary(work.session, row.app_role)
        check_subject(work.session, data, get_row(work.session, AppRole, row.app_role))
    return amend(work, row, columns_of(data) | said, "role_assignment.changed")


def require_ordinary(session: Session, app_role: str) -> None:
    """Refuse what one operator may not give alone.

    Raises:
        TransitionError: `approval_needed`.
    """
    if get_row(session, AppRole, app_role).sensitive:
        message = f"role {app_role} is sensitive: ask for it as a pending grant, which a second operator approves"
        raise TransitionError("approval_needed", message, field="app_role", holder=app_role)


def require_alone(session: Session, row: RoleAssignment, not_before: int | None, expires_at: int | None) -> None:
    """Refuse a window that one operator may not give alone: a wider one, of a sensitive role.

    Whoever changes an assignment's window asks this first, under the row's lock.

    Raises:
        TransitionError: `approval_needed`.
    """
    if widens(row, not_before, expires_at):
        require_ordinary(session, row.app_role)


def widens(row: RoleAssignment, not_before: int | None, expires_at: int | None) -> bool:
    """Whether another window would give the role at any time at which it is not given now."""
    before = facts_of(row)
    return gives_more(before, before | {"not_before": not_before, "expires_at": expires_at})


def warnings_of(session: Session, tenant: str | None) -> list[str]:
    """Return what to tell who gives a role to a whole tenant: how many daemons it reaches."""
    if tenant is None:
        return []
    states = session.exec(select(Daemon.state).where(Daemon.tenant == tenant)).all()
    active = sum(state == "active" for state in states)
    now = f"{len(states)} now ({active} active)"
    return [f"This gives the role to every daemon listed in tenant {tenant}: {now}, and each that is listed later."]


def revoke(work: Work, id_: str) -> RoleAssignment:
    """Take a role back. The row goes; what it was stays in the audit.

    Raises:
        NotFoundError: `role_assignment_not_found`.
    """
    return remove(work, get_row(work.session, RoleAssignment, id_, for_change=True), "role_assignment.revoked")


def get(session: Session, id_: str) -> RoleAssignment:
    """Return an assignment. Raises NotFoundError."""
    return get_row(session, RoleAssignment, id_)


_ENDS: Final = end_of(col(RoleAssignment.expires_at))
ASSIGNMENTS: Final = Catalogue(
    RoleAssignment,
    orders_of(RoleAssignment, expires_at=_ENDS),
    (own(RoleAssignment, bytewise(col(RoleAssignment.id))),),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    app_role: str | None = None,
    daemon: str | None = None,
    tenant: str | None = None,
    partner: str | None = None,
    expires_after: int | None = None,
    expires_before: int | None = None,
) -> Page[RoleAssignment]:
    """Return assignments, in order of id or, where ends are asked for, of `expires_at`; or as `sort` says.

    Those that have ended or not begun are among them. `search` is the beginning of an id. `partner` finds those of its
    daemons and of its tenants. `expires_after` and `expires_before` (exclusive) are epoch seconds: those without an end
    are not among them.
    """
    where = ends_between(_ENDS, expires_after, expires_before)
    if partner is not None:
        if "\0" in partner:
            return Page((), None)
        where.append(col(RoleAssignment.id).in_(assignments_of(partner)))
    return ASSIGNMENTS.page(
        session,
        after=after,
        limit=limit,
        sort=sort_by_end("expires_at", sort, search, expires_after, expires_before),
        search=search,
        equal={"app_role": app_role, "daemon": daemon, "tenant": tenant},
        where=where,
    )


def check_subject(session: Session, data: RoleAssignmentRow, role: AppRole) -> None:
    """Refuse to give a role, or more of it, to nobody, to an archived partner's, or tenant-wide where that may not be.

    Raises:
        InvalidError: `reference_unknown`, `tenant_wide_not_allowed`.
        TransitionError: `partner_archived`.
    """
    if data.daemon is not None:
        owner = partner_of(session, refer(session, Daemon, data.daemon, "daemon"))
        partners.require_open(refer(session, Partner, owner or "", "daemon"), "daemon")
        return
    tenant = refer(session, Tenant, data.tenant or "", "tenant")
    if tenant.partner is not None:
        partners.require_open(refer(session, Partner, tenant.partner, "tenant"), "tenant")
    resource = get_row(session, Resource, role.resource)
    fitting(check_tenant_wide, data_of_row("tenant", tenant), data_of_row("resource", resource))


def refuse_overlap(work: Work, data: RoleAssignmentRow) -> None:
    """Two assignments of one role for the same time: revoking one would not take the role back."""
    same = select(RoleAssignment).where(
        RoleAssignment.app_role == data.app_role,
        RoleAssignment.daemon == data.daemon,
        RoleAssignment.tenant == data.tenant,
        RoleAssignment.id != data.id,
    )
    begin = max(data.not_before or 0, work.now)
    for other in work.session.exec(same):
        begins_before_end = data.expires_at is None or (other.not_before or 0) < data.expires_at
        ends_after_begin = other.expires_at is None or begin < other.expires_at
        if begins_before_end and ends_after_begin:
            message = f"assignment {other.id} already gives this role for some of that time"
            raise ConflictError("assignment_overlap", message, field="app_role", holder=other.id)
