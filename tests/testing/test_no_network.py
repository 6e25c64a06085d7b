"""Nothing is fetched, and whoever wants to fetch fails the test."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Principal
from tenantgate.core.keys import KeySetRef
from tenantgate.core.policy import IssuerRow, PolicyDelta, row_of
from tenantgate.gate.request import RequestView
from tenantgate.integrations.fastapi import FastAPIGate
from tenantgate.testing.kit import FakePartner, FetchAttempted, OfflineGate, open_test_gate
from tests.builders import oidc_key, oidc_token
from tests.testing.world import ROLES, ask, outcome


def a_fetched_issuer() -> PolicyDelta:
    """Return the change that adds an issuer whose keys would have to be fetched."""
    issuer = IssuerRow(
        id="oidc",
        kind="oidc",
        issuer="https://id.globex.example/realms/daemons",
        metadata_url="https://id.globex.example/.well-known/openid-configuration",
    )
    return PolicyDelta(epoch="test", since=1, revision=2, rows=(row_of(issuer, 2),))


def test_it_starts_no_thread(gate: OfflineGate, acme: FakePartner):
    """Whatever is presented, an offline gate judges in the caller's thread alone."""
    before = set(threading.enumerate())
    for token in (acme.token(), acme.token(header={"kid": "unknown"}), acme.token(expired=True), "x"):
        ask(gate, token)
    gate.close()

    assert set(threading.enumerate()) == before


async def test_asking_for_a_fetch_fails_the_test(gate: OfflineGate):
    """Where keys are not at hand, an AssertionError names the issuer and says what to do; closing says it again."""
    gate.install(a_fetched_issuer())
    view = RequestView("GET", "/orders", [(b"authorization", f"Bearer {oidc_token()}".encode())])
    with pytest.raises(AssertionError, match="keys of issuer 'oidc'") as raised:
        gate.decide(view)
    assert isinstance(raised.value, FetchAttempted)
    assert raised.value.code == "fetch_attempted"
    assert oidc_key().kid in str(raised.value)
    with pytest.raises(FetchAttempted):
        await gate.adecide(view)
    with pytest.raises(FetchAttempted, match="issuer 'oidc'"):
        gate.close()


def test_a_fetch_behind_the_gates_back_fails_too(gate: OfflineGate):
    """The key ring itself refuses to fetch, should anybody ask it directly."""
    with pytest.raises(FetchAttempted):
        asyncio.run(gate._offline_keys.ensure(KeySetRef("cloud"), None))


def test_a_fetch_that_the_application_swallows_fails_the_test_at_its_end(gate: OfflineGate):
    """An application that answers every exception with a page cannot hide that it wanted to go to the network."""
    gate.install(a_fetched_issuer())
    orders = FastAPIGate(gate)
    app = FastAPI(lifespan=orders.lifespan)

    @app.exception_handler(AssertionError)
    async def swallow(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("sorry", 500)

    @app.get("/orders")
    async def list_orders(caller: Principal = orders.require()) -> str:  # noqa: B008 - so FastAPI has it
        return caller.partner

    with pytest.raises(FetchAttempted), TestClient(app) as client:
        assert client.get("/orders", headers={"Authorization": f"Bearer {oidc_token()}"}).text == "sorry"


def test_a_gate_is_a_context_manager(acme: FakePartner):
    """`with` closes the gate, and a fetch that was swallowed inside is raised at the end."""
    with open_test_gate(partners=[acme], roles=ROLES) as gate:
        assert outcome(ask(gate, acme.token())) == "granted"
    assert outcome(ask(gate, acme.token())) == "granted"

    def swallowing() -> None:
        with open_test_gate() as gate:
            gate.install(a_fetched_issuer())
            with contextlib.suppress(FetchAttempted):
                ask(gate, oidc_token())

    with pytest.raises(FetchAttempted):
        swallowing()


def test_an_unknown_issuer_is_refused_and_not_fetched(gate: OfflineGate, acme: FakePartner):
    """What production would refuse without a fetch is refused here as well: the test goes on."""
    assert outcome(ask(gate, oidc_token())) == R.ISSUER_UNKNOWN
    assert outcome(ask(gate, acme.token(header={"kid": "rotated"}))) == R.SIGNING_KEY_UNKNOWN
    gate.close()
