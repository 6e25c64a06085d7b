"""What a sensitive role was asked for, as the second operator reads it: what the ids stood for, not the ids alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantgate.registry.approval_tables import PendingGrant

_PARTS: Final = ("role", "resource", "daemon", "tenant", "issuer", "partner")
_NONE: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Asked:
    """What stands in a request. Texts are strangers' or operators': to be escaped and bounded. Epoch seconds.

    `facts` are pairs of what it is and a text; `partner` is its id, empty where a version before did not keep it;
    `window` is the one that is to be another, where one is: its beginning and its end, None without a bound.
    """

    role: str
    resource: str
    partner: str
    ends_at: int | None
    facts: tuple[tuple[str, str], ...]
    window: tuple[int | None, int | None] | None = None


def read(row: PendingGrant) -> Asked:
    """Return what a request says. One that a version before made says less; nothing is made up for it."""
    part: dict[str, Mapping[str, Any]] = {name: row.asked.get(name) or _NONE for name in _PARTS}
    held = row.asked.get("assignment")
    return Asked(
        role=part["role"].get("value") or row.app_role,
        resource=part["role"].get("resource") or "",
        partner=part["partner"].get("id") or part["daemon"].get("partner") or part["tenant"].get("partner") or "",
        ends_at=part["partner"].get("ends_at"),
        facts=tuple((name, text) for name, text in _facts(**part) if text),
        window=(held.get("not_before"), held.get("expires_at")) if held else None,
    )


def _facts(
    *,
    resource: Mapping[str, Any],
    daemon: Mapping[str, Any],
    tenant: Mapping[str, Any],
    issuer: Mapping[str, Any],
    **_: Mapping[str, Any],
) -> list[tuple[str, str]]:
    strengths = {str(each.get("min_credential") or "none") for each in (daemon, resource)} - {"none"}
    return [
        ("audience", ", ".join(resource.get("audiences") or ())),
        ("tenant", tenant.get("tid") or ""),
        ("issuer", issuer.get("authority") or issuer.get("issuer") or tenant.get("issuer") or ""),
        ("client", daemon.get("client_id") or ""),
        ("object id", daemon.get("oid") or ""),
        ("subject", daemon.get("subject") or ""),
        ("credential", " and ".join(sorted(strengths))),
    ]
