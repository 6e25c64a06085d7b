"""Every fuzzing target by its name on the command line."""

from __future__ import annotations

from typing import Final

from tests.fuzz import discovery, jwks, policy, tokens
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    "token": tokens.TARGET,
    "jwks": jwks.TARGET,
    "discovery": discovery.TARGET,
    "policy": policy.TARGET,
}
