"""Builders for tests: every one starts from the granted case, and a test says only what it spoils.

Tokens are signed with `cryptography` directly, never with our own code or PyJWT's, so that a test and
the code it tests cannot share a defect. Keys are made once per process.

A small world, all invented: the cloud `cloud` (Entra-shaped, v1 and v2) with the tenants of acme and
initech and the publisher's own (`home`, hosted); the OIDC issuer `oidc` of globex; the resources
`orders` and `billing`. Row ids are identifiers, so a row is changed by its name:

    an_index(acme={"state": "suspended"})     # change members of a row
    an_index(acme_reads=...)                  # leave a row out
    ask(cloud_key().sign(v2_claims(exp=NOW)))
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from msgspec.structs import replace

from tenantgate.core.decide import decide
from tenantgate.core.decision import Decision
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import Torn
from tenantgate.core.keys import KeySource, StaticKeys
from tenantgate.core.policy import (
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicySnapshot,
    ResourceRow,
    RoleAssignmentRow,
    RowData,
    TenantRow,
    row_of,
)

REMOVE: Final = ...
"""As a value: leave this claim, header member or row out."""

NOW: Final = 1_800_000_600
"""Epoch seconds at which every built token is judged unless a test says otherwise."""
ISSUED_AT: Final = 1_800_000_000
EXPIRES_AT: Final = 1_800_003_900

API_CLIENT_ID: Final = "aaaaaaaa-0000-4000-8000-000000000001"
API_URI: Final = "api://orders.example"
BILLING_CLIENT_ID: Final = "aaaaaaaa-0000-4000-8000-000000000009"

ACME_TID: Final = "bbbbbbbb-0000-4000-8000-000000000002"
ACME_CLIENT: Final = "cccccccc-0000-4000-8000-000000000003"
ACME_OID: Final = "dddddddd-0000-4000-8000-000000000004"
ACME_SECOND_CLIENT: Final = "cccccccc-0000-4000-8000-000000000013"
INITECH_TID: Final = "bbbbbbbb-0000-4000-8000-000000000022"
INITECH_CLIENT: Final = "cccccccc-0000-4000-8000-000000000023"
HOME_TID: Final = "bbbbbbbb-0000-4000-8000-000000000032"
HOME_CLIENT: Final = "cccccccc-0000-4000-8000-000000000033"
STRANGE_TID: Final = "eeeeeeee-0000-4000-8000-000000000005"
"""A tenant nobody listed."""
STRANGE_CLIENT: Final = "eeeeeeee-0000-4000-8000-000000000006"
"""A daemon nobody listed."""
CONSUMER_TID: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"

AUTHORITY: Final = "https://login.cloud.example"
V2_TEMPLATE: Final = "https://login.cloud.example/{tenantid}/v2.0"
V1_TEMPLATE: Final = "https://sts.cloud.example/{tenantid}/"
OIDC_ISSUER: Final = "https://id.globex.example/realms/daemons"
GLOBEX_CLIENT: Final = "globex-sync"
OIDC_AUDIENCE: Final = API_URI

_HASHES: Final[dict[str, type[Any]]] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES: Final[dict[str, type[Any]]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
_CURVE_NAMES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def v2_issuer(tid: str) -> str:
    """Return the v2 `iss` of a tenant of the cloud."""
    return V2_TEMPLATE.replace("{tenantid}", tid)


def v1_issuer(tid: str) -> str:
    """Return the v1 `iss` of a tenant of the cloud."""
    return V1_TEMPLATE.replace("{tenantid}", tid)


# Tokens


def b64url(raw: bytes) -> str:
    """Return bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def b64uint(number: int) -> str:
    """Return a positive integer as a JWK writes it (RFC 7518 §2, Base64urlUInt)."""
    return b64url(number.to_bytes((number.bit_length() + 7) // 8 or 1, "big"))


def json_bytes(value: Any) -> bytes:
    """Return a value as compact UTF-8 JSON (NaN and infinities as Python writes them)."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` on top; what is changed to `...` is left out."""
    return {name: value for name, value in {**base, **changes}.items() if value is not REMOVE}


class Signer:
    """A private key that signs compact JWS by itself. `alg` is what it truly signs with."""

    def __init__(self, alg: str, private: Private, kid: str | None) -> None:
        self.alg = alg
        self.private: Any = private
        self.kid = kid

    def jwk(self, **extra: Any) -> dict[str, Any]:
        """Return the public key as a JWK with `use` and `kid`, without `alg` (as Entra has it)."""
        return changed({"use": "sig", "kid": self.kid, **public_members(self.private)}, extra)

    def sign(
        self, payload: Mapping[str, Any] | bytes, header: Mapping[str, Any] | bytes | None = None, **header_changes: Any
    ) -> str:
        """Return a token over `payload`. Bytes, as payload or header, are taken as they are.

        The header is `typ`, `alg`, `kid` of this key unless given whole; `header_changes` go on top.
        Whatever the header says, the signature is made with `self.alg`.
        """
        if not isinstance(header, bytes):
            whole = {"typ": "JWT", "alg": self.alg, "kid": self.kid} if header is None else header
            header = json_bytes(changed(whole, header_changes))
        body = payload if isinstance(payload, bytes) else json_bytes(payload)
        signed = f"{b64url(header)}.{b64url(body)}"
        return f"{signed}.{b64url(self.signature(signed.encode()))}"

    def signature(self, signed: bytes) -> bytes:
        """Return the JWS signature over `signed` (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1)."""
        if self.alg == "EdDSA":
            return self.private.sign(signed)  # type: ignore[no-any-return]
        digest = _HASHES[self.alg[2:]]()
        if self.alg in _CURVES:
            r, s = utils.decode_dss_signature(self.private.sign(signed, ec.ECDSA(digest)))
            size = (self.private.curve.key_size + 7) // 8
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if self.alg.startswith("PS"):
            return self.private.sign(signed, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)  # type: ignore[no-any-return]
        return self.private.sign(signed, padding.PKCS1v15(), digest)  # type: ignore[no-any-return]

    def using(self, alg: str) -> Signer:
        """Return the same key signing with another algorithm (RS256 → PS256, say)."""
        return Signer(alg, self.private, self.kid)


def public_members(private: Private) -> dict[str, str]:
    """Return `kty` and the public members of a private key as a JWK has them."""
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        return {"kty": "RSA", "n": b64uint(numbers.n), "e": b64uint(numbers.e)}
    if isinstance(private, ec.EllipticCurvePrivateKey):
        point = private.public_key().public_numbers()
        size = (private.curve.key_size + 7) // 8
        x, y = (b64url(each.to_bytes(size, "big")) for each in (point.x, point.y))
        return {"kty": "EC", "crv": _CURVE_NAMES[private.curve.name], "x": x, "y": y}
    return {"kty": "OKP", "crv": "Ed25519", "x": b64url(private.public_key().public_bytes_raw())}


@functools.cache
def signer(alg: str = "RS256", name: str = "a", bits: int = 2048) -> Signer:
    """Return the key of this algorithm and name, made once per process. `kid` is both: `a-RS256`."""
    private: Private
    if alg in _CURVES:
        private = ec.generate_private_key(_CURVES[alg]())
    elif alg == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return Signer(alg, private, f"{name}-{alg}")


def cloud_key() -> Signer:
    """Return the cloud's key: in its v2 document with a template `issuer`, in its v1 document without one."""
    return signer("RS256", "cloud")


def oidc_key() -> Signer:
    """Return the key of the issuer `oidc`."""
    return signer("ES256", "oidc")


def stranger_key() -> Signer:
    """Return a key that nobody published, under the kid of the cloud's."""
    return Signer("RS256", signer("RS256", "stranger").private, cloud_key().kid)


def v2_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of acme's daemon in a v2 token of the cloud, granted unless changed; `...` leaves one out."""
    return changed(
        {
            "aud": API_CLIENT_ID,
            "iss": v2_issuer(ACME_TID),
            "iat": ISSUED_AT,
            "nbf": ISSUED_AT,
            "exp": EXPIRES_AT,
            "aio": "opaque",
            "azp": ACME_CLIENT,
            "azpacr": "2",
            "idtyp": "app",
            "oid": ACME_OID,
            "rh": "1.opaque",
            "roles": ["Orders.Read"],
            "sub": ACME_OID,
            "tid": ACME_TID,
            "uti": "opaqueUniqueId",
            "ver": "2.0",
        },
        changes,
    )


def v1_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of acme's daemon in a v1 token of the cloud, granted unless changed; `...` leaves one out."""
    iss = v1_issuer(ACME_TID)
    one = {"aud": API_URI, "iss": iss, "idp": iss, "appid": ACME_CLIENT, "appidacr": "2", "ver": "1.0"}
    return changed(v2_claims(azp=REMOVE, azpacr=REMOVE, **one), changes)


def oidc_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of globex's daemon in an RFC 9068 token of `oidc`, granted unless changed."""
    return changed(
        {
            "iss": OIDC_ISSUER,
            "aud": OIDC_AUDIENCE,
            "sub": GLOBEX_CLIENT,
            "client_id": GLOBEX_CLIENT,
            "iat": ISSUED_AT,
            "exp": EXPIRES_AT,
            "jti": "opaqueUniqueId",
        },
        changes,
    )


def v2_token(**changes: Any) -> str:
    """Return a v2 token of acme's daemon, granted but for the claims that are changed."""
    return cloud_key().sign(v2_claims(**changes))


def v1_token(**changes: Any) -> str:
    """Return a v1 token of acme's daemon, granted but for the claims that are changed."""
    return cloud_key().sign(v1_claims(**changes))


def oidc_token(**changes: Any) -> str:
    """Return a token of globex's daemon, granted but for the claims that are changed."""
    return oidc_key().sign(oidc_claims(**changes))


# Policy


def an_entra_issuer(**changes: Any) -> IssuerRow:
    """Return the row of the cloud: static keys, v2 bound by a template `issuer`, v1 without one."""
    row = {
        "id": "cloud",
        "kind": "entra",
        "authority": AUTHORITY,
        "v2_issuer": V2_TEMPLATE,
        "v1_issuer": V1_TEMPLATE,
        "jwks": {"keys": [cloud_key().jwk(issuer=V2_TEMPLATE)]},
        "v1_jwks": {"keys": [cloud_key().jwk()]},
    }
    return IssuerRow(**changed(row, changes))


def an_oidc_issuer(**changes: Any) -> IssuerRow:
    """Return the row of the issuer `oidc`, its one key given as a file would."""
    row = {"id": "oidc", "kind": "oidc", "issuer": OIDC_ISSUER, "jwks": {"keys": [oidc_key().jwk()]}}
    return IssuerRow(**changed(row, changes))


def _world() -> Iterable[RowData]:
    yield an_entra_issuer()
    yield an_oidc_issuer()
    yield PartnerRow(id="acme", name="Acme")
    yield PartnerRow(id="globex", name="Globex")
    yield PartnerRow(id="initech", name="Initech")
    yield TenantRow(id="acme_tenant", issuer="cloud", partner="acme", tid=ACME_TID)
    yield TenantRow(id="initech_tenant", issuer="cloud", partner="initech", tid=INITECH_TID)
    yield TenantRow(id="globex_tenant", issuer="oidc", partner="globex")
    yield TenantRow(id="home", issuer="cloud", tid=HOME_TID, hosted=True)
    yield DaemonRow(id="acme_daemon", tenant="acme_tenant", client_id=ACME_CLIENT)
    yield DaemonRow(id="acme_second", tenant="acme_tenant", client_id=ACME_SECOND_CLIENT)
    yield DaemonRow(id="initech_daemon", tenant="initech_tenant", client_id=INITECH_CLIENT)
    yield DaemonRow(id="globex_daemon", tenant="globex_tenant", client_id=GLOBEX_CLIENT)
    yield DaemonRow(id="home_daemon", tenant="home", client_id=HOME_CLIENT, partner="initech")
    yield ResourceRow(id="orders", audiences=(API_CLIENT_ID, API_URI))
    yield ResourceRow(id="billing", audiences=(BILLING_CLIENT_ID,))
    yield AppRoleRow(id="orders_read", resource="orders", value="Orders.Read")
    yield AppRoleRow(id="orders_write", resource="orders", value="Orders.Write")
    yield AppRoleRow(id="billing_read", resource="billing", value="Billing.Read")
    yield RoleAssignmentRow(id="acme_reads", app_role="orders_read", daemon="acme_daemon")
    yield RoleAssignmentRow(id="initech_reads", app_role="orders_read", daemon="initech_daemon")
    yield RoleAssignmentRow(id="globex_reads", app_role="orders_read", daemon="globex_daemon")
    yield RoleAssignmentRow(id="home_reads", app_role="orders_read", daemon="home_daemon")


def policy_rows(*extra: RowData, **changes: Any) -> list[RowData]:
    """Return the world's rows; a keyword is a row's id, its value the members to change, or `...` to leave it out."""
    rows: list[RowData] = []
    for row in _world():
        change = changes.pop(row.id, {})
        if change is not REMOVE:
            rows.append(replace(row, **change))
    if changes:
        raise AssertionError(f"no row of the built policy is called {', '.join(changes)}")
    return [*rows, *extra]


def a_snapshot(*extra: RowData, revision: int = 1, epoch: str = "e1", **changes: Any) -> PolicySnapshot:
    """Return the world as a policy snapshot (see `policy_rows`)."""
    rows = tuple(row_of(row, revision) for row in policy_rows(*extra, **changes))
    return PolicySnapshot(epoch=epoch, revision=revision, rows=rows)


def an_index(*extra: RowData, revision: int = 1, epoch: str = "e1", **changes: Any) -> PolicyIndex:
    """Return the world as a fresh, live index (see `policy_rows`)."""
    return PolicyIndex.from_snapshot(a_snapshot(*extra, revision=revision, epoch=epoch, **changes))


def static_keys(index: PolicyIndex | None = None) -> StaticKeys:
    """Return the key sets that the issuers of `index` (else of the unchanged world) carry."""
    return _unchanged()[1] if index is None else StaticKeys(entry.row for entry in index.issuers.values())


def unchanged_index() -> PolicyIndex:
    """Return the unchanged world, made once: for reading only (`an_index()` makes one to write to)."""
    return _unchanged()[0]


@functools.cache
def _unchanged() -> tuple[PolicyIndex, StaticKeys]:
    index = an_index()
    return index, static_keys(index)


def ask(
    token: str | bytes,
    index: PolicyIndex | None = None,
    keys: KeySource | None = None,
    *,
    resource: str = "orders",
    wanted: tuple[str, ...] = ("Orders.Read",),
    now: float = NOW,
    **changes: Any,
) -> Decision:
    """Judge a token in the world as `changes` make it (see `policy_rows`), or in `index`."""
    if index is None:
        index = an_index(**changes) if changes else _unchanged()[0]
        keys = keys or (static_keys(index) if changes else _unchanged()[1])
    decision = decide(token, index, keys or static_keys(index), resource, wanted, now)
    assert not isinstance(decision, Torn), "nobody writes here, so no judgement is torn"
    return decision
