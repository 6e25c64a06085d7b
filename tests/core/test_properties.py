"""Whatever is sent, signed or configured, a judgement ends in a decision."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.trace import explain
from tests.builders import (
    ACME_CLIENT,
    ACME_OID,
    ACME_TID,
    API_CLIENT_ID,
    API_URI,
    GLOBEX_CLIENT,
    INITECH_TID,
    NOW,
    OIDC_ISSUER,
    STRANGE_TID,
    V2_TEMPLATE,
    Signer,
    b64url,
    changed,
    json_bytes,
    oidc_claims,
    oidc_key,
    signer,
    static_keys,
    unchanged_index,
    v1_claims,
    v1_issuer,
    v2_claims,
    v2_issuer,
)
from tests.builders import an_index as a_fresh_index


def fast_key() -> Signer:
    """Return a key that signs in microseconds, published in every document of the fast world."""
    return signer("EdDSA", "fast")


FAST = a_fresh_index(
    cloud={
        "jwks": {"keys": [fast_key().jwk(issuer=V2_TEMPLATE)]},
        "v1_jwks": {"keys": [fast_key().jwk()]},
    },
    oidc={"jwks": {"keys": [fast_key().jwk()]}},
)
FAST_KEYS = static_keys(FAST)

WORDS = st.sampled_from(
    [
        ACME_TID, ACME_TID.upper(), INITECH_TID, STRANGE_TID, ACME_CLIENT, ACME_OID, API_CLIENT_ID, API_URI,
        GLOBEX_CLIENT, OIDC_ISSUER, v2_issuer(ACME_TID), v1_issuer(ACME_TID), v2_issuer(STRANGE_TID), "1.0", "2.0",
        "app", "user", "0", "1", "2", "7", "7 28", "13", "", "{tenantid}", "Orders.Read", "Orders.Write", "\x00",
        "\u202e", "client-credentials",
    ]
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, NOW, NOW + 61, 2**53, 2**64, 10**40]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(WORDS, st.text(max_size=4)), inner, max_size=3)
    ),
    max_leaves=8,
)
HEADER_NAMES = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5t", "enc", "nonce"])
CLAIM_NAMES = sorted(
    {*v2_claims(), *v1_claims(), *oidc_claims(), "nonce", "cnf", "scp", "act", "events", "typ", "token_use", "gty",
     "azp", "xms_idrel", "xms_act_fct", "xms_sub_fct", "preferred_username", "TID", "sid"}
)  # fmt: skip
CHANGES = st.dictionaries(st.sampled_from(CLAIM_NAMES), st.one_of(JSON, st.just(...)), max_size=4)
BASES = st.sampled_from([v2_claims, v1_claims, oidc_claims])


def judged(token: str | bytes) -> Granted | Denied:
    """Judge a token in the fast world, and see that the explanation agrees."""
    decision = decide(token, FAST, FAST_KEYS, "orders", (), NOW)
    assert isinstance(decision, Granted | Denied)
    trace = explain(token, FAST, FAST_KEYS, "orders", (), NOW)
    assert trace.reason is (decision.reason if isinstance(decision, Denied) else None)
    if isinstance(decision, Denied):
        assert len(decision.detail) < 1_000
        assert decision.detail.replace("…", "").isascii()
    return decision


@given(
    st.one_of(st.text(), st.binary(), st.from_regex(r"[A-Za-z0-9_=-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
)
@example("..")
@example(b"\xff.\xff.\xff")
@example("\ud800")
@example("é.é.é")
def test_any_text_or_bytes_end_in_a_refusal(token: str | bytes) -> None:
    """Whatever arrives, it is refused as a form that no token has."""
    decision = judged(token)

    assert isinstance(decision, Denied)
    assert decision.reason in (R.TOKEN_MALFORMED, R.TOKEN_ENCRYPTED, R.TOKEN_TOO_LARGE)


@given(st.binary(max_size=120), st.binary(max_size=120), st.binary(max_size=70))
def test_any_bytes_in_three_parts_end_in_a_refusal(header: bytes, payload: bytes, signature: bytes) -> None:
    """Three parts of anything are no token either."""
    decision = judged(".".join(map(b64url, (header, payload, signature))))

    assert isinstance(decision, Denied)


@given(BASES, CHANGES)
def test_any_signed_claims_end_in_a_decision(base: Any, changes: dict[str, Any]) -> None:
    """Whatever an issuer signs, the answer is a decision, and only the listed daemon of its own tenant is let in."""
    claims = changed(base(), changes)
    decision = judged(fast_key().sign(claims))

    if isinstance(decision, Granted):
        assert_rightly_granted(claims, decision)


def assert_rightly_granted(claims: dict[str, Any], decision: Granted) -> None:
    """An independent, short reading of what a grant needs: issuer, tenant, client, audience, time, no user's mark."""
    entra = claims["iss"] != OIDC_ISSUER
    client = (
        claims["azp" if claims.get("ver") == "2.0" else "appid"] if entra else claims.get("client_id") or claims["azp"]
    )
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    assert {API_CLIENT_ID, API_URI} & set(audiences)
    assert claims["exp"] > NOW - 60
    assert claims["iat"] <= NOW + 60 >= claims.get("nbf", 0)
    assert claims["exp"] - claims["iat"] <= 86_400 + 300
    assert not {"nonce", "cnf", "events", "act"} & set(claims)
    if not entra:
        assert (client, decision.principal.partner) == (GLOBEX_CLIENT, "globex")
        assert "sid" not in claims
        assert claims.get("typ", "Bearer") in (None, "Bearer", "JWT", "at+jwt")
        return
    tid, (prefix, suffix) = (
        claims["tid"],
        (V2_TEMPLATE if claims["ver"] == "2.0" else v1_issuer("{tenantid}")).split("{tenantid}"),
    )
    assert claims["iss"] == f"{prefix}{tid}{suffix}"
    assert tid.lower() in (ACME_TID, INITECH_TID)
    assert (tid.lower(), client.lower()) == (ACME_TID, ACME_CLIENT)
    assert claims["idtyp"] == "app"
    assert decision.principal.partner == "acme"


@given(st.dictionaries(st.one_of(HEADER_NAMES, st.text(max_size=5)), JSON, max_size=4))
def test_any_header_ends_in_a_decision(changes: dict[str, Any]) -> None:
    """Whatever a header says, the answer is a decision; a grant means that alg and key are the true ones."""
    header = {"typ": "JWT", "alg": "EdDSA", "kid": fast_key().kid, **changes}
    decision = judged(fast_key().sign(v2_claims(), header))

    if isinstance(decision, Granted):
        assert header["alg"] == "EdDSA"
        assert header["kid"] in (fast_key().kid, None)
        assert not {"crit", "b64", "jwk", "enc", "nonce"} & set(header)


@given(st.binary(min_size=1, max_size=3), st.integers(min_value=0))
def test_any_change_of_the_payloads_bytes_ends_in_a_decision(spoil: bytes, place: int) -> None:
    """Bytes spoiled before signing: strict JSON or a refusal, never a crash."""
    payload = json_bytes(v2_claims())
    place %= len(payload)
    decision = judged(fast_key().sign(payload[:place] + spoil + payload[place + len(spoil) :]))

    assert isinstance(decision, Granted | Denied)


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_any_flipped_bit_is_refused(place: int, bit: int) -> None:
    """One bit changed after signing takes the grant away."""
    token = bytearray(fast_key().sign(v2_claims()).encode())
    token[place % len(token)] ^= 1 << bit

    assert isinstance(judged(bytes(token)), Denied)


@given(BASES, st.one_of(st.integers(), st.floats()))
def test_any_clock_ends_in_a_decision(base: Any, now: float) -> None:
    """Even a clock that says NaN: only the token's own hour grants."""
    decision = decide(fast_key().sign(base()), FAST, FAST_KEYS, "orders", (), now)

    assert isinstance(decision, Granted) is (base()["iat"] - 60 <= now < base()["exp"] + 60)


@settings(max_examples=30)
@given(BASES, CHANGES)
def test_nothing_is_granted_without_its_signature(base: Any, changes: dict[str, Any]) -> None:
    """No claims whatsoever make a stranger's signature good."""
    stranger = Signer("EdDSA", signer("EdDSA", "stranger").private, fast_key().kid)

    assert isinstance(judged(stranger.sign(changed(base(), changes))), Denied)


def test_the_fast_world_grants() -> None:
    """The properties above start from tokens that are let in."""
    for base in (v2_claims, v1_claims, oidc_claims):
        assert isinstance(judged(fast_key().sign(base())), Granted)
    assert isinstance(
        decide(oidc_key().sign(oidc_claims()), unchanged_index(), static_keys(), "orders", (), NOW), Granted
    )
