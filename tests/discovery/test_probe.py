"""A look at an issuer: what each step finds, where it ends, and that nothing of it is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.discovery import advice, errors
from tenantgate.discovery.errors import DiscoveryError
from tenantgate.discovery.probe import Finding, probe
from tenantgate.net import door as net
from tenantgate.net.door import (
    AddressRefused,
    Certificate,
    DnsFailed,
    FetchRules,
    NetError,
    StatusRefused,
    TlsFailed,
)
from tests.builders import V1_TEMPLATE, V2_TEMPLATE, an_entra_issuer, json_bytes, signer
from tests.discovery.fakes import ISSUER, JWKS, METADATA, FakeDoor, a_row, checked, key_document, metadata

A = signer("ES256", "a")
NOW = 1_800_000_000.0
DAY = 86_400.0


class FakeScout:
    """The first half of a fetch, as a test wants it."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] | NetError = ("192.0.2.7", "2001:db8::7")
        self.certificate: Certificate | NetError | None = Certificate(
            subject="id.globex.example", issuer="An Authority", ends_at=NOW + 90 * DAY
        )

    async def look_up(self, url: str, rules: FetchRules) -> tuple[str, ...]:
        """Answer, or fail."""
        if isinstance(self.addresses, NetError):
            raise self.addresses
        return self.addresses

    async def greet(self, url: str, rules: FetchRules) -> Certificate | None:
        """Answer, or fail."""
        if isinstance(self.certificate, NetError):
            raise self.certificate
        return self.certificate


class DatedDoor(FakeDoor):
    """A door whose servers say what time it is."""

    def __init__(self, date: float | None = NOW) -> None:
        super().__init__()
        self.date = date
        self.documents = {METADATA: metadata(), JWKS: key_document(A)}


async def look(door: FakeDoor | None = None, scout: FakeScout | None = None, **row: Any) -> list[Finding]:
    """Look at the issuer."""
    return await probe(a_row(**row), door or DatedDoor(), scout or FakeScout(), lambda: NOW)


def told(findings: list[Finding]) -> list[tuple[str, str, str | None]]:
    """Return step, state and code of each."""
    return [(each.step, each.state, each.code) for each in findings]


async def test_an_issuer_that_is_well_is_well_at_every_step():
    """Where it is, whom the certificate names, where its keys are, which they are, and how the clocks differ."""
    findings = await look()

    assert told(findings) == [(step, "ok", None) for step in ("name", "connection", "metadata", "keys", "clock")]
    assert [each.detail for each in findings] == [
        "192.0.2.7, 2001:db8::7",
        "certificate of id.globex.example, by An Authority, for 90 more days",
        f"of {ISSUER}; keys at {JWKS}",
        f"1 to verify with: {A.kid} (ES256)",
        "this machine's clock agrees with the issuer's (+0 s)",
    ]
    assert {each.document for each in findings} == {"v2"}
    assert {each.advice for each in findings} == {None}


@pytest.mark.parametrize(
    ("addresses", "certificate", "documents", "steps", "code"),
    [
        (DnsFailed("no such name"), None, {}, 1, "dns"),
        (AddressRefused("it leads to 10.0.0.1, a private address"), None, {}, 1, "address_refused"),
        (("192.0.2.7",), TlsFailed("the certificate was refused: it has expired"), {}, 2, "tls"),
        (("192.0.2.7",), None, {METADATA: StatusRefused("it answered 404", 404)}, 3, "status"),
        (("192.0.2.7",), None, {METADATA: b"<html>"}, 3, "metadata_malformed"),
        (("192.0.2.7",), None, {METADATA: metadata(issuer="https://other.example")}, 3, "issuer_mismatch"),
        (("192.0.2.7",), None, {METADATA: metadata(jwks_uri="https://x.example/k")}, 3, "jwks_uri_refused"),
        (("192.0.2.7",), None, {JWKS: b'{"keys":[]}'}, 4, "key_set_malformed"),
    ],
)
async def test_the_first_step_that_fails_is_the_last(
    addresses: Any, certificate: Any, documents: dict[str, Any], steps: int, code: str
):
    """With its code, what went wrong, and what to do about it."""
    door, scout = DatedDoor(), FakeScout()
    scout.addresses, scout.certificate = addresses, certificate
    door.documents |= documents
    findings = await look(door, scout)

    assert len(findings) == steps
    assert [each.state for each in findings].count("failed") == 1
    assert (findings[-1].state, findings[-1].code) == ("failed", code)
    assert findings[-1].detail
    assert findings[-1].advice == advice.ADVICE[code]


@pytest.mark.parametrize(
    ("date", "state", "detail"),
    [
        (NOW - 30, "ok", "this machine's clock agrees with the issuer's (+30 s)"),
        (NOW + 30, "ok", "this machine's clock agrees with the issuer's (-30 s)"),
        (NOW - 31, "warning", "this machine's clock is 31 s ahead of the issuer's"),
        (NOW + 3600, "warning", "this machine's clock is 3600 s behind the issuer's"),
    ],
)
async def test_clocks_are_compared(date: float, state: str, detail: str):
    """By the date of the answer that brought the keys."""
    last = (await look(DatedDoor(date)))[-1]

    assert (last.step, last.state, last.detail) == ("clock", state, detail)
    assert last.code == ("clock_offset" if state == "warning" else None)


async def test_a_server_without_a_clock_is_not_compared():
    """Nothing is said of what is not known."""
    assert [each.step for each in await look(DatedDoor(None))] == ["name", "connection", "metadata", "keys"]


@pytest.mark.parametrize(("days", "state"), [(14.0, "ok"), (13.9, "warning"), (1.0, "warning")])
async def test_a_certificate_that_ends_soon_is_worth_a_warning(days: float, state: str):
    """Two weeks are enough to have it renewed."""
    scout = FakeScout()
    scout.certificate = Certificate(subject="a", issuer="b", ends_at=NOW + days * DAY)

    found = (await look(scout=scout))[1]

    assert (found.step, found.state) == ("connection", state)


async def test_keys_that_are_not_used_are_named():
    """Dropped ones with the reason, distrusted ones too; the good ones are what counts."""
    weak = {"kty": "oct", "k": "AAAA", "kid": "weak"}
    b = signer("ES256", "b")
    door = DatedDoor()
    door.documents[JWKS] = json_bytes({"keys": [A.jwk(), b.jwk(), weak]})

    findings = [each for each in await look(door, distrusted_keys=(b.kid,)) if each.step == "keys"]

    assert [(each.state, each.code, each.detail) for each in findings] == [
        ("ok", None, f"1 to verify with: {A.kid} (ES256)"),
        ("warning", "keys_dropped", "1 not used: weak: symmetric key"),
        ("warning", "keys_distrusted", f"distrusted: {b.kid}"),
    ]


async def test_an_issuer_whose_keys_are_all_distrusted_is_not_well():
    """Fetched or given: every token of it is refused."""
    fetched = [each for each in await look(distrusted_keys=(A.kid,)) if each.step == "keys"]
    given = await look(distrusted_keys=(A.kid,), jwks={"keys": [A.jwk()]}, metadata_url=None)

    for findings in (fetched, given):
        assert told(findings) == [("keys", "failed", "keys_none")]
        assert findings[0].advice


async def test_a_key_without_a_name_is_called_so():
    """There is one, and it has none."""
    door = DatedDoor()
    door.documents[JWKS] = json_bytes({"keys": [{k: v for k, v in A.jwk().items() if k != "kid"}]})

    assert "1 to verify with: no kid (ES256)" in [each.detail for each in await look(door)]


async def test_keys_of_the_policy_are_weighed_and_nothing_is_asked():
    """An issuer that brings its keys along has no network to be tested."""
    door = DatedDoor()
    good = await look(door, jwks={"keys": [A.jwk()]}, metadata_url=None)
    bad = await look(door, jwks={"keys": [{"kty": "oct"}]}, metadata_url=None)

    assert [(each.step, each.state, each.detail) for each in good] == [
        ("keys", "ok", "1 given in the policy; none are fetched")
    ]
    assert told(bad) == [("keys", "failed", "key_set_malformed")]
    assert door.seen == {}


async def test_plain_http_is_said():
    """On loopback, for tests."""
    scout = FakeScout()
    scout.certificate = None
    assert told(await look(scout=scout))[1] == ("connection", "warning", "plain_http")


async def test_by_a_proxy_name_and_connection_are_its_own_business():
    """What is behind it is found by the fetch."""
    scout = FakeScout()
    scout.addresses = scout.certificate = DnsFailed("never asked")
    findings = await look(scout=scout, proxy="http://proxy.example:3128")

    assert told(findings) == [(step, "ok", None) for step in ("name", "metadata", "keys", "clock")]
    assert findings[0].detail == "the proxy http://proxy.example:3128 looks the name up"


async def test_both_documents_of_a_cloud_are_looked_at():
    """One may be well while the other is not."""
    row = checked(an_entra_issuer(jwks=None, v1_jwks=None))
    door = DatedDoor()
    home = (row.metadata_url or "").partition("/organizations")[0]
    door.documents = {
        row.metadata_url or "": json_bytes({"issuer": V2_TEMPLATE, "jwks_uri": f"{home}/keys"}),
        f"{home}/keys": key_document(signer("RS256", "two"), issuer=V2_TEMPLATE),
        row.v1_metadata_url or "": json_bytes({"issuer": V2_TEMPLATE, "jwks_uri": f"{home}/keys"}),
    }

    findings = await probe(row, door, FakeScout(), lambda: NOW)

    by_document = {d: [each for each in findings if each.document == d] for d in ("v2", "v1")}
    assert {each.state for each in by_document["v2"]} == {"ok"}
    assert told(by_document["v1"])[-1] == ("metadata", "failed", "issuer_mismatch")
    assert V1_TEMPLATE in by_document["v1"][-1].detail


def test_every_code_has_advice():
    """Of every failure a fetch can have, and every warning of a look; and no other."""
    fetched = {each.code for each in vars(net).values() if isinstance(each, type) and issubclass(each, NetError)}
    made = {each("x").code for each in DiscoveryError.__subclasses__() if each is not errors.FetchFailed}
    warnings = {"plain_http", "certificate_ends", "clock_offset", "keys_dropped", "keys_none", "keys_distrusted"}

    assert set(advice.ADVICE) == (fetched - {NetError.code}) | made | {errors.UNEXPECTED} | warnings
    assert all(text.endswith(".") and text[0].isupper() for text in advice.ADVICE.values())
