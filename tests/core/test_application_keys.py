"""Keys that Entra made for one application: which key set holds them, and whose tokens they may sign."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.decision import Decision, Granted
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySet, KeySetRef, NoKeys, build_key_set
from tenantgate.core.verify import NeedKeys, verify
from tests.builders import (
    API_CLIENT_ID,
    BILLING_CLIENT_ID,
    INITECH_TID,
    REMOVE,
    V2_TEMPLATE,
    Signer,
    an_entra_issuer,
    an_index,
    an_oidc_issuer,
    ask,
    cloud_key,
    oidc_claims,
    oidc_key,
    signer,
    v1_claims,
    v2_claims,
    v2_issuer,
)
from tests.discovery.fakes import checked

OURS = signer("RS256", "ours")
THEIRS = signer("RS256", "theirs")
CLOUD = checked(an_entra_issuer(jwks=REMOVE, v1_jwks=REMOVE))
OWN = KeySetRef("cloud", "v2", API_CLIENT_ID)
BILLINGS = KeySetRef("cloud", "v2", BILLING_CLIENT_ID)
FORMS = pytest.mark.parametrize("claims", [v2_claims, v1_claims])


class Keys(dict[KeySetRef, KeySet]):
    """Key sets at hand; the names of those that were looked at."""

    def __init__(self, sets: dict[KeySetRef, KeySet]) -> None:
        super().__init__(sets)
        self.seen: list[KeySetRef] = []

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Return a key set, or that it was never fetched."""
        self.seen.append(ref)
        return self.get(ref, NoKeys(too_old=False))


def key_set(*signers: Signer, issuer: Any = V2_TEMPLATE) -> KeySet:
    """Return a key document of the cloud's, its keys naming `issuer`."""
    return build_key_set({"keys": [each.jwk(issuer=issuer) for each in signers]}, CLOUD)


def the_keys(**issuer: Any) -> Keys:
    """Return the cloud's keys at hand: the shared ones, and one beside them for each of two applications."""
    shared = cloud_key()
    return Keys(
        {
            KeySetRef("cloud", "v2"): key_set(shared),
            KeySetRef("cloud", "v1"): key_set(shared, issuer=REMOVE),
            OWN: key_set(shared, OURS, **issuer),
            BILLINGS: key_set(shared, THEIRS),
        }
    )


def an_index_with(appid: str | None, *rows: Any, **changes: Any) -> PolicyIndex:
    """Return the built policy with orders naming an application, the cloud's keys to be fetched."""
    return an_index(CLOUD, *rows, cloud=REMOVE, orders={"signing_keys_appid": appid}, **changes)


def judge(token: str, appid: str | None, keys: Keys) -> Decision:
    """Judge a token for orders."""
    return ask(token, an_index_with(appid), keys)


def reason(decision: Decision) -> R | None:
    """Return why it was denied, or None for a grant."""
    return None if isinstance(decision, Granted) else decision.reason


@FORMS
def test_an_applications_key_is_found_where_the_resource_names_it(claims: Any):
    """What was signed with the API's own key is let in by its application id, and unknown without."""
    token = OURS.sign(claims())

    assert reason(judge(token, API_CLIENT_ID, the_keys())) is None
    assert reason(judge(token, None, the_keys())) is R.SIGNING_KEY_UNKNOWN


@FORMS
def test_another_applications_key_is_unknown(claims: Any):
    """The key of another API signs nothing for this one, though it is at hand."""
    assert reason(judge(THEIRS.sign(claims()), API_CLIENT_ID, the_keys())) is R.SIGNING_KEY_UNKNOWN
    assert reason(judge(THEIRS.sign(claims()), None, the_keys())) is R.SIGNING_KEY_UNKNOWN


@FORMS
def test_the_shared_keys_go_on_serving(claims: Any):
    """Tokens signed with the cloud's own keys are let in, the application's document at hand or not."""
    token = cloud_key().sign(claims())
    keys = the_keys()

    assert reason(judge(token, API_CLIENT_ID, keys)) is None
    del keys[OWN]
    assert reason(judge(token, API_CLIENT_ID, keys)) is None


@pytest.mark.threat(18, 19)
@FORMS
@pytest.mark.parametrize("issuer", [REMOVE, v2_issuer(INITECH_TID), "https://login.gov.example/{tenantid}/v2.0"])
def test_an_applications_key_must_say_whose_it_is(claims: Any, issuer: Any):
    """Without an issuer, or with another's, a key of the application's document signs for nobody, in either form."""
    decision = judge(OURS.sign(claims()), API_CLIENT_ID, the_keys(issuer=issuer))

    assert reason(decision) is R.KEY_ISSUER_MISMATCH


@pytest.mark.threat(18)
@FORMS
def test_an_applications_key_set_is_one_v2_document(claims: Any):
    """No v1 document with an appid is ever looked at: its keys would not say whose they are."""
    keys = the_keys()
    keys[KeySetRef("cloud", "v1", API_CLIENT_ID)] = key_set(THEIRS, issuer=REMOVE)

    assert reason(judge(THEIRS.sign(claims()), API_CLIENT_ID, keys)) is R.SIGNING_KEY_UNKNOWN
    assert [ref for ref in keys.seen if ref.appid is not None] == [OWN]


@FORMS
def test_an_unknown_kid_asks_for_the_applications_document_first(claims: Any):
    """It is the one that may bring the key, whether the shared documents are at hand or not."""
    for keys in (the_keys(), Keys({})):
        found = verify(cloud_key().sign(claims(), kid="new"), an_index_with(API_CLIENT_ID), keys, appid=API_CLIENT_ID)

        assert isinstance(found, NeedKeys)
        assert found.ref == OWN


@pytest.mark.parametrize(
    ("ref", "row", "token"),
    [
        pytest.param(
            KeySetRef("oidc"),
            checked(an_oidc_issuer(jwks=REMOVE)),
            lambda: oidc_key().sign(oidc_claims(), kid="new"),
            id="an OIDC issuer",
        ),
        pytest.param(KeySetRef("cloud"), an_entra_issuer(), lambda: OURS.sign(v2_claims()), id="a cloud with keys"),
    ],
)
def test_where_applications_have_no_keys_the_usual_ones_are_asked_for(ref: KeySetRef, row: Any, token: Any):
    """An issuer that knows no such thing is asked as ever, and an unknown kid is the token's fault."""
    index = an_index(row, orders={"signing_keys_appid": API_CLIENT_ID}, **{row.id: REMOVE})
    keys = Keys({ref: build_key_set({"keys": [signer("ES256", "other").jwk(issuer=REMOVE)]}, row)})
    found = verify(token(), index, keys, appid=API_CLIENT_ID)

    assert isinstance(found, NeedKeys)
    assert (found.ref, found.reason) == (ref, R.SIGNING_KEY_UNKNOWN)
