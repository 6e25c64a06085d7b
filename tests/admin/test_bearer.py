"""Tokens of administrators: only from issuers named for it, each one tenant, for us, in time; and as which operator."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col

from tenantgate.admin.problems import CHALLENGE
from tenantgate.core.keys import KeySetRef, NoKeys
from tenantgate.registry import identities, operators, resources
from tenantgate.registry.admission_tables import OperatorIdentity
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import CredentialError
from tenantgate.registry.identities import Identity
from tenantgate.registry.operators import OperatorSpec
from tenantgate.registry.resources import ResourceSpec
from tests.admin import staff
from tests.admin.world import V1, Api, operation
from tests.registry.builders import NOW, work_on


def me(api: Api, token: str) -> Any:
    """What `/me` answers to a token."""
    return api.ask("GET", "/me", headers={"Authorization": f"Bearer {token}", "X-Request-Id": "r"})


def welcome(api: Api, token: str) -> Any:
    """What `/me` says to somebody who is let in."""
    answer = me(api, token)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(api: Api, token: str, caplog: pytest.LogCaptureFixture) -> tuple[int, str, str]:
    """Status and code of a refusal, and the reason in the log."""
    caplog.clear()
    answer = me(api, token)
    [record] = [each for each in caplog.records if each.name == "tenantgate.admin"]
    assert token not in caplog.text + answer.text + str(vars(record))
    return answer.status_code, answer.json()["code"], str(vars(record)["reason"]).partition(":")[0]


def test_a_persons_token_is_their_operator(api: Api):
    """`/me` says scheme, operator, what counts, and what gave it: claim, value, setting, operator and identity."""
    found = welcome(api, staff.token("an-operator", ("Nothing", "TenantGate.Operator")))
    assert (found["scheme"], found["role"], found["scopes"], found["admin_key"]) == ("bearer", "Operator", [], None)
    assert found["operator"] == {"id": "an-operator", "name": "An Operator", "role": "Operator"}
    identity = found["identity"]
    assert (identity["issuer"], identity["tid"], identity["oid"], identity["sub"]) == (
        staff.CLOUD, staff.HOME, staff.oid_of("an-operator"), None,
    )  # fmt: skip
    assert found["why"] == [
        f"identity {identity['id']} is operator an-operator's",
        "operator an-operator has the role Operator",
        "claim roles holds TenantGate.Operator, which admin_issuers[0] maps to Operator",
    ]


@pytest.mark.parametrize(
    ("operator", "roles", "counts"),
    [
        ("an-admin", ("TenantGate.Viewer",), "Viewer"),
        ("an-viewer", ("TenantGate.Admin",), "Viewer"),
        ("an-admin", ("TenantGate.Viewer", "TenantGate.Admin", "TenantGate.Operator"), "Admin"),
    ],
)
def test_the_lower_of_both_roles_counts(api: Api, operator: str, roles: tuple[str, ...], counts: str):
    """Neither the directory nor the registry gives anybody more than the other does."""
    assert welcome(api, staff.token(operator, roles))["role"] == counts


def test_automation_administers_too(api: Api):
    """An application's own token, without a person, is an operator as well: by its object id."""
    with work_on(api.engine) as work:
        operators.create(work, OperatorSpec(id="pipeline", name="Pipeline", role="Operator"))
        identities.link(work, "pipeline", staff.identity_of("automation of home"))
    found = welcome(api, staff.app_token())
    assert (found["operator"]["id"], found["role"]) == ("pipeline", "Operator")


def test_another_make_of_issuer(api: Api):
    """Elsewhere the exact issuer and `sub` are the identity, and the claim of the roles is where the setting says."""
    sub = "7c0ffee0-0000-4000-8000-000000000001"
    with work_on(api.engine) as work:
        identities.link(work, "an-admin", Identity(issuer=staff.REALM, sub=sub))
    found = welcome(api, staff.realm_token())
    assert (found["operator"]["id"], found["role"], found["identity"]["sub"]) == ("an-admin", "Admin", sub)
    assert welcome(api, staff.realm_token(realm_access={"roles": ["look"]}))["role"] == "Viewer"


_FORGED_ISSUER = "https://login.elsewhere.example/x/v2.0"
SPOILED: dict[str, tuple[str, str]] = {
    "a partner's tenant": (staff.token(tid=staff.PARTNER), "tenant_not_listed"),
    "a partner's application": (staff.app_token(("TenantGate.Admin", "Admin"), tid=staff.PARTNER), "tenant_not_listed"),
    "an unknown issuer": (staff.token(iss=_FORGED_ISSUER), "issuer_unknown"),
    "another audience": (staff.token(audience=staff.OTHER_API), "audience_mismatch"),
    "no audience": (staff.token(without=("aud",)), "claim_missing"),
    "expired": (staff.token(lifetime=-120), "token_expired"),
    "not yet valid": (staff.token(nbf=NOW + 120), "token_not_yet_valid"),
    "issued in the future": (staff.token(iat=NOW + 120), "token_issued_in_future"),
    "a lifetime of days": (staff.token(lifetime=5 * 86_400), "token_lifetime_too_long"),
    "bound to a key": (staff.token(cnf={"jkt": "x"}), "confirmation_unsupported"),
    "alg none": (staff.token(header={"alg": "none"}), "algorithm_not_allowed"),
    "HMAC": (staff.token(header={"alg": "HS256"}), "algorithm_not_allowed"),
    "another key": (staff.token(forged=True), "signature_invalid"),
    "a key nobody publishes": (staff.token(header={"kid": "nobodys"}), "signing_key_unknown"),
    "an id token": (staff.token(without=("scp", "azp", "azpacr")), "claim_missing"),
    "an id token with a client": (staff.token(without=("scp",)), "id_token_presented"),
    "an id token with scopes": (staff.token(nonce="n-0S6"), "id_token_presented"),
    "an id token's hash": (staff.token(at_hash="x"), "id_token_presented"),
    "a logout token": (staff.token(events={}), "token_type_not_allowed"),
    "somebody who acts for somebody": (staff.token(act={"sub": "x"}), "not_app_only"),
    "a device": (staff.token(idtyp="device"), "token_type_not_allowed"),
    "an agent": (staff.token(xms_act_fct="11"), "agent_identity_not_allowed"),
    "no object id": (staff.token(without=("oid",)), "service_principal_missing"),
    "the realm's id token": (staff.realm_token(typ="ID"), "token_type_not_allowed"),
    "the realm's token for an application": (staff.realm_token(aud="portal"), "audience_mismatch"),
    "the realm's, expired": (staff.realm_token(exp=NOW - 61, iat=NOW - 400), "token_expired"),
    "no token at all": ("nothing", "token_malformed"),
}


@pytest.mark.parametrize("name", SPOILED)
@pytest.mark.threat(13, 17, 19, 23)
def test_a_spoiled_token_lets_nobody_in(api: Api, caplog: pytest.LogCaptureFixture, name: str):
    """Whatever is wrong, the answer is that of a wrong key, to the letter; what it was stands in the log."""
    token, reason = SPOILED[name]
    assert refused(api, token, caplog) == (401, "admin_key_refused", reason)
    answer, wrong_key = me(api, token), me(api, f"tg_nobody_{'A' * 43}")
    assert (answer.text, answer.headers["WWW-Authenticate"]) == (wrong_key.text, CHALLENGE)


def test_an_id_token_of_a_plain_provider(api: Api, caplog: pytest.LogCaptureFixture):
    """A provider of no make we know: what names no scope and no type is an id token, whoever signed it."""
    plain = {**staff.KEYCLOAK, "profile": "standard"}
    api.context.tokens = staff.tokens(plain)
    assert refused(api, staff.realm_token(scope=..., typ=...), caplog)[2] == "id_token_presented"
    assert me(api, staff.realm_token(typ=...)).json()["code"] == "identity_not_linked"


@pytest.mark.threat(22)
def test_a_name_is_nobodys_identity(api: Api):
    """The same name and address with another object id is somebody else; another name with the same id is not."""
    same = {
        "preferred_username": "an-admin@staff.example",
        "upn": "an-admin@staff.example",
        "name": "an-admin of Staff",
    }
    problem = me(api, staff.token("a-stranger", **same))
    assert (problem.status_code, problem.json()["code"]) == (403, "identity_not_linked")
    assert staff.oid_of("a-stranger") in problem.json()["detail"]
    renamed = staff.token("an-admin", preferred_username="somebody@else.example", name="Somebody Else")
    assert welcome(api, renamed)["operator"]["id"] == "an-admin"


@pytest.mark.parametrize("roles", [None, (), ("Nothing",), ("tenantgate.admin",), ("TenantGate.Admin ",)])
def test_who_has_no_role_gets_nothing(api: Api, roles: tuple[str, ...] | None):
    """A token whose claim gives no role is refused with a word of its own, though its operator is an Admin."""
    problem = me(api, staff.token("an-admin", roles))
    assert (problem.status_code, problem.json()["code"]) == (403, "role_not_mapped")


def test_who_has_no_role_may_read_where_that_is_set(api: Api):
    """Viewer for the unmapped, and never more than the operator may; `/me` names the setting."""
    api.context.tokens = staff.tokens(unmapped="Viewer")
    found = welcome(api, staff.token("an-admin", None))
    assert found["role"] == "Viewer"
    assert "TENANTGATE_ADMIN_UNMAPPED_ROLE gives Viewer" in found["why"][-1]
    assert me(api, staff.token("a-stranger", None)).json()["code"] == "identity_not_linked"


GROUP = "eeeeeeee-0000-4000-8000-0000000000a9"


@pytest.mark.parametrize(
    "overage",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example/x"}}},
        {"_claim_names": {"groups": "src1"}, "groups": [GROUP]},
        {"hasgroups": True},
        {"hasgroups": "true"},
        {"_claim_names": "groups"},
    ],
)
def test_groups_that_are_left_out_are_not_none(api: Api, overage: dict[str, Any]):
    """A token without its groups, which are too many, is refused with a word of its own."""
    by_group = {**staff.ENTRA, "roles_claim": "groups", "admin": (GROUP.upper(),), "operator": (), "viewer": ()}
    api.context.tokens = staff.tokens(by_group, unmapped="Viewer")
    assert welcome(api, staff.token(groups=[GROUP]))["role"] == "Admin"
    problem = me(api, staff.token(**overage))
    assert (problem.status_code, problem.json()["code"]) == (403, "groups_overage")


def test_groups_that_nobody_asks_for_may_be_left_out(api: Api):
    """Where app roles decide, too many groups are nothing."""
    assert welcome(api, staff.token(_claim_names={"groups": "src1"}))["role"] == "Admin"


def test_a_suspended_operator_is_refused_by_every_scheme(api: Api, caplog: pytest.LogCaptureFixture):
    """Key and token end together, and come back together."""
    token = staff.token("an-operator", ("TenantGate.Operator",))
    assert welcome(api, token)
    api.change("/operators/an-operator/suspend")
    assert refused(api, token, caplog)[:2] == (401, "admin_key_refused")
    assert api.ask("GET", "/me", role="Operator").status_code == 401
    api.change("/operators/an-operator/activate")
    assert welcome(api, token)


def test_the_audit_has_one_operator_for_both_schemes(api: Api):
    """Who did it is the operator, by whichever scheme; the scheme is beside it. No name of the token is there."""
    for scheme, path in (("admin_key", "suspend"), ("bearer", "activate")):
        api.scheme = scheme
        assert api.ask("POST", f"/partners/contoso/{path}", role="Operator").status_code == 200
    newest = api.get("/audit?kind=partner&row_id=contoso&limit=2")["items"]
    assert [(each["operator"], each["scheme"], each["address"]) for each in newest] == [
        ("an-operator", "bearer", "testclient"),
        ("an-operator", "admin_key", "testclient"),
    ]
    assert "staff.example" not in str(newest)


def test_who_is_unlinked_in_between_changes_nothing(api: Api, monkeypatch: pytest.MonkeyPatch):
    """The identity is looked at again inside of the transaction."""
    from tenantgate.admin import route

    real = route.unit_of_work

    def overtaken(*arguments: Any, **options: Any) -> Any:
        with writing(api.engine) as session:
            session.execute(sa.delete(OperatorIdentity).where(col(OperatorIdentity.operator) == "an-operator"))
        return real(*arguments, **options)

    monkeypatch.setattr(route, "unit_of_work", overtaken)
    api.scheme = "bearer"
    assert api.refused("POST", "/partners/contoso/suspend", role="Operator")["code"] == "identity_not_linked"
    assert api.get("/partners/contoso", role="Admin")["state"] == "active"


async def test_what_a_token_began_ends_with_it(api: Api):
    """What goes on after its request (an import) is judged anew: by the second the token expires, skew included."""
    credential = await staff.tokens().read(staff.token("an-operator", lifetime=60), now=NOW)
    with reading(api.engine) as session:
        assert credential.judge(session, now=NOW + 119).operator.id == "an-operator"
        with pytest.raises(CredentialError) as caught:
            credential.judge(session, now=NOW + 120)
    assert caught.value.code == "token_ended"


def test_nobody_becomes_an_operator_unasked(api: Api):
    """Unless it is so set, an authentic caller with the Admin's role whom nobody has linked is made nothing."""
    before = api.get("/policy")
    assert me(api, staff.token("newcomer")).json()["code"] == "identity_not_linked"
    assert api.get("/policy") == before


def test_where_it_is_set_the_first_use_makes_an_operator(api: Api):
    """Once, in the audit, with the role of the token: later tokens give no more than that."""
    api.context.tokens = staff.tokens(enrols=True)
    first = welcome(api, staff.token("newcomer", ("TenantGate.Operator",), name="Ada \u202e Lovelace"))
    made = first["operator"]
    assert (made["role"], made["name"], first["role"]) == ("Operator", "newcomer@staff.example", "Operator")
    again = welcome(api, staff.token("newcomer", ("TenantGate.Admin",)))
    assert (again["operator"]["id"], again["role"]) == (made["id"], "Operator")

    entries = api.get(f"/audit?operator={made['id']}&order=oldest", role="Admin")["items"]
    assert [(each["action"], each["scheme"]) for each in entries] == [
        ("operator.created", "bearer"),
        ("operator_identity.linked", "bearer"),
    ]
    api.change(f"/operators/{made['id']}/suspend")
    assert me(api, staff.token("newcomer")).status_code == 401  # and no second operator is made of them
    assert len([each for each in api.get("/operators")["items"] if each["name"] == made["name"]]) == 1


@pytest.mark.parametrize("hidden", ["\u200b", "\u200d", "\u00ad", "\u2060", "\u061c", "\U000e0041", "\ue000", "\x00"])
def test_a_name_with_what_nobody_sees_is_not_taken(api: Api, hidden: str):
    """Nobody comes in under the name of another: the next of their names is taken, or none of them."""
    api.context.tokens = staff.tokens(enrols=True)
    names = {"preferred_username": f"ada{hidden}@staff.example"}
    found = welcome(api, staff.token("newcomer", name=f"Ada{hidden} Lovelace"))
    assert found["operator"]["name"] == "newcomer@staff.example"
    found = welcome(api, staff.token("another", name=f"Ada{hidden} Lovelace", **names))
    assert found["operator"]["name"].startswith("caller ")


def test_unlinking_shuts_nobody_out_where_the_first_use_makes_an_operator(api: Api):
    """They come back as another operator, with the token's role; the route's description says so, and what to do."""
    api.context.tokens = staff.tokens(enrols=True)
    first = welcome(api, staff.token("newcomer", ("TenantGate.Viewer",)))["operator"]
    (identity,) = api.get(f"/operators/{first['id']}/identities", role="Admin")["items"]
    path = f"/operators/{first['id']}/unlink-identity"
    assert api.ask("POST", path, role="Admin", json={"identity": identity["id"]}).status_code == 200
    again = welcome(api, staff.token("newcomer"))
    assert again["operator"]["id"] != first["id"]
    assert again["role"] == "Admin"
    said = operation("POST", f"{V1}/operators/{{id}}/unlink-identity")["description"]
    assert "`TENANTGATE_ADMIN_UNLINKED` is `create`" in said
    assert "suspend the operator" in said
    api.change(f"/operators/{again['operator']['id']}/suspend")
    assert me(api, staff.token("newcomer")).status_code == 401


def test_a_resource_cannot_take_the_audience_of_administrators(api: Api):
    """Neither made nor changed so: whoever serves it would be sent tokens with which to come here."""
    body = {"id": "sly", "audiences": ["api://sly", staff.API.upper()]}
    problem = api.refused("POST", "/resources", json=body)
    assert (problem["status"], problem["code"], problem["errors"][0]["field"]) == (
        409,
        "audience_overlap",
        "audiences[1]",
    )
    assert api.refused("PATCH", "/resources/orders", json={"audiences": [staff.REALM_AUDIENCE]})["status"] == 409
    assert api.get("/resources/orders")["audiences"] == ["api://orders"]


def test_an_audience_shared_behind_our_back_ends_the_tokens(api: Api, caplog: pytest.LogCaptureFixture):
    """A resource that another server, with other settings, gave the audience: no token of that issuer counts here."""
    assert welcome(api, staff.token())
    with work_on(api.engine) as work:
        resources.create(work, ResourceSpec(id="sly", audiences=(staff.API,)))
    assert refused(api, staff.token(), caplog)[:2] == (401, "admin_key_refused")
    assert "resource sly accepts" in caplog.text + str([vars(each) for each in caplog.records])
    assert "audience_shared" in caplog.text
    assert me(api, staff.realm_token()).json()["code"] == "identity_not_linked"  # another issuer's is not shared


class NoneToBeHad:
    """Keys that cannot be had."""

    def __init__(self, *, too_old: bool) -> None:
        self._too_old = too_old

    def key_set(self, ref: KeySetRef) -> NoKeys:
        """There are none."""
        return NoKeys(too_old=self._too_old, age=300_000.0)


@pytest.mark.parametrize(("too_old", "reason"), [(False, "key_set_unavailable"), (True, "key_set_too_old")])
def test_without_keys_nobody_is_judged(api: Api, *, too_old: bool, reason: str):
    """503 with the reason: nothing is said of the token, and a key lets in as ever."""
    asked: list[tuple[KeySetRef, str | None]] = []

    async def fetch(ref: KeySetRef, kid: str | None) -> None:
        asked.append((ref, kid))

    api.context.tokens._keys = NoneToBeHad(too_old=too_old)
    api.context.tokens._fetch = fetch
    try:
        answer = me(api, staff.token())
    finally:
        api.context.tokens._keys, api.context.tokens._fetch = staff.tokens()._keys, staff.never
    assert (answer.status_code, answer.json()["code"]) == (503, "keys_unavailable")
    assert reason in answer.json()["detail"]
    assert answer.headers["Retry-After"]
    assert len(asked) == 1
    assert api.ask("GET", "/me").status_code == 200


def test_without_an_issuer_named_no_token_is_taken(api: Api, caplog: pytest.LogCaptureFixture):
    """Tokens are for those who name whom they trust with it."""
    api.context.tokens = None
    assert refused(api, staff.token(), caplog)[:2] == (401, "admin_key_refused")


def test_identities_are_linked_and_unlinked(api: Api):
    """By an Admin, each identity at one operator; unlinked it lets in no more, at once."""
    oid = staff.oid_of("newcomer").upper()
    body = {"issuer": staff.CLOUD + "/", "tid": staff.HOME, "oid": oid}
    made = api.make("/operators/an-viewer/identities", **body)
    assert (made["issuer"], made["oid"], made["operator"]) == (staff.CLOUD, oid.lower(), "an-viewer")
    assert welcome(api, staff.token("newcomer"))["role"] == "Viewer"
    problem = api.refused("POST", "/operators/an-admin/identities", json=body)
    assert (problem["status"], problem["code"], problem["holder"]) == (409, "identity_linked", "an-viewer")
    assert made in api.get("/operators/an-viewer/identities")["items"]

    theirs = api.refused("POST", "/operators/an-admin/unlink-identity", json={"identity": made["id"]})
    assert theirs["code"] == "operator_identity_not_found"
    gone = api.ask("POST", "/operators/an-viewer/unlink-identity", json={"identity": made["id"]})
    assert gone.json() == made
    assert me(api, staff.token("newcomer")).json()["code"] == "identity_not_linked"
    actions = [each["action"] for each in api.get("/audit?kind=operator_identity&limit=2")["items"]]
    assert actions == ["operator_identity.unlinked", "operator_identity.linked"]


def test_enrolment_by_two_at_once_makes_one_operator(api: Api):
    """Whoever is second finds who the first was made."""
    wanted = staff.identity_of("newcomer")
    found = []
    for _ in range(2):
        with work_on(api.engine) as work:
            found.append(identities.enrol(work, wanted, name="Newcomer", role="Viewer").id)
    assert len(set(found)) == 1
    with reading(api.engine) as session:
        assert len(identities.list_(session, found[0]).items) == 1
