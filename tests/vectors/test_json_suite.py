"""JSONTestSuite in every place where somebody else's JSON is read: as the whole of it, and as a member in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Granted
from tenantgate.core.keys import MalformedKeySet, parse_jwks
from tenantgate.core.limits import LIMITS
from tenantgate.core.strict import Unreadable, read_document
from tenantgate.core.token import READER
from tenantgate.discovery.errors import MetadataMalformed
from tenantgate.discovery.metadata import parse_metadata
from tests.builders import an_oidc_issuer, ask, json_bytes, oidc_claims, oidc_key
from tests.discovery.fakes import a_row, metadata
from tests.vectors.json_suite import REFUSED, STRICTER, read, within

pytestmark = pytest.mark.vectors

HEADER = json_bytes({"typ": "JWT", "alg": "ES256", "kid": oidc_key().kid})
REFUSALS = {R.TOKEN_MALFORMED, R.TOKEN_TOO_LARGE, R.ALGORITHM_NOT_ALLOWED, R.CLAIM_MISSING}
"""What a token ends in whose header or payload is JSON and nothing else, or no JSON at all."""


def header_is_read(raw: bytes) -> bool:
    """Whether a token with this header is let in; anything but a clean refusal is a failure."""
    READER._header.cache_clear()
    return is_granted(oidc_key().sign(oidc_claims(), raw))


def payload_is_read(raw: bytes) -> bool:
    """Whether a token with this payload is let in."""
    return is_granted(oidc_key().sign(raw))


def is_granted(token: str) -> bool:
    decision = ask(token)
    if isinstance(decision, Granted):
        return True
    assert decision.reason in REFUSALS, decision
    assert decision.detail.isascii()
    assert decision.detail.isprintable()
    return False


def key_set_is_read(raw: bytes) -> bool:
    """Whether a fetched document is a key set."""
    try:
        return bool(parse_jwks(raw, an_oidc_issuer()).keys)
    except MalformedKeySet:
        return False


def metadata_is_read(raw: bytes) -> bool:
    """Whether a fetched document is the issuer's metadata."""
    try:
        return bool(parse_metadata(raw, a_row(), "v2").jwks_uri)
    except MetadataMalformed:
        return False


class Place(NamedTuple):
    """Where JSON is read: a sound document there, and whether one with these bytes is taken."""

    sound: bytes
    is_read: Callable[[bytes], bool]


PLACES = {
    "header": Place(HEADER, header_is_read),
    "payload": Place(json_bytes(oidc_claims()), payload_is_read),
    "key set": Place(json_bytes({"keys": [oidc_key().jwk()]}), key_set_is_read),
    "metadata": Place(metadata(), metadata_is_read),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_case_as_a_member_is_read_exactly_where_it_is_strict_json(place: Place) -> None:
    """Each case in an otherwise sound document: taken where it is readable, else the whole is refused."""
    assert place.is_read(place.sound)
    wrong = [each.name for each in read() if place.is_read(within(place.sound, each)) is not each.readable]

    assert wrong == []


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_case_as_the_whole_is_never_taken(place: Place) -> None:
    """No case is a header, a set of claims, a key set or metadata: each ends in the refusal of that place."""
    assert [each.name for each in read() if place.is_read(each.raw)] == []


@pytest.mark.parametrize("place", ["header", "payload"])
def test_an_object_is_refused_for_what_it_lacks_and_the_rest_for_its_form(place: str) -> None:
    """Of the cases that are objects the members are missed; of all others the reason is that they are none."""
    lacking = {"header": R.ALGORITHM_NOT_ALLOWED, "payload": R.CLAIM_MISSING}[place]
    for each in read():
        token = oidc_key().sign(oidc_claims(), each.raw) if place == "header" else oidc_key().sign(each.raw)
        decision = ask(token)
        no_object = R.TOKEN_TOO_LARGE if len(token) > LIMITS.token_bytes else R.TOKEN_MALFORMED
        assert not isinstance(decision, Granted)
        assert decision.reason is (lacking if each.is_object else no_object), each.name


def document_is_read(raw: bytes) -> bool:
    """Whether an operator's document is taken."""
    try:
        read_document(raw)
    except Unreadable:
        return False
    return True


def test_an_operators_document_is_read_as_strictly() -> None:
    """A policy file's reader differs from the others in one thing: it has no bound of depth."""
    deep = {name for name, why in REFUSED.items() if why == "nested deeper than 16"}

    wrong = [each.name for each in read() if document_is_read(each.raw) is not (each.readable or each.name in deep)]
    assert wrong == []


def test_the_suite_is_the_one_we_know() -> None:
    """As many cases as the tables were written for, and a row of a table for each case that is read otherwise."""
    documents = {each.name: each for each in read()}
    labels = Counter(each.label for each in documents.values())

    assert labels == {"must-accept": 95, "must-reject": 188, "implementation-defined": 35}
    assert {documents[name].label for name in STRICTER} == {"must-accept"}
    assert {documents[name].label for name in REFUSED} == {"implementation-defined"}
    assert sum(each.readable for each in documents.values()) == 98
    assert sum(each.is_object for each in documents.values()) == 10
