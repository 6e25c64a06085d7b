"""A token as one make of issuer writes it, and the smallest policy that lets its bearer in.

Every test changes one thing in either. The policy passes the same rules as an operator's before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tenantgate.core.decide import decide
from tenantgate.core.decision import Decision, DenialReason, Denied, Granted, Principal
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import Torn
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import (
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicySnapshot,
    ResourceRow,
    RoleAssignmentRow,
    RowData,
    TenantRow,
    row_of,
)
from tenantgate.core.rules import check_references, check_row
from tenantgate.core.trace import Trace, explain
from tests.builders import EXPIRES_AT, ISSUED_AT, NOW, changed, signer

AUDIENCE = "api://orders.example"
KEY = signer("ES256", "made")


@dataclass(frozen=True)
class Made:
    """One make: its profile, its `iss`, how its daemon is listed, and the claims and header of its tokens."""

    profile: str
    iss: str
    client_id: str
    claims: dict[str, Any]
    subject: str | None = None
    header: dict[str, Any] = field(default_factory=lambda: {"typ": "JWT"})

    def token(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Return a token of this make, granted but for the claims that are changed (`...` leaves one out)."""
        base = {"iss": self.iss, "aud": AUDIENCE, "iat": ISSUED_AT, "exp": EXPIRES_AT, **self.claims}
        whole = {"alg": KEY.alg, "kid": KEY.kid, **self.header}
        return KEY.sign(changed(base, changes), changed(whole, header or {}))

    def rows(self, row: dict[str, Any], daemon: dict[str, Any], resource: dict[str, Any]) -> list[RowData]:
        """Return the policy, with members of the issuer, daemon and resource changed."""
        rows: list[RowData] = [
            IssuerRow(
                **changed(
                    {
                        "id": "made",
                        "kind": "oidc",
                        "issuer": self.iss,
                        "profile": self.profile,
                        "jwks": {"keys": [KEY.jwk()]},
                    },
                    row,
                )
            ),
            PartnerRow(id="acme", name="Acme"),
            TenantRow(id="theirs", issuer="made", hosted=True),
            DaemonRow(
                **changed(
                    {
                        "id": "sync",
                        "tenant": "theirs",
                        "partner": "acme",
                        "client_id": self.client_id,
                        "subject": self.subject,
                    },
                    daemon,
                )
            ),
            ResourceRow(**changed({"id": "orders", "audiences": (AUDIENCE,)}, resource)),
            AppRoleRow(id="reader", resource="orders", value="Orders.Read"),
            RoleAssignmentRow(id="reads", app_role="reader", daemon="sync"),
        ]
        checked = [check_row(each) for each in rows]
        check_references(checked)
        return checked

    def index(self, **rows: dict[str, Any]) -> PolicyIndex:
        """Return the policy in force (`row`, `daemon`, `resource` change members)."""
        wanted = self.rows(rows.get("row", {}), rows.get("daemon", {}), rows.get("resource", {}))
        return PolicyIndex.from_snapshot(
            PolicySnapshot(epoch="e1", revision=1, rows=tuple(row_of(each, 1) for each in wanted))
        )

    def ask(self, token: str, **rows: dict[str, Any]) -> Decision:
        """Judge a token in the policy, as changed."""
        index = self.index(**rows)
        decision = decide(token, index, _keys(index), "orders", (), NOW)
        assert not isinstance(decision, Torn)
        return decision

    def explain(self, token: str, **rows: dict[str, Any]) -> Trace:
        """Explain that judgement."""
        index = self.index(**rows)
        return explain(token, index, _keys(index), "orders", (), NOW)

    def reason(self, header: dict[str, Any] | None = None, **changes: Any) -> DenialReason | None:
        """Return why a changed token is refused in the unchanged policy, None where it is not."""
        return reason_of(self.ask(self.token(header, **changes)))

    def roles(self, row: dict[str, Any] | None = None, **changes: Any) -> bool:
        """Return whether the token's own roles hold `Orders.Read` (`token_roles` = `intersect`)."""
        decision = self.ask(self.token(**changes), row=row or {}, resource={"token_roles": "intersect"})
        if isinstance(decision, Denied):
            assert decision.reason is DenialReason.ROLE_NOT_ASSIGNED, decision
        return isinstance(decision, Granted)


def _keys(index: PolicyIndex) -> StaticKeys:
    return StaticKeys(entry.row for entry in index.issuers.values())


def reason_of(decision: Decision) -> DenialReason | None:
    """Return why, or None where the caller was let in."""
    return decision.reason if isinstance(decision, Denied) else None


def principal_of(decision: Decision) -> Principal:
    """Return who came in."""
    assert isinstance(decision, Granted), decision
    return decision.principal
