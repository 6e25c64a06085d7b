"""`/subscription-keys`: values of ours that daemons may show. Kept and audited; no gate judges by them yet."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.parameters import (
    Cursor,
    EndsAfter,
    EndsBefore,
    Limit,
    OfPartner,
    PathId,
    Text,
    listing,
    searching,
    sorting,
)
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_credentials import (
    NewSubscriptionKeyOut,
    RotationIn,
    SubscriptionKeyIn,
    SubscriptionKeyOut,
)
from tenantgate.admin.wire import Listing
from tenantgate.registry import subscription_keys
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError

routes: Final = Routes("Subscription keys")

Sort = Annotated[str | None, sorting(subscription_keys.SUBSCRIPTION_KEYS)]
Search = Annotated[str | None, searching("an id or a name")]


@routes.create("/subscription-keys", ConflictError, TransitionError, policy=False)
def create_subscription_key(call: Calling, body: SubscriptionKeyIn) -> NewSubscriptionKeyOut:
    """Make a subscription key for a daemon. This answer is the only place where its value stands."""
    with call.changing() as work:
        made = subscription_keys.create(work, body.to_spec(), random_bytes=call.context.random_bytes)
    call.created(f"/subscription-keys/{made.row.id}")
    return NewSubscriptionKeyOut.of(made)


@routes.get("/subscription-keys")
def list_subscription_keys(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    daemon: Text = None,
    partner: OfPartner = None,
    expires_after: EndsAfter = None,
    expires_before: EndsBefore = None,
) -> Listing[SubscriptionKeyOut]:
    """List subscription keys, those that ended included."""
    with call.reading() as session:
        page = subscription_keys.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            daemon=daemon,
            partner=partner,
            expires_after=expires_after,
            expires_before=expires_before,
        )
    return listing(page, SubscriptionKeyOut)


@routes.get("/subscription-keys/{id}", NotFoundError)
def get_subscription_key(call: Calling, id_: PathId) -> SubscriptionKeyOut:
    """Show a subscription key, never its value."""
    with call.reading() as session:
        return SubscriptionKeyOut.model_validate(subscription_keys.get(session, id_))


@routes.create("/subscription-keys/{id}/rotate", NotFoundError, ConflictError, TransitionError, policy=False)
def rotate_subscription_key(call: Calling, id_: PathId, body: RotationIn) -> NewSubscriptionKeyOut:
    """Make the next key of the same name; the old one works on for the overlap. Its value stands here alone."""
    with call.changing() as work:
        made = subscription_keys.rotate(work, id_, body.to_spec(), random_bytes=call.context.random_bytes)
    call.created(f"/subscription-keys/{made.row.id}")
    return NewSubscriptionKeyOut.of(made)


@routes.change("/subscription-keys/{id}/revoke", NotFoundError, TransitionError, policy=False)
def revoke_subscription_key(call: Calling, id_: PathId) -> SubscriptionKeyOut:
    """End a subscription key at once."""
    with call.changing() as work:
        row = subscription_keys.revoke(work, id_)
    return SubscriptionKeyOut.model_validate(row)
