"""Facts and sentences of hints where one could be taken for its neighbour: on the line, and where nothing is known."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tenantgate.core import hints_audience, hints_caller, hints_claims, hints_token, stands
from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.facts import Asked, Facts, caller, held, holdings, read_facts
from tenantgate.core.hints import always, ask_for, audience_of, cloud_of
from tenantgate.core.limits import Limits
from tenantgate.core.policy import RoleAssignmentRow
from tenantgate.core.refusals import REFUSALS
from tenantgate.core.token import TokenReader
from tenantgate.core.verify import Verified, verify
from tests.builders import (
    ACME_TID,
    API_CLIENT_ID,
    API_URI,
    NOW,
    STRANGE_CLIENT,
    an_index,
    b64url,
    json_bytes,
    oidc_token,
    static_keys,
    v1_token,
    v2_token,
)
from tests.core.cases import home_token

MICROSOFT = f"https://login.microsoftonline.com/{ACME_TID}/v2.0"


def known(
    token: str | None = None, *extra: Any, resource: str = "orders", wanted: tuple[str, ...] = (), **world: Any
) -> Facts:
    """Return what is known of a token that was verified, where it can be."""
    index, token = an_index(*extra, **world), token or v2_token()
    verified = verify(token, index, static_keys(index))
    claims = verified.claims if isinstance(verified, Verified) else None
    return read_facts(token, index, Asked(resource, wanted, NOW), None, claims, proved=claims is not None)


def unread(**members: Any) -> Facts:
    """Return the same where claims, resource, partner and the rest are not known, but for what is given."""
    nothing = {"claims": None, "entry": None, "tenant": None, "daemon": None, "partner": None}
    return replace(known(), **{**nothing, **members})


# Decisions and facts.


def test_a_decision_by_itself_has_no_id() -> None:
    """Ids are a gate's."""
    index = an_index()
    for token, kind in ((v2_token(), Granted), ("opaque", Denied)):
        decision = decide(token, index, static_keys(index), "orders", (), NOW)
        assert type(decision) is kind
        assert decision.id == ""


@pytest.mark.parametrize("quoted", ['"a.b.c', 'a.b.c"', "'a.b.c", "a.b.c'", "<a.b.c", "a.b.c>"])
def test_one_quote_is_enough(quoted: str) -> None:
    """At either end."""
    assert known(quoted).form == "quoted"


@pytest.mark.parametrize("plain", ["aX.b.c", "Xa.b.c", "a.b.cX", "a'.b.c", 'a.b."c', "a<.b>.c"])
def test_what_is_inside_or_no_quote_is_part_of_it(plain: str) -> None:
    """Only the ends are looked at, and only for quotes."""
    assert known(plain).form == "parts"


def test_sizes_are_those_of_the_reader() -> None:
    """On the line it is read, one beyond it is not."""
    header = b64url(json_bytes({"alg": "RS256", "kid": "k" * 200}))
    token = f"{header}.{b64url(json_bytes({'sub': 'x' * 300}))}.AAAA"

    def read(**limits: int) -> Facts:
        asked = Asked("orders", (), NOW, reader=TokenReader(Limits(**limits)))
        return read_facts(token, an_index(), asked, None, None, proved=False)

    assert read(token_bytes=len(token)).payload == {"sub": "x" * 300}
    assert read(token_bytes=len(token) - 1).payload == {}
    assert read(header_bytes=len(header)).header["alg"] == "RS256"
    assert read(header_bytes=len(header) - 1).header == {}


def test_a_stranger_is_told_by_its_issuer() -> None:
    """The token's own word, where the policy has none."""
    assert caller(known(v2_token(iss="https://nobody.example"))) == "iss https://nobody.example"


def test_who_has_no_place_holds_nothing() -> None:
    """No resource, or no daemon: neither roles nor an error, also where the claims were read."""
    for facts in (known(resource="nothing"), known(v2_token(azp=STRANGE_CLIENT)), unread(claims=known().claims)):
        assert holdings(facts) == []
        assert held(facts) == frozenset()


@pytest.mark.parametrize(
    ("window", "counts"),
    [
        ({"not_before": NOW}, True),
        ({"not_before": NOW + 1}, False),
        ({"expires_at": NOW}, False),
        ({"expires_at": NOW + 1}, True),
    ],
)
def test_an_assignment_counts_to_the_second(window: dict[str, int], counts: bool) -> None:
    """From its beginning on, and before its end."""
    (found,) = holdings(known(acme_reads=window))

    assert found.counts is counts


# Which token to ask for.


def test_words_that_no_fact_changes_are_themselves() -> None:
    """Made now, and read now."""
    assert always("words")(known()) == "words"
    assert hints_caller._partners(R.PARTNER_ENDED)(known()) == REFUSALS[R.PARTNER_ENDED].partner


@pytest.mark.parametrize(
    ("token", "resource", "sentence"),
    [
        (v2_token(), "orders", f"Ask for the scope {API_URI}/.default."),
        (v2_token(iss=MICROSOFT), "orders", f"Ask for the scope {API_URI}/.default."),
        (oidc_token(), "orders", f"Ask for a token whose `aud` is {API_URI}."),
        (oidc_token(iss="https://nobody.example"), "orders", f"Ask for a token whose `aud` is {API_URI}."),
        (v2_token(), "nothing", "Ask for a token for this API."),
    ],
)
def test_the_token_to_ask_for_is_named(token: str, resource: str, sentence: str) -> None:
    """As its issuer calls it; Microsoft's clouds are known also where the policy has none."""
    assert ask_for(known(token, resource=resource)) == sentence


@pytest.mark.parametrize(
    ("audiences", "chosen"),
    [
        ((API_CLIENT_ID, API_URI), API_URI),
        ((API_CLIENT_ID,), API_CLIENT_ID),
        (("x" * 256,), "x" * 256),
    ],
)
def test_the_audience_to_ask_for_is_one_that_people_know(audiences: tuple[str, ...], chosen: str) -> None:
    """An App ID URI rather than an id, whole; an id where there is nothing else."""
    assert audience_of(known(orders={"audiences": audiences})) == chosen


@pytest.mark.parametrize(
    "iss",
    ["https://login.microsoftonline.com/common/v2.0", f"https://login.nobody.example/{ACME_TID}/v2.0", ACME_TID, ""],
)
def test_no_other_issuer_is_taken_for_microsofts(iss: str) -> None:
    """Neither the cloud without a tenant, nor a tenant without the cloud."""
    assert cloud_of(iss) is None


@pytest.mark.parametrize(
    ("token", "audiences", "guid_unlisted", "uri_unlisted"),
    [
        (v2_token(), (API_URI,), True, False),
        (v2_token(), (API_CLIENT_ID,), False, False),
        (v1_token(), (API_CLIENT_ID,), False, True),
        (v1_token(), (API_URI,), False, False),
        (oidc_token(), (API_URI,), False, False),
        (oidc_token(), (API_CLIENT_ID,), False, False),
        ("opaque", (API_URI,), False, False),
        ("opaque", (API_CLIENT_ID,), False, False),
    ],
)
def test_what_entra_would_write_is_missed(
    token: str, audiences: tuple[str, ...], guid_unlisted: bool, uri_unlisted: bool
) -> None:
    """A v2 token's `aud` is an id, a v1 token's may be a URI; other issuers write what they like."""
    facts = known(token, orders={"audiences": audiences})

    assert hints_audience._guid_unlisted(facts) is guid_unlisted
    assert hints_audience._uri_unlisted(facts) is uri_unlisted


@pytest.mark.parametrize(
    ("aud", "accepted", "near"),
    [
        ("api://orders", "api://orders/", True),
        ("api://orders/", "api://orders", True),
        ("api://ORDERS", "api://orders", True),
        ("api://orders", "/api://orders", False),
        ("/api://orders", "api://orders", False),
        ("api://orders", "api://ordersX", False),
        ("api://ordersX", "api://orders", False),
        ("api://orders", "api://orders ", False),
    ],
)
def test_an_audience_that_is_nearly_right_is_recognised(aud: str, accepted: str, near: bool) -> None:
    """By a final slash or by case, and by nothing else."""
    facts = known(v2_token(aud=aud), orders={"audiences": (accepted, "api://something.else")})

    assert hints_audience._nearly(facts) == (accepted if near else None)


# Who the caller is here.


def test_where_nothing_is_known_nothing_is_said() -> None:
    """Names, times and ids have a value that says so."""
    facts = unread()

    assert hints_caller._daemon(facts) == "the daemon"
    assert hints_caller._known(facts) == hints_caller._tenant_id(facts) == ""
    assert hints_caller._ends_at(facts) == hints_caller._ends_at(unread(partner=known().partner)) == 0
    assert hints_claims._late(facts) == hints_claims._early(facts) == hints_claims._life(facts) == 0.0
    assert hints_claims._most(facts) == 0.0
    assert hints_claims._ended(facts) == "The token ended 0 s ago, at 1970-01-01T00:00:00Z"
    assert hints_caller.not_in_token(facts) == []


def test_what_is_known_is_said() -> None:
    """The rows' own ids."""
    facts = known(acme={"ends_at": 77})

    assert hints_caller._daemon(facts) == "daemon acme_daemon"
    assert hints_caller._known(facts) == "acme (Acme)"
    assert hints_caller._tenant_id(facts) == "acme_tenant"
    assert hints_caller._ends_at(facts) == 77


WRITES = RoleAssignmentRow(id="acme_writes", app_role="orders_write", daemon="acme_daemon", expires_at=NOW - 5)


def test_only_what_is_lacking_is_said_to_be_out_of_time() -> None:
    """Of the roles that were asked for; of all, where none was named. What counts is never among them."""
    past = {"expires_at": NOW - 5}
    writes = ["Orders.Write ended at 2027-01-15T08:09:55Z"]

    assert hints_caller._out_of_time(known(None, WRITES, wanted=("Orders.Write",))) == writes
    assert hints_caller._out_of_time(known(None, WRITES, wanted=("Orders.Read",))) == []
    assert hints_caller._out_of_time(known(None, WRITES)) == writes
    assert hints_caller._out_of_time(known(None, WRITES, wanted=("Orders.Write",), acme_reads=past)) == writes
    assert len(hints_caller._out_of_time(known(None, WRITES, acme_reads=past))) == 2


def test_the_end_of_an_assignment_is_told_to_the_second() -> None:
    """Also the first there is."""
    (found,) = holdings(known(acme_reads={"expires_at": 0}))

    assert hints_caller._when(found, NOW) == "Orders.Read ended at 1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("wanted", "roles", "rule", "missing"),
    [
        (("Orders.Read",), ["x"], "intersect", ["Orders.Read"]),
        ((), ["x"], "intersect", ["Orders.Read"]),
        (("Orders.Write",), ["x"], "intersect", []),
        (("Orders.Read",), ["Orders.Read"], "intersect", []),
        (("Orders.Read",), ["x"], "ignore", []),
        ((), ["x"], "ignore", []),
    ],
)
def test_a_role_that_the_token_lacks_is_named(
    wanted: tuple[str, ...], roles: list[str], rule: str, missing: list[str]
) -> None:
    """Where the resource asks for both, and the role is assigned here."""
    facts = known(v2_token(roles=roles), wanted=wanted, orders={"token_roles": rule})

    assert hints_caller.not_in_token(facts) == missing
    assert hints_caller.not_in_token(replace(facts, claims=None)) == []


def test_a_partner_is_told_to_look_at_its_own_side_first() -> None:
    """Word for word."""
    facts = known(v2_token(roles=["x"]), wanted=("Orders.Read",), orders={"token_roles": "intersect"})

    assert hints_caller._partners_roles(facts) == (
        "This API asks that Orders.Read also stands in your token's `roles`: let your administrator assign it to the "
        "daemon in your own tenant. If it does, ask the publisher for the role."
    )


# What the claims and the header say of themselves.


@pytest.mark.parametrize(
    ("claims", "marks", "why"),
    [
        ({}, [], "its `idtyp` is user"),
        ({"scp": ""}, [], "its `idtyp` is user"),
        ({"scp": "/"}, [], "its `idtyp` is user"),
        ({"scp": "Orders.Read"}, ["scp"], "it has scp"),
        ({"scp": None}, ["scp"], "it has scp"),
        ({"scp": 7, "name": "x"}, ["scp", "name"], "it has scp, name"),
        ({"scp": "/", "upn": "a@b.example"}, ["upn"], "it has upn"),
    ],
)
def test_a_users_marks_are_told_from_an_agents_empty_scope(claims: dict[str, Any], marks: list[str], why: str) -> None:
    """An agent's token may carry a scope that grants nothing (empty or a slash); anything else there is a user's."""
    facts = known(v2_token(**claims))

    assert hints_claims._marks(facts) == marks
    assert hints_claims._why_users(facts) == why


def test_consent_is_given_where_the_app_is_known() -> None:
    """With tenant, client and the cloud's own address, whole; in general words where one of them is not known."""
    general = "an administrator of your tenant consents to the daemon's app, or runs `az ad sp create`"
    facts = known()
    assert hints_claims._consent(replace(facts, match=None)) == general
    assert hints_claims._consent(replace(facts, client_id="")) == general
    assert hints_claims._consent(replace(facts, match=None, client_id="")) == general
    assert hints_claims._tid(replace(facts, match=None)) == ""
    assert hints_claims._tid(facts) == ACME_TID

    for length, ends in ((256, "x/"), (257, "…/")):
        authority = "https://" + "x" * (length - len("https://"))
        assert facts.match is not None
        row = replace(facts.match.entry.row, authority=authority)
        match = facts.match._replace(entry=replace(facts.match.entry, row=row))
        said = hints_claims._consent(replace(facts, match=match))
        assert said.endswith(f"{ends}{ACME_TID}/adminconsent?client_id={facts.client_id}")


@pytest.mark.parametrize(
    ("header", "payload", "kind"),
    [
        ({}, {"events": {}}, "a security event"),
        ({"typ": "application/dpop+jwt"}, {}, "a DPoP proof"),
        ({"typ": "APPLICATION/logout+jwt"}, {}, "a logout token"),
        ({"typ": "logout+jwtapplication/"}, {}, None),
        ({"typ": "secevent+jwt"}, {}, "a security event"),
        ({"typ": "JWT"}, {"typ": "Refresh"}, "a refresh token"),
        ({"typ": 7}, {}, None),
        ({}, {}, None),
    ],
)
def test_what_a_token_says_it_is_is_recognised(
    header: dict[str, Any], payload: dict[str, Any], kind: str | None
) -> None:
    """By its header or its payload, in any case and with the media type's first half or without."""
    token = f"{b64url(json_bytes(header))}.{b64url(json_bytes(payload))}.AAAA"

    assert hints_token._kind(known(token)) == kind


@pytest.mark.parametrize(("header", "alg"), [({"alg": "HS256"}, "HS256"), ({"alg": 7}, ""), ({}, "")])
def test_the_algorithm_is_what_the_header_names(header: dict[str, Any], alg: str) -> None:
    """Or none."""
    facts = known(f"{b64url(json_bytes(header))}.e30.AAAA")

    assert hints_token._alg(facts) == alg
    assert hints_token._header_typ(facts) == ""


@pytest.mark.parametrize(
    ("iss", "twin"),
    [
        ("https://id.globex.example/realms/daemons", "oidc"),
        ("https://id.globex.example/realms/daemons/", "oidc"),
        ("https://ID.globex.example/realms/Daemons", "oidc"),
        ("https://id.globex.example/realms/daemonsX", None),
        ("/https://id.globex.example/realms/daemons", None),
        ("https://id.globex.example/realms/daemons ", None),
        ("", None),
    ],
)
def test_an_issuer_that_is_nearly_right_is_recognised(iss: str, twin: str | None) -> None:
    """By a final slash or by case, and by nothing else."""
    assert hints_token._twin(known(oidc_token(iss=iss))) == twin


@pytest.mark.parametrize(
    ("configured", "iss", "twin"),
    [
        ("https://id.own.example/x/", "https://id.own.example/x", True),
        ("https://id.own.example/xX", "https://id.own.example/x", False),
        ("/https://id.own.example/x", "https://id.own.example/x", False),
        ("https://id.own.example/x ", "https://id.own.example/x", False),
    ],
)
def test_the_configured_issuer_may_be_the_one_with_the_slash(configured: str, iss: str, twin: bool) -> None:
    """Then the token is right, and the row is not."""
    assert (hints_token._twin(known(oidc_token(iss=iss), oidc={"issuer": configured})) == "oidc") is twin


def test_a_cloud_without_its_v1_form_is_named() -> None:
    """Only where the token says it is a v1 token, and only a cloud."""
    facts = known(v1_token(), cloud={"v1_issuer": None})
    assert hints_token._v2_alone(facts) == "cloud"
    assert hints_token._v2_alone(known(v2_token(), cloud={"v1_issuer": None})) is None
    assert hints_token._v2_alone(known(v1_token())) is None


@pytest.mark.parametrize(
    ("iss", "world", "new"),
    [
        (MICROSOFT, {}, True),
        (MICROSOFT, {"cloud": {"authority": "https://login.microsoftonline.com"}}, False),
        ("https://nobody.example", {}, False),
    ],
)
def test_a_cloud_of_microsofts_that_nobody_trusts_is_recognised(iss: str, world: dict[str, Any], new: bool) -> None:
    """By the token's own word, where no issuer of the policy is that cloud."""
    assert hints_token._new_cloud(known(v2_token(iss=iss), **world)) is new


def test_keys_that_stand_in_the_policy_are_recognised() -> None:
    """Those of the token's own document."""
    both, one = known(v1_token()), known(v1_token(), cloud={"jwks": None})
    assert hints_token._given_keys(both) is hints_token._given_keys(one) is True
    assert hints_token._given_keys(known(v1_token(), cloud={"v1_jwks": None})) is False
    assert hints_token._given_keys(known(v2_token(), cloud={"jwks": None})) is False
    assert hints_token._given_keys(replace(both, match=None)) is False


def test_what_only_the_token_says_is_said_to_be_unproved() -> None:
    """The places that hang on its claims, and no other."""
    doubt = " (as the token says, unproved)"
    for name, said in (("tenant", doubt), ("partner", doubt), ("daemon", doubt), ("roles", doubt), ("issuer", "")):
        assert stands._unproved(stands.Stand(name, True, "detail")).detail == "detail" + said


def test_an_issuer_that_nobody_trusts_is_named() -> None:
    """As the token spells it."""
    assert stands._issuer(known(v2_token(iss="https://nobody.example"))).detail == (
        "the policy has no issuer for iss https://nobody.example"
    )


def test_a_resource_without_roles_has_none_to_grant() -> None:
    """It is said, and the role is left to be named."""
    fix = stands._grant_roles(known(resource="nothing"))

    assert fix.text == "Grant the role, if the daemon is to have it. Roles of nothing: none."
    assert fix.command == "tenantgate role grant --role ROLE --daemon acme_daemon"


def test_an_assignment_is_told_in_words() -> None:
    """Until when it counts, or since when not, to the first second there is."""
    ended, until = (holdings(known(acme_reads={"expires_at": at}))[0] for at in (0, NOW + 1))

    assert stands._in_words(ended, NOW) == "Orders.Read ended at 1970-01-01T00:00:00Z"
    assert stands._in_words(until, NOW) == "Orders.Read until 2027-01-15T08:10:01Z"


def test_a_partner_that_is_not_there_is_missed() -> None:
    """Also by a daemon nobody listed; of a hosted tenant's the daemon would name it."""
    lost = known(v2_token(azp=STRANGE_CLIENT), acme_tenant={"partner": "nobody"})
    assert (stands._partner(lost).stands, stands._partner(lost).detail) == (False, "the policy has no such partner")
    hosted = known(home_token(azp=STRANGE_CLIENT))
    assert stands._partner(hosted).stands is None
    assert stands._reason(lost) == ""
