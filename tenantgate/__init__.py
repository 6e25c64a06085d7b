"""TenantGate: an allow-list of partner tenants for your API, and the gate that enforces it.

The names below are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenantgate.core.decision import Decision, DenialReason, Denied, Granted, Principal, PublicCode
    from tenantgate.embed import open_gate
    from tenantgate.gate.gate import Gate
    from tenantgate.gate.request import RequestView

__all__ = [
    "Decision",
    "DenialReason",
    "Denied",
    "Gate",
    "Granted",
    "Principal",
    "PublicCode",
    "RequestView",
    "open_gate",
]

_HOMES = {
    "Decision": "tenantgate.core.decision",
    "DenialReason": "tenantgate.core.decision",
    "Denied": "tenantgate.core.decision",
    "Gate": "tenantgate.gate.gate",
    "Granted": "tenantgate.core.decision",
    "Principal": "tenantgate.core.decision",
    "PublicCode": "tenantgate.core.decision",
    "RequestView": "tenantgate.gate.request",
    "open_gate": "tenantgate.embed",
}


def __getattr__(name: str) -> Any:
    """Import an exported name from its home (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tenantgate' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*(name for name in globals() if name.startswith("__")), *__all__])
