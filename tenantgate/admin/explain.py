"""`/explain`: why is this token let in, or not? Step by step; nothing is stored."""

from __future__ import annotations

from typing import Final

from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes import ROLE_VALUE_LENGTH
from tenantgate.admin.shapes_explain import PEER_LENGTH, ExplainIn, ExplainOut, explain_out
from tenantgate.core.fields import LIST_LENGTH
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.service import text

routes: Final = Routes("Explain")


@routes.look("/explain")
def explain_token(call: Calling, body: ExplainIn) -> ExplainOut:
    """Judge a token by the policy in the database, and write every step down. No keys are fetched for it."""
    if len(body.roles) > LIST_LENGTH:
        raise InvalidError("list_too_long", f"must not hold more than {LIST_LENGTH}", field="roles")
    for place, role in enumerate(body.roles):
        text(role, f"roles[{place}]", limit=ROLE_VALUE_LENGTH)
    if body.peer is not None:
        text(body.peer, "peer", limit=PEER_LENGTH)
    at = call.now if body.at is None else body.at
    explained = call.context.explaining.run(
        call.context.engine, body.token.get_secret_value(), body.resource, tuple(body.roles), at, body.peer
    )
    return explain_out(explained, at)
