"""`/attention`: what needs a person."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_attention import AttentionKind, AttentionOut, attention_out
from tenantgate.registry import attention

routes: Final = Routes("Attention")

OfKind = Annotated[AttentionKind | None, Query(description="Only items of this kind; the counts are of all.")]


@routes.get("/attention")
def get_attention(call: Calling, kind: OfKind = None) -> AttentionOut:
    """Show what needs a person: who asks to be let in, what ends within 30 days, what fails."""
    with call.reading() as session:
        found = attention.read(session, now=call.now)
    return attention_out(found, kind)
