"""Authentic tokens of callers who may not come in: not listed, suspended, ended, without the role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.builders import (
    ACME_TID,
    BILLING_CLIENT_ID,
    HOME_CLIENT,
    HOME_TID,
    INITECH_CLIENT,
    INITECH_TID,
    STRANGE_CLIENT,
    STRANGE_TID,
    v1_issuer,
    v2_issuer,
)
from tests.corpus import keys, policy
from tests.corpus.case import POLICY, Case
from tests.corpus.world import SECOND_V2, UNREACHED_ISSUER, entra, oidc

_CLIENT_AND_ISSUER: Final = "Entra: client credentials, access control lists"
_NOT_GRANTED: Final = "role_not_assigned"


def cases() -> Iterator[Case]:
    """Yield all of them. Each is signed well, by the issuer it names."""
    yield from _tenants()
    yield from _daemons()
    yield from _holders()
    yield from _roles()
    yield from _rules()


def _case(name: str, attacks: str, token: str, reason: str, **more: Any) -> Case:
    return Case("allow-list", name, attacks, token, reason, scope=POLICY, **more)


def _of(tid: str, version: int = 2, **changes: Any) -> str:
    iss = v2_issuer(tid) if version == 2 else v1_issuer(tid)
    return entra(version, iss=iss, tid=tid, **changes).token()


def _tenants() -> Iterator[Case]:
    for name, attacks, token, reason in (
        (
            "tenant-of-nobody",
            "Any tenant can get a token for any API, and this one is nobody's partner.",
            _of(STRANGE_TID),
            "tenant_not_listed",
        ),
        ("v1-tenant-of-nobody", "The same in the form of version 1.", _of(STRANGE_TID, 1), "tenant_not_listed"),
        (
            "tenant-suspended",
            "The partner's tenant is suspended, while its partner is not.",
            _of(policy.SUSPENDED_TID),
            "tenant_suspended",
        ),
        ("partner-suspended", "The partner is suspended.", _of(policy.SUSPENDED_PARTNER_TID), "partner_suspended"),
        (
            "partner-ended",
            "The partner's time is over, since this very second.",
            _of(policy.ENDED_TID),
            "partner_ended",
        ),
        ("partner-invited", "The partner has not accepted yet.", _of(policy.INVITED_TID), "partner_not_active"),
        ("partner-archived", "The partner is of the past.", _of(policy.ARCHIVED_TID), "partner_not_active"),
    ):
        yield _case(name, attacks, token, reason, reference=_CLIENT_AND_ISSUER)
    sound = entra(iss=SECOND_V2.replace("{tenantid}", ACME_TID))
    yield _case(
        "tid-at-another-cloud",
        "A listed tid, at another cloud than the one it is listed at.",
        sound.token(
            {**sound.header, "kid": keys.SECOND_CLOUD.kid}, sign=lambda _, signed: keys.SECOND_CLOUD.sign(signed)
        ),
        "tenant_not_listed",
    )
    yield _case(
        "issuer-without-keys",
        "The issuer is on the list, and its keys cannot be had: nothing can be said about the token.",
        oidc(iss=UNREACHED_ISSUER).token(),
        "key_set_unavailable",
        trust="globex",
    )


def _daemons() -> Iterator[Case]:
    for name, attacks, token, reason in (
        (
            "daemon-of-nobody",
            "The right tenant, and a daemon in it that is not on the list.",
            entra(azp=STRANGE_CLIENT).token(),
            "daemon_not_listed",
        ),
        (
            "v1-daemon-of-nobody",
            "The same in the form of version 1.",
            entra(1, appid=STRANGE_CLIENT).token(),
            "daemon_not_listed",
        ),
        (
            "daemon-of-another-tenant",
            "A daemon that is listed, in another tenant.",
            entra(azp=INITECH_CLIENT).token(),
            "daemon_not_listed",
        ),
        (
            "daemon-suspended",
            "The daemon is suspended.",
            entra(azp=policy.SUSPENDED_CLIENT).token(),
            "daemon_suspended",
        ),
        (
            "hosted-daemon-of-nobody",
            "A daemon in the publisher's own tenant that belongs to no partner.",
            _of(HOME_TID, azp=STRANGE_CLIENT),
            "daemon_not_listed",
        ),
        (
            "hosted-daemon-of-a-suspended-partner",
            "A daemon in the publisher's own tenant whose partner is suspended.",
            _of(HOME_TID, azp=policy.ORPHAN_CLIENT),
            "partner_suspended",
        ),
    ):
        yield _case(name, attacks, token, reason, reference=_CLIENT_AND_ISSUER)
    yield _case(
        "client-in-capitals",
        "A client id of another issuer is compared with capitals.",
        oidc(client_id="Globex-Sync", sub="Globex-Sync").token(),
        "daemon_not_listed",
        trust="globex",
    )


def _holders() -> Iterator[Case]:
    yield _case(
        "oid-of-another",
        "The client id is on the list, and somebody else's object holds it.",
        entra(oid=STRANGE_CLIENT, sub=STRANGE_CLIENT).token(),
        "object_id_mismatch",
    )
    yield _case(
        "subject-of-another",
        "The client id is on the list, and another subject holds it.",
        oidc(client_id=policy.PINNED_CLIENT, sub="another").token(),
        "object_id_mismatch",
        trust="globex",
    )
    for name, attacks, azpacr in (
        (
            "secret-where-a-certificate-is-wanted",
            "The client proved itself with a secret, and this one needs a certificate.",
            "1",
        ),
        ("public-where-a-certificate-is-wanted", "The client did not prove itself at all.", "0"),
        ("unknown-where-a-certificate-is-wanted", "The token does not say how the client proved itself.", ...),
    ):
        token = entra(azp=policy.CERTIFICATE_CLIENT, azpacr=azpacr).token()
        yield _case(name, attacks, token, "credential_too_weak")


def _roles() -> Iterator[Case]:
    good = entra().token()
    yield _case(
        "role-in-the-token-alone",
        "The partner's own tenant gave the role, and the publisher did not.",
        entra(roles=["Orders.Read", "Orders.Write"]).token(),
        _NOT_GRANTED,
        roles=("Orders.Write",),
        reference=_CLIENT_AND_ISSUER,
    )
    for name, attacks, token, roles in (
        ("role-not-held", "The daemon holds another role than the one asked for.", good, ("Orders.Write",)),
        ("one-role-of-two", "The daemon holds one of the two roles asked for.", good, ("Orders.Read", "Orders.Write")),
        ("role-in-capitals", "Roles are compared with capitals.", good, ("ORDERS.READ",)),
        ("role-of-another-resource", "The daemon holds this role, on another API.", good, ("Billing.Read",)),
        (
            "no-role-at-all",
            "The daemon is on the list, and holds no role.",
            entra(azp=policy.ROLELESS_CLIENT).token(),
            (),
        ),
        (
            "role-ended",
            "The daemon's role has ended, since this very second.",
            entra(azp=policy.EXPIRED_CLIENT).token(),
            (),
        ),
        ("role-not-begun", "The daemon's role begins in a second.", entra(azp=policy.FUTURE_CLIENT).token(), ()),
    ):
        yield _case(name, attacks, token, _NOT_GRANTED, roles=roles)
    yield _case(
        "role-not-in-the-token",
        "This API wants the role from both, and the partner's own tenant has not given it.",
        entra(aud=BILLING_CLIENT_ID, roles=["Orders.Read"]).token(),
        _NOT_GRANTED,
        resource="billing",
        roles=("Billing.Read",),
    )
    yield _case(
        "hosted-daemon-without-the-role",
        "A daemon in the publisher's own tenant asks for more than it holds.",
        _of(HOME_TID, azp=HOME_CLIENT),
        _NOT_GRANTED,
        roles=("Orders.Write",),
    )


def _rules() -> Iterator[Case]:
    ledger: dict[str, Any] = {"aud": policy.LEDGER, "roles": ["Ledger.Read"]}
    for name, attacks, token, reason, trust in (
        (
            "version-not-accepted",
            "This API takes version 2 of Entra's tokens alone.",
            entra(1, **ledger).token(),
            "token_version_not_accepted",
            "acme-v1",
        ),
        (
            "required-claim-missing",
            "This API asks for a role in the token, and the partner's own tenant has not given it.",
            entra(aud=policy.LEDGER, roles=["Orders.Read"]).token(),
            "required_claim_mismatch",
            "acme-v2",
        ),
        (
            "client-not-accepted",
            "A daemon that is on the list, of a partner for whom this API is not meant.",
            _of(INITECH_TID, azp=INITECH_CLIENT, **ledger),
            "client_not_accepted",
            "acme-v2",
        ),
        (
            "issuer-not-accepted",
            "A daemon that is on the list, of an issuer for whose callers this API is not meant.",
            oidc(**ledger).token(),
            "issuer_not_accepted",
            "globex",
        ),
    ):
        yield _case(name, attacks, token, reason, resource="ledger", roles=(), trust=trust)
    yield _case(
        "from-an-address-nobody-knows",
        "This API is for callers from an agreed network, and nobody knows where this one is.",
        entra(aud=policy.VAULT).token(),
        "address_not_allowed",
        resource="vault",
        roles=(),
    )
