"""ETag, If-Match and If-None-Match (RFC 9110 §8.8.3, §13.1): the version of a thing, as a strong entity tag."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from fastapi import Request, Response
from starlette.datastructures import Headers

from tenantgate.admin.problems import RequestRefused
from tenantgate.registry import tables
from tenantgate.registry.preconditions import Expected

# RFC 9110 §8.8.3: any visible character but the quote. The tags of a list are separated by commas and blanks.
_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LARGEST: Final = 64
"""Tags in one header."""


class _Versioned(msgspec.Struct):
    version: int


def is_versioned(shape: Any) -> bool:
    """Whether a shape is of one thing that counts its versions."""
    return (
        isinstance(shape, type) and getattr(getattr(shape, "model_fields", {}).get("version"), "annotation", 0) is int
    )


def table_at(path: str) -> type[tables.Named] | None:
    """Return the table of what stands at a path (`/partners/{id}/suspend`), if its rows count their versions."""
    parts = path.split("/")
    if len(parts) < 3 or parts[2] != "{id}":
        return None
    table = _tables(tables.Named).get(parts[1].replace("-", "_").removesuffix("s"))
    return table if table is not None and is_versioned(table) else None


def _tables(base: type[tables.Named]) -> dict[str, type[tables.Named]]:
    found = {}
    for each in base.__subclasses__():
        found[str(each.__tablename__)] = each
        found |= _tables(each)
    return found


def expected_of(request: Request, table: type[tables.Named] | None) -> Expected | None:
    """Return what a change expects, or None where nothing was said.

    Raises:
        RequestRefused: `precondition_malformed`.
    """
    tags = _tags(request.headers, "if-match")
    if tags is None:
        return None
    if table is None:
        raise RequestRefused("precondition_malformed", "If-Match: nothing at this address has a version")
    strong = None if "*" in tags else frozenset(tag for tag in tags if not tag.startswith("W/"))
    return Expected(table, request.path_params["id"], strong)


def with_tag(request: Request, response: Response) -> Response:
    """Put the version of what is shown into the answer's ETag; where the caller has it already, answer 304.

    Raises:
        RequestRefused: `precondition_malformed`.
    """
    if response.status_code not in (200, 201):
        return response
    version = str(msgspec.json.decode(bytes(response.body), type=_Versioned).version)
    response.headers["ETag"] = f'"{version}"'
    known = _tags(request.headers, "if-none-match") if request.method == "GET" else None
    if known is None or not {"*", version} & {tag.removeprefix("W/") for tag in known}:
        return response
    return Response(status_code=304, headers={"ETag": response.headers["ETag"]})


def _tags(headers: Headers, name: str) -> list[str] | None:
    """Return the tags of a header, without quotes, weak ones with `W/` before them; `*` alone."""
    if name not in headers:
        return None
    text = ",".join(headers.getlist(name)).strip(" \t")
    if text == "*":
        return ["*"]
    found: list[str] = []
    for part in re.split(r",(?=[ \t]*(?:W/)?\"|[ \t]*,|[ \t]*$)", text):
        tag = part.strip(" \t")
        if not tag:
            continue  # RFC 9110 §5.6.1: empty elements are passed over
        if (match := _TAG.fullmatch(tag)) is None:
            found = []
            break
        # `*` quoted is a tag like any other, and no version is called so.
        found.append((match[1] or "") + (match[2] if match[2] != "*" else "\0"))
    if not 1 <= len(found) <= _LARGEST:
        raise RequestRefused("precondition_malformed", f'{name}: `*`, or tags as "3" with commas between them')
    return found
