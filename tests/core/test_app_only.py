"""The two readings of "no user stands behind this token": its own proof, and what the policy may vouch for."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.app_only import AppOnly, read_entra_app_only
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.oidc import OidcReader
from tenantgate.core.policy import IssuerRow, PolicyError
from tenantgate.core.strict import guid_bytes
from tests.builders import ACME_OID

READER = OidcReader(IssuerRow(id="oidc", kind="oidc", issuer="https://id.example"))
OID = guid_bytes(ACME_OID) or b""


def oidc(sub: str = "nightly", **payload: Any) -> AppOnly:
    """Read the payload of another issuer's token of the client `nightly`."""
    whole = {"client_id": "nightly", "sub": sub, "aud": "a", "iat": 1, "exp": 2, **payload}
    return READER.read(whole).caller.app_only


def entra(sub: str = ACME_OID, **payload: Any) -> AppOnly:
    """Read the payload of an Entra token."""
    return read_entra_app_only(payload, sub, OID)


@pytest.mark.parametrize("typ", ["ID", "Refresh", "", 7, ["Bearer"]])
def test_another_kind_of_token_is_never_vouched_for(typ: object):
    """A pinned subject says whose token it is, not what kind."""
    assert oidc(typ=typ) == AppOnly(R.TOKEN_TYPE_NOT_ALLOWED, R.TOKEN_TYPE_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"token_use": "id"}, R.ID_TOKEN_PRESENTED),
        ({"token_use": None}, R.ID_TOKEN_PRESENTED),
        ({"nonce": "n"}, R.ID_TOKEN_PRESENTED),
        ({"events": {}}, R.TOKEN_TYPE_NOT_ALLOWED),
        ({"act": {}}, R.NOT_APP_ONLY),
        ({"email": "a@b.example"}, R.NOT_APP_ONLY),
        ({"sid": "s"}, R.NOT_APP_ONLY),
    ],
)
def test_a_users_mark_is_never_vouched_for(payload: dict[str, Any], reason: R):
    """Neither the form of the token nor a pinned subject outweighs it."""
    assert oidc(**payload) == AppOnly(reason, reason)


@pytest.mark.parametrize(
    ("sub", "payload"),
    [
        ("nightly", {}),
        ("nightly@clients", {}),
        ("7", {"gty": "client-credentials"}),
        ("nightly", {"typ": "Bearer", "token_use": "access"}),
        ("nightly", {"typ": "JWT"}),
        ("nightly", {"typ": "AT+JWT"}),
    ],
)
def test_the_forms_of_client_credentials_are_proof(sub: str, payload: dict[str, Any]):
    """RFC 9068's, Auth0's and Keycloak's way to say that the client speaks for itself."""
    assert oidc(sub, **payload) == AppOnly(None, None)


@pytest.mark.parametrize("sub", ["Nightly", "nightly@client", "@clients", "service-account-nightly", "nightl"])
def test_any_other_subject_needs_a_pin(sub: str):
    """What merely looks like the client is nobody's proof; an operator may vouch for it."""
    assert oidc(sub) == AppOnly(R.NOT_APP_ONLY, None)


@pytest.mark.parametrize("numbers", ["7" * 19, "7 x", [7, "1 3"], [7, 7.0], [7, True], 7.0, True, None, {}, -7, ["-7"]])
@pytest.mark.parametrize("claim", ["xms_idrel", "xms_act_fct", "xms_sub_fct"])
def test_numbers_that_cannot_be_read_refuse(claim: str, numbers: object):
    """Nobody knows what they forbid."""
    assert entra(idtyp="app", **{claim: numbers}) == AppOnly(R.CLAIM_MALFORMED, R.CLAIM_MALFORMED)


@pytest.mark.parametrize("numbers", ["7", "07", "1 7", [7], ["7"], [7, "1"], 7, "33", "7 " + "1" * 18])
def test_numbers_that_say_service_principal_pass(numbers: object):
    """7 and 33 are service principals, in each of the three spellings, up to 18 digits."""
    assert entra(idtyp="app", xms_idrel=numbers) == AppOnly(None, None)


def test_what_a_trace_says_of_a_caller_is_bounded_to_the_letter():
    """Three hundred characters are said whole; of one more, the first 299 and that more was there."""
    payload = {"typ": "t" * 100, "gty": "g" * 84}
    whole = f"sub {'s' * 100}, typ {'t' * 100}, gty {'g' * 84}"

    assert len(whole) == 300
    assert READER.told(payload, "s" * 100) == whole
    assert READER.told(payload | {"gty": "g" * 85}, "s" * 100) == whole[:299] + "…"


def test_roles_in_one_text_are_parted_by_blanks_alone():
    """RFC 6749 §3.3 knows no other: what a tab joins is one word, and not the role before the tab."""
    reader = OidcReader(IssuerRow(id="oidc", kind="oidc", issuer="https://id.example", roles_claim="roles"))
    payload = {"client_id": "nightly", "sub": "nightly", "aud": "a", "iat": 1, "exp": 2}

    assert reader.read(payload | {"roles": "Read  Write\tAll"}).roles == ("Read", "Write\tAll")


@pytest.mark.parametrize("member", ["client_id_claim", "roles_claim"])
def test_a_place_that_cannot_be_read_is_named(member: str):
    """A row that came past the rules is refused by its reader, by the member's name."""
    row = IssuerRow(id="oidc", kind="oidc", issuer="https://id.example", **{member: "/a//b"})

    with pytest.raises(PolicyError) as caught:
        OidcReader(row)

    assert (caught.value.code, caught.value.path) == ("pointer_malformed", member)
