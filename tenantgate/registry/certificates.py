"""Client certificates: which ones a daemon may show. Kept and audited now; no gate judges by them yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select

from tenantgate.core.certificate import CertificateFacts, parse_certificate
from tenantgate.core.fields import NAME_LENGTH
from tenantgate.core.policy import PolicyError
from tenantgate.registry.credential_tables import ClientCertificate
from tenantgate.registry.daemons import of_partner, require_open
from tenantgate.registry.errors import ConflictError, TransitionError, from_policy_error
from tenantgate.registry.ordering import bytewise, folded, moment, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.searching import Catalogue, ends_between, own, sort_by_end
from tenantgate.registry.service import (
    add,
    choose_id,
    get_row,
    refer,
    set_state,
    text,
    written_by,
)
from tenantgate.registry.tables import Daemon
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSpec:
    """A certificate to add: `certificate` is PEM, the public part alone; `name` may be empty."""

    daemon: str
    certificate: str
    id: str | None = None
    name: str = ""


def create(work: Work, spec: CertificateSpec) -> ClientCertificate:
    """Add a certificate to a daemon, active at once. Only what tells it from others is kept, not the PEM.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`, one of the `certificate_…` codes of
            `core.certificate`.
        ConflictError: `id_duplicate`; `certificate_duplicate`, where a daemon has it or had it: `holder` is the row.
        TransitionError: `partner_archived`.
    """
    id_ = choose_id(work, ClientCertificate, "crt", spec.id)
    name = text(spec.name, "name", limit=NAME_LENGTH, empty=True)
    daemon = refer(work.session, Daemon, spec.daemon, "daemon")
    require_open(work.session, daemon)
    facts = _read(spec.certificate, now=work.now)
    same = select(ClientCertificate).where(ClientCertificate.thumbprint == facts.thumbprint)
    if (other := work.session.exec(same).first()) is not None:
        message = f"this certificate is already daemon {other.daemon}'s, as {other.id} ({other.state})"
        raise ConflictError("certificate_duplicate", message, field="certificate", holder=other.id)
    row = ClientCertificate(
        id=id_,
        daemon=daemon.id,
        name=name,
        thumbprint=facts.thumbprint,
        spki_thumbprint=facts.spki_thumbprint,
        subject=facts.subject,
        issuer_name=facts.issuer,
        serial=facts.serial,
        not_before=facts.not_before,
        not_after=facts.not_after,
        state="active",
        **written_by(work),
    )
    return add(work, row, "client_certificate.created", policy=False)


def get(session: Session, id_: str) -> ClientCertificate:
    """Return a certificate. Raises NotFoundError."""
    return get_row(session, ClientCertificate, id_)


_ENDS: Final = moment(ClientCertificate.not_after)
CERTIFICATES: Final = Catalogue(
    ClientCertificate,
    orders_of(ClientCertificate, name=folded(col(ClientCertificate.name)), not_after=_ENDS),
    (
        own(ClientCertificate, bytewise(col(ClientCertificate.id))),
        own(ClientCertificate, folded(col(ClientCertificate.name))),
        own(ClientCertificate, folded(col(ClientCertificate.subject))),
        own(ClientCertificate, bytewise(col(ClientCertificate.thumbprint))),
    ),
    wide=("state",),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    daemon: str | None = None,
    partner: str | None = None,
    thumbprint: str | None = None,
    state: str | None = None,
    expires_after: int | None = None,
    expires_before: int | None = None,
) -> Page[ClientCertificate]:
    """Return certificates, in order of id or, where ends are asked for, of `not_after`; or as `sort` says.

    Those that ended are among them. `search` is the beginning of an id, a name, a subject or a thumbprint; a
    `thumbprint` is found in any usual spelling. `partner` finds those of its daemons. `expires_after` and
    `expires_before` (exclusive) are epoch seconds, held against `not_after`.
    """
    spelled = thumbprint.replace(":", "").replace(" ", "").lower() if thumbprint is not None else None
    return CERTIFICATES.page(
        session,
        after=after,
        limit=limit,
        sort=sort_by_end("not_after", sort, search, expires_after, expires_before),
        search=search,
        equal={"daemon": daemon, "thumbprint": spelled, "state": state},
        where=[
            *ends_between(_ENDS, expires_after, expires_before),
            *of_partner(col(ClientCertificate.daemon), partner),
        ],
    )


def suspend(work: Work, id_: str) -> ClientCertificate:
    """Take it for no credential until it is activated. Raises NotFoundError, TransitionError."""
    return _move(work, id_, "suspended", "client_certificate.suspended")


def activate(work: Work, id_: str) -> ClientCertificate:
    """Take it for a credential again. Raises NotFoundError, TransitionError (also `partner_archived`)."""
    return _move(work, id_, "active", "client_certificate.activated")


def revoke(work: Work, id_: str) -> ClientCertificate:
    """End it for good: the same certificate can be added to no daemon again. Raises NotFoundError, TransitionError."""
    return _move(work, id_, "revoked", "client_certificate.revoked")


def _move(work: Work, id_: str, state: str, action: str) -> ClientCertificate:
    row = get_row(work.session, ClientCertificate, id_, for_change=True)
    if row.state == "revoked":
        raise TransitionError("already_revoked", f"certificate {id_} was revoked before")
    if state == "active":
        require_open(work.session, get_row(work.session, Daemon, row.daemon))
    return set_state(work, row, state, action, policy=False)


def _read(pem: str, *, now: int) -> CertificateFacts:
    try:
        return parse_certificate(pem, now=now)
    except PolicyError as error:
        raise from_policy_error(error) from None
