"""What 19 real identity providers published: every document loads, and every dropped key is named with its reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tenantgate.core.decision import DenialReason, Denied
from tenantgate.core.keys import KeySet, KeySetRef
from tenantgate.core.policy import CONSUMER_TENANT, IssuerRow
from tenantgate.core.verify import verify
from tenantgate.discovery.errors import IssuerMismatch, JwksUriRefused
from tenantgate.discovery.metadata import parse_metadata
from tests.builders import (
    ACME_TID,
    an_entra_issuer,
    an_index,
    cloud_key,
    json_bytes,
    signer,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.discovery.fakes import World, checked
from tests.real_parts import vectors_dir

pytestmark = pytest.mark.vectors

ISSUERS = (
    "apple", "battle-net", "discord", "docker", "dropbox", "entra-common", "entra-organizations", "facebook", "gitlab",
    "google", "klarna", "lego", "mojeid", "paypal", "slack", "spotify", "twitch", "verimi", "yahoo",
)  # fmt: skip
ELSEWHERE = {"google": "www.googleapis.com", "paypal": "api.paypal.com"}
"""Issuers whose keys live on another host than their metadata: it must be listed."""
USABLE = {
    "apple": 3, "battle-net": 2, "discord": 1, "docker": 2, "dropbox": 1, "entra-common": 7, "entra-organizations": 6,
    "facebook": 2, "gitlab": 2, "google": 2, "klarna": 4, "lego": 5, "mojeid": 1, "paypal": 14, "slack": 1,
    "spotify": 3, "twitch": 1, "verimi": 2, "yahoo": 1,
}  # fmt: skip
WEAK = "RSA key of 1024 bits; 2048 to 8192 are accepted"
DROPPED = {
    "paypal": {"753778214125442a472d4b6150645367": "curve X25519 is not used for signatures here"},
    "yahoo": {"6ff94cdad11e7c3ac08dc9ec3c44844b87e364f7": WEAK, "0": WEAK, "4": WEAK},
}
CONSUMER_KIDS = {"8IIDH6M8c3cXoeojKme8Jvqsr2Y", "iE89_EVhreMiV2-8rKE2zWBUm3M"}


def recorded(name: str) -> tuple[bytes, bytes, dict[str, Any], dict[str, Any]]:
    """Return an issuer's two documents, as bytes and decoded."""
    whole = json.loads((vectors_dir("recorded-issuers") / f"{name}.json").read_bytes())
    return json_bytes(whole["metadata"]), json_bytes(whole["jwks"]), whole["metadata"], whole["jwks"]


def row_of(name: str, **changes: Any) -> IssuerRow:
    """Return the row with which an operator would add this issuer."""
    _, _, metadata, _ = recorded(name)
    changes = {"jwks_hosts": (ELSEWHERE[name],) if name in ELSEWHERE else ()} | changes
    if name.startswith("entra"):
        base = "https://login.microsoftonline.com"
        url = f"{base}/{name.removeprefix('entra-')}/v2.0/.well-known/openid-configuration"
        return checked(IssuerRow(id=name, kind="entra", authority=base, metadata_url=url, **changes))
    return checked(IssuerRow(id=name, kind="oidc", issuer=metadata["issuer"], **changes))


async def served(name: str, **changes: Any) -> KeySet:
    """Return what a Keyring serves after fetching the recorded answers of an issuer."""
    raw_metadata, raw_jwks, metadata, _ = recorded(name)
    row = row_of(name, **changes)
    world = World(rows=[row])
    assert row.metadata_url is not None
    world.door.documents = {row.metadata_url: raw_metadata, metadata["jwks_uri"]: raw_jwks}
    await world.keyring.ensure(KeySetRef(name), None)
    found = world.keyring.key_set(KeySetRef(name))
    assert isinstance(found, KeySet), world.health(name)
    return found


def test_the_folder_holds_the_issuers_we_know():
    """A recording that is added is looked at by these tests, or they fail."""
    assert {path.stem for path in vectors_dir("recorded-issuers").glob("*.json")} == set(ISSUERS)


@pytest.mark.threat(30)
@pytest.mark.parametrize("name", ISSUERS)
async def test_every_recorded_issuer_loads(name: str):
    """Each of the 19 is served from its recorded answers; exactly the named keys are dropped, each for its reason."""
    _, _, _, jwks = recorded(name)

    found = await served(name)

    assert {drop.kid: drop.reason for drop in found.dropped} == DROPPED.get(name, {})
    assert len(found.keys) == USABLE[name]
    assert set(found.keys) == {key["kid"] for key in jwks["keys"]} - set(DROPPED.get(name, {}))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_keys_on_another_host_must_be_listed(name: str):
    """Google's and PayPal's keys are not where their metadata is: without the host in `jwks_hosts` they are refused."""
    raw, _, metadata, _ = recorded(name)

    with pytest.raises(JwksUriRefused, match=ELSEWHERE[name].replace(".", r"\.")):
        parse_metadata(raw, row_of(name, jwks_hosts=()), "v2")
    assert parse_metadata(raw, row_of(name), "v2").jwks_uri == metadata["jwks_uri"]


@pytest.mark.parametrize("name", ["mojeid", "verimi", "entra-common", "entra-organizations"])
async def test_rsa_keys_without_an_algorithm_are_bound_to_rs256(name: str):
    """mojeID, Verimi and Entra leave `alg` out of keys: each is bound to RS256, never to what a token says."""
    _, _, _, jwks = recorded(name)
    without = {key["kid"] for key in jwks["keys"] if "alg" not in key}
    assert without

    found = await served(name)

    assert {found.keys[kid].alg for kid in without} == {"RS256"}


@pytest.mark.parametrize("name", ["docker", "mojeid"])
def test_a_trailing_slash_of_an_issuer_is_part_of_it(name: str):
    """Docker's and mojeID's issuers end in a slash: without it the recorded metadata is somebody else's."""
    raw, _, metadata, _ = recorded(name)
    assert metadata["issuer"].endswith("/")
    with pytest.raises(IssuerMismatch):
        parse_metadata(raw, replace(row_of(name), issuer=metadata["issuer"].rstrip("/")), "v2")


async def test_paypals_keys_are_bound_each_to_its_own_algorithm():
    """A set of RSA, PSS and EC keys: every key is for the one algorithm it names, or its kind and curve do."""
    _, _, _, jwks = recorded("paypal")

    found = await served("paypal")

    assert {kid: key.alg for kid, key in found.keys.items()} == {
        key["kid"]: key.get("alg", "ES256") for key in jwks["keys"] if key["kid"] in found.keys
    }
    assert {key.alg for key in found.keys.values()} == {"RS256", "PS256", "ES256"}


async def test_the_consumer_keys_of_entra_are_bound_to_the_consumer_tenant():
    """Two keys of the common set name the consumer tenant's issuer; the organisations' set has none."""
    consumer = f"https://login.microsoftonline.com/{CONSUMER_TENANT}/v2.0"
    template = "https://login.microsoftonline.com/{tenantid}/v2.0"

    common, organizations = await served("entra-common"), await served("entra-organizations")

    assert {kid for kid, key in common.keys.items() if key.issuer == consumer} == CONSUMER_KIDS
    assert {key.issuer for kid, key in common.keys.items() if kid not in CONSUMER_KIDS} == {template}
    assert {key.issuer for key in organizations.keys.values()} == {template}


@pytest.mark.threat(20)
async def test_a_consumer_key_verifies_no_organisations_token():
    """A listed tenant's token, truly signed by a key of the recorded shape that names the consumer tenant, is refused.

    The set has the recorded members and issuer bindings; only the key material (and the host) is our own, so
    that both keys can sign.
    """
    _, _, _, recorded_set = recorded("entra-common")
    recorded_key = next(key for key in recorded_set["keys"] if key["kid"] in CONSUMER_KIDS)
    consumers = signer("RS256", "consumers")
    host, cloud = "https://login.microsoftonline.com/", "https://login.cloud.example/"
    shaped = recorded_key | {"kid": consumers.kid, "issuer": recorded_key["issuer"].replace(host, cloud)}
    shaped |= {member: consumers.jwk()[member] for member in ("n", "e")}
    row = checked(an_entra_issuer(jwks=..., v1_jwks=...))
    assert row.metadata_url is not None
    uri = "https://login.cloud.example/organizations/discovery/v2.0/keys"
    world = World(rows=[row])
    world.door.documents = {
        row.metadata_url: json_bytes({"issuer": row.v2_issuer, "jwks_uri": uri}),
        uri: json_bytes({"keys": [shaped, cloud_key().jwk(issuer=row.v2_issuer)]}),
    }
    await world.keyring.ensure(KeySetRef("cloud"), consumers.kid)
    index = an_index(cloud={"jwks": None, "v1_jwks": None})

    refused = verify(consumers.sign(v2_claims()), index, world.keyring)
    assert isinstance(refused, Denied)
    assert refused.reason is DenialReason.KEY_ISSUER_MISMATCH
    assert v2_claims()["iss"] == v2_issuer(ACME_TID)

    granted = verify(v2_token(), index, world.keyring)
    assert not isinstance(granted, Denied), granted

    own = v2_claims(tid=CONSUMER_TENANT, iss=v2_issuer(CONSUMER_TENANT))
    refused = verify(consumers.sign(own), index, world.keyring)
    assert isinstance(refused, Denied)
    assert refused.reason is DenialReason.CONSUMER_TENANT
