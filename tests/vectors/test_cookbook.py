"""RFC 7520's examples: public-key signatures hold, everything else ends in a clean refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.keys import Unusable, parse_jwk
from tenantgate.gate.gate import Gate
from tests.builders import ask
from tests.gate.world import a_gate, a_view, reason_of
from tests.real_parts import vectors_dir
from tests.vectors.signatures import ISSUER, weigh

pytestmark = pytest.mark.vectors

SIGNED = {
    "jws_4_1.rsa_v15_signature": "RS256",
    "jws_4_2.rsa-pss_signature": "PS384",
    "jws_4_3.ecdsa_signature": "ES512",
}
COMPACT_REFUSED = {
    "jws_4_4.hmac-sha2_integrity_protection": R.ALGORITHM_NOT_ALLOWED,
    "jws_4_5.signature_with_detached_content": R.ALGORITHM_NOT_ALLOWED,
}
JSON_ONLY = (
    "jws_4_6.protecting_specific_header_fields",
    "jws_4_7.protecting_content_only",
    "jws_4_8.multiple_signatures",
)
PUBLIC = {"jwk_3_1.ec_public_key": "ES512", "jwk_3_3.rsa_public_key": "RS256"}
UNUSABLE = {
    "jwk_3_2.ec_private_key": "private members are published",
    "jwk_3_4.rsa_private_key": "private members are published",
    "jwk_3_5.symmetric_key_mac_computation": "symmetric key",
    "jwk_3_6.symmetric_key_encryption": "symmetric key",
}


def read(name: str) -> dict[str, Any]:
    """Return one example."""
    found: dict[str, Any] = json.loads((vectors_dir("jose-cookbook") / f"{name}.json").read_bytes())
    return found


def published(name: str) -> dict[str, Any]:
    """Return the example's key as an issuer publishes it: without its private members, for the example's algorithm."""
    signed = read(name)["input"]
    jwk = {member: value for member, value in signed["key"].items() if member in ("kty", "kid", "use", "crv", *"xyne")}
    return {"keys": [jwk | {"alg": signed["alg"]}]}


@pytest.fixture
def gate() -> Gate:
    """A gate over the built policy."""
    return a_gate()


def test_the_folder_holds_the_examples_we_know() -> None:
    """An example that is added is looked at by these tests, or they fail."""
    known = {*SIGNED, *COMPACT_REFUSED, *JSON_ONLY, *PUBLIC, *UNUSABLE}

    assert {path.stem for path in vectors_dir("jose-cookbook").glob("*.json")} == known


@pytest.mark.parametrize(("name", "algorithm"), SIGNED.items())
def test_a_public_key_signature_holds(name: str, algorithm: str) -> None:
    """4.1 to 4.3 verify with the key bound to their algorithm, and not over another payload."""
    jws, keys = read(name)["output"]["compact"], published(name)
    header, payload, signature = jws.split(".")
    assert read(name)["input"]["alg"] == algorithm

    assert weigh(jws, keys).holds
    assert weigh(f"{header}.{payload}AAAA.{signature}", keys).why == "signature"


@pytest.mark.threat(3)
def test_a_key_of_another_algorithm_refuses_the_same_signature() -> None:
    """4.2's PS384 signature is sound, and refused by the same key bound to RS256, the default where none is named."""
    jws = read("jws_4_2.rsa-pss_signature")["output"]["compact"]

    assert weigh(jws, {"keys": [read("jwk_3_3.rsa_public_key")]}).why == "algorithm: PS384, the key is for RS256"


@pytest.mark.threat(28)
@pytest.mark.parametrize("name", SIGNED)
def test_a_private_key_given_for_a_public_one_is_refused(name: str) -> None:
    """The examples give the signer's key: as a published key it is everybody's."""
    assert weigh(read(name)["output"]["compact"], {"keys": [read(name)["input"]["key"]]}).why.endswith("published")


@pytest.mark.parametrize(("name", "reason"), COMPACT_REFUSED.items())
def test_a_mac_is_refused(name: str, reason: R, gate: Gate) -> None:
    """4.4 and 4.5 are HMACs, the second without its content: 401, whatever keys there are."""
    decision = gate.decide(a_view(read(name)["output"]["compact"]))

    assert reason_of(decision) is reason
    assert gate.answer(decision).status == 401


@pytest.mark.threat(8)
@pytest.mark.parametrize("form", ["json", "json_flat"])
@pytest.mark.parametrize("name", [*SIGNED, *COMPACT_REFUSED, *JSON_ONLY])
def test_a_json_serialisation_is_refused(name: str, form: str, gate: Gate) -> None:
    """Each example in the JSON forms, packed or spaced, with one signature or three, is no token and no credential."""
    output = read(name)["output"]
    assert form in output or name == "jws_4_8.multiple_signatures"

    for separators in ((",", ":"), (", ", ": ")):
        raw = json.dumps(output.get(form, output["json"]), separators=separators).encode()
        parts = R.TOKEN_ENCRYPTED if raw.count(b".") == 4 else R.TOKEN_MALFORMED  # the kids there have dots
        assert reason_of(ask(raw)) is parts
        decision = gate.decide(a_view(raw))
        assert reason_of(decision) is R.CREDENTIAL_AMBIGUOUS, "a comma joins two credentials"
        assert gate.answer(decision).status == 400


@pytest.mark.parametrize(("name", "algorithm"), PUBLIC.items())
def test_a_public_key_is_a_key(name: str, algorithm: str) -> None:
    """3.1 and 3.3 are what an issuer publishes: each is bound to its curve's algorithm, or to RS256."""
    assert parse_jwk(read(name), ISSUER).alg == algorithm


@pytest.mark.parametrize(("name", "reason"), UNUSABLE.items())
def test_a_private_or_symmetric_key_is_no_key(name: str, reason: str) -> None:
    """3.2 and 3.4 to 3.6 in a published set are dropped, for their own reason."""
    with pytest.raises(Unusable, match=reason):
        parse_jwk(read(name), ISSUER)
