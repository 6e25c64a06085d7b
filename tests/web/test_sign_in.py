"""Signing in by link and by key, the session that it opens, and its end."""

from __future__ import annotations

import pytest

from tenantgate.registry import audit, operators, sessions
from tenantgate.registry.errors import CredentialError
from tenantgate.web.links import safe_next, sign_in_address
from tests.web.world import LOOPBACK, Page, World

REFUSED = "That did not let you in."


def test_link_signs_in_by_its_code(world: World):
    """The code of a link, posted by the form's button, opens a session and leads to the partners."""
    answer = world.browser().post("/sign-in", {"code": world.code_for()})
    assert (answer.status_code, answer.headers["location"]) == (303, "/partners")
    (row,) = world.ask(sessions.list_).items
    assert (row.operator, row.scheme) == ("onboarding", "sign_in_link")


def test_admin_key_signs_in(world: World):
    """An admin key opens a session of its operator."""
    answer = world.browser().post("/sign-in", {"code": "", "key": world.key_for("Admin")})
    assert answer.status_code == 303
    (row,) = world.ask(sessions.list_).items
    assert (row.operator, row.scheme) == ("administration", "admin_key")


def test_link_works_once(world: World):
    """A code that was used lets nobody in."""
    code = world.code_for()
    assert world.browser().post("/sign-in", {"code": code}).status_code == 303
    assert world.browser().post("/sign-in", {"code": code}).status_code == 403


def test_link_ends_after_ten_minutes(world: World):
    """A code that has expired lets nobody in."""
    code = world.code_for()
    world.now += sessions.LINK_LIFETIME
    assert world.browser().post("/sign-in", {"code": code}).status_code == 403


def test_every_refusal_says_the_same(world: World, caplog: pytest.LogCaptureFixture):
    """Who may not in learns only that; which of the reasons it was stands in the log."""
    used, revoked, suspended = world.code_for(), world.key_for("Admin"), world.key_for("Viewer")
    world.browser().post("/sign-in", {"code": used})
    world.change(
        lambda work: operators.revoke_key(work, revoked.split("_")[1]),
        lambda work: operators.suspend(work, "viewing"),
    )
    attempts = [
        {"code": used},
        {"code": "A" * 43},
        {"code": "no code at all"},
        {"key": revoked},
        {"key": suspended},
        {"key": "tg_key_" + "A" * 43},
        {"key": "x" * 5_000},
        {"code": "", "key": ""},
    ]
    caplog.clear()
    pages = {world.browser().post("/sign-in", fields).text for fields in attempts}
    assert len(pages) == 1
    assert REFUSED in pages.pop()
    codes = [record.code for record in caplog.records if record.name == "tenantgate.web"]  # type: ignore[attr-defined]
    assert codes == [
        "link_used",
        "link_unknown",
        "link_unknown",
        "key_revoked",
        "operator_suspended",
        "key_unknown",
        "key_malformed",
        "key_malformed",
    ]


def test_no_secret_is_logged(world: World, caplog: pytest.LogCaptureFixture):
    """Neither what let in nor what did not is in the log."""
    caplog.set_level("DEBUG")
    code, key = world.code_for(), world.key_for()
    browser = world.browser()
    for fields in ({"code": code}, {"code": code}, {"key": key}, {"key": key[:-1] + "~"}):
        browser.post("/sign-in", fields)
    assert browser.token
    for secret in (code, key, browser.token):
        assert secret not in caplog.text


def test_wrong_guess_takes_no_write_lock(world: World):
    """A credential that is plainly none of ours is refused even while somebody else holds the write lock."""
    with world.engine.connect() as other:
        other.exec_driver_sql("SELECT 1")  # BEGIN IMMEDIATE comes with it
        for fields in ({"code": "A" * 43}, {"key": "tg_key_" + "A" * 43}, {"key": "nothing"}):
            assert world.browser().post("/sign-in", fields).status_code == 403


def test_cookie_on_loopback_says_that_it_is_insecure(world: World):
    """By plain http the cookie's name says so; scripts cannot read it, other sites' pages do not send it."""
    answer = world.browser().post("/sign-in", {"code": world.code_for()})
    name, *flags = answer.headers["set-cookie"].split("; ")
    assert name.startswith("tenantgate-insecure-loopback=")
    assert set(flags) == {"HttpOnly", "SameSite=strict", "Path=/"}


def test_cookie_by_https_is_bound_to_the_host(secure_world: World):
    """By https the cookie is `__Host-`: Secure, this host alone, every path."""
    answer = secure_world.browser().post("/sign-in", {"code": secure_world.code_for()})
    name, *flags = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-tenantgate=")
    assert set(flags) == {"HttpOnly", "SameSite=strict", "Path=/", "Secure"}


@pytest.mark.threat(45)
def test_session_is_new_at_every_sign_in(world: World):
    """Signing in again gives another session and ends the one before: nobody can have planted it."""
    browser = world.signed_in()
    before = browser.token
    assert browser.post("/sign-in", {"code": world.code_for("Viewer")}).status_code == 303
    assert browser.token != before
    with pytest.raises(CredentialError) as refused:
        world.ask(sessions.authenticate, before, now=world.now)
    assert refused.value.code == "session_revoked"


@pytest.mark.threat(45)
def test_planted_cookie_is_not_taken_over(world: World):
    """A session id that came from elsewhere never becomes a session."""
    browser = world.browser()
    browser.client.cookies.set("tenantgate-insecure-loopback", "planted")
    answer = browser.post("/sign-in", {"code": world.code_for()})
    assert "planted" not in answer.headers["set-cookie"]
    with pytest.raises(CredentialError):
        world.ask(sessions.authenticate, "planted", now=world.now)


def test_sign_out_ends_the_session_itself(world: World):
    """After signing out a copy of the cookie is worth nothing, and the page says what happened."""
    browser = world.signed_in()
    token = browser.token
    answer = browser.submit("/sign-out")
    assert answer.headers["location"] == "/sign-in?why=out"
    assert 'tenantgate-insecure-loopback=""' in answer.headers["set-cookie"]
    with pytest.raises(CredentialError):
        world.ask(sessions.authenticate, token, now=world.now)
    assert "You are signed out." in world.browser().get("/sign-in?why=out").text


def test_viewer_may_sign_out(world: World):
    """Signing out needs no role."""
    assert world.signed_in("Viewer").submit("/sign-out").status_code == 303


@pytest.mark.parametrize("idle", [sessions.IDLE_LIFETIME, sessions.SESSION_LIFETIME])
def test_ended_session_leads_to_sign_in(world: World, idle: int):
    """A session that has ended leads to the sign-in page, which says so in plain words and knows the way back."""
    browser = world.signed_in()
    world.now += idle
    answer = browser.get("/onboard")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?why=ended&next=/onboard")
    page = browser.get(answer.headers["location"])
    assert "Your session has ended." in page.text
    assert {field.get("value") for field in Page(page).all("input", name="next")} == {"/onboard"}


def test_ended_session_redirects_htmx_as_a_whole(world: World):
    """htmx is told to leave the page, so that the sign-in page does not end up in a row of a table."""
    browser = world.signed_in()
    world.now += sessions.IDLE_LIFETIME
    answer = browser.get("/partners", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/sign-in?why=ended&next=/partners"
    assert answer.text == ""


def test_use_keeps_a_session_alive(world: World):
    """The idle clock is set back by use, up to the session's end."""
    browser = world.signed_in()
    for _ in range(7):
        world.now += sessions.IDLE_LIFETIME - 60
        assert browser.get("/partners").status_code == 200
    world.now += sessions.IDLE_LIFETIME
    assert browser.get("/partners").status_code == 303


def test_key_that_ends_takes_its_session_along(world: World):
    """A session opened with a key ends when the key is revoked."""
    key = world.key_for()
    browser = world.browser()
    browser.post("/sign-in", {"key": key})
    assert browser.get("/partners").status_code == 200
    world.change(lambda work: operators.revoke_key(work, key.split("_")[1]))
    assert browser.get("/partners").status_code == 303


def test_audit_names_who_signed_in(world: World):
    """The session is written down in the operator's name, with how they came."""
    world.signed_in("Admin")
    entry = next(each for each in world.ask(audit.list_, limit=500).items if each.action == "session.opened")
    assert (entry.operator, entry.scheme, entry.address) == ("administration", "sign_in_link", "testclient")
    assert entry.request_id.startswith("req-")


def test_who_is_signed_in_is_not_sent_on(world: World):
    """The sign-in page never redirects: the browser would carry a code in the fragment to where it stays visible."""
    answer = world.signed_in().get("/sign-in")
    assert answer.status_code == 200
    assert "You are signed in as Onboarding" in Page(answer).words


def test_visitor_from_another_site_is_told_why(world: World):
    """A link on another site brings no SameSite=Strict cookie; the page says so and offers to go on."""
    answer = world.browser().get("/sign-in?why=needed&next=/onboard", headers={"Sec-Fetch-Site": "cross-site"})
    assert Page(answer).one("a", href="/onboard").text == "Go on."
    assert "Go on." not in world.browser().get("/sign-in?why=needed").text


def test_reason_in_the_address_is_one_we_know(world: World):
    """Nobody can put words of theirs onto the sign-in page."""
    answer = world.browser().get("/sign-in?why=Call+0900+and+tell+us+your+key")
    assert "0900" not in answer.text


def test_link_form_waits_for_a_person(world: World):
    """The link's form is hidden until the script finds a code, empty, and posted by its button alone."""
    page = Page(world.browser().get("/sign-in"))
    form = page.one("form", id="link-form")
    assert "hidden" in form.attributes
    assert (form.get("method"), form.get("action")) == ("post", "/sign-in")
    assert page.one("input", name="code").get("value") == ""
    assert page.one("input", name="key").get("type") == "password"


def test_address_of_a_link_has_its_code_in_the_fragment():
    """What is in the fragment reaches no server, so no log."""
    assert sign_in_address(LOOPBACK, "abc") == f"{LOOPBACK}/sign-in#code=abc"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("/onboard", "/onboard"),
        ("/partners/contoso", "/partners/contoso"),
        ("", "/partners"),
        ("//evil.example", "/partners"),
        ("/\\evil.example", "/partners"),
        ("https://evil.example/partners", "/partners"),
        ("/partners/../sign-out", "/partners"),
        ("/partners/x\n", "/partners"),
        ("/sign-in", "/partners"),
    ],
)
def test_only_our_own_pages_come_next(wanted: str, found: str):
    """After signing in one goes to a page of ours, whatever the address asked for."""
    assert safe_next(wanted) == found
