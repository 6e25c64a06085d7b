"""Where the policy is enforced: the proof beside what was changed, and a page with every instance."""

from __future__ import annotations

from starlette.responses import Response

from tenantgate.registry import enforcement
from tenantgate.web.call import Call
from tenantgate.web.guard import Visitor


def show(call: Call, visitor: Visitor) -> Response:
    """Show who enforces the newest revision; htmx, which asks by itself until all do, gets the proof alone."""
    with call.reading() as session:
        proof = enforcement.read(session, now=call.now)
    template = "_enforcement.html" if call.htmx else "enforcement.html"
    return call.page(template, visitor, proof=proof)
