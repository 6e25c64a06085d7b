"""What a check does not know it refuses: one unheard-of value for every step, and none that is passed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from msgspec.structs import replace

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import CHECKS, judge
from tenantgate.core.keys import MalformedKeySet, StaticKeys, Unusable, build_key_set, parse_jwk
from tenantgate.core.policy import PolicyError, PolicySnapshot, RequiredClaim, RowData
from tenantgate.core.rules import check_row
from tenantgate.core.trace import explain
from tenantgate.core.verify import STEPS, Verified, verify
from tests.builders import (
    NOW,
    V2_TEMPLATE,
    an_index,
    an_oidc_issuer,
    ask,
    b64url,
    cloud_key,
    oidc_claims,
    oidc_key,
    oidc_token,
    policy_rows,
    static_keys,
    unchanged_index,
    v2_claims,
    v2_issuer,
    v2_token,
)


def header(**changes: Any) -> str:
    """Return acme's token under a changed header."""
    return cloud_key().sign(v2_claims(), **changes)


def other_signature() -> str:
    """Return acme's token with bytes for a signature."""
    return f"{v2_token().rpartition('.')[0]}.{b64url(b'unheard of' * 25)}"


UNHEARD_OF: dict[str, list[tuple[Callable[[], str], dict[str, Any]]]] = {
    "form": [(lambda alg=alg: header(alg=alg), {}) for alg in ("RS257", "ES256K", "HS1024", "rs256", "X25519")],
    "issuer": [(lambda: v2_token(iss="urn:unheard:of"), {})],
    "tid": [(lambda tid=tid: v2_token(tid=tid), {}) for tid in ("unheard", "common", "{tenantid}")],
    "version": [(lambda ver=ver: v2_token(ver=ver), {}) for ver in ("3.0", "2.1", "v2", "")],
    "type": [(lambda typ=typ: header(typ=typ), {}) for typ in ("unheard+jwt", "at+jwt2", "JWS", "application/json")],
    "key": [(lambda: header(kid="unheard-of"), {})],
    "algorithm": [(lambda alg=alg: header(alg=alg), {}) for alg in ("PS256", "ES256", "EdDSA", "RS512")],
    "binding": [
        (v2_token, {"cloud": {"jwks": {"keys": [cloud_key().jwk(issuer=issuer)]}}})
        for issuer in (V2_TEMPLATE.replace("tenantid", "unheardof"), "urn:unheard:of", "*")
    ],
    "signature": [(other_signature, {})],
    "claims": [(lambda value=value: v2_token(azpacr=value), {}) for value in ("3", "unheard", "10")],
    "audience": [(lambda: v2_token(aud="urn:unheard:of"), {})],
    "lifetime": [(lambda: v2_token(exp=2**53), {})],
    "confirmation": [(lambda: v2_token(cnf={"unheard": "of"}), {})],
    "app-only": [
        *[(lambda value=value: v2_token(idtyp=value), {}) for value in ("unheard", "app2", "service")],
        *[(lambda value=value: v2_token(xms_idrel=value), {}) for value in ("99", "0")],
        *[(lambda value=value: oidc_token(typ=value), {}) for value in ("Unheard", "Bearer2")],
        (lambda: oidc_token(token_use="unheard"), {}),
        (lambda: oidc_token(sub="somebody", gty="unheard"), {}),
    ],
    "tenant": [(v2_token, {"acme_tenant": {"state": "unheard"}})],
    "partner": [(v2_token, {"acme": {"state": "unheard"}})],
    "daemon": [(v2_token, {"acme_daemon": {"state": "unheard"}})],
    "pin": [(oidc_token, {"globex_daemon": {"subject": "unheard"}})],
    "strength": [(lambda: v2_token(azpacr=...), {"acme_daemon": {"min_credential": "secret"}})],
    "resource's strength": [(lambda: v2_token(azpacr=...), {"orders": {"min_credential": "secret"}})],
    "resource's issuers": [(v2_token, {"orders": {"issuers": ("unheard-of",)}})],
    "resource's clients": [(v2_token, {"orders": {"clients": ("unheard-of",)}})],
    "token version": [(v2_token, {"orders": {"token_versions": ("9.0",)}})],
    "required claims": [(v2_token, {"orders": {"required_claims": (RequiredClaim(claim="unheard-of"),)}})],
    "address": [(v2_token, {"orders": {"addresses": ("192.0.2.0/24",)}})],
    "agent": [(lambda: v2_token(xms_sub_fct="11"), {})],
    "roles": [(v2_token, {"acme_reads": {"app_role": "unheard"}})],
}
"""By the name of the step that must refuse: a token and the change of the policy. Most were never seen anywhere."""

WITHOUT_VALUES = {"policy", "strict form", "expiry", "begin", "issuer in force"}
"""Steps that read no value somebody chose: tested below by what they read instead."""


@pytest.mark.threat(24)
@pytest.mark.parametrize(
    ("step", "number"),
    [pytest.param(name, n, id=f"{name} {n}") for name, rows in UNHEARD_OF.items() for n in range(len(rows))],
)
def test_an_unheard_of_value_is_refused_by_its_step(step: str, number: int) -> None:
    """Nothing falls through a list of known values into a yes: the step that reads it is the one that refuses."""
    token, world = UNHEARD_OF[step][number]
    index = an_index(**world)
    trace = explain(token(), index, static_keys(index), "orders", (), NOW)

    assert isinstance(decide(token(), index, static_keys(index), "orders", (), NOW), Denied)
    assert (trace.steps[-1].name, trace.steps[-1].passed) == (step, False)


@pytest.mark.threat(24)
def test_every_step_has_an_unheard_of_value() -> None:
    """A step that is added stands in the table above, or this fails."""
    assert {step.name for step in STEPS} | {
        line.name for check in CHECKS for line in check.lines
    } == UNHEARD_OF.keys() | WITHOUT_VALUES


@pytest.mark.threat(24)
@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf"), -1.0, 1e300])
def test_a_clock_that_makes_no_sense_lets_nobody_in(now: float) -> None:
    """Comparisons with it are false, and false is a no in each of them."""
    decision = ask(v2_token(nbf=...), now=now)

    assert isinstance(decision, Denied)
    assert decision.reason in {R.TOKEN_EXPIRED, R.TOKEN_ISSUED_IN_FUTURE, R.TOKEN_NOT_YET_VALID}


@pytest.mark.threat(24)
def test_a_policy_that_does_not_know_who_signed_lets_nobody_in() -> None:
    """A broken policy, no policy, and a policy that lost the issuer after the token was verified."""
    broken = an_index()
    broken.broken = True
    verified = verify(v2_token(), unchanged_index(), static_keys())
    assert isinstance(verified, Verified)
    gone = an_index(cloud=..., acme_tenant=..., initech_tenant=..., home=..., acme_daemon=..., acme_second=...,
                    initech_daemon=..., home_daemon=..., acme_reads=..., initech_reads=..., home_reads=...)  # fmt: skip

    for index, reason in ((broken, R.POLICY_UNAVAILABLE), (gone, R.ISSUER_UNKNOWN)):
        judged = judge(verified.claims, index, "orders", (), NOW)
        assert isinstance(judged, Denied)
        assert judged.reason is reason
        assert isinstance(ask(v2_token(), index), Denied)


NAMED = [
    pytest.param(row, name, id=f"{type(row).__name__} {name}")
    for row in {type(row): row for row in policy_rows()}.values()
    for name, hint in get_type_hints(type(row)).items()
    if get_origin(hint) is Literal
]


@pytest.mark.threat(24)
@pytest.mark.parametrize(("row", "name"), NAMED)
@pytest.mark.parametrize("change", [str.upper, lambda value: value + " ", lambda value: "", lambda value: "unheard"])
def test_a_word_of_the_policy_that_nobody_knows_is_no_policy(row: RowData, name: str, change: Any) -> None:
    """A state, strength or rule beside the named ones is refused when it is written, not passed over later."""
    known = get_args(get_type_hints(type(row))[name])
    for word in {change(each) for each in known}:
        with pytest.raises(PolicyError) as caught:
            check_row(replace(row, **{name: word}))
        assert (caught.value.code, caught.value.path) == ("value_unknown", name)


@pytest.mark.threat(24)
@pytest.mark.parametrize(
    "changes",
    [{"kty": "AKP"}, {"kty": "unheard"}, {"crv": "P-257"}, {"crv": "X25519"}, {"alg": "ES257"}, {"use": "unheard"},
     {"key_ops": ["unheard"]}, {"alg": "ML-DSA-44"}],
)  # fmt: skip
def test_a_key_of_a_kind_nobody_knows_is_no_key(changes: dict[str, Any]) -> None:
    """An unknown type, curve, algorithm or purpose drops the key: none falls back to what it might have meant."""
    with pytest.raises(Unusable):
        parse_jwk(oidc_key().jwk(**changes), an_oidc_issuer())


@pytest.mark.threat(14)
@pytest.mark.parametrize("length", [0, 1, 31, 32, 64, 512])
def test_a_shared_secret_is_no_key_however_long(length: int) -> None:
    """Empty, short or long enough: no symmetric key is taken from a policy or an issuer, alone or among others."""
    secret = {"kty": "oct", "kid": "secret", "alg": "HS256", "use": "sig", "k": b64url(b"s" * length)}
    row = an_oidc_issuer(jwks={"keys": [secret]})
    with pytest.raises(MalformedKeySet, match="symmetric key"):
        StaticKeys([row])

    both = build_key_set({"keys": [secret, oidc_key().jwk()]}, an_oidc_issuer())
    assert list(both.keys) == [oidc_key().kid]
    token = oidc_key().sign(oidc_claims(), alg="HS256", kid="secret")
    assert isinstance(ask(token, oidc={"jwks": {"keys": [secret, oidc_key().jwk()]}}), Denied)


@pytest.mark.threat(14)
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512", "none"])
def test_no_public_key_is_bound_to_a_symmetric_algorithm(alg: str) -> None:
    """An issuer that publishes `alg` HS256 with a public key offers that key as everybody's secret: it is dropped."""
    for key in (oidc_key(), cloud_key()):
        with pytest.raises(Unusable, match="does not fit the key"):
            parse_jwk(key.jwk(alg=alg), an_oidc_issuer())


@pytest.mark.threat(25)
def test_an_empty_policy_knows_nobody() -> None:
    """Without rows nothing matches, and what nothing matches is refused; no rule is no leave to pass."""
    empty = PolicyIndex.from_snapshot(PolicySnapshot(epoch="e", revision=1, rows=()))
    for token in (v2_token(), oidc_token(), v2_token(iss=v2_issuer("common")), "", "."):
        decision = decide(token, empty, StaticKeys([]), "orders", (), NOW)
        assert isinstance(decision, Denied)
    assert isinstance(ask(v2_token()), Granted)
