"""Issuers, partners, tenants, daemons, resources, app roles, assignments: what is taken, what is refused and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from tenantgate.core.policy import CONSUMER_TENANT, DaemonRow, ReportOnly, RequiredClaim
from tenantgate.registry import (
    app_roles,
    assignments,
    daemons,
    issuers,
    partners,
    resources,
    role_mappings,
    tenants,
)
from tenantgate.registry.daemons import DaemonSpec
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import ConflictError, InvalidError, NotFoundError, RegistryError, TransitionError
from tenantgate.registry.issuers import IssuerSpec
from tenantgate.registry.rows import TABLES, data_of_row
from tenantgate.registry.service import LARGEST_PAGE
from tenantgate.registry.tables import Tenant
from tenantgate.registry.tenants import TenantSpec
from tenantgate.registry.unit_of_work import Work
from tests.registry.builders import (
    CLIENT_ID,
    NOW,
    TID,
    Registry,
    a_cloud,
    a_daemon,
    a_grant,
    a_mapping,
    a_partner,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
)

OTHER_TID = "99999999-2222-4333-8444-555555555555"
OTHER_CLIENT = "cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee"
SECOND: dict[Callable[..., str], dict[str, Any]] = {
    a_cloud: {"id": "second", "authority": "https://login.example"},
    an_oidc_issuer: {},
    a_partner: {"id": "second", "name": "Second"},
    a_tenant: {"id": "second", "tid": OTHER_TID},
    a_daemon: {"id": "second", "client_id": OTHER_CLIENT},
    a_resource: {"id": "second", "audiences": ("api://second",)},
    an_app_role: {"id": "second", "value": "Second.Read"},
    a_grant: {"id": "second", "app_role": "orders-read", "daemon": "nightly", "not_before": NOW + 10},
    a_mapping: {"id": "second", "value": "Second"},
}
"""How to make a second one of each beside those that are there."""


def change(registry: Registry, call: Callable[[Work], Any]) -> Any:
    """Run one change as a unit of work of its own, and return what it returns."""
    with registry.work() as work:
        return call(work)


def refusal(registry: Registry, call: Callable[[Work], Any]) -> RegistryError:
    """What a change is refused with."""
    with pytest.raises(RegistryError) as caught:
        change(registry, call)
    return caught.value


INVALID: list[tuple[Callable[..., str], dict[str, Any], str, str]] = [
    (a_partner, {"id": "Two Words"}, "id_malformed", "id"),
    (a_partner, {"name": ""}, "text_empty", "name"),
    (a_partner, {"name": "x" * 201}, "text_too_long", "name"),
    (a_partner, {"name": "a\x1bb"}, "text_not_allowed", "name"),
    (a_partner, {"name": "Conto\u200bso"}, "text_not_allowed", "name"),
    (a_partner, {"notes": "a\n\u2060b"}, "text_not_allowed", "notes"),
    (a_daemon, {"client_id": "svc\u00ad"}, "text_not_allowed", "client_id"),
    (a_daemon, {"subject": "a\u200db"}, "text_not_allowed", "subject"),
    (a_partner, {"name": "Cafe\u0301"}, "text_not_normalised", "name"),
    (a_partner, {"state": "suspended"}, "value_unknown", "state"),
    (a_partner, {"state": "nice"}, "value_unknown", "state"),
    (a_partner, {"ends_at": NOW}, "time_in_past", "ends_at"),
    (a_partner, {"ends_at": 10**12}, "number_out_of_range", "ends_at"),
    (a_partner, {"contacts": ("adm@contoso.example", "")}, "text_empty", "contacts[1]"),
    (a_partner, {"contacts": ("x",) * 65}, "list_too_long", "contacts"),
    (a_partner, {"notes": "x" * 4_001}, "text_too_long", "notes"),
    (a_cloud, {"authority": "https://login.example/?a"}, "url_malformed", "authority"),
    (a_cloud, {"authority": "http://login.example"}, "url_not_https", "authority"),
    (a_cloud, {"authority": "http://a.example", "insecure_allow_http": True}, "url_not_loopback", "authority"),
    (a_cloud, {"authority": "https://login.microsoftonline.de"}, "authority_not_allowed", "authority"),
    (a_cloud, {"v2_issuer": "https://login.example/v2.0"}, "template_malformed", "v2_issuer"),
    (a_cloud, {"jwks_hosts": ("a b",)}, "host_malformed", "jwks_hosts[0]"),
    (a_cloud, {"algorithms": ("HS256",)}, "algorithm_not_allowed", "algorithms[0]"),
    (a_cloud, {"token_types": (" ",)}, "token_type_malformed", "token_types[0]"),
    (a_cloud, {"jwks": {"keys": []}}, "jwks_malformed", "jwks"),
    (a_cloud, {"kind": "saml"}, "value_unknown", "kind"),
    (a_cloud, {"profile": "okta"}, "member_not_allowed", "profile"),
    (an_oidc_issuer, {"ca_bundle": "x"}, "ca_bundle_malformed", "ca_bundle"),
    (an_oidc_issuer, {"proxy": "x"}, "proxy_malformed", "proxy"),
    (an_oidc_issuer, {"profile": "octa"}, "value_unknown", "profile"),
    (an_oidc_issuer, {"client_id_claim": "/a~b"}, "pointer_malformed", "client_id_claim"),
    (an_oidc_issuer, {"client_id_claim": "email"}, "claim_not_allowed", "client_id_claim"),
    (a_tenant, {"tid": "no guid"}, "guid_malformed", "tid"),
    (a_tenant, {"tid": CONSUMER_TENANT}, "consumer_tenant", "tid"),
    (a_tenant, {"tid": None}, "member_missing", "tid"),
    (a_tenant, {"partner": None}, "member_missing", "partner"),
    (a_tenant, {"hosted": True}, "member_not_allowed", "partner"),
    (a_tenant, {"issuer": "nothing"}, "reference_unknown", "issuer"),
    (a_tenant, {"partner": "nobody"}, "reference_unknown", "partner"),
    (a_daemon, {"tenant": "nothing"}, "reference_unknown", "tenant"),
    (a_daemon, {"client_id": "worker"}, "guid_malformed", "client_id"),
    (a_daemon, {"partner": "contoso"}, "member_not_allowed", "partner"),
    (a_daemon, {"subject": "me"}, "member_not_allowed", "subject"),
    (a_resource, {"audiences": ()}, "list_empty", "audiences"),
    (a_resource, {"audiences": ("a", "a")}, "list_duplicate", "audiences[1]"),
    (a_resource, {"issuers": ("entra", "nothing")}, "reference_unknown", "issuers[1]"),
    (a_resource, {"clients": ("",)}, "text_empty", "clients[0]"),
    (a_resource, {"addresses": ("192.0.2.1/24",)}, "network_malformed", "addresses[0]"),
    (a_resource, {"token_versions": ("3.0",)}, "value_unknown", "token_versions[0]"),
    (a_resource, {"required_claims": (RequiredClaim(claim="/"),)}, "pointer_malformed", "required_claims[0].claim"),
    (
        a_resource,
        {"required_claims": (RequiredClaim(claim="scp", separator=""),)},
        "separator_malformed",
        "required_claims[0].separator",
    ),
    (a_resource, {"report_only": (ReportOnly(rule="clients", until=NOW),)}, "time_in_past", "report_only[0].until"),
    (a_resource, {"signing_keys_appid": "orders"}, "guid_malformed", "signing_keys_appid"),
    (a_resource, {"token_header": "Cookie"}, "header_malformed", "token_header"),
    (a_resource, {"token_query": "a&b"}, "query_malformed", "token_query"),
    (a_resource, {"token_scheme": "Be arer"}, "scheme_malformed", "token_scheme"),
    (a_resource, {"failure_status": 200}, "number_out_of_range", "failure_status"),
    (a_resource, {"failure_message": 'say "no"'}, "text_not_allowed", "failure_message"),
    (a_mapping, {"issuer": "nothing"}, "reference_unknown", "issuer"),
    (a_mapping, {"app_role": "nothing"}, "reference_unknown", "app_role"),
    (a_mapping, {"claim": "/a//b"}, "pointer_malformed", "claim"),
    (a_mapping, {"value": ""}, "text_empty", "value"),
    (an_app_role, {"value": "a b"}, "role_value_malformed", "value"),
    (an_app_role, {"resource": "nothing"}, "reference_unknown", "resource"),
    (an_app_role, {"display_name": "a\nb"}, "text_not_allowed", "display_name"),
    (a_grant, {"app_role": "nothing"}, "reference_unknown", "app_role"),
    (a_grant, {"daemon": "nobody"}, "reference_unknown", "daemon"),
    (a_grant, {"daemon": None, "tenant": "nobody"}, "reference_unknown", "tenant"),
    (a_grant, {"daemon": None, "tenant": "contoso-entra"}, "tenant_wide_not_allowed", "tenant"),
    (a_grant, {"expires_at": NOW, "not_before": None}, "time_in_past", "expires_at"),
    (a_grant, {"expires_at": NOW + 5}, "window_empty", "expires_at"),
    (a_grant, {"reason": "x" * 501}, "text_too_long", "reason"),
]


@pytest.mark.parametrize(("make", "changed", "code", "field"), INVALID)
def test_wrong_value_is_refused_at_its_field(
    registry: Registry, make: Callable[..., str], changed: dict[str, Any], code: str, field: str
):
    """One wrong value is refused with its code and field, and nothing is changed."""
    error = refusal(registry, lambda work: make(work, **(SECOND[make] | changed)))

    assert isinstance(error, InvalidError)
    assert (error.code, error.field) == (code, field)


def a_github(work: Work, **changed: Any) -> str:
    """GitHub Actions, whose repositories the publisher lists one by one."""
    issuer = issuers.create(
        work,
        IssuerSpec(
            **{
                "id": "github",
                "kind": "oidc",
                "issuer": "https://token.actions.githubusercontent.com",
                "profile": "github_actions",
            }
            | changed
        ),
    )
    return tenants.create(work, TenantSpec(id="repositories", issuer=issuer.id, hosted=True)).id


def a_repository(work: Work, **changed: Any) -> DaemonRow:
    """One repository of Contoso's, as the policy has it."""
    spec = {"tenant": "repositories", "partner": "contoso", "client_id": "65/74", "subject": "repo:x"} | changed
    row = data_of_row("daemon", daemons.create(work, DaemonSpec(**spec)))
    assert isinstance(row, DaemonRow)
    return row


def test_daemon_is_held_to_its_issuers_profile(registry: Registry):
    """A daemon that no token of its issuer could be, or that must be pinned and is not, is not listed."""
    change(registry, a_github)

    row = change(registry, a_repository)
    names = refusal(registry, lambda work: a_repository(work, client_id="contoso/sync"))
    bare = refusal(registry, lambda work: a_repository(work, client_id="65/75", subject=None))

    assert (row.client_id, row.subject) == ("65/74", "repo:x")
    assert (names.code, names.field) == ("client_id_malformed", "client_id")
    assert (bare.code, bare.field) == ("member_missing", "subject")


def test_issuer_may_say_otherwise_than_its_profile(registry: Registry):
    """What the row says is kept, and daemons are held to that."""
    said = {"client_id_claim": "repository_id", "roles_claim": "/environment", "subject_pin": False}
    change(registry, lambda work: a_github(work, **said))

    assert change(registry, lambda work: a_repository(work, client_id="74", subject=None)).subject is None
    with reading(registry.engine) as session:
        row = issuers.get(session, "github")
    assert {name: getattr(row, name) for name in said} == said


CONFLICTS: list[tuple[Callable[..., str], dict[str, Any], str, str, str]] = [
    (a_partner, {"id": "contoso"}, "id_duplicate", "id", "contoso"),
    (a_cloud, {"authority": "https://login.microsoftonline.com/"}, "issuer_duplicate", "authority", "entra"),
    (
        an_oidc_issuer,
        {"issuer": f"https://sts.windows.net/{OTHER_TID}/"},
        "issuer_duplicate",
        "issuer",
        "entra",
    ),
    (a_tenant, {"tid": TID.upper()}, "tenant_duplicate", "tid", "contoso-entra"),
    (a_daemon, {"client_id": CLIENT_ID.upper()}, "client_id_duplicate", "client_id", "nightly"),
    (an_app_role, {"value": "Orders.Read"}, "role_value_duplicate", "value", "orders-read"),
    (a_resource, {"audiences": ("x", "api://orders")}, "audience_overlap", "audiences[1]", "orders"),
    (a_grant, {}, "assignment_overlap", "app_role", "nightly-read"),
]


@pytest.mark.parametrize(("make", "changed", "code", "field", "holder"), CONFLICTS)
def test_what_is_taken_is_refused_and_its_holder_named(
    registry: Registry, make: Callable[..., str], changed: dict[str, Any], code: str, field: str, holder: str
):
    """What something else already holds is refused, and the answer says what holds it."""
    error = refusal(registry, lambda work: make(work, **(SECOND[make] | changed)))

    assert isinstance(error, ConflictError)
    assert (error.code, error.field, error.holder) == (code, field, holder)
    assert holder in error.message


@pytest.mark.parametrize("make", SECOND, ids=lambda make: make.__name__)
def test_second_one_is_taken(registry: Registry, make: Callable[..., str]):
    """What clashes with nothing is taken, whatever is there already."""
    if make is a_grant:
        change(registry, lambda work: assignments.revoke(work, "nightly-read"))

    id_ = change(registry, lambda work: make(work, **SECOND[make]))

    assert id_ == SECOND[make].get("id", "keycloak")


def test_cloud_is_refused_where_an_oidc_issuer_is_already_inside(registry: Registry):
    """A single tenant listed as an OIDC issuer keeps its cloud from being listed beside it."""
    change(registry, lambda work: an_oidc_issuer(work, issuer=f"https://login.example/{OTHER_TID}/v2.0"))

    error = refusal(registry, lambda work: a_cloud(work, id="example", authority="https://login.example"))

    assert (error.code, error.holder) == ("issuer_duplicate", "keycloak")


def test_oidc_issuer_is_its_own_tenant(registry: Registry):
    """An OIDC issuer has one tenant, without tid; a second one is refused."""

    def first(work: Work) -> str:
        an_oidc_issuer(work)
        return a_tenant(work, id="fabrikam", issuer="keycloak", tid=None)

    assert change(registry, first) == "fabrikam"
    assert change(registry, lambda work: a_daemon(work, id="w", tenant="fabrikam", client_id="Worker")) == "w"
    error = refusal(registry, lambda work: a_tenant(work, id="again", issuer="keycloak", tid=None))
    assert (error.code, error.field, error.holder) == ("tenant_duplicate", "issuer", "fabrikam")
    error = refusal(registry, lambda work: a_tenant(work, id="again", issuer="keycloak", tid=OTHER_TID))
    assert (error.code, error.field) == ("member_not_allowed", "tid")


def test_hosted_tenants_daemons_name_their_partner(registry: Registry):
    """In the publisher's own tenant each daemon names its partner, and roles for the whole tenant do not exist."""

    def hosted(work: Work) -> None:
        a_tenant(work, id="own", partner=None, hosted=True, tid=OTHER_TID)
        a_daemon(work, id="guest", tenant="own", partner="contoso")
        a_resource(work, id="wide", audiences=("api://wide",), tenant_wide_roles=True)
        an_app_role(work, id="wide-read", resource="wide")

    change(registry, hosted)
    error = refusal(registry, lambda work: a_daemon(work, id="nobodys", tenant="own", client_id=OTHER_CLIENT))
    assert (error.code, error.field) == ("member_missing", "partner")
    error = refusal(registry, lambda work: a_grant(work, id="all", app_role="wide-read", daemon=None, tenant="own"))
    assert error.code == "tenant_wide_not_allowed"
    assert change(
        registry, lambda work: a_grant(work, id="all", app_role="wide-read", daemon=None, tenant="contoso-entra")
    )


def test_one_tid_is_active_in_one_cloud_of_a_v1_issuer(registry: Registry):
    """Clouds that share a v1 issuer: a second active tenant of the tid is refused when made and when activated."""

    def another_cloud(work: Work) -> None:
        a_cloud(work, id="entra-us", authority="https://login.microsoftonline.us")
        a_partner(work, id="fabrikam", name="Fabrikam")

    change(registry, another_cloud)
    error = refusal(registry, lambda work: a_tenant(work, id="us", issuer="entra-us", partner="fabrikam"))
    assert (error.code, error.field, error.holder) == ("v1_issuer_shared", "tid", "contoso-entra")

    change(registry, lambda work: tenants.suspend(work, "contoso-entra"))
    change(registry, lambda work: a_tenant(work, id="us", issuer="entra-us", partner="fabrikam"))
    error = refusal(registry, lambda work: tenants.activate(work, "contoso-entra"))
    assert (error.code, error.holder) == ("v1_issuer_shared", "us")


def test_one_tid_may_be_active_in_clouds_that_share_nothing(registry: Registry):
    """Another cloud with a v1 issuer of its own may list the same tid."""

    def another_cloud(work: Work) -> str:
        a_cloud(work, id="entra-cn", authority="https://login.partner.microsoftonline.cn")
        return a_tenant(work, id="cn", issuer="entra-cn")

    assert change(registry, another_cloud) == "cn"


STATES = [
    (partners.suspend, "contoso", "suspended"),
    (partners.archive, "contoso", "archived"),
    (tenants.suspend, "contoso-entra", "suspended"),
    (daemons.suspend, "nightly", "suspended"),
]
BACK = {partners.suspend: partners.activate, tenants.suspend: tenants.activate, daemons.suspend: daemons.activate}


@pytest.mark.parametrize(("move", "id_", "state"), STATES)
def test_state_changes_once(registry: Registry, move: Callable[[Work, str], Any], id_: str, state: str):
    """A change of state counts the version up; the same again is refused, so that of two clicks one is told."""
    row = change(registry, lambda work: move(work, id_))
    assert (row.state, row.version) == (state, 2)

    error = refusal(registry, lambda work: move(work, id_))

    assert isinstance(error, TransitionError)
    assert error.code == "state_unchanged"


@pytest.mark.parametrize("move", BACK, ids=lambda move: move.__module__)
def test_suspended_comes_back(registry: Registry, move: Callable[[Work, str], Any]):
    """What was suspended can be activated again."""
    id_ = next(id_ for each, id_, _ in STATES if each is move)
    change(registry, lambda work: move(work, id_))

    row = change(registry, lambda work: BACK[move](work, id_))

    assert (row.state, row.version) == ("active", 3)


def test_invited_partner_is_activated(registry: Registry):
    """A partner may begin invited."""
    change(registry, lambda work: a_partner(work, id="fabrikam", state="invited"))

    assert change(registry, lambda work: partners.activate(work, "fabrikam")).state == "active"


@pytest.mark.parametrize(
    "call",
    [
        lambda work: partners.activate(work, "contoso"),
        lambda work: partners.suspend(work, "contoso"),
        lambda work: tenants.activate(work, "contoso-entra"),
        lambda work: daemons.activate(work, "nightly"),
        lambda work: a_tenant(work, **SECOND[a_tenant]),
        lambda work: a_daemon(work, **SECOND[a_daemon]),
    ],
)
def test_archived_partner_gets_nothing_new(registry: Registry, call: Callable[[Work], Any]):
    """Archived is the end: no state but archived, no tenant, no daemon, nothing activated."""

    def archive(work: Work) -> None:
        daemons.suspend(work, "nightly")
        tenants.suspend(work, "contoso-entra")
        partners.archive(work, "contoso")

    change(registry, archive)

    error = refusal(registry, call)

    assert isinstance(error, TransitionError)
    assert error.code == "partner_archived"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (partners.suspend, "partner_not_found"),
        (partners.archive, "partner_not_found"),
        (tenants.activate, "tenant_not_found"),
        (daemons.activate, "daemon_not_found"),
        (assignments.revoke, "role_assignment_not_found"),
        (role_mappings.delete, "role_mapping_not_found"),
        (lambda work, id_: resources.change(work, id_, {}), "resource_not_found"),
    ],
)
def test_changing_what_is_not_there(registry: Registry, call: Callable[[Work, str], Any], code: str):
    """A change of something that is not there says what is not there."""
    error = refusal(registry, lambda work: call(work, "nobody"))

    assert isinstance(error, NotFoundError)
    assert error.code == code


@pytest.mark.parametrize(
    ("get", "code"),
    [
        (issuers.get, "issuer_not_found"),
        (partners.get, "partner_not_found"),
        (tenants.get, "tenant_not_found"),
        (daemons.get, "daemon_not_found"),
        (resources.get, "resource_not_found"),
        (app_roles.get, "app_role_not_found"),
        (assignments.get, "role_assignment_not_found"),
        (role_mappings.get, "role_mapping_not_found"),
    ],
)
def test_getting_what_is_not_there(registry: Registry, get: Callable[[Session, str], Any], code: str):
    """`get` raises and names the kind."""
    with reading(registry.engine) as session, pytest.raises(NotFoundError) as caught:
        get(session, "nobody")

    assert caught.value.code == code


def test_what_was_made_can_be_read(registry: Registry):
    """Every aggregate gives back what was put in, GUIDs in lower case, and who wrote it when."""
    with registry.work() as work:
        partners.create(
            work,
            partners.PartnerSpec(
                id="fabrikam",
                name="Fabrikam – Übermut GmbH 日本",
                ends_at=NOW + 100,
                contacts=("Grace <grace@fabrikam.example>",),
                notes="Line one\nLine two",
            ),
        )
        a_tenant(work, id="f", partner="fabrikam", tid=OTHER_TID.upper())
        a_daemon(
            work, id="d", tenant="f", client_id=OTHER_CLIENT.upper(), oid=TID.upper(), min_credential="certificate"
        )

    with reading(registry.engine) as session:
        partner, tenant, daemon = (
            partners.get(session, "fabrikam"),
            tenants.get(session, "f"),
            daemons.get(session, "d"),
        )
    assert (partner.name, partner.ends_at) == ("Fabrikam – Übermut GmbH 日本", NOW + 100)
    assert (partner.contacts, partner.notes) == (["Grace <grace@fabrikam.example>"], "Line one\nLine two")
    assert (partner.created_at, partner.created_by, partner.updated_at, partner.version) == (NOW, "adm", NOW, 1)
    assert tenant.tid == OTHER_TID
    assert (daemon.client_id, daemon.oid, daemon.min_credential) == (OTHER_CLIENT, TID, "certificate")


def test_assignment_says_who_granted_it_and_why(registry: Registry):
    """A grant keeps who gave it, why and until when."""
    with registry.work() as work:
        an_app_role(work, **SECOND[an_app_role])
        a_grant(work, id="second", app_role="second", not_before=NOW + 10, expires_at=NOW + 99, reason="Ticket 7")

    with reading(registry.engine) as session:
        row = assignments.get(session, "second")
    assert (row.granted_by, row.reason, row.not_before, row.expires_at) == ("adm", "Ticket 7", NOW + 10, NOW + 99)


@pytest.mark.parametrize(
    ("window", "taken"),
    [
        ({"not_before": NOW + 200}, True),
        ({"not_before": NOW + 150, "expires_at": NOW + 250}, False),
        ({"expires_at": NOW + 100}, True),
        ({"expires_at": NOW + 101}, False),
        ({}, False),
    ],
)
def test_assignments_of_one_role_follow_each_other(registry: Registry, window: dict[str, Any], taken: bool):
    """A role is assigned once at any time (ends are exclusive): before and after another assignment is fine."""

    def first(work: Work) -> None:
        an_app_role(work, id="second", value="Second.Read")
        a_grant(work, id="first", app_role="second", not_before=NOW + 100, expires_at=NOW + 200)

    change(registry, first)

    def again(work: Work) -> str:
        return a_grant(work, id="again", app_role="second", **window)

    if taken:
        assert change(registry, again) == "again"
    else:
        assert refusal(registry, again).holder == "first"


def test_ended_assignment_is_in_nobodys_way(registry: Registry):
    """A role whose assignment has ended can be granted again from now on."""
    with registry.work(now=NOW) as work:
        an_app_role(work, id="second", value="Second.Read")
        a_grant(work, id="first", app_role="second", expires_at=NOW + 10)
    with registry.work(now=NOW + 10) as work:
        assert a_grant(work, id="again", app_role="second") == "again"


def test_revoked_role_can_be_granted_again(registry: Registry):
    """Revoking takes the assignment away; the same may be granted anew."""
    row = change(registry, lambda work: assignments.revoke(work, "nightly-read"))
    assert row.id == "nightly-read"
    with reading(registry.engine) as session, pytest.raises(NotFoundError):
        assignments.get(session, "nightly-read")

    assert change(registry, a_grant) == "nightly-read"


def ids(page: Any) -> list[str]:
    """The ids on a page."""
    return [row.id for row in page.items]


def test_pages_follow_each_other(registry: Registry):
    """Every row is on exactly one page, in order of id, and the last page says that it is the last."""
    with registry.work() as work:
        for number in range(6):
            a_partner(work, id=f"p{number}", name=f"Partner {number}")
    with reading(registry.engine) as session:
        first = partners.list_(session, limit=3)
        second = partners.list_(session, limit=3, after=first.after)
        third = partners.list_(session, limit=3, after=second.after)

    assert (ids(first), ids(second), ids(third)) == (["contoso", "p0", "p1"], ["p2", "p3", "p4"], ["p5"])
    assert (first.after, second.after, third.after) == ("p1", "p4", None)


def test_full_last_page_is_the_last(registry: Registry):
    """A page that ends with the last row does not promise another one."""
    with reading(registry.engine) as session:
        assert partners.list_(session, limit=1).after is None


@pytest.mark.parametrize("limit", [0, -1, LARGEST_PAGE + 1])
def test_size_of_a_page_is_bounded(registry: Registry, limit: int):
    """A page is neither empty nor without end."""
    with reading(registry.engine) as session, pytest.raises(InvalidError) as caught:
        partners.list_(session, limit=limit)

    assert (caught.value.code, caught.value.field) == ("number_out_of_range", "limit")


@pytest.fixture
def many(registry: Registry) -> Registry:
    """A second of everything, in other states."""
    with registry.work() as work:
        an_oidc_issuer(work)
        a_partner(work, id="fabrikam", name="Fabrikam", state="invited")
        a_tenant(work, id="fabrikam", issuer="keycloak", partner="fabrikam", tid=None)
        a_tenant(work, id="own", partner=None, hosted=True, tid=OTHER_TID)
        a_daemon(work, id="f-worker", tenant="fabrikam", client_id="worker")
        a_daemon(work, id="guest", tenant="own", partner="fabrikam", client_id=OTHER_CLIENT)
        a_resource(work, id="bills", audiences=("api://bills",), tenant_wide_roles=True)
        an_app_role(work, id="bills-read", resource="bills", value="Bills.Read")
        a_grant(work, id="f-bills", app_role="bills-read", daemon=None, tenant="fabrikam")
        a_mapping(work)
        a_mapping(work, id="f-readers", issuer="keycloak", app_role="bills-read")
        daemons.suspend(work, "guest")
        tenants.suspend(work, "own")
    return registry


FILTERS: list[tuple[Callable[..., Any], dict[str, Any], list[str]]] = [
    (issuers.list_, {}, ["entra", "keycloak"]),
    (issuers.list_, {"kind": "oidc"}, ["keycloak"]),
    (partners.list_, {"state": "invited"}, ["fabrikam"]),
    (partners.list_, {"search": "FAB"}, ["fabrikam"]),
    (partners.list_, {"search": "abri"}, []),
    (partners.list_, {"search": "%"}, []),
    (partners.list_, {"search": "_ontoso"}, []),
    (tenants.list_, {"issuer": "entra"}, ["contoso-entra", "own"]),
    (tenants.list_, {"partner": "fabrikam"}, ["fabrikam"]),
    (tenants.list_, {"tid": OTHER_TID.upper()}, ["own"]),
    (tenants.list_, {"state": "suspended"}, ["own"]),
    (daemons.list_, {"tenant": "own"}, ["guest"]),
    (daemons.list_, {"client_id": "worker"}, ["f-worker"]),
    (daemons.list_, {"partner": "fabrikam"}, ["f-worker", "guest"]),
    (daemons.list_, {"partner": "fabrikam", "state": "suspended"}, ["guest"]),
    (resources.list_, {}, ["bills", "orders"]),
    (app_roles.list_, {"resource": "bills"}, ["bills-read"]),
    (app_roles.list_, {"value": "Orders.Read"}, ["orders-read"]),
    (assignments.list_, {"daemon": "nightly"}, ["nightly-read"]),
    (assignments.list_, {"tenant": "fabrikam"}, ["f-bills"]),
    (assignments.list_, {"app_role": "bills-read"}, ["f-bills"]),
    (role_mappings.list_, {}, ["f-readers", "readers"]),
    (role_mappings.list_, {"issuer": "keycloak"}, ["f-readers"]),
    (role_mappings.list_, {"app_role": "orders-read"}, ["readers"]),
]


@pytest.mark.parametrize(("list_", "filters", "found"), FILTERS)
def test_lists_are_filtered(many: Registry, list_: Callable[..., Any], filters: dict[str, Any], found: list[str]):
    """A list holds what its filters say and nothing else."""
    with reading(many.engine) as session:
        assert ids(list_(session, **filters)) == found


def test_client_id_is_found_in_either_case(many: Registry):
    """A GUID client id is found however it is written, another one letter by letter."""
    with reading(many.engine) as session:
        assert ids(daemons.list_(session, client_id=CLIENT_ID.upper())) == ["nightly"]
        assert ids(daemons.list_(session, client_id="WORKER")) == []


def test_tables_hold_the_rules_that_matter_most(registry: Registry):
    """What the services refuse, the database refuses too: a hosted tenant with a partner."""
    error = refusal(
        registry,
        lambda work: work.session.add(
            Tenant(
                id="odd",
                issuer="entra",
                partner="contoso",
                tid=OTHER_TID,
                state="active",
                hosted=True,
                created_at=NOW,
                created_by="adm",
                updated_at=NOW,
            )
        ),
    )

    assert error.code == "conflict"


def test_a_key_is_distrusted_once_and_trusted_by_the_same_name(registry: Registry):
    """The second time is no change; what was never distrusted is not found."""
    with registry.work() as work:
        row = issuers.distrust_key(work, "entra", "stolen")
        assert (row.distrusted_keys, row.version) == (["stolen"], 2)
        assert issuers.distrust_key(work, "entra", "stolen").version == 2
    with registry.work() as work, pytest.raises(NotFoundError) as caught:
        issuers.trust_key(work, "entra", "other")
    assert (caught.value.code, caught.value.field) == ("key_not_found", "key")
    with registry.work() as work:
        assert issuers.trust_key(work, "entra", "stolen").distrusted_keys == []


REMOVALS: list[tuple[Callable[..., str], str, Callable[[Work, str], Any]]] = [
    (an_oidc_issuer, "issuer", issuers.delete),
    (a_tenant, "tenant", tenants.delete),
    (a_daemon, "daemon", daemons.delete),
    (a_resource, "resource", resources.delete),
    (an_app_role, "app_role", app_roles.delete),
    (a_grant, "role_assignment", assignments.revoke),
    (a_mapping, "role_mapping", role_mappings.delete),
]


@pytest.mark.parametrize(("make", "kind", "remove"), REMOVALS, ids=[kind for _, kind, _ in REMOVALS])
def test_no_version_is_used_twice_for_an_id(
    registry: Registry, make: Callable[..., str], kind: str, remove: Callable[[Work, str], Any]
):
    """What is made anew under the same id goes on counting, however often."""
    seen: list[int] = []
    with registry.work() as work:
        assignments.revoke(work, "nightly-read")  # the second may give the same role
    for _ in range(3):
        with registry.work() as work:
            id_ = make(work, **SECOND[make])
            seen.append(work.session.get_one(TABLES[kind], id_).version)
        with registry.work() as work:
            remove(work, id_)
    assert seen == [1, 2, 3]
