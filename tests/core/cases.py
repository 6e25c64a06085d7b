"""One spoiled thing in a sound token, or in the policy behind it, and the reason it is refused for.

The table feeds `test_decide` (the reason), `test_trace` (the explanation agrees) and itself (every reason
and every step is refused by at least one case).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.keys import KeySet, KeySetRef, KeySource, NoKeys
from tenantgate.core.policy import RequiredClaim
from tests.builders import (
    ACME_CLIENT,
    ACME_SECOND_CLIENT,
    ACME_TID,
    API_CLIENT_ID,
    BILLING_CLIENT_ID,
    CONSUMER_TID,
    GLOBEX_CLIENT,
    HOME_CLIENT,
    HOME_TID,
    INITECH_CLIENT,
    INITECH_TID,
    ISSUED_AT,
    NOW,
    OIDC_ISSUER,
    REMOVE,
    STRANGE_CLIENT,
    STRANGE_TID,
    V1_TEMPLATE,
    V2_TEMPLATE,
    an_index,
    b64url,
    cloud_key,
    json_bytes,
    oidc_claims,
    oidc_key,
    oidc_token,
    signer,
    static_keys,
    stranger_key,
    unchanged_index,
    v1_claims,
    v1_issuer,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)

NO_REASON_BY_TOKEN = frozenset(
    [
        R.NO_CREDENTIAL,
        R.CREDENTIAL_AMBIGUOUS,
        R.SCHEME_NOT_ALLOWED,
        R.REQUEST_INVALID,
        R.SIGNING_KEY_DISTRUSTED,
        R.CONFIRMATION_MISMATCH,
        R.CERTIFICATE_REQUIRED,
        R.CERTIFICATE_HEADER_MISSING,
        R.CERTIFICATE_MALFORMED,
        R.CERTIFICATE_UNTRUSTED,
        R.CERTIFICATE_EXPIRED,
        R.CERTIFICATE_REVOKED,
        R.CERTIFICATE_NOT_LISTED,
        R.SUBSCRIPTION_KEY_UNKNOWN,
        R.SUBSCRIPTION_KEY_EXPIRED,
        R.POLICY_TOO_OLD,
        R.OVERLOADED,
    ]
)
"""Reasons that a door, another credential or a rule not built yet gives: no token leads to them here."""


@dataclass(frozen=True)
class OldKeys:
    """A KeySource whose every key set is past the hard age limit."""

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Return that the keys are too old."""
        return NoKeys(too_old=True, age=300_000.0)


@dataclass(frozen=True)
class NeverFetched:
    """A KeySource that has not fetched anything yet."""

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Return that there are no keys."""
        return NoKeys(too_old=False)


@dataclass(frozen=True)
class Spoiled:
    """A token (made when asked for), the change to the world, and the reason wanted."""

    name: str
    reason: R
    token: Callable[[], str | bytes]
    world: dict[str, Any] = field(default_factory=dict)
    keys: KeySource | None = None
    resource: str = "orders"
    wanted: tuple[str, ...] = ("Orders.Read",)
    now: float = NOW
    broken: bool = False

    def asked(self) -> dict[str, Any]:
        """Return the arguments of `decide` and `explain`."""
        index = an_index(**self.world) if self.world or self.broken else unchanged_index()
        index.broken = self.broken
        return {
            "token": self.token(),
            "index": index,
            "keys": self.keys or static_keys(index if self.world else None),
            "resource": self.resource,
            "wanted": self.wanted,
            "now": self.now,
        }


def _claims(name: str, reason: R, *, forms: str = "v1 v2 oidc", **changes: Any) -> Iterator[Spoiled]:
    """Yield the same spoiled claims in each form of token."""
    for form, token in (("v1", v1_token), ("v2", v2_token), ("oidc", oidc_token)):
        if form in forms.split():
            yield Spoiled(f"{form} {name}", reason, lambda token=token: token(**changes))  # type: ignore[misc]


def _header(name: str, reason: R, **changes: Any) -> Iterator[Spoiled]:
    yield Spoiled(f"v2 {name}", reason, lambda: cloud_key().sign(v2_claims(), **changes))
    yield Spoiled(f"oidc {name}", reason, lambda: oidc_key().sign(oidc_claims(), **changes))


def _world(name: str, reason: R, token: Callable[[], str] = v2_token, **world: Any) -> Spoiled:
    return Spoiled(name, reason, token, world)


def _form() -> Iterator[Spoiled]:
    yield Spoiled("opaque token", R.TOKEN_MALFORMED, lambda: "0123456789abcdef")
    yield Spoiled("empty token", R.TOKEN_MALFORMED, lambda: "")
    yield Spoiled("two parts", R.TOKEN_MALFORMED, lambda: v2_token().rpartition(".")[0])
    yield Spoiled("characters outside ASCII", R.TOKEN_MALFORMED, lambda: v2_token() + "é")
    yield Spoiled("bytes outside ASCII", R.TOKEN_MALFORMED, lambda: v2_token().encode() + b"\xff")
    yield Spoiled("padded signature", R.TOKEN_MALFORMED, lambda: v2_token() + "==")
    yield Spoiled("payload is a list", R.TOKEN_MALFORMED, lambda: cloud_key().sign(b"[]"))
    yield Spoiled("too many bytes", R.TOKEN_TOO_LARGE, lambda: v2_token(pad="x" * 16_384))
    yield Spoiled("five parts", R.TOKEN_ENCRYPTED, lambda: v2_token() + ".e30.e30")
    yield Spoiled("enc in the header", R.TOKEN_ENCRYPTED, lambda: cloud_key().sign(v2_claims(), enc="A256GCM"))
    for member, value in (
        ("jwk", {"kty": "RSA"}),
        ("jku", "https://keys.example/"),
        ("x5u", "https://keys.example/"),
        ("x5c", ["AAAA"]),
        ("crit", ["exp"]),
        ("crit", []),
        ("b64", True),
        ("zip", "DEF"),
        ("cty", "JWT"),
        ("nonce", "opaque"),
        ("epk", {}),
        ("p2c", 1),
        ("p2s", "AAAA"),
        ("url", "https://keys.example/"),
        ("apu", "AAAA"),
        ("apv", "AAAA"),
    ):
        yield from _header(f"header with {member} {value!r:.12}", R.HEADER_NOT_ALLOWED, **{member: value})
    for kid in ("", 7, ["a"], "x" * 257, "a\x00b", "a\nb"):
        yield from _header(f"kid {kid!r:.12}", R.HEADER_NOT_ALLOWED, kid=kid)
    for typ in ("logout+jwt", "dpop+jwt", "secevent+jwt", "", 7, ["JWT"], "x" * 65):
        yield from _header(f"typ {typ!r:.14}", R.TOKEN_TYPE_NOT_ALLOWED, typ=typ)
    for alg in ("none", "None", "NONE", "nOnE", "", REMOVE, None, 7, ["RS256"], "HS256", "RS256 ", "rs256", "ES256K"):
        yield from _header(f"alg {alg!r}", R.ALGORITHM_NOT_ALLOWED, alg=alg)
    yield Spoiled(
        "another algorithm than the key's",
        R.ALGORITHM_NOT_ALLOWED,
        lambda: cloud_key().using("PS256").sign(v2_claims()),
    )
    yield from _claims("token with events", R.TOKEN_TYPE_NOT_ALLOWED, events={})
    for mark in ("nonce", "at_hash", "c_hash", "s_hash"):
        yield from _claims(f"id token with {mark}", R.ID_TOKEN_PRESENTED, **{mark: "opaque"})
    yield from _claims("token_use id", R.ID_TOKEN_PRESENTED, forms="oidc", token_use="id")


def _issuer() -> Iterator[Spoiled]:
    for iss in (
        "",
        "https://id.globex.example/realms/daemon",
        "https://id.globex.example/realms/daemons/",
        "https://ID.globex.example/realms/daemons",
        "https://id.globex.example",
        "h",
        V2_TEMPLATE,
        V2_TEMPLATE.replace("{tenantid}", ""),
        V2_TEMPLATE.replace("{tenantid}", ACME_TID.replace("-", "")),
        V2_TEMPLATE.replace("{tenantid}", "organizations"),
        v2_issuer(ACME_TID) + "/",
        v1_issuer(ACME_TID).rstrip("/"),
        v2_issuer("x" + ACME_TID[1:]),
    ):
        yield from _claims(f"iss {iss}", R.ISSUER_UNKNOWN, iss=iss)
    yield from _claims("iss absent", R.CLAIM_MISSING, iss=REMOVE)
    yield from _claims("iss null", R.CLAIM_MISSING, iss=None)
    for wrong in ([v2_issuer(ACME_TID)], 7, {"0": OIDC_ISSUER}, True):
        yield from _claims(f"iss {type(wrong).__name__}", R.CLAIM_MALFORMED, iss=wrong)
    yield from _claims("tid of another tenant", R.TENANT_MISMATCH, forms="v1 v2", tid=INITECH_TID)
    yield Spoiled("v2 iss of another tenant", R.TENANT_MISMATCH, lambda: v2_token(iss=v2_issuer(INITECH_TID)))
    yield Spoiled("v1 iss of another tenant", R.TENANT_MISMATCH, lambda: v1_token(iss=v1_issuer(INITECH_TID)))
    yield Spoiled("v2 iss of an unlisted tenant", R.TENANT_MISMATCH, lambda: v2_token(iss=v2_issuer(STRANGE_TID)))
    yield from _claims("tid in another case than iss", R.TENANT_MISMATCH, forms="v1 v2", tid=ACME_TID.upper())
    yield from _claims("tid absent", R.CLAIM_MISSING, forms="v1 v2", tid=REMOVE)
    for tid in ("", "acme.example", [ACME_TID], 7, {"tid": ACME_TID}, f"{{{ACME_TID}}}", ACME_TID + " "):
        yield from _claims(f"tid {tid!r:.9}", R.CLAIM_MALFORMED, forms="v1 v2", tid=tid)
    for twin in ("TID", "TId", "TiD", "Tid", "tID", "tId", "tiD"):
        yield from _claims(f"tid has the twin {twin}", R.CLAIM_MALFORMED, forms="v1 v2", **{twin: ACME_TID})
    yield Spoiled(
        "tid has an escaped twin",
        R.CLAIM_MALFORMED,
        lambda: cloud_key().sign(json_bytes(v2_claims())[:-1] + b',"\\u0054ID":"x"}'),
    )
    for form, iss in (("v2", v2_issuer), ("v1", v1_issuer)):
        claims = v2_claims if form == "v2" else v1_claims
        yield Spoiled(
            f"{form} consumer tenant",
            R.CONSUMER_TENANT,
            lambda iss=iss, claims=claims: cloud_key().sign(claims(iss=iss(CONSUMER_TID), tid=CONSUMER_TID)),  # type: ignore[misc]
        )
    yield from _claims("ver absent", R.CLAIM_MISSING, forms="v1 v2", ver=REMOVE)
    yield Spoiled("v2 form, ver of v1", R.VERSION_MISMATCH, lambda: v2_token(ver="1.0"))
    yield Spoiled("v1 form, ver of v2", R.VERSION_MISMATCH, lambda: v1_token(ver="2.0"))
    for ver in (2.0, 2, "2", ["2.0"], "3.0", True):
        yield from _claims(f"ver {ver!r}", R.VERSION_MISMATCH, forms="v1 v2", ver=ver)


def _keys() -> Iterator[Spoiled]:
    yield from _header("kid nobody published", R.SIGNING_KEY_UNKNOWN, kid="nobody")
    yield Spoiled(
        "no kid and two keys",
        R.SIGNING_KEY_UNKNOWN,
        lambda: oidc_key().sign(oidc_claims(), kid=REMOVE),
        {"oidc": {"jwks": {"keys": [oidc_key().jwk(), signer("ES256", "second").jwk()]}}},
    )
    yield Spoiled(
        "the other issuer's key",
        R.SIGNING_KEY_UNKNOWN,
        lambda: oidc_key().sign(v2_claims()),
    )
    yield Spoiled("keys never fetched", R.KEY_SET_UNAVAILABLE, v2_token, keys=NeverFetched())
    yield Spoiled("v1 keys never fetched", R.KEY_SET_UNAVAILABLE, v1_token, keys=NeverFetched())
    yield Spoiled("keys too old", R.KEY_SET_TOO_OLD, v2_token, keys=OldKeys())
    yield Spoiled("forged, same kid", R.SIGNATURE_INVALID, lambda: stranger_key().sign(v2_claims()))
    yield Spoiled("forged v1, same kid", R.SIGNATURE_INVALID, lambda: stranger_key().sign(v1_claims()))
    yield Spoiled("no signature", R.SIGNATURE_INVALID, lambda: v2_token().rpartition(".")[0] + ".")
    yield Spoiled("oidc no signature", R.SIGNATURE_INVALID, lambda: oidc_token().rpartition(".")[0] + ".")
    yield Spoiled("half a signature", R.SIGNATURE_INVALID, lambda: oidc_token()[:-46])
    yield Spoiled("another payload", R.SIGNATURE_INVALID, _with_another_payload)
    consumer = V2_TEMPLATE.replace("{tenantid}", CONSUMER_TID)
    for name, issuer in (
        ("the consumers' key", consumer),
        ("another tenant's key", v2_issuer(INITECH_TID)),
        ("a key without issuer in the v2 document", REMOVE),
        ("the template in another case", V2_TEMPLATE.replace("tenantid", "TenantId")),
        ("the template twice", V2_TEMPLATE + "{tenantid}"),
        ("the placeholder alone", "{tenantid}"),
        ("an empty issuer", ""),
        ("a v1 template", V1_TEMPLATE),
    ):
        keys = {"keys": [cloud_key().jwk(issuer=issuer)]}
        yield _world(f"key issuer: {name}", R.KEY_ISSUER_MISMATCH, cloud={"jwks": keys})
        yield _world(
            f"key issuer, v1 token, v2 keys: {name}",
            R.KEY_ISSUER_MISMATCH,
            v1_token,
            cloud={"jwks": keys, "v1_jwks": None},
        )
    yield _world(
        "key issuer: v1 document that names the v2 template",
        R.KEY_ISSUER_MISMATCH,
        v1_token,
        cloud={"v1_jwks": {"keys": [cloud_key().jwk(issuer=V2_TEMPLATE)]}},
    )
    yield _world(
        "key issuer: a cloud without v2 issuer",
        R.KEY_ISSUER_MISMATCH,
        v1_token,
        cloud={"v2_issuer": None, "v1_jwks": None},
    )
    yield _world(
        "key issuer: oidc key of another issuer",
        R.KEY_ISSUER_MISMATCH,
        oidc_token,
        oidc={"jwks": {"keys": [oidc_key().jwk(issuer=OIDC_ISSUER + "/")]}},
    )


def _with_another_payload() -> str:
    header, _, signature = v2_token().split(".")
    return f"{header}.{b64url(json_bytes(v2_claims(roles=['Orders.Write'])))}.{signature}"


def _claim_forms() -> Iterator[Spoiled]:
    for name in ("sub", "aud", "iat", "exp"):
        yield from _claims(f"{name} absent", R.CLAIM_MISSING, **{name: REMOVE})
        yield from _claims(f"{name} null", R.CLAIM_MISSING, **{name: None})
    yield from _claims("nbf null", R.CLAIM_MISSING, nbf=None)
    yield from _claims("azp absent", R.CLAIM_MISSING, forms="v2", azp=REMOVE)
    yield from _claims("azp absent, appid there", R.CLAIM_MISSING, forms="v2", azp=REMOVE, appid=ACME_CLIENT)
    yield from _claims("appid absent", R.CLAIM_MISSING, forms="v1", appid=REMOVE)
    yield from _claims("appid beside another azp", R.CLAIM_MALFORMED, forms="v2", appid=STRANGE_CLIENT)
    yield from _claims("azp beside another appid", R.CLAIM_MALFORMED, forms="v1", azp=STRANGE_CLIENT)
    yield from _claims("appid absent, azp there", R.CLAIM_MISSING, forms="v1", appid=REMOVE, azp=ACME_CLIENT)
    yield from _claims("no client claim", R.CLAIM_MISSING, forms="oidc", client_id=REMOVE)
    for name in ("exp", "iat", "nbf"):
        for value in (True, False, str(NOW), "4_000_000_000", "١٨٠٠", -1, 2**53 + 1, 10**30, 1e300, [NOW], {"n": NOW}):
            yield from _claims(f"{name} {value!r:.20}", R.CLAIM_MALFORMED, **{name: value})
    for sub in ("", 7, ["a"], {"a": 1}, True, "a\x00b", "a\u202eb", "e\u0301", "x" * 513):
        yield from _claims(f"sub {sub!r:.12}", R.CLAIM_MALFORMED, sub=sub)
    for aud in ([], "", [""], [["a"]], [API_CLIENT_ID, 7], {"aud": API_CLIENT_ID}, 7, True, [API_CLIENT_ID] * 65):
        yield from _claims(f"aud {aud!r:.50} {len(str(aud))}", R.CLAIM_MALFORMED, aud=aud)
    for value in ("acme", "", 7, [ACME_CLIENT], {"a": 1}, ACME_CLIENT.replace("-", "")):
        yield from _claims(f"azp {value!r:.16}", R.CLAIM_MALFORMED, forms="v2", azp=value)
        yield from _claims(f"appid {value!r:.12}", R.CLAIM_MALFORMED, forms="v1", appid=value)
        yield from _claims(f"oid {value!r:.12}", R.CLAIM_MALFORMED, forms="v1 v2", oid=value)
    for value in ("", 7, [GLOBEX_CLIENT], {"a": 1}, "a\tb"):
        yield from _claims(f"client_id {value!r:.14}", R.CLAIM_MALFORMED, forms="oidc", client_id=value)


def _token_ids() -> Iterator[Spoiled]:
    for value in (7, None, [], ["x"], {}, True, "", "a\x00"):
        yield from _claims(f"jti {value!r}", R.CLAIM_MALFORMED, jti=value)
        yield from _claims(f"uti {value!r}", R.CLAIM_MALFORMED, forms="v1 v2", uti=value)


def _client_claims() -> Iterator[Spoiled]:
    yield from _claims("azp disagrees with client_id", R.CLAIM_MALFORMED, forms="oidc", azp="other")
    yield from _claims("azp null beside client_id", R.CLAIM_MALFORMED, forms="oidc", azp=None)
    for value in ("3", "", 2, True, ["2"], "２"):
        yield from _claims(f"azpacr {value!r}", R.CLAIM_MALFORMED, forms="v2", azpacr=value)
        yield from _claims(f"appidacr {value!r}", R.CLAIM_MALFORMED, forms="v1", appidacr=value)
    for value in ("Orders.Read", {"Orders.Read": 1}, 7, [7], [["Orders.Read"]], [None]):
        yield from _claims(f"roles {value!r:.16}", R.CLAIM_MALFORMED, forms="v1 v2", roles=value)
    yield from _claims("roles [7]", R.CLAIM_MALFORMED, forms="oidc", roles=[7])
    yield from _claims("oid absent", R.SERVICE_PRINCIPAL_MISSING, forms="v1 v2", oid=REMOVE)
    yield from _claims("oid null", R.SERVICE_PRINCIPAL_MISSING, forms="v1 v2", oid=None)


def _time_and_audience() -> Iterator[Spoiled]:
    for name, aud in (
        ("another api", BILLING_CLIENT_ID),
        ("Microsoft Graph", "https://graph.microsoft.com"),
        ("a prefix", "api://orders.exampl"),
        ("a slash more", "api://orders.example/"),
        ("another case", "API://orders.example"),
        ("others only", ["api://one.example", "api://two.example"]),
    ):
        yield from _claims(f"aud: {name}", R.AUDIENCE_MISMATCH, aud=aud)
    yield from _claims("expired beyond the skew", R.TOKEN_EXPIRED, exp=NOW - 60)
    yield from _claims("exp 0", R.TOKEN_EXPIRED, exp=0)
    yield from _claims("nbf beyond the skew", R.TOKEN_NOT_YET_VALID, nbf=NOW + 61)
    yield from _claims("iat beyond the skew", R.TOKEN_ISSUED_IN_FUTURE, iat=NOW + 61)
    yield from _claims("lifetime over a day", R.TOKEN_LIFETIME_TOO_LONG, exp=ISSUED_AT + 86_400 + 301)
    yield from _claims("lifetime without end", R.TOKEN_LIFETIME_TOO_LONG, exp=2**53)
    for cnf in ({"x5t#S256": "opaque"}, {"jkt": "opaque"}, {}, None, "x"):
        yield from _claims(f"cnf {cnf!r:.12}", R.CONFIRMATION_UNSUPPORTED, cnf=cnf)
    for now in (float("nan"), float("inf")):
        yield Spoiled(f"clock says {now}", R.TOKEN_EXPIRED, v2_token, now=now)
    yield Spoiled("clock says -inf", R.TOKEN_NOT_YET_VALID, v2_token, now=float("-inf"))
    yield Spoiled("clock is ten years slow", R.TOKEN_NOT_YET_VALID, v2_token, now=NOW - 315_360_000)


def _users_beside_app() -> Iterator[Spoiled]:
    for mark in ("upn", "unique_name", "preferred_username", "puid", "amr"):
        yield from _claims(f"{mark} beside idtyp app", R.NOT_APP_ONLY, forms="v1 v2", **{mark: "somebody"})


def _app_only() -> Iterator[Spoiled]:
    for idtyp in ("user", "device", "", "APP", "app ", None, True, 1, ["app"], {"app": 1}):
        yield from _claims(f"idtyp {idtyp!r}", R.NOT_APP_ONLY, forms="v1 v2", idtyp=idtyp)
    yield from _users_beside_app()
    yield from _claims("idtyp absent", R.NOT_APP_ONLY, forms="v1 v2", idtyp=REMOVE)
    for scp in ("Orders.Read", " ", [], ["Orders.Read"], None, 0, False, "//"):
        yield from _claims(f"scp {scp!r} beside idtyp app", R.NOT_APP_ONLY, forms="v1 v2", scp=scp)
    for idrel in ("1", "1 7 13", "13", 13, [7, 13], "07 013"):
        reason = R.NOT_APP_ONLY if idrel == "1" else R.SERVICE_PRINCIPAL_MISSING
        yield from _claims(f"xms_idrel {idrel!r}", reason, forms="v1 v2", xms_idrel=idrel)
    for idrel in ("", "5", "28", "8 28", [], [1, 3], 1):
        yield from _claims(f"xms_idrel {idrel!r} without 7", R.NOT_APP_ONLY, forms="v1 v2", xms_idrel=idrel)
    for claim in ("xms_act_fct", "xms_sub_fct"):
        for facets in ("11", "3 11", "9 11 13", 11, [3, 11]):
            yield from _claims(f"{claim} {facets!r}", R.AGENT_IDENTITY_NOT_ALLOWED, forms="v1 v2", **{claim: facets})
    for claim in ("xms_idrel", "xms_act_fct", "xms_sub_fct"):
        for value in ("7 x", "7,13", "٧", {"7": 7}, [7, [13]], 7.0, True, None, "7" * 19, 10**30, -7):
            yield from _claims(f"{claim} {value!r:.20}", R.CLAIM_MALFORMED, forms="v1 v2", **{claim: value})
    for mark in ("act", "may_act", "actortoken"):
        yield from _claims(f"delegated by {mark}", R.NOT_APP_ONLY, **{mark: {"sub": ACME_CLIENT}})


def _compatible() -> Iterator[Spoiled]:
    compatible = {"orders": {"app_only": "compatible"}}
    for mark in ("name", "upn", "unique_name", "preferred_username", "puid", "amr", "scp"):
        for form, token in (("v1", v1_token), ("v2", v2_token)):
            yield Spoiled(
                f"{form} compatible, with {mark}",
                R.NOT_APP_ONLY,
                lambda token=token, mark=mark: token(idtyp=REMOVE, **{mark: ""}),  # type: ignore[misc]
                compatible,
            )
    yield Spoiled(
        "compatible, sub is not oid", R.NOT_APP_ONLY, lambda: v2_token(idtyp=REMOVE, sub="pairwise"), compatible
    )
    yield _world(
        "compatible does not reach other issuers", R.NOT_APP_ONLY, lambda: oidc_token(sub="user-7"), **compatible
    )
    yield Spoiled("compatible, idtyp user", R.NOT_APP_ONLY, lambda: v2_token(idtyp="user"), compatible)


def _app_only_elsewhere() -> Iterator[Spoiled]:
    yield from _claims("oidc sub of a user", R.NOT_APP_ONLY, forms="oidc", sub="user-7")
    for mark in ("amr", "auth_time", "sid", "session_state", "email", "given_name", "family_name", "upn"):
        yield from _claims(f"oidc user mark {mark}", R.NOT_APP_ONLY, forms="oidc", **{mark: "x"})
    for name, value in (("gty", "password"), ("gty", ["client-credentials"]), ("gty", {"client-credentials": 1})):
        yield from _claims(f"oidc {name} {value!r:.22}", R.NOT_APP_ONLY, forms="oidc", sub="user-7", **{name: value})
    yield from _claims(
        "oidc preferred_username of another",
        R.NOT_APP_ONLY,
        forms="oidc",
        sub="u",
        preferred_username="service-account-x",
    )
    for typ in ("ID", "Refresh", "Logout", "", 7, ["Bearer"]):
        yield from _claims(f"oidc payload typ {typ!r}", R.TOKEN_TYPE_NOT_ALLOWED, forms="oidc", typ=typ)


def _standing() -> Iterator[Spoiled]:
    strange = {"iss": v2_issuer(STRANGE_TID), "tid": STRANGE_TID}
    yield Spoiled("unlisted tenant", R.TENANT_NOT_LISTED, lambda: v2_token(**strange))
    yield Spoiled(
        "unlisted tenant, v1", R.TENANT_NOT_LISTED, lambda: v1_token(iss=v1_issuer(STRANGE_TID), tid=STRANGE_TID)
    )
    yield _world(
        "oidc issuer without a tenant", R.TENANT_NOT_LISTED, oidc_token, globex_tenant=..., **_without_globex()
    )
    for token, tenant, partner, daemon in (
        (v2_token, "acme_tenant", "acme", "acme_daemon"),
        (v1_token, "acme_tenant", "acme", "acme_daemon"),
        (oidc_token, "globex_tenant", "globex", "globex_daemon"),
    ):
        form = token.__name__
        yield _world(f"{form}: tenant suspended", R.TENANT_SUSPENDED, token, **{tenant: {"state": "suspended"}})
        for state, reason in (
            ("suspended", R.PARTNER_SUSPENDED),
            ("invited", R.PARTNER_NOT_ACTIVE),
            ("archived", R.PARTNER_NOT_ACTIVE),
        ):
            yield _world(f"{form}: partner {state}", reason, token, **{partner: {"state": state}})
        yield _world(f"{form}: partner ended", R.PARTNER_ENDED, token, **{partner: {"ends_at": NOW}})
        yield _world(f"{form}: partner gone", R.PARTNER_NOT_ACTIVE, token, **{partner: ...})
        yield _world(f"{form}: daemon suspended", R.DAEMON_SUSPENDED, token, **{daemon: {"state": "suspended"}})
    yield from _claims("unlisted daemon", R.DAEMON_NOT_LISTED, forms="v2", azp=STRANGE_CLIENT)
    yield from _claims("daemon of another tenant", R.DAEMON_NOT_LISTED, forms="v2", azp=INITECH_CLIENT)
    yield from _claims("unlisted daemon", R.DAEMON_NOT_LISTED, forms="v1", appid=STRANGE_CLIENT)
    yield from _claims("unlisted daemon", R.DAEMON_NOT_LISTED, forms="oidc", client_id="other", sub="other")
    yield from _claims(
        "client id in another case", R.DAEMON_NOT_LISTED, forms="oidc", client_id="Globex-Sync", sub="Globex-Sync"
    )
    yield Spoiled("hosted tenant, unlisted daemon", R.DAEMON_NOT_LISTED, lambda: home_token(azp=STRANGE_CLIENT))
    yield _world(
        "hosted tenant, partner suspended", R.PARTNER_SUSPENDED, lambda: home_token(), initech={"state": "suspended"}
    )
    yield _world(
        "hosted tenant, daemon without partner",
        R.PARTNER_NOT_ACTIVE,
        lambda: home_token(),
        home_daemon={"partner": None},
    )
    yield _world("held by another object", R.OBJECT_ID_MISMATCH, acme_daemon={"oid": STRANGE_CLIENT})
    yield _world("held by another object, v1", R.OBJECT_ID_MISMATCH, v1_token, acme_daemon={"oid": STRANGE_CLIENT})
    yield _world("held by another subject", R.OBJECT_ID_MISMATCH, oidc_token, globex_daemon={"subject": "other"})
    yield _world("a subject wanted, none pinned", R.SUBJECT_NOT_PINNED, oidc_token, oidc={"subject_pin": True})
    for strength in (REMOVE, None, "0", "1"):
        yield Spoiled(
            f"certificate wanted of the daemon, azpacr {strength!r}",
            R.CREDENTIAL_TOO_WEAK,
            lambda strength=strength: v2_token(azpacr=strength),  # type: ignore[misc]
            {"acme_daemon": {"min_credential": "certificate"}},
        )
    yield Spoiled(
        "certificate wanted of every caller, appidacr 1",
        R.CREDENTIAL_TOO_WEAK,
        lambda: v1_token(appidacr="1"),
        {"orders": {"min_credential": "certificate"}},
    )
    yield Spoiled(
        "secret wanted, public client",
        R.CREDENTIAL_TOO_WEAK,
        lambda: v2_token(azpacr="0"),
        {"orders": {"min_credential": "secret"}},
    )
    yield _world(
        "strength wanted of an issuer that tells none",
        R.CREDENTIAL_TOO_WEAK,
        oidc_token,
        orders={"min_credential": "secret"},
    )


def _without_globex() -> dict[str, Any]:
    return {"globex_daemon": ..., "globex_reads": ...}


def home_token(**changes: Any) -> str:
    """Return a token of the daemon that the publisher hosts for initech."""
    return v2_token(**{"iss": v2_issuer(HOME_TID), "tid": HOME_TID, "azp": HOME_CLIENT, **changes})


def _roles() -> Iterator[Spoiled]:
    for token in (v2_token, v1_token, oidc_token):
        form = token.__name__
        yield Spoiled(f"{form}: role not held", R.ROLE_NOT_ASSIGNED, token, wanted=("Orders.Write",))
        yield Spoiled(f"{form}: one of two held", R.ROLE_NOT_ASSIGNED, token, wanted=("Orders.Read", "Orders.Write"))
        yield Spoiled(f"{form}: role of another resource", R.ROLE_NOT_ASSIGNED, token, wanted=("Billing.Read",))
        yield Spoiled(f"{form}: role in another case", R.ROLE_NOT_ASSIGNED, token, wanted=("orders.read",))
        yield Spoiled(
            f"{form}: no role at all", R.ROLE_NOT_ASSIGNED, token, {"acme_reads": ..., "globex_reads": ...}, wanted=()
        )
    yield Spoiled(
        "another daemon of the tenant", R.ROLE_NOT_ASSIGNED, lambda: v2_token(azp=ACME_SECOND_CLIENT), wanted=()
    )
    yield _world("assignment has ended", R.ROLE_NOT_ASSIGNED, acme_reads={"expires_at": NOW})
    yield _world("assignment has not begun", R.ROLE_NOT_ASSIGNED, acme_reads={"not_before": NOW + 1})
    yield _world("role is gone", R.ROLE_NOT_ASSIGNED, orders_read=...)
    intersect = {"orders": {"token_roles": "intersect"}}
    yield Spoiled("intersect, roles absent", R.ROLE_NOT_ASSIGNED, lambda: v2_token(roles=REMOVE), intersect)
    yield Spoiled("intersect, other roles", R.ROLE_NOT_ASSIGNED, lambda: v2_token(roles=["Orders.Write"]), intersect)
    yield Spoiled("intersect, no roles", R.ROLE_NOT_ASSIGNED, lambda: v1_token(roles=[]), intersect)
    yield Spoiled(
        "intersect, oidc roles no list", R.ROLE_NOT_ASSIGNED, lambda: oidc_token(roles="Orders.Read"), intersect
    )
    yield Spoiled("resource unknown", R.POLICY_UNAVAILABLE, v2_token, resource="nothing")
    yield Spoiled("policy applied by half", R.POLICY_UNAVAILABLE, v2_token, broken=True)


def _resource_rules() -> Iterator[Spoiled]:
    def orders(**rules: Any) -> dict[str, Any]:
        return {"orders": rules}

    only_v1, only_v2 = orders(token_versions=("1.0",)), orders(token_versions=("2.0",))
    yield Spoiled("v2 where v1 is asked for", R.TOKEN_VERSION_NOT_ACCEPTED, v2_token, only_v1)
    yield Spoiled("v1 where v2 is asked for", R.TOKEN_VERSION_NOT_ACCEPTED, v1_token, only_v2)
    yield Spoiled("an issuer not asked for", R.ISSUER_NOT_ACCEPTED, oidc_token, orders(issuers=("cloud",)))
    yield Spoiled("a client not asked for", R.CLIENT_NOT_ACCEPTED, v2_token, orders(clients=(ACME_SECOND_CLIENT,)))
    yield Spoiled("resource asks for a certificate", R.CREDENTIAL_TOO_WEAK, lambda: v2_token(azpacr="1"),
                  orders(min_credential="certificate"))  # fmt: skip
    yield Spoiled("an address nobody knows", R.ADDRESS_NOT_ALLOWED, v2_token, orders(addresses=("192.0.2.0/24",)))
    for name, claim in (
        ("required claim absent", RequiredClaim(claim="plan")),
        ("required value absent", RequiredClaim(claim="azpacr", values=("1",))),
        ("one of two values", RequiredClaim(claim="roles", values=("Orders.Read", "Orders.Write"))),
        ("none of two values", RequiredClaim(claim="roles", values=("a", "b"), match="any")),
        ("nothing where the pointer leads", RequiredClaim(claim="/roles/0", values=("Orders.Read",))),
    ):
        yield Spoiled(name, R.REQUIRED_CLAIM_MISMATCH, v2_token, orders(required_claims=(claim,)))


CASES: tuple[Spoiled, ...] = tuple(
    case
    for family in (
        _form,
        _issuer,
        _keys,
        _claim_forms,
        _token_ids,
        _client_claims,
        _time_and_audience,
        _app_only,
        _compatible,
        _app_only_elsewhere,
        _standing,
        _roles,
        _resource_rules,
    )
    for case in family()
)
