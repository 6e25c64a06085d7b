"""What needs a person, as answers and commands show it."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from tenantgate.admin.wire import Instant, Out
from tenantgate.registry.attention import MOST, Item

AttentionKind = Literal[
    "issuer_failing",
    "instance_lagging",
    "instance_silent",
    "object_id_conflict",
    "access_request",
    "invitation_redeemed",
    "pending_grant",
    "role_ending",
    "partner_ending",
    "admin_key_ending",
    "certificate_ending",
    "subscription_key_ending",
    "invitation_ending",
    "decisions_dropped",
]
SHOWN: Final = 100
"""Items of one kind in an answer; the counts say how many there are."""


class AttentionItem(Out):
    """One thing that needs a person."""

    kind: AttentionKind
    id: str = Field(description="Of what it is about.")
    text: str
    since: Instant | None
    until: Instant | None = Field(description="When it ends.")
    href: str = Field(description="Where it is.", examples=["/api/v1/access-requests/acr-mfrggzdfmztwq2lk"])


class AttentionOut(Out):
    """What needs a person, kind by kind."""

    counts: dict[str, int] = Field(description=f"How many of each kind; {MOST} stands for at least so many.")
    items: list[AttentionItem] = Field(description=f"The most pressing {SHOWN} of each kind.")


def attention_out(found: dict[str, list[Item]], kind: AttentionKind | None = None) -> AttentionOut:
    """Return what was found as it goes over the wire."""
    shown = [item for name, items in found.items() if kind in (None, name) for item in items[:SHOWN]]
    return AttentionOut(
        counts={name: len(items) for name, items in found.items()},
        items=[
            AttentionItem.model_validate(
                {
                    "kind": item.kind,
                    "id": item.id,
                    "text": item.text,
                    "since": item.since,
                    "until": item.until,
                    "href": f"/api/v1{item.path}",
                }
            )
            for item in shown
        ],
    )
