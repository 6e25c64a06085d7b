"""The sentences that code chooses (`admin_ui/texts.toml`). The words of a page stand in its template."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from tenantgate.web.assets import admin_ui_folder


@functools.cache
def texts() -> Mapping[str, str]:
    """Return every text by its dotted name (`sign_in.refused`), read once a process."""
    with (admin_ui_folder() / "texts.toml").open("rb") as file:
        return dict(_flat(tomllib.load(file)))


def sentence(message: str) -> str:
    """Return a message of the registry's (`must not be empty`) as a sentence."""
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "?", "!")) else ".")


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
