"""Project Wycheproof's JWS and JWK files, and what we expect otherwise than their labels say."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from tests.real_parts import vectors_dir

JWS: Final = "json_web_signature_selection.json"
JWK: Final = "json_web_key_test.json"

_SYMMETRIC: Final = "symmetric key"  # no issuer of ours ever shares a secret with us: every HMAC is refused
_OTHER_ALGORITHM: Final = "algorithm: PS384, the key is for PS256"
_NO_ALGORITHM: Final = "alg ES521 does not fit the key"  # there is no ES521: the algorithm of P-521 is ES512

REFUSED_THOUGH_VALID: Final[dict[str, dict[int, str]]] = {
    JWS: {
        1: _SYMMETRIC,
        346: _OTHER_ALGORITHM,
        347: _NO_ALGORITHM,
        348: _SYMMETRIC,
        350: _OTHER_ALGORITHM,
        351: _NO_ALGORITHM,
        352: _SYMMETRIC,
        359: _SYMMETRIC,
        373: _SYMMETRIC,
        376: _SYMMETRIC,
    },
    JWK: {2: _SYMMETRIC, 13: _SYMMETRIC, 14: _SYMMETRIC, 15: _SYMMETRIC},
}
"""By tcId: labelled valid upstream, refused here, for exactly this reason. There is no row the other way round."""

MENDED_ALGORITHM: Final = {346: "PS384", 347: "ES512", 350: "PS384", 351: "ES512"}
"""By tcId of the JWS file: the `alg` with which the key would fit its vector."""

MISLABELLED_MACS: Final = {
    367: "valid",  # byte for byte the valid vector 357
    370: "valid",  # likewise
    373: "invalid",  # a character outside the alphabet stands in the payload (RFC 7515 §2)
}
"""By tcId of the JWS file: the label an HMAC vector should have, judged by its form and its MAC."""


class Vector(NamedTuple):
    """One test of a file: its number, what it tries, label, the JWS, and the keys it is to be verified with."""

    number: int
    comment: str
    label: str
    jws: str
    keys: dict[str, Any]

    @property
    def symmetric(self) -> bool:
        """Whether the vector's keys are secrets."""
        return any(key["kty"] == "oct" for key in self.keys["keys"])


def read(file: str) -> list[Vector]:
    """Return every vector of a file. Where a group has a public key that is the one, as an issuer publishes it."""
    whole = json.loads((vectors_dir("wycheproof") / file).read_bytes())
    found = []
    for group in whole["testGroups"]:
        keys = group.get("public") or group["private"]
        keys = keys if "keys" in keys else {"keys": [keys]}
        for test in group["tests"]:
            found.append(Vector(test["tcId"], test["comment"], test["result"], test["jws"], keys))
    assert len(found) == whole["numberOfTests"]
    return found
