"""Every route, every issuer, every credential: a yes in the cells that a rule names, a no in all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Granted
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView
from tests.builders import (
    BILLING_CLIENT_ID,
    NOW,
    STRANGE_CLIENT,
    STRANGE_TID,
    b64url,
    cloud_key,
    json_bytes,
    oidc_claims,
    oidc_key,
    oidc_token,
    signer,
    v1_issuer,
    v1_token,
    v2_issuer,
    v2_token,
)
from tests.gate.world import a_view, reason_of

Make = Callable[..., Gate]
ISSUERS = {"v2": v2_token, "v1": v1_token, "oidc": oidc_token}
ROUTES: list[tuple[str, tuple[str, ...]]] = [
    ("orders", ()),
    ("orders", ("Orders.Read",)),
    ("orders", ("Orders.Write",)),
    ("orders", ("Orders.Read", "Orders.Write")),
    ("orders", ("Billing.Read",)),
    ("billing", ()),
    ("billing", ("Billing.Read",)),
    ("billing", ("Orders.Read",)),
    ("nowhere", ()),
]
OPEN = {("orders", ()), ("orders", ("Orders.Read",))}
"""The routes that acme's and globex's daemons may call: one role on one resource."""


def signature_of_nobody(token: str) -> str:
    """Return a token with another signature."""
    return f"{token.rpartition('.')[0]}.{b64url(bytes(256))}"


def unsigned(token: str) -> str:
    """Return a token's claims under `none`, without a signature."""
    return f"{b64url(json_bytes({'alg': 'none'}))}.{token.split('.')[1]}."


def strange(form: str) -> dict[str, Any]:
    """Return the claims of a caller nobody listed."""
    if form == "oidc":
        return {"client_id": "other", "sub": "other"}
    return {"azp" if form == "v2" else "appid": STRANGE_CLIENT}


def unlisted(form: str) -> dict[str, Any]:
    """Return the claims of a tenant, or an issuer, nobody listed."""
    if form == "oidc":
        return {"iss": "https://id.strange.example"}
    return {"iss": (v2_issuer if form == "v2" else v1_issuer)(STRANGE_TID), "tid": STRANGE_TID}


CREDENTIALS: dict[str, Callable[[str], RequestView]] = {
    "good": lambda form: a_view(ISSUERS[form]()),
    "none": lambda form: RequestView("GET", "/", []),
    "empty": lambda form: a_view(""),
    "basic": lambda form: a_view(ISSUERS[form](), scheme=b"Basic "),
    "no scheme": lambda form: a_view(ISSUERS[form](), scheme=b""),
    "twice": lambda form: a_view(ISSUERS[form](), (b"authorization", b"Bearer " + ISSUERS[form]().encode())),
    "elsewhere": lambda form: RequestView("GET", "/", [(b"x-authorization", b"Bearer " + ISSUERS[form]().encode())]),
    "malformed": lambda form: a_view(ISSUERS[form]()[1:]),
    "unsigned": lambda form: a_view(unsigned(ISSUERS[form]())),
    "forged": lambda form: a_view(signature_of_nobody(ISSUERS[form]())),
    "expired": lambda form: a_view(ISSUERS[form](exp=NOW - 61)),
    "of another API": lambda form: a_view(ISSUERS[form](aud="api://other.example")),
    "of a user": lambda form: a_view(ISSUERS[form](upn="somebody")),
    "of a stranger": lambda form: a_view(ISSUERS[form](**strange(form))),
    "of a strange tenant": lambda form: a_view(ISSUERS[form](**unlisted(form))),
    "for billing, without a role": lambda form: a_view(ISSUERS[form](aud=BILLING_CLIENT_ID)),
}


@pytest.mark.threat(25)
@pytest.mark.parametrize("form", ISSUERS)
@pytest.mark.parametrize(("resource", "roles"), ROUTES, ids=[f"{name} {','.join(roles)}" for name, roles in ROUTES])
def test_only_the_good_credential_opens_only_its_routes(
    make: Make, form: str, resource: str, roles: tuple[str, ...]
) -> None:
    """No credential is passed over, none is optional, and what one issuer's rule lets in no other route inherits."""
    gate = make(resource=resource)
    granted = {name for name, view in CREDENTIALS.items() if isinstance(gate.decide(view(form), roles), Granted)}

    assert granted == ({"good"} if (resource, roles) in OPEN else set())


@pytest.mark.threat(25)
@pytest.mark.parametrize("form", ISSUERS)
def test_what_one_issuers_rule_refuses_is_not_offered_to_the_next(make: Make, form: str) -> None:
    """With several issuers configured, a key of another one does not verify, and an issuer of nobody's has no rule."""
    gate = make()
    other = oidc_key() if form != "oidc" else cloud_key()
    signed = ISSUERS[form]().rpartition(".")[0]
    crossed = gate.decide(a_view(f"{signed}.{b64url(other.signature(signed.encode()))}"))
    claims = oidc_claims(iss="https://id.strange.example")
    outside = {gate.decide(a_view(key.sign(claims))) for key in (oidc_key(), cloud_key(), signer("RS256", "outside"))}

    assert reason_of(crossed) is R.SIGNATURE_INVALID
    assert {reason_of(each) for each in outside} == {R.ISSUER_UNKNOWN}
