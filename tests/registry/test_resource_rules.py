"""The rules of a resource and the mappings to its roles: kept whole, changed member by member, told to every gate."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.policy import (
    AppRoleRow,
    ReportOnly,
    RequiredClaim,
    ResourceRow,
    RoleMappingRow,
    Row,
    RowData,
    decode_row,
    encode_row,
)
from tenantgate.core.rules import check_references, check_row
from tenantgate.registry import audit, resources, role_mappings
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import ConflictError, InvalidError, NotFoundError, RegistryError
from tenantgate.registry.snapshot import read_changes, read_snapshot
from tests.registry.builders import NOW, Registry, a_cloud, a_grant, a_mapping, a_resource, an_app_role

APPID = "aaaaaaaa-0000-4000-8000-000000000001"
CLAIMS = (
    RequiredClaim(claim="roles", values=("Orders.Read", "Orders.Write"), match="any"),
    RequiredClaim(claim="/realm_access/scope", values=("read",), separator=" "),
)
REPORTED = (ReportOnly(rule="addresses", until=NOW + 100),)
RULES: dict[str, Any] = {
    "app_only": "compatible",
    "agent_identities": True,
    "token_roles": "intersect",
    "tenant_wide_roles": True,
    "min_credential": "certificate",
    "max_lifetime": 3_600,
    "clock_skew": 0,
    "issuers": ("entra",),
    "clients": ("globex-sync", APPID),
    "token_versions": ("2.0",),
    "required_claims": CLAIMS,
    "addresses": ("192.0.2.0/24", "2001:db8::/48"),
    "report_only": REPORTED,
    "signing_keys_appid": APPID,
    "token_query": "access_token",
    "token_scheme": "Token",
    "failure_status": 404,
    "failure_message": "Ask orders@publisher.example.",
    "show_reasons": True,
}
"""Another value for every member but id and audiences; `token_header` goes with no scheme of its own."""


def row_of(registry: Registry, kind: str, id_: str) -> RowData | None:
    """What the policy says of one thing, or None."""
    with reading(registry.engine) as session:
        found = {(row.kind, row.id): row.data for row in read_snapshot(session).rows}
    return found.get((kind, id_))


def change(registry: Registry, *, now: int = NOW, **members: Any) -> int | None:
    """Change the resource `orders`; return the revision it made."""
    with registry.work(now=now) as work:
        resources.change(work, "orders", members)
    return work.revision


def refused(registry: Registry, *, now: int = NOW, **members: Any) -> RegistryError:
    """What a change of `orders` is refused with."""
    with pytest.raises(RegistryError) as caught:
        change(registry, now=now, **members)
    return caught.value


def test_the_rules_name_every_member():
    """These tests leave no member of a resource out."""
    assert {*RULES, "id", "audiences", "token_header"} == set(ResourceRow.__struct_fields__)


def test_every_rule_comes_out_as_it_was_put_in(registry: Registry):
    """Made with every rule, a resource is that row: in the snapshot, in the feed, and by the rules of core."""
    with registry.work() as work:
        a_resource(work, id="bills", audiences=("api://bills",), **RULES)
    expected = ResourceRow(id="bills", audiences=("api://bills",), **RULES)

    assert row_of(registry, "resource", "bills") == expected == check_row(expected)
    with reading(registry.engine) as session:
        delta = read_changes(session, 1)
    assert delta is not None
    (row,) = delta.rows
    assert (row.data, decode_row(encode_row(row))) == (expected, row)


@pytest.mark.parametrize("member", [*RULES, "token_header", "audiences"])
def test_one_member_is_changed_and_no_other(registry: Registry, member: str):
    """A change puts one member into the policy, in the next revision, and leaves the others alone."""
    values = RULES | {"token_header": "X-Orders-Token", "audiences": ("api://orders", "api://other")}
    value = values[member]

    assert change(registry, **{member: value}) == 2

    assert row_of(registry, "resource", "orders") == ResourceRow(
        **{"id": "orders", "audiences": ("api://orders",), member: value}
    )


def test_a_change_says_who_made_it_and_what_was_before(registry: Registry):
    """The row counts its version up; the audit has the resource before and after, the whole of each."""
    change(registry, now=NOW + 5, required_claims=CLAIMS, failure_status=404)

    with reading(registry.engine) as session:
        row = resources.get(session, "orders")
        (entry,) = audit.list_(session, newest_first=True, limit=1).items
    assert (row.version, row.updated_at, row.created_at) == (2, NOW + 5, NOW)
    assert (entry.action, entry.kind, entry.row_id, entry.operator) == ("resource.changed", "resource", "orders", "adm")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["required_claims"], entry.before["failure_status"]) == ([], None)
    assert entry.after["required_claims"][1] == {
        "claim": "/realm_access/scope",
        "values": ["read"],
        "match": "all",
        "separator": " ",
    }
    assert {name for name in entry.after if entry.after[name] != entry.before[name]} == {
        "required_claims",
        "failure_status",
        "updated_at",
        "version",
    }


def test_what_is_so_already_makes_no_revision(registry: Registry):
    """The same again, or nothing at all, is written nowhere: a script may say every day what should be."""
    assert change(registry, **RULES) == 2

    assert change(registry, **RULES) is None
    assert change(registry) is None
    with reading(registry.engine) as session:
        assert resources.get(session, "orders").version == 2
        assert audit.list_(session, newest_first=True, limit=1).items[0].revision == 2


def test_a_rule_is_taken_back(registry: Registry):
    """None, an empty list or false unset what was set."""
    change(registry, **RULES)
    default = ResourceRow(id="orders", audiences=("api://orders",))

    change(registry, **{name: getattr(default, name) for name in RULES})

    assert row_of(registry, "resource", "orders") == default


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"audiences": ()}, "list_empty", "audiences"),
        ({"issuers": ("nothing",)}, "reference_unknown", "issuers[0]"),
        ({"addresses": ("192.0.2.1/24",)}, "network_malformed", "addresses[0]"),
        ({"report_only": (ReportOnly(rule="clients", until=NOW),)}, "time_in_past", "report_only[0].until"),
        ({"token_header": "X-Token", "token_scheme": "Token"}, "member_not_allowed", "token_scheme"),
        ({"max_lifetime": 0}, "number_out_of_range", "max_lifetime"),
    ],
)
def test_a_change_that_the_rules_refuse_changes_nothing(
    registry: Registry, members: dict[str, Any], code: str, field: str
):
    """Refused with the rule's own code at its member; the good members beside it are not taken either."""
    before = row_of(registry, "resource", "orders")

    error = refused(registry, clock_skew=1, **members)

    assert isinstance(error, InvalidError)
    assert (error.code, error.field) == (code, field)
    assert row_of(registry, "resource", "orders") == before


def test_an_audience_is_one_resources_however_its_guid_is_written(registry: Registry):
    """Both would take Entra's spelling of it."""
    guid = "a1b2c3d4-0000-4000-8000-00000000000e"
    with registry.work() as work:
        a_resource(work, id="bills", audiences=(guid.upper(),))

    error = refused(registry, audiences=("api://orders", guid))

    assert isinstance(error, ConflictError)
    assert (error.code, error.field, error.holder) == ("audience_overlap", "audiences[1]", "bills")


def test_an_audience_is_one_resources(registry: Registry):
    """A change cannot take another's audience; its own it may keep."""
    with registry.work() as work:
        a_resource(work, id="bills", audiences=("api://bills",))

    error = refused(registry, audiences=("api://orders", "api://bills"))

    assert isinstance(error, ConflictError)
    assert (error.code, error.field, error.holder) == ("audience_overlap", "audiences[1]", "bills")
    assert change(registry, audiences=("api://orders", "api://new")) == 3


def test_tenant_wide_roles_stay_allowed_while_some_are_given(registry: Registry):
    """Switched off, they would stand there and count for nothing; the answer names one."""
    change(registry, tenant_wide_roles=True)
    with registry.work() as work:
        a_grant(work, id="all", daemon=None, tenant="contoso-entra")

    error = refused(registry, tenant_wide_roles=False)

    assert isinstance(error, ConflictError)
    assert (error.code, error.field, error.holder) == ("tenant_wide_in_use", "tenant_wide_roles", "all")
    assert change(registry, clock_skew=5) is not None


def test_what_was_reported_only_may_stand_there_after_its_end(registry: Registry):
    """A list sent again with an entry that has ended is no error; a new entry must end in the future."""
    change(registry, report_only=REPORTED)
    later = (ReportOnly(rule="clients", until=NOW + 300),)

    assert change(registry, now=NOW + 200, report_only=REPORTED + later) == 3
    error = refused(registry, now=NOW + 200, report_only=(ReportOnly(rule="addresses", until=NOW + 101),))
    assert (error.code, error.field) == ("time_in_past", "report_only[0].until")


def test_a_mapping_is_part_of_the_policy_until_it_is_deleted(registry: Registry):
    """Made, it is a row beside its role; deleted, it is in the feed by id alone, and may be made again."""
    with registry.work() as work:
        a_mapping(work)
    expected = RoleMappingRow(id="readers", issuer="entra", claim="roles", value="Reader", app_role="orders-read")
    assert row_of(registry, "role_mapping", "readers") == expected

    with registry.work() as work:
        row = role_mappings.delete(work, "readers")

    assert row.value == "Reader"
    with reading(registry.engine) as session:
        delta = read_changes(session, 2)
        (entry,) = audit.list_(session, newest_first=True, limit=1).items
        with pytest.raises(NotFoundError):
            role_mappings.get(session, "readers")
    assert delta is not None
    assert delta.rows == (Row(revision=3, kind="role_mapping", id="readers", op="delete"),)
    assert (entry.action, entry.after) == ("role_mapping.deleted", None)
    assert entry.before is not None
    assert entry.before["claim"] == "roles"
    with registry.work() as work:
        assert a_mapping(work) == "readers"


def test_one_value_gives_one_role_once(registry: Registry):
    """The same mapping again is refused and its holder named; another value, claim, issuer or role is another."""
    with registry.work() as work:
        a_mapping(work)
        a_cloud(work, id="other", authority="https://login.example")
        an_app_role(work, id="orders-write", value="Orders.Write")
    others: list[dict[str, str]] = [
        {"value": "reader"},
        {"claim": "/roles"},
        {"issuer": "other"},
        {"app_role": "orders-write"},
    ]
    with pytest.raises(ConflictError) as caught, registry.work() as work:
        a_mapping(work, id="twice")

    assert (caught.value.code, caught.value.field, caught.value.holder) == (
        "role_mapping_duplicate",
        "value",
        "readers",
    )
    for place, other in enumerate(others):
        with registry.work() as work:
            assert a_mapping(work, id=f"m{place}", **other) == f"m{place}"


def test_the_policy_with_all_of_it_passes_the_rules_of_core(registry: Registry):
    """What the registry gives out is what core's rules would have made of it, one by one and as a whole."""
    with registry.work() as work:
        resources.change(work, "orders", RULES)
        a_mapping(work)
        a_grant(work, id="all", daemon=None, tenant="contoso-entra")
    with reading(registry.engine) as session:
        rows = [row.data for row in read_snapshot(session).rows if row.data is not None]

    assert [check_row(row) for row in rows] == rows
    check_references(rows)
    assert {type(row) for row in rows} >= {ResourceRow, AppRoleRow, RoleMappingRow}
