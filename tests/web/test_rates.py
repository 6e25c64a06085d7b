"""How often an operator may ask the page, and an address may try to sign in."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tenantgate.admin.rates import BURST_SECONDS, POLL_RATE, OperatorRates
from tenantgate.admin.routes import build_admin
from tenantgate.registry import partners
from tenantgate.web.limits import POSTS, WINDOW
from tests.web.world import Browser, Page, World

HTMX = {"HX-Request": "true"}
BURST = 10
"""What an operator with sixty requests a minute has at once."""


class Clock:
    """Monotonic seconds that move only when told to."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def hurried(contoso: World, clock: Clock) -> World:
    """Contoso is there, and an operator may ask sixty times a minute: the least that can be set."""
    return World(contoso.engine, rates=OperatorRates(60, clock))


def statuses(browser: Browser, path: str, count: int, headers: dict[str, str] | None = None) -> list[int]:
    """What so many requests are answered with."""
    return [browser.get(path, headers=headers).status_code for _ in range(count)]


def test_the_page_spends_what_the_api_spends(hurried: World, clock: Clock):
    """One operator, whichever credential: what the page has asked is not there for the API, and the other way round."""
    hurried.app.include_router(build_admin(hurried.context))
    api = TestClient(hurried.app, base_url=hurried.public_url)
    headers = {"Authorization": f"Bearer {hurried.key_for('Operator')}"}
    browser, other = hurried.signed_in("Operator"), hurried.signed_in("Viewer")

    assert statuses(browser, "/partners", BURST - 1) == [200] * (BURST - 1)
    assert api.get("/api/v1/me", headers=headers).status_code == 200
    assert api.get("/api/v1/me", headers=headers).status_code == 429

    answer = browser.get("/partners")
    page = Page(answer)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert "You ask more often than an operator may" in page.words
    assert "rate_limited" in page.words
    assert other.get("/partners").status_code == 200
    clock.now += 1
    assert statuses(browser, "/partners", 2) == [200, 429]


def test_a_post_that_is_one_too_many_changes_nothing(hurried: World, clock: Clock):
    """It is told so, by htmx as a notice; a moment later it is done."""
    browser = hurried.signed_in()
    assert statuses(browser, "/sign-in", BURST) == [200] * BURST
    for headers in (None, HTMX):
        answer = browser.submit("/partners/contoso/suspend", headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert answer.headers["HX-Retarget"] == "#notice"
    assert browser.get("/sign-in").status_code == 429
    assert hurried.ask(partners.get, "contoso").state == "active"
    clock.now += 1
    assert browser.submit("/partners/contoso/suspend").status_code == 303


def test_what_a_page_asks_by_itself_uses_nothing_up(hurried: World, clock: Clock):
    """Ten open pages ask every two seconds, for as long as somebody likes; and nobody goes on so without end."""
    browser = hurried.signed_in()
    for _ in range(60):
        clock.now += 2
        assert statuses(browser, "/enforcement", 10, HTMX) == [200] * 10
    clock.now += 60
    assert statuses(browser, "/partners", BURST) == [200] * BURST
    at_once = int(POLL_RATE * BURST_SECONDS)
    assert statuses(browser, "/enforcement", at_once + 1, HTMX)[-2:] == [200, 429]
    assert browser.get("/enforcement").status_code == 429, "opened by a person it is a request like any other"


def test_an_address_fails_to_sign_in_so_often_and_no_more(world: World, caplog: pytest.LogCaptureFixture):
    """What is wrong waits a minute then, whatever it is; what is right comes in: nobody shuts another out."""
    browser, before = world.browser(), world.signed_in()
    tried = [browser.post("/sign-in", {"code": "x" * 43}).status_code for _ in range(POSTS + 1)]
    assert tried == [403] * POSTS + [429]
    caplog.clear()
    answer = browser.post("/sign-in", {"key": "tg_x"})
    assert not caplog.records, "a log is not filled either"
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(WINDOW))
    assert "Wait a minute" in answer.text
    assert before.get("/partners").status_code == browser.get("/sign-in").status_code == 200
    assert browser.post("/invitation", {"code": "x"}).status_code == 403, "each has a count of its own"
    assert world.browser().post("/sign-in", {"code": world.code_for()}).status_code == 303
    world.ticks += WINDOW
    assert browser.post("/sign-in", {"code": "x" * 43}).status_code == 403


def test_an_invitations_page_keeps_nobody_from_signing_in(world: World):
    """Whoever posts there without end shuts out who posts there."""
    browser = world.browser()
    assert [browser.post("/invitation", {"code": "x"}).status_code for _ in range(POSTS + 1)][-1] == 429
    assert browser.post("/sign-in", {"code": world.code_for()}).status_code == 303
