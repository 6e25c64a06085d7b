"""Answers as the description shows them: the policy. Each is what the example of the body makes; nobody is real."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from tenantgate.admin.shapes import (
    AppRoleIn,
    AppRoleOut,
    DaemonIn,
    DaemonOut,
    DroppedKeyOut,
    FindingOut,
    GrantedOut,
    IssuerHealthOut,
    IssuerIn,
    IssuerOut,
    KeyEventOut,
    KeyHealthOut,
    KeySetHealthOut,
    PartnerIn,
    PartnerOut,
    ProbeOut,
    RoleAssignmentIn,
    RoleAssignmentOut,
    RoleMappingIn,
    RoleMappingOut,
    TenantIn,
    TenantOut,
)
from tenantgate.admin.shapes_resources import ResourceIn, ResourceOut
from tenantgate.admin.wire import In, Out, parse_instant

Shape = TypeVar("Shape", bound=Out)

MADE: Final = parse_instant("2030-05-02T08:00:00Z")
LATER: Final = parse_instant("2030-05-02T09:30:00Z")
END: Final = parse_instant("2031-01-31T00:00:00Z")
TID: Final = "11111111-2222-4333-8444-555555555555"
CLIENT_ID: Final = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
WRITTEN: Final[dict[str, Any]] = {"created_at": MADE, "created_by": "ada", "updated_at": MADE, "version": 1}
"""Of a row that nobody has changed yet."""


def made_of(body: type[In], shape: type[Shape], **members: object) -> Shape:
    """Return what `body`'s own example makes. What only the server knows is in `members`."""
    extra: Any = body.model_config["json_schema_extra"]
    sent = body.model_validate(extra["examples"][0]).model_dump()
    known = WRITTEN | sent | members
    return shape.model_validate({name: value for name, value in known.items() if name in shape.model_fields})


_KEY: Final = "4yJ0dVwFmqQk0wY2pXbq8S1nT6u3oC5hLr7aEi9gZxM"
_ISSUER: Final = made_of(
    IssuerIn,
    IssuerOut,
    v1_issuer="https://sts.windows.net/{tenantid}/",
    v2_issuer="https://login.microsoftonline.com/{tenantid}/v2.0",
    v1_metadata_url="https://login.microsoftonline.com/common/.well-known/openid-configuration",
    metadata_url="https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration",
)
_PROBE: Final = ProbeOut(
    ok=False,
    findings=[
        FindingOut(
            document="v2",
            step="connection",
            state="failed",
            detail="the certificate is not one of a known authority",
            code="tls",
            advice="Give the issuer's own authorities as `ca_bundle`.",
        )
    ],
)
_HEALTH: Final = IssuerHealthOut(
    issuer="entra",
    key_sets=[
        KeySetHealthOut(
            instance="gate-1",
            reported_at=LATER,
            document="v2",
            appid=None,
            static=False,
            restored=False,
            too_old=False,
            fetched_at=MADE,
            tried_at=MADE,
            due_at=LATER,
            failures=0,
            last_error=None,
            last_detail="",
            metadata_error=None,
            clock_ahead=0,
            clock_ahead_at_most=1,
            keys=[
                KeyHealthOut(
                    kid="1a2b3c", alg="RS256", thumbprint=_KEY, state="serving", first_seen=MADE, last_seen=MADE
                )
            ],
            dropped=[DroppedKeyOut(kid="4d5e6f", reason="use is enc")],
            history=[KeyEventOut(at=MADE, kid="1a2b3c", change="added")],
        )
    ],
)
_ASSIGNMENT: Final = made_of(
    RoleAssignmentIn, RoleAssignmentOut, id="asg-mfrggzdfmztwq2lk", granted_by="ada", approved_by=None
)

POLICY: Final[tuple[Out, ...]] = (
    _ISSUER,
    _PROBE,
    _HEALTH,
    made_of(PartnerIn, PartnerOut),
    made_of(TenantIn, TenantOut, state="active"),
    made_of(DaemonIn, DaemonOut, state="active"),
    made_of(ResourceIn, ResourceOut),
    made_of(AppRoleIn, AppRoleOut),
    _ASSIGNMENT,
    GrantedOut(**dict(_ASSIGNMENT), warnings=[]),
    made_of(RoleMappingIn, RoleMappingOut),
)
