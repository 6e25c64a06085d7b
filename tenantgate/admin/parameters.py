"""Parameters of paths and lists, the same for all resources."""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

from fastapi import Path, Query

from tenantgate.admin.wire import Listing, Out
from tenantgate.registry.service import N, Page

LARGEST_PAGE: Final = 200
LONGEST_TEXT: Final = 256

Shape = TypeVar("Shape", bound=Out)

PathId = Annotated[str, Path(alias="id", description="Its id.", max_length=LONGEST_TEXT)]
Cursor = Annotated[
    str | None, Query(description="`next` of the page before; nothing for the first.", max_length=LONGEST_TEXT)
]
Limit = Annotated[int, Query(description="How many at most.", ge=1, le=LARGEST_PAGE)]
Text = Annotated[str | None, Query(max_length=LONGEST_TEXT)]
"""A filter by a text that must be equal."""


def listing(page: Page[N], shape: type[Shape]) -> Listing[Shape]:
    """Return a page as it goes over the wire."""
    return Listing[shape](items=[shape.model_validate(row) for row in page.items], next=page.after)  # type: ignore[valid-type]
