"""The form that lets a daemon in: all or nothing, and nothing typed is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tenantgate.registry import assignments, audit, daemons, partners, snapshot, tenants
from tenantgate.registry.engine import open_engine
from tests.registry.builders import (
    CLIENT_ID,
    TID,
    a_cloud,
    a_partner,
    a_resource,
    an_app_role,
    an_engine,
    an_oidc_issuer,
    an_operator,
)
from tests.web.world import FABRIKAM_CLIENT, FABRIKAM_TID, Browser, Page, World, fabrikam


def rows(world: World) -> tuple[int, ...]:
    """How many partners, tenants, daemons and assignments there are, and how long the audit is."""
    kinds = (partners, tenants, daemons, assignments)
    return (
        *(len(world.ask(kind.list_, limit=500).items) for kind in kinds),
        len(world.ask(audit.list_, limit=500).items),
    )


def wrong(page: Page) -> dict[str, str]:
    """What the form says is wrong, by field; what no field can mend is under the empty name."""
    found = {
        each.get("id").removesuffix("-wrong"): each.text
        for each in page.all("div")
        if each.get("id").endswith("-wrong")
    }
    alerts = [each.text.strip() for each in page.all("div", role="alert")]
    return found | ({} if found else {"": alerts[0]})


def typed(page: Page) -> dict[str, Any]:
    """What stands in the form."""
    fields: dict[str, Any] = {
        each.get("name"): each.get("value") for each in page.all("input") if each.get("type") in {"text", "date"}
    }
    fields["roles"] = [each.get("value") for each in page.all("input", name="roles") if "checked" in each.attributes]
    fields["issuer"] = next((each.get("value") for each in page.all("option") if "selected" in each.attributes), "")
    return fields


def test_form_lets_a_daemon_in(world: World):
    """Partner, tenant, daemon and roles come from one form, in one revision, and the partner's page follows."""
    browser = world.signed_in()
    before = world.ask(snapshot.read_state).revision
    answer = browser.submit(
        "/onboard", **fabrikam(ends="2031-03-31", role_ends="2030-12-31", reason="T-42", oid=FABRIKAM_TID.upper())
    )
    assert answer.status_code == 303, answer.text
    assert world.ask(snapshot.read_state).revision == before + 1
    partner = world.ask(partners.get, "fabrikam")
    (tenant,) = world.ask(tenants.list_).items
    (daemon,) = world.ask(daemons.list_).items
    (grant,) = world.ask(assignments.list_).items
    assert (partner.name, partner.state, partner.ends_at, partner.created_by) == (
        "Fabrikam",
        "active",
        1932768000,
        "onboarding",
    )
    assert (tenant.partner, tenant.issuer, tenant.tid) == ("fabrikam", "entra", FABRIKAM_TID)
    assert (daemon.tenant, daemon.client_id, daemon.oid) == (tenant.id, FABRIKAM_CLIENT, FABRIKAM_TID)
    assert (grant.daemon, grant.app_role, grant.expires_at) == (daemon.id, "orders-read", 1924992000)
    assert (grant.reason, grant.granted_by) == ("T-42", "onboarding")
    assert answer.headers["location"] == f"/partners/fabrikam?onboarded={daemon.id}"
    after = browser.get(answer.headers["location"])
    assert "Fabrikam is onboarded." in after.text
    assert FABRIKAM_TID in Page(after).one("pre").text


def test_id_is_made_where_none_is_given(world: World):
    """The partner's id is optional."""
    answer = world.signed_in().submit("/onboard", **fabrikam(id=""))
    (partner,) = world.ask(partners.list_).items
    assert partner.id.startswith("prt-")
    assert answer.headers["location"].startswith(f"/partners/{partner.id}?")


def test_what_is_typed_is_tidied(world: World):
    """White space around a value and another normal form of it are not what anybody means."""
    answer = world.signed_in().submit(
        "/onboard", **fabrikam(name="  Cafe\u0301 \t", client_id=f" {FABRIKAM_CLIENT}\r\n")
    )
    assert answer.status_code == 303
    assert world.ask(partners.get, "fabrikam").name == "Café"


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"name": ""}, "name", "Give the partner's name."),
        ({"name": "a\u202eb"}, "name", "The character U+202E is not allowed here."),
        ({"name": "x" * 201}, "name", "Must not be longer than 200 characters."),
        ({"id": "Not A Slug"}, "id", "An id is 1 to 63"),
        ({"id": "contoso"}, "id", "The id contoso is taken."),
        ({"ends": "2020-01-01"}, "ends", "Has already passed."),
        ({"ends": "tomorrow"}, "ends", "Write the day as YYYY-MM-DD"),
        ({"ends": "2031-02-30"}, "ends", "Write the day as YYYY-MM-DD"),
        ({"ends": "9999-12-31"}, "ends", "Write the day as YYYY-MM-DD"),
        ({"issuer": ""}, "issuer", "Choose who signs"),
        ({"issuer": "nobody"}, "issuer", "There is no issuer nobody."),
        ({"issuer": "../x"}, "issuer", "An id is 1 to 63"),
        ({"tid": ""}, "tid", "A tenant of an Entra issuer needs its tid."),
        ({"tid": "nonsense"}, "tid", "Must be a GUID"),
        ({"tid": TID}, "tid", f"Tid {TID} is already listed as tenant contoso-entra of partner contoso."),
        ({"tid": "9188040d-6c67-4c5b-b112-36a304b66dad"}, "tid", "This is the tenant of personal Microsoft accounts."),
        ({"issuer": "keycloak"}, "tid", "An OIDC issuer is itself the tenant."),
        ({"client_id": ""}, "client_id", "Give the daemon's client id."),
        ({"client_id": "my-daemon"}, "client_id", "Must be a GUID"),
        ({"oid": "nonsense"}, "oid", "Must be a GUID"),
        ({"roles": []}, "roles", "Choose at least one role"),
        ({"roles": ["orders-read", "nothing"]}, "roles", "There is no app role nothing."),
        ({"roles": ["orders-read", "<b>"]}, "roles", "An id is 1 to 63"),
        ({"role_ends": "2020-01-01"}, "role_ends", "Has already passed."),
        ({"role_ends": "31.12.2030"}, "role_ends", "Write the day as YYYY-MM-DD"),
        ({"reason": "x" * 501}, "reason", "Must not be longer than 500 characters."),
    ],
)
def test_fault_stands_beside_its_field(
    standing: World, operator: Browser, changed: dict[str, Any], field: str, said: str
):
    """A fault comes back as the form with 422: the message beside the field, all that was typed, nothing saved."""
    fields = fabrikam(ends="2031-03-31", role_ends="2030-12-31", reason="T-42", oid=FABRIKAM_TID) | changed
    before = rows(standing)
    answer = operator.submit("/onboard", **fields)
    assert answer.status_code == 422
    page = Page(answer)
    assert wrong(page).keys() == {field}
    assert wrong(page)[field].startswith(said)
    known = {"issuer": {"entra", "keycloak", ""}, "roles": {"orders-read"}}
    kept = fields | {"roles": [role for role in fields["roles"] if role in known["roles"]]}
    kept["issuer"] = kept["issuer"] if kept["issuer"] in known["issuer"] else ""
    assert typed(page) == kept
    assert rows(standing) == before


def test_field_at_fault_is_marked_for_who_cannot_see(world: World):
    """The field points at its message and its hint."""
    page = Page(world.signed_in().submit("/onboard", **fabrikam(tid="nonsense")))
    field = page.one("input", id="tid")
    assert field.get("aria-invalid") == "true"
    assert field.get("aria-describedby") == "tid-wrong tid-hint"
    assert page.one("div", id="tid-wrong").text == "Must be a GUID, as 8-4-4-4-12 hexadecimal digits."


def test_all_that_is_missing_is_said_at_once(world: World):
    """An empty form comes back with every field that must be filled marked."""
    answer = world.signed_in().submit("/onboard", **dict.fromkeys(fabrikam(), ""))
    assert answer.status_code == 422
    assert set(wrong(Page(answer))) == {"name", "issuer", "client_id", "roles"}


def test_last_row_at_fault_keeps_nothing(world: World):
    """Where the last of many roles is at fault, partner, tenant, daemon and the roles before it are gone too."""
    before = rows(world)
    browser = world.signed_in()
    after_sign_in = rows(world)
    assert browser.submit("/onboard", **fabrikam(roles=["orders-read", "gone"])).status_code == 422
    assert rows(world) == after_sign_in
    assert after_sign_in[:4] == before[:4] == (0, 0, 0, 0)


def test_field_sent_twice_is_refused(world: World):
    """Which of two names is meant cannot be known, so neither is taken."""
    answer = world.signed_in().submit("/onboard", **fabrikam(name=["A", "B"]))
    assert answer.status_code == 400
    assert "form_malformed" in answer.text
    assert rows(world)[0] == 0


def test_unknown_fields_do_nothing(world: World):
    """What the form does not have cannot be set through it."""
    extra = {
        "state": "archived",
        "created_by": "administration",
        "partner.state": "invited",
        "hosted": "1",
        "version": "9",
    }
    assert world.signed_in().submit("/onboard", **fabrikam(), **extra).status_code == 303
    partner = world.ask(partners.get, "fabrikam")
    assert (partner.state, partner.created_by, partner.version) == ("active", "onboarding", 1)


def test_daemon_is_added_to_a_partner_and_tenant_that_are_there(contoso: World):
    """For a partner that is there the form is filled in with the tenant, which is used again, not listed twice."""
    browser = contoso.signed_in()
    page = Page(browser.get("/onboard?partner=contoso&tenant=contoso-entra"))
    assert page.one("input", name="partner").get("value") == "contoso"
    assert page.all("input", name="name") == []
    assert typed(page)["tid"] == TID
    answer = browser.submit(
        "/onboard", partner="contoso", issuer="entra", tid=TID, client_id=FABRIKAM_CLIENT, roles="orders-read"
    )
    assert answer.headers["location"].startswith("/partners/contoso?onboarded=dmn-")
    assert rows(contoso)[:4] == (1, 1, 2, 2)


def test_tenant_of_somebody_else_is_not_filled_in(contoso: World):
    """The address cannot mix one partner with the tenant of another."""
    contoso.change(lambda work: a_partner(work, id="adatum", name="A. Datum"))
    page = Page(contoso.signed_in().get("/onboard?partner=adatum&tenant=contoso-entra"))
    assert typed(page)["tid"] == ""


def test_daemon_that_is_listed_is_not_listed_twice(contoso: World):
    """The same client id in the same tenant is refused beside its field, with who has it."""
    fields = {"partner": "contoso", "issuer": "entra", "tid": TID, "client_id": CLIENT_ID, "roles": "orders-read"}
    page = Page(contoso.signed_in().submit("/onboard", **fields))
    assert wrong(page) == {"client_id": f"Client id {CLIENT_ID} is already listed as daemon nightly."}


def test_archived_partner_gets_nothing_new(contoso: World):
    """What no field can mend stands above the form."""
    contoso.change(lambda work: partners.archive(work, "contoso"))
    fields = {"partner": "contoso", "issuer": "entra", "tid": TID, "client_id": FABRIKAM_CLIENT, "roles": "orders-read"}
    answer = contoso.signed_in().submit("/onboard", **fields)
    assert answer.status_code == 422
    assert wrong(Page(answer)) == {"": "Partner contoso is archived."}


def test_oidc_issuer_needs_no_tenant_id(world: World):
    """At an OIDC issuer the issuer is the tenant, and a client id is any name."""
    world.change(an_oidc_issuer)
    fields = fabrikam(issuer="keycloak", tid="", client_id="sync-service")
    assert world.signed_in().submit("/onboard", **fields).status_code == 303
    (tenant,) = world.ask(tenants.list_).items
    assert (tenant.issuer, tenant.tid) == ("keycloak", None)


def test_roles_are_offered_by_resource(world: World):
    """Each API has its roles under its name."""
    world.change(
        lambda work: a_resource(work, id="billing", audiences=("api://billing",)),
        lambda work: an_app_role(
            work, id="invoices", resource="billing", value="Invoices.Read", display_name="Read bills"
        ),
    )
    page = Page(world.signed_in().get("/onboard"))
    assert "billing Invoices.Read Read bills orders Orders.Read" in page.words
    assert [each.get("value") for each in page.all("input", name="roles")] == ["invoices", "orders-read"]


def test_only_issuer_is_chosen_already(world: World):
    """Where there is nothing to choose, nobody has to."""
    browser = world.signed_in()
    assert typed(Page(browser.get("/onboard")))["issuer"] == "entra"
    world.change(an_oidc_issuer)
    assert typed(Page(browser.get("/onboard")))["issuer"] == ""


def test_missing_groundwork_is_named(tmp_path: Any):
    """Without an issuer or a role there is no form, but what to do first."""
    world = World(an_engine(tmp_path / "registry.db"))
    world.change(lambda work: an_operator(work, id="onboarding", name="Onboarding", role="Operator"))
    browser: Browser = world.signed_in()
    assert "No issuer is trusted yet" in browser.get("/onboard").text
    world.change(a_cloud)
    page = browser.get("/onboard")
    assert "No API has a role yet" in page.text
    assert Page(page).all("form", action="/onboard") == []
    world.engine.dispose()


def test_double_submit_lets_one_in(world: World):
    """The same form sent many times at once gives one partner; the others come back with what is in the way."""
    browser = world.signed_in()
    fields = {"csrf": browser.csrf, **fabrikam()}
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: browser.post("/onboard", fields).status_code, range(8)))
    assert sorted(statuses) == [303, *[422] * 7]
    assert rows(world)[:4] == (1, 1, 1, 1)


def test_busy_database_loses_nothing(world: World):
    """Where the database cannot take it now the form comes back with 503 and all that was typed."""
    impatient = World(open_engine(f"sqlite:///{world.engine.url.database}", busy_timeout=0.02))
    browser = impatient.signed_in()
    fields = fabrikam(reason="T-42")
    with world.engine.connect() as other:
        other.exec_driver_sql("SELECT 1")  # BEGIN IMMEDIATE comes with it
        answer = browser.submit("/onboard", **fields)
    impatient.engine.dispose()
    assert answer.status_code == 503
    page = Page(answer)
    assert typed(page) == fields
    assert "Nothing was saved; what you typed is still here" in page.words
    assert rows(world)[:4] == (0, 0, 0, 0)
