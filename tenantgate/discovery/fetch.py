"""The two fetches: one metadata document, one key document. They keep nothing: a look at an issuer changes nothing."""

from __future__ import annotations

from typing import NamedTuple

from tenantgate.core.keys import KeySet, MalformedKeySet, parse_jwks
from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.errors import FetchFailed, KeySetRefused, MetadataMalformed
from tenantgate.discovery.metadata import Document, Metadata, metadata_url, parse_metadata
from tenantgate.net.door import Door, Fetched, FetchRules, NetError


class FetchedKeys(NamedTuple):
    """A key document that was believed.

    `max_age` is the server's Cache-Control in seconds, `date` its time of day in epoch seconds, if it sent them.
    """

    keys: KeySet
    max_age: int | None
    date: float | None = None


async def fetch_metadata(
    door: Door, row: IssuerRow, document: Document, rules: FetchRules, appid: str | None = None
) -> Metadata:
    """Fetch and check an issuer's metadata; with `appid`, that of an application with keys of its own.

    Raises:
        DiscoveryError: what came is not used.
    """
    url = metadata_url(row, document, appid)
    if url is None:
        raise MetadataMalformed(f"{row.id} has no {document} metadata address")
    return parse_metadata((await _get(door, url, rules)).body, row, document)


async def fetch_keys(door: Door, jwks_uri: str, row: IssuerRow, rules: FetchRules) -> FetchedKeys:
    """Fetch and weigh a key document. `jwks_uri` comes from checked metadata.

    Raises:
        DiscoveryError: what came is not used.
    """
    fetched = await _get(door, jwks_uri, rules)
    try:
        return FetchedKeys(parse_jwks(fetched.body, row), fetched.max_age, fetched.date)
    except MalformedKeySet as error:
        raise KeySetRefused(str(error)) from None


async def _get(door: Door, url: str, rules: FetchRules) -> Fetched:
    try:
        return await door.get(url, rules)
    except NetError as error:
        raise FetchFailed(error) from None
