"""The Big List of Naughty Strings, in every field and in the search box."""

from __future__ import annotations

import json
import unicodedata

import pytest

from tenantgate.registry import partners
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.unit_of_work import Work
from tests.real_parts import vectors_dir
from tests.web.test_onboard import typed
from tests.web.world import Page, World, fabrikam

pytestmark = pytest.mark.vectors

ALLOWED = (
    "html head meta title link script body a div header img span nav form input button main h1 p table thead tr th "
    "tbody td time label select option template strong code ul li details summary pre dl dt dd section h2 fieldset "
    "legend small bdi datalist"
)


def naughty() -> list[str]:
    """The list, tidied as the form tidies it, without what is empty then."""
    strings = json.loads((vectors_dir("naughty-strings") / "blns.json").read_text())
    tidied = (unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip() for text in strings)
    return [text for text in tidied if text]


def require_harmless(page: Page) -> None:
    """Nothing on the page is there but what our templates put there."""
    assert {each.tag for each in page.elements} <= set(ALLOWED.split())
    assert [each.get("src").partition("?")[0] for each in page.all("script")] == [
        "/static/vendor/htmx.min.js",
        "/static/tenantgate.js",
    ]
    assert {each.get("src").partition("?")[0] for each in page.all("img")} <= {"/static/tenantgate.svg"}
    for each in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in each.attributes)
        assert each.get("href").startswith(("/", "#")) or "href" not in each.attributes


@pytest.mark.threat(45)
def test_names_are_shown_as_they_are(world: World):
    """Every string that may be a name is a name: stored, listed and shown letter by letter, and does nothing."""
    kept: dict[str, str] = {}

    def create(work: Work) -> None:
        for number, text in enumerate(naughty()):
            try:
                partners.create(work, PartnerSpec(id=f"n{number:04}", name=text, notes=text))
            except InvalidError:
                continue
            kept[f"n{number:04}"] = text

    world.change(create)
    assert len(kept) > 400
    browser, path, shown = world.signed_in(), "/partners", {}
    while path:
        page = Page(browser.get(path))
        require_harmless(page)
        shown |= {
            each.get("href").removeprefix("/partners/"): each.text for each in page.all("a", **{"class": "tg-name"})
        }
        path = next((link.get("href") for link in page.all("a", rel="next")), "")
    assert shown == kept
    for id_ in list(kept)[::25]:
        page = Page(browser.get(f"/partners/{id_}"))
        require_harmless(page)
        assert kept[id_] in page.one("h1").text
        assert page.one("title").text == f"{kept[id_]} · TenantGate"


def test_fields_come_back_as_they_were(world: World):
    """Every string in every text field of a form that is refused stands there again, and does nothing."""
    browser = world.signed_in()
    for text in naughty()[::6]:
        fields = fabrikam(
            **dict.fromkeys(("name", "id", "ends", "tid", "client_id", "oid", "role_ends", "reason"), text)
        )
        answer = browser.submit("/onboard", **fields)
        assert answer.status_code == 422
        page = Page(answer)
        require_harmless(page)
        assert typed(page) == fields


def test_search_box_takes_anything(world: World):
    """Every string may be searched for, filtered by and asked for; the answer is a page that does nothing."""
    browser = world.signed_in()
    for text in naughty()[::6]:
        answer = browser.get("/partners", params={"search": text, "state": text, "after": text})
        assert answer.status_code == 200
        require_harmless(Page(answer))
        answer = browser.get("/onboard", params={"partner": text, "tenant": text})
        assert answer.status_code == 404
        require_harmless(Page(answer))
