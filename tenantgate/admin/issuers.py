"""`/issuers`: what is trusted to sign."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import to_builtins

from tenantgate.admin.entry import require_role
from tenantgate.admin.parameters import Cursor, Limit, PathId, listing, searching, sorting
from tenantgate.admin.route import Call, Calling, Routes
from tenantgate.admin.shapes import (
    FindingOut,
    IssuerChange,
    IssuerHealthOut,
    IssuerIn,
    IssuerOut,
    KeyIn,
    ProbeOut,
    health_out,
)
from tenantgate.admin.standing import HEARD_OF
from tenantgate.admin.wire import Listing
from tenantgate.core.policy import IssuerKind, IssuerRow
from tenantgate.registry import issuer_health, issuers
from tenantgate.registry.errors import ConflictError, NotFoundError

routes: Final = Routes("Issuers")

Sort = Annotated[str | None, sorting(issuers.ISSUERS)]
Search = Annotated[str | None, searching("an id, an `iss` or an authority")]


@routes.create("/issuers", ConflictError)
def create_issuer(call: Calling, body: IssuerIn) -> IssuerOut:
    """Trust an issuer. No tenant of it is let in before it is listed."""
    with call.changing() as work:
        row = issuers.create(work, body.to_spec())
    call.created(f"/issuers/{row.id}")
    return IssuerOut.model_validate(row)


@routes.get("/issuers")
def list_issuers(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    kind: IssuerKind | None = None,
) -> Listing[IssuerOut]:
    """List issuers."""
    with call.reading() as session:
        page = issuers.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            kind=kind,
        )
    return listing(page, IssuerOut)


@routes.get("/issuers/{id}", NotFoundError)
def get_issuer(call: Calling, id_: PathId) -> IssuerOut:
    """Show an issuer."""
    with call.reading() as session:
        return IssuerOut.model_validate(issuers.get(session, id_))


@routes.amend("/issuers/{id}", NotFoundError)
def change_issuer(call: Calling, id_: PathId, body: IssuerChange) -> IssuerOut:
    """Change how an issuer's keys are had and its tokens read, from the next request on. Who it is stays."""
    with call.changing() as work:
        row = issuers.change(work, id_, body.to_members())
    return IssuerOut.model_validate(row)


@routes.change("/issuers/{id}/delete", NotFoundError, ConflictError)
def delete_issuer(call: Calling, id_: PathId) -> IssuerOut:
    """Trust an issuer no more, where nothing names it. It is gone then; what it was stays in the audit."""
    with call.changing() as work:
        row = issuers.delete(work, id_)
    return IssuerOut.model_validate(row)


@routes.get("/issuers/{id}/health", NotFoundError)
def get_issuer_health(call: Calling, id_: PathId) -> IssuerHealthOut:
    """Show how an issuer's keys are doing in each running instance: their age, the last error, the clocks."""
    with call.reading() as session:
        issuers.get(session, id_)
        rows = issuer_health.list_(session, issuer=id_, seen_since=call.now - HEARD_OF)
        return health_out(id_, rows)


@routes.change("/issuers/{id}/distrust-key", NotFoundError, body=True)
def distrust_issuer_key(call: Calling, id_: PathId, body: KeyIn) -> IssuerOut:
    """Let no token in that this key signed, from the next request on, whatever the issuer publishes."""
    with call.changing() as work:
        row = issuers.distrust_key(work, id_, body.key)
    return IssuerOut.model_validate(row)


@routes.change("/issuers/{id}/trust-key", NotFoundError, body=True)
def trust_issuer_key(call: Calling, id_: PathId, body: KeyIn) -> IssuerOut:
    """Let a distrusted key count again, named as it was when it was distrusted."""
    with call.changing() as work:
        row = issuers.trust_key(work, id_, body.key)
    return IssuerOut.model_validate(row)


@routes.look("/issuers/probe")
def probe_issuer(call: Calling, body: IssuerIn) -> ProbeOut:
    """Look at an issuer that may not be in the policy: can its keys be had, and what are they? Nothing is kept.

    With `allow_private_addresses`, `insecure_allow_http`, `ca_bundle` or `proxy` it is for Admins, as making such an
    issuer is, unless one is listed that is reached in the same way.
    """
    row = issuers.check(body.to_spec(), body.id or "probed")
    _require_reach(call, row)
    findings = call.context.probing.run(call.operator.id, row)
    return ProbeOut(
        ok=all(each.state != "failed" for each in findings),
        findings=[FindingOut(**to_builtins(each)) for each in findings],
    )


def _require_reach(call: Call, row: IssuerRow) -> None:
    """Refuse a look to where only an Admin may send one: whoever only onboards must not search our own network."""
    further = issuers.further(row)
    if not further:
        return
    with call.reading() as session:
        listed = issuers.is_reached_alike(session, row)
    if not listed:
        what = f"a look with {', '.join(further)} at an issuer that is not listed so"
        require_role(call.admitted, "Admin", what, field=further[0])
