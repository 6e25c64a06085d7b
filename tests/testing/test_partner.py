"""Fake partners: always the same, with tokens that are good, or spoiled in one way."""

from __future__ import annotations

import uuid

import jwt
import pytest

from tenantgate.core.decision import Granted
from tenantgate.gate.request import RequestView
from tenantgate.testing.clock import START
from tenantgate.testing.kit import FakePartner, KitError, OfflineGate, open_test_gate
from tests.testing.world import READ, ROLES, ask, claims_of, outcome


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
