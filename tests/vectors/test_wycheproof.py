"""Project Wycheproof: nothing invalid is accepted, nothing valid refused, but for the rows of one table."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.strict import Unreadable, decode_base64url, read_object
from tests.builders import ask
from tests.vectors.signatures import Weighed, weigh
from tests.vectors.wycheproof import (
    JWK,
    JWS,
    MENDED_ALGORITHM,
    MISLABELLED_MACS,
    REFUSED_THOUGH_VALID,
    Vector,
    read,
)

pytestmark = pytest.mark.vectors

FILES = [pytest.param(JWS, id="jws"), pytest.param(JWK, id="jwk")]
COUNTS = {JWS: (24, 277), JWK: (1, 25)}
"""By file: valid vectors accepted, and vectors refused (the invalid ones and those of the table)."""


def weighed(file: str) -> dict[int, tuple[Vector, Weighed]]:
    """Return every vector of a file by its number, with what the judge's functions say of it."""
    return {vector.number: (vector, weigh(vector.jws, vector.keys)) for vector in read(file)}


@pytest.mark.threat(1, 2, 3, 4, 27, 28)
@pytest.mark.parametrize("file", FILES)
def test_nothing_invalid_is_accepted_and_nothing_valid_refused(file: str) -> None:
    """Accept-invalid and reject-valid are none, and as many were asked as the file has."""
    results = weighed(file)
    accepted = {number for number, (_, result) in results.items() if result.holds}
    valid = {number for number, (vector, _) in results.items() if vector.label == "valid"}
    wanted = valid - REFUSED_THOUGH_VALID[file].keys()

    assert accepted - wanted == set(), "accepted, and invalid"
    assert wanted - accepted == set(), "refused, and valid"
    assert (len(accepted), len(results) - len(accepted)) == COUNTS[file]


@pytest.mark.parametrize("file", FILES)
def test_every_row_of_the_table_is_needed_and_says_why(file: str) -> None:
    """Each exclusion is labelled valid upstream and refused here, for the reason in its row."""
    results = weighed(file)

    for number, reason in REFUSED_THOUGH_VALID[file].items():
        vector, result = results[number]
        assert vector.label == "valid", number
        assert not result.holds, number
        assert result.why.endswith(reason), (number, result.why)


def test_a_key_with_a_mended_algorithm_verifies_its_vector() -> None:
    """Those four are refused for their key's `alg` alone: with the right one there the signature holds."""
    vectors = {vector.number: vector for vector in read(JWS)}
    bound = {n for n, reason in REFUSED_THOUGH_VALID[JWS].items() if reason != "symmetric key"}
    assert bound == MENDED_ALGORITHM.keys()

    for number, algorithm in MENDED_ALGORITHM.items():
        [key] = vectors[number].keys["keys"]
        assert weigh(vectors[number].jws, {"keys": [key | {"alg": algorithm}]}).holds, number


@pytest.mark.threat(2, 14)
@pytest.mark.parametrize("file", FILES)
def test_no_secret_key_and_no_mac_is_taken(file: str) -> None:
    """Every HMAC vector, valid or not, is refused by its key; and whoever had another key, by its header."""
    macs = [vector for vector in read(file) if vector.symmetric]
    public = next(vector.keys for vector in read(JWS) if vector.number == 33)
    assert len(macs) == {JWS: 31, JWK: 15}[file]

    for vector in macs:
        assert not weigh(vector.jws, vector.keys).holds, vector.number
        assert weigh(vector.jws, public).why.startswith("form: "), vector.number


@pytest.mark.parametrize("file", FILES)
def test_no_vector_is_anybodys_token(file: str) -> None:
    """Judged whole, each ends in a denial of its form: no payload there is a set of claims."""
    for vector in read(file):
        decision = ask(vector.jws)
        assert isinstance(decision, Denied), vector.number
        assert decision.reason in {R.TOKEN_MALFORMED, R.ALGORITHM_NOT_ALLOWED, R.HEADER_NOT_ALLOWED}, vector.number


def mac_holds(vector: Vector) -> bool:
    """Whether an HMAC vector holds, its form read as a token's and its MAC computed here."""
    parts = vector.jws.encode().split(b".")
    if len(parts) != 3:
        return False
    try:
        header, _, mac = (decode_base64url(part) for part in parts)
        members = read_object(header)
    except Unreadable:
        return False
    [key] = vector.keys["keys"]
    made = hmac.new(decode_base64url(key["k"].encode()), b".".join(parts[:2]), hashlib.sha256).digest()
    return (members.get("alg"), members.get("kid")) == ("HS256", key["kid"]) and hmac.compare_digest(made, mac)


def test_the_form_of_macs_is_read_as_strictly() -> None:
    """Spaces, padding, foreign characters and unused bits are tried with HMACs: our reader says of each what it is."""
    macs = [vector for vector in read(JWS) if vector.symmetric]
    labels = {vector.number: MISLABELLED_MACS.get(vector.number, vector.label) for vector in macs}

    assert {vector.number: "valid" if mac_holds(vector) else "invalid" for vector in macs} == labels


def test_every_mislabelled_mac_is_mislabelled() -> None:
    """A row for a vector whose label has been mended upstream is stale."""
    labels = {vector.number: vector.label for vector in read(JWS)}

    assert all(labels[number] != label for number, label in MISLABELLED_MACS.items())


def test_claims_in_place_of_the_payload_do_not_help() -> None:
    """The exchange of payloads that these tests make for reading the form gives no signature away."""
    vector = next(vector for vector in read(JWS) if vector.number == 33)
    header, payload, signature = vector.jws.split(".")
    assert weigh(vector.jws, vector.keys).holds

    for other in ("", "e30", payload + "AAAA"):
        assert weigh(f"{header}.{other}.{signature}", vector.keys).why == "signature"
    decision = ask(f"{header}.e30.{signature}", oidc={"jwks": vector.keys})
    assert isinstance(decision, Denied)
    assert decision.reason is R.CLAIM_MISSING
