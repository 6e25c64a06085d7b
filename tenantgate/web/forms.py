"""Reading a posted form: bounded, urlencoded only, every name once unless it may be repeated. All of it untrusted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

from tenantgate.web.errors import FormRefused

LARGEST_BODY: Final = 64 * 1024
"""Bytes. The longest form there is, with every field at its limit, has a tenth of it."""
MOST_FIELDS: Final = 1_000
_TYPE: Final = "application/x-www-form-urlencoded"
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


class Form:
    """The fields of a form. What is not there is the empty text."""

    def __init__(self, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        self._fields = fields or {}

    def text(self, name: str) -> str:
        """Return a field: NFC, line feeds alone, no white space around it (nobody means that).

        Raises:
            FormRefused: `form_malformed`, the field was sent twice: which one is meant?
        """
        values = self._fields.get(name, ("",))
        if len(values) > 1:
            raise FormRefused("form_malformed", f"the field {name} was sent {len(values)} times")
        return unicodedata.normalize("NFC", values[0].replace("\r\n", "\n")).strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that may be sent many times: each value once, in their order, none of them empty."""
        return tuple(dict.fromkeys(filter(None, self._fields.get(name, ()))))


async def read_form(request: Request) -> Form:
    """Read the body of a post as a form. No multipart: we take no files, and its parsers have had their accidents.

    Raises:
        FormRefused: `form_type_unknown`, `form_too_large`, `form_malformed`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _TYPE:
        raise FormRefused("form_type_unknown", f"a form is {_TYPE}", 415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise FormRefused("form_too_large", f"a form has at most {LARGEST_BODY} bytes", 413)
    return parse_form(bytes(body))


def parse_form(body: bytes) -> Form:
    """Parse a urlencoded body (WHATWG URL §5).

    Raises:
        FormRefused: `form_malformed`, not ASCII, not UTF-8 within, or too many fields.
    """
    try:
        fields = parse_qs(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS, separator="&"
        )
    except ValueError:
        raise FormRefused("form_malformed", "the form cannot be read") from None
    return Form(fields)


def end_of_day(text: str) -> int | None:
    """Return the end of a day written YYYY-MM-DD, in epoch seconds: the first moment of the next day, UTC.

    None where the text is no date.
    """
    if not _DATE.match(text):
        return None
    try:
        following = date.fromisoformat(text) + timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    return int(datetime(following.year, following.month, following.day, tzinfo=UTC).timestamp())
