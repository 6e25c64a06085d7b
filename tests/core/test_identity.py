"""Who a token is of: compared whole, by what no caller can change, for this audience, and nobody else's word counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted, PublicCode
from tenantgate.core.index import PolicyIndex
from tenantgate.core.policy import (
    KINDS,
    DaemonRow,
    IssuerRow,
    PolicyError,
    RoleAssignmentRow,
    TenantRow,
    decode_row,
)
from tenantgate.core.refusals import REFUSALS
from tests.builders import (
    ACME_CLIENT,
    ACME_OID,
    ACME_TID,
    API_CLIENT_ID,
    API_URI,
    BILLING_CLIENT_ID,
    GLOBEX_CLIENT,
    INITECH_CLIENT,
    INITECH_TID,
    OIDC_ISSUER,
    REMOVE,
    STRANGE_CLIENT,
    STRANGE_TID,
    an_index,
    ask,
    b64url,
    cloud_key,
    json_bytes,
    oidc_key,
    oidc_token,
    v1_issuer,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)

Token = Callable[..., str]
FORMS = [pytest.param(v2_token, id="v2"), pytest.param(v1_token, id="v1"), pytest.param(oidc_token, id="oidc")]


def denied(token: str, **world: Any) -> R:
    """Return why a token is refused."""
    decision = ask(token, **world)
    assert isinstance(decision, Denied), decision
    return decision.reason


# The issuer, whole.

ISSUERS = [
    pytest.param(v2_token, v2_issuer(ACME_TID), id="v2"),
    pytest.param(v1_token, v1_issuer(ACME_TID), id="v1"),
    pytest.param(oidc_token, OIDC_ISSUER, id="oidc"),
]


@pytest.mark.threat(15)
@pytest.mark.parametrize(("token", "issuer"), ISSUERS)
def test_a_part_of_an_issuer_is_not_the_issuer(token: Token, issuer: str) -> None:
    """Every beginning, every end, every single character of the right `iss`, and the right one with more around it."""
    parts = {issuer[:end] for end in range(len(issuer))} | {issuer[start:] for start in range(1, len(issuer) + 1)}
    around = {issuer + more for more in ("/", " ", "x", "\x00", "/../")} | {"x" + issuer, " " + issuer, issuer * 2}
    assert isinstance(ask(token(iss=issuer)), Granted)

    assert {denied(token(iss=iss)) for iss in parts | around | set(issuer)} == {R.ISSUER_UNKNOWN}


# One value where one is expected.

WRONG = [None, True, 7, 7.5, [], {}, [[]], [None]]


def spoiled(value: str) -> list[Any]:
    """Return what some libraries take for the value: it among others, it as a name, and what is no text at all."""
    return [*WRONG, [value], [value, value], ["x", value], {value: value}, {"0": value}]


CLAIMS = [
    ("v2", v2_token, ("iss", "tid", "azp", "oid", "sub")),
    ("v1", v1_token, ("iss", "tid", "appid", "oid", "sub")),
    ("oidc", oidc_token, ("iss", "client_id", "sub")),
]
SINGLE = [pytest.param(token, claim, id=f"{form} {claim}") for form, token, claims in CLAIMS for claim in claims]


@pytest.mark.threat(16)
@pytest.mark.parametrize(("token", "claim"), SINGLE)
def test_an_identity_is_one_string_and_nothing_that_holds_it(token: Token, claim: str) -> None:
    """A list with the right issuer, tenant or client in it names nobody; nor does an object, a number or nothing."""
    claims = {
        "iss": {v2_token: v2_issuer(ACME_TID), v1_token: v1_issuer(ACME_TID), oidc_token: OIDC_ISSUER}[token],
        "tid": ACME_TID, "azp": ACME_CLIENT, "appid": ACME_CLIENT, "client_id": GLOBEX_CLIENT,
        "oid": ACME_OID, "sub": GLOBEX_CLIENT if token is oidc_token else ACME_OID,
    }  # fmt: skip
    value = claims[claim]
    assert isinstance(ask(token(**{claim: value})), Granted)

    reasons = {denied(token(**{claim: wrong})) for wrong in spoiled(value)}
    assert reasons <= {R.CLAIM_MALFORMED, R.CLAIM_MISSING, R.SERVICE_PRINCIPAL_MISSING}


# The audience.

NOT_FOR_ORDERS: list[tuple[str, Any]] = [
    ("absent", REMOVE), ("null", None), ("no text", ""), ("an empty list", []), ("a list of nothing", [""]),
    ("others", ["api://other.example"]), ("nested", [[API_URI]]), ("an object", {API_URI: True}), ("a number", 1),
    ("true", True), ("a part", API_URI[:-1]), ("more than it", API_URI + "/"), ("the scope", API_URI + "/.default"),
    ("another API of ours", BILLING_CLIENT_ID), ("other and null", ["api://other.example", None]),
    ("ours and a number", [API_URI, 1]), ("in one text", f"{API_URI} {API_CLIENT_ID}"), ("star", "*"),
]  # fmt: skip


@pytest.mark.threat(17)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "aud"), NOT_FOR_ORDERS, ids=[name for name, _ in NOT_FOR_ORDERS])
def test_a_token_that_is_not_for_this_api_is_refused(form: Token, name: str, aud: Any) -> None:
    """No audience is no audience that fits: absent, empty or of another shape never means any."""
    assert denied(form(aud=aud)) in {R.CLAIM_MISSING, R.CLAIM_MALFORMED, R.AUDIENCE_MISMATCH}, name


# Keys that two issuers share.


def two_realms() -> PolicyIndex:
    """Return the world with a second realm of one server: other `iss`, same keys, same client id, initech's."""
    realm = IssuerRow(
        id="realm", kind="oidc", issuer="https://id.globex.example/realms/other", jwks={"keys": [oidc_key().jwk()]}
    )
    return an_index(
        realm,
        TenantRow(id="realm_tenant", issuer="realm", partner="initech"),
        DaemonRow(id="realm_daemon", tenant="realm_tenant", client_id=GLOBEX_CLIENT),
        RoleAssignmentRow(id="realm_writes", app_role="orders_write", daemon="realm_daemon"),
    )


@pytest.mark.threat(18)
def test_shared_keys_do_not_make_one_issuer_of_two() -> None:
    """Where one key signs for two realms, `iss` says whose the token is: each gets its own partner and roles alone."""
    index = two_realms()
    other = oidc_token(iss="https://id.globex.example/realms/other")
    for token, partner, role in ((oidc_token(), "globex", "Orders.Read"), (other, "initech", "Orders.Write")):
        granted = ask(token, index, wanted=(role,))
        assert isinstance(granted, Granted)
        assert (granted.principal.partner, granted.principal.roles) == (partner, (role,))
    for token, role in ((oidc_token(), "Orders.Write"), (other, "Orders.Read")):
        refused = ask(token, index, wanted=(role,))
        assert isinstance(refused, Denied)
        assert refused.reason is R.ROLE_NOT_ASSIGNED


@pytest.mark.threat(18, 19)
@pytest.mark.parametrize(("mine", "other"), [(ACME_TID, INITECH_TID), (INITECH_TID, ACME_TID), (ACME_TID, STRANGE_TID)])
def test_tenants_of_a_cloud_share_keys_and_nothing_else(mine: str, other: str) -> None:
    """One signer, many tenants: a token is of the tenant that `iss` and `tid` both name, or refused."""
    clients = {ACME_TID: ACME_CLIENT, INITECH_TID: INITECH_CLIENT, STRANGE_TID: STRANGE_CLIENT}
    for form, issuer, client in ((v2_token, v2_issuer, "azp"), (v1_token, v1_issuer, "appid")):
        own = {"iss": issuer(mine), "tid": mine}
        granted = ask(form(**own, **{client: clients[mine]}))
        assert isinstance(granted, Granted)
        assert granted.principal.partner == {ACME_TID: "acme", INITECH_TID: "initech"}[mine]

        assert denied(form(**own, **{client: clients[other]})) is R.DAEMON_NOT_LISTED
        assert denied(form(iss=issuer(mine), tid=other, **{client: clients[mine]})) is R.TENANT_MISMATCH
        assert denied(form(iss=issuer(other), tid=mine, **{client: clients[mine]})) is R.TENANT_MISMATCH
    assert denied(v2_token(iss=v1_issuer(mine), tid=mine, azp=clients[mine])) is R.VERSION_MISMATCH
    assert denied(v1_token(iss=v2_issuer(mine), tid=mine, appid=clients[mine])) is R.VERSION_MISMATCH


# Whose word counts.


def actor_tokens() -> dict[str, Any]:
    """Return claims in which somebody else is named, sound tokens of a listed daemon among them."""
    inner = v2_token()
    return {
        "act": {"sub": ACME_OID, "iss": v2_issuer(ACME_TID), "tid": ACME_TID},
        "may_act": {"client_id": ACME_CLIENT},
        "actortoken": inner,
        "act, empty": {},
        "act, null": None,
        "act, nested": {"act": {"act": {"sub": ACME_OID}}},
    }


@pytest.mark.threat(21)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", actor_tokens())
def test_acting_for_somebody_else_is_refused(form: Token, name: str) -> None:
    """Nobody exchanges tokens here, so a claim that names an actor takes the grant away, whoever signed it."""
    claim = name.partition(",")[0]

    assert denied(form(**{claim: actor_tokens()[name]})) is R.NOT_APP_ONLY


@pytest.mark.threat(21)
def test_an_inner_token_lends_nothing_to_the_outer() -> None:
    """An unsigned or strange outer token around a sound one, as S2S actor tokens have it, is judged by itself."""
    claims = v2_claims(actortoken=v2_token())
    unsigned = f"{b64url(json_bytes({'typ': 'JWT', 'alg': 'none'}))}.{b64url(json_bytes(claims))}."
    elsewhere = {"tid": STRANGE_TID, "iss": v2_issuer(STRANGE_TID), "azp": STRANGE_CLIENT, "actortoken": v2_token()}

    assert denied(unsigned) is R.ALGORITHM_NOT_ALLOWED
    assert denied(v2_token(**elsewhere)) is R.NOT_APP_ONLY
    assert denied(v2_token(tid=INITECH_TID, actortoken=v2_token())) is R.TENANT_MISMATCH


CHANGEABLE = ("email", "upn", "unique_name", "preferred_username", "name", "verified_primary_email", "app_displayname")
"""Claims that a tenant's administrator, or a user, sets to whatever they like."""


@pytest.mark.threat(22)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("claim", CHANGEABLE)
def test_what_anybody_can_call_themselves_lets_nobody_in(form: Token, claim: str) -> None:
    """A stranger who bears every name of a listed daemon is the same stranger."""
    stranger = {"azp": STRANGE_CLIENT, "appid": STRANGE_CLIENT, "client_id": "other", "sub": "other"}
    names = {v2_token: ("azp",), v1_token: ("appid",), oidc_token: ("client_id", "sub")}[form]
    own = {name: stranger[name] for name in names}
    plain = denied(form(**own))
    assert plain is R.DAEMON_NOT_LISTED

    for value in (ACME_CLIENT, GLOBEX_CLIENT, "Acme", "acme", "acme_daemon", "daemon@acme.example"):
        assert denied(form(**own, **{claim: value})) in {plain, R.NOT_APP_ONLY}


@pytest.mark.threat(22)
def test_no_row_of_the_policy_names_anybody_by_what_can_be_changed() -> None:
    """A rule by e-mail, user name or domain cannot be written: callers are tid and client id, pinned by oid or sub."""
    members = {kind: set(row.__struct_fields__) for kind, row in KINDS.items()}

    assert members["tenant"] == {"id", "issuer", "partner", "tid", "state", "hosted"}
    assert members["daemon"] == {
        "id", "tenant", "client_id", "oid", "subject", "partner", "state", "min_credential",
    }  # fmt: skip
    words = ("mail", "upn", "user", "domain", "claim")
    named = {each for row in members.values() for each in row if any(word in each for word in words)}
    # Which claims hold the client id, a role, or what a resource asks for besides: the issuer's, none of a user's.
    assert named == {"client_id_claim", "roles_claim", "claim", "required_claims"}
    row = {"v": 1, "revision": 1, "kind": "daemon", "id": "d", "op": "put"}
    data = {"id": "d", "tenant": "acme_tenant", "client_id": ACME_CLIENT}
    assert decode_row(row | {"data": data}).id == "d"
    for member in ("email", "upn", "domain", "name"):
        with pytest.raises(PolicyError, match="row cannot be read"):
            decode_row(row | {"data": data | {member: "daemon@acme.example"}})


# Foreign apps and guests.

FOREIGN: list[tuple[str, dict[str, Any], R]] = [
    ("an unlisted tenant", {"iss": v2_issuer(STRANGE_TID), "tid": STRANGE_TID}, R.TENANT_NOT_LISTED),
    ("an unlisted app of a listed tenant", {"azp": STRANGE_CLIENT}, R.DAEMON_NOT_LISTED),
    ("an app listed in another tenant", {"azp": INITECH_CLIENT}, R.DAEMON_NOT_LISTED),
    ("a listed app consented to in an unlisted tenant",
     {"iss": v2_issuer(STRANGE_TID), "tid": STRANGE_TID, "azp": ACME_CLIENT}, R.TENANT_NOT_LISTED),
    ("roles its own tenant gave it", {"azp": STRANGE_CLIENT, "roles": ["Orders.Read", "Orders.Write"]},
     R.DAEMON_NOT_LISTED),
    ("a user", {"idtyp": "user", "scp": "Orders.Read"}, R.NOT_APP_ONLY),
    ("a user of unknown kind", {"idtyp": REMOVE}, R.NOT_APP_ONLY),
    ("a guest", {"idtyp": "user", "acct": 1, "idp": v1_issuer(STRANGE_TID), "scp": "Orders.Read"}, R.NOT_APP_ONLY),
    ("a guest by relation", {"xms_idrel": "5"}, R.NOT_APP_ONLY),
    ("an app without service principal", {"xms_idrel": "13"}, R.SERVICE_PRINCIPAL_MISSING),
]  # fmt: skip


@pytest.mark.threat(23)
@pytest.mark.parametrize(("name", "changes", "reason"), FOREIGN, ids=[row[0] for row in FOREIGN])
def test_a_sound_token_for_our_audience_is_not_enough(name: str, changes: dict[str, Any], reason: R) -> None:
    """Anybody's administrator can consent to our API: who is not on the list, or is a user, is refused."""
    assert denied(cloud_key().sign(v2_claims(**changes))) is reason, name
    if reason in {R.TENANT_NOT_LISTED, R.DAEMON_NOT_LISTED}:
        assert REFUSALS[reason].code is PublicCode.CALLER_NOT_ALLOWED


@pytest.mark.threat(23)
def test_a_weaker_credential_than_asked_for_is_refused() -> None:
    """A publisher may ask for certificates: a secret, a public client and an issuer that tells nothing are too weak."""
    for strength in ("0", "1", REMOVE):
        assert denied(v2_token(azpacr=strength), orders={"min_credential": "certificate"}) is R.CREDENTIAL_TOO_WEAK
    assert isinstance(ask(v2_token(azpacr="2"), orders={"min_credential": "certificate"}), Granted)
    assert denied(oidc_token(), orders={"min_credential": "secret"}) is R.CREDENTIAL_TOO_WEAK


def test_the_forms_above_are_granted_unspoiled() -> None:
    """What each of these tests spoils is let in as it is."""
    assert all(isinstance(ask(token()), Granted) for token in (v2_token, v1_token, oidc_token))
