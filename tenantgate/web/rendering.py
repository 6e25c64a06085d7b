"""Templates into answers. Autoescape is on, a name that is not there is an error, and nothing is ever marked safe."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jinja2
from starlette.responses import HTMLResponse, RedirectResponse

from tenantgate.web.assets import admin_ui_folder, asset_address
from tenantgate.web.texts import sentence, texts


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates, read once a process."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(admin_ui_folder() / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"instant": instant, "sentence": sentence, "span": span, "bounded": bounded}
    made.globals |= {"asset": asset_address, "text": texts().__getitem__}
    return made


def instant(seconds: int) -> str:
    """Return epoch seconds as people and programs read them: ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def span(seconds: float) -> str:
    """Return how long something took, as people say it: to a tenth of a second where it was short."""
    if seconds < 0.1:
        return "less than 0.1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def bounded(value: str, limit: int = 80) -> str:
    """Return a text of a stranger's, so much of it, without characters that show nothing or turn the line about."""
    seen = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in value[:limit])
    return seen + ("\N{HORIZONTAL ELLIPSIS}" if len(value) > limit else "")


def render(template: str, values: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    """Return a page. Its headers are put on by who answers (`tenantgate.web.pages`)."""
    return HTMLResponse(environment().get_template(template).render(values), status_code=status)


def see_other(address: str) -> RedirectResponse:
    """Return a redirect that is fetched with GET, as after every post that did what was asked."""
    return RedirectResponse(address, status_code=303)
