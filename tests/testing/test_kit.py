"""The test kit keeps its word: good tokens are good, spoiled ones are spoiled in one way, and nothing is fetched."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient

from tenantgate.core.decision import Decision, Denied, Granted, Principal
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.keys import KeySetRef
from tenantgate.core.policy import IssuerRow, PolicyDelta, PolicyError, row_of
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView
from tenantgate.integrations.fastapi import FastAPIGate
from tenantgate.testing import keys, kit
from tenantgate.testing.clock import START
from tenantgate.testing.keys import KeyShelf
from tenantgate.testing.kit import FakePartner, FetchAttempted, FrozenClock, KitError, OfflineGate, open_test_gate
from tests.builders import oidc_key, oidc_token

READ = ("Orders.Read",)
HEAVY = {
    *("httpx", "httpx2", "httpcore", "fastapi", "starlette", "sqlmodel", "sqlalchemy", "pydantic", "pytest"),
    *("tenantgate.registry", "tenantgate.discovery", "tenantgate.net", "tenantgate.integrations"),
}
ROLES = {"acme": ["Orders.Read"]}


@pytest.fixture
def acme() -> FakePartner:
    """The listed partner."""
    return FakePartner("acme")


@pytest.fixture
def gate(acme: FakePartner) -> OfflineGate:
    """A gate that lets acme read orders."""
    return open_test_gate(partners=[acme], roles=ROLES)


def ask(gate: Gate, token: str, roles: tuple[str, ...] = READ) -> Decision:
    """Present a token."""
    return gate.decide(RequestView("GET", "/orders", [(b"authorization", f"Bearer {token}".encode())]), roles)


def outcome(decision: Decision) -> str:
    """Return `granted`, or the reason."""
    return decision.reason.value if isinstance(decision, Denied) else "granted"


def claims_of(token: str) -> dict[str, Any]:
    """Return a token's claims, read by another library and unverified."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


# The clock.


def test_a_frozen_clock_stands_still_until_it_is_moved():
    """It begins at the same instant in every run, and moves both ways."""
    clock = FrozenClock()
    assert (clock(), clock()) == (START, START)
    clock.move(90)
    clock.move(-30.5)
    assert clock() == START + 59.5
    assert FrozenClock(7)() == 7


# Partners.


def test_a_partner_is_let_in_as_itself(gate: OfflineGate, acme: FakePartner):
    """The principal has the partner's name, GUIDs and roles."""
    decision = ask(gate, acme.token())

    assert isinstance(decision, Granted)
    who = decision.principal
    assert (who.partner, who.client_id, who.oid, who.roles) == ("acme", acme.client_id, acme.oid, READ)
    assert (who.resource, who.strength) == ("orders", "secret")


def test_headers_present_the_token(gate: OfflineGate, acme: FakePartner):
    """`headers` takes what `token` takes and presents the result."""
    for spoiled, wanted in (({}, "granted"), ({"expired": True}, "token_expired")):
        [(name, value)] = acme.headers(**spoiled).items()
        view = RequestView("GET", "/", [(name.encode(), value.encode())])
        assert outcome(gate.decide(view, READ)) == wanted


def test_partners_are_the_same_in_every_run_and_differ_from_each_other():
    """GUIDs follow from the name: a failure can be repeated, and no two partners share one."""
    first, again, other = FakePartner("acme"), FakePartner("acme"), FakePartner("globex")

    assert (first.tid, first.client_id, first.oid) == (again.tid, again.client_id, again.oid)
    guids = [first.tid, first.client_id, first.oid, other.tid, other.client_id, other.oid]
    assert len({str(uuid.UUID(each)) for each in guids}) == 6


def test_given_guids_are_used():
    """A partner may be made with the GUIDs of a real policy, in either case."""
    partner = FakePartner("acme", tid=str(uuid.uuid4()).upper(), client_id=str(uuid.uuid4()), oid=str(uuid.uuid4()))
    claims = claims_of(partner.token())

    assert partner.tid == partner.tid.lower()
    assert (claims["tid"], claims["azp"], claims["oid"]) == (partner.tid, partner.client_id, partner.oid)
    assert outcome(ask(open_test_gate(partners=[partner], roles=ROLES), partner.token())) == "granted"


@pytest.mark.parametrize("name", ["", "Acme", "acme corp", "ä", "-acme", "a" * 57, "acme\n"])
def test_a_name_is_a_slug(name: str):
    """What cannot be an id in a policy is refused where it is written."""
    with pytest.raises(KitError) as raised:
        FakePartner(name)
    assert raised.value.code == "name_malformed"


@pytest.mark.parametrize("guid", ["tid", "client_id", "oid"])
def test_a_guid_is_a_guid(guid: str):
    """A GUID that is none is refused, and the message says which."""
    with pytest.raises(KitError, match=f"the {guid} of acme") as raised:
        FakePartner("acme", **{guid: "1234"})  # type: ignore[arg-type]
    assert raised.value.code == "guid_malformed"


def test_a_partner_shows_itself():
    """In a failing test's output a partner is recognised, and no key is printed."""
    assert repr(FakePartner("acme")).startswith("FakePartner('acme', tid='")


# Tokens.


def test_tokens_have_the_shape_of_entras(acme: FakePartner):
    """A v2 and a v1 token carry what Entra's carry, for the audience of their version."""
    v2, v1 = claims_of(acme.token()), claims_of(acme.token(version="1.0"))

    assert (v2["ver"], v2["azp"], v2["idtyp"], v2["sub"]) == ("2.0", acme.client_id, "app", acme.oid)
    assert (v1["ver"], v1["appid"], v1["tid"]) == ("1.0", acme.client_id, acme.tid)
    assert (str(uuid.UUID(v2["aud"])), v1["aud"]) == (v2["aud"], "api://orders.example")
    assert "roles" not in v2


def test_no_token_could_be_mistaken_for_a_real_one(acme: FakePartner):
    """Every host in a token is an invented one."""
    for token in (acme.token(), acme.token(version="1.0")):
        assert claims_of(token)["iss"].startswith("https://login.cloud.example/")


def test_no_two_tokens_are_alike(acme: FakePartner):
    """As with a real issuer, asking twice in a second gives two tokens."""
    assert len({acme.token() for _ in range(10)}) == 10


def test_one_keyword_spoils_one_thing(acme: FakePartner):
    """A spoiled token differs from the good one in what was named, and in nothing that is judged besides."""
    opaque = {"aio", "rh", "uti", "iat", "nbf", "exp"}
    good = claims_of(acme.token())
    for spoiled, changed in (
        ({"audience": "api://x.example"}, {"aud": "api://x.example"}),
        ({"roles": ["A", "B"]}, {"roles": ["A", "B"]}),
        ({"claims": {"azpacr": "2"}}, {"azpacr": "2"}),
        ({"wrong_key": True}, {}),
    ):
        found = claims_of(acme.token(**spoiled))  # type: ignore[arg-type]
        assert {name: value for name, value in found.items() if name not in opaque} == {
            name: value for name, value in {**good, **changed}.items() if name not in opaque
        }
    assert set(claims_of(acme.token(without=["idtyp", "uti"]))) == set(good) - {"idtyp", "uti"}


def test_tokens_are_issued_by_the_clock(gate: OfflineGate, acme: FakePartner):
    """A lifetime counts from the clock's now: a token dies when the clock has moved past it and the tolerance."""
    token = acme.token(lifetime=600)
    assert claims_of(token)["exp"] == START + 600
    gate.clock.move(600 + 59)
    assert outcome(ask(gate, token)) == "granted"
    gate.clock.move(1)

    assert outcome(ask(gate, token)) == "token_expired"
    assert outcome(ask(gate, acme.token(lifetime=600))) == "granted"


def test_claims_and_header_have_the_last_word(gate: OfflineGate, acme: FakePartner):
    """`claims` lie over every other keyword, `without` takes away whatever is there, a header of None is left out."""
    assert claims_of(acme.token(roles=["A"], claims={"roles": ["B"]}))["roles"] == ["B"]
    assert "roles" not in claims_of(acme.token(roles=["A"], without=["roles"]))
    assert "kid" not in jwt.get_unverified_header(acme.token(header={"kid": None}))
    assert outcome(ask(gate, acme.token(header={"kid": None}))) == "granted"  # the cloud has one key only
    assert outcome(ask(gate, acme.token(header={"typ": "dpop+jwt"}))) == "token_type_not_allowed"


def test_a_forgery_bears_the_right_name(gate: OfflineGate, acme: FakePartner):
    """`wrong_key` signs with a key that nobody published, under the `kid` of the one that is published."""
    good, forged = acme.token(), acme.token(wrong_key=True)

    assert jwt.get_unverified_header(good) == jwt.get_unverified_header(forged)
    assert outcome(ask(gate, forged)) == "signature_invalid"


def test_the_first_token_may_be_a_forgery():
    """Keys are handed out in an order that no test can upset: a forgery is one even if it is made first."""
    acme = FakePartner("acme")
    forged = acme.token(wrong_key=True)
    gate = open_test_gate(partners=[acme], roles=ROLES)

    assert outcome(ask(gate, forged)) == "signature_invalid"
    assert outcome(ask(gate, acme.token())) == "granted"


# Gates.


def test_it_is_a_real_gate(gate: OfflineGate):
    """What is opened is the gate of production with other keys and another clock, usable wherever a Gate is."""
    assert isinstance(gate, Gate)
    assert type(gate)._judge is Gate._judge
    assert gate.revision == ("test", 1)
    gate.require_resource()


def test_only_listed_partners_get_in(gate: OfflineGate, acme: FakePartner):
    """A stranger's tenant, another daemon of a listed tenant, and a re-created daemon are each refused as such."""
    assert outcome(ask(gate, FakePartner("stranger").token())) == "tenant_not_listed"
    assert outcome(ask(gate, FakePartner("batch", tid=acme.tid).token())) == "daemon_not_listed"
    recreated = FakePartner("acme", oid=FakePartner("other").oid)
    assert outcome(ask(gate, recreated.token())) == "object_id_mismatch"


def test_roles_are_the_partners_own():
    """Each partner holds the roles it was given; one that was given none is listed and may do nothing."""
    acme, globex, initech = (FakePartner(name) for name in ("acme", "globex", "initech"))
    roles = {"acme": ["Orders.Read", "Orders.Write", "Orders.Read"], "globex": ("Orders.Read",)}
    gate = open_test_gate(partners=iter([acme, globex, initech]), roles=roles)

    assert outcome(ask(gate, acme.token(), ("Orders.Read", "Orders.Write"))) == "granted"
    assert outcome(ask(gate, globex.token(), ("Orders.Read", "Orders.Write"))) == "role_not_assigned"
    assert outcome(ask(gate, globex.token())) == "granted"
    assert outcome(ask(gate, initech.token(), ())) == "role_not_assigned"


def test_a_gate_may_have_no_partners():
    """An empty list lets nobody in."""
    assert outcome(ask(open_test_gate(), FakePartner("acme").token())) == "tenant_not_listed"


def test_partners_take_over_resource_and_clock():
    """A partner's tokens are for the gate it was listed at, unless another resource is named."""
    acme, clock = FakePartner("acme"), FrozenClock(1_900_000_000)
    orders = open_test_gate(partners=[acme], roles=ROLES, clock=clock)
    billing = open_test_gate(resource="billing", partners=[acme], roles={"acme": ["Bills.Read"]})

    assert orders.clock is billing.clock is acme.clock is clock
    assert outcome(ask(billing, acme.token(), ())) == "granted"
    assert outcome(ask(orders, acme.token(), ())) == "audience_mismatch"
    assert outcome(ask(orders, acme.token(resource="orders"), ())) == "granted"
    assert outcome(ask(orders, acme.token(resource="orders", version="1.0"), ())) == "granted"


@pytest.mark.parametrize(
    ("rules", "spoiled", "wanted"),
    [
        ({"app_only": "compatible"}, {"without": ["idtyp"]}, "granted"),
        ({"token_roles": "intersect"}, {}, "role_not_assigned"),
        ({"token_roles": "intersect"}, {"roles": ["Orders.Read"]}, "granted"),
        ({"min_credential": "certificate"}, {}, "credential_too_weak"),
        ({"min_credential": "certificate"}, {"claims": {"azpacr": "2"}}, "granted"),
        ({"max_lifetime": 600}, {}, "token_lifetime_too_long"),
        ({"clock_skew": 0}, {"claims": {"nbf": START + 1}}, "token_not_yet_valid"),
    ],
)
def test_the_resources_rules_are_obeyed(acme: FakePartner, rules: Any, spoiled: Any, wanted: str):
    """Token rules are given as keywords and judged as in production."""
    assert outcome(ask(open_test_gate(partners=[acme], roles=ROLES, **rules), acme.token(**spoiled))) == wanted


def test_reasons_are_shown_where_asked_for(acme: FakePartner):
    """By default a caller learns no more than in production; a test may switch the reasons on."""
    for shown in (False, True):
        gate = open_test_gate(partners=[acme], show_reasons=shown)
        problem = json.loads(gate.answer(ask(gate, acme.token(expired=True))).body)
        assert ("reason" in problem) is shown


def test_suspending_and_activating(gate: OfflineGate, acme: FakePartner):
    """A suspension acts on the next call with the very same token, and can be undone."""
    token = acme.token()
    steps: list[tuple[Callable[[FakePartner], None], str]] = [
        (gate.suspend_daemon, "daemon_suspended"),
        (gate.suspend, "partner_suspended"),
        (gate.activate, "granted"),
        (gate.suspend, "partner_suspended"),
        (gate.suspend, "partner_suspended"),
        (gate.activate, "granted"),
    ]
    assert outcome(ask(gate, token)) == "granted"
    for change, wanted in steps:
        change(acme)
        assert outcome(ask(gate, token)) == wanted


def test_only_listed_partners_can_be_suspended(gate: OfflineGate):
    """Suspending somebody the gate does not know is a mistake in the test."""
    for change in (gate.suspend, gate.suspend_daemon, gate.activate):
        with pytest.raises(KitError, match="'stranger'") as raised:
            change(FakePartner("stranger"))
        assert raised.value.code == "partner_unknown"


def test_mistakes_in_a_gate_are_said():
    """Roles for nobody, two partners of one tenant or name, a malformed role or resource: no gate, a clear error."""
    acme = FakePartner("acme")
    with pytest.raises(KitError, match="'globex'") as unknown:
        open_test_gate(partners=[acme], roles={"globex": ["Orders.Read"]})
    assert unknown.value.code == "partner_unknown"
    for code, mistake in (
        ("tenant_duplicate", {"partners": [acme, FakePartner("batch", tid=acme.tid)]}),
        ("id_duplicate", {"partners": [acme, FakePartner("acme")]}),
        ("role_value_malformed", {"partners": [acme], "roles": {"acme": ["Orders Read"]}}),
        ("id_malformed", {"resource": "Orders"}),
        ("number_out_of_range", {"clock_skew": -1}),
    ):
        with pytest.raises(PolicyError) as raised:
            open_test_gate(**mistake)  # type: ignore[arg-type]
        assert raised.value.code == code


# No network.


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


# The kit itself.


def test_keys_are_made_once_and_only_when_needed(monkeypatch: pytest.MonkeyPatch):
    """Threads that need the first key at once wait for one; every authority gets the same ones in the same order."""
    made: list[float] = []
    real = keys.generate_key

    def counting(now: float) -> Any:
        made.append(now)
        return real(now)

    monkeypatch.setattr(keys, "generate_key", counting)
    shelf = KeyShelf()
    first, second = shelf.factory(), shelf.factory()
    assert made == []
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(shelf.get(0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(made), len({id(key) for key in found})) == (1, 1)
    assert first(0) is second(99) is found[0]
    assert first(0) is not found[0]


def test_the_kit_exports_what_it_says():
    """Every name in `__all__` is there, and nothing public of the kit's own is missing from it."""
    public = {name for name in vars(kit) if not name.startswith("_")} - {"annotations"}
    assert public == set(kit.__all__)


def test_importing_the_kit_costs_no_framework():
    """A test of an API without FastAPI need not have it; no HTTP client, database or key is made on import."""
    code = (
        "import sys, tenantgate.testing.kit\n"
        "from tenantgate.testing.partner import _KEYS\n"
        f"print(sorted({HEAVY}.intersection(sys.modules)), len(_KEYS._made))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[] 0"
