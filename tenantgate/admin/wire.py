"""The forms of values on the wire, shared by all shapes: ids, instants, pages, and strictness about members.

Bodies are an operator's, but whoever holds a stolen key may send them: nothing is coerced, nothing unknown
is passed over, and what a body may say is exactly what its shape lists (no `state`, no `created_by`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from tenantgate.core.policy import ID_PATTERN
from tenantgate.registry.moments import read_instant, written

T = TypeVar("T")


class In(BaseModel):
    """A body: strict types, no member but its own."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Out(BaseModel):
    """An answer, read from a row of a table."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, frozen=True)


class Listing(Out, Generic[T]):
    """One page of a list."""

    items: list[T] = Field(description="In the order asked for.")
    next: str | None = Field(description="Ask again with this as `cursor` for what follows; null at the end.")


def parse_instant(value: object) -> int:
    """Return epoch seconds for an RFC 3339 timestamp with an offset. `value` is untrusted; a number is none.

    Raises:
        PydanticCustomError: `timestamp_malformed`. The message does not quote the value.
    """
    if isinstance(value, str) and (moment := read_instant(value)) is not None:
        return moment
    raise PydanticCustomError(
        "timestamp_malformed", "must be an RFC 3339 timestamp in whole seconds with an offset, as 2031-01-31T00:00:00Z"
    )


def format_instant(seconds: int) -> str:
    """Return epoch seconds (0 to the end of the year 9999) as an RFC 3339 timestamp in UTC."""
    return written(seconds)


_INSTANT_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "format": "date-time",
    "examples": ["2031-01-31T00:00:00Z"],
}

GivenInstant = Annotated[int, BeforeValidator(parse_instant), WithJsonSchema(_INSTANT_SCHEMA)]
"""Epoch seconds, written as an RFC 3339 timestamp in a body."""

Instant = Annotated[int, PlainSerializer(format_instant, return_type=str), WithJsonSchema(_INSTANT_SCHEMA)]
"""Epoch seconds, shown as an RFC 3339 timestamp in UTC."""


def example(**members: Any) -> ConfigDict:
    """Return a body's configuration with an example, which a test sends."""
    return ConfigDict(json_schema_extra={"examples": [members]})


def changes(**members: Any) -> ConfigDict:
    """Return the configuration of a change's body: an example, and no defaults, since what is left out stays."""

    def describe(schema: dict[str, Any]) -> None:
        for each in schema["properties"].values():
            each.pop("default", None)
        schema["examples"] = [members]

    return ConfigDict(json_schema_extra=describe)


def slug(*examples: str) -> WithJsonSchema:
    """Describe an id. Whether it is one, the services judge: one rule, one code, whoever asks."""
    pattern = ID_PATTERN.replace(r"\Z", "$")
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


def words(limit: int, *examples: str) -> WithJsonSchema:
    """Describe a text of at most `limit` characters, NFC, without control characters or such as nobody sees."""
    shown = {"examples": list(examples)} if examples else {}
    return WithJsonSchema({"type": "string", "maxLength": limit, **shown})
