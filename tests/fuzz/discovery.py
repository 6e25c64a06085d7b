"""What an issuer publishes: `parse_metadata`, and the key documents that follow, merged one after the other.

An input is documents, one a line: the first is metadata, the others are key documents as they were fetched in turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from tenantgate.core.keys import KeySet, MalformedKeySet, parse_jwks
from tenantgate.core.policy import IssuerRow
from tenantgate.core.rules import check_row
from tenantgate.discovery.errors import IssuerMismatch, JwksUriRefused, MetadataMalformed
from tenantgate.discovery.metadata import Metadata, parse_metadata
from tenantgate.discovery.published import KeyEvent, Merging, Published, merge
from tests.builders import AUTHORITY, OIDC_ISSUER, V1_TEMPLATE, V2_TEMPLATE, Signer, json_bytes, signer
from tests.fuzz import jwks
from tests.fuzz.shapes import changed, document, text
from tests.fuzz.target import Change, Target, check_words, vector_files


def _checked(**members: Any) -> IssuerRow:
    row = check_row(IssuerRow(**members))
    assert isinstance(row, IssuerRow)
    return row


CLOUD: Final = _checked(id="cloud", kind="entra", authority=AUTHORITY, v1_issuer=V1_TEMPLATE)
OIDC: Final = _checked(id="oidc", kind="oidc", issuer=OIDC_ISSUER, jwks_hosts=("keys.example", "keys.example:8443"))
LOCAL: Final = _checked(id="local", kind="oidc", issuer="http://localhost:8080", insecure_allow_http=True)
DOCUMENTS: Final[tuple[tuple[IssuerRow, Any, str, set[tuple[str, str, int]]], ...]] = (
    (CLOUD, "v2", V2_TEMPLATE, {("https", "login.cloud.example", 443)}),
    (CLOUD, "v1", V1_TEMPLATE, {("https", "login.cloud.example", 443)}),
    (
        OIDC,
        "v2",
        OIDC_ISSUER,
        {("https", "id.globex.example", 443), ("https", "keys.example", 443), ("https", "keys.example", 8443)},
    ),
    (LOCAL, "v2", "http://localhost:8080", {("http", "localhost", 8080)}),
)
"""Rows, the document, the issuer it must name, and every place its keys may be at."""
HARD_AGE, RETIRE, RETAINED, BETWEEN = 1_000.0, 250.0, 2, 100.0
URIS: Final = (
    "https://login.cloud.example/keys",
    "https://LOGIN.cloud.example/keys?appid=x",
    "https://keys.example/",
    "https://keys.example:8443/",
    "https://keys.example./",
    "https://keys.example%2eevil.example/",
    "https://keys.example#@evil.example/",
    "https://id.globex.example:443/k",
    "https://id.globex.example@evil.example/",
    "https://id.globex.example\\@evil.example/",
    "https://[2001:db8::1]:8443/k",
    "http://localhost:8080/k",
    "https:keys.example",
    "//keys.example/",
    "file:///etc/keys",
)
WORDS: Final[dict[str, tuple[Any, ...]]] = {
    "issuer": (V2_TEMPLATE, V1_TEMPLATE, OIDC_ISSUER, OIDC_ISSUER + "/", "http://localhost:8080"),
    "jwks_uri": URIS,
}


def run(data: bytes) -> None:
    """Read the first line as each issuer's metadata, and merge the key documents in the others."""
    first, *others = data.split(b"\n")
    for row, name, issuer, places in DOCUMENTS:
        found = metadata_of(first, row, name)
        assert found == metadata_of(first, row, name)
        if found is not None:
            check_metadata(found, first, issuer, places)
    check_merges(others)


def metadata_of(raw: bytes, row: IssuerRow, name: Any) -> Metadata | None:
    """Return what is believed of a document, or None where it is refused in one of the three declared ways."""
    try:
        return parse_metadata(raw, row, name)
    except (MetadataMalformed, IssuerMismatch, JwksUriRefused) as error:
        check_words(str(error))
        return None


def check_metadata(found: Metadata, raw: bytes, issuer: str, places: set[tuple[str, str, int]]) -> None:
    """Believed is the configured issuer alone, with its keys at a configured place, whoever reads the address."""
    document_read = json.loads(raw)
    assert found == (document_read["issuer"], document_read["jwks_uri"])
    assert found.issuer == issuer
    parts = urlsplit(found.jwks_uri)
    default = {"https": 443, "http": 80}[parts.scheme]
    assert (parts.scheme, parts.hostname, parts.port or default) in places, found.jwks_uri
    dialled = httpx.URL(found.jwks_uri)
    assert (dialled.scheme, dialled.host, dialled.port or default) in places, found.jwks_uri
    assert not dialled.userinfo


def check_merges(documents: list[bytes]) -> None:
    """Merge key documents in turn; those that are malformed leave what is in use."""
    serving: Published | None = None
    for place, raw in enumerate(documents[:6]):
        try:
            fresh = parse_jwks(raw, OIDC)
        except MalformedKeySet:
            continue
        now = 5.0 + place * BETWEEN
        merged, events = merge(serving, fresh, Merging(now, HARD_AGE, RETIRE, RETAINED))
        check_merge(serving, fresh, merged, events, now)
        serving = merged


def check_merge(
    old: Published | None, fresh: KeySet, merged: Published, events: tuple[KeyEvent, ...], now: float
) -> None:
    """What serves is what was listed, and of what was not only the few that have not retired."""
    before = old.keys.keys if old is not None else {}
    kept = merged.keys.keys.keys() - fresh.keys.keys()
    assert merged.keys.keys.keys() >= fresh.keys.keys()
    assert kept == merged.absent.keys()
    assert kept <= before.keys()
    assert len(kept) <= RETAINED
    assert all(now - at < RETIRE for at in merged.absent.values())
    for kid, key in merged.keys.keys.items():
        assert key.kid == kid
        listed = fresh.keys.get(kid) or before[kid]
        assert jwks.as_jwk(key) == jwks.as_jwk(listed), "another key than was published"
        if kid in before and jwks.as_jwk(before[kid]) == jwks.as_jwk(listed):
            assert key is before[kid], "an unchanged key became another object"
    assert merged.first_seen.keys() == merged.keys.keys.keys()
    changed_kids = {event.kid for event in events}
    assert {kid for kid in fresh.keys if kid not in before} <= changed_kids
    assert {kid for kid in before if kid not in merged.keys.keys} <= changed_kids
    alone = merged.keys.find(None)
    assert alone is None or jwks.as_jwk(alone) in [jwks.as_jwk(key) for key in jwks.served(fresh)]


def keys_of(*signers: Signer) -> bytes:
    """Return a key document with these signers' keys."""
    return json_bytes({"keys": [each.jwk() for each in signers]})


def seeds() -> Iterator[bytes]:
    """Yield metadata of each issuer with every address, followed by rotations; and what real issuers publish."""
    a, b, c = (signer("EdDSA", name) for name in "abc")
    rotation = b"\n".join((keys_of(a), keys_of(a, b), keys_of(b), keys_of(c), keys_of(a, c)))
    for _, _, issuer, _ in DOCUMENTS:
        for uri in URIS:
            yield json_bytes({"issuer": issuer, "jwks_uri": uri}) + b"\n" + rotation
    for path in vector_files("recorded-issuers"):
        whole = json.loads(path.read_bytes())
        yield json_bytes(whole["metadata"]) + b"\n" + json_bytes(whole["jwks"])
        yield json_bytes({**whole["metadata"], "issuer": OIDC_ISSUER}) + b"\n" + keys_of(a)


def mutate(data: bytes, number: int, change: Change) -> bytes:
    """Change a member of one document, swap two, or one for another; now and then the bytes."""
    random = Random(number)
    lines = data.split(b"\n")
    place = random.randrange(len(lines))
    action = random.random()
    if action < 0.15:
        return change(data)
    if action < 0.3 and len(lines) > 1:
        other = random.randrange(1, len(lines))
        lines.insert(other, lines[random.randrange(1, len(lines))])
    elif action < 0.6 or place == 0:
        lines[0] = text(changed(document(lines[0]), random, change, WORDS))
    else:
        lines[place] = text(changed(document(lines[place]), random, change, jwks.WORDS))
    return b"\n".join(lines[:7])


TARGET: Final = Target(run, seeds, mutate, 32_768)
