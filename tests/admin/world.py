"""The REST API over a real database, and three operators with a key each.

The client knows the committed description: an answer that is not documented there fails the test that got it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from fastapi import FastAPI
from sqlalchemy.engine import Engine
from starlette.testclient import TestClient

from tenantgate.admin import openapi
from tenantgate.admin.context import AdminContext
from tenantgate.admin.explaining import Explaining
from tenantgate.admin.probing import Probing
from tenantgate.admin.problems import MEDIA_TYPE, TYPE_PREFIX, install_problems
from tenantgate.admin.routes import build_admin
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.probe import Finding
from tenantgate.registry import identities, operators
from tenantgate.registry.operators import KeySpec, OperatorSpec
from tests.admin import staff
from tests.registry.builders import NOW, counting_bytes, counting_ids, everything, work_on

ROLES = ("Admin", "Operator", "Viewer")
LATER = NOW + 86_400
V1 = "/api/v1"


@cache
def rendered() -> str:
    """The OpenAPI document as it is committed."""
    return openapi.rendered()


@cache
def description() -> dict[str, Any]:
    """The OpenAPI document."""
    found: dict[str, Any] = json.loads(rendered())
    return found


def operations() -> list[tuple[str, str]]:
    """Every method and path of it."""
    paths = description()["paths"]
    return [(method.upper(), path) for path in sorted(paths) for method in sorted(paths[path])]


def operation(method: str, path: str) -> dict[str, Any]:
    """What the document says of a method at a path."""
    found: dict[str, Any] = description()["paths"][path][method.lower()]
    return found


def filled(path: str, id_: str = "nobody") -> str:
    """A path with an id in its place."""
    return path.replace("{id}", id_)


def body_of(method: str, path: str) -> dict[str, Any] | None:
    """The example of what this route takes, or None."""
    wanted = operation(method, path).get("requestBody")
    if wanted is None or "application/json" not in wanted["content"]:
        return None
    example: dict[str, Any] = schema_of(wanted["content"]["application/json"]["schema"])["examples"][0]
    return example


def example_of(content: dict[str, Any]) -> Any:
    """The example of what is sent or answered, wherever the document keeps it; None where it has none."""
    if "example" in content:
        return content["example"]
    for each in content.get("examples", {}).values():
        return schema_of(each)["value"] if "$ref" in each else each["value"]
    schema = content["schema"]
    return next(iter((schema_of(schema) if "$ref" in schema else schema).get("examples", ())), None)


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(re.escape(path).replace(r"\{id\}", "[^/]+")), path) for path in description()["paths"]]


def template_of(method: str, path: str) -> str | None:
    """The documented path that a request is for."""
    known = description()["paths"]
    if method.lower() in known.get(path, ()):
        return path
    return next((each for way, each in _templates() if way.fullmatch(path) and method.lower() in known[each]), None)


def answered(method: str, path: str, status: int) -> dict[str, Any]:
    """What the document says of an answer."""
    found: dict[str, Any] = operation(method, path)["responses"][str(status)]
    return schema_of(found) if "$ref" in found else found


def members_of(value: Any) -> Any:
    """The members of an answer; where it is a page, with those of what is on it."""
    page = value.keys() == {"items", "next"} and value["items"]
    return (set(value), set(value["items"][0])) if page else set(value)


def schema_of(reference: dict[str, Any]) -> dict[str, Any]:
    """What a reference in the document stands for."""
    found: Any = description()
    for step in reference["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def make_template(engine: Engine) -> dict[str, str]:
    """Put one of each and three operators into a migrated database, and close it; return a key for each role."""
    random_bytes = counting_bytes(7)
    with work_on(engine) as work:
        everything(work)
        keys = {}
        for role in ROLES:
            id_ = f"an-{role.lower()}"
            operators.create(work, OperatorSpec(id=id_, name=f"An {role}", role=role))
            spec = KeySpec(operator=id_, name="tests", expires_at=LATER)
            keys[role] = operators.create_key(work, spec, random_bytes=random_bytes).value
            identities.link(work, id_, staff.identity_of(id_))
    engine.dispose()
    return keys


FOUND = Finding(document="v2", step="name", state="failed", detail="no such name", code="dns", advice="Ask.")
"""What a look at any issuer finds here: routes are what is tested, and nothing is asked of anybody."""


@dataclass
class Clock:
    """Epoch seconds that move only when told to."""

    now: int = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Api:
    """A client of the API. `keys` by role; calls are made as `role` where nothing else is said."""

    client: TestClient
    engine: Engine
    keys: dict[str, str]
    clock: Clock
    looked: list[IssuerRow] = field(default_factory=list)
    explaining: Explaining | None = None
    role: str = "Admin"
    scheme: str = "admin_key"
    context: SimpleNamespace = field(default_factory=SimpleNamespace)

    def ask(self, method: str, path: str, *, role: str | None = "", headers: Any = None, **request: Any) -> Any:
        """Send a request below /api/v1 with the key of a role (None: without), and look at the answer's form."""
        chosen = self.role if role == "" else role
        sent = dict(headers or {})
        if chosen is not None:
            sent.setdefault("Authorization", f"Bearer {self.credential(chosen)}")
        answer = self.client.request(method, V1 + path, headers=sent, **request)
        self._look_at(method, path.partition("?")[0], answer)
        return answer

    def credential(self, role: str) -> str:
        """What an operator of a role presents: their key, or a token that gives the same role."""
        if self.scheme == "admin_key":
            return self.keys[role]
        return staff.token(f"an-{role.lower()}", (f"TenantGate.{role}",))

    def get(self, path: str, **request: Any) -> Any:
        """GET that must succeed: the answer's content."""
        answer = self.ask("GET", path, **request)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self, path: str, **body: Any) -> Any:
        """POST that must make something: the answer's content."""
        answer = self.ask("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def change(self, path: str) -> Any:
        """POST that must change something: the answer's content."""
        answer = self.ask("POST", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, **request: Any) -> Any:
        """A request that must be refused: the problem."""
        answer = self.ask(method, path, **request)
        assert answer.status_code >= 400, answer.text
        return answer.json()

    def _look_at(self, method: str, path: str, answer: Any) -> None:
        assert answer.headers["Cache-Control"] == "no-store"
        named = answer.headers["X-Request-Id"]
        if answer.status_code >= 400:
            problem = answer.json()
            assert answer.headers["Content-Type"] == MEDIA_TYPE
            assert problem["status"] == answer.status_code
            assert problem["type"] == TYPE_PREFIX + problem["code"]
            assert problem["request_id"] == named
        template = template_of(method, V1 + path)
        if template is None:
            return
        assert answer.status_code != 500, answer.text  # documented, and a failure all the same
        documented = operation(method, template)["responses"]
        assert str(answer.status_code) in documented, f"{method} {path} answers {answer.status_code}"
        kept = "Idempotent-Replayed" in answer.headers  # one of before, and looked at then
        if answer.is_success and answer.headers["Content-Type"] == "application/json" and not kept:
            example = example_of(answered(method, template, answer.status_code)["content"]["application/json"])
            found = answer.json()
            if found.get("items") != []:
                assert members_of(found) == members_of(example), f"{method} {path}"


class Served:
    """An application with nothing but the administration in it, over one database after the other."""

    def __init__(self) -> None:
        tokens = staff.tokens()
        self._context = SimpleNamespace(
            new_id=counting_ids(8),
            random_bytes=counting_bytes(9),
            secure=True,
            public_url="https://gate.publisher.example",
            tokens=tokens,
            rates=None,
            failures=None,
            reserved_audiences=tokens.audiences,
        )
        app = FastAPI(redirect_slashes=False, openapi_url=None)
        install_problems(app, self._context.new_id)
        app.include_router(build_admin(cast("AdminContext", self._context)))
        self._client = TestClient(app, raise_server_exceptions=False)

    def __enter__(self) -> Served:
        self._client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._client.__exit__()

    @contextmanager
    def over(self, engine: Engine, keys: dict[str, str]) -> Iterator[Api]:
        """The API over a database, which is closed at the end."""
        clock = Clock()
        before = dict(vars(self._context))
        self._context.engine, self._context.now = engine, clock
        looked: list[IssuerRow] = []
        self._context.explaining = Explaining(
            lambda index, _: StaticKeys([entry.row for entry in index.issuers.values()])
        )
        self._context.probing = Probing(lambda row: (looked.append(row), [FOUND])[1], clock)
        yield Api(self._client, engine, keys, clock, looked, self._context.explaining, context=self._context)
        vars(self._context).update(before)
        for thread in threading.enumerate():
            if thread.name == "tenantgate-import":  # an import goes on after its answer, with connections of its own
                thread.join(60)
        engine.dispose()
