"""The page over a real, migrated database: an application as the server makes it, a clock, a browser of sorts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy.engine import Engine
from starlette.testclient import TestClient

from tenantgate.admin.context import AdminContext
from tenantgate.admin.explaining import Explaining
from tenantgate.admin.probing import Probing
from tenantgate.admin.problems import install_problems
from tenantgate.admin.rates import OperatorRates
from tenantgate.core.keys import StaticKeys
from tenantgate.registry import operators, sessions
from tenantgate.registry.engine import reading
from tenantgate.registry.operators import KeySpec
from tenantgate.registry.unit_of_work import Work
from tenantgate.web.pages import build_web, install_error_pages, mount_static
from tests.registry.builders import (
    NOW,
    a_cloud,
    a_resource,
    an_app_role,
    an_engine,
    an_operator,
    counting_bytes,
    counting_ids,
    product_keys,
    work_on,
)

LOOPBACK = "http://127.0.0.1:8440"
HTTPS = "https://gate.publisher.example"
FABRIKAM_TID = "22222222-3333-4444-8555-666666666666"
FABRIKAM_CLIENT = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
OPERATORS = {"Admin": "administration", "Operator": "onboarding", "Viewer": "viewing"}


def publisher(work: Work) -> None:
    """A cloud that is trusted, the orders API with a role, and an operator of each kind. No partner yet."""
    a_cloud(work)
    a_resource(work)
    an_app_role(work)
    for role, name in OPERATORS.items():
        an_operator(work, id=name, name=name.capitalize(), role=role)


@dataclass
class World:
    """A server's page. `now` is what its clock says, `ticks` are monotonic seconds."""

    engine: Engine
    public_url: str = LOOPBACK
    now: int = NOW
    ticks: float = 0.0
    rates: OperatorRates | None = None
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        self.context = AdminContext(
            self.engine,
            lambda: self.now,
            counting_ids(7_000),
            counting_bytes(9_000),
            self.public_url,
            Probing(lambda row: [], lambda: 0.0),
            product_keys(self.engine),
            Explaining(lambda index, resource: StaticKeys(())),
            rates=self.rates,
        )
        self.app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
        install_problems(self.app, counting_ids(8_000))
        self.app.include_router(build_web(self.context, lambda: self.ticks))
        mount_static(self.app)
        install_error_pages(self.app, self.context)

    def change(self, *makers: Callable[[Work], Any]) -> None:
        """Do something in the registry, past the page."""
        with work_on(self.engine, now=self.now) as work:
            for make in makers:
                make(work)

    def ask(self, question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Read something from the registry, past the page."""
        with reading(self.engine) as session:
            return question(session, *args, **kwargs)

    def code_for(self, role: str = "Operator") -> str:
        """A sign-in code."""
        with work_on(self.engine, now=self.now) as work:
            return sessions.create_link(work, OPERATORS[role], random_bytes=self.context.random_bytes).code

    def key_for(self, role: str = "Operator") -> str:
        """An admin key, for a day."""
        with work_on(self.engine, now=self.now) as work:
            spec = KeySpec(operator=OPERATORS[role], name="laptop", expires_at=self.now + 86_400)
            return operators.create_key(work, spec, random_bytes=self.context.random_bytes).value

    def browser(self, *, raising: bool = False) -> Browser:
        """A browser that nobody has signed in with. `raising` lets the server's failures through."""
        return Browser(self, raising=raising)

    def signed_in(self, role: str = "Operator", *, raising: bool = False) -> Browser:
        """A browser with a session of an operator of this role."""
        browser = self.browser(raising=raising)
        answer = browser.post("/sign-in", {"code": self.code_for(role)})
        assert answer.status_code == 303, answer.text
        return browser


class Browser:
    """Keeps cookies, and posts as a browser does: with Origin and Sec-Fetch-Site, and the token of the last page."""

    def __init__(self, world: World, *, raising: bool) -> None:
        self.world = world
        self.client = TestClient(
            world.app, base_url=world.public_url, follow_redirects=False, raise_server_exceptions=raising
        )

    def get(self, path: str, **kwargs: Any) -> Response:
        """Ask for a page."""
        return self.client.get(path, **kwargs)

    @property
    def token(self) -> str:
        """What the session's cookie holds."""
        return next(iter(self.client.cookies.jar)).value or ""

    @property
    def csrf(self) -> str:
        """The token of this session's forms."""
        return sessions.csrf_of(self.token)

    def post(self, path: str, fields: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
        """Post a form from one of our pages."""
        sent = {"Origin": "null", "Sec-Fetch-Site": "same-origin", **(headers or {})}
        return self.client.post(path, data=fields, headers={name: value for name, value in sent.items() if value})

    def submit(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> Response:
        """Post a form with this session's token."""
        return self.post(path, {"csrf": self.csrf, **fields}, headers)


def fabrikam(**changed: Any) -> dict[str, Any]:
    """The onboard form, filled in right, but for what is `changed`."""
    return {
        "name": "Fabrikam",
        "id": "fabrikam",
        "ends": "",
        "issuer": "entra",
        "tid": FABRIKAM_TID,
        "client_id": FABRIKAM_CLIENT,
        "oid": "",
        "roles": ["orders-read"],
        "role_ends": "",
        "reason": "",
    } | changed


@dataclass
class Element:
    """An element of a page: its tag, attributes, and all the text inside."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""

    def get(self, name: str) -> str:
        """An attribute, or the empty text."""
        return self.attributes.get(name) or ""


_VOID = frozenset({"meta", "link", "input", "img", "br", "hr"})


class Page(HTMLParser):
    """A page taken apart as a browser would, far enough to ask what is on it."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element of this tag, and what was left open inside."""
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Note a text, for every element around it."""
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Every element of this tag with these attributes."""
        return [
            each
            for each in self.elements
            if each.tag == tag and all(each.get(name) == value for name, value in attributes.items())
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        """The only such element."""
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def words(self) -> str:
        """All the text of the body, white space folded."""
        return " ".join(self.one("body").text.split())


def make_world(folder: Path, public_url: str = LOOPBACK) -> World:
    """A world in which the publisher is ready and no partner is there."""
    world = World(an_engine(folder / "registry.db"), public_url)
    world.change(publisher)
    return world


def copy_database(source: Path, target: Path) -> None:
    """Make one database what another is, whoever has it open between transactions."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
