"""Key sets given by hand: usable, and without a secret."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.registry import issuers
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.issuers import IssuerSpec
from tests.registry.builders import Registry

PUBLIC = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "a"}


def _create(registry: Registry, *keys: Any) -> None:
    spec = IssuerSpec(kind="oidc", issuer="https://id.example", jwks={"keys": list(keys)})
    with registry.work() as work:
        issuers.create(work, spec)


def test_a_public_key_is_kept(registry: Registry):
    """A set of public keys is listed as it was given."""
    _create(registry, PUBLIC)
    with reading(registry.engine) as session:
        assert {"keys": [PUBLIC]} in [each.jwks for each in issuers.list_(session).items]


@pytest.mark.threat(14)
@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([PUBLIC | {"d": "AA"}], id="private"),
        pytest.param([PUBLIC, PUBLIC | {"kid": "b", "d": "AA"}], id="private beside public"),
        pytest.param([{"kty": "oct", "k": "AA"}], id="symmetric"),
        pytest.param([{}], id="nothing usable"),
        pytest.param(["a"], id="no key"),
    ],
)
def test_a_secret_or_useless_key_set_is_refused(registry: Registry, keys: list[Any]):
    """A secret would be shown to every Viewer and stay in the audit; a set nobody can use would stop every gate."""
    with pytest.raises(InvalidError) as caught:
        _create(registry, *keys)
    assert caught.value.code == "jwks_malformed"
