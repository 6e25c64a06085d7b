"""`/decisions`: who was let in and who was not, and why."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Query

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_decisions import (
    CountsOut,
    DecisionExplained,
    DecisionOut,
    Dimension,
    decision_out,
    explained,
    slices_out,
)
from tenantgate.admin.wire import GivenInstant, Listing
from tenantgate.feed.sink import HOUR
from tenantgate.registry import decisions
from tenantgate.registry.decisions import DAY
from tenantgate.registry.errors import NotFoundError

routes: Final = Routes("Decisions")

Since = Annotated[GivenInstant | None, Query(description="Not before then.")]
Until = Annotated[GivenInstant | None, Query(description="Before then.")]
By = Annotated[Dimension, Query(description="What is told apart.")]
Step = Annotated[Literal["hour", "day"], Query(description="How long a period is; days are UTC's.")]


@routes.get("/decisions")
def list_decisions(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    since: Since = None,
    until: Until = None,
    outcome: Text = None,
    resource: Text = None,
    partner: Text = None,
    tenant: Text = None,
    daemon: Text = None,
    client_id: Text = None,
) -> Listing[DecisionOut]:
    """List decisions whose details were kept, newest first: denials, and a sample of the grants."""
    equal = {
        "outcome": outcome,
        "resource": resource,
        "partner": partner,
        "tenant": tenant,
        "daemon": daemon,
        "client_id": client_id,
    }
    with call.reading() as session:
        page = decisions.list_(session, after=cursor, limit=limit, since=since, until=until, equal=equal)
    return Listing[DecisionOut](items=[decision_out(row) for row in page.items], next=page.after)


@routes.get("/decisions/counts")
def count_decisions(
    call: Calling,
    by: By = "outcome",
    step: Step = "hour",
    since: Since = None,
    until: Until = None,
    outcome: Text = None,
    resource: Text = None,
    tenant: Text = None,
    client_id: Text = None,
) -> CountsOut:
    """Count all decisions by one dimension, of the last day where nothing else is said; at most 92 days."""
    end = call.now + 1 if until is None else until
    begin = end - DAY if since is None else since
    equal = {"outcome": outcome, "resource": resource, "tenant": tenant, "client_id": client_id}
    with call.reading() as session:
        found = decisions.counts(
            session, by=by, since=begin, until=end, step=HOUR if step == "hour" else DAY, equal=equal
        )
    return CountsOut(by=by, step=step, since=begin, until=end, items=slices_out(found))


@routes.get("/decisions/{id}", NotFoundError)
def get_decision(call: Calling, id_: PathId) -> DecisionExplained:
    """Show why a caller was refused, by the id in `X-TG-Decision`, and what either side can do."""
    with call.reading() as session:
        return explained(decisions.get(session, id_))
