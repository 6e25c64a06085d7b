"""What a reverse proxy gets when it asks /auth/check, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from tenantgate.core.decision import Decision
from tenantgate.core.refusals import CODES
from tenantgate.forward_auth.endpoint import handles
from tenantgate.gate.answer import IDENTITY_HEADERS
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView
from tests.builders import ACME_CLIENT, NOW, STRANGE_CLIENT, a_snapshot, oidc_token, v2_token
from tests.forward_auth.wire import Response, Server, a_request
from tests.gate.world import FakeKeys, ThreadedDoor, a_fetched_snapshot, a_gate, a_keyring, suspended

Serve = Callable[[Gate], Server]
OURS = {"x-tg-decision", *(name.lower() for name in IDENTITY_HEADERS)}


def is_grant(response: Response) -> bool:
    """Whether acme's daemon was let in."""
    return response.status == 200 and response.one("X-TG-Partner") == "acme"


def test_a_grant_tells_the_upstream_who_came_in(server: Server):
    """200 with the decision id and every identity header, once each, and an empty body."""
    response = server.ask(a_request())

    assert (response.status, response.body) == (200, b"")
    assert {name for name, _ in response.headers if name.startswith("x-tg-")} == OURS
    assert response.one("X-TG-Partner") == "acme"
    assert response.one("X-TG-Tenant") == "acme_tenant"
    assert response.one("X-TG-Client") == ACME_CLIENT
    assert response.one("X-TG-Roles") == "Orders.Read"
    assert response.one("X-TG-Decision").startswith("t-")
    assert response.one("Content-Length") == "0"
    assert response.all("Content-Type") == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X-OWN"])
def test_any_method_is_answered_alike(server: Server, method: str):
    """A proxy may keep the caller's method: none is refused, none is let in without a token."""
    assert is_grant(server.ask(a_request(method=method)))
    assert server.ask(a_request(method=method, token=None)).status == 401


@pytest.mark.parametrize(
    "path", ["/auth/check", "/auth/check/", "/auth/check/orders/7?x=%20", "/auth/check/a%2Fb/../c", "/auth/check?x"]
)
def test_any_suffix_is_answered_alike(server: Server, path: str):
    """A proxy may append the caller's path and query: they change nothing."""
    assert is_grant(server.ask(a_request(path=path)))


@pytest.mark.parametrize(
    ("scope", "ours"),
    [
        ({"type": "http", "path": "/auth/check"}, True),
        ({"type": "http", "path": "/auth/check/"}, True),
        ({"type": "http", "path": "/auth/check/orders"}, True),
        ({"type": "http", "path": "/auth/checks"}, False),
        ({"type": "http", "path": "/auth/check-in"}, False),
        ({"type": "http", "path": "/auth"}, False),
        ({"type": "http", "path": "/x/auth/check"}, False),
        ({"type": "http", "path": "/AUTH/CHECK"}, False),
        ({"type": "websocket", "path": "/auth/check"}, False),
        ({"type": "lifespan"}, False),
    ],
)
def test_the_endpoint_is_its_path_and_what_lies_under_it(scope: dict[str, str], ours: bool):
    """Other paths that only begin alike, and other protocols, belong to somebody else."""
    assert handles(scope) is ours


@pytest.mark.parametrize(
    "body",
    [b"{", b"\x00\xff" * 500, b"access_token=" + v2_token().encode(), b"x" * 200_000],
    ids=["half JSON", "bytes", "a token", "much"],
)
def test_a_body_is_ignored(server: Server, body: bytes):
    """Nothing in a body counts, least of all a token; the connection goes on after it."""
    good, bad = a_request(method="POST", body=body), a_request(method="POST", token=None, body=body)
    statuses = [response.status for response in server.send(good, bad, good)]

    assert statuses == [200, 401, 200]


def test_a_body_is_not_waited_for(server: Server):
    """The answer comes when the headers are there: a proxy that announces a body and sends none gets it too."""
    assert is_grant(server.ask(a_request("Content-Length: 1000", method="POST")))
    assert is_grant(server.ask(a_request("Transfer-Encoding: chunked", method="POST")))
    assert is_grant(server.ask(a_request("Content-Length: 1000", "Expect: 100-continue", method="PUT")))


def test_head_is_answered_without_a_body(server: Server):
    """A HEAD gets the headers of the GET, the length included, and no body (RFC 9110 §9.3.2)."""
    [got] = server.send(a_request(token=None))
    heads = server.send(*[a_request(token=None, method="HEAD")] * 3, has_body=False)

    for head in heads:
        assert head.status == got.status == 401
        assert head.one("Content-Length") == got.one("Content-Length") != "0"
        assert head.one("WWW-Authenticate") == got.one("WWW-Authenticate")
    assert is_grant(server.send(a_request(method="HEAD"), has_body=False)[0])


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        pytest.param(a_request(token=None), 401, "no_credential", id="no credential"),
        pytest.param(a_request("Authorization: Basic YTpi", token=None), 401, "no_credential", id="another scheme"),
        pytest.param(a_request(token="x.y.z"), 401, "invalid_token", id="no token"),
        pytest.param(a_request(token=v2_token(exp=NOW - 61)), 401, "invalid_token", id="expired"),
        pytest.param(a_request(token=v2_token(azp=STRANGE_CLIENT)), 403, "caller_not_allowed", id="not listed"),
        pytest.param(a_request("Authorization: Basic YTpi"), 400, "invalid_request", id="two headers"),
        pytest.param(a_request("AUTHORIZATION: Bearer x"), 400, "invalid_request", id="two headers, another case"),
        pytest.param(a_request(token=f"{v2_token()}, Bearer {v2_token()}"), 400, "invalid_request", id="joined"),
    ],
)
def test_a_refusal_is_the_gates_own_answer(server: Server, request_: bytes, status: int, code: str):
    """Status, codes and problem are the gate's; no refusal names a partner, and none may be stored."""
    response = server.ask(request_)
    problem = json.loads(response.body)

    assert (response.status, response.one("X-TG-Reason")) == (status, code)
    assert response.one("Content-Type") == "application/problem+json"
    assert response.one("Cache-Control") == "no-store"
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["decision"] == response.one("X-TG-Decision")
    assert {name for name, _ in response.headers if name.startswith("x-tg-")} == {"x-tg-decision", "x-tg-reason"}
    challenged = next(row.challenge for each, row in CODES.items() if each == code)
    assert len(response.all("WWW-Authenticate")) == challenged


def test_two_credentials_on_the_wire_are_refused(server: Server):
    """Two good Authorization headers are 400, in either order with anything else between them."""
    again = f"Authorization: Bearer {v2_token()}"
    for headers in ([again], ["X-Between: 1", again], [again, again]):
        response = server.ask(a_request(*headers))
        assert (response.status, response.one("X-TG-Reason")) == (400, "invalid_request")


def test_two_framings_end_the_connection(server: Server):
    """Content-Length beside Transfer-Encoding is 400 (RFC 9112 §6.1), and nothing more is read from that connection."""
    smuggling = a_request("Content-Length: 60", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    response = server.ask(smuggling + a_request())
    assert (response.status, response.one("X-TG-Reason")) == (400, "invalid_request")
    assert response.one("Connection") == "close"


def test_a_name_with_white_space_is_never_let_in(server: Server):
    """`Authorization : …` and a folded name are refused by whoever reads them first."""
    for line in (f"Authorization : Bearer {v2_token()}", f" Authorization: Bearer {v2_token()}"):
        assert server.ask(a_request(line, token=None)).status in {400, 401}


@pytest.mark.parametrize("name", [*IDENTITY_HEADERS, "X-TG-Decision", "X-TG-Reason", "x_tg_partner", "X-Forwarded-For"])
def test_what_a_caller_claims_is_never_echoed(server: Server, name: str):
    """Identity that the caller sends is overwritten on a grant and not there on a refusal, not even its bytes."""
    claim = [f"{name}: evil-claim"] * 2
    grant, refusal = server.send(a_request(*claim), a_request(*claim, token=None))

    assert is_grant(grant)
    assert refusal.status == 401
    for response in (grant, refusal):
        assert "evil-claim" not in repr(response)
        assert all(len(response.all(each)) < 2 for each in OURS)


@pytest.mark.threat(11)
def test_oversized_headers_are_refused_by_whoever_meets_them_first(server: Server):
    """Headers beyond the limit are 400, from the gate or, sooner, from the HTTP server below it."""
    for size in (20_000, 70_000):
        response = server.ask(a_request(f"X-Large: {'y' * size}"))
        assert response.status == (200 if size == 20_000 else 400)


def test_any_role_on_the_resource_will_do(serve: Serve):
    """The endpoint asks for no role by name: a daemon without any is refused, with a role let in."""
    gate = a_gate(news=a_snapshot(acme_reads=...))
    response = serve(gate).ask(a_request())

    assert (response.status, response.one("X-TG-Reason")) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in response.one("WWW-Authenticate")


@pytest.mark.threat(48)
def test_a_suspension_acts_on_the_next_call(serve: Serve):
    """The first call after the change is refused."""
    server = serve(a_gate())
    before = server.ask(a_request())
    server.gate.install(suspended())

    assert is_grant(before)
    assert server.ask(a_request()).status == 403


def test_a_client_id_outside_ascii_travels_encoded(serve: Serve):
    """A header is ASCII: what an issuer's client id has beyond it is percent-encoded UTF-8."""
    news = a_snapshot(globex_daemon={"client_id": "søren/日本"})
    token = oidc_token(client_id="søren/日本", sub="søren/日本")
    response = serve(a_gate(news=news)).ask(a_request(token=token))

    assert response.status == 200
    assert response.one("X-TG-Client") == "s%C3%B8ren/%E6%97%A5%E6%9C%AC"


def test_what_cannot_be_judged_is_503(serve: Serve):
    """Without a policy, and without keys, the answer is 503, says when to come back and blames nobody."""
    empty = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: None, id_prefix="t-")
    door = ThreadedDoor()
    door.documents.clear()
    for gate in (empty, a_gate(a_keyring(door), a_fetched_snapshot())):
        response = serve(gate).ask(a_request())
        assert (response.status, response.one("X-TG-Reason")) == (503, "cannot_judge")
        assert response.one("Retry-After") == "5"
        assert response.all("WWW-Authenticate") == []


def test_callers_that_miss_a_key_share_one_fetch(serve: Serve):
    """Connections that arrive together before the keys are there wait for one fetch and are all let in."""
    door = ThreadedDoor()
    door.go.clear()
    server = serve(a_gate(a_keyring(door), a_fetched_snapshot()))
    found: list[Response] = []
    threads = [threading.Thread(target=lambda: found.append(server.ask(a_request()))) for _ in range(12)]
    for thread in threads:
        thread.start()
    door.go.set()
    for thread in threads:
        thread.join()

    assert [is_grant(each) for each in found] == [True] * 12
    assert door.fetches == 1


def test_the_callers_address_is_nobodys_knowledge(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    """Who connects is the proxy: the gate is told no address, whatever a header says of one."""
    gate = a_gate()
    seen: list[RequestView] = []
    real = gate.adecide

    async def adecide(view: RequestView) -> Decision:
        seen.append(view)
        return await real(view)

    monkeypatch.setattr(gate, "adecide", adecide)
    assert is_grant(serve(gate).ask(a_request("X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7")))
    assert [view.peer for view in seen] == [None]


def test_a_token_in_the_sub_requests_query(serve: Serve):
    """Where the resource allows it, the query of the sub-request is read as it came; X-Forwarded-Uri never is."""
    server = serve(a_gate(news=a_snapshot(orders={"token_query": "access_token"})))
    query = f"access_token={v2_token()}"

    assert is_grant(server.ask(a_request(path=f"/auth/check?{query}", token=None)))
    assert is_grant(server.ask(a_request(path=f"/auth/check/orders?a=1&{query.replace('.', '%2e')}", token=None)))
    assert server.ask(a_request(f"X-Forwarded-Uri: /orders?{query}", token=None)).status == 401
    twice = server.ask(a_request(path=f"/auth/check?{query}"))
    assert (twice.status, twice.one("X-TG-Reason"), twice.one("Connection")) == (400, "invalid_request", "close")


def test_a_header_and_a_status_of_the_resources_own(serve: Serve):
    """The token stands alone in the resource's header, and a refusal has the resource's status on the wire."""
    rules = {"token_header": "X-Orders-Token", "failure_status": 404, "failure_message": "Nothing here."}
    server = serve(a_gate(news=a_snapshot(orders=rules)))
    token = f"X-Orders-Token: {v2_token()}"

    assert is_grant(server.ask(a_request(token, token=None)))
    for request_ in (a_request(), a_request("X-Orders-Token: x", token=None)):
        refused = server.ask(request_)
        assert (refused.status, json.loads(refused.body)["title"]) == (404, "Nothing here.")
    assert server.ask(a_request(token, token, token=None)).status == 400


def test_a_resource_with_addresses_lets_nobody_in_behind_a_proxy(serve: Serve):
    """The caller's address is unknown here, so the rule refuses, whatever network it names and a header claims."""
    server = serve(a_gate(news=a_snapshot(orders={"addresses": ("0.0.0.0/0", "::/0")})))

    for header in ("X-Forwarded-For: 192.0.2.7", "Forwarded: for=127.0.0.1", "X-Real-IP: 192.0.2.7"):
        response = server.ask(a_request(header))
        assert (response.status, response.one("X-TG-Reason")) == (403, "caller_not_allowed")
