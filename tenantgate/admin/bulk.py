"""What the routes that move several things at once share."""

from __future__ import annotations

from tenantgate.admin.route import Call
from tenantgate.admin.shapes_bulk import BulkIn, BulkOut
from tenantgate.registry.bulk import Move, move_all
from tenantgate.registry.service import W


def moved(call: Call, table: type[W], move: Move[W], body: BulkIn) -> BulkOut:
    """Move all that the body names in one unit of work, and so in one revision."""
    with call.changing() as work:
        return BulkOut.of(move_all(work, table, move, body.ids, reason=body.reason))
