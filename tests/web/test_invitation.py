"""The page a partner's developer is invited to: open to who holds the code, and granting nothing."""

from __future__ import annotations

import pytest

from tenantgate.registry import assignments, audit, daemons, invitations, issuers, partners, tenants
from tenantgate.registry.invitations import LIFETIME, InvitationSpec
from tenantgate.registry.unit_of_work import Work
from tenantgate.web.errors import TooOften
from tenantgate.web.limits import POSTS, WINDOW, Turnstile
from tests.registry.builders import TID, a_partner, a_tenant, counting_bytes
from tests.web.world import FABRIKAM_CLIENT, FABRIKAM_TID, Page, World, work_on


@pytest.fixture
def code(world: World) -> str:
    """An invitation of Fabrikam's: its code."""
    return invite(world)


def invite(world: World, name: str = "Fabrikam", start: int = 300) -> str:
    """Invite a partner of this name."""
    with work_on(world.engine, now=world.now) as work:
        a_partner(work, id=f"partner-{start}", name=name, state="invited")
        spec = InvitationSpec(partner=f"partner-{start}", issuer="entra", resource="orders", app_roles=("orders-read",))
        return invitations.create(work, spec, random_bytes=counting_bytes(start)).code


def entered(code: str, **changed: str) -> dict[str, str]:
    """The form, filled in right, but for what is `changed`."""
    return {"code": code, "send": "yes", "tid": FABRIKAM_TID, "client_id": FABRIKAM_CLIENT} | changed


def test_the_page_waits_for_a_person(world: World):
    """Without a code there is a hidden form that the script fills from the fragment, and its button posts it."""
    page = Page(world.browser().get("/invitation"))
    form = page.one("form", id="link-form")
    assert "hidden" in form.attributes
    assert (form.get("method"), form.get("action")) == ("post", "/invitation")
    assert page.one("input", name="code").get("value") == ""


def test_from_the_link_to_the_publisher(world: World, code: str):
    """Opened as often as one likes, sent once; then the page says that it waits, and at last that it is approved."""
    browser = world.browser()
    for _ in range(3):
        page = Page(browser.post("/invitation", {"code": code}))
        assert "Fabrikam" in page.words
        assert "Orders.Read" in page.words
        assert page.one("input", name="tid").get("value") == ""
    answer = browser.post("/invitation", entered(code))
    assert (answer.status_code, "Nothing is granted before" in answer.text) == (200, True)
    (row,) = world.ask(invitations.list_).items
    assert (row.state, row.tid, row.client_id) == ("redeemed", FABRIKAM_TID, FABRIKAM_CLIENT)
    assert world.ask(partners.get, row.partner).state == "invited"
    again = browser.post("/invitation", entered(code, client_id="cccccccc-cccc-4ddd-8eee-ffffffffffff"))
    assert FABRIKAM_CLIENT in again.text
    world.change(lambda work: invitations.approve(work, row.id))
    assert "Approved" in Page(browser.post("/invitation", {"code": code})).words


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"tid": "contoso.example"}, "tid"), ({"tid": ""}, "tid"), ({"client_id": "<script>"}, "client_id")],
)
def test_what_is_wrong_stands_beside_it(world: World, code: str, changed: dict[str, str], field: str):
    """The form again, with what was typed, escaped; nothing is used up."""
    answer = world.browser().post("/invitation", entered(code, **changed))
    page = Page(answer)
    assert answer.status_code == 422
    assert page.one("div", id=f"{field}-error").text
    assert page.one("input", name=field).get("value") == changed[field]
    assert world.ask(invitations.list_).items[0].state == "open"


def test_what_others_have_is_not_told(world: World, code: str):
    """Another partner's tenant is taken down without a word."""
    world.change(a_partner, a_tenant)
    answer = world.browser().post("/invitation", entered(code, tid=TID))
    assert answer.status_code == 200
    assert "contoso" not in answer.text.lower().replace("contoso.example", "")


def test_a_code_of_nobodys_opens_nothing(world: World, code: str, caplog: pytest.LogCaptureFixture):
    """The same words for every one of them; the log says why, and holds no code."""
    caplog.set_level("DEBUG")
    other = ("A" if code[0] != "A" else "B") + code[1:]
    pages = {world.browser().post("/invitation", entered(each)).text for each in ("", "x", other, "A" * 43, "\x00")}
    assert len(pages) == 1
    assert "There is no such invitation" in pages.pop()
    assert world.browser().post("/invitation", {"code": other}).status_code == 403
    world.browser().post("/invitation", entered(code))
    for secret in (code, other):
        assert secret not in caplog.text


def test_ended_ones_say_so_to_who_holds_them(world: World, code: str):
    """Expired, revoked, closed: each in its words."""
    browser = world.browser()
    (row,) = world.ask(invitations.list_).items
    world.change(lambda work: partners.suspend(work, row.partner))
    assert "lets nothing new in" in browser.post("/invitation", {"code": code}).text
    world.change(lambda work: partners.activate(work, row.partner))
    world.now += LIFETIME
    assert "has expired" in browser.post("/invitation", {"code": code}).text
    world.change(lambda work: invitations.revoke(work, row.id))
    assert "was taken back" in browser.post("/invitation", {"code": code}).text


def test_an_invitation_whose_issuer_is_gone_is_closed(world: World, code: str):
    """Nothing holds the issuer once it was approved: that is no failure of ours."""
    browser = world.browser()
    browser.post("/invitation", entered(code))
    (row,) = world.ask(invitations.list_).items

    def approve_and_delete(work: Work) -> None:
        _, done = invitations.approve(work, row.id)
        for each in done.assignments:
            assignments.revoke(work, each.id)
        daemons.delete(work, done.daemon.id)
        tenants.delete(work, done.tenant.id)
        issuers.delete(work, row.issuer)

    world.change(approve_and_delete)
    answer = browser.post("/invitation", {"code": code})
    assert (answer.status_code, "lets nothing new in" in answer.text) == (403, True)


def test_a_wrong_code_takes_no_write_lock(world: World, code: str):
    """Guessing holds up nobody's change; neither does looking."""
    with world.engine.connect() as other:
        other.exec_driver_sql("SELECT 1")  # BEGIN IMMEDIATE comes with it
        assert world.browser().post("/invitation", entered("A" * 43)).status_code == 403
        assert world.browser().post("/invitation", {"code": code}).status_code == 200


def test_a_post_from_another_site_is_refused(world: World, code: str):
    """Nobody's browser redeems for them."""
    answer = world.browser().post("/invitation", entered(code), {"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert world.ask(invitations.list_).items[0].state == "open"


def test_the_answer_is_kept_nowhere(world: World, code: str):
    """The code stands in the form: no cache, no referrer, nothing inline, no cookie."""
    answer = world.browser().post("/invitation", {"code": code})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers


def test_names_are_escaped(world: World):
    """A partner may be called anything."""
    answer = world.browser().post("/invitation", {"code": invite(world, "<script>alert(1)</script>", 301)})
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


def test_it_is_audited_as_the_invitations(world: World, code: str):
    """Who sent it is nobody we know: the address is what there is."""
    world.browser().post("/invitation", entered(code))
    entry = next(each for each in world.ask(audit.list_, limit=500).items if each.action == "invitation.redeemed")
    assert (entry.scheme, entry.address) == ("invitation", "testclient")


def test_an_address_posts_so_often_and_no_more(world: World, code: str):
    """Then it waits a minute; what needs a session is not counted."""
    browser = world.browser()
    statuses = [browser.post("/invitation", {"code": "x"}).status_code for _ in range(POSTS + 1)]
    assert statuses == [403] * POSTS + [429]
    answer = browser.post("/invitation", {"code": code})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, str(WINDOW))
    assert "Wait a minute" in answer.text
    assert browser.get("/invitation").status_code == 200
    world.now -= 3_600  # a clock that is set back makes it no longer
    assert browser.post("/invitation", {"code": code}).status_code == 429
    world.ticks += WINDOW
    assert browser.post("/invitation", {"code": code}).status_code == 200


def test_the_turnstile_forgets_and_is_bounded():
    """Each address has its own count, and many addresses take no more memory."""
    turnstile = Turnstile(lambda: 0.0)
    for place in range(20_000):
        turnstile.enter(f"192.0.2.{place}")
    for _ in range(POSTS):
        turnstile.enter("198.51.100.1")
    turnstile.enter("198.51.100.2")
    with pytest.raises(TooOften):
        turnstile.enter("198.51.100.1")
    assert len(turnstile._counts) <= 4_096


def test_a_machine_has_as_many_ipv6_addresses_as_it_likes():
    """So its network is counted (RFC 6177 §2), and the network beside it is somebody else's."""
    turnstile = Turnstile(lambda: 0.0)
    for place in range(POSTS):
        turnstile.enter(f"2001:db8:0:1::{place + 1:x}")
    with pytest.raises(TooOften):
        turnstile.enter("2001:db8:0:1:ffff::1")
    turnstile.enter("2001:db8:0:2::1")
    assert len(turnstile._counts) == 2
