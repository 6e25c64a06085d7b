"""`/policy`, `/instances`, `/me`: what is in force, who enforces it, and who asks."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_admin import InstanceOut, MeOut, PolicyOut
from tenantgate.admin.standing import read_policy
from tenantgate.admin.wire import GivenInstant, Listing
from tenantgate.registry import instances
from tenantgate.registry.errors import NotFoundError

routes: Final = Routes("Policy")

Sort = Annotated[str | None, sorting(instances.INSTANCES)]
Search = Annotated[str | None, searching("an id")]
SeenSince = Annotated[GivenInstant | None, Query(description="Only those heard of since then.")]


@routes.get("/policy")
def get_policy(call: Calling) -> PolicyOut:
    """Show epoch and revision of the policy, and which instances enforce it."""
    with call.reading() as session:
        return read_policy(session, now=call.now)


@routes.get("/instances")
def list_instances(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    kind: Text = None,
    seen_since: SeenSince = None,
) -> Listing[InstanceOut]:
    """List the processes that enforce the policy, those that died unseen included."""
    with call.reading() as session:
        page = instances.list_(
            session, after=cursor, limit=limit, sort=sort, search=search, kind=kind, seen_since=seen_since
        )
    return listing(page, InstanceOut)


@routes.get("/instances/{id}", NotFoundError)
def get_instance(call: Calling, id_: PathId) -> InstanceOut:
    """Show an instance."""
    with call.reading() as session:
        return InstanceOut.model_validate(instances.get(session, id_))


@routes.get("/me")
def who_am_i(call: Calling) -> MeOut:
    """Show who you are here, what you may, and why."""
    return MeOut.of(call.admitted)
