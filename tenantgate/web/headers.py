"""The headers that every answer of the page carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere, no frame around us."""

_ALWAYS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def page_headers(*, secure: bool) -> Mapping[str, str]:
    """Return the headers of a page: never stored, and by https alone where people reach us by https."""
    by_https = {"Strict-Transport-Security": "max-age=31536000"} if secure else {}
    return {**_ALWAYS, "Cache-Control": "no-store", **by_https}


def static_headers(*, versioned: bool) -> Mapping[str, str]:
    """Return the headers of a static file: kept for good where its address names its version."""
    kept = "public, max-age=31536000, immutable" if versioned else "no-cache"
    return {**_ALWAYS, "Cache-Control": kept, "Vary": "Accept-Encoding"}
