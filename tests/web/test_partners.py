"""The list of partners, the page of one, and the buttons."""

from __future__ import annotations

import itertools
import re
import shlex

import pytest

from tenantgate.registry import (
    app_roles,
    assignments,
    audit,
    daemons,
    partners,
    pending_grants,
    role_mappings,
    tenants,
)
from tenantgate.registry.unit_of_work import Work
from tests.registry.builders import (
    CLIENT_ID,
    NOW,
    TID,
    a_daemon,
    a_grant,
    a_mapping,
    a_partner,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
)
from tests.web.world import Page, World, fabrikam

DAY = 86_400
HTMX = {"HX-Request": "true"}


def names_on(world: World, path: str) -> list[str]:
    """The partners that a page of the list shows, in their order."""
    return [link.text for link in Page(world.signed_in().get(path)).all("a", **{"class": "tg-name"})]


def company(number: int) -> dict[str, str]:
    """One of many."""
    return {"id": f"p{number:03}", "name": f"Company {number:03}"}


def many(world: World, count: int) -> None:
    """So many partners."""
    world.change(lambda work: [a_partner(work, **company(number)) for number in range(count)])


# The list


@pytest.mark.parametrize(
    ("role", "step"), [("Operator", "Onboard the first partner"), ("Viewer", "An operator or admin")]
)
def test_empty_list_says_the_next_step(world: World, role: str, step: str):
    """Where there is no partner yet, the page says what to do about it, for who may and for who may not."""
    words = Page(world.signed_in(role).get("/partners")).words
    assert "No partner yet" in words
    assert step in words


def test_list_shows_partners(contoso: World):
    """A line has name, id, state, end and the number of daemons."""
    contoso.change(lambda work: a_partner(work, id="adatum", name="A. Datum", ends_at=NOW + DAY, state="invited"))
    page = Page(contoso.signed_in().get("/partners"))
    lines = [" ".join(row.text.split()) for row in page.all("tr")][1:]
    assert lines == [
        "A. Datum adatum invited 2027-01-16T08:00:00Z 0 Activate A. Datum",
        "Contoso contoso active no end 1 Suspend Contoso",
    ]


def test_list_shows_what_has_ended(contoso: World):
    """A partner whose end has passed is marked: it is still active, and not let in."""
    contoso.change(lambda work: a_partner(work, id="adatum", name="A. Datum", ends_at=NOW + DAY))
    assert 'class="badge tg-badge tg-ended"' not in contoso.signed_in().get("/partners").text
    contoso.now += DAY
    assert contoso.signed_in().get("/partners").text.count('class="badge tg-badge tg-ended"') == 1


def test_daemon_in_a_hosted_tenant_counts_for_its_partner(contoso: World):
    """What counts is whose the daemon is, not whose the tenant."""
    tid = TID.replace("1111", "7777")
    contoso.change(
        lambda work: a_tenant(work, id="home", tid=tid, partner=None, hosted=True),
        lambda work: a_daemon(work, id="guest", tenant="home", partner="contoso"),
    )
    assert "Contoso contoso active no end 2" in Page(contoso.signed_in().get("/partners")).words


def test_list_goes_on_by_a_cursor(world: World):
    """Fifty a page, every partner exactly once, filters kept; the last page has no next."""
    many(world, 120)
    browser, path, seen = world.signed_in(), "/partners?search=company&state=active", []
    while path:
        page = Page(browser.get(path))
        seen.append([link.text for link in page.all("a", **{"class": "tg-name"})])
        path = next((link.get("href") for link in page.all("a", rel="next")), "")
        assert not path or path.startswith("/partners?search=company&state=active&after=")
    assert [len(names) for names in seen] == [50, 50, 20]
    assert list(itertools.chain(*seen)) == [company(number)["name"] for number in range(120)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=company+00", [f"Company 00{digit}" for digit in range(10)]),
        ("search=P011", ["Company 011"]),
        ("search=%25", []),
        ("search=ompany", []),
        ("state=suspended", ["Company 003"]),
        ("search=company+01&state=suspended", []),
        ("state=nonsense&search=p011", ["Company 011"]),
        ("after=p010", ["Company 011"]),
        ("after=zzz", []),
        ("search=" + "x" * 5_000, []),
        ("search=%00&after=%FF%FE", []),
        ("search=p011&after=%FF%FE", ["Company 011"]),
    ],
)
def test_search_looks_at_the_beginning(world: World, query: str, found: list[str]):
    """Search and filter find what begins so; whatever is asked for, there is an answer."""
    many(world, 12)
    world.change(lambda work: partners.suspend(work, "p003"))
    assert names_on(world, f"/partners?{query}") == found


def test_search_that_finds_nothing_says_so(contoso: World):
    """Nothing found is not the same as nothing there, and what was asked for stays in the box."""
    page = Page(contoso.signed_in().get("/partners?search=zzz&state=suspended"))
    assert "No partner fits" in page.words
    assert page.one("input", id="search").get("value") == "zzz"
    assert [each.get("value") for each in page.all("option") if "selected" in each.attributes] == ["suspended"]


# The page of one


def test_partner_page_shows_everything(contoso: World):
    """Partner, tenants, daemons, roles with their ends and why."""

    def more(work: Work) -> None:
        an_app_role(work, id="orders-write", value="Orders.Write")
        a_grant(work, id="later", app_role="orders-write", not_before=NOW + DAY, expires_at=NOW + 9 * DAY, reason="T-1")
        a_daemon(work, id="reports", client_id=CLIENT_ID.replace("a", "f"), oid=TID)

    contoso.change(more)
    words = Page(contoso.signed_in().get("/partners/contoso")).words
    for said in (
        "Contoso active",
        f"Tenant {TID} active",
        "Issuer entra · https://login.microsoftonline.com",
        f"{CLIENT_ID} nightly active Orders.Read on orders no end",
        "Orders.Write on orders upcoming from 2027-01-16T08:00:00Z, ends 2027-01-24T08:00:00Z · T-1",
        f"reports object id {TID} active Not let in: no role counts today. none",
        "2027-01-15T08:00:00Z by adm",
    ):
        assert said in words


def test_partner_without_tenants_says_the_next_step(world: World):
    """A partner alone lets nobody in, and the page says what to add."""
    world.change(a_partner)
    page = Page(world.signed_in().get("/partners/contoso"))
    assert "No daemon yet" in page.words
    assert {link.get("href") for link in page.all("a") if "daemon" in link.text} == {"/onboard?partner=contoso"}


@pytest.mark.parametrize(
    ("spoil", "later", "said"),
    [
        (lambda work: None, 0, ""),
        (lambda work: partners.suspend(work, "contoso"), 0, "the partner is suspended"),
        (lambda work: partners.archive(work, "contoso"), 0, "the partner is archived"),
        (lambda work: tenants.suspend(work, "contoso-entra"), 0, "the tenant is suspended"),
        (lambda work: daemons.suspend(work, "nightly"), 0, "the daemon is suspended"),
        (lambda work: None, 9 * DAY, "no role counts today"),
        (lambda work: None, 99 * DAY, "the partner's time has ended"),
    ],
)
def test_page_says_what_keeps_a_daemon_out(world: World, spoil: object, later: int, said: str):
    """A daemon that is active and still refused has the reason beside it."""
    world.change(
        lambda work: a_partner(work, ends_at=NOW + 30 * DAY),
        a_tenant,
        a_daemon,
        lambda work: a_grant(work, expires_at=NOW + 5 * DAY),
        spoil,  # type: ignore[arg-type]
    )
    world.now += later
    found = re.findall(r"Not let in: ([^.]*)\.", Page(world.signed_in().get("/partners/contoso")).words)
    assert found == ([said] if said else [])


def test_tenant_wide_roles_stand_with_the_tenant(world: World):
    """A role of all listed daemons is shown once, and lets each of them in."""
    world.change(
        lambda work: a_resource(work, id="billing", audiences=("api://billing",), tenant_wide_roles=True),
        lambda work: an_app_role(work, id="invoices", resource="billing", value="Invoices.Read"),
        a_partner,
        a_tenant,
        a_daemon,
        lambda work: a_grant(work, app_role="invoices", daemon=None, tenant="contoso-entra"),
    )
    answer = world.signed_in().get("/partners/contoso")
    said = "Tenant-wide: they reach 1 now, and each that is listed here later. Invoices.Read"
    assert f"Roles of every listed daemon here {said}" in Page(answer).words
    assert "Not let in" not in answer.text
    assert "scope=api://billing/.default" in answer.text


def test_roles_that_a_token_gives_stand_with_the_tenant(contoso: World):
    """Where a claim may give a role, the page says which, and calls no daemon kept out for want of one."""
    contoso.change(
        lambda work: a_mapping(work, claim="/realm_access/roles", value="<b>reader</b>"),
        lambda work: assignments.revoke(work, "nightly-read"),
    )
    answer = contoso.signed_in().get("/partners/contoso")
    said = "Roles that a token of this issuer gives Orders.Read on orders where /realm_access/roles is or holds"
    assert f"{said} <b>reader</b>" in Page(answer).words
    assert "<b>reader" not in answer.text
    assert "Not let in" not in answer.text
    contoso.change(lambda work: role_mappings.delete(work, "readers"))
    answer = contoso.signed_in().get("/partners/contoso")
    assert "Not let in: no role counts today." in Page(answer).words
    assert said not in Page(answer).words


def test_hosted_tenant_has_no_button(contoso: World):
    """A tenant that partners share is not suspended from the page of one of them; their daemon is."""
    contoso.change(
        lambda work: a_tenant(work, id="home", tid=TID.replace("1111", "7777"), partner=None, hosted=True),
        lambda work: a_daemon(work, id="guest", tenant="home", partner="contoso"),
    )
    page = Page(contoso.signed_in().get("/partners/contoso"))
    assert "Hosted tenant" in page.words
    actions = {form.get("action") for form in page.all("form")}
    assert "/daemons/guest/suspend" in actions
    assert "/tenants/home/suspend" not in actions


def test_what_the_developer_types_is_ready(contoso: World):
    """The page holds the commands with everything in them but secrets, open after onboarding."""
    browser = contoso.signed_in()
    answer = browser.get("/partners/contoso")
    text = Page(answer).one("pre").text
    assert f"https://login.microsoftonline.com/{TID}/oauth2/v2.0/token" in text
    assert f"client_id={CLIENT_ID}" in text
    assert '"client_secret=$CLIENT_SECRET"' in text
    assert "is onboarded" not in answer.text
    assert "open" not in Page(answer).one("details").attributes
    after = browser.get("/partners/contoso?onboarded=nightly")
    assert "Contoso is onboarded." in after.text
    assert "open" in Page(after).one("details").attributes
    assert "is onboarded" not in browser.get("/partners/contoso?onboarded=nobody").text


def test_oidc_tenant_is_its_issuer(world: World):
    """A tenant without tid shows the issuer, and its developer is told where the token endpoint stands."""
    world.change(
        an_oidc_issuer,
        a_partner,
        lambda work: a_tenant(work, issuer="keycloak", tid=None),
        lambda work: a_daemon(work, client_id="it's;$(id)", subject="service-account"),
        a_grant,
    )
    page = Page(world.signed_in().get("/partners/contoso"))
    assert "Tenant https://id.fabrikam.example/realms/main" in page.words
    assert "subject service-account" in page.words
    text = page.one("pre").text
    assert "https://id.fabrikam.example/realms/main/.well-known/openid-configuration" in text
    assert "client_id=it's;$(id)" in shlex.split(text, comments=True)


@pytest.mark.parametrize("path", ["/partners/nobody", "/partners/NOBODY", "/partners/%00", "/onboard?partner=x"])
def test_unknown_partner_is_not_found(contoso: World, path: str):
    """What is not there is a page that says so."""
    answer = contoso.signed_in().get(path)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


# The buttons


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("/partners/contoso", lambda world: world.ask(partners.get, "contoso").state),
        ("/tenants/contoso-entra", lambda world: world.ask(tenants.get, "contoso-entra").state),
        ("/daemons/nightly", lambda world: world.ask(daemons.get, "nightly").state),
    ],
)
def test_button_suspends_and_activates(contoso: World, path: str, state: object):
    """Each button's plain form changes the state, writes it down, and leads to the partner's page."""
    browser = contoso.signed_in()
    for change, found, action in (("suspend", "suspended", "suspended"), ("activate", "active", "activated")):
        answer = browser.submit(f"{path}/{change}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/partners/contoso")
        assert state(contoso) == found  # type: ignore[operator]
        entry = contoso.ask(audit.list_, newest_first=True).items[0]
        assert (entry.operator, entry.scheme, entry.address) == ("onboarding", "session", "testclient")
        assert entry.action.endswith(f".{action}")


def test_button_of_a_hosted_tenants_daemon_leads_to_its_partner(contoso: World):
    """The daemon's own partner is where one goes on."""
    contoso.change(
        lambda work: a_tenant(work, id="home", tid=TID.replace("1111", "7777"), partner=None, hosted=True),
        lambda work: a_daemon(work, id="guest", tenant="home", partner="contoso"),
    )
    browser = contoso.signed_in()
    assert browser.submit("/daemons/guest/suspend").headers["location"] == "/partners/contoso"
    assert browser.submit("/tenants/home/suspend").headers["location"] == "/partners"


def test_htmx_gets_the_line_that_changed(contoso: World):
    """For a button in the list htmx gets that one line, with the state as it is now."""
    answer = contoso.signed_in().submit("/partners/contoso/suspend", HTMX, view="line")
    assert answer.status_code == 200
    page = Page(answer)
    assert [row.get("id") for row in page.all("tr")] == ["partner-contoso"]
    assert page.one("tr").get("data-announce") == "Contoso is suspended"
    assert page.one("form").get("action") == "/partners/contoso/activate"
    assert page.all("html") == []


def test_htmx_on_the_partners_page_follows_to_the_whole_page(contoso: World):
    """There everything may have changed: htmx follows the redirect and picks its part out of the page."""
    answer = contoso.signed_in().submit("/daemons/nightly/suspend", HTMX)
    assert (answer.status_code, answer.headers["location"]) == (303, "/partners/contoso")


def test_second_press_is_no_error(contoso: World):
    """Who suspends what is suspended already gets what was asked for; it is written down once."""
    browser = contoso.signed_in()
    for _ in range(2):
        assert browser.submit("/partners/contoso/suspend").status_code == 303
    actions = [entry.action for entry in contoso.ask(audit.list_, limit=500).items]
    assert actions.count("partner.suspended") == 1


def test_archived_partner_has_no_buttons_and_does_not_come_back(contoso: World):
    """What is archived stays so: the page offers nothing, and a post is refused with the reason."""
    browser = contoso.signed_in()
    contoso.change(lambda work: partners.archive(work, "contoso"))
    page = Page(browser.get("/partners/contoso"))
    assert "/partners/contoso/activate" not in {form.get("action") for form in page.all("form")}
    assert "Add a daemon" not in page.words
    answer = browser.submit("/partners/contoso/activate")
    assert answer.status_code == 409
    assert "partner_archived" in answer.text


def test_refusal_for_htmx_goes_to_the_notice(contoso: World):
    """htmx is told to put a refusal at the top of the page, not into the row."""
    contoso.change(lambda work: partners.archive(work, "contoso"))
    answer = contoso.signed_in().submit("/partners/contoso/activate", HTMX, view="line")
    assert answer.status_code == 409
    assert (answer.headers["hx-retarget"], answer.headers["hx-reswap"]) == ("#notice", "innerHTML")
    assert Page(answer).all("html") == []
    assert "Partner contoso is archived." in answer.text


@pytest.mark.parametrize(
    "path", ["/partners/nobody/suspend", "/partners/contoso/archive", "/daemons/x/suspend", "/tenants/x/activate"]
)
def test_button_of_what_is_not_there(contoso: World, path: str):
    """A change that does not exist, or of what does not exist, is not found."""
    assert contoso.signed_in().submit(path).status_code == 404


def test_what_waits_for_a_second_operator_is_shown(world: World):
    """A sensitive role is not among the daemon's; above it stands who asked, and that it waits."""
    world.change(lambda work: app_roles.mark_sensitive(work, "orders-read"))
    browser = world.signed_in()
    assert browser.submit("/onboard", **fabrikam()).status_code == 303
    words = Page(browser.get("/partners/fabrikam")).words
    assert "Waits for a second operator." in words
    assert "asked by onboarding" in words
    (waiting,) = world.ask(pending_grants.list_).items
    world.change(lambda work: pending_grants.approve(work, waiting.id))
    assert "Waits for a second operator." not in Page(browser.get("/partners/fabrikam")).words
