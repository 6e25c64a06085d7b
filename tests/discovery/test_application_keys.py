"""Documents of applications with signing keys of their own (`?appid=`): a key set each, beside the shared one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tenantgate.core.keys import KeySet, KeySetRef, NoKeys
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.metadata import metadata_url
from tests.builders import API_CLIENT_ID as APPID
from tests.builders import BILLING_CLIENT_ID as OTHER_APPID
from tests.builders import REMOVE, V2_TEMPLATE, Signer, an_entra_issuer, an_oidc_issuer, json_bytes, signer
from tests.discovery.fakes import World, checked, key_document, settle

CLOUD = checked(an_entra_issuer(jwks=REMOVE, v1_jwks=REMOVE, v1_issuer=REMOVE))
BASE = "https://login.cloud.example/organizations"
METADATA = f"{BASE}/v2.0/.well-known/openid-configuration"
KEYS = f"{BASE}/discovery/v2.0/keys"
OWN_METADATA, OWN_KEYS = f"{METADATA}?appid={APPID}", f"{KEYS}?appid={APPID}"
SHARED, OWN, OTHERS = (KeySetRef("cloud", "v2", appid) for appid in (None, APPID, OTHER_APPID))
S, A, B = (signer("ES256", name) for name in ("shared", "a", "b"))


class Cloud(World):
    """A keyring over a cloud with one application's documents beside the shared ones."""

    def __init__(self, row: IssuerRow = CLOUD, appids: Collection[str] = (APPID,), **limits: Any) -> None:
        super().__init__(rows=[], **limits)
        self.door.documents = {
            METADATA: json_bytes({"issuer": V2_TEMPLATE, "jwks_uri": KEYS}),
            OWN_METADATA: json_bytes({"issuer": V2_TEMPLATE, "jwks_uri": OWN_KEYS}),
        }
        self.publish_at(KEYS, S)
        self.publish_at(OWN_KEYS, S, A)
        self.keyring.set_issuers([row], appids)

    def publish_at(self, url: str, *signers: Signer) -> None:
        """Change what one document lists."""
        self.door.documents[url] = key_document(*signers, issuer=V2_TEMPLATE)

    def kids(self, ref: KeySetRef) -> set[str]:
        """Return the kids that serve now, none where there are no keys."""
        found = self.keyring.key_set(ref)
        return set(found.keys) if isinstance(found, KeySet) else set()


@asynccontextmanager
async def running(cloud: Cloud) -> AsyncIterator[Cloud]:
    """Yield the cloud with its background running, all first fetches done."""
    task = asyncio.create_task(cloud.keyring.run())
    await cloud.clock.advance(1)
    yield cloud
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("configured", "asked"),
    [
        (METADATA, OWN_METADATA),
        (f"{METADATA}?", OWN_METADATA),
        (f"{METADATA}?slice=testslice&dc=1", f"{METADATA}?slice=testslice&dc=1&appid={APPID}"),
        (f"{METADATA}?appid={OTHER_APPID}", OWN_METADATA),
        (f"{METADATA}?a=1&appid&appid=1&b=2", f"{METADATA}?a=1&b=2&appid={APPID}"),
        (f"{METADATA}?myappid=1", f"{METADATA}?myappid=1&appid={APPID}"),
    ],
)
def test_the_address_has_the_appid_once(configured: str, asked: str):
    """The configured query stays, but for another appid: which of two a server reads is anybody's guess."""
    row = checked(an_entra_issuer(jwks=REMOVE, v1_jwks=REMOVE, metadata_url=configured))

    assert metadata_url(row, "v2", APPID) == asked
    assert metadata_url(row, "v2") == configured


def test_an_appid_cannot_leave_the_query():
    """Whatever stands there is one value of the query, and nothing else of the address."""
    assert metadata_url(CLOUD, "v2", "a&b=c#d/é") == f"{METADATA}?appid=a%26b%3Dc%23d%2F%C3%A9"


async def test_an_application_has_a_key_set_of_its_own():
    """Its key comes from the documents with its appid; the shared ones do not list it."""
    cloud = Cloud()
    assert cloud.keyring.wants(OWN, A.kid)
    await cloud.keyring.ensure(OWN, A.kid)

    assert (cloud.kids(OWN), cloud.kids(SHARED)) == ({S.kid, A.kid}, {S.kid})
    assert cloud.door.seen == dict.fromkeys((METADATA, OWN_METADATA, KEYS, OWN_KEYS), 1)


async def test_an_application_nobody_named_causes_nothing():
    """Another application's key set does not exist here, and asking for it fetches nothing, not even shared keys."""
    cloud = Cloud()
    assert not cloud.keyring.wants(OTHERS, A.kid)
    await cloud.keyring.ensure(OTHERS, A.kid)

    assert cloud.keyring.key_set(OTHERS) == NoKeys(too_old=False)
    assert cloud.door.seen == {}


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(checked(an_oidc_issuer(jwks=REMOVE)), id="an OIDC issuer"),
        pytest.param(checked(an_entra_issuer()), id="a cloud with keys in its row"),
        pytest.param(
            checked(an_entra_issuer(v1_jwks=REMOVE, v1_metadata_url=f"{BASE}/v1")), id="a cloud with v2 keys in its row"
        ),
    ],
)
def test_elsewhere_applications_have_no_keys(row: IssuerRow):
    """Only an Entra cloud whose v2 keys are discovered knows such documents."""
    cloud = Cloud(row)

    assert {health.appid for health in cloud.keyring.health()} == {None}


@pytest.mark.threat(29)
async def test_unknown_kids_cost_an_issuer_one_fetch_a_cooldown():
    """However many documents it has. A kid that the first lacks is looked for in the other with the next."""
    cloud = Cloud()
    await cloud.keyring.ensure(OWN, A.kid)
    await cloud.clock.advance(60)
    for number in range(20):
        await cloud.keyring.ensure(OWN, f"forged-{number}")
        await cloud.keyring.ensure(SHARED, f"forged-{number}")
    assert (cloud.door.seen[KEYS], cloud.door.seen[OWN_KEYS]) == (1, 2)
    assert not cloud.keyring.wants(OWN, "forged-20")
    assert not cloud.keyring.wants(SHARED, "forged-20")

    await cloud.clock.advance(30)
    assert cloud.keyring.wants(OWN, "forged-0")
    await cloud.keyring.ensure(OWN, "forged-0")
    assert (cloud.door.seen[KEYS], cloud.door.seen[OWN_KEYS]) == (2, 2)
    await cloud.clock.advance(29)
    assert not cloud.keyring.wants(OWN, "forged-20")
    await cloud.clock.advance(1)
    await cloud.keyring.ensure(OWN, "forged-20")
    assert (cloud.door.seen[KEYS], cloud.door.seen[OWN_KEYS]) == (2, 3)
    assert (cloud.door.seen[METADATA], cloud.door.seen[OWN_METADATA]) == (1, 1)


async def test_fifty_requests_share_the_fetches():
    """Single flight, document by document."""
    cloud = Cloud()
    cloud.door.hold()
    waiting = [asyncio.create_task(cloud.keyring.ensure(OWN, A.kid)) for _ in range(50)]
    await settle()
    cloud.door.release()
    await asyncio.gather(*waiting)

    assert (cloud.door.seen[KEYS], cloud.door.seen[OWN_KEYS]) == (1, 1)
    assert cloud.kids(OWN) == {S.kid, A.kid}


async def test_new_shared_keys_come_while_the_applications_document_fails():
    """An application id that the cloud does not know keeps nobody out whom the shared keys let in."""
    cloud = Cloud()
    cloud.fail(OWN_METADATA)
    await cloud.keyring.ensure(OWN, S.kid)
    assert (cloud.kids(OWN), cloud.kids(SHARED)) == (set(), {S.kid})
    await cloud.clock.advance(60)
    cloud.publish_at(KEYS, S, B)
    await cloud.keyring.ensure(OWN, B.kid)

    assert cloud.kids(SHARED) == {S.kid, B.kid}


@pytest.mark.threat(5)
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"jwks_uri": f"https://keys.evil.example/keys?appid={APPID}"}, "jwks_uri_refused"),
        ({"jwks_uri": f"http://login.cloud.example/keys?appid={APPID}"}, "jwks_uri_refused"),
        ({"issuer": V2_TEMPLATE.replace("login", "sts")}, "issuer_mismatch"),
    ],
)
async def test_an_applications_metadata_is_held_to_configuration(changes: dict[str, str], code: str):
    """It leads nowhere the shared one may not, and its fault is its own: the shared keys serve."""
    cloud = Cloud()
    cloud.door.documents[OWN_METADATA] = json_bytes({"issuer": V2_TEMPLATE, "jwks_uri": OWN_KEYS} | changes)
    await cloud.keyring.ensure(OWN, A.kid)

    by_appid = {health.appid: health for health in cloud.keyring.health()}
    assert (by_appid[APPID].last_error, by_appid[None].last_error) == (code, None)
    assert (cloud.kids(OWN), cloud.kids(SHARED)) == (set(), {S.kid})
    assert OWN_KEYS not in cloud.door.seen


async def test_the_background_tends_it_like_any_other():
    """It is fetched at the start and again after an hour; a rotated key comes, the old one stays for its time."""
    async with running(Cloud()) as cloud:
        assert cloud.kids(OWN) == {S.kid, A.kid}
        cloud.publish_at(OWN_KEYS, S, B)
        await cloud.clock.advance(3600)
        assert (cloud.door.seen[OWN_KEYS], cloud.kids(OWN)) == (2, {S.kid, A.kid, B.kid})
        await cloud.clock.advance(25 * 3600)
        assert cloud.kids(OWN) == {S.kid, B.kid}


async def test_a_policy_change_elsewhere_leaves_it_alone():
    """The same appid keeps its very key objects and timers."""
    cloud = Cloud()
    await cloud.keyring.ensure(OWN, A.kid)
    before = cloud.keyring.key_set(OWN)
    cloud.keyring.set_issuers([CLOUD], (APPID,))

    assert cloud.keyring.key_set(OWN) is before
    assert not cloud.keyring.wants(OWN, "unknown")


async def test_another_appid_starts_anew_beside_the_shared_keys():
    """What was learnt for one application serves no other; the shared keys are the same objects as before."""
    cloud = Cloud()
    await cloud.keyring.ensure(OWN, A.kid)
    shared = cloud.keyring.key_set(SHARED)
    cloud.keyring.set_issuers([CLOUD], (OTHER_APPID,))

    assert (cloud.kids(OWN), cloud.kids(OTHERS)) == (set(), set())
    assert cloud.keyring.wants(OTHERS, A.kid)
    assert cloud.keyring.key_set(SHARED) is shared
    cloud.keyring.set_issuers([CLOUD])
    assert {health.appid for health in cloud.keyring.health()} == {None}


async def test_the_background_follows_a_change_of_the_appid():
    """A new application's documents are fetched at once, and the old one's never again."""
    async with running(Cloud(appids=())) as cloud:
        assert OWN_METADATA not in cloud.door.seen
        await asyncio.to_thread(cloud.keyring.set_issuers, [CLOUD], (APPID,))
        await cloud.clock.advance(1)
        assert (cloud.kids(OWN), cloud.door.seen[KEYS]) == ({S.kid, A.kid}, 1)
        cloud.keyring.set_issuers([CLOUD])
        await cloud.clock.advance(7200)
        assert cloud.door.seen[OWN_KEYS] == 1


async def test_complaints_name_the_application(caplog: pytest.LogCaptureFixture):
    """The log says which of an issuer's documents cannot be had; the shared one's line has no appid."""
    cloud = Cloud()
    cloud.fail(OWN_KEYS)
    cloud.fail(KEYS)
    with caplog.at_level(logging.WARNING, "tenantgate.discovery"):
        await cloud.keyring.ensure(OWN, A.kid)

    assert {getattr(record, "appid", None) for record in caplog.records} == {APPID, None}
