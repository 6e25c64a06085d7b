"""A real gate for a test: the policy, the judgement and the answers of production, keys at hand, no network."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Self, TypedDict, Unpack

from msgspec.structs import replace

from tenantgate.core.policy import (
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicyDelta,
    PolicySnapshot,
    ResourceRow,
    RoleAssignmentRow,
    RowData,
    TenantRow,
    row_of,
)
from tenantgate.core.rules import check_references, check_row
from tenantgate.gate.gate import Gate
from tenantgate.testing.clock import FrozenClock
from tenantgate.testing.errors import FetchAttempted, KitError
from tenantgate.testing.keys import OfflineKeys
from tenantgate.testing.partner import CLOUD, FakePartner, audiences_of, new_authority

_EPOCH = "test"
_ISSUER = "cloud"


class ResourceRules(TypedDict, total=False):
    """The token rules of the resource, as a policy would set them (see `core.policy.ResourceRow`)."""

    app_only: Literal["strict", "compatible"]
    token_roles: Literal["ignore", "intersect"]
    min_credential: Literal["none", "secret", "certificate"]
    max_lifetime: int
    clock_skew: int
    show_reasons: bool


class OfflineGate(Gate):
    """A gate that judges by a frozen clock and never touches the network. Made by `open_test_gate`.

    It starts no thread. Whatever asks it for a fetch gets FetchAttempted, an AssertionError; where an application
    swallows that, `close` raises it again. Use it as a context manager, or let the application's lifespan close it.
    """

    def __init__(self, resource: str, clock: FrozenClock, rows: Iterable[RowData]) -> None:
        self.clock = clock
        self._offline_keys = OfflineKeys()
        self._rows = {(type(row), row.id): row for row in rows}
        super().__init__(resource, self._offline_keys, now=clock, yield_thread=lambda: time.sleep(0), id_prefix="test-")
        put = tuple(row_of(row, 1) for row in self._rows.values())
        self.install(PolicySnapshot(epoch=_EPOCH, revision=1, rows=put))

    def suspend(self, partner: FakePartner) -> None:
        """Suspend a partner: its next call is refused with `partner_suspended`. Raises KitError."""
        self._change(PartnerRow, partner.name, partner, state="suspended")

    def suspend_daemon(self, partner: FakePartner) -> None:
        """Suspend a partner's daemon: its next call is refused with `daemon_suspended`. Raises KitError."""
        self._change(DaemonRow, _daemon_id(partner), partner, state="suspended")

    def activate(self, partner: FakePartner) -> None:
        """Undo both suspensions. Raises KitError."""
        self._change(PartnerRow, partner.name, partner, state="active")
        self._change(DaemonRow, _daemon_id(partner), partner, state="active")

    def close(self) -> None:
        """Close the gate. Raises FetchAttempted where anything asked for a fetch, whoever swallowed it then."""
        super().close()
        if self._offline_keys.attempts:
            raise FetchAttempted(self._offline_keys.attempts[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _change(self, kind: type[RowData], id_: str, partner: FakePartner, **members: Any) -> None:
        old = self._rows.get((kind, id_))
        if old is None:
            raise KitError("partner_unknown", f"this gate was opened without {partner.name!r}")
        row = self._rows[kind, id_] = check_row(replace(old, **members))
        _, revision = self.revision
        delta = PolicyDelta(epoch=_EPOCH, since=revision, revision=revision + 1, rows=(row_of(row, revision + 1),))
        self.install(delta)


def open_test_gate(
    *,
    resource: str = "orders",
    partners: Iterable[FakePartner] = (),
    roles: Mapping[str, Iterable[str]] | None = None,
    clock: FrozenClock | None = None,
    **rules: Unpack[ResourceRules],
) -> OfflineGate:
    """Open a gate that lets these partners in with these roles (partner's name → role values) and nobody else.

    The partners' tokens are from here on for this `resource`, and issued by the gate's clock: `clock`, or else that
    of the first partner. `rules` are the resource's own.

    Raises:
        KitError: `roles` names a partner that is not among `partners`.
        PolicyError: a policy may not be like this (two partners of one name or tenant, a malformed role value).
    """
    listed = tuple(partners)
    held = {name: tuple(dict.fromkeys(values)) for name, values in (roles or {}).items()}
    for name in held:
        if all(partner.name != name for partner in listed):
            raise KitError("partner_unknown", f"roles names {name!r}, which is not among the partners")
    now = clock or (listed[0].clock if listed else FrozenClock())
    rows = [check_row(row) for row in _rows(resource, listed, held, rules)]
    check_references(rows)
    for partner in listed:
        partner.clock, partner.resource = now, resource
    return OfflineGate(resource, now, rows)


def _rows(
    resource: str, partners: tuple[FakePartner, ...], held: Mapping[str, tuple[str, ...]], rules: ResourceRules
) -> Iterator[RowData]:
    yield _cloud()
    yield ResourceRow(id=resource, audiences=audiences_of(resource), **rules)
    values = sorted({value for each in held.values() for value in each})
    for number, value in enumerate(values):
        yield AppRoleRow(id=f"role-{number}", resource=resource, value=value)
    for partner in partners:
        tenant = f"{partner.name}-tenant"
        yield PartnerRow(id=partner.name, name=partner.name)
        yield TenantRow(id=tenant, issuer=_ISSUER, partner=partner.name, tid=partner.tid)
        yield DaemonRow(id=_daemon_id(partner), tenant=tenant, client_id=partner.client_id, oid=partner.oid)
        for value in held.get(partner.name, ()):
            number = values.index(value)
            yield RoleAssignmentRow(
                id=f"{partner.name}-{number}", app_role=f"role-{number}", daemon=_daemon_id(partner)
            )


def _cloud() -> IssuerRow:
    """Return the row of the cloud, with its keys in it, so that none is ever fetched."""
    authority = new_authority(FrozenClock())
    v2, v1 = authority.metadata(version=2), authority.metadata(version=1)
    return IssuerRow(
        id=_ISSUER,
        kind="entra",
        authority=CLOUD,
        v2_issuer=v2["issuer"],
        v1_issuer=v1["issuer"],
        jwks=authority.jwks(2),
        v1_jwks=authority.jwks(1),
    )


def _daemon_id(partner: FakePartner) -> str:
    return f"{partner.name}-daemon"
