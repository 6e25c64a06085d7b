"""Two of each: Contoso's and Fabrikam's of all that a path can name, so that one can be asked for as the other."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tenantgate.registry import (
    access_requests,
    certificates,
    decisions,
    identities,
    imports,
    instances,
    invitations,
    pending_grants,
    subscription_keys,
)
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.certificates import CertificateSpec
from tenantgate.registry.engine import writing
from tenantgate.registry.identities import Identity
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.invitations import InvitationSpec
from tenantgate.registry.subscription_keys import SubscriptionKeySpec
from tenantgate.registry.tables import AdminKey, Resource
from tenantgate.registry.unit_of_work import Work
from tests.client_certificates import a_certificate
from tests.registry.builders import (
    NOW,
    a_daemon,
    a_grant,
    a_mapping,
    a_partner,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
    counting_bytes,
    work_on,
)
from tests.registry.test_decisions import a_detail, a_stranger

Pair = tuple[str, str]

FIXED: Final[dict[str, Pair]] = {
    "issuers": ("entra", "keycloak"),
    "resources": ("orders", "stock"),
    "app-roles": ("orders-read", "stock-read"),
    "role-mappings": ("readers", "counters"),
    "partners": ("contoso", "fabrikam"),
    "tenants": ("contoso-entra", "fabrikam-entra"),
    "daemons": ("nightly", "hourly"),
    "role-assignments": ("nightly-read", "hourly-read"),
    "operators": ("an-operator", "an-viewer"),
    "instances": ("gate-1", "gate-2"),
    "decisions": ("t-1", "t-2"),
}
"""Those whose ids are chosen, by the first word of their routes: Contoso's, and Fabrikam's."""
TIDS: Final = ("11111111-2222-4333-8444-555555555555", "22222222-2222-4333-8444-555555555555")


def two_of_each(engine: Engine) -> dict[str, Pair]:
    """Make Fabrikam's beside Contoso's; the ids of both, by the first word of their routes."""
    with work_on(engine) as work:
        _fabrikam(work)
        made = {word: _pair(work, word) for word in MAKERS}
    with writing(engine) as session:
        for gate in FIXED["instances"]:
            instances.register(session, InstanceSpec(id=gate, kind="gate", version="1"), now=NOW)
        decisions.add_details(session, [a_detail(number) for number in (1, 2)])
        session.execute(sa.update(Resource).values(access_requests=True))
        strangers = [a_stranger(number, resource=name) for number, name in enumerate(FIXED["resources"], 1)]
        access_requests.note(session, strangers)
        asked = [access_requests.id_of(each.resource, each.issuer, each.tid, each.client_id) for each in strangers]
        keys = [
            session.scalars(sa.select(AdminKey.id).where(AdminKey.operator == operator)).one()  # type: ignore[call-overload]
            for operator in FIXED["operators"]
        ]
    return FIXED | made | {"access-requests": (asked[0], asked[1]), "admin-keys": (keys[0], keys[1])}


def _fabrikam(work: Work) -> None:
    an_oidc_issuer(work)
    a_partner(work, id="fabrikam", name="Fabrikam")
    a_tenant(work, id="fabrikam-entra", partner="fabrikam", tid=TIDS[1])
    a_daemon(work, id="hourly", tenant="fabrikam-entra", client_id="bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee")
    a_resource(work, id="stock", audiences=("api://stock",))
    an_app_role(work, id="stock-read", resource="stock", value="Stock.Read")
    a_grant(work, id="hourly-read", app_role="stock-read", daemon="hourly")
    a_mapping(work, id="readers")
    a_mapping(work, id="counters", value="Counter", app_role="stock-read")
    for resource in FIXED["resources"]:
        an_app_role(work, id=f"{resource}-write", resource=resource, value=f"{resource}.write", sensitive=True)


def _pair(work: Work, word: str) -> Pair:
    first, second = (MAKERS[word](work, place) for place in (0, 1))
    return first, second


def _certificate(work: Work, place: int) -> str:
    spec = CertificateSpec(daemon=FIXED["daemons"][place], certificate=a_certificate(serial=place + 1))
    return certificates.create(work, spec).id


def _subscription_key(work: Work, place: int) -> str:
    spec = SubscriptionKeySpec(daemon=FIXED["daemons"][place], name="k", expires_at=NOW + 86_400)
    return subscription_keys.create(work, spec, random_bytes=counting_bytes(60 + place)).row.id


def _invitation(work: Work, place: int) -> str:
    spec = InvitationSpec(
        partner=FIXED["partners"][place],
        issuer="entra",
        resource=FIXED["resources"][place],
        app_roles=(FIXED["app-roles"][place],),
    )
    return invitations.create(work, spec, random_bytes=counting_bytes(70 + place)).row.id


def _pending(work: Work, place: int) -> str:
    role = f"{FIXED['resources'][place]}-write"
    return pending_grants.grant_or_request(work, AssignmentSpec(app_role=role, daemon=FIXED["daemons"][place])).id


def _import(work: Work, place: int) -> str:
    job = imports.begin(work, f"file {place}".encode(), [], dry_run=True)
    job.state = "done"
    work.session.add(job)
    work.session.flush()
    return job.id


def identity_in(work: Work, operator: str) -> str:
    """Another identity of an operator's; its id."""
    identity = Identity(issuer="https://id.staff.example/realms/staff", sub=f"sub-of-{operator}")
    return identities.link(work, operator, identity).id


MAKERS: Final[dict[str, Any]] = {
    "client-certificates": _certificate,
    "subscription-keys": _subscription_key,
    "invitations": _invitation,
    "pending-grants": _pending,
    "imports": _import,
}
