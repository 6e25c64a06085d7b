"""What every answer carries, what failures look like, and the static files."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tenantgate.admin.problems import install_problems
from tenantgate.admin.routes import build_admin
from tenantgate.registry import product_keys
from tenantgate.registry.errors import CODES, ConflictError, RegistryError
from tenantgate.registry.master_key import MasterKey
from tenantgate.registry.seals import sealer
from tenantgate.web import partners as pages_of_partners
from tenantgate.web import refusals
from tenantgate.web.assets import static_files
from tenantgate.web.guard import INSECURE_COOKIE
from tenantgate.web.pages import build_web, install_error_pages, mount_static
from tenantgate.web.texts import texts
from tests.registry.builders import counting_bytes, counting_ids, work_on
from tests.registry.builders import product_keys as keys_in
from tests.web.world import Browser, Page, World, fabrikam, make_world

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ALWAYS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

PAGES = [
    ("GET", "/", 303),
    ("GET", "/sign-in", 200),
    ("GET", "/partners", 200),
    ("GET", "/partners/contoso", 200),
    ("GET", "/partners/nobody", 404),
    ("GET", "/enforcement", 200),
    ("GET", "/access-requests", 200),
    ("GET", "/access-requests/nobody", 404),
    ("GET", "/attention", 200),
    ("GET", "/onboard", 200),
    ("GET", "/onboard?partner=nobody", 404),
    ("GET", "/nothing/here", 404),
    ("GET", "/static/nothing.css", 404),
    ("GET", "/sign-out", 405),
    ("PUT", "/partners", 405),
    ("DELETE", "/partners/contoso", 405),
    ("HEAD", "/partners", 200),
    ("POST", "/sign-in", 415),
]


@pytest.mark.parametrize(("method", "path", "status"), PAGES)
@pytest.mark.threat(45)
def test_every_page_carries_the_headers(operator: Browser, method: str, path: str, status: int):
    """Whatever the page answers, its headers forbid foreign scripts, frames, guesses and keeping."""
    answer = operator.client.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers


def test_posts_carry_the_headers(contoso: World):
    """So do the answers to posts, done or refused, for htmx or not."""
    browser = contoso.signed_in()
    answers = [
        browser.submit("/partners/contoso/suspend"),
        browser.submit("/partners/contoso/activate", {"HX-Request": "true"}, view="line"),
        browser.submit("/onboard"),
        browser.post("/partners/contoso/suspend", {"csrf": ""}),
        browser.post("/sign-in", {"key": "no"}),
        browser.submit("/sign-out"),
    ]
    assert [answer.status_code for answer in answers] == [303, 200, 422, 403, 403, 303]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
        assert answer.headers["cache-control"] == "no-store"


def test_https_is_asked_for_where_there_is_https(secure_world: World):
    """Reached by https, browsers are told to stay with it."""
    assert secure_world.browser().get("/sign-in").headers["strict-transport-security"] == "max-age=31536000"


def test_database_that_is_gone_is_a_page(tmp_path: Path):
    """Without a database there is a 503 page with the code and a sentence, and nothing of our insides."""
    world = make_world(tmp_path)
    browser = world.signed_in()
    world.engine.dispose()
    (tmp_path / "registry.db").rename(tmp_path / "away.db")
    for answer in (browser.get("/partners"), browser.submit("/partners/contoso/suspend"), browser.get("/sign-in")):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
        words = Page(answer).words
        assert "The database cannot be used just now" in words
        assert re.search(r"Code database_\w+", words)
        for secret in (str(tmp_path), "registry.db", "sqlite", "unable to open"):
            assert secret not in answer.text


def all_below(kind: type[RegistryError]) -> Iterator[type[RegistryError]]:
    """Every class of refusals, at any depth."""
    for each in kind.__subclasses__():
        yield each
        yield from all_below(each)


@pytest.mark.parametrize("kind", sorted(all_below(RegistryError), key=lambda kind: kind.__name__))
def test_every_kind_of_refusal_has_its_status_and_title(kind: type[RegistryError]):
    """What the registry refuses is never a failure of the page."""
    status = refusals.status_of(kind("conflict", "in the way"))
    assert 400 <= status <= 503
    assert texts()[f"title.{status}"]


def seal_under_another_master_key(world: World) -> str:
    """What another server does that was given a new one; return a session's token that it makes."""
    keys_in(world.engine).check()
    with work_on(world.engine) as work:
        product_keys.seal_anew(work, MasterKey(b"m" * 32), MasterKey(b"n" * 32), random_bytes=counting_bytes(31))
    with work_on(world.engine) as work:
        product_keys.add_version(work, MasterKey(b"n" * 32), "session", random_bytes=counting_bytes(32))
    return sealer(keys_in(world.engine, master=b"n"))("A" * 43)


def test_a_cookie_that_another_server_alone_can_read_is_left(contoso: World):
    """Whoever has it is asked to sign in here, and goes on there: it is not taken away. Others notice nothing."""
    browser, other = contoso.signed_in(), contoso.browser()
    other.client.cookies.set(INSECURE_COOKIE, seal_under_another_master_key(contoso))
    answer = other.get("/partners")
    assert (answer.status_code, answer.headers["location"][:8]) == (303, "/sign-in")
    assert "set-cookie" not in answer.headers
    assert other.get("/sign-in").status_code == 200
    assert browser.get("/partners").status_code == 200


def test_a_master_key_that_opens_nothing_is_a_page(contoso: World):
    """Where all that this server could open was forgotten it is 503, with the code, and no cookie is taken."""
    seal_under_another_master_key(contoso)
    browser = contoso.browser()
    browser.client.cookies.set(INSECURE_COOKIE, f"{'A' * 43}.1.{'A' * 43}")
    with work_on(contoso.engine) as work:
        product_keys.forget_older(work, "session")
    for answer in (browser.get("/partners"), browser.post("/sign-in", {"code": contoso.code_for()})):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "set-cookie" not in answer.headers
        assert "Code master_key_wrong" in Page(answer).words


def test_unexpected_failure_is_a_page(contoso: World, monkeypatch: pytest.MonkeyPatch):
    """A defect of ours is a 500 page that shows nothing of it; the server's log has it."""

    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("the insides of the registry")

    browser = contoso.signed_in()
    monkeypatch.setattr("tenantgate.web.reading.view_partner", fail)
    answer = browser.get("/partners/contoso")
    assert answer.status_code == 500
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "Something went wrong here" in answer.text
    assert "insides" not in answer.text
    assert "Traceback" not in answer.text
    with pytest.raises(ZeroDivisionError):
        contoso.signed_in(raising=True).get("/partners/contoso")


def test_every_code_has_its_sentence():
    """Every code of the registry's that a page may show has words."""
    for code in CODES:
        assert refusals.sentence_for(code)


def test_programs_get_what_they_got_before(world: World):
    """Error pages are for people: under /api the problems of the REST API stay as they are."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    install_problems(app, counting_ids(1))

    @app.get("/api/broken")
    def broken() -> None:
        raise ZeroDivisionError

    app.include_router(build_admin(world.context))
    app.include_router(build_web(world.context))
    mount_static(app)
    install_error_pages(app, world.context)
    client = TestClient(app, raise_server_exceptions=False)
    for path, status in {"/api/v1/partners": 401, "/api/v1/nothing": 404, "/api": 404, "/api/broken": 500}.items():
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert client.get("/apis").headers["content-type"].startswith("text/html")


def test_failure_under_api_without_a_handler_is_plain(world: World):
    """Where nobody registered a handler before, a failure under /api says that there was one, and nothing more."""
    app = FastAPI()

    @app.get("/api/broken")
    def broken() -> None:
        raise ZeroDivisionError

    install_error_pages(app, world.context)
    answer = TestClient(app, raise_server_exceptions=False).get("/api/broken")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


def test_database_does_not_speak_for_itself(contoso: World, monkeypatch: pytest.MonkeyPatch):
    """What the database says of its tables stays in the house, on a page as in a form."""

    def clash(*args: object, **kwargs: object) -> None:
        raise ConflictError("conflict", "another change is in the way: UNIQUE constraint failed: partner.id")

    browser = contoso.signed_in()
    monkeypatch.setitem(pages_of_partners.PARTNER_CHANGES, "suspend", clash)
    monkeypatch.setattr("tenantgate.web.onboard.onboard", clash)
    for answer in (browser.submit("/partners/contoso/suspend"), browser.submit("/onboard", **fabrikam())):
        assert answer.status_code in {409, 422}
        assert CODES["conflict"] in answer.text
        assert "UNIQUE" not in answer.text


# Static files


@pytest.mark.parametrize(
    "name", ["tenantgate.css", "tenantgate.js", "tenantgate.svg", "vendor/htmx.min.js", "vendor/tabler.min.css"]
)
def test_static_file_is_kept_for_good(operator: Browser, name: str):
    """A static file is named with its version, so that browsers keep it and never keep an old one."""
    asset = static_files()[name]
    answer = operator.get(f"/static/{name}?v={asset.version}")
    assert answer.content == asset.body
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == asset.media_type
    assert answer.headers["content-encoding"] == "gzip"
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS


def test_static_file_of_another_version_is_asked_for_again(operator: Browser):
    """Under an old version's address the file is not kept, and unchanged content is not sent twice."""
    answer = operator.get("/static/tenantgate.css?v=0")
    assert answer.headers["cache-control"] == "no-cache"
    again = operator.get("/static/tenantgate.css", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_static_file_for_who_cannot_unpack(operator: Browser):
    """Without gzip the file comes as it is."""
    answer = operator.get("/static/tenantgate.css", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.content == static_files()["tenantgate.css"].body
    assert gzip.decompress(static_files()["tenantgate.css"].gzipped) == answer.content


def test_range_is_not_taken(operator: Browser):
    """There are no ranges to reckon with: the whole file is small."""
    answer = operator.get("/static/tenantgate.css", headers={"Range": "bytes=0-1," * 1_000 + "2-3"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/../texts.toml",
        "/static/%2e%2e/texts.toml",
        "/static/..%2ftemplates%2f_base.html",
        "/static/%2fetc/passwd",
        "/static//etc/passwd",
        "/static/vendor",
        "/static/vendor/VERSIONS.md",
        "/static/tenantgate.css%00",
        "/static/tenantgate.css/",
        "/static/Tenantgate.css",
    ],
)
def test_nothing_else_is_served(operator: Browser, path: str):
    """Only the files of the table are there: no folder, no way up, no other kind of file."""
    assert operator.client.get(path).status_code == 404
