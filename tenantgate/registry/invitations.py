"""Invitations: a link with which a partner's developer names their daemon, and an operator lists it.

Redeeming lets nobody in: it writes down what was entered, in the invitation and nowhere else. An operator's approval
makes tenant, daemon and roles in one unit of work. Who holds the link learns of the registry what the link says, and no
more: whether a tenant or client is listed already is found at the approval, not told to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlmodel import Session, col, select

from tenantgate.core.fields import LATEST, LIST_LENGTH, check_list, check_number
from tenantgate.core.policy import DaemonRow, IssuerRow, PolicyError, TenantRow
from tenantgate.core.references import check_daemon, check_profile, check_tenant, needs_subject
from tenantgate.registry import partners
from tenantgate.registry.errors import CredentialError, InvalidError, TransitionError, from_policy_error
from tenantgate.registry.ids import RandomBytes
from tenantgate.registry.invitation_tables import Invitation
from tenantgate.registry.invited import changed_roles
from tenantgate.registry.onboarding import Onboarded, OnboardSpec, onboard
from tenantgate.registry.operators import hash_of, new_secret
from tenantgate.registry.ordering import bytewise, folded, moment, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import data_of_row, facts_of
from tenantgate.registry.searching import Catalogue, ends_between, own, sort_by_end
from tenantgate.registry.service import (
    REASON_LENGTH,
    add,
    checked,
    choose_id,
    fitting,
    get_row,
    refer,
    require_future,
    text,
    written_by,
)
from tenantgate.registry.tables import AppRole, Issuer, Partner, Resource
from tenantgate.registry.unit_of_work import Work

LIFETIME: Final = 7 * 86_400
LONGEST_LIFETIME: Final = 90 * 86_400
"""Seconds, from when it is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationSpec:
    """Whom to invite, and to what. Epoch seconds; ends are exclusive. `expires_at` None: a week from now.

    `app_roles` are ids of roles of `resource`; approved, they are granted until `role_ends_at`.
    """

    partner: str
    issuer: str
    resource: str
    app_roles: tuple[str, ...]
    id: str | None = None
    expires_at: int | None = None
    role_ends_at: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """An invitation just made. `code` belongs into the fragment of an address; it is never stored."""

    row: Invitation
    code: str = field(repr=False)


def create(work: Work, spec: InvitationSpec, *, random_bytes: RandomBytes) -> NewInvitation:
    """Make an invitation. The code is in the answer and nowhere else.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`, `time_in_past`; `member_not_allowed`, where a role is
            another resource's, or daemons of the issuer need more than a client id.
        ConflictError: `id_duplicate`.
        TransitionError: `partner_archived`.
    """
    id_ = choose_id(work, Invitation, "inv", spec.id)
    partners.require_open(refer(work.session, Partner, spec.partner, "partner"), "partner")
    _check_issuer(refer(work.session, Issuer, spec.issuer, "issuer"))
    resource = refer(work.session, Resource, spec.resource, "resource")
    _check_roles(work.session, resource, spec.app_roles)
    expires_at = spec.expires_at if spec.expires_at is not None else work.now + LIFETIME
    require_future(work, expires_at, "expires_at")
    require_future(work, spec.role_ends_at, "role_ends_at")
    _check_number(expires_at, "expires_at", work.now + LONGEST_LIFETIME)
    _check_number(spec.role_ends_at or 0, "role_ends_at", LATEST)
    code = new_secret(random_bytes)
    row = Invitation(
        id=id_,
        partner=spec.partner,
        issuer=spec.issuer,
        resource=spec.resource,
        app_roles=list(spec.app_roles),
        role_ends_at=spec.role_ends_at,
        reason=text(spec.reason, "reason", limit=REASON_LENGTH, lines=True, empty=True),
        code_hash=hash_of(code),
        expires_at=expires_at,
        state="open",
        **written_by(work),
    )
    return NewInvitation(add(work, row, "invitation.created", policy=False), code)


def find(session: Session, code: str, *, now: int) -> Invitation:
    """Return the invitation whose code this is (untrusted), redeemed or not. Writes nothing.

    Raises:
        CredentialError: `invitation_unknown`; `invitation_revoked`, also where it was rejected; `invitation_expired`;
            `invitation_closed`.
    """
    row = session.exec(select(Invitation).where(Invitation.code_hash == hash_of(code))).first()
    if row is None:
        raise CredentialError("invitation_unknown", "there is no such invitation")
    if row.state in {"revoked", "rejected"}:
        raise CredentialError("invitation_revoked", f"invitation {row.id} was {row.state}")
    if row.state == "open" and now >= row.expires_at:
        raise CredentialError("invitation_expired", f"invitation {row.id} has expired")
    if get_row(session, Partner, row.partner).state not in {"invited", "active"}:
        raise CredentialError("invitation_closed", f"partner {row.partner} gets nothing new")
    return row


def redeem(work: Work, code: str, *, tid: str | None, client_id: str) -> Invitation:
    """Write down what a partner's developer entered (untrusted). Of many at once exactly one is taken.

    Raises:
        CredentialError: as `find`; `invitation_redeemed`.
        InvalidError: `tid` or `client_id` is at fault. The invitation stays open.
    """
    row = find(work.session, code, now=work.now)
    if row.state != "open":
        raise CredentialError("invitation_redeemed", f"invitation {row.id} was redeemed before")
    found = _entered(work.session, row, tid, client_id)
    before = facts_of(row)
    work.act_as(f"invitation:{row.id}")
    columns = {"tid": found[0], "client_id": found[1], "redeemed_at": work.now, "redeemed_from": work.actor.address}
    return _moved(work, row, before, "redeemed", columns)


def approve(work: Work, id_: str) -> tuple[Invitation, Onboarded]:
    """List what was entered, with the roles of the invitation, and activate a partner who was invited: all or nothing.

    Roles that are sensitive wait for a second operator.

    Raises:
        NotFoundError: `invitation_not_found`.
        TransitionError: `invitation_open`, `invitation_decided`, `request_outdated`: a role is not what it was when the
            invitation was made; as `onboard`.
        InvalidError, ConflictError: as `onboard`: somebody else's tenant, a client that is listed, a role that is gone.
    """
    row = _undecided(work, id_)
    if row.state == "open":
        raise TransitionError("invitation_open", f"nobody has redeemed invitation {id_} yet")
    assert row.client_id is not None
    _check_roles(work.session, refer(work.session, Resource, row.resource, "resource"), tuple(row.app_roles))
    if others := changed_roles(work.session, row):
        message = f"role {others[0]} is not what it was when invitation {id_} was made: reject it and invite again"
        raise TransitionError("request_outdated", message, holder=others[0])
    done = onboard(
        work,
        OnboardSpec(
            partner=row.partner,
            issuer=row.issuer,
            tid=row.tid,
            client_id=row.client_id,
            app_roles=tuple(row.app_roles),
            expires_at=row.role_ends_at,
            reason=row.reason or f"invitation {row.id}",
        ),
    )
    if done.partner.state == "invited":
        partners.activate(work, done.partner.id)
    return _decided(work, row, "approved", daemon=done.daemon.id), done


def reject(work: Work, id_: str) -> Invitation:
    """List nothing of what was entered, for good.

    Raises:
        NotFoundError: `invitation_not_found`.
        TransitionError: `invitation_open`, `invitation_decided`.
    """
    row = _undecided(work, id_)
    if row.state == "open":
        raise TransitionError("invitation_open", f"nobody has redeemed invitation {id_} yet: revoke it")
    return _decided(work, row, "rejected")


def revoke(work: Work, id_: str) -> Invitation:
    """End an invitation, redeemed or not. Raises NotFoundError, TransitionError (`invitation_decided`)."""
    return _decided(work, _undecided(work, id_), "revoked")


def get(session: Session, id_: str) -> Invitation:
    """Return an invitation (never its code). Raises NotFoundError."""
    return get_row(session, Invitation, id_)


_ENDS: Final = moment(Invitation.expires_at)
INVITATIONS: Final = Catalogue(
    Invitation,
    orders_of(Invitation, expires_at=_ENDS),
    (
        own(Invitation, bytewise(col(Invitation.id))),
        own(Invitation, bytewise(col(Invitation.tid))),
        own(Invitation, folded(col(Invitation.client_id))),
    ),
    wide=("state",),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    partner: str | None = None,
    issuer: str | None = None,
    resource: str | None = None,
    state: str | None = None,
    expires_after: int | None = None,
    expires_before: int | None = None,
) -> Page[Invitation]:
    """Return invitations, in order of id or, where ends are asked for, of `expires_at`; or as `sort` says.

    Those that ended are among them. `search` is the beginning of an id, or of a tid or client id that was entered.
    `expires_after` and `expires_before` (exclusive) are epoch seconds.
    """
    return INVITATIONS.page(
        session,
        after=after,
        limit=limit,
        sort=sort_by_end("expires_at", sort, search, expires_after, expires_before),
        search=search,
        equal={"partner": partner, "issuer": issuer, "resource": resource, "state": state},
        where=ends_between(_ENDS, expires_after, expires_before),
    )


def _check_issuer(issuer: Issuer) -> None:
    data = data_of_row("issuer", issuer)
    assert isinstance(data, IssuerRow)
    if needs_subject(data):
        message = f"daemons of issuer {issuer.id} are pinned to a subject: onboard them by hand"
        raise InvalidError("member_not_allowed", message, field="issuer")


def _check_roles(session: Session, resource: Resource, app_roles: tuple[str, ...]) -> None:
    try:
        check_list(app_roles, "app_roles", empty=False)
    except PolicyError as error:
        raise from_policy_error(error) from None
    assert len(app_roles) <= LIST_LENGTH
    for place, each in enumerate(app_roles):
        name = f"app_roles[{place}]"
        if refer(session, AppRole, each, name).resource != resource.id:
            raise InvalidError("member_not_allowed", f"role {each} is none of resource {resource.id}", field=name)


def _check_number(value: int, name: str, high: int) -> None:
    try:
        check_number(value, name, 0, high)
    except PolicyError as error:
        raise from_policy_error(error) from None


def _entered(session: Session, row: Invitation, tid: str | None, client_id: str) -> tuple[str | None, str]:
    """Return what was entered as it would be listed, by the rules for tenants and daemons, or refuse it."""
    issuer = data_of_row("issuer", get_row(session, Issuer, row.issuer))
    tenant = checked(TenantRow(id=row.id, issuer=row.issuer, partner=row.partner, tid=tid))
    fitting(check_tenant, tenant, issuer)
    daemon = fitting(check_daemon, checked(DaemonRow(id=row.id, tenant=row.id, client_id=client_id)), tenant)
    fitting(check_profile, daemon, issuer)
    return tenant.tid, daemon.client_id


def _undecided(work: Work, id_: str) -> Invitation:
    row = get_row(work.session, Invitation, id_, for_change=True)
    if row.state not in {"open", "redeemed"}:
        raise TransitionError("invitation_decided", f"invitation {id_} was {row.state} by {row.decided_by}")
    return row


def _decided(work: Work, row: Invitation, state: str, *, daemon: str | None = None) -> Invitation:
    columns = {"decided_by": work.actor.operator_id, "decided_at": work.now, "daemon": daemon}
    return _moved(work, row, facts_of(row), state, columns)


def _moved(
    work: Work, row: Invitation, before: dict[str, Any], state: str, columns: Mapping[str, object]
) -> Invitation:
    row.sqlmodel_update({**columns, "state": state, "updated_at": work.now, "version": row.version + 1})
    work.session.add(row)
    work.session.flush()
    work.record(f"invitation.{state}", "invitation", row.id, before, facts_of(row))
    return row
