"""Kubernetes service accounts: by uid, from a projected token, never from one kept in a secret."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tests.core.profiles.made import Made, principal_of, reason_of

UID = "eeeeeeee-0000-4000-8000-000000000005"
CLUSTER: dict[str, Any] = {
    "namespace": "orders",
    "node": {"name": "node-1", "uid": "eeeeeeee-0000-4000-8000-000000000006"},
    "pod": {"name": "sync-0", "uid": "eeeeeeee-0000-4000-8000-000000000007"},
    "serviceaccount": {"name": "sync", "uid": UID},
    "warnafter": 1_800_003_607,
}
KUBERNETES = Made(
    profile="kubernetes",
    iss="https://oidc.clusters.acme.example/id/blue",
    client_id=UID,
    claims={
        "aud": ["api://orders.example"],
        "jti": "eeeeeeee-0000-4000-8000-000000000008",
        "kubernetes.io": CLUSTER,
        "nbf": 1_800_000_000,
        "sub": "system:serviceaccount:orders:sync",
    },
    header={},
)


def account(**changes: Any) -> dict[str, Any]:
    """The cluster's claim with another service account."""
    return {**CLUSTER, "serviceaccount": {k: v for k, v in {"name": "sync", "uid": UID, **changes}.items() if v}}


def test_a_service_account_comes_in_by_its_uid():
    """The uid is the client, the readable name stays in `sub`."""
    principal = principal_of(KUBERNETES.ask(KUBERNETES.token()))

    assert (principal.client_id, principal.oid) == (UID, "system:serviceaccount:orders:sync")


def test_a_token_not_bound_to_a_pod_comes_in():
    """`kubectl create token` binds to nothing; who may do that is the cluster's affair."""
    bare = {"namespace": "orders", "serviceaccount": CLUSTER["serviceaccount"]}

    assert KUBERNETES.reason(**{"kubernetes.io": bare}) is None


def test_an_account_made_anew_under_the_old_name_is_nobody():
    """Namespace and name can be deleted and made again by somebody else; the uid is new then."""
    again = account(uid="eeeeeeee-0000-4000-8000-000000000009")

    assert KUBERNETES.reason(**{"kubernetes.io": again}) is R.DAEMON_NOT_LISTED


def test_a_token_from_a_secret_is_refused():
    """Those of old have flat claims, no end, no audience, and an `iss` that is no address."""
    old = {
        "kubernetes.io": ...,
        "kubernetes.io/serviceaccount/namespace": "orders",
        "kubernetes.io/serviceaccount/service-account.name": "sync",
        "kubernetes.io/serviceaccount/service-account.uid": UID,
        "aud": ...,
        "iat": ...,
        "exp": ...,
    }

    assert KUBERNETES.reason(**old) is R.CLAIM_MISSING
    assert KUBERNETES.reason(**old, iss="kubernetes/serviceaccount") is R.ISSUER_UNKNOWN


def test_a_row_may_not_bring_the_old_tokens_in():
    """Even with the flat claim named as the client, a token without an end is refused."""
    flat = "kubernetes.io/serviceaccount/service-account.uid"
    token = KUBERNETES.token(**{flat: UID, "exp": ...})

    assert reason_of(KUBERNETES.ask(token, row={"client_id_claim": flat})) is R.CLAIM_MISSING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": ...}, R.CLAIM_MISSING),
        ({"exp": 1_800_000_000 + 365 * 86_400}, R.TOKEN_LIFETIME_TOO_LONG),
        ({"kubernetes.io": ...}, R.CLAIM_MISSING),
        ({"kubernetes.io": "orders"}, R.CLAIM_MISSING),
        ({"kubernetes.io": account(uid=None)}, R.CLAIM_MISSING),
        ({"kubernetes.io": account(name=None)}, R.CLAIM_MISSING),
        ({"kubernetes.io": {**CLUSTER, "namespace": None}}, R.CLAIM_MISSING),
        ({"kubernetes.io": account(uid=[UID])}, R.CLAIM_MALFORMED),
        ({"kubernetes.io": account(uid=UID.upper())}, R.DAEMON_NOT_LISTED),
        ({"kubernetes.io": account(name="other")}, R.NOT_APP_ONLY),
        ({"kubernetes.io": {**CLUSTER, "namespace": "other"}}, R.NOT_APP_ONLY),
        ({"sub": "system:serviceaccount:orders"}, R.NOT_APP_ONLY),
        ({"sub": "system:node:node-1"}, R.NOT_APP_ONLY),
        ({"sub": "sync"}, R.NOT_APP_ONLY),
        ({"aud": ["https://kubernetes.default.svc.cluster.local"]}, R.AUDIENCE_MISMATCH),
        ({"aud": ...}, R.CLAIM_MISSING),
        ({"iss": "https://kubernetes.default.svc.cluster.local"}, R.ISSUER_UNKNOWN),
    ],
)
def test_one_spoiled_claim(changes: dict[str, object], reason: R):
    """No end, another cluster, the cluster's own audience, and a `sub` that is not the account in the claim."""
    assert KUBERNETES.reason(**changes) is reason


def test_the_missing_claim_is_named():
    """The trace says which one, dots and all."""
    step = KUBERNETES.explain(KUBERNETES.token(**{"kubernetes.io": account(uid=None)})).steps[-1]

    assert (step.name, step.received) == ("claims", "kubernetes.io/serviceaccount/uid is absent")
