"""`/partners`: the companies."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.bulk import moved
from tenantgate.admin.parameters import Cursor, EndsAfter, EndsBefore, Limit, PathId, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes import PartnerIn, PartnerOut
from tenantgate.admin.shapes_bulk import BulkIn, BulkOut
from tenantgate.admin.shapes_changes import PartnerChange
from tenantgate.admin.wire import Listing
from tenantgate.core.policy import PartnerState
from tenantgate.registry import partners
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError
from tenantgate.registry.tables import Partner

routes: Final = Routes("Partners")

Sort = Annotated[str | None, sorting(partners.PARTNERS)]
Search = Annotated[
    str | None, searching("an id, a name, the tid of a tenant of theirs, or the client id of a daemon of theirs")
]


@routes.create("/partners", ConflictError)
def create_partner(call: Calling, body: PartnerIn) -> PartnerOut:
    """List a company. Nothing of it is let in before a tenant, a daemon and a role are listed, too."""
    with call.changing() as work:
        row = partners.create(work, body.to_spec())
    call.created(f"/partners/{row.id}")
    return PartnerOut.model_validate(row)


@routes.get("/partners")
def list_partners(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    state: PartnerState | None = None,
    ends_after: EndsAfter = None,
    ends_before: EndsBefore = None,
) -> Listing[PartnerOut]:
    """List partners."""
    with call.reading() as session:
        page = partners.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            state=state,
            ends_after=ends_after,
            ends_before=ends_before,
        )
    return listing(page, PartnerOut)


@routes.get("/partners/{id}", NotFoundError)
def get_partner(call: Calling, id_: PathId) -> PartnerOut:
    """Show a partner."""
    with call.reading() as session:
        return PartnerOut.model_validate(partners.get(session, id_))


@routes.amend("/partners/{id}", NotFoundError, TransitionError)
def change_partner(call: Calling, id_: PathId, body: PartnerChange) -> PartnerOut:
    """Change name, end, contacts or notes of a partner."""
    with call.changing() as work:
        row = partners.change(work, id_, body.to_members())
    return PartnerOut.model_validate(row)


@routes.change("/partners/{id}/suspend", NotFoundError, TransitionError)
def suspend_partner(call: Calling, id_: PathId) -> PartnerOut:
    """Let nothing of this partner in any more, from its next request on."""
    with call.changing() as work:
        row = partners.suspend(work, id_)
    return PartnerOut.model_validate(row)


@routes.change("/partners/{id}/activate", NotFoundError, TransitionError)
def activate_partner(call: Calling, id_: PathId) -> PartnerOut:
    """Let an invited or suspended partner's daemons in."""
    with call.changing() as work:
        row = partners.activate(work, id_)
    return PartnerOut.model_validate(row)


@routes.change("/partners/{id}/archive", NotFoundError, TransitionError)
def archive_partner(call: Calling, id_: PathId) -> PartnerOut:
    """End it for good: everything is kept, nothing comes back."""
    with call.changing() as work:
        row = partners.archive(work, id_)
    return PartnerOut.model_validate(row)


@routes.change("/partners/suspend", body=True)
def suspend_partners(call: Calling, body: BulkIn) -> BulkOut:
    """Let nothing of these partners in any more: all of them, or none, by one revision."""
    return moved(call, Partner, partners.suspend, body)


@routes.change("/partners/activate", body=True)
def activate_partners(call: Calling, body: BulkIn) -> BulkOut:
    """Let these partners' daemons in: all of them, or none, by one revision."""
    return moved(call, Partner, partners.activate, body)
