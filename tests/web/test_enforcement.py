"""The proof beside a change: who enforces it, how fast, and who does not."""

from __future__ import annotations

import pytest

from tenantgate.registry import instances, sessions
from tenantgate.registry.engine import writing
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.snapshot import read_state
from tenantgate.registry.tables import Instance, Revision
from tenantgate.web.rendering import span
from tests.registry.builders import a_partner
from tests.web.world import Element, Page, World

HTMX = {"HX-Request": "true"}


def come(world: World, *names: str) -> None:
    """Gates come."""
    with writing(world.engine) as session:
        for name in names:
            instances.register(session, InstanceSpec(id=name, kind="gate", version="1"), now=world.now)


def say(world: World, *names: str, took: int | None = None) -> int:
    """Gates say that they enforce the newest revision, so many milliseconds after it was made."""
    with writing(world.engine) as session:
        state = read_state(session)
        for name in names:
            instances.acknowledge(session, name, state.revision, now=world.now)
            if took is not None:
                session.get_one(Instance, name).acknowledged_at = (state.revised_at or 0) + took
        return state.revision


def proof_on(page: Page) -> tuple[str, bool]:
    """What the page says, and whether it asks again by itself."""
    found: Element = page.one("div", id="enforcement")
    return " ".join(found.text.split()), "hx-trigger" in found.attributes


@pytest.mark.parametrize("path", ["/partners", "/partners/contoso"])
def test_the_proof_stands_where_the_button_is(either: World, path: str):
    """After a suspension: first who does not enforce it yet, asking again; then all of them, and the slowest."""
    browser = either.signed_in()
    come(either, "gate-1", "gate-2", "gate-3")
    say(either, "gate-1", "gate-2", "gate-3")
    assert browser.submit("/partners/contoso/suspend").status_code == 303
    revision = say(either, "gate-1", took=40)
    said, again = proof_on(Page(browser.get(path)))
    assert said.startswith(f"1 of 3 instances enforce revision {revision}, slowest less than 0.1 s. Look again")
    assert f"gate-2 still enforces revision {revision - 1}" in said
    assert again
    say(either, "gate-2", took=240)
    say(either, "gate-3", took=50)
    said, again = proof_on(Page(browser.get(path)))
    assert (said, again) == (f"3 of 3 instances enforce revision {revision}, slowest 0.2 s. Instances", False)


def test_one_is_one(contoso: World):
    """A single instance is no plural."""
    come(contoso, "gate-1")
    revision = say(contoso, "gate-1")
    assert proof_on(Page(contoso.signed_in().get("/partners")))[0] == (
        f"1 of 1 instance enforces revision {revision}. Instances"
    )


def test_nobody_enforces_it_yet(contoso: World):
    """Where no gate follows the database, that is said, and not asked over and over."""
    said, again = proof_on(Page(contoso.signed_in().get("/partners/contoso")))
    assert said == "Nobody enforces it yet: no gate follows this database. Look again"
    assert not again
    assert "No instance yet" in Page(contoso.signed_in().get("/enforcement")).words


def test_who_does_not_enforce_it_is_named_with_the_reason(either: World):
    """Silent, refusing, and starting ones; a frozen one does not count, whatever it said last."""
    come(either, "gate-frozen", "gate-refuses", "gate-starts")
    say(either, "gate-frozen")
    either.now += 40
    come(either, "gate-refuses", "gate-starts")
    with writing(either.engine) as session:
        instances.refuse(session, "gate-refuses", "policy_went_back", epoch="epoch-one", revision=99)
    browser = either.signed_in()
    said, again = proof_on(Page(browser.get("/partners")))
    assert said.startswith("0 of 3 instances enforce revision ")
    assert "gate-frozen is silent for 40 s" in said
    assert "gate-refuses does not follow: policy_went_back, see operations" in said
    assert "gate-starts has not said yet what it enforces" in said
    assert again
    either.now += 90
    said, again = proof_on(Page(browser.get("/partners")))
    assert said.endswith(
        "Gone without a word in the last day: gate-refuses (silent for 90 s), gate-starts (silent for "
        "90 s), gate-frozen (silent for 2 min)."
    )
    assert not again
    assert "gate-frozen gone gate 1 nobody knows" in Page(browser.get("/enforcement")).words


def test_many_are_not_all_named(contoso: World):
    """The first eight, and how many more."""
    come(contoso, *(f"gate-{number:02}" for number in range(20)))
    said, _ = proof_on(Page(contoso.signed_in().get("/partners")))
    assert said.count("has not said yet") == 8
    assert "and 12 more" in said


def test_htmx_gets_the_proof_alone(contoso: World):
    """Asked by the page itself it is the part of the page that is put in its place."""
    come(contoso, "gate-1")
    answer = contoso.signed_in().get("/enforcement", headers=HTMX)
    assert answer.text.lstrip().startswith('<div id="enforcement"')
    assert "<html" not in answer.text


def test_a_changed_line_brings_the_proof_along(either: World):
    """htmx puts the line in its place, and the proof above the list in another."""
    come(either, "gate-1")
    say(either, "gate-1")
    answer = either.signed_in().submit("/partners/contoso/suspend", HTMX, view="line")
    line, part = answer.text.split('<hx-partial hx-target="#enforcement" hx-swap="outerHTML">')
    assert '<tr id="partner-contoso"' in line
    assert "0 of 1 instance enforces revision" in part
    assert part.rstrip().endswith("</hx-partial>")


def test_a_page_that_is_left_open_ends_its_session(contoso: World):
    """What the page asks by itself is no use of the session: an hour later nobody is signed in."""
    browser = contoso.signed_in()
    come(contoso, "gate-1")
    for _ in range(6):
        contoso.now += sessions.IDLE_LIFETIME // 6
        answer = browser.get("/enforcement", headers=HTMX)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?why=ended&next=/partners"


def test_opening_the_page_is_a_use_of_the_session(contoso: World):
    """A person who opens it goes on being signed in."""
    browser = contoso.signed_in()
    for _ in range(7):
        contoso.now += sessions.IDLE_LIFETIME // 6
        assert browser.get("/enforcement").status_code == 200


def test_an_older_servers_revision_has_no_time(contoso: World):
    """Then the proof is without the slowest, and right."""
    come(contoso, "gate-1")
    say(contoso, "gate-1", took=100)
    with writing(contoso.engine) as session:
        session.get_one(Revision, 1).revised_at = None
    assert "slowest" not in proof_on(Page(contoso.signed_in().get("/partners")))[0]


def test_names_are_shown_as_they_are(contoso: World):
    """A partner's name with markup, beside the proof, is a name."""
    contoso.change(lambda work: a_partner(work, id="hostile", name="<b>&amp;\"'" + "x" * 180))
    answer = contoso.signed_in().submit("/partners/hostile/suspend", HTMX, view="line")
    assert "<b>" not in answer.text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "less than 0.1 s"),
        (0.24, "0.2 s"),
        (9.96, "10.0 s"),
        (40, "40 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_200, "2 h"),
        (172_800, "2 days"),
    ],
)
def test_a_span_is_short(seconds: float, said: str):
    """To a tenth where it matters."""
    assert span(seconds) == said
