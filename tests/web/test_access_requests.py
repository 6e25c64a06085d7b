"""Who asks to be let in, on the page: seen, dismissed, put on the list once."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.registry import access_requests, daemons, partners
from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.engine import writing
from tenantgate.registry.tables import Resource
from tests.registry.builders import TID, an_app_role
from tests.registry.test_decisions import OID, a_stranger
from tests.web.test_naughty import require_harmless
from tests.web.world import Page, World

HOSTILE = [
    "<script>alert(1)</script>\"'&amp;",
    "\N{RIGHT-TO-LEFT OVERRIDE}dellor \N{HEBREW LETTER ALEF}",
    "x" * 200,
    "{{ 7 * 7 }}",
]


def asked(world: World, **changed: Any) -> str:
    """A caller asked; the id of its request."""
    stranger = a_stranger(**changed)
    with writing(world.engine) as session:
        session.execute(sa.update(Resource).values(access_requests=True))
        access_requests.note(session, [stranger])
    return access_requests.id_of(stranger.resource, stranger.issuer, stranger.tid, stranger.client_id)


def filled(**changed: Any) -> dict[str, Any]:
    """The form, filled in right, but for what is `changed`."""
    return {
        "partner": "",
        "name": "Fabrikam",
        "roles": ["orders-read"],
        "role_ends": "",
        "reason": "",
        "pin": "yes",
        "seen": OID.encode().hex(),
    } | (changed)


def test_the_empty_page_says_how_it_is_switched_on(either: World):
    """It is off at first; on, the page says for which APIs."""
    assert "tenantgate resource change ID --access-requests" in Page(either.signed_in().get("/access-requests")).words
    id_ = asked(either)
    either.change(lambda work: access_requests.dismiss(work, id_))
    assert "Nobody waits Callers are noted for orders." in Page(either.signed_in().get("/access-requests")).words


def test_who_asks_is_seen_with_a_count_in_the_menu(either: World):
    """API, caller, tenant, issuer, reason, when and how often; the menu counts them on every page."""
    asked(either)
    asked(either, number=2)
    browser = either.signed_in()
    words = Page(browser.get("/access-requests")).words
    for said in (
        a_stranger().client_id,
        f"tenant {a_stranger().tid} at entra",
        "tenant_not_listed",
        "2027-01-15T08:00:00Z first 2027-01-15T08:00:00Z",
    ):
        assert said in words
    assert "Access requests 2 Attention 2" in Page(browser.get("/onboard")).words
    assert "Access requests 2 Attention 2" in Page(either.signed_in("Viewer").get("/partners/contoso")).words


def test_approval_puts_the_caller_on_the_list(either: World):
    """A new partner, the role until its last day, pinned to the object id that asked; then what to send is shown."""
    id_ = asked(either)
    browser = either.signed_in()
    page = Page(browser.get(f"/access-requests/{id_}"))
    assert "checked" in page.one("input", name="pin").attributes
    answer = browser.submit(f"/access-requests/{id_}/approve", **filled(role_ends="2030-12-31", reason="T-42"))
    row = either.ask(access_requests.get, id_)
    assert (row.state, row.decided_by) == ("approved", "onboarding")
    daemon = either.ask(daemons.get, row.daemon)
    assert (daemon.oid, daemon.client_id) == (OID, row.client_id)
    partner = answer.headers["location"].partition("?")[0].removeprefix("/partners/")
    assert either.ask(partners.get, partner).name == "Fabrikam"
    assert "is onboarded" in Page(browser.get(answer.headers["location"])).words
    assert "Access requests Attention" in Page(browser.get("/partners")).words


def test_a_listed_tenant_says_whose_it_is(either: World):
    """The partner that has the tenant stands in the form; with it, the daemon is added there."""
    id_ = asked(either, tid=TID, reason="daemon_not_listed")
    browser = either.signed_in()
    page = Page(browser.get(f"/access-requests/{id_}"))
    assert page.one("input", name="partner").get("value") == "contoso"
    answer = browser.submit(f"/access-requests/{id_}/approve", **filled(partner="contoso", name="", pin=""))
    assert answer.headers["location"].startswith("/partners/contoso?onboarded=")
    assert either.ask(daemons.get, either.ask(access_requests.get, id_).daemon).oid is None


def test_who_comes_second_is_told_who_was_first(either: World):
    """Approved or dismissed, the other press changes nothing and says so; the page of it does, too."""
    first, second = asked(either), asked(either, number=2)
    browser = either.signed_in()
    assert browser.submit(f"/access-requests/{first}/dismiss").headers["location"] == "/access-requests"
    assert browser.submit(f"/access-requests/{second}/approve", **filled()).status_code == 303
    for id_, state in ((first, "dismissed"), (second, "approved")):
        for change in ("dismiss", "approve"):
            answer = browser.submit(f"/access-requests/{id_}/{change}", **filled(name="Other"))
            assert answer.status_code == 409
            assert f"was {state} by onboarding" in Page(answer).words
        page = Page(browser.get(f"/access-requests/{id_}"))
        assert f"It was {state} by onboarding" in page.words
        left = [f"/access-requests/{id_}/reopen"] if state == "dismissed" else []
        assert [form.get("action") for form in page.all("form", method="post")] == ["/sign-out", *left]
    assert [row.name for row in either.ask(partners.list_).items if row.name == "Other"] == []


@pytest.mark.parametrize("text", [OID, "repo:octo/Ünï\ndeploy \u202e", " led by a blank", ""])
def test_what_stood_on_the_page_is_what_is_approved(either: World, text: str):
    """Forgotten and made anew for another object id while somebody looked: shown again with what it is now."""
    id_ = asked(either, oid=text)
    browser = either.signed_in()
    seen = Page(browser.get(f"/access-requests/{id_}")).one("input", name="seen").get("value") or ""
    with writing(either.engine) as session:
        session.execute(sa.delete(AccessRequest))
    assert asked(either, oid=TID) == id_

    for sent in (seen, "", "no hex", "ff"):
        answer = browser.submit(f"/access-requests/{id_}/approve", **filled(seen=sent))
        assert (answer.status_code, either.ask(access_requests.get, id_).state) == (422, "open")
        assert "stands for another oid now" in Page(answer).words
        assert TID in Page(answer).words
    now = Page(answer).one("input", name="seen").get("value")
    answer = browser.submit(f"/access-requests/{id_}/approve", **filled(seen=now))
    assert either.ask(daemons.get, either.ask(access_requests.get, id_).daemon).oid == TID


def test_what_was_dismissed_is_reopened(either: World):
    """By a button on its page, with the form under it again; who comes second is told."""
    id_ = asked(either)
    either.change(lambda work: access_requests.dismiss(work, id_))
    browser = either.signed_in()
    assert [form.get("action") for form in Page(browser.get(f"/access-requests/{id_}")).all("form", method="post")] == [
        "/sign-out",
        f"/access-requests/{id_}/reopen",
    ]
    answer = browser.submit(f"/access-requests/{id_}/reopen")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/access-requests/{id_}")
    assert either.ask(access_requests.get, id_).state == "open"
    assert Page(browser.get(f"/access-requests/{id_}")).one("input", name="seen")
    assert browser.submit(f"/access-requests/{id_}/reopen").status_code == 409
    viewer = either.signed_in("Viewer")
    assert viewer.submit(f"/access-requests/{id_}/reopen").status_code == 403


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": ""}, "Give either the id of a partner that is there"),
        ({"partner": "contoso"}, "Give either the id of a partner that is there"),
        ({"name": "", "partner": "nobody"}, "nobody"),
        ({"roles": []}, "Choose at least one role"),
        ({"role_ends": "31.12.2030"}, "Write the day as YYYY-MM-DD"),
        ({"role_ends": "2020-12-31"}, "Nothing was saved"),
        ({"roles": ["nothing"]}, "Nothing was saved"),
    ],
)
def test_what_is_wrong_comes_back_with_what_was_typed(either: World, changed: dict[str, Any], said: str):
    """Beside its field; nothing is changed."""
    id_ = asked(either)
    answer = either.signed_in().submit(f"/access-requests/{id_}/approve", **filled(reason="<i>T-42</i>", **changed))
    assert answer.status_code == 422
    page = Page(answer)
    assert said in page.words
    assert page.one("input", name="reason").get("value") == "<i>T-42</i>"
    assert either.ask(access_requests.get, id_).state == "open"
    assert len(either.ask(partners.list_).items) == 1


def test_two_object_ids_are_not_pinned_by_accident(contoso: World):
    """The page says so, the box is empty, and a press with it is refused."""
    asked(contoso)
    id_ = asked(contoso, oid=TID)
    browser = contoso.signed_in()
    page = Page(browser.get(f"/access-requests/{id_}"))
    assert "Callers with different object ids asked" in page.words
    assert "checked" not in page.one("input", name="pin").attributes
    answer = browser.submit(f"/access-requests/{id_}/approve", **filled())
    assert (answer.status_code, contoso.ask(access_requests.get, id_).state) == (422, "open")


def test_a_sensitive_role_is_marked_and_waits(contoso: World):
    """It is asked for, not given."""
    contoso.change(lambda work: an_app_role(work, id="orders-write", value="Orders.Write", sensitive=True))
    id_ = asked(contoso)
    browser = contoso.signed_in()
    assert "Orders.Write sensitive waits for a second operator" in Page(browser.get(f"/access-requests/{id_}")).words
    answer = browser.submit(f"/access-requests/{id_}/approve", **filled(roles=["orders-write"]))
    assert "Waits for a second operator" in Page(browser.get(answer.headers["location"])).words


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_stranger_is_called_does_nothing(either: World, text: str):
    """Claims are shown bounded, visible, and as text, on every page that shows them."""
    id_ = asked(either, client_id=text, tid=text, oid=text, reason="tenant_not_listed")
    browser = either.signed_in()
    for path in ("/access-requests", f"/access-requests/{id_}", "/attention", "/partners"):
        answer = browser.get(path)
        assert answer.status_code == 200
        require_harmless(Page(answer))
        assert path.startswith("/access-requests/") or "x" * 101 not in answer.text
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in answer.text
        assert "49" not in Page(answer).words
    answer = browser.submit(f"/access-requests/{id_}/approve", **filled(name=text, reason=text, partner=text))
    require_harmless(Page(answer))
    assert answer.status_code == 422


def test_the_list_goes_on_by_a_cursor(contoso: World):
    """Fifty a page; an address that was cut short begins anew."""
    for number in range(60):
        asked(contoso, number=number, tid=f"99999999-2222-4333-8444-{number:012x}")
    browser = contoso.signed_in()
    page = Page(browser.get("/access-requests"))
    assert len(page.all("a", **{"class": "tg-name tg-mono"})) == 50
    following = Page(browser.get(page.one("a", rel="next").get("href")))
    assert len(following.all("a", **{"class": "tg-name tg-mono"})) == 10
    assert len(Page(browser.get("/access-requests?after=%00x")).all("a", **{"class": "tg-name tg-mono"})) == 50


def test_a_viewer_sees_and_decides_nothing(contoso: World):
    """There is the request, and no button."""
    id_ = asked(contoso)
    browser = contoso.signed_in("Viewer")
    for path in ("/access-requests", f"/access-requests/{id_}", "/attention"):
        page = Page(browser.get(path))
        assert a_stranger().client_id in page.words
        assert [form.get("action") for form in page.all("form", method="post")] == ["/sign-out"]
