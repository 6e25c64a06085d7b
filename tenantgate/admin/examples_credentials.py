"""Answers as the description shows them: who administers, and what daemons present. No value here opens anything."""

from __future__ import annotations

from typing import Final

from tenantgate.admin.examples_policy import CLIENT_ID, END, LATER, MADE, TID, WRITTEN, made_of
from tenantgate.admin.shapes_access_requests import AccessRequestOut
from tenantgate.admin.shapes_admin import (
    AdminKeyBrief,
    AdminKeyIn,
    AdminKeyOut,
    IdentityIn,
    IdentityOut,
    MeOut,
    NewAdminKeyOut,
    OperatorBrief,
    OperatorIn,
    OperatorOut,
)
from tenantgate.admin.shapes_approval import PendingGrantOut, PendingGrantShown
from tenantgate.admin.shapes_credentials import (
    EXAMPLE_CERTIFICATE,
    ClientCertificateIn,
    ClientCertificateOut,
    NewSubscriptionKeyOut,
    SubscriptionKeyIn,
    SubscriptionKeyOut,
)
from tenantgate.admin.shapes_invitations import (
    ApprovedInvitationOut,
    GivenRole,
    InvitationIn,
    InvitationOut,
    InvitationShown,
    NewInvitationOut,
    invitation_address,
)
from tenantgate.admin.wire import Out
from tenantgate.core.certificate import parse_certificate

SECRET: Final = "SHOWN-ONCE"
"""In place of a secret: no key has this form."""
_TID: Final = "22222222-2222-4333-8444-555555555555"
_CLIENT: Final = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee"

_ADMIN_KEY: Final = made_of(
    AdminKeyIn, AdminKeyOut, id="key-mfrggzdfmztwq2lk", created_by="grace", revoked_at=None, last_used_at=LATER
)
_OPERATOR: Final = made_of(OperatorIn, OperatorOut, created_by="grace", state="active")
_IDENTITY: Final = made_of(IdentityIn, IdentityOut, id="idn-mfrggzdfmztwq2lk", operator="ada", sub=None)
_ME: Final = MeOut(
    scheme="admin_key",
    operator=OperatorBrief.model_validate(_OPERATOR),
    role="Viewer",
    scopes=["partners"],
    why=[
        "operator ada has the role Operator",
        f"admin key {_ADMIN_KEY.id} may do no more than the role Viewer does",
        f"admin key {_ADMIN_KEY.id} is for partners alone",
    ],
    admin_key=AdminKeyBrief.model_validate(_ADMIN_KEY),
    identity=None,
)
_FACTS: Final = parse_certificate(EXAMPLE_CERTIFICATE, now=MADE)
_CERTIFICATE: Final = made_of(
    ClientCertificateIn,
    ClientCertificateOut,
    id="crt-mfrggzdfmztwq2lk",
    thumbprint=_FACTS.thumbprint,
    spki_thumbprint=_FACTS.spki_thumbprint,
    subject=_FACTS.subject,
    issuer_name=_FACTS.issuer,
    serial=_FACTS.serial,
    not_before=_FACTS.not_before,
    not_after=_FACTS.not_after,
    state="active",
)
_SUBSCRIPTION_KEY: Final = made_of(SubscriptionKeyIn, SubscriptionKeyOut, id="sub-mfrggzdfmztwq2lk", revoked_at=None)
_INVITATION: Final = made_of(
    InvitationIn,
    InvitationOut,
    id="inv-mfrggzdfmztwq2lk",
    state="open",
    tid=None,
    client_id=None,
    redeemed_at=None,
    redeemed_from=None,
    decided_by=None,
    decided_at=None,
    daemon=None,
)
_GIVEN: Final = GivenRole(id="orders-read", resource="orders", value="Orders.Read", sensitive=False, how="invitation")
_REDEEMED: Final = _INVITATION.model_copy(
    update={
        "state": "approved",
        "tid": _TID,
        "client_id": _CLIENT,
        "redeemed_at": LATER,
        "redeemed_from": "192.0.2.7",
        "decided_by": "ada",
        "decided_at": LATER,
        "daemon": "dmn-mfrggzdfmztwq2lk",
        "version": 3,
    }
)
_PENDING: Final = PendingGrantOut(
    **WRITTEN,
    id="pnd-mfrggzdfmztwq2lk",
    kind="grant",
    app_role="orders-write",
    daemon="contoso-nightly",
    tenant=None,
    not_before=None,
    expires_at=END,
    reason="contract 4711",
    ticket="REQ-4711",
    assignment=None,
    asked={
        "role": {"resource": "orders", "value": "Orders.Write"},
        "tenant": {"id": "contoso-entra", "issuer": "entra", "tid": TID, "partner": "contoso"},
        "daemon": {"client_id": CLIENT_ID, "partner": None},
    },
    scheme="admin_key",
    state="open",
    open_until=MADE + 7 * 86_400,
    decided_by=None,
    decided_scheme=None,
    decided_at=None,
)
_ACCESS_REQUEST: Final = AccessRequestOut(
    id="acr-mfrggzdfmztwq2lk",
    resource="orders",
    issuer="entra",
    tid=_TID,
    client_id=_CLIENT,
    oid="dddddddd-1111-4222-8333-444444444444",
    oids_differ=False,
    reason="tenant_not_listed",
    state="open",
    count=12,
    first_seen_at=MADE,
    last_seen_at=LATER,
    decided_at=None,
    decided_by=None,
    daemon=None,
    version=1,
)

CREDENTIALS: Final[tuple[Out, ...]] = (
    _OPERATOR,
    _ADMIN_KEY,
    NewAdminKeyOut(**dict(_ADMIN_KEY), value=f"tg_{_ADMIN_KEY.id}_{SECRET}"),
    _IDENTITY,
    _ME,
    _CERTIFICATE,
    _SUBSCRIPTION_KEY,
    NewSubscriptionKeyOut(**dict(_SUBSCRIPTION_KEY), value=f"tgs_{_SUBSCRIPTION_KEY.id}_{SECRET}"),
    _INVITATION,
    InvitationShown(**dict(_INVITATION), gives=[_GIVEN], warnings=[]),
    NewInvitationOut(**dict(_INVITATION), url=invitation_address("https://gate.publisher.example", SECRET)),
    ApprovedInvitationOut(
        invitation=_REDEEMED,
        partner="contoso",
        tenant="tnt-mfrggzdfmztwq2lk",
        daemon="dmn-mfrggzdfmztwq2lk",
        role_assignments=["asg-mfrggzdfmztwq2lk"],
        pending_grants=[],
    ),
    _PENDING,
    PendingGrantShown(**dict(_PENDING), warnings=[]),
    _ACCESS_REQUEST,
)
