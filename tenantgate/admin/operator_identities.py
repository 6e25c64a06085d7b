"""`/operators/{id}/identities`: who at an issuer of administrators' tokens is which operator."""

from __future__ import annotations

from typing import Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, listing
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_admin import IdentityIn, IdentityOut, UnlinkIn
from tenantgate.admin.wire import Listing
from tenantgate.registry import identities
from tenantgate.registry.errors import ConflictError, NotFoundError

routes: Final = Routes("Operators")


@routes.create("/operators/{id}/identities", ConflictError, NotFoundError, policy=False)
def link_identity(call: Calling, id_: PathId, body: IdentityIn) -> IdentityOut:
    """Let somebody at an issuer be this operator, with the lower one of the token's role and the operator's."""
    with call.changing() as work:
        row = identities.link(work, id_, body.to_identity())
    call.created(f"/operators/{id_}/identities")
    return IdentityOut.model_validate(row)


@routes.get("/operators/{id}/identities", NotFoundError)
def list_identities(call: Calling, id_: PathId, cursor: Cursor = None, limit: Limit = 50) -> Listing[IdentityOut]:
    """List an operator's identities in order of id."""
    with call.reading() as session:
        page = identities.list_(session, id_, after=cursor, limit=limit)
    return listing(page, IdentityOut)


@routes.change("/operators/{id}/unlink-identity", NotFoundError, policy=False, body=True)
def unlink_identity(call: Calling, id_: PathId, body: UnlinkIn) -> IdentityOut:
    """Let an identity be this operator no more, at once; the answer shows what it was.

    It shuts nobody out where `TENANTGATE_ADMIN_UNLINKED` is `create`: the identity's next token with a role makes
    another operator of it, with that role. To shut somebody out, suspend the operator.
    """
    with call.changing() as work:
        row = identities.unlink(work, id_, body.identity)
    return IdentityOut.model_validate(row)
