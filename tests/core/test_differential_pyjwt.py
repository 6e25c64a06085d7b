"""Beside PyJWT: what it refuses is never granted here, and what we refuse beyond it is listed by reason."""

from __future__ import annotations

import datetime
import json
import random
from collections import Counter
from typing import Any

import jwt
import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tests.builders import (
    ACME_TID,
    API_CLIENT_ID,
    API_URI,
    EXPIRES_AT,
    INITECH_TID,
    ISSUED_AT,
    NOW,
    OIDC_ISSUER,
    STRANGE_CLIENT,
    STRANGE_TID,
    Signer,
    ask,
    b64url,
    changed,
    cloud_key,
    json_bytes,
    oidc_claims,
    oidc_key,
    signer,
    v1_claims,
    v1_issuer,
    v2_claims,
    v2_issuer,
)

TOKENS = 400
REFUSALS = (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError)


@pytest.fixture(autouse=True)
def _frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyJWT asks the wall clock; here it is the moment of the world."""

    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Frozen:
            return cls.fromtimestamp(NOW, tz)

    monkeypatch.setattr("jwt.api_jwt.datetime", Frozen)


class Form:
    """One form of token: its claims, its key, and the `iss` that PyJWT is told to expect."""

    def __init__(self, claims: Any, key: Signer, issuer: str) -> None:
        self.claims, self.key, self.issuer = claims, key, issuer

    def pyjwt_accepts(self, token: str) -> bool:
        """Whether PyJWT, told everything it can be told, accepts a token."""
        key = jwt.PyJWK(self.key.jwk(alg=self.key.alg))
        try:
            jwt.decode(
                token,
                key,
                algorithms=[self.key.alg],
                audience=[API_CLIENT_ID, API_URI],
                issuer=self.issuer,
                leeway=60,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except REFUSALS:
            return False
        return True


def forms() -> dict[str, Form]:
    """Return the three forms of token."""
    return {
        "v2": Form(v2_claims, cloud_key(), v2_issuer(ACME_TID)),
        "v1": Form(v1_claims, cloud_key(), v1_issuer(ACME_TID)),
        "oidc": Form(oidc_claims, oidc_key(), OIDC_ISSUER),
    }


VALUES: list[Any] = [
    ..., None, True, 0, -1, 1.5, NOW, NOW - 59, NOW - 61, NOW + 59, NOW + 61, EXPIRES_AT, ISSUED_AT, 2**53 + 1, 10**30,
    "", str(EXPIRES_AT), "x", "app", "user", "1.0", "2.0", API_URI, API_CLIENT_ID, [API_URI], [], ["x"],
    [API_URI, "x"], [[API_URI]], {"a": 1}, ACME_TID, INITECH_TID, STRANGE_TID, STRANGE_CLIENT, OIDC_ISSUER,
    v2_issuer(ACME_TID), v1_issuer(ACME_TID), v2_issuer(STRANGE_TID), [v2_issuer(ACME_TID)], "\x00", "e\u0301",
]  # fmt: skip
NAMES = [
    "iss", "aud", "exp", "iat", "nbf", "sub", "tid", "ver", "azp", "appid", "client_id", "oid", "idtyp", "roles",
    "nonce", "cnf", "scp", "jti", "xms_idrel", "typ",
]  # fmt: skip
HEADERS: list[dict[str, Any]] = [
    {}, {}, {}, {}, {"alg": "none"}, {"alg": "HS256"}, {"alg": "RS512"}, {"alg": ...}, {"kid": "x"}, {"kid": ...},
    {"typ": ...}, {"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"crit": ["x"]}, {"b64": False}, {"jwk": {}},
    {"x5t": "x"}, {"zip": "DEF"}, {"extra": 1},
]  # fmt: skip


def generated() -> list[tuple[str, str]]:
    """Return form and token, many times: a sound token with up to two claims and one header member changed."""
    chance = random.Random(20260101)
    found = []
    for _ in range(TOKENS):
        name, form = chance.choice(list(forms().items()))
        claims = changed(
            form.claims(), {chance.choice(NAMES): chance.choice(VALUES) for _ in range(chance.randrange(3))}
        )
        key = chance.choice([form.key] * 6 + [signer("RS256", "stranger"), signer("ES256", "stranger")])
        token = key.sign(claims, **{"kid": form.key.kid, **chance.choice(HEADERS)})
        spoil = chance.randrange(12)
        token = token + "=" if spoil == 0 else token[:-1] + "A" if spoil == 1 else token
        found.append((name, token))
    return found


def test_what_pyjwt_refuses_is_never_granted() -> None:
    """Good and spoiled tokens by the hundred: our yes is a subset of PyJWT's."""
    seen: Counter[tuple[bool, bool]] = Counter()
    for name, token in generated():
        theirs, ours = forms()[name].pyjwt_accepts(token), isinstance(ask(token), Granted)
        assert theirs or not ours, f"{name}: PyJWT refuses what we grant: {token}"
        seen[theirs, ours] += 1

    # The comparison says something only if it saw both yes, both no, and our stricter no.
    assert min(seen[True, True], seen[False, False], seen[True, False]) >= 40


BEYOND = [
    ("duplicate member", R.TOKEN_MALFORMED, lambda k, c: k.sign(json_bytes(c)[:-1] + b',"exp":1800003900}')),
    ("byte-order mark", R.TOKEN_MALFORMED, lambda k, c: k.sign(json_bytes(c).decode().encode("utf-8-sig"))),
    ("UTF-16", R.TOKEN_MALFORMED, lambda k, c: k.sign(json_bytes(c).decode().encode("utf-16"))),
    ("NaN in a claim", R.TOKEN_MALFORMED, lambda k, c: k.sign({**c, "n": float("nan")})),
    ("lone surrogate", R.TOKEN_MALFORMED, lambda k, c: k.sign(json_bytes(c)[:-1] + b',"n":"\\ud800"}')),
    ("depth 17", R.TOKEN_MALFORMED, lambda k, c: k.sign({**c, "n": json.loads("[" * 16 + "]" * 16)})),
    ("padded signature", R.TOKEN_MALFORMED, lambda k, c: k.sign(c) + "=="),
    ("20 KB", R.TOKEN_TOO_LARGE, lambda k, c: k.sign({**c, "pad": "x" * 20_000})),
    ("jwk in the header", R.HEADER_NOT_ALLOWED, lambda k, c: k.sign(c, jwk=k.jwk())),
    ("jku in the header", R.HEADER_NOT_ALLOWED, lambda k, c: k.sign(c, jku="https://keys.example")),
    ("x5c in the header", R.HEADER_NOT_ALLOWED, lambda k, c: k.sign(c, x5c=["AAAA"])),
    ("zip in the header", R.HEADER_NOT_ALLOWED, lambda k, c: k.sign(c, zip="DEF")),
    ("kid of 1 KB", R.HEADER_NOT_ALLOWED, lambda k, c: k.sign(c, kid="x" * 1_000)),
    ("logout token", R.TOKEN_TYPE_NOT_ALLOWED, lambda k, c: k.sign(c, typ="logout+jwt")),
    ("ID token", R.ID_TOKEN_PRESENTED, lambda k, c: k.sign({**c, "nonce": "x"})),
    ("kid unknown", R.SIGNING_KEY_UNKNOWN, lambda k, c: k.sign(c, kid="x")),
    ("exp as text", R.CLAIM_MALFORMED, lambda k, c: k.sign({**c, "exp": str(EXPIRES_AT)})),
    ("exp in Arabic digits", R.CLAIM_MALFORMED, lambda k, c: k.sign({**c, "exp": "١٨٠٠٠٠٣٩٠٠"})),
    ("exp 10^30", R.CLAIM_MALFORMED, lambda k, c: k.sign({**c, "exp": 10**30})),
    ("NUL in sub", R.CLAIM_MALFORMED, lambda k, c: k.sign({**c, "sub": "a\x00"})),
    ("65 audiences", R.CLAIM_MALFORMED, lambda k, c: k.sign({**c, "aud": [API_URI] * 65})),
    ("a year of life", R.TOKEN_LIFETIME_TOO_LONG, lambda k, c: k.sign({**c, "exp": NOW + 31_536_000})),
    ("bound token", R.CONFIRMATION_UNSUPPORTED, lambda k, c: k.sign({**c, "cnf": {"jkt": "x"}})),
]  # fmt: skip
BEYOND_ENTRA = [
    ("tid of another tenant", R.TENANT_MISMATCH, {"tid": INITECH_TID}),
    ("no tid", R.CLAIM_MISSING, {"tid": ...}),
    ("tid twin", R.CLAIM_MALFORMED, {"TID": STRANGE_TID}),
    ("ver of the other form", R.VERSION_MISMATCH, {"ver": "3.0"}),
    ("a user's token", R.NOT_APP_ONLY, {"idtyp": "user"}),
    ("no idtyp", R.NOT_APP_ONLY, {"idtyp": ...}),
    ("agent identity", R.AGENT_IDENTITY_NOT_ALLOWED, {"xms_act_fct": "11"}),
    ("no service principal", R.SERVICE_PRINCIPAL_MISSING, {"oid": ...}),
    ("unlisted daemon", R.DAEMON_NOT_LISTED, {"azp": STRANGE_CLIENT, "appid": STRANGE_CLIENT}),
]  # fmt: skip


@pytest.mark.parametrize("form", ["v1", "v2", "oidc"])
@pytest.mark.parametrize(("reason", "make"), [pytest.param(*row[1:], id=row[0]) for row in BEYOND])
def test_accepted_by_pyjwt_and_refused_here(form: str, reason: R, make: Any) -> None:
    """Each thing that a layer on PyJWT must add: PyJWT says yes, we say why not."""
    one = forms()[form]
    token = make(one.key, one.claims())

    assert one.pyjwt_accepts(token)
    assert _refused(token) is reason


@pytest.mark.parametrize("form", ["v1", "v2"])
@pytest.mark.parametrize(("reason", "changes"), [pytest.param(*row[1:], id=row[0]) for row in BEYOND_ENTRA])
def test_entras_rules_are_beyond_pyjwt(form: str, reason: R, changes: dict[str, Any]) -> None:
    """Tenant, version, app-only and the allow-list are no business of a JWT library."""
    one = forms()[form]
    token = one.key.sign(changed(one.claims(), changes))

    assert one.pyjwt_accepts(token)
    assert _refused(token) is reason


def test_reasons_of_the_generated_differences_are_intended() -> None:
    """Where PyJWT says yes and we no, the reason is one of those meant; a sound signature is never doubted."""
    never = {R.SIGNATURE_INVALID, R.ALGORITHM_NOT_ALLOWED, R.TOKEN_EXPIRED, R.AUDIENCE_MISMATCH, R.ISSUER_UNKNOWN,
             R.KEY_ISSUER_MISMATCH, R.TOKEN_NOT_YET_VALID, R.TOKEN_ENCRYPTED, R.POLICY_UNAVAILABLE}  # fmt: skip
    seen = {_refused(token) for name, token in generated() if forms()[name].pyjwt_accepts(token)} - {None}

    assert seen.isdisjoint(never)
    assert len(seen) >= 8


def _refused(token: str) -> R | None:
    decision = ask(token)
    return decision.reason if isinstance(decision, Denied) else None


def test_both_refuse_what_nobody_may_accept() -> None:
    """Unsigned, forged, expired, for another audience or issuer: agreed."""
    for form in forms().values():
        stranger = signer(form.key.alg, "stranger")
        for token in (
            stranger.sign(form.claims(), kid=form.key.kid),
            form.key.sign(form.claims(), alg="none"),
            form.key.sign(form.claims(exp=NOW - 60)),
            form.key.sign(form.claims(aud="x")),
            form.key.sign(form.claims(iss=form.issuer[:-1])),
            form.key.sign(form.claims(nbf=NOW + 61)),
            b64url(json_bytes({"alg": "none"})) + "." + b64url(json_bytes(form.claims())) + ".",
        ):
            assert not form.pyjwt_accepts(token)
            assert isinstance(ask(token), Denied)
