"""Issuers: what is trusted to sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa
from msgspec.structs import replace
from sqlmodel import Session, col, select

from tenantgate.core.fields import PLACEHOLDER
from tenantgate.core.keys import PRIVATE_MEMBERS, MalformedKeySet, build_key_set
from tenantgate.core.policy import IssuerKind, IssuerRow
from tenantgate.core.references import check_issuers, check_profile
from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.errors import ConflictError, InvalidError, NotFoundError
from tenantgate.registry.invitation_tables import Invitation
from tenantgate.registry.ordering import bytewise, folded, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.rows import columns_of, data_of_row
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import add, amend, checked, choose_id, fitting, get_row, remove, written_by
from tenantgate.registry.tables import Daemon, Issuer, Resource, RoleMapping, Tenant
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSpec:
    """What an issuer is to be; members as in `core.policy.IssuerRow`. What is left out is filled in by its rules."""

    kind: IssuerKind
    id: str | None = None
    authority: str | None = None
    v1_issuer: str | None = None
    v2_issuer: str | None = None
    v1_metadata_url: str | None = None
    issuer: str | None = None
    metadata_url: str | None = None
    jwks: dict[str, Any] | None = None
    v1_jwks: dict[str, Any] | None = None
    jwks_hosts: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    profile: str = "standard"
    client_id_claim: str | None = None
    roles_claim: str | None = None
    subject_pin: bool | None = None
    token_types: tuple[str, ...] = ("JWT", "at+jwt")
    allow_private_addresses: bool = False
    insecure_allow_http: bool = False
    distrusted_keys: tuple[str, ...] = ()
    max_key_age: int | None = None
    ca_bundle: str | None = None
    proxy: str | None = None


def create(work: Work, spec: IssuerSpec) -> Issuer:
    """Trust an issuer.

    Raises:
        InvalidError: a member is at fault.
        ConflictError: `id_duplicate`, `issuer_duplicate`.
    """
    data = check(spec, choose_id(work, Issuer, "iss", spec.id))
    for other in _near(work.session, data):
        fitting(check_issuers, data, data_of_row("issuer", other), holder=other.id)
    return add(work, Issuer(**columns_of(data), **written_by(work)), "issuer.created")


def check(spec: IssuerSpec, id_: str) -> IssuerRow:
    """Return the row that an issuer would have, as far as it is right by itself. Nothing is read or written.

    Raises:
        InvalidError: a member is at fault.
    """
    data = checked(IssuerRow(**(asdict(spec) | {"id": id_})))
    for member in ("jwks", "v1_jwks"):
        _check_keys(data, member)
    return data


_FURTHER: Final = ("allow_private_addresses", "insecure_allow_http", "ca_bundle", "proxy")
_REACHING: Final = (
    "kind", "authority", "issuer", "v1_issuer", "v2_issuer", "metadata_url", "v1_metadata_url", "jwks", "v1_jwks",
    "jwks_hosts", *_FURTHER,
)  # fmt: skip


def further(data: IssuerRow) -> tuple[str, ...]:
    """Return the members by which a checked row's addresses reach beyond public https with the usual authorities."""
    return tuple(name for name in _FURTHER if getattr(data, name) not in (False, None))


def is_reached_alike(session: Session, data: IssuerRow) -> bool:
    """Whether an issuer is listed whose keys are fetched from where a checked row's are, and by the same ways."""
    query = select(Issuer).where(Issuer.issuer == data.issuer, Issuer.authority == data.authority)
    return any(
        all(getattr(other, name) == getattr(data, name) for name in _REACHING)
        for other in (data_of_row("issuer", row) for row in session.exec(query))
    )


def get(session: Session, id_: str) -> Issuer:
    """Return an issuer. Raises NotFoundError."""
    return get_row(session, Issuer, id_)


ISSUERS: Final = Catalogue(
    Issuer,
    orders_of(Issuer),
    (
        own(Issuer, bytewise(col(Issuer.id))),
        own(Issuer, folded(col(Issuer.issuer))),
        own(Issuer, folded(col(Issuer.authority))),
    ),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    kind: str | None = None,
) -> Page[Issuer]:
    """Return issuers, in order of id or as `sort` says. `search`: the beginning of id, `iss` or authority."""
    return ISSUERS.page(session, after=after, limit=limit, sort=sort, search=search, equal={"kind": kind})


CHANGEABLE: Final = frozenset(IssuerSpec.__dataclass_fields__) - {
    "id", "kind", "authority", "issuer", "v1_issuer", "v2_issuer", "distrusted_keys",
}  # fmt: skip
"""What `change` takes: not whom the issuer is, on which every tenant of it hangs, nor which keys are distrusted."""


def change(work: Work, id_: str, members: Mapping[str, Any]) -> Issuer:
    """Change how an issuer's keys are had and its tokens read. What is not named stays.

    Keys that were fetched go on serving where the change says nothing about them. Where it is so already nothing is
    written. With `jwks` None keys are fetched from now on.

    Raises:
        NotFoundError: `issuer_not_found`.
        InvalidError: a member is at fault, or no longer fits a daemon of the issuer (`holder` is the daemon).
    """
    unknown = members.keys() - CHANGEABLE
    if unknown:
        raise InvalidError("member_not_allowed", "says who the issuer is; create another one", field=min(unknown))
    row = get_row(work.session, Issuer, id_, for_change=True)
    before = data_of_row("issuer", row)
    assert isinstance(before, IssuerRow)
    if members.get("jwks", before.jwks) is not None and before.jwks is None and "metadata_url" not in members:
        members = {**members, "metadata_url": None}  # given keys are not looked for as well
    data = checked(replace(before, **members))
    for member in ("jwks", "v1_jwks"):
        _check_keys(data, member)
    if any(getattr(before, name) != getattr(data, name) for name in _READING):
        _check_daemons(work.session, data)
    return amend(work, row, columns_of(data), "issuer.changed")


def delete(work: Work, id_: str) -> Issuer:
    """Trust an issuer no more. It is gone then; what it was stays in the audit. So are its access requests: what is
    decided by its id later must not be about another issuer that has the id by then.

    Raises:
        NotFoundError: `issuer_not_found`.
        ConflictError: `issuer_in_use`: a tenant, a role mapping, a resource, or an invitation that may still be
            redeemed or approved names it; `holder` is its id.
    """
    row = get_row(work.session, Issuer, id_, for_change=True)
    for table, kind in ((Tenant, "tenant"), (RoleMapping, "role mapping")):
        query = select(table).where(table.issuer == id_).order_by(col(table.id)).limit(1)
        if (user := work.session.exec(query).first()) is not None:
            raise ConflictError("issuer_in_use", f"{kind} {user.id} is of this issuer", holder=user.id)
    for resource in work.session.exec(select(Resource).order_by(col(Resource.id))):  # resources are few
        if id_ in resource.issuers:
            raise ConflictError("issuer_in_use", f"resource {resource.id} names this issuer", holder=resource.id)
    if (invitation := _invitation_of(work, id_)) is not None:
        message = f"invitation {invitation} is for daemons of this issuer: revoke or reject it"
        raise ConflictError("issuer_in_use", message, holder=invitation)
    work.session.execute(sa.delete(AccessRequest).where(col(AccessRequest.issuer) == id_))
    return remove(work, row, "issuer.deleted")


def _invitation_of(work: Work, id_: str) -> str | None:
    """Return the first invitation that may still list a daemon of an issuer: one that was redeemed, or can be."""
    redeemable = sa.and_(col(Invitation.state) == "open", col(Invitation.expires_at) > work.now)
    waiting = select(Invitation.id).where(
        Invitation.issuer == id_, sa.or_(col(Invitation.state) == "redeemed", redeemable)
    )
    return work.session.exec(waiting.order_by(col(Invitation.id))).first()


def distrust_key(work: Work, id_: str, key: str) -> Issuer:
    """Let no token in any more that this key of an issuer signed. `key`: its kid, or its RFC 7638 thumbprint.

    Raises:
        InvalidError: it can be neither, or too many are distrusted.
        NotFoundError: there is no such issuer.
    """
    row = get_row(work.session, Issuer, id_, for_change=True)
    if key in row.distrusted_keys:
        return row
    try:
        return _amend_keys(work, row, [*row.distrusted_keys, key], "issuer.key_distrusted")
    except InvalidError as error:
        if error.field != f"distrusted_keys[{len(row.distrusted_keys)}]":
            raise
        # Whoever asks sent no list.
        raise InvalidError(error.code, error.message, field="key") from None


def trust_key(work: Work, id_: str, key: str) -> Issuer:
    """Let a key of an issuer count again, as it was named when it was distrusted.

    Raises:
        NotFoundError: there is no such issuer, or this key of it was not distrusted (`key_not_found`).
    """
    row = get_row(work.session, Issuer, id_, for_change=True)
    if key not in row.distrusted_keys:
        raise NotFoundError("key_not_found", "no such key of this issuer is distrusted", field="key")
    return _amend_keys(work, row, [each for each in row.distrusted_keys if each != key], "issuer.key_trusted")


def _amend_keys(work: Work, row: Issuer, keys: list[str], action: str) -> Issuer:
    before = data_of_row("issuer", row)
    assert isinstance(before, IssuerRow)
    data = checked(replace(before, distrusted_keys=tuple(keys)))
    return amend(work, row, columns_of(data), action)


_READING: Final = ("profile", "client_id_claim", "subject_pin")


def _check_daemons(session: Session, data: IssuerRow) -> None:
    """Refuse to read an issuer's tokens in a way in which a daemon that is listed could never be one's caller."""
    query = select(Daemon).join(Tenant).where(Tenant.issuer == data.id).order_by(col(Daemon.id))
    for daemon in session.exec(query):
        fitting(check_profile, data_of_row("daemon", daemon), data, holder=daemon.id)


def _check_keys(data: IssuerRow, member: str) -> None:
    """Refuse a key set that no gate could use, and one that holds a secret: it would be shown and audited."""
    document = getattr(data, member)
    if document is None:
        return
    try:
        build_key_set(document, data)
    except MalformedKeySet as error:
        raise InvalidError("jwks_malformed", str(error), field=member) from None
    for place, key in enumerate(document["keys"]):
        if isinstance(key, dict) and not PRIVATE_MEMBERS.isdisjoint(key):
            raise InvalidError("jwks_malformed", "holds a private key", field=f"{member}.keys[{place}]")


def _near(session: Session, data: IssuerRow) -> list[Issuer]:
    """Return the issuers that `data` could clash with: all clouds (few), and OIDC issuers spelled alike."""
    alike: list[sa.ColumnElement[bool]] = [col(Issuer.kind) == "entra"]
    if data.issuer is not None:
        alike.append(col(Issuer.issuer) == data.issuer)
    for template in filter(None, (data.v1_issuer, data.v2_issuer)):
        prefix = template.partition(PLACEHOLDER)[0]
        alike.append(col(Issuer.issuer).startswith(prefix, autoescape=True))
    return list(session.exec(select(Issuer).where(sa.or_(*alike)).order_by(col(Issuer.id))))
