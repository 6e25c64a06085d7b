"""Forged tokens of the recorded issuers: each names a real issuer and a real key, and somebody else signed it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import VerifyKey, build_key_set
from tenantgate.core.policy import DaemonRow, IssuerRow, RoleAssignmentRow, TenantRow
from tests.builders import ACME_CLIENT, ACME_TID, GLOBEX_CLIENT, Signer, an_index, ask, oidc_claims, signer, v2_claims
from tests.discovery.test_recorded_issuers import CONSUMER_KIDS, ISSUERS, recorded, row_of

pytestmark = pytest.mark.vectors


def world_of(row: IssuerRow) -> PolicyIndex:
    """Return the built policy with one tenant and its daemon at this issuer, holding the role asked for."""
    entra = row.kind == "entra"
    return an_index(
        row,
        TenantRow(id="there", issuer=row.id, partner="acme", tid=ACME_TID if entra else None),
        DaemonRow(id="theirs", tenant="there", client_id=ACME_CLIENT if entra else GLOBEX_CLIENT),
        RoleAssignmentRow(id="theirs_reads", app_role="orders_read", daemon="theirs"),
    )


def claims_of(row: IssuerRow) -> dict[str, Any]:
    """Return the claims of that daemon, as the issuer would sign them."""
    if row.kind == "entra":
        assert row.v2_issuer is not None
        return v2_claims(iss=row.v2_issuer.replace("{tenantid}", ACME_TID))
    return oidc_claims(iss=row.issuer)


def forger(key: VerifyKey) -> Signer:
    """Return a key of our own that signs as the recorded one would, under its name."""
    family = "RS256" if key.alg[0] in "RP" else key.alg
    return Signer(key.alg, signer(family, "forger").private, key.kid)


def keys_of(name: str) -> Iterator[tuple[IssuerRow, VerifyKey]]:
    """Yield each usable recorded key of an issuer, with the issuer's row that carries all of them."""
    row = replace(row_of(name), jwks=recorded(name)[3])
    for key in build_key_set(recorded(name)[3], row).keys.values():
        yield row, key


@pytest.mark.threat(20)
@pytest.mark.parametrize("name", ISSUERS)
def test_a_token_signed_by_another_key_is_refused(name: str) -> None:
    """The right issuer, kid and algorithm, every claim in order, and not the recorded key's signature."""
    for row, key in keys_of(name):
        decision = ask(forger(key).sign(claims_of(row)), world_of(row))
        assert isinstance(decision, Denied)
        consumers = key.kid in CONSUMER_KIDS and name.startswith("entra")
        assert decision.reason is (R.KEY_ISSUER_MISMATCH if consumers else R.SIGNATURE_INVALID), key.kid


@pytest.mark.parametrize("name", ISSUERS)
def test_the_same_token_is_granted_where_its_key_is_published(name: str) -> None:
    """Nothing but the signature was wrong: with the forger's key in the recorded one's place the token is let in."""
    for row, key in keys_of(name):
        ours = forger(key).jwk(alg=key.alg, issuer=... if row.kind == "oidc" else row.v2_issuer)
        others = [jwk for jwk in recorded(name)[3]["keys"] if jwk["kid"] != key.kid]
        changed = replace(row, jwks={"keys": [*others, ours]})
        assert isinstance(ask(forger(key).sign(claims_of(row)), world_of(changed)), Granted), key.kid


@pytest.mark.parametrize("name", ISSUERS)
def test_a_key_the_issuer_never_had_is_unknown(name: str) -> None:
    """A kid that the recorded set lacks, or has and is not used for, is no key, whoever signed."""
    row, key = next(iter(keys_of(name)))
    dropped = [jwk["kid"] for jwk in recorded(name)[3]["keys"] if jwk["kid"] not in {k.kid for _, k in keys_of(name)}]
    for kid in ("nobody", *dropped):
        decision = ask(forger(key).sign(claims_of(row), kid=kid), world_of(row))
        assert isinstance(decision, Denied)
        assert decision.reason is R.SIGNING_KEY_UNKNOWN, kid
