"""What the test kit's tests share: one question, one outcome, one look into a token."""

from __future__ import annotations

from typing import Any

import jwt

from tenantgate.core.decision import Decision, Denied
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView

READ = ("Orders.Read",)
ROLES = {"acme": ["Orders.Read"]}


def ask(gate: Gate, token: str, roles: tuple[str, ...] = READ) -> Decision:
    """Present a token."""
    return gate.decide(RequestView("GET", "/orders", [(b"authorization", f"Bearer {token}".encode())]), roles)


def outcome(decision: Decision) -> str:
    """Return `granted`, or the reason."""
    return decision.reason.value if isinstance(decision, Denied) else "granted"


def claims_of(token: str) -> dict[str, Any]:
    """Return a token's claims, read by another library and unverified."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found
