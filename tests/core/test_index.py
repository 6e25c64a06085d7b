"""The live policy: deltas change it in place as a fresh load would, and no reader sees half a change."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import _MATCHES, PolicyIndex, client_key
from tenantgate.core.judge import TORN, Torn, judge
from tenantgate.core.policy import (
    KINDS,
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicyDelta,
    PolicyError,
    PolicySnapshot,
    RequiredClaim,
    ResourceRow,
    RoleAssignmentRow,
    RoleMappingRow,
    Row,
    RowData,
    TenantRow,
    kind_of,
    row_of,
)
from tenantgate.core.verify import Verified, verify
from tests.builders import (
    ACME_CLIENT,
    ACME_SECOND_CLIENT,
    ACME_TID,
    NOW,
    OIDC_ISSUER,
    STRANGE_CLIENT,
    STRANGE_TID,
    V2_TEMPLATE,
    a_snapshot,
    an_entra_issuer,
    an_index,
    an_oidc_issuer,
    ask,
    oidc_token,
    policy_rows,
    static_keys,
    unchanged_index,
    v1_issuer,
    v2_issuer,
    v2_token,
)


def rows_by_id(*extra: RowData, **changes: Any) -> dict[str, RowData]:
    """Return the world's rows by id."""
    return {row.id: row for row in policy_rows(*extra, **changes)}


def put(index: PolicyIndex, *rows: RowData) -> None:
    """Apply rows as the next revision."""
    revision = index.revision + 1
    index.apply(
        PolicyDelta(
            epoch=index.epoch,
            since=index.revision,
            revision=revision,
            rows=tuple(row_of(row, revision) for row in rows),
        )
    )


def delete(index: PolicyIndex, kind: str, id_: str) -> None:
    """Delete a row as the next revision."""
    revision = index.revision + 1
    row = Row(revision=revision, kind=kind, id=id_, op="delete")
    index.apply(PolicyDelta(epoch=index.epoch, since=index.revision, revision=revision, rows=(row,)))


def state(index: PolicyIndex) -> dict[str, Any]:
    """Return all that a judgement can see of an index, comparable whatever way it came about."""
    return {
        "issuers": {
            key: (entry.row, {tid: tenant.row.id for tid, tenant in entry.tenants.items()})
            for key, entry in index.issuers.items()
        },
        "partners": index.partners,
        "tenants": {
            key: (entry.row, entry.tid, {name: daemon.id for name, daemon in entry.daemons.items()}, _ids(entry))
            for key, entry in index.tenants.items()
        },
        "daemons": {
            key: (*(getattr(entry, name) for name in entry.__struct_fields__ if name != "grants"), _ids(entry))
            for key, entry in index.daemons.items()
        },
        "resources": {key: (entry.row, entry.audiences) for key, entry in index.resources.items()},
        "app_roles": index.app_roles,
        "assignments": index.assignments,
        "mappings": {
            key: [(each.row, each.pointer) for each in entry.mappings] for key, entry in index.issuers.items()
        },
        "iss": {iss: match.entry.row.id for iss, match in index._exact.items()},
        "templates": set(index._templates),
    }  # fmt: skip


def _ids(entry: Any) -> set[str]:
    return {grant.id for grant in entry.grants}


def granted(index: PolicyIndex, token: str) -> bool:
    """Whether a token is let in, with any role."""
    return isinstance(ask(token, index, static_keys(), wanted=()), Granted)


# Puts and deletes of every kind.


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "role_mapping"])
def test_what_is_deleted_and_put_again_serves_as_before(kind: str) -> None:
    """Every kind can be deleted (its dependents with it) and put again row by row: the world is whole again."""
    index = an_index()
    before = state(an_index())
    for row in policy_rows():
        if kind_of(row) == kind:
            delete(index, kind, row.id)
    assert state(index) != before
    assert not granted(index, v2_token())
    assert not granted(index, oidc_token())
    put(index, *policy_rows())

    assert state(index) == before
    assert granted(index, v2_token())
    assert granted(index, oidc_token())


def test_a_role_mapping_comes_goes_and_moves_with_its_issuer() -> None:
    """A mapping stands at its issuer once, whatever it was before, and goes with its issuer."""
    row = RoleMappingRow(id="mapped", issuer="oidc", claim="/realm_access/roles", value="w", app_role="orders_write")
    index = an_index()
    before = state(an_index())
    put(index, replace(row, issuer="cloud"))
    put(index, replace(row, value="x"))
    put(index, row)

    assert [(each.row, each.pointer) for each in index.issuers["oidc"].mappings] == [(row, ("realm_access", "roles"))]
    assert index.issuers["cloud"].mappings == ()
    assert state(index) == state(an_index(row))
    delete(index, "role_mapping", "mapped")
    assert state(index) == before
    put(index, row)
    delete(index, "issuer", "oidc")
    assert index.mappings == {}


def test_a_mapping_of_an_issuer_that_is_not_there_is_refused() -> None:
    """A mapping that hangs on nothing is no policy."""
    row = RoleMappingRow(id="mapped", issuer="nobody", claim="roles", value="w", app_role="orders_write")
    with pytest.raises(PolicyError, match="nobody"):
        put(an_index(), row)


@pytest.mark.parametrize("kind", list(KINDS))
def test_deleting_what_is_not_there_changes_nothing(kind: str) -> None:
    """A delete is idempotent."""
    index = an_index()
    delete(index, kind, "nothing")

    assert state(index) == state(unchanged_index())
    assert index.revision == 2


def test_an_issuer_goes_with_its_tenants_daemons_and_assignments() -> None:
    """What hangs on a deleted row is gone with it: nothing is left to come back by accident."""
    index = an_index()
    delete(index, "issuer", "cloud")

    assert set(index.tenants) == {"globex_tenant"}
    assert set(index.daemons) == {"globex_daemon"}
    assert set(index.assignments) == {"globex_reads"}
    assert index.find_issuer(v2_issuer(ACME_TID)) is None
    put(index, *policy_rows(acme_reads=...))
    assert not granted(index, v2_token())


def test_a_daemon_put_again_keeps_its_roles_and_loses_them_when_deleted() -> None:
    """Changing a daemon keeps its assignments; deleting it takes them along."""
    index = an_index()
    row = rows_by_id()["acme_daemon"]
    put(index, replace(row, min_credential="secret"))
    assert granted(index, v2_token())
    delete(index, "daemon", "acme_daemon")
    put(index, row)

    assert not granted(index, v2_token())


def test_a_daemon_may_move_to_another_tenant() -> None:
    """After the move the old tenant's token is refused and the new one's granted, with the same roles."""
    index = an_index()
    put(index, replace(rows_by_id()["initech_daemon"], tenant="acme_tenant", client_id=STRANGE_CLIENT))

    assert granted(index, v2_token(azp=STRANGE_CLIENT))
    assert index.tenants["initech_tenant"].daemons == {}


def test_a_daemon_may_change_its_client_id() -> None:
    """The old client id is unlisted at once."""
    index = an_index()
    put(index, replace(rows_by_id()["acme_daemon"], client_id=STRANGE_CLIENT))

    assert not granted(index, v2_token())
    assert granted(index, v2_token(azp=STRANGE_CLIENT))


def test_a_tenant_may_change_its_tid() -> None:
    """The old tid is unlisted at once; the tenant's daemons and roles stay."""
    index = an_index()
    put(index, replace(rows_by_id()["acme_tenant"], tid=STRANGE_TID))

    assert not granted(index, v2_token())
    assert granted(index, v2_token(tid=STRANGE_TID, iss=v2_issuer(STRANGE_TID)))


def test_a_tenant_may_move_to_another_issuer_and_partner() -> None:
    """After the move tokens of the old issuer find no tenant."""
    other = IssuerRow(id="other", kind="entra", v2_issuer="https://login.other.example/{tenantid}/v2.0")
    index = an_index(other)
    put(index, replace(rows_by_id()["acme_tenant"], issuer="other", partner="globex"))

    assert not granted(index, v2_token())
    match = index.find_issuer(f"https://login.other.example/{ACME_TID}/v2.0")
    assert match is not None
    assert match.tid in match.entry.tenants
    assert index.issuers["cloud"].tenants.keys() == {client_key(t, entra=True) for t in _other_tids()}


def _other_tids() -> list[str]:
    return [
        row.tid for row in policy_rows() if isinstance(row, TenantRow) and row.tid not in (None, ACME_TID) and row.tid
    ]


def test_an_assignment_may_move_to_another_daemon() -> None:
    """The first daemon loses what the second gets."""
    index = an_index()
    put(index, replace(rows_by_id()["acme_reads"], daemon="acme_second"))

    assert not granted(index, v2_token())
    assert granted(index, v2_token(azp=ACME_SECOND_CLIENT))


def test_an_assignment_may_move_from_a_daemon_to_its_tenant() -> None:
    """The holder changes kind; nothing is left behind."""
    index = an_index(orders={"tenant_wide_roles": True})
    put(index, RoleAssignmentRow(id="acme_reads", app_role="orders_read", tenant="acme_tenant"))

    assert index.daemons["acme_daemon"].grants == ()
    assert granted(index, v2_token(azp=ACME_SECOND_CLIENT))
    delete(index, "role_assignment", "acme_reads")
    assert not granted(index, v2_token())


def test_an_issuer_may_change_its_iss() -> None:
    """The old `iss` is unknown at once; tenants stay with their issuer."""
    index = an_index()
    put(index, an_oidc_issuer(issuer="https://id.moved.example"))

    assert isinstance(ask(oidc_token(), index, static_keys()), Denied)
    assert granted(index, oidc_token(iss="https://id.moved.example"))


# Deltas that must not be applied.


@pytest.mark.parametrize(("epoch", "since"), [("e2", 1), ("", 1), ("e1", 0), ("e1", 2), ("e1", -1)])
def test_a_delta_out_of_order_changes_nothing(epoch: str, since: int) -> None:
    """A delta follows exactly this epoch and revision, or it is refused whole and the policy goes on."""
    index = an_index()
    row = Row(revision=2, kind="partner", id="acme", op="delete")
    with pytest.raises(PolicyError) as caught:
        index.apply(PolicyDelta(epoch=epoch, since=since, revision=2, rows=(row,)))

    assert caught.value.code == "delta_out_of_order"
    assert caught.value.message == f"delta since {since} does not follow 1"
    assert not index.broken
    assert (index.revision, index.generation) == (1, 0)
    assert granted(index, v2_token())


def _tenant(**members: Any) -> TenantRow:
    return TenantRow(**{"id": "new", "issuer": "cloud", "partner": "acme", "tid": STRANGE_TID, **members})


def _daemon(**members: Any) -> DaemonRow:
    return DaemonRow(**{"id": "new", "tenant": "acme_tenant", "client_id": STRANGE_CLIENT, **members})


def _mapping(**members: Any) -> RoleMappingRow:
    return RoleMappingRow(
        **{"id": "new", "issuer": "oidc", "claim": "roles", "value": "r", "app_role": "orders_read", **members}
    )


def _resource(*claims: RequiredClaim) -> ResourceRow:
    return ResourceRow(id="new", audiences=("new",), required_claims=claims)


def _role(**members: Any) -> RoleAssignmentRow:
    return RoleAssignmentRow(id="new", app_role="orders_read", **members)


BROKEN = [
    pytest.param(_tenant(issuer="nothing"), "reference_unknown", id="tenant without issuer"),
    pytest.param(_tenant(tid=ACME_TID), "tenant_duplicate", id="tid twice"),
    pytest.param(_tenant(issuer="oidc", tid=None), "tenant_duplicate", id="oidc issuer twice"),
    pytest.param(_tenant(tid="acme.example"), "guid_malformed", id="tid no GUID"),
    pytest.param(_daemon(tenant="nothing"), "reference_unknown", id="daemon without tenant"),
    pytest.param(_daemon(client_id=ACME_CLIENT), "daemon_duplicate", id="client twice"),
    pytest.param(_daemon(client_id=ACME_CLIENT.upper()), "daemon_duplicate", id="client twice in capitals"),
    pytest.param(_daemon(client_id="nightly"), "guid_malformed", id="client no GUID"),
    pytest.param(_daemon(oid="garbage"), "guid_malformed", id="oid no GUID: never unpinned"),
    pytest.param(_role(daemon="nothing"), "reference_unknown", id="assignment without daemon"),
    pytest.param(_role(tenant="nothing"), "reference_unknown", id="assignment without tenant"),
    pytest.param(_role(), "reference_unknown", id="assignment of nobody"),
    pytest.param(_mapping(issuer="nothing"), "reference_unknown", id="mapping without issuer"),
    pytest.param(_mapping(claim="/a//b"), "pointer_malformed", id="mapping of no claim"),
    pytest.param(_resource(RequiredClaim(claim="/~2")), "pointer_malformed", id="no claim required"),
]
SAID = {
    "an Entra client id is not a GUID",
    "assignment new names a daemon or tenant that is not there",
    "claim: must be 1 to 8 names, none of them empty",
    "daemon new is listed twice in tenant acme_tenant",
    "daemon new names tenant nothing, which is not there",
    "mapping new names issuer nothing, which is not there",
    "required_claims: ~ stands for itself only as ~0, and / as ~1 (RFC 6901)",
    "tenant new is listed twice at issuer cloud",
    "tenant new is listed twice at issuer oidc",
    "tenant new names issuer nothing, which is not there",
    "the oid of daemon new is not a GUID",
    "the tid of tenant new is not a GUID",
}
"""What is said of the rows in BROKEN."""


def test_what_breaks_an_index_is_said() -> None:
    """With the place, where a rule for one row found it, and by name everywhere."""
    said = set()
    for row, _ in (case.values for case in BROKEN):
        with pytest.raises(PolicyError) as caught:
            an_index(row)
        said.add(str(caught.value))

    assert said == SAID


@pytest.mark.parametrize(("row", "code"), BROKEN)
def test_a_delta_applied_by_half_refuses_everything(row: RowData, code: str) -> None:
    """A row that cannot be applied leaves a broken index: nobody is let in until a whole policy comes."""
    index = an_index()
    claims = verified_claims(v2_token())
    with pytest.raises(PolicyError) as caught:
        put(index, PartnerRow(id="globex", name="Globex", state="suspended"), row)

    assert caught.value.code == code
    assert index.broken
    assert index.revision == 1
    for decision in (
        judge(claims, index, "orders", (), NOW),
        ask(v2_token(), index, static_keys()),
        ask(oidc_token(iss="https://other.example"), index, static_keys()),
        ask("opaque", index, static_keys()),
    ):
        assert isinstance(decision, Denied)
        assert decision.reason is R.POLICY_UNAVAILABLE


@pytest.mark.parametrize(("row", "code"), BROKEN)
def test_a_whole_policy_with_such_a_row_is_refused(row: RowData, code: str) -> None:
    """A load is all or nothing."""
    with pytest.raises(PolicyError) as caught:
        an_index(row)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "row",
    [
        Row(revision=2, kind="partner", id="acme", op="put"),
        Row(revision=2, kind="partner", id="acme", op="put", data=PartnerRow(id="other", name="Other")),
        Row(revision=2, kind="partner", id="acme", op="put", data=ResourceRow(id="acme", audiences=("x",))),
        Row(revision=2, kind="widget", id="acme", op="put", data=PartnerRow(id="acme", name="Acme")),
        Row(revision=2, kind="widget", id="acme", op="delete"),
    ],
)
def test_a_row_that_is_none_breaks_the_index(row: Row) -> None:
    """A put without its own data, or of no kind, is refused by name, in a delta and in a load."""
    index = an_index()
    with pytest.raises(PolicyError) as caught:
        index.apply(PolicyDelta(epoch="e1", since=1, revision=2, rows=(row,)))
    assert caught.value.code in ("row_malformed", "kind_unknown")
    assert index.broken
    said = (
        "'widget' is not a kind this version knows"
        if row.kind == "widget"
        else f"put of partner {row.id} without its data"
    )
    assert caught.value.message == said
    snapshot = PolicySnapshot(epoch="e1", revision=2, rows=(*a_snapshot().rows, row))
    with pytest.raises(PolicyError) as again:
        PolicyIndex.from_snapshot(snapshot)
    assert (again.value.code, again.value.message) == (caught.value.code, said)


def test_an_issuer_without_an_iss_matches_nothing() -> None:
    """A row that names no issuer, or a template without its placeholder, is nobody's: not even of an empty `iss`."""
    plain = V2_TEMPLATE.replace("{tenantid}", "")
    index = an_index(oidc={"issuer": None}, cloud={"v2_issuer": plain, "v1_issuer": None})

    for iss in ("", "None", plain, plain + ACME_TID, v2_issuer(ACME_TID)):
        assert index.find_issuer(iss) is None


def test_a_new_index_is_nobodys() -> None:
    """It has no epoch and no revision, is whole, and what was found out in another says nothing in it."""
    one, other = PolicyIndex(), PolicyIndex()

    assert (one.epoch, one.revision, one.generation) == ("", 0, 0)
    assert one.broken is False
    assert one.era is not other.era


def test_a_retired_index_is_never_one_that_somebody_read() -> None:
    """Its generation is odd, and later than each before: whoever still reads begins anew."""
    index = an_index()
    for name in ("one", "two"):
        put(index, PartnerRow(id="acme", name=name))
    index.retire()

    assert index.generation == 5


def test_tenants_on_the_list_are_listed_whatever_their_state() -> None:
    """Memory is for them alone: not for another tenant of the issuer, nor for an issuer that is gone."""
    index = an_index(acme_tenant={"state": "suspended"})
    for token in (v2_token(), oidc_token()):
        caller = verified_claims(token).caller
        assert index.lists(caller)
        assert not index.lists(replace(caller, tid=b"\0" * 16))
        assert not index.lists(replace(caller, issuer="nothing"))


def test_an_oidc_issuer_has_the_one_document() -> None:
    """What is said of its keys is said of `v2`."""
    match = an_index().find_issuer(OIDC_ISSUER)

    assert match is not None
    assert (match.document, match.tid, match.tid_text) == ("v2", None, "")


def test_issuers_of_listed_tenants_are_remembered_up_to_a_bound() -> None:
    """As many as fit; then all are found anew."""
    index = an_index()
    index._matches.update({str(number): index._exact[OIDC_ISSUER] for number in range(_MATCHES - 1)})
    assert index.find_issuer(v2_issuer(ACME_TID)) is not None
    assert len(index._matches) == _MATCHES
    assert index.is_settled(v2_issuer(ACME_TID))

    assert index.find_issuer(v1_issuer(ACME_TID)) is not None
    assert set(index._matches) == {v1_issuer(ACME_TID)}


def test_of_two_clouds_with_one_v1_issuer_none_is_settled() -> None:
    """Which of them is meant depends on their tenants, and those may change: it is found out each time."""
    other = an_entra_issuer(id="other", authority="https://login.other.example", v2_issuer=None)
    index = an_index(other)
    iss = v1_issuer(ACME_TID)
    first = index.find_issuer(iss)
    assert first is not None
    assert first.entry.row.id == "cloud"
    assert not index.is_settled(iss)

    moved = TenantRow(id="acme_tenant", issuer="cloud", partner="acme", tid=ACME_TID, state="suspended")
    put(index, moved, TenantRow(id="acme_other", issuer="other", partner="acme", tid=ACME_TID))
    second = index.find_issuer(iss)
    assert second is not None
    assert second.entry.row.id == "other"


def test_a_deleted_tenants_roles_are_gone() -> None:
    """Those that were given to the whole of it, too, and nobody else's."""
    index = an_index(RoleAssignmentRow(id="all_read", app_role="orders_read", tenant="acme_tenant"))
    assert "all_read" in index.assignments
    delete(index, "tenant", "acme_tenant")

    gone = dict.fromkeys(("acme_tenant", "acme_daemon", "acme_second", "acme_reads"), ...)
    assert state(index) == state(an_index(**gone))


# Loads.


def test_a_load_does_not_depend_on_the_order_of_rows() -> None:
    """Rows may come in any order; what is referred to is applied first."""
    rows = a_snapshot().rows
    backwards = PolicyIndex.from_snapshot(PolicySnapshot(epoch="e1", revision=1, rows=rows[::-1]))

    assert state(backwards) == state(unchanged_index())


CHANGES: list[RowData | str] = [
    PartnerRow(id="acme", name="Acme", state="suspended"),
    PartnerRow(id="acme", name="Acme"),
    TenantRow(id="acme_tenant", issuer="cloud", partner="acme", tid=STRANGE_TID),
    TenantRow(id="acme_tenant", issuer="cloud", partner="globex", tid=ACME_TID, state="suspended"),
    TenantRow(id="second_tenant", issuer="cloud", partner="acme", tid=STRANGE_TID),
    DaemonRow(id="acme_daemon", tenant="initech_tenant", client_id=ACME_CLIENT),
    DaemonRow(id="acme_daemon", tenant="acme_tenant", client_id=STRANGE_CLIENT, state="suspended"),
    DaemonRow(id="acme_second", tenant="acme_tenant", client_id=STRANGE_CLIENT),
    RoleAssignmentRow(id="acme_reads", app_role="orders_write", daemon="acme_daemon"),
    RoleAssignmentRow(id="acme_reads", app_role="orders_read", daemon="acme_second", expires_at=NOW),
    RoleAssignmentRow(id="acme_reads", app_role="orders_read", tenant="acme_tenant"),
    ResourceRow(id="orders", audiences=("other",), tenant_wide_roles=True),
    AppRoleRow(id="orders_read", resource="billing", value="Orders.Read"),
    an_oidc_issuer(issuer="https://id.moved.example"),
    *("acme", "acme_tenant", "acme_daemon", "acme_second", "acme_reads"),
    *("orders", "orders_read", "oidc", "cloud"),
]  # fmt: skip


def _without(rows: dict[str, RowData], id_: str) -> None:
    """Delete a row and what hangs on it, as a plain reading of the rules does."""
    row = rows.pop(id_, None)
    for other in list(rows.values()):
        holder = {
            IssuerRow: getattr(other, "issuer", None) if isinstance(other, TenantRow) else None,
            TenantRow: getattr(other, "tenant", None),
            DaemonRow: getattr(other, "daemon", None),
        }.get(type(row))  # type: ignore[arg-type]
        if holder == id_:
            _without(rows, other.id)


@given(st.lists(st.sampled_from(CHANGES), max_size=8))
def test_deltas_and_a_fresh_load_agree(changes: list[RowData | str]) -> None:
    """Whatever changes are applied one by one, the index is what a load of the resulting rows would be."""
    index, rows = an_index(), rows_by_id()
    for what in changes:
        try:
            if isinstance(what, str):
                kind = next((kind_of(row) for row in policy_rows() if row.id == what), "partner")
                delete(index, kind, what)
                _without(rows, what)
            else:
                put(index, what)
                rows[what.id] = what
        except PolicyError:
            assert index.broken
            with pytest.raises(PolicyError):
                _load({**rows, what.id: what} if not isinstance(what, str) else rows)
            return
    assert state(index) == state(_load(rows))


def _load(rows: dict[str, RowData]) -> PolicyIndex:
    return PolicyIndex.from_snapshot(
        PolicySnapshot(epoch="e1", revision=1, rows=tuple(row_of(row, 1) for row in rows.values()))
    )


# Nobody sees half a change.


def verified_claims(token: str) -> Any:
    """Return the verified claims of a token."""
    verified = verify(token, unchanged_index(), static_keys())
    assert isinstance(verified, Verified)
    return verified.claims


SUSPENDED = PartnerRow(id="acme", name="Acme", state="suspended")
ACTIVE = PartnerRow(id="acme", name="Acme")
HELD = RoleAssignmentRow(id="acme_reads", app_role="orders_read", daemon="acme_daemon")
ENDED = RoleAssignmentRow(id="acme_reads", app_role="orders_read", daemon="acme_daemon", expires_at=NOW)


def test_a_change_of_two_rows_is_never_half_seen() -> None:
    """Between the two rows of a change, and before its keys are changed too, every judgement is torn."""
    claims = verified_claims(v2_token())
    seen: list[object] = []

    class Watched(PolicyIndex):
        def take(self, row: Row) -> None:
            super().take(row)
            seen.append(judge(claims, self, "orders", (), NOW))

    index = Watched.from_snapshot(a_snapshot(acme={"state": "suspended"}))
    seen.clear()
    delta = PolicyDelta(epoch="e1", since=1, revision=2, rows=(row_of(ACTIVE, 2), row_of(ENDED, 2)))
    index.apply(delta, lambda: seen.append(judge(claims, index, "orders", (), NOW)))

    assert seen == [TORN, TORN, TORN]
    decision = judge(claims, index, "orders", (), NOW)
    assert isinstance(decision, Denied)
    assert (decision.reason, decision.revision) == (R.ROLE_NOT_ASSIGNED, 2)


def test_a_judgement_overtaken_by_a_whole_change_is_torn() -> None:
    """A change that begins and ends while one judgement runs is noticed by the generation, not only by oddness."""
    claims = verified_claims(v2_token())

    class Overtaking(dict[str, PartnerRow]):
        def get(self, key: str, default: Any = None) -> Any:
            found = super().get(key, default)
            put(index, ENDED)
            return found

    index = an_index()
    index.partners = Overtaking(index.partners)

    assert judge(claims, index, "orders", (), NOW) is TORN


def test_a_verification_overtaken_by_a_change_is_torn() -> None:
    """`decide` verifies and judges by one revision: a change in between takes the answer back."""
    index = an_index()
    keys = static_keys()

    class Overtaking:
        def key_set(self, ref: Any) -> Any:
            put(index, ACTIVE)
            return keys.key_set(ref)

    for token in (v2_token(), v2_token(roles=7), v2_token(exp=0)):
        assert decide(token, index, Overtaking(), "orders", (), NOW) is TORN


def test_a_retired_index_answers_nobody() -> None:
    """When a whole new policy takes over, a judgement by the old one begins again with the new."""
    index = an_index()
    claims = verified_claims(v2_token())
    index.retire()

    assert judge(claims, index, "orders", (), NOW) is TORN
    index.retire()
    assert judge(claims, index, "orders", (), NOW) is TORN


def test_a_failing_hook_breaks_the_index() -> None:
    """Rows whose keys could not be changed with them are not judged by."""
    index = an_index()

    def fail() -> None:
        raise RuntimeError("no keys")

    with pytest.raises(RuntimeError):
        index.apply(PolicyDelta(epoch="e1", since=1, revision=2, rows=(row_of(ACTIVE, 2),)), fail)
    assert index.broken
    assert index.generation % 2 == 0


@pytest.mark.threat(48)
def test_readers_beside_a_writer_never_mix_two_revisions() -> None:
    """Odd revisions suspend the partner, even ones end the role: a grant would have mixed both (bounded by count)."""
    claims = verified_claims(v2_token())
    index = an_index(acme={"state": "suspended"})
    wanted = {0: R.ROLE_NOT_ASSIGNED, 1: R.PARTNER_SUSPENDED}
    wrong: list[object] = []
    answered = [0, 0]
    stop = threading.Event()

    def read(place: int) -> None:
        while answered[place] < 4_000 and not stop.is_set():
            decision = judge(claims, index, "orders", (), NOW)
            if isinstance(decision, Torn):
                continue
            answered[place] += 1
            if not isinstance(decision, Denied) or decision.reason is not wanted[decision.revision % 2]:
                wrong.append(decision)
                stop.set()

    readers = [threading.Thread(target=read, args=(place,)) for place in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for reader in readers:
            reader.start()
        while any(reader.is_alive() for reader in readers):
            # In this order half a change would be a grant, both ways.
            put(index, ACTIVE, ENDED)
            put(index, HELD, SUSPENDED)
        for reader in readers:
            reader.join()
    finally:
        stop.set()
        sys.setswitchinterval(interval)

    assert wrong == []
    assert answered == [4_000, 4_000]
    assert index.revision > 1


# What is remembered of an `iss`.


def test_a_remembered_iss_is_forgotten_with_its_issuer() -> None:
    """A listed tenant's `iss` is found quickly the second time, and unknown at once when the issuer changes."""
    index = an_index()
    iss = v2_issuer(ACME_TID)
    assert index.find_issuer(iss) == index.find_issuer(iss) is not None
    put(index, replace(rows_by_id()["cloud"], v2_issuer="https://login.moved.example/{tenantid}/v2.0"))
    assert index.find_issuer(iss) is None

    put(index, rows_by_id()["cloud"])
    assert index.find_issuer(iss) is not None
    delete(index, "issuer", "cloud")
    assert index.find_issuer(iss) is None


def test_a_remembered_iss_does_not_keep_its_tenant_listed() -> None:
    """What is remembered says which issuer is meant, never that the tenant is welcome."""
    index = an_index()
    assert granted(index, v2_token())
    delete(index, "tenant", "acme_tenant")

    decision = ask(v2_token(), index, static_keys())
    assert isinstance(decision, Denied)
    assert decision.reason is R.TENANT_NOT_LISTED


def test_a_remembered_v1_iss_gives_way_to_a_second_cloud() -> None:
    """A cloud that comes to share the v1 issuer, and lists the tenant where the first no longer does, is found."""
    index = an_index()
    iss = v1_issuer(ACME_TID)
    first = index.find_issuer(iss)
    assert first is not None
    assert first.entry.row.id == "cloud"
    put(index, an_entra_issuer(id="gov", v2_issuer="https://login.gov.example/{tenantid}/v2.0"))
    put(index, replace(rows_by_id()["acme_tenant"], issuer="gov"))

    second = index.find_issuer(iss)
    assert second is not None
    assert second.entry.row.id == "gov"


def test_spellings_of_a_listed_iss_do_not_pile_up() -> None:
    """A GUID has thousands of spellings in capitals; what is remembered stays bounded, and each is found."""
    lettered = "abcdefab-cdef-4abc-8def-abcdefabcdef"
    index = an_index(acme_tenant={"tid": lettered})
    letters = [place for place, char in enumerate(lettered) if char.isalpha()]
    for number in range(5_000):
        capitals = {place for bit, place in enumerate(letters) if number >> bit & 1}
        tid = "".join(char.upper() if place in capitals else char for place, char in enumerate(lettered))
        match = index.find_issuer(v2_issuer(tid))
        assert match is not None
        assert match.tid_text == tid
    for number in range(5_000):
        assert index.find_issuer(v2_issuer(f"{number:08x}-0000-4000-8000-000000000000")) is not None

    assert 0 < len(index._matches) <= 4_096
