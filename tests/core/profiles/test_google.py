"""Google service accounts: only the listed number comes in, whoever mints a token for our audience."""

from __future__ import annotations

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.oidc import OidcReader
from tenantgate.core.policy import IssuerRow
from tenantgate.core.token import Refused
from tests.core.profiles.made import Made, principal_of

NUMBER = "104400000000000000001"
EMAIL = "nightly-sync@acme-prod.iam.gserviceaccount.com"
GOOGLE = Made(
    profile="google",
    iss="https://accounts.google.com",
    client_id=NUMBER,
    claims={"azp": NUMBER, "email": EMAIL, "email_verified": True, "sub": NUMBER},
)
USER = {
    "sub": NUMBER,
    "azp": "1234567890-abc.apps.googleusercontent.com",
    "email": "somebody@acme.example",
    "hd": "acme.example",
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"email": ..., "email_verified": ...},
        {"azp": EMAIL},
        {"email": "1234567890-compute@developer.gserviceaccount.com"},
    ],
)
def test_a_service_account_comes_in(changes: dict[str, object]):
    """By the metadata server or by the token endpoint, with its address or without."""
    assert principal_of(GOOGLE.ask(GOOGLE.token(**changes))).client_id == NUMBER


def test_another_account_minted_for_our_audience_is_nobody():
    """Anybody may ask Google for a token with our audience in it."""
    other = "104400000000000000002"
    email = "nightly-sync@evil-prod.iam.gserviceaccount.com"

    assert GOOGLE.reason(sub=other, azp=other, email=email) is R.DAEMON_NOT_LISTED


def test_an_account_made_anew_under_the_old_address_is_nobody():
    """A deleted account's address is free again, its number is not."""
    recreated = "104400000000000000003"

    assert GOOGLE.reason(sub=recreated, azp=recreated) is R.DAEMON_NOT_LISTED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (USER, R.NOT_APP_ONLY),
        ({**USER, "hd": ...}, R.NOT_APP_ONLY),
        ({**USER, "hd": ..., "email": ...}, R.NOT_APP_ONLY),
        ({"email": "somebody@acme.example"}, R.NOT_APP_ONLY),
        ({"azp": "somebody@acme.example", "email": "somebody@acme.example"}, R.NOT_APP_ONLY),
        ({"email": "somebody@gserviceaccount.com"}, R.NOT_APP_ONLY),
        ({"email": f"{EMAIL}.evil.example"}, R.NOT_APP_ONLY),
        ({"email": [EMAIL]}, R.NOT_APP_ONLY),
        ({"email_verified": False}, R.NOT_APP_ONLY),
        ({"email_verified": "true"}, R.NOT_APP_ONLY),
        ({"email_verified": ...}, R.NOT_APP_ONLY),
        ({"name": "Somebody"}, R.NOT_APP_ONLY),
        ({"azp": "104400000000000000002"}, R.NOT_APP_ONLY),
        ({"azp": EMAIL, "email": ..., "email_verified": ...}, R.NOT_APP_ONLY),
        ({"azp": ...}, R.CLAIM_MISSING),
        ({"azp": None}, R.CLAIM_MISSING),
        ({"sub": ...}, R.CLAIM_MISSING),
        ({"sub": int(NUMBER)}, R.CLAIM_MALFORMED),
        ({"sub": EMAIL, "azp": EMAIL}, R.CLAIM_MALFORMED),
        ({"sub": "１０４"}, R.CLAIM_MALFORMED),
        ({"at_hash": "opaque"}, R.ID_TOKEN_PRESENTED),
        ({"aud": "https://other.example"}, R.AUDIENCE_MISMATCH),
        ({"iss": "accounts.google.com"}, R.ISSUER_UNKNOWN),
    ],
)
def test_one_spoiled_claim(changes: dict[str, object], reason: R):
    """People, applications, and addresses that only look like a service account's."""
    assert GOOGLE.reason(**changes) is reason


def test_a_pin_does_not_make_a_person_a_service_account():
    """The number is the subject already."""
    decision = GOOGLE.ask(GOOGLE.token(**USER), daemon={"subject": NUMBER})

    assert getattr(decision, "reason", None) is R.NOT_APP_ONLY


def test_a_number_that_is_none_is_shown():
    """A trace says which claim it was, and what stood there."""
    reader = OidcReader(IssuerRow(id="google", kind="oidc", issuer=GOOGLE.iss, profile="google"))

    with pytest.raises(Refused) as caught:
        reader.read({"sub": "nightly", "azp": "nightly", "aud": "a", "iat": 1, "exp": 2, "email_verified": True})

    assert caught.value.detail == "sub is not a string of digits: nightly"
