"""How Entra's shared key set flapped in life: what was listed when, recorded over 142 days (`entra_flapping.json`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple


class Change(NamedTuple):
    """From `at` (seconds since the first look) on, the document listed these keys (their numbers)."""

    at: float
    listed: frozenset[int]


_RECORDED: Final = json.loads(Path(__file__).with_name("entra_flapping.json").read_text(encoding="utf-8"))
CHANGES: Final = [Change(float(at), frozenset(listed)) for at, listed in _RECORDED["changes"]]
BOUND: Final = frozenset(_RECORDED["bound"])
"""Keys of personal accounts: each is bound to their one tenant."""
KEYS: Final = frozenset[int]().union(*(change.listed for change in CHANGES))
