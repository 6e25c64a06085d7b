"""What bodies and answers look like: several things moved at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from tenantgate.admin.shapes import Reason
from tenantgate.admin.wire import In, Out, example, slug
from tenantgate.registry.bulk import LARGEST_BULK, Moved

AnyId = Annotated[str, slug("contoso")]


class BulkIn(In):
    """Which ones to move, and why. All are moved, or none."""

    model_config = example(ids=["contoso"], reason="incident 4711")
    ids: list[AnyId] = Field(description="Their ids, each once.", json_schema_extra={"maxItems": LARGEST_BULK})
    reason: Reason = ""


class MovedOut(Out):
    """One of them, as it is now."""

    id: str
    outcome: Literal["changed", "unchanged"] = Field(description="Unchanged: it was in that state already.")
    state: str = Field(examples=["suspended"])
    version: int = Field(description="Counts the changes; never used twice for one id.")


class BulkOut(Out):
    """All of them, in the order of `ids`."""

    items: list[MovedOut]
    changed: int = Field(description="How many were moved.")

    @classmethod
    def of(cls, moved: Iterable[Moved[Any]]) -> BulkOut:
        """Return what is shown of a move."""
        items = [
            MovedOut(
                id=each.row.id,
                outcome="changed" if each.changed else "unchanged",
                state=each.row.state,
                version=each.row.version,
            )
            for each in moved
        ]
        return cls(items=items, changed=sum(each.outcome == "changed" for each in items))
