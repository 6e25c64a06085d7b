"""Parameters of paths and lists, the same for all resources."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from fastapi import Path, Query

from tenantgate.admin.wire import GivenInstant, Listing, Out
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.moments import read_moment
from tenantgate.registry.pages import LONGEST_CURSOR, N, Page
from tenantgate.registry.searching import Catalogue

LARGEST_PAGE: Final = 200
LONGEST_TEXT: Final = 256

Shape = TypeVar("Shape", bound=Out)

PathId = Annotated[str, Path(alias="id", description="Its id.", max_length=LONGEST_TEXT)]
Cursor = Annotated[
    str | None, Query(description="`next` of the page before; nothing for the first.", max_length=LONGEST_CURSOR)
]
Limit = Annotated[int, Query(description="How many at most.", ge=1, le=LARGEST_PAGE)]
Text = Annotated[str | None, Query(max_length=LONGEST_TEXT)]
"""A filter by a text that must be equal."""
OfPartner = Annotated[str | None, Query(description="Of this partner's daemons.", max_length=LONGEST_TEXT)]
EndsAfter = Annotated[GivenInstant | None, Query(description="Only those that end then or later.")]
EndsBefore = Annotated[GivenInstant | None, Query(description="Only those that end before then.")]


def sorting(catalogue: Catalogue[Any]) -> Any:
    """Return the description of a parameter that says in which order a list comes."""
    ways = [f"{down}{name}" for name in catalogue.orders for down in ("", "-")]
    described = "In which order; `-` for the other way round. `id`, or the end where it is asked for, if left out."
    return Query(description=described, max_length=LONGEST_TEXT, json_schema_extra={"enum": [*ways, None]})


def searching(texts: str) -> Any:
    """Return the description of a parameter that searches `texts` by their beginning."""
    described = f"The beginning of {texts}; ASCII case does not matter. What is found comes in order of what matched."
    return Query(description=described, max_length=LONGEST_TEXT)


def moment_of(value: str | None, field: str) -> int | None:
    """Return epoch seconds for a parameter that is a time or a day (untrusted); None where it is not given.

    Raises:
        InvalidError: `timestamp_malformed`.
    """
    moment = None if value is None else read_moment(value)
    if moment is None and value is not None:
        raise InvalidError("timestamp_malformed", "must be as 2031-01-31 or 2031-01-31T00:00:00Z", field=field)
    return moment


def listing(page: Page[N], shape: type[Shape]) -> Listing[Shape]:
    """Return a page as it goes over the wire."""
    return Listing[shape](items=[shape.model_validate(row) for row in page.items], next=page.after)  # type: ignore[valid-type]
