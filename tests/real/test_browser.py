"""The page in a real Chromium: with its script, without any, in light and dark, under its own strict policy."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantgate.registry import access_requests, invitations, operators, partners, pending_grants, sessions
from tenantgate.registry.unit_of_work import Work
from tenantgate.web.links import sign_in_address
from tests.real.browser import PHONE, Tab, browser_of, pictures_folder, served, tab_of
from tests.real_parts import missing, node_modules
from tests.registry.builders import NOW, a_daemon, a_grant, a_partner, a_tenant, an_app_role, an_oidc_issuer
from tests.web.test_access_requests import asked
from tests.web.test_attention import a_request, an_answer
from tests.web.test_credentials import add_certificate, add_key
from tests.web.test_enforcement import come, say
from tests.web.world import FABRIKAM_CLIENT, FABRIKAM_TID, World

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for the module's browser."""
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Any]:
    """One Chromium for all tests; each has a tab of its own, without cookies."""
    del anyio_backend
    async with browser_of() as opened:
        yield opened


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The page, served."""
    with served(tmp_path) as made:
        yield made


@pytest.fixture
async def tab(browser: Any, tmp_path: Path) -> AsyncIterator[Tab]:
    """A tab that has complained of nothing when the test ends."""
    async with tab_of(browser, pictures_folder(tmp_path)) as opened:
        yield opened
        assert opened.complaints == []


async def sign_in(tab: Tab, world: World) -> None:
    """Come by a link and press its button."""
    await tab.page.goto(sign_in_address(world.public_url, world.code_for()))
    await tab.page.click("text=Sign in with this link")
    await tab.page.wait_for_url("**/partners")


def companies(world: World) -> None:
    """A few partners in all sorts of states."""

    def make(work: Any) -> None:
        an_oidc_issuer(work)
        an_app_role(work, id="orders-change", value="Orders.ReadWrite", display_name="Change orders")
        for id_, name, changed in (
            ("adatum", "A. Datum Corporation", {"ends_at": NOW + 5}),
            ("contoso", "Contoso", {}),
            ("northwind", "Northwind Traders", {"state": "invited"}),
            ("wingtip", "Wingtip Toys", {}),
        ):
            a_partner(work, id=id_, name=name, **changed)
        a_tenant(work)
        a_daemon(work)
        a_grant(work)

    world.change(make, lambda work: partners.archive(work, "wingtip"))
    world.now += 10


def credentials(work: Work) -> None:
    """Contoso's daemon has a certificate, and a key that ends soon."""
    add_certificate(work, "crt-1", 1)
    add_key(work, "batch", NOW + 86_400)


async def test_link_is_taken_out_of_the_address_and_used_by_a_press(tab: Tab, world: World):
    """The code leaves the address bar at once, is posted by the button alone, and then signs in."""
    await tab.page.goto(sign_in_address(world.public_url, world.code_for()))
    button = tab.page.get_by_role("button", name="Sign in with this link")
    await button.wait_for()
    assert tab.page.url == f"{world.public_url}/sign-in"
    assert world.ask(sessions.list_).items == ()
    assert await tab.page.evaluate("history.length") <= 2
    assert not await tab.page.locator("#key").is_visible()
    await tab.picture("sign-in-link")
    await button.click()
    await tab.page.wait_for_url("**/partners")
    assert len(world.ask(sessions.list_).items) == 1
    assert await tab.page.evaluate("document.cookie") == ""


async def test_partner_is_onboarded_found_and_suspended(tab: Tab, world: World):
    """From the empty list through the form to a partner that is suspended by a button and found by typing."""
    page = tab.page
    await sign_in(tab, world)
    await tab.picture("partners-empty")
    await page.click("text=Onboard the first partner")
    for field, value in {
        "name": "Fabrikam",
        "id": "fabrikam",
        "ends": "2031-03-31",
        "tid": FABRIKAM_TID,
        "client_id": FABRIKAM_CLIENT,
        "role_ends": "2030-12-31",
        "reason": "Contract 4711",
    }.items():
        await page.fill(f"#{field}", value)
    await page.get_by_label("Orders.Read", exact=True).check()
    await tab.picture("onboard")
    await page.get_by_role("button", name="Onboard the partner").click()
    await page.get_by_text("Fabrikam is onboarded.").wait_for()
    assert "scope=api://orders/.default" in await page.inner_text("pre")
    await tab.picture("partner")

    companies(world)
    await page.click("nav >> text=Partners")
    await tab.picture("partners")
    line = page.locator("#partner-fabrikam")
    await line.get_by_role("button", name="Suspend").click()
    await line.get_by_text("suspended", exact=True).wait_for()
    assert world.ask(partners.get, "fabrikam").state == "suspended"
    assert page.url == f"{world.public_url}/partners"
    assert await page.evaluate("document.activeElement.id") == "change-fabrikam"
    assert await page.inner_text("#announcer") == "Fabrikam is suspended"

    await page.fill("#search", "no")
    await page.wait_for_url("**/partners?search=no&state=")
    assert await page.locator(".tg-name").all_inner_texts() == ["Northwind Traders"]
    await page.fill("#search", "nobody")
    await page.get_by_text("No partner fits").wait_for()
    assert await page.inner_text("#announcer") == "0 partners shown"


async def test_buttons_of_the_partners_page_show_what_follows(tab: Tab, world: World):
    """Suspending on the partner's page changes that page in place, with what it means for the daemons."""
    companies(world)
    page = tab.page
    await sign_in(tab, world)
    await page.goto(f"{world.public_url}/partners/contoso")
    await page.evaluate("window.still = true")
    await page.get_by_role("button", name="Suspend partner Contoso").click()
    await page.get_by_text("Not let in: the partner is suspended.").wait_for()
    await page.get_by_role("button", name="Activate partner Contoso").click()
    await page.get_by_text("Not let in").wait_for(state="detached")
    assert await page.evaluate("window.still")
    await page.get_by_text("For the partner's developer").click()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy").click()
    await page.get_by_role("button", name="Copied").wait_for()
    assert "client_credentials" in await page.evaluate("navigator.clipboard.readText()")


async def test_refusals_are_said_at_the_top(tab: Tab, world: World):
    """What the server refuses or cannot do is said without losing the page; an ended session leads to sign-in."""
    companies(world)
    page = tab.page
    await sign_in(tab, world)
    suspend = page.get_by_role("button", name="Suspend Contoso")
    world.change(lambda work: partners.archive(work, "contoso"))
    await suspend.click()
    await page.get_by_text("Partner contoso is archived.").wait_for()

    await page.route("**/suspend", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    await suspend.click()
    await page.get_by_text("The server could not do it just now.").wait_for()
    assert await page.get_by_text("Bad gateway").count() == 0
    await page.unroute("**/suspend")

    world.change(lambda work: operators.suspend(work, "onboarding"))
    await suspend.click()
    await page.wait_for_url("**/sign-in?why=ended&next=/partners")
    # The browser notes every refused request; nothing else may be there.
    assert [re.findall(r"status of (\d+)", complaint) for complaint in tab.complaints] == [["409"], ["502"], ["401"]]
    tab.complaints.clear()


async def test_the_proof_comes_by_itself(tab: Tab, world: World):
    """After a press the list and the partner's page say who enforces it, and ask until all do; then no more."""
    companies(world)
    page, asked = tab.page, []
    come(world, "gate-1", "gate-2", "gate-3")
    say(world, "gate-1", "gate-2", "gate-3")
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/enforcement") else None)
    await sign_in(tab, world)
    proof = page.locator("#enforcement")
    await page.get_by_role("button", name="Suspend Contoso").click()
    await proof.get_by_text("0 of 3 instances enforce").wait_for()
    assert await page.locator("#partner-contoso").get_by_text("suspended", exact=True).count() == 1
    say(world, "gate-1", "gate-2", took=40)
    await proof.get_by_text("2 of 3 instances enforce").wait_for()
    await tab.picture("proof-part")
    revision = say(world, "gate-3", took=240)
    await proof.get_by_text(f"3 of 3 instances enforce revision {revision}, slowest 0.2 s").wait_for()
    assert await page.inner_text("#announcer") == f"3 of 3 instances enforce revision {revision}"
    await tab.picture("proof-list")
    assert len(asked) >= 2

    await page.goto(f"{world.public_url}/partners/contoso")
    await page.get_by_role("button", name="Activate partner Contoso").click()
    await page.locator("#enforcement").get_by_text("0 of 3 instances enforce").wait_for()
    say(world, "gate-1", "gate-2", "gate-3", took=240)
    await page.locator("#enforcement").get_by_text("3 of 3 instances enforce").wait_for()
    await tab.picture("proof")
    so_far = len(asked)
    await page.wait_for_timeout(2_500)
    assert len(asked) == so_far


async def test_what_waits_is_decided(tab: Tab, world: World):
    """A caller that asks is put on the list, a sensitive role approved and an invitation; the menu counts."""
    companies(world)
    page = tab.page
    asked(world)
    asked(world, client_id='<b>"x"</b> ' + "y" * 200, tid="99999999-2222-4333-8444-555555555556")
    request, invitation = a_request(world), an_answer(world)
    world.change(credentials)
    await sign_in(tab, world)
    await page.get_by_role("link", name="Access requests 2").click()
    await tab.picture("access-requests")
    await page.get_by_role("button", name="Dismiss <b>").click()
    await page.get_by_role("link", name="Access requests 1").wait_for()
    await page.get_by_role("link", name="Approve…").click()
    await page.fill("#name", "Tailspin Toys")
    await page.get_by_label("Orders.Read", exact=True).check()
    await tab.picture("access-request")
    await page.get_by_role("button", name="Put it on the list").click()
    await page.get_by_text("Tailspin Toys is onboarded.").wait_for()
    await page.get_by_role("link", name="Attention").click()
    await tab.picture("attention")
    await page.get_by_role("button", name=f"Approve {request}").click()
    await page.get_by_role("button", name=f"Approve {invitation}").click()
    await page.get_by_role("button", name="Approve").first.wait_for(state="detached")
    assert world.ask(pending_grants.get, request).state == "approved"
    assert world.ask(invitations.get, invitation).state == "approved"
    await page.goto(f"{world.public_url}/partners/contoso")
    await tab.picture("partner-credentials")


async def test_pages_fit_a_phone(browser: Any, tmp_path: Path, world: World):
    """At the width of a phone nothing but tables, inside of themselves, is wider than the screen."""
    companies(world)
    asked(world)
    asked(world, client_id="y" * 200, tid="99999999-2222-4333-8444-555555555556")
    a_request(world)
    an_answer(world, name="Z" * 200, reason="w" * 300)
    world.change(credentials)
    come(world, "a-host-with-a-very-long-name-4711-abcdef", "gate-2")
    async with tab_of(browser, pictures_folder(tmp_path), phone=True) as tab:
        await sign_in(tab, world)
        id_ = world.ask(access_requests.list_).items[0].id
        for name, path in {
            "partners": "/partners",
            "partner": "/partners/contoso",
            "requests": "/access-requests",
            "request": f"/access-requests/{id_}",
            "attention": "/attention",
            "enforcement": "/enforcement",
        }.items():
            await tab.page.goto(world.public_url + path)
            await tab.picture(f"phone-{name}")
            assert await tab.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], path
        assert tab.complaints == []


async def test_everything_works_without_a_script(browser: Any, tmp_path: Path, world: World):
    """Signed in by key, without JavaScript: search, suspend and onboard are plain forms."""
    companies(world)
    async with tab_of(browser, pictures_folder(tmp_path), java_script_enabled=False) as tab:
        page = tab.page
        await page.goto(world.public_url)
        await page.fill("#key", world.key_for())
        await page.get_by_role("button", name="Sign in").click()
        await page.fill("#search", "cont")
        await page.get_by_role("button", name="Search").click()
        await page.wait_for_url("**cont*")
        assert await page.locator(".tg-name").all_inner_texts() == ["Contoso"]
        await page.get_by_role("button", name="Suspend Contoso").click()
        await page.wait_for_url(f"{world.public_url}/partners/contoso")
        assert world.ask(partners.get, "contoso").state == "suspended"
        await page.get_by_role("link", name="Add a daemon here").click()
        await page.fill("#client_id", FABRIKAM_CLIENT)
        await page.get_by_label("Orders.Read", exact=True).check()
        await page.get_by_role("button", name="Add the daemon").click()
        await page.get_by_text("Contoso is onboarded.").wait_for()
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_text("You are signed out.").wait_for()
        assert tab.complaints == []


async def test_pages_are_accessible(tab: Tab, world: World):
    """axe finds nothing (WCAG 2.2 AA and its best practices) on any page, in light and in dark."""
    source = node_modules() / "axe-core" / "axe.min.js"
    axe = source.read_text() if source.is_file() else missing("npm package axe-core")
    companies(world)
    request = asked(world)
    a_request(world)
    an_answer(world)
    world.change(credentials)
    come(world, "gate-1", "gate-2")
    page, found = tab.page, []
    await page.goto(f"{world.public_url}/onboard")
    found += await tab.accessibility_faults(axe)
    await page.goto(sign_in_address(world.public_url, world.code_for()))
    found += await tab.accessibility_faults(axe)
    await page.click("text=Sign in with this link")
    await page.wait_for_url("**/partners")
    for path in (
        "/partners",
        "/partners?search=zzz",
        "/partners/contoso?onboarded=nightly",
        "/partners/wingtip",
        "/enforcement",
        "/access-requests",
        f"/access-requests/{request}",
        "/attention",
        "/onboard",
    ):
        await page.goto(world.public_url + path)
        found += await tab.accessibility_faults(axe)
    await page.get_by_role("button", name="Onboard the partner").evaluate("button => button.form.noValidate = true")
    await page.get_by_role("button", name="Onboard the partner").click()
    await page.get_by_text("Nothing was saved.").wait_for()
    found += await tab.accessibility_faults(axe)
    await page.goto(f"{world.public_url}/nothing")
    found += await tab.accessibility_faults(axe)
    assert found == []
    # The rule can fail: grey on grey is found.
    await page.evaluate("document.querySelector('h1').className = 'text-secondary-fg'")
    assert await tab.accessibility_faults(axe)
    tab.complaints[:] = [each for each in tab.complaints if " 422 " not in each and " 404 " not in each]
