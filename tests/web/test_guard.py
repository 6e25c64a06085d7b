"""Posts that are not ours, and operators who may only look."""

from __future__ import annotations

import pytest

from tenantgate.registry import daemons, operators, partners, sessions, tenants
from tenantgate.web.pages import ROUTES, Open, Signed
from tests.web.world import HTTPS, LOOPBACK, Page, World, fabrikam

WRITING = [
    "/partners/contoso/suspend",
    "/tenants/contoso-entra/suspend",
    "/daemons/nightly/suspend",
    "/onboard",
    "/access-requests/acr-1/approve",
    "/access-requests/acr-1/dismiss",
    "/access-requests/acr-1/reopen",
    "/pending-grants/pg-1/approve",
    "/invitations/inv-1/approve",
]
SIGNED_POSTS = [*WRITING, "/sign-out"]
POSTS = [*SIGNED_POSTS, "/sign-in", "/invitation"]

FOREIGN = [
    pytest.param({"Origin": "https://evil.example", "Sec-Fetch-Site": None}, id="foreign origin"),
    pytest.param({"Origin": LOOPBACK.replace("8440", "8441"), "Sec-Fetch-Site": None}, id="another port"),
    pytest.param({"Origin": LOOPBACK.replace("http:", "https:"), "Sec-Fetch-Site": None}, id="another scheme"),
    pytest.param({"Origin": LOOPBACK, "Sec-Fetch-Site": "cross-site"}, id="cross-site"),
    pytest.param({"Origin": "null", "Sec-Fetch-Site": "same-site"}, id="same site, another host"),
    pytest.param({"Origin": "null", "Sec-Fetch-Site": "none"}, id="typed by nobody"),
    pytest.param({"Origin": "null", "Sec-Fetch-Site": None}, id="origin null alone"),
    pytest.param({"Origin": None, "Sec-Fetch-Site": None}, id="says nothing"),
]


def require_unchanged(world: World) -> None:
    """Contoso and its daemon are as they were, and nobody else is there."""
    assert [(row.id, row.state) for row in world.ask(partners.list_).items] == [("contoso", "active")]
    assert [(row.id, row.state) for row in world.ask(tenants.list_).items] == [("contoso-entra", "active")]
    assert [(row.id, row.state) for row in world.ask(daemons.list_).items] == [("nightly", "active")]


def test_posts_are_all_posts():
    """The lists above hold every address that takes a post."""
    known = {route.path.split("/")[1] for route in ROUTES if route.method == "POST"}
    assert known == {path.split("/")[1] for path in POSTS}


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.threat(45)
def test_post_from_elsewhere_is_refused(contoso: World, headers: dict[str, str]):
    """A post that does not come from our own pages is refused, even with the right token; nothing is done."""
    browser = contoso.signed_in()
    for path in POSTS:
        answer = browser.submit(path, headers, code=contoso.code_for(), **fabrikam())
        assert answer.status_code == 403
        assert "post_from_elsewhere" in answer.text
        assert "set-cookie" not in answer.headers
    require_unchanged(contoso)
    assert browser.get("/partners").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": LOOPBACK, "Sec-Fetch-Site": None},
        {"Origin": LOOPBACK, "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": None, "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:8440", "Host": "localhost:8440", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_post_from_our_own_page_is_taken(world: World, headers: dict[str, str]):
    """What browsers say of a form of ours, with our `no-referrer` and without, is enough."""
    assert world.browser().post("/sign-in", {"code": world.code_for()}, headers).status_code == 303


@pytest.mark.parametrize("fixture", ["world", "secure_world"])
@pytest.mark.parametrize("name", ["evil.example:8440", "192.0.2.1:8440", "localhost.evil.example"])
def test_a_name_that_anybody_may_point_here_is_not_ours(request: pytest.FixtureRequest, fixture: str, name: str):
    """An Origin that equals the request's own Host proves nothing, unless both are this machine's own names."""
    page: World = request.getfixturevalue(fixture)
    origin = f"{page.public_url.partition(':')[0]}://{name}"
    headers = {"Origin": origin, "Host": name, "Sec-Fetch-Site": None}
    assert page.browser().post("/sign-in", {"code": page.code_for()}, headers).status_code == 403


@pytest.mark.threat(45)
def test_page_by_http_cannot_post_to_https(secure_world: World):
    """Cookies know no scheme: a page that somebody on the wire made up is another origin."""
    headers = {"Origin": HTTPS.replace("https:", "http:"), "Sec-Fetch-Site": None}
    assert secure_world.browser().post("/sign-in", {"code": secure_world.code_for()}, headers).status_code == 403


@pytest.mark.parametrize("token", ["", "0" * 64, "another session's", "\N{SNOWMAN}"])
@pytest.mark.threat(45)
def test_post_without_token_is_refused(contoso: World, token: str):
    """A form without this session's token, or with another session's, is refused; nothing is done."""
    browser = contoso.signed_in()
    token = contoso.signed_in("Admin").csrf if token == "another session's" else token
    for path in SIGNED_POSTS:
        answer = browser.post(path, {**fabrikam(), "csrf": token})
        assert answer.status_code == 403
        assert "post_token_wrong" in answer.text
    require_unchanged(contoso)
    assert browser.get("/partners").status_code == 200


def test_post_without_session_leads_to_sign_in(contoso: World):
    """Nobody does anything without a session."""
    browser = contoso.browser()
    for path in SIGNED_POSTS:
        answer = browser.post(path, {**fabrikam(), "csrf": sessions.csrf_of("")})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?why=needed&next=/partners")
    require_unchanged(contoso)


@pytest.mark.parametrize(
    "path", ["/partners", "/partners/contoso", "/onboard", "/enforcement", "/access-requests", "/attention"]
)
def test_page_without_session_leads_to_sign_in(contoso: World, path: str):
    """No page but the sign-in page is shown to somebody unknown."""
    answer = contoso.browser().get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?why=needed&next={path}")
    assert "Contoso" not in answer.text


def test_front_door_leads_to_sign_in_without_a_word(world: World):
    """Who only opens the address has not asked for any page yet, and is not told off."""
    assert world.browser().get("/").headers["location"] == "/sign-in"
    assert world.signed_in().get("/").headers["location"] == "/partners"


def test_viewer_changes_nothing(contoso: World):
    """A viewer's post is answered with a page that says why, and nothing is done."""
    browser = contoso.signed_in("Viewer")
    for path in WRITING:
        answer = browser.submit(path, **fabrikam())
        assert answer.status_code == 403
        assert "role_not_enough" in answer.text
    require_unchanged(contoso)


def test_viewer_sees_no_buttons(contoso: World):
    """A viewer reads everything and is offered nothing but to sign out."""
    browser = contoso.signed_in("Viewer")
    for path in ("/partners", "/partners/contoso"):
        answer = browser.get(path)
        assert "Contoso" in answer.text
        page = Page(answer)
        assert [form.get("action") for form in page.all("form", method="post")] == ["/sign-out"]
        assert [link for link in page.all("a") if link.get("href").startswith("/onboard")] == []
    assert browser.get("/onboard").status_code == 403


@pytest.mark.parametrize("role", ["Operator", "Admin"])
def test_operator_and_admin_may_write(contoso: World, role: str):
    """Both may suspend."""
    assert contoso.signed_in(role).submit("/partners/contoso/suspend").status_code == 303
    assert contoso.ask(partners.get, "contoso").state == "suspended"


def test_suspended_operator_is_out_at_once(contoso: World):
    """An operator who was suspended neither sees nor changes anything more."""
    browser = contoso.signed_in()
    contoso.change(lambda work: operators.suspend(work, "onboarding"))
    for answer in (browser.submit("/partners/contoso/suspend"), browser.get("/partners")):
        assert answer.headers["location"].startswith("/sign-in?why=")
    assert contoso.ask(partners.get, "contoso").state == "active"


def test_session_is_looked_at_again_inside_the_change(contoso: World, monkeypatch: pytest.MonkeyPatch):
    """An operator suspended between the first look and the change changes nothing any more."""
    browser = contoso.signed_in()

    def meanwhile(visitor: object) -> None:
        contoso.change(lambda work: operators.suspend(work, "onboarding"))

    monkeypatch.setattr("tenantgate.web.pages.require_writer", meanwhile)
    answer = browser.submit("/partners/contoso/suspend")
    assert answer.headers["location"].startswith("/sign-in?why=ended")
    require_unchanged(contoso)


def test_every_address_says_who_may(world: World):
    """Only the sign-in page and the invitation are open; any other post but sign-out needs a role that may write."""
    assert {route.path for route in ROUTES if isinstance(route, Open)} == {"/sign-in", "/invitation"}
    posts = [route for route in ROUTES if isinstance(route, Signed) and route.method == "POST"]
    assert [route.path for route in posts if not route.writes] == ["/sign-out"]
