"""The gate in a FastAPI application: the embedding as it is documented, its answers, its document, its end."""

import asyncio
import importlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tenantgate import Principal, open_gate
from tenantgate.core.policy import PolicyError, kind_of
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView
from tenantgate.integrations.fastapi import FastAPIGate, Refused, RouteUnreadable
from tests.builders import (
    ACME_CLIENT,
    NOW,
    STRANGE_CLIENT,
    a_snapshot,
    cloud_key,
    json_bytes,
    policy_rows,
    v2_claims,
    v2_token,
)
from tests.gate.world import ThreadedDoor, a_fetched_snapshot, a_gate, a_keyring, suspended
from tests.integrations import orders_api

# No `from __future__ import annotations` here: `orders_api.py` has it, and both kinds of module must work.


def bearer(token: str | None = None) -> dict[str, str]:
    """Return the header that presents a token, acme's good one unless given."""
    return {"Authorization": f"Bearer {v2_token() if token is None else token}"}


def an_app(gate: Gate) -> FastAPI:
    """Return the documented application over a gate."""
    orders = FastAPIGate(gate)
    app = FastAPI(lifespan=orders.lifespan)

    @app.get("/orders")
    async def list_orders(caller: Annotated[Principal, orders.require("Orders.Read")]) -> dict[str, object]:
        return {"partner": caller.partner, "roles": caller.roles}

    @app.post("/orders")
    async def place_order(caller: Annotated[Principal, orders.require("Orders.Read", "Orders.Write")]) -> str:
        return caller.partner

    @app.get("/whoami")
    def whoami(caller: Annotated[Principal, orders.require()]) -> str:
        return caller.client_id

    return app


def postponed_app() -> tuple[Gate, FastAPI]:
    """Return the same application from a module whose annotations are strings, freshly imported."""
    module = importlib.reload(orders_api)
    return module.gate, module.app


def immediate_app() -> tuple[Gate, FastAPI]:
    """Return the application of this module."""
    gate = a_gate()
    return gate, an_app(gate)


@pytest.fixture(params=[immediate_app, postponed_app], ids=["annotations", "postponed annotations"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Gate, TestClient]]:
    """The documented application, running, and its gate."""
    gate, app = request.param()
    with TestClient(app) as client:
        yield gate, client


Served = tuple[Gate, TestClient]


def test_lets_a_listed_daemon_in_and_says_who_it_is(served: Served):
    """The route gets the principal: partner, roles, client."""
    _, client = served
    answer = client.get("/orders", headers=bearer())

    assert (answer.status_code, answer.json()) == (200, {"partner": "acme", "roles": ["Orders.Read"]})
    assert client.get("/whoami", headers=bearer()).json() == ACME_CLIENT


def test_every_grant_has_its_decision_id(served: Served):
    """A grant carries the id of its decision, a new one for each request, and no header for an upstream."""
    _, client = served
    answers = [client.get("/orders", headers=bearer()) for _ in range(2)]

    ids = {answer.headers["X-TG-Decision"] for answer in answers}
    assert len(ids) == 2
    assert all(id_.startswith("t-") for id_ in ids)
    assert [name for name in answers[0].headers if name.startswith("x-tg-")] == ["x-tg-decision"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        pytest.param({}, 401, "no_credential", id="no credential"),
        pytest.param({"Authorization": "Basic YTpi"}, 401, "no_credential", id="another scheme"),
        pytest.param(bearer("x.y.z"), 401, "invalid_token", id="no token"),
        pytest.param(bearer(v2_token(exp=NOW - 61)), 401, "invalid_token", id="expired"),
        pytest.param(bearer(v2_token(azp=STRANGE_CLIENT)), 403, "caller_not_allowed", id="not listed"),
        pytest.param(bearer(v2_token() + ", Bearer x"), 400, "invalid_request", id="joined headers"),
    ],
)
def test_a_refusal_is_the_gates_own_answer(served: Served, headers: dict[str, str], status: int, code: str):
    """Status, challenge and codes are those of `Gate.answer`; the problem stands under `detail`, as FastAPI has it."""
    gate, client = served
    answer = client.get("/orders", headers=headers)
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    expected = gate.answer(gate.decide(RequestView("GET", "/orders", raw), ("Orders.Read",)))

    assert (answer.status_code, answer.headers["X-TG-Reason"]) == (status, code)
    for name, value in expected.headers:
        assert name == "X-TG-Decision" or answer.headers[name] == value
    assert ("WWW-Authenticate" in answer.headers) == any(name == "WWW-Authenticate" for name, _ in expected.headers)
    problem = answer.json()["detail"]
    assert problem["decision"] == answer.headers["X-TG-Decision"]
    assert {**problem, "decision": None} == {**json.loads(expected.body), "decision": None}


def test_a_missing_role_is_named(served: Served):
    """The refusal of a route names the roles that this route asks for."""
    _, client = served
    answer = client.post("/orders", headers=bearer())

    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert 'scope="Orders.Read Orders.Write"' in answer.headers["WWW-Authenticate"]


@pytest.mark.threat(48)
def test_a_suspension_acts_on_the_next_request(served: Served):
    """The route's next call is refused, with the token that was good a moment ago."""
    gate, client = served
    headers = bearer()
    assert client.get("/orders", headers=headers).status_code == 200
    gate.install(suspended())

    assert client.get("/orders", headers=headers).status_code == 403


def test_an_identity_in_the_request_means_nothing(served: Served):
    """A caller who sends X-TG-* itself is neither let in by it nor becomes somebody else."""
    _, client = served
    claimed = {"X-TG-Partner": "globex", "X-TG-Roles": "Orders.Write", "X-TG-Client": "admin", "X-TG-Tenant": "t"}

    assert client.get("/orders", headers=claimed).status_code == 401
    answer = client.get("/orders", headers={**bearer(), **claimed})
    assert answer.json() == {"partner": "acme", "roles": ["Orders.Read"]}


@pytest.mark.parametrize(
    ("connected", "headers", "believed", "status"),
    [
        ("192.0.2.7", {}, False, 200),
        ("127.0.0.1", {}, False, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, False, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7:4711"}, False, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7, 127.0.0.1"}, False, 403),
        ("192.0.2.7", {"Forwarded": "for=192.0.2.7"}, False, 403),
        ("192.0.2.7", {"X-Forwarded-For": "198.51.100.1"}, False, 200),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, True, 200),
        ("198.51.100.1", {"X-Forwarded-For": "192.0.2.7"}, True, 403),
    ],
)
def test_a_caller_cannot_choose_its_network(connected: str, headers: dict[str, str], believed: bool, status: int):
    """uvicorn takes `X-Forwarded-For` from loopback for the caller's address; only an application that says so does."""
    gate = a_gate(news=a_snapshot(orders={"addresses": ("192.0.2.0/24",)}))
    orders = FastAPIGate(gate, believe_forwarded=believed)
    app = FastAPI(lifespan=orders.lifespan, dependencies=[orders.require("Orders.Read")])
    app.get("/orders")(lambda: "orders")
    with TestClient(ProxyHeadersMiddleware(app), client=(connected, 50_000)) as client:
        assert client.get("/orders", headers={**bearer(), **headers}).status_code == status


def test_a_second_credential_is_refused(served: Served):
    """Two Authorization headers reach the gate as two, and are never chosen from."""
    _, client = served
    both = [("Authorization", f"Bearer {v2_token()}"), ("Authorization", "Basic YTpi")]
    answer = client.get("/orders", headers=both)

    assert (answer.status_code, answer.headers["X-TG-Reason"]) == (400, "invalid_request")


def test_keys_that_cannot_be_had_are_503_with_a_time_to_come_back():
    """Where the request cannot be judged, the answer says when to try again and nothing about the token."""
    door = ThreadedDoor()
    door.documents.clear()
    with TestClient(an_app(a_gate(a_keyring(door), a_fetched_snapshot()))) as client:
        answer = client.get("/orders", headers=bearer())

    assert (answer.status_code, answer.headers["X-TG-Reason"]) == (503, "cannot_judge")
    assert answer.headers["Retry-After"] == "5"


def test_the_reason_is_in_the_body_where_the_publisher_shows_it():
    """With `show_reasons` a partner's developer reads the exact reason and what to do."""
    gate = a_gate(news=a_snapshot(orders={"show_reasons": True}))
    with TestClient(an_app(gate)) as client:
        problem = client.get("/orders", headers=bearer(v2_token(exp=NOW - 61))).json()["detail"]

    assert problem["reason"] == "token_expired"
    assert problem["advice"].startswith("The token ended 61 s ago")


def test_the_refusal_is_an_exception_of_fastapi():
    """An application's own handler may render refusals its way: it finds the denial and the answer's headers."""
    app = an_app(a_gate())

    @app.exception_handler(Refused)
    async def render(request: Any, refused: Refused) -> JSONResponse:
        return JSONResponse({"why": refused.denied.reason}, refused.status_code, refused.headers)

    with TestClient(app) as client:
        answer = client.get("/orders")
    assert (answer.status_code, answer.json()) == (401, {"why": "no_credential"})
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="orders"'


# The resource's own rules at this door.


def test_the_token_may_stand_in_the_query_where_the_resource_says_so():
    """The raw query reaches the gate, percent signs and all; without the rule it means nothing."""
    token = v2_token().replace(".", "%2E")
    for rules, status in (({"token_query": "access_token"}, 200), ({}, 401)):
        with TestClient(an_app(a_gate(news=a_snapshot(orders=rules)))) as client:
            assert client.get(f"/orders?access_token={token}").status_code == status
            assert client.get("/orders", headers=bearer()).status_code == 200


def test_a_refusal_is_in_the_resources_manner():
    """Status, challenge and text of a refusal are the gate's own answer, the problem under `detail`."""
    rules = {"failure_status": 404, "failure_message": "Nothing here.", "token_header": "X-Token"}
    gate = a_gate(news=a_snapshot(orders=rules))
    with TestClient(an_app(gate)) as client:
        answer = client.get("/orders", headers={"X-Token": "x"})
        assert client.get("/orders", headers={"X-Token": v2_token()}).status_code == 200

    assert (answer.status_code, answer.json()["detail"]["title"]) == (404, "Nothing here.")
    assert answer.json()["detail"]["status"] == 404
    assert 'error_description="Nothing here."' in answer.headers["WWW-Authenticate"]


def test_the_callers_own_address_counts_at_this_door():
    """The connection's address is the caller's; what a header says of another one is not believed."""
    gate = a_gate(news=a_snapshot(orders={"addresses": ("192.0.2.0/24",)}))
    claimed = {**bearer(), "X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7"}
    for address, status in (("192.0.2.8", 200), ("198.51.100.1", 403)):
        with TestClient(an_app(gate), client=(address, 50000)) as client:
            assert client.get("/orders", headers=claimed).status_code == status


# One judgement.


class Counting:
    """Stands in for a gate's `adecide` and writes down what was asked."""

    def __init__(self, gate: Gate) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self._decide = gate.adecide

    async def __call__(self, view: RequestView, roles: tuple[str, ...] = ()) -> Any:
        self.asked.append((f"{view.method} {view.path} from {view.peer}", roles))
        return await self._decide(view, roles)


def test_the_required_role_goes_into_the_one_judgement(monkeypatch: pytest.MonkeyPatch):
    """A request is judged once, with its route's roles: no check is added before, after or beside it."""
    gate = a_gate()
    counting = Counting(gate)
    monkeypatch.setattr(gate, "adecide", counting)
    with TestClient(an_app(gate), client=("192.0.2.7", 50000)) as client:
        assert client.get("/orders", headers=bearer()).status_code == 200
        assert client.post("/orders", headers=bearer()).status_code == 403
        assert client.get("/whoami", headers=bearer()).status_code == 200
        assert client.get("/docs").status_code == 200

    assert counting.asked == [
        ("GET /orders from 192.0.2.7", ("Orders.Read",)),
        ("POST /orders from 192.0.2.7", ("Orders.Read", "Orders.Write")),
        ("GET /whoami from 192.0.2.7", ()),
    ]


def test_one_requirement_used_twice_is_judged_once(monkeypatch: pytest.MonkeyPatch):
    """A requirement shared by a router and a dependency of the route is asked once for a request."""
    gate = a_gate()
    counting = Counting(gate)
    monkeypatch.setattr(gate, "adecide", counting)
    orders = FastAPIGate(gate)
    reader = orders.require("Orders.Read")
    app = FastAPI(lifespan=orders.lifespan, dependencies=[reader])

    def partner_of(caller: Annotated[Principal, reader]) -> str:
        return caller.partner

    @app.get("/orders")
    async def list_orders(
        caller: Annotated[Principal, reader], partner: Annotated[str, Depends(partner_of)]
    ) -> list[str]:
        return [caller.partner, partner]

    with TestClient(app) as client:
        assert client.get("/orders", headers=bearer()).json() == ["acme", "acme"]
    assert len(counting.asked) == 1


def test_two_gates_in_one_application_judge_each_its_own():
    """An application may guard two resources: each route is judged by the gate it names."""
    orders, billing = FastAPIGate(a_gate()), FastAPIGate(a_gate(resource="billing"))
    app = FastAPI()

    @app.get("/orders")
    async def list_orders(caller: Annotated[Principal, orders.require()]) -> str:
        return caller.resource

    @app.get("/bills")
    async def list_bills(caller: Annotated[Principal, billing.require()]) -> str:
        return caller.resource

    with TestClient(app) as client:
        assert client.get("/orders", headers=bearer()).json() == "orders"
        refused = client.get("/bills", headers=bearer())
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith('Bearer realm="billing"')
    assert len(app.openapi()["components"]["securitySchemes"]) == 2


# The document.


def test_the_openapi_document_shows_the_scheme(served: Served):
    """Every guarded route points to one bearer scheme that names the resource."""
    _, client = served
    document = client.get("/openapi.json").json()
    [(name, scheme)] = document["components"]["securitySchemes"].items()

    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    assert "`orders`" in scheme["description"]
    for path, method in (("/orders", "get"), ("/orders", "post"), ("/whoami", "get")):
        [requirement] = document["paths"][path][method]["security"]
        assert list(requirement) == [name]
        assert "parameters" not in document["paths"][path][method]


def test_the_openapi_document_names_the_roles_of_each_operation(served: Served):
    """What a caller needs stands beside each operation; the scheme's name is one that OpenAPI allows as a key."""
    _, client = served
    document = client.get("/openapi.json").json()

    assert list(document["components"]["securitySchemes"]) == ["TenantGate-orders"]
    needed = {
        (path, method): operation["security"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert needed == {
        ("/orders", "get"): [{"TenantGate-orders": ["Orders.Read"]}],
        ("/orders", "post"): [{"TenantGate-orders": ["Orders.Read", "Orders.Write"]}],
        ("/whoami", "get"): [{"TenantGate-orders": []}],
    }


@pytest.mark.parametrize("role", ["", "Orders Read", "Orders,Read", 'Orders"Read', "Aufträge.Lesen", "Orders.Read\n"])
def test_a_role_that_no_policy_could_hold_is_refused_at_the_start(role: str):
    """A misspelt requirement fails when the application is put together, not when the first caller is refused."""
    with pytest.raises(PolicyError) as raised:
        FastAPIGate(a_gate()).require("Orders.Read", role)

    assert raised.value.code == "role_value_malformed"


# The start.


@pytest.mark.threat(25)
@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("app", "/orders"),
        ("dependency", "/orders"),
        ("router", "/included/orders"),
        ("mount", "/mounted/orders"),
    ],
)
def test_a_route_that_would_stand_open_does_not_start(where: str, path: str):
    """A requirement that FastAPI cannot read would leave its route open: the application refuses to start."""
    app = orders_api.local_app(where)
    assert TestClient(app).get(path).json() == "open to everybody"  # without the lifespan nobody looks
    with (
        pytest.raises(RouteUnreadable, match="orders: FastAPI cannot read the annotation of 'caller'"),
        TestClient(app),
    ):
        pass


# The end.


def threads_of_ours() -> list[str]:
    """Return the names of the threads that belong to gates."""
    return [each.name for each in threading.enumerate() if each.name.startswith("tenantgate-")]


def test_the_lifespan_closes_the_gate(tmp_path: Path):
    """When the application ends, the threads of its gate are gone; the README's embedding is over a policy file."""
    path = tmp_path / "policy.json"
    path.write_bytes(json_bytes(a_policy_document()))
    gate = open_gate(path, resource="orders")
    assert sorted(threads_of_ours()) == ["tenantgate-follower", "tenantgate-keeper"]
    with TestClient(an_app(gate)) as client:
        assert client.get("/orders").status_code == 401
    assert threads_of_ours() == []


def a_policy_document() -> dict[str, Any]:
    """Return the built policy as a policy file holds it."""
    document: dict[str, Any] = {"version": 1}
    for row in policy_rows():
        document.setdefault(f"{kind_of(row)}s", []).append(msgspec.to_builtins(row))
    return document


def test_the_lifespan_closes_the_gate_after_a_failure():
    """An application that ends by an exception closes its gate all the same."""
    closed: list[bool] = []
    gate = a_gate()
    gate.close = lambda: closed.append(True)  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="the application fails"), TestClient(an_app(gate)):
        raise RuntimeError("the application fails")

    assert closed == [True]


async def test_a_lifespan_of_ones_own_may_enter_it():
    """An application with a lifespan of its own enters both, and the gate closes at its place."""
    closed: list[str] = []
    gate = a_gate()
    gate.close = lambda: closed.append("gate")  # type: ignore[method-assign]
    async with FastAPIGate(gate).lifespan(FastAPI()):
        closed.append("application")

    assert closed == ["application", "gate"]


def test_closing_does_not_block_the_loop(monkeypatch: pytest.MonkeyPatch):
    """`close` waits for threads, so it runs in a worker thread, not on the application's loop."""
    where: list[str] = []
    gate = a_gate()
    monkeypatch.setattr(gate, "close", lambda: where.append(threading.current_thread().name))
    loop: list[str] = []
    app = an_app(gate)

    @app.get("/loop")
    async def which() -> None:
        loop.append(threading.current_thread().name)

    with TestClient(app) as client:
        client.get("/loop")
    assert where != loop


def test_concurrent_requests_share_one_fetch():
    """Requests of one application that miss the same key wait for one fetch, on a loop that stays free."""
    door = ThreadedDoor()
    gate = a_gate(a_keyring(door), a_fetched_snapshot())
    app = an_app(gate)

    async def call() -> int:
        sent: list[Any] = []
        token = cloud_key().sign(v2_claims()).encode()
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/orders",
            "query_string": b"",
            "headers": [(b"authorization", b"Bearer " + token)],
        }

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        await app(scope, receive, send)
        return int(sent[0]["status"])

    async def calls() -> list[int]:
        return await asyncio.gather(*(call() for _ in range(20)))

    assert asyncio.run(calls()) == [200] * 20
    assert door.fetches == 1
    gate.close()
