"""`/client-certificates`: which certificates daemons may show. Kept and audited; no gate judges by them yet."""

from __future__ import annotations

from typing import Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_credentials import ClientCertificateIn, ClientCertificateOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import certificates
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError

routes: Final = Routes("Client certificates")


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
    daemon: Text = None,
    thumbprint: Text = None,
    state: Text = None,
) -> Listing[ClientCertificateOut]:
    """List certificates in order of id, those that ended included."""
    with call.reading() as session:
        page = certificates.list_(session, after=cursor, limit=limit, daemon=daemon, thumbprint=thumbprint, state=state)
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
