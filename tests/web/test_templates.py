"""House rules for templates, texts and scripts, so that the strict policy holds and nothing is ever unescaped."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tenantgate.registry.attention import KINDS
from tenantgate.registry.errors import CODES
from tenantgate.web import errors
from tenantgate.web.assets import admin_ui_folder, asset_address, static_files
from tenantgate.web.reading import STATES
from tenantgate.web.rendering import environment, instant
from tenantgate.web.texts import texts

ROOT = admin_ui_folder()
TEMPLATES = sorted((ROOT / "templates").glob("*.html"))
FORBIDDEN = {
    "an inline script": r"<script(?![^>]*\bsrc=)",
    "an inline style": r"<style|\sstyle=",
    "an event attribute": r"\son[a-z]+=",
    "htmx evaluating code": r"hx-on|\bjs:|javascript:|hx-trigger=\"[^\"]*\[",
    "another address": r"(href|src|action|hx-[a-z-]+)=\"(https?:|//)",
    "an unescaped value": r"\|\s*safe\b|autoescape|Markup",
    "an unquoted value": r"=\{\{",
    "an asset without version": r"(href|src)=\"/static",
}


def source_of(folder: str) -> list[Path]:
    """The Python files of a room."""
    return sorted(Path(errors.__file__).parent.glob(folder))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
@pytest.mark.parametrize("what", FORBIDDEN)
def test_template_has_none_of(what: str, template: Path):
    """A template holds nothing that the policy would stop or that could run what somebody typed."""
    assert re.search(FORBIDDEN[what], template.read_text(), re.IGNORECASE) is None


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("an inline script", "<script>x</script>"),
        ("an inline style", '<p style="x">'),
        ("an event attribute", '<p onclick="x">'),
        ("htmx evaluating code", "<p hx-on:click='x'>"),
        ("htmx evaluating code", """<p hx-vals='js:{}'>"""),
        ("htmx evaluating code", '<p hx-trigger="click[ctrlKey]">'),
        ("another address", '<img src="https://x.example/y">'),
        ("an unescaped value", "{{ name | safe }}"),
        ("an unquoted value", "<p title={{ name }}>"),
        ("an asset without version", '<script src="/static/x.js">'),
    ],
)
def test_rule_finds_what_it_is_for(what: str, line: str):
    """Each rule can fail."""
    assert re.search(FORBIDDEN[what], line, re.IGNORECASE)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_post_form_carries_the_token(template: Path):
    """Every form that posts carries the session's token; only who signs in, or is invited, has none."""
    for form in re.findall(r"<form method=\"post\".*?</form>", template.read_text(), re.DOTALL):
        assert "csrf(visitor)" in form or 'action="/sign-in"' in form or 'action="/invitation"' in form


def test_values_are_escaped():
    """Autoescape is on for every template, and a name that is not there is an error."""
    made = environment().from_string('<p title="{{ x }}">{{ x }}</p>')
    assert made.render(x="<\"'&>") == '<p title="&lt;&#34;&#39;&amp;&gt;">&lt;&#34;&#39;&amp;&gt;</p>'
    with pytest.raises(Exception, match="undefined"):
        made.render()


def test_texts_are_those_that_are_used():
    """Every sentence is used by somebody, and every refusal of the room has its own."""
    used = "".join(path.read_text() for path in [*TEMPLATES, *source_of("*.py")])
    made_up = {f"hindrance.partner_{state}" for state in STATES if state != "active"}
    made_up |= {f"onboard.missing_{field}" for field in ("name", "issuer", "client_id")}
    made_up |= {f"invitation.state_{state}" for state in ("redeemed", "approved")}
    made_up |= {f"attention.{kind}" for kind in KINDS}
    hows = {f"attention_how.{kind}" for kind in KINDS}
    for name in texts():
        family, _, last = name.partition(".")
        assert family == "title" or name in made_up | hows or last in CODES or last in used, name
    assert made_up <= texts().keys()


def test_every_refusal_has_words():
    """The codes that the room raises stand in the catalogue, and so do the titles of their statuses."""
    source = "".join(path.read_text() for path in source_of("*.py"))
    raised = set(re.findall(r"(?:FormRefused|PostRefused|RoleRefused|PageUnknown|TooOften)\(\s*\"(\w+)\"", source))
    assert len(raised) == 8
    assert {f"problem.{code}" for code in raised} <= texts().keys()
    statuses = {value.status for value in vars(errors).values() if isinstance(value, type) and hasattr(value, "status")}
    assert {f"title.{status}" for status in statuses - {401} | {400, 405, 409, 413, 415, 422, 503}} <= texts().keys()


def test_states_have_their_colours():
    """Every state's badge has colours of its own."""
    css = (ROOT / "static" / "tenantgate.css").read_text()
    for state in (*STATES, "ended", "upcoming", "revoked", "near", "sensitive", "gone"):
        assert f".tg-{state}" in css


def test_our_style_and_script_fetch_nothing_from_elsewhere():
    """Neither names another host, and the script neither evaluates nor writes markup."""
    for name in ("tenantgate.css", "tenantgate.js"):
        assert re.search(r"https?:|//[a-z]|@import", (ROOT / "static" / name).read_text().replace("// ", "")) is None
    script = (ROOT / "static" / "tenantgate.js").read_text()
    assert (
        re.search(
            r"innerHTML|outerHTML|insertAdjacent|eval|Function\(|\.submit\(|requestSubmit|document\.write", script
        )
        is None
    )


def test_vendored_files_are_those_that_are_named():
    """What was vendored is byte for byte what VERSIONS.md says."""
    table = (ROOT / "static/vendor/VERSIONS.md").read_text()
    named = dict(re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", table, re.MULTILINE))
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (ROOT / "static/vendor").glob("*.min.*")
    }
    assert found == named


def test_address_of_an_asset_changes_with_it():
    """The version is of the content; a file that is not there has no address."""
    assert asset_address("tenantgate.css") == f"/static/tenantgate.css?v={static_files()['tenantgate.css'].version}"
    with pytest.raises(KeyError):
        asset_address("nothing.css")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_800_000_000, "2027-01-15T08:00:00Z"), (253_402_300_799, "9999-12-31T23:59:59Z")],
)
def test_times_are_utc(seconds: int, text: str):
    """A time is ISO 8601 in UTC, to the second."""
    assert instant(seconds) == text
