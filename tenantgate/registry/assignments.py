"""Role assignments: who may do what, from when to when, granted by whom and why."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, select

from tenantgate.core.policy import RoleAssignmentRow
from tenantgate.core.references import check_tenant_wide
from tenantgate.registry.errors import ConflictError
from tenantgate.registry.rows import columns_of, data_of_row
from tenantgate.registry.service import (
    REASON_LENGTH,
    Page,
    add,
    checked,
    choose_id,
    fitting,
    get_row,
    page,
    refer,
    remove,
    require_future,
    text,
    written_by,
)
from tenantgate.registry.tables import AppRole, Daemon, Resource, RoleAssignment, Tenant
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


def grant(work: Work, spec: AssignmentSpec) -> RoleAssignment:
    """Grant a role.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`, `time_in_past`, `tenant_wide_not_allowed`.
        ConflictError: `id_duplicate`, `assignment_overlap`; `holder` is the assignment for some of that time.
    """
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
    reason = text(spec.reason, "reason", limit=REASON_LENGTH, lines=True, empty=True)
    role = refer(work.session, AppRole, data.app_role, "app_role")
    _check_subject(work.session, data, role)
    _refuse_overlap(work, data)
    row = RoleAssignment(**columns_of(data), granted_by=work.actor.operator_id, reason=reason, **written_by(work))
    return add(work, row, "role_assignment.granted")


def revoke(work: Work, id_: str) -> RoleAssignment:
    """Take a role back. The row goes; what it was stays in the audit.

    Raises:
        NotFoundError: `role_assignment_not_found`.
    """
    return remove(work, get_row(work.session, RoleAssignment, id_, for_change=True), "role_assignment.revoked")


def get(session: Session, id_: str) -> RoleAssignment:
    """Return an assignment. Raises NotFoundError."""
    return get_row(session, RoleAssignment, id_)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    app_role: str | None = None,
    daemon: str | None = None,
    tenant: str | None = None,
) -> Page[RoleAssignment]:
    """Return assignments in order of id, those that have ended or not begun included."""
    equal = {"app_role": app_role, "daemon": daemon, "tenant": tenant}
    return page(session, select(RoleAssignment), RoleAssignment, after=after, limit=limit, equal=dict(equal))


def _check_subject(session: Session, data: RoleAssignmentRow, role: AppRole) -> None:
    if data.daemon is not None:
        refer(session, Daemon, data.daemon, "daemon")
        return
    tenant = refer(session, Tenant, data.tenant or "", "tenant")
    resource = get_row(session, Resource, role.resource)
    fitting(check_tenant_wide, data_of_row("tenant", tenant), data_of_row("resource", resource))


def _refuse_overlap(work: Work, data: RoleAssignmentRow) -> None:
    """Two assignments of one role for the same time: revoking one would not take the role back."""
    same = select(RoleAssignment).where(
        RoleAssignment.app_role == data.app_role,
        RoleAssignment.daemon == data.daemon,
        RoleAssignment.tenant == data.tenant,
    )
    begin = max(data.not_before or 0, work.now)
    for other in work.session.exec(same):
        begins_before_end = data.expires_at is None or (other.not_before or 0) < data.expires_at
        ends_after_begin = other.expires_at is None or begin < other.expires_at
        if begins_before_end and ends_after_begin:
            message = f"assignment {other.id} already gives this role for some of that time"
            raise ConflictError("assignment_overlap", message, field="app_role", holder=other.id)
