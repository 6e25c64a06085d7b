"""`/client-certificates`: which certificates daemons may show. Kept and audited; no gate judges by them yet."""

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
from tenantgate.admin.shapes_credentials import CertificateState, ClientCertificateIn, ClientCertificateOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import certificates
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError

routes: Final = Routes("Client certificates")

Sort = Annotated[str | None, sorting(certificates.CERTIFICATES)]
Search = Annotated[str | None, searching("an id, a name, a subject or a thumbprint")]


@routes.create("/client-certificates", ConflictError, TransitionError, policy=False)
def create_client_certificate(call: Calling, body: ClientCertificateIn) -> ClientCertificateOut:
    """Add a certificate to a daemon: the public part, alone. It is read, and thumbprints and dates are kept."""
    with call.changing() as work:
        row = certificates.create(work, body.to_spec())
    call.created(f"/client-certificates/{row.id}")
    return ClientCertificateOut.model_validate(row)


@routes.get("/client-certificates")
def list_client_certificates(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    daemon: Text = None,
    partner: OfPartner = None,
    thumbprint: Text = None,
    state: CertificateState | None = None,
    expires_after: EndsAfter = None,
    expires_before: EndsBefore = None,
) -> Listing[ClientCertificateOut]:
    """List certificates, those that ended included. They are held against `not_after` where ends are asked for."""
    with call.reading() as session:
        page = certificates.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            daemon=daemon,
            partner=partner,
            thumbprint=thumbprint,
            state=state,
            expires_after=expires_after,
            expires_before=expires_before,
        )
    return listing(page, ClientCertificateOut)


@routes.get("/client-certificates/{id}", NotFoundError)
def get_client_certificate(call: Calling, id_: PathId) -> ClientCertificateOut:
    """Show a certificate."""
    with call.reading() as session:
        return ClientCertificateOut.model_validate(certificates.get(session, id_))


@routes.change("/client-certificates/{id}/suspend", NotFoundError, TransitionError, policy=False)
def suspend_client_certificate(call: Calling, id_: PathId) -> ClientCertificateOut:
    """Take it for no credential until it is activated."""
    with call.changing() as work:
        row = certificates.suspend(work, id_)
    return ClientCertificateOut.model_validate(row)


@routes.change("/client-certificates/{id}/activate", NotFoundError, TransitionError, policy=False)
def activate_client_certificate(call: Calling, id_: PathId) -> ClientCertificateOut:
    """Take it for a credential again."""
    with call.changing() as work:
        row = certificates.activate(work, id_)
    return ClientCertificateOut.model_validate(row)


@routes.change("/client-certificates/{id}/revoke", NotFoundError, TransitionError, policy=False)
def revoke_client_certificate(call: Calling, id_: PathId) -> ClientCertificateOut:
    """End it for good: the same certificate can be added to no daemon again."""
    with call.changing() as work:
        row = certificates.revoke(work, id_)
    return ClientCertificateOut.model_validate(row)
