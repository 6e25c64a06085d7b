"""The policy out of the tables: whole and in deltas, the same either way."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantgate.core.policy import (
    KINDS,
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicySnapshot,
    ResourceRow,
    RoleAssignmentRow,
    Row,
    RowData,
    TenantRow,
    decode_row,
    encode_row,
)
from tenantgate.core.rules import check_references, check_row
from tenantgate.registry import assignments, daemons, partners, tenants
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import DatabaseError, RegistryError
from tenantgate.registry.rows import MEMBERS, TABLES, columns_of, data_of
from tenantgate.registry.snapshot import read_changes, read_snapshot, read_state
from tenantgate.registry.tables import Change
from tests.registry.builders import (
    CLIENT_ID,
    EPOCH,
    NOW,
    TID,
    Registry,
    a_daemon,
    a_grant,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
)


def snapshot_of(registry: Registry) -> PolicySnapshot:
    """The whole policy."""
    with reading(registry.engine) as session:
        return read_snapshot(session)


def content(rows: tuple[Row, ...]) -> dict[tuple[str, str], RowData | None]:
    """What rows say, by kind and id."""
    return {(row.kind, row.id): row.data for row in rows}


def test_snapshot_is_what_was_put_in(registry: Registry):
    """Every row comes out as its struct, at the revision of the whole, referred-to rows first."""
    snapshot = snapshot_of(registry)

    authority = "https://login.microsoftonline.com"
    assert (snapshot.epoch, snapshot.revision) == (EPOCH, 1)
    assert [row.data for row in snapshot.rows] == [
        IssuerRow(
            id="entra",
            kind="entra",
            authority=authority,
            v1_issuer="https://sts.windows.net/{tenantid}/",
            v2_issuer=authority + "/{tenantid}/v2.0",
            metadata_url=authority + "/organizations/v2.0/.well-known/openid-configuration",
            v1_metadata_url=authority + "/organizations/.well-known/openid-configuration",
        ),
        PartnerRow(id="contoso", name="Contoso"),
        TenantRow(id="contoso-entra", issuer="entra", partner="contoso", tid=TID),
        DaemonRow(id="nightly", tenant="contoso-entra", client_id=CLIENT_ID),
        ResourceRow(id="orders", audiences=("api://orders",)),
        AppRoleRow(id="orders-read", resource="orders", value="Orders.Read"),
        RoleAssignmentRow(id="nightly-read", app_role="orders-read", daemon="nightly"),
    ]
    assert {(row.op, row.revision) for row in snapshot.rows} == {("put", 1)}


def test_snapshot_passes_the_rules_of_core(registry: Registry):
    """What the registry gives out is what core's rules would have made of it."""
    with registry.work() as work:
        key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "n": 1.5}
        an_oidc_issuer(work, jwks={"keys": [key]}, jwks_hosts=("Keys.example",))
        a_tenant(work, id="fabrikam", issuer="keycloak", tid=None)
        a_daemon(work, id="worker", tenant="fabrikam", client_id="Worker", subject="service-account")
        a_resource(work, id="bills", audiences=("api://bills", CLIENT_ID), tenant_wide_roles=True, clock_skew=0)
        an_app_role(work, id="bills-read", resource="bills")
        a_grant(work, id="all", app_role="bills-read", daemon=None, tenant="fabrikam", expires_at=NOW + 5)

    rows = [row.data for row in snapshot_of(registry).rows if row.data is not None]

    assert [check_row(row) for row in rows] == rows
    check_references(rows)


def test_rows_survive_the_wire(registry: Registry):
    """A row of a snapshot or delta can be serialised and read again."""
    with registry.work() as work:
        assignments.revoke(work, "nightly-read")
    with reading(registry.engine) as session:
        delta = read_changes(session, 0)

    assert delta is not None
    for row in (*snapshot_of(registry).rows, *delta.rows):
        assert decode_row(encode_row(row)) == row


def test_registrys_own_columns_stay_home(registry: Registry):
    """Notes, contacts, reasons and authorship are no policy: no gate learns them."""
    for kind, struct in KINDS.items():
        own = set(TABLES[kind].model_fields) - set(struct.__struct_fields__)
        assert {"created_at", "created_by", "updated_at", "version"} <= own
        assert not own & set(MEMBERS[kind])


def test_every_member_of_a_row_has_a_column():
    """Tables mirror the row structs: nothing of a row can be lost on its way through the database."""
    assert list(TABLES) == list(KINDS)
    for kind, struct in KINDS.items():
        assert set(struct.__struct_fields__) <= set(TABLES[kind].model_fields)


@pytest.mark.parametrize("since", [0, 1])
def test_changes_since(registry: Registry, since: int):
    """A delta since a revision holds what came after it; since the newest it is empty."""
    with reading(registry.engine) as session:
        delta = read_changes(session, since)

    assert delta is not None
    assert (delta.epoch, delta.since, delta.revision) == (EPOCH, since, 1)
    assert len(delta.rows) == (7 if since == 0 else 0)


def test_delta_cannot_be_given_beyond_the_feed(registry: Registry):
    """A revision ahead of the database, or before what the feed still holds, gives no delta."""
    with registry.work() as work:
        partners.suspend(work, "contoso")
    with writing(registry.engine) as session:
        session.execute(sa.delete(Change).where(sa.column("revision") == 1))

    with reading(registry.engine) as session:
        assert read_changes(session, 3) is None
        assert read_changes(session, 0) is None
        assert read_changes(session, 1) is not None


def test_delete_carries_no_data(registry: Registry):
    """A revoked role is in the feed as a delete, by id alone."""
    with registry.work() as work:
        assignments.revoke(work, "nightly-read")
    with reading(registry.engine) as session:
        delta = read_changes(session, 1)

    assert delta is not None
    assert delta.rows == (Row(revision=2, kind="role_assignment", id="nightly-read", op="delete"),)


MOVES = {
    "suspend partner": lambda work: partners.suspend(work, "contoso"),
    "activate partner": lambda work: partners.activate(work, "contoso"),
    "suspend tenant": lambda work: tenants.suspend(work, "contoso-entra"),
    "activate tenant": lambda work: tenants.activate(work, "contoso-entra"),
    "suspend daemon": lambda work: daemons.suspend(work, "nightly"),
    "activate daemon": lambda work: daemons.activate(work, "nightly"),
    "revoke": lambda work: assignments.revoke(work, "nightly-read"),
    "grant": lambda work: a_grant(work),
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=8))
def test_deltas_add_up_to_the_snapshot(registry: Registry, moves: list[str]):
    """However a policy changes, who follows the deltas ends where who loads the whole policy ends."""
    before = snapshot_of(registry)
    held = content(before.rows)
    for move in moves:
        _try(registry, MOVES[move])

    with reading(registry.engine) as session:
        delta = read_changes(session, before.revision)
    assert delta is not None
    for row in delta.rows:
        if row.op == "delete":
            held.pop((row.kind, row.id), None)
        else:
            held[row.kind, row.id] = row.data

    assert held == content(snapshot_of(registry).rows)


def _try(registry: Registry, move: Any) -> None:
    """Do it if it can be done now."""
    with suppress(RegistryError), registry.work() as work:
        move(work)


def test_malformed_row_refuses_the_whole(registry: Registry):
    """A state no version knows is not passed on to any gate."""
    with registry.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        else:
            connection.exec_driver_sql("ALTER TABLE partner DROP CONSTRAINT ck_partner_state")
        connection.exec_driver_sql("UPDATE partner SET state = 'vip'")

    with pytest.raises(DatabaseError) as caught:
        snapshot_of(registry)

    assert caught.value.code == "row_malformed"
    assert "contoso" in caught.value.message


def test_columns_and_rows_are_each_others_inverse():
    """What is put into columns comes out the same."""
    row = ResourceRow(id="orders", audiences=("a", "b"), max_lifetime=5)

    assert data_of("resource", columns_of(row)) == row


def test_state_is_read_anew(registry: Registry):
    """The counter is read from the database each time, never from what a session remembers."""
    with writing(registry.engine) as session:
        first = read_state(session).revision
        session.execute(sa.text("UPDATE revision SET revision = revision + 1"))
        assert read_state(session).revision == first + 1


def test_what_was_kept_before_a_rule_is_still_read(registry: Registry):
    """Names and client ids that are refused today stand in no policy's way: it is whole, and they can be taken out."""
    with writing(registry.engine) as session:
        session.execute(sa.update(TABLES["daemon"]).values(client_id="svc\u200b", subject="a\u00adb"))
        session.execute(sa.update(TABLES["partner"]).values(name="Conto\u2060so"))
    policy = snapshot_of(registry).rows
    assert [decode_row(encode_row(row)) for row in policy] == list(policy)
    rows = content(policy)
    daemon, partner = rows["daemon", "nightly"], rows["partner", "contoso"]
    assert isinstance(daemon, DaemonRow)
    assert isinstance(partner, PartnerRow)
    assert (daemon.client_id, daemon.subject, partner.name) == ("svc\u200b", "a\u00adb", "Conto\u2060so")
    with registry.work() as work:
        daemons.suspend(work, "nightly")
        assignments.revoke(work, "nightly-read")
        daemons.delete(work, "nightly")
        partners.suspend(work, "contoso")
        partners.change(work, "contoso", {"name": "Contoso"})
    after = content(snapshot_of(registry).rows)
    assert ("daemon", "nightly") not in after
    assert after["partner", "contoso"] == PartnerRow(id="contoso", name="Contoso", state="suspended")
