"""The corpus as another project reads it: from its files alone."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).with_name("hostile")

Document = dict[str, Any]


class Filed(NamedTuple):
    """A case, and the file it is from."""

    case: dict[str, Any]
    document: Document

    @property
    def name(self) -> str:
        """The case's name: no other case has it."""
        return str(self.case["name"])

    @property
    def trust(self) -> dict[str, Any]:
        """The issuer the case is aimed at, as any validator needs it."""
        found: dict[str, Any] = self.document["trust"][self.case["trust"]]
        return found

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that are asked for."""
        return tuple(self.case.get("roles", self.document["roles"]))

    @property
    def resource(self) -> str:
        """The API that is asked."""
        return str(self.case.get("resource", self.document["resource"]))


@functools.cache
def documents() -> Mapping[str, Document]:
    """Return every file by its family's name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def filed() -> tuple[Filed, ...]:
    """Return every case of every file."""
    return tuple(Filed(case, document) for document in documents().values() for case in document["cases"])
