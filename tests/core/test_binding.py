"""Whose key may sign whose token: `tid`, `iss` and the key's own `issuer`, for every form and cloud."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySetRef
from tenantgate.core.policy import DaemonRow, IssuerRow, RoleAssignmentRow, TenantRow
from tenantgate.core.verify import NeedKeys, Verified, verify
from tests.builders import (
    ACME_CLIENT,
    ACME_TID,
    CONSUMER_TID,
    INITECH_TID,
    OIDC_ISSUER,
    REMOVE,
    STRANGE_TID,
    V1_TEMPLATE,
    V2_TEMPLATE,
    Signer,
    an_entra_issuer,
    an_index,
    ask,
    cloud_key,
    oidc_claims,
    oidc_key,
    oidc_token,
    signer,
    static_keys,
    v1_claims,
    v1_issuer,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)

CONSUMERS = V2_TEMPLATE.replace("{tenantid}", CONSUMER_TID)

# (issuer of the v2 document's key, issuer of the v1 document's key or None for no v1 document) → (v2 token, v1 token)
MATRIX = [
    pytest.param(V2_TEMPLATE, REMOVE, None, None, id="v2 template, v1 without issuer"),
    pytest.param(V2_TEMPLATE, None, None, None, id="v2 template alone: v1 by equivalence"),
    pytest.param(v2_issuer(ACME_TID), None, None, None, id="key of this tenant"),
    pytest.param(v2_issuer(INITECH_TID), None, R.KEY_ISSUER_MISMATCH, R.KEY_ISSUER_MISMATCH, id="another tenant's"),
    pytest.param(CONSUMERS, None, R.KEY_ISSUER_MISMATCH, R.KEY_ISSUER_MISMATCH, id="the consumers'"),
    pytest.param(REMOVE, None, R.KEY_ISSUER_MISMATCH, R.KEY_ISSUER_MISMATCH, id="no issuer: fails closed"),
    pytest.param(REMOVE, REMOVE, R.KEY_ISSUER_MISMATCH, None, id="no issuer in either: v1 alone holds"),
    pytest.param(V1_TEMPLATE, None, R.KEY_ISSUER_MISMATCH, R.KEY_ISSUER_MISMATCH, id="v1 template in the v2 document"),
    pytest.param(V2_TEMPLATE, V1_TEMPLATE, None, None, id="v1 document names the v1 template"),
    pytest.param(V2_TEMPLATE, v1_issuer(ACME_TID), None, None, id="v1 document names this tenant"),
    pytest.param(V2_TEMPLATE, V2_TEMPLATE, None, R.KEY_ISSUER_MISMATCH, id="v1 document names the v2 template"),
    pytest.param(V2_TEMPLATE, CONSUMERS, None, R.KEY_ISSUER_MISMATCH, id="v1 document names the consumers"),
    pytest.param(V2_TEMPLATE, v1_issuer(INITECH_TID), None, R.KEY_ISSUER_MISMATCH, id="v1 document names another"),
    pytest.param(V2_TEMPLATE.upper(), None, R.KEY_ISSUER_MISMATCH, R.KEY_ISSUER_MISMATCH, id="capitals"),
    pytest.param(v2_issuer(ACME_TID.upper()), None, R.KEY_ISSUER_MISMATCH, R.KEY_ISSUER_MISMATCH, id="tid in capitals"),
    pytest.param(V2_TEMPLATE * 2, None, R.KEY_ISSUER_MISMATCH, R.KEY_ISSUER_MISMATCH, id="twice"),
    pytest.param(V2_TEMPLATE + "/", None, R.KEY_ISSUER_MISMATCH, R.KEY_ISSUER_MISMATCH, id="a slash more"),
]


def reason_of(decision: object) -> R | None:
    """Return the reason of a denial, None of a grant."""
    assert isinstance(decision, Granted | Denied)
    return decision.reason if isinstance(decision, Denied) else None


@pytest.mark.threat(20)
@pytest.mark.parametrize(("v2_key", "v1_key", "v2_reason", "v1_reason"), MATRIX)
def test_a_key_verifies_only_for_its_own_issuer(v2_key: Any, v1_key: Any, v2_reason: Any, v1_reason: Any) -> None:
    """Each key of a document that covers many tenants says whose it is, and is believed for that one alone."""
    cloud = {
        "jwks": {"keys": [cloud_key().jwk(issuer=v2_key)]},
        "v1_jwks": None if v1_key is None else {"keys": [cloud_key().jwk(issuer=v1_key)]},
    }

    assert reason_of(ask(v2_token(), cloud=cloud)) is v2_reason
    assert reason_of(ask(v1_token(), cloud=cloud)) is v1_reason


def test_v1_and_v2_tokens_look_in_their_own_document() -> None:
    """A key published for v1 tokens alone does not verify a v2 token."""
    old = signer("RS256", "old")
    cloud = {"v1_jwks": {"keys": [old.jwk()]}}

    assert reason_of(ask(old.sign(v1_claims()), cloud=cloud)) is None
    assert reason_of(ask(old.sign(v2_claims()), cloud=cloud)) is R.SIGNING_KEY_UNKNOWN
    assert reason_of(ask(v1_token(), cloud=cloud)) is None, "the v2 document's key, by equivalence"


@pytest.mark.threat(20)
def test_the_consumers_key_never_verifies_an_organisations_token() -> None:
    """Storm-0558: a sound signature by a key of another class of issuer, beside the right keys."""
    consumers = signer("RS256", "consumers")
    cloud = {"jwks": {"keys": [cloud_key().jwk(issuer=V2_TEMPLATE), consumers.jwk(issuer=CONSUMERS)]}}

    assert reason_of(ask(consumers.sign(v2_claims()), cloud=cloud)) is R.KEY_ISSUER_MISMATCH
    assert reason_of(ask(consumers.sign(v1_claims()), cloud=cloud)) is R.KEY_ISSUER_MISMATCH
    own = v2_claims(iss=v2_issuer(CONSUMER_TID), tid=CONSUMER_TID)
    assert reason_of(ask(consumers.sign(own), cloud=cloud)) is R.CONSUMER_TENANT


def test_an_oidc_key_may_name_its_issuer_or_none() -> None:
    """Elsewhere keys name no issuer, and one that does must name the token's."""
    for issuer, reason in ((REMOVE, None), (OIDC_ISSUER, None), ("https://other.example", R.KEY_ISSUER_MISMATCH)):
        row = {"jwks": {"keys": [oidc_key().jwk(issuer=issuer)]}}
        assert reason_of(ask(oidc_token(), oidc=row)) is reason


@pytest.mark.threat(19)
def test_any_tenant_of_the_world_is_authentic_and_only_the_listed_are_let_in() -> None:
    """A template accepts every tenant's signature, so the allow-list is what decides."""
    strange = v2_token(iss=v2_issuer(STRANGE_TID), tid=STRANGE_TID)

    assert isinstance(verify(strange, an_index(), static_keys()), Verified)
    assert reason_of(ask(strange)) is R.TENANT_NOT_LISTED


def test_a_tid_may_be_written_in_capitals_on_both_sides() -> None:
    """GUIDs have no case, and the issuer writes `iss` and `tid` alike."""
    assert reason_of(ask(v2_token(tid=ACME_TID.upper(), iss=v2_issuer(ACME_TID.upper())))) is None


@pytest.mark.threat(20)
@pytest.mark.parametrize("signed_for", ["cloud", "oidc", "second"])
@pytest.mark.parametrize("claims_of", ["cloud v2", "cloud v1", "oidc", "second"])
def test_no_issuer_signs_for_another(signed_for: str, claims_of: str) -> None:
    """Cross-signing over all pairs of issuers, under one and the same kid: only the own key verifies."""
    keys = {
        "cloud": Signer("RS256", signer("RS256", "cross").private, "shared"),
        "oidc": Signer("ES256", signer("ES256", "cross").private, "shared"),
        "second": Signer("ES256", signer("ES256", "cross2").private, "shared"),
    }
    second = IssuerRow(
        id="second", kind="oidc", issuer="https://id.second.example", jwks={"keys": [keys["second"].jwk()]}
    )
    index = an_index(
        second,
        TenantRow(id="second_tenant", issuer="second", partner="globex"),
        DaemonRow(id="second_daemon", tenant="second_tenant", client_id="globex-sync"),
        RoleAssignmentRow(id="second_reads", app_role="orders_read", daemon="second_daemon"),
        cloud={
            "jwks": {"keys": [keys["cloud"].jwk(issuer=V2_TEMPLATE)]},
            "v1_jwks": {"keys": [keys["cloud"].jwk()]},
        },
        oidc={"jwks": {"keys": [keys["oidc"].jwk()]}},
    )
    claims = {
        "cloud v2": v2_claims(),
        "cloud v1": v1_claims(),
        "oidc": oidc_claims(),
        "second": oidc_claims(iss="https://id.second.example"),
    }[claims_of]
    decision = ask(keys[signed_for].sign(claims), index)

    if claims_of.startswith(signed_for):
        assert isinstance(decision, Granted)
    else:
        assert reason_of(decision) in (R.ALGORITHM_NOT_ALLOWED, R.SIGNATURE_INVALID)


# Two clouds with one v1 issuer.

GOV = "https://login.gov.example/{tenantid}/v2.0"
GOV_TID = "bbbbbbbb-0000-4000-8000-000000000042"


def gov_key() -> Signer:
    """Return the key of the second cloud."""
    return signer("RS256", "gov")


def two_clouds(**changes: Any) -> PolicyIndex:
    """Return the world with a second cloud that shares the first one's v1 issuer and lists a tenant of its own."""
    return an_index(
        an_entra_issuer(
            id="gov",
            authority="https://login.gov.example",
            v2_issuer=GOV,
            jwks={"keys": [gov_key().jwk(issuer=GOV)]},
            v1_jwks={"keys": [gov_key().jwk()]},
        ),
        TenantRow(id="gov_tenant", issuer="gov", partner="initech", tid=changes.pop("gov_tid", GOV_TID)),
        DaemonRow(id="gov_daemon", tenant="gov_tenant", client_id=ACME_CLIENT),
        RoleAssignmentRow(id="gov_reads", app_role="orders_read", daemon="gov_daemon"),
        **changes,
    )


def test_a_shared_v1_issuer_means_the_cloud_that_lists_the_tenant() -> None:
    """The v1 `iss` does not say which cloud; the listed tenant does, and its cloud's keys alone count."""
    index = two_clouds()
    claims = v1_claims(iss=v1_issuer(GOV_TID), tid=GOV_TID)

    granted = ask(gov_key().sign(claims), index)
    assert isinstance(granted, Granted)
    assert granted.principal.tenant == "gov_tenant"
    assert reason_of(ask(cloud_key().sign(claims), index)) is R.SIGNING_KEY_UNKNOWN
    assert reason_of(ask(gov_key().sign(v1_claims()), index)) is R.SIGNING_KEY_UNKNOWN
    assert reason_of(ask(v1_token(), index)) is None


def test_v2_issuers_tell_the_clouds_apart() -> None:
    """A v2 token names its cloud: the tenant of one is not listed in the other."""
    index = two_clouds()
    gov_iss = GOV.replace("{tenantid}", GOV_TID)

    assert reason_of(ask(gov_key().sign(v2_claims(iss=gov_iss, tid=GOV_TID)), index)) is None
    other = v2_claims(iss=v2_issuer(GOV_TID), tid=GOV_TID)
    assert reason_of(ask(cloud_key().sign(other), index)) is R.TENANT_NOT_LISTED
    assert reason_of(ask(gov_key().sign(v2_claims()), index)) is R.SIGNING_KEY_UNKNOWN


def test_of_two_listed_tenants_the_active_one_is_meant() -> None:
    """One tid may move from a cloud to another: the suspended row of the old cloud does not hide the new one."""
    for state, key in (("suspended", gov_key()), ("active", cloud_key())):
        index = two_clouds(gov_tid=ACME_TID, acme_tenant={"state": state})
        assert reason_of(ask(key.sign(v1_claims()), index)) is None


def test_an_unlisted_tid_of_a_shared_v1_issuer_is_no_grant() -> None:
    """Neither cloud lists it: whatever key signed, it is refused."""
    index = two_clouds()
    claims = v1_claims(iss=v1_issuer(STRANGE_TID), tid=STRANGE_TID)

    assert reason_of(ask(cloud_key().sign(claims), index)) is R.TENANT_NOT_LISTED
    assert reason_of(ask(gov_key().sign(claims), index)) is R.SIGNING_KEY_UNKNOWN


# What a missing key asks for.


def test_an_unknown_kid_names_the_set_and_the_kid() -> None:
    """The gate is told which one set may bring the key; a token never names an address."""
    index = an_index()
    found = verify(cloud_key().sign(v1_claims(), kid="new"), index, static_keys())

    assert isinstance(found, NeedKeys)
    assert found.ref == KeySetRef("cloud", "v1")
    assert found.kid == "new"
    assert found.reason is R.SIGNING_KEY_UNKNOWN


@pytest.mark.parametrize(
    ("changes", "document"),
    [
        ({}, "v1"),
        ({"v1_jwks": None, "v1_metadata_url": "https://login.cloud.example/organizations"}, "v1"),
        ({"v1_jwks": None}, "v2"),
    ],
)
def test_a_v1_token_asks_for_the_v1_document_where_there_is_one(changes: dict[str, Any], document: str) -> None:
    """Without a v1 document of its own the cloud's v2 document is the one that may bring the key."""
    index = an_index(cloud=changes)
    found = verify(cloud_key().sign(v1_claims(), kid="new"), index, static_keys(index))

    assert isinstance(found, NeedKeys)
    assert found.ref == KeySetRef("cloud", document)
    other = verify(cloud_key().sign(v2_claims(), kid="new"), index, static_keys(index))
    assert isinstance(other, NeedKeys)
    assert other.ref == KeySetRef("cloud", "v2")


@pytest.mark.threat(31)
@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: oidc_token(iss="https://evil.example"), id="unknown issuer"),
        pytest.param(lambda: v2_token(iss=v2_issuer(CONSUMER_TID), tid=CONSUMER_TID), id="consumers"),
        pytest.param(lambda: v2_token(tid=INITECH_TID), id="tid of another"),
        pytest.param(lambda: v2_token(ver="1.0"), id="ver of another"),
        pytest.param(lambda: cloud_key().sign(v2_claims(), typ="logout+jwt"), id="typ of another"),
        pytest.param(lambda: cloud_key().sign(v2_claims(), alg="HS256"), id="symmetric"),
    ],
)
def test_what_is_refused_by_its_form_asks_for_no_key(token: Any) -> None:
    """No key set is even looked at for a token that cannot be granted, so nobody makes us fetch."""

    class Watched:
        def key_set(self, ref: KeySetRef) -> Any:
            raise AssertionError("a key set was looked up")

    assert isinstance(verify(token(), an_index(), Watched()), Denied)


def test_a_verified_token_says_what_it_hangs_on() -> None:
    """Claims are remembered with the key, the key set and the issuer's row they were verified with."""
    index = an_index()
    keys = static_keys()
    verified = verify(v1_token(), index, keys)

    assert isinstance(verified, Verified)
    assert verified.ref == KeySetRef("cloud", "v1")
    assert verified.issuer is index.issuers["cloud"].row
    found = keys.key_set(verified.ref)
    assert verified.key is found.find(cloud_key().kid)  # type: ignore[union-attr]
    assert verified.claims.caller.client_id == ACME_CLIENT
