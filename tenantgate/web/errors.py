"""Every way in which the page itself says no. What a service refuses is a `RegistryError`.

    WebError
    ├── AssetsMissing    the templates were not installed with the package
    ├── FormRefused      a body that is not a form we take: too large, another type, malformed
    ├── PageUnknown      there is no page at this address
    ├── PostRefused      a post that may come from another site, or from a page of another session
    ├── RoleRefused      the operator's role does not allow it
    ├── TooOften         the same address or operator asked too often for now
    └── SignInNeeded     nobody is signed in; `why` says whether a session ended

`code` is stable; the page shows it beside the sentence for it in `admin_ui/texts.toml`.
"""

from __future__ import annotations

from typing import Literal


class WebError(Exception):
    """Base of the room. `status` is what the page answers with."""

    status = 500

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class AssetsMissing(WebError):
    """The templates were not installed with the package."""


class FormRefused(WebError):
    """A body that is not a form we take."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status


class PageUnknown(WebError):
    """There is no page at this address."""

    status = 404


class PostRefused(WebError):
    """A post that may come from another site, or from a page of another session."""

    status = 403


class RoleRefused(WebError):
    """The operator's role does not allow it."""

    status = 403


class TooOften(WebError):
    """The same address or operator asked too often for now. `retry_after`: seconds until it is worth asking again."""

    status = 429

    def __init__(self, code: str, message: str, *, retry_after: int) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class SignInNeeded(WebError):
    """Nobody is signed in. `why` is `ended` where there was a session, else `needed`."""

    status = 401

    def __init__(self, why: Literal["needed", "ended"]) -> None:
        super().__init__(f"sign_in_{why}", "nobody is signed in")
        self.why = why
