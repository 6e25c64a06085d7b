"""Addresses that people are sent to."""

from __future__ import annotations

import re
from typing import Final

_NEXT: Final = re.compile(r"/((partners|access-requests)(/[a-z0-9][a-z0-9._-]{0,62})?|onboard|attention|enforcement)\Z")


def sign_in_address(public_url: str, code: str) -> str:
    """Return the link that signs an operator in with `code` (of `registry.sessions.create_link`).

    The code stands in the fragment: browsers send it to no server, so it is in no log. The sign-in page
    puts it into a form, and a person presses the button: a mail scanner that opens links uses up nothing.
    """
    return f"{public_url}/sign-in#code={code}"


def partner_address(id_: str) -> str:
    """Return the path of a partner's page."""
    return f"/partners/{id_}"


def safe_next(wanted: str) -> str:
    """Return where to go after signing in: a page of ours as asked for (untrusted), else the list of partners."""
    return wanted if _NEXT.match(wanted) else "/partners"
