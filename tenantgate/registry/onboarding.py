"""Onboarding: a partner's daemon put on the list in one go, with its tenant and its roles, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlmodel import select

from tenantgate.registry import daemons, partners, pending_grants, tenants
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.daemons import DaemonSpec
from tenantgate.registry.errors import RegistryError
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.service import refer
from tenantgate.registry.tables import Daemon, Partner, RoleAssignment, Tenant
from tenantgate.registry.tenants import TenantSpec
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardSpec:
    """Who is to be let in, and to what.

    `partner` is the id of a partner that is there, or what a new one is to be. `tid` and `oid` go with an
    Entra issuer only, `subject` with any other. Every role is for the daemon, from now until `expires_at` (epoch
    seconds, exclusive). `hosted` is the id of the publisher's own tenant, where the daemon lives in that one.
    """

    partner: str | PartnerSpec
    issuer: str
    client_id: str
    tid: str | None = None
    oid: str | None = None
    subject: str | None = None
    hosted: str | None = None
    app_roles: tuple[str, ...] = ()
    expires_at: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Onboarded:
    """What is on the list now; partner and tenant may have been there before. `pending` are the sensitive roles."""

    partner: Partner
    tenant: Tenant
    daemon: Daemon
    assignments: tuple[RoleAssignment, ...]
    pending: tuple[PendingGrant, ...] = ()


def onboard(work: Work, spec: OnboardSpec) -> Onboarded:
    """List a daemon with all that it needs. A tenant the partner already has is used again.

    Roles that are sensitive are asked for, and wait for a second operator.

    Raises:
        InvalidError, ConflictError, TransitionError: as the services of partners, tenants, daemons and
            assignments; `field` is the member of `spec` (`partner.name`, `tid`, `app_roles[1]`). Nothing of
            the unit of work may be kept then.
    """
    partner = _partner(work, spec.partner)
    tenant = _tenant(work, partner, spec)
    whose = partner.id if tenant.hosted else None
    daemon = daemons.create(
        work, DaemonSpec(tenant=tenant.id, client_id=spec.client_id, oid=spec.oid, subject=spec.subject, partner=whose)
    )
    found = [_grant(work, daemon, spec, place) for place in range(len(spec.app_roles))]
    granted = tuple(each for each in found if isinstance(each, RoleAssignment))
    return Onboarded(partner, tenant, daemon, granted, tuple(each for each in found if isinstance(each, PendingGrant)))


def _partner(work: Work, wanted: str | PartnerSpec) -> Partner:
    if isinstance(wanted, str):
        return refer(work.session, Partner, wanted, "partner")
    with _renamed(lambda member: f"partner.{member}"):
        return partners.create(work, wanted)


def _tenant(work: Work, partner: Partner, spec: OnboardSpec) -> Tenant:
    tid = spec.tid.lower() if spec.tid is not None else None
    if spec.hosted:
        return refer(work.session, Tenant, spec.hosted, "hosted")
    own = select(Tenant).where(Tenant.partner == partner.id, Tenant.issuer == spec.issuer, Tenant.tid == tid)
    found = work.session.exec(own).first()
    return found or tenants.create(work, TenantSpec(issuer=spec.issuer, partner=partner.id, tid=spec.tid))


def _grant(work: Work, daemon: Daemon, spec: OnboardSpec, place: int) -> RoleAssignment | PendingGrant:
    wanted = AssignmentSpec(
        app_role=spec.app_roles[place], daemon=daemon.id, expires_at=spec.expires_at, reason=spec.reason
    )
    with _renamed(lambda member: f"app_roles[{place}]" if member == "app_role" else member):
        return pending_grants.grant_or_request(work, wanted)


@contextmanager
def _renamed(name: Callable[[str], str]) -> Iterator[None]:
    """Turn the member a service complains of into the member of `OnboardSpec` that it came from."""
    try:
        yield
    except RegistryError as error:
        error.field = name(error.field)
        raise
