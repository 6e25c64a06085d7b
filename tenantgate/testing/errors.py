"""What the test kit complains about.

KitError                 the test asks for something that cannot be (`code` says what)
└── FetchAttempted       something would have gone to the network; an AssertionError as well, so that the test fails
"""

from __future__ import annotations


class KitError(Exception):
    """A test is written wrongly. Codes: `name_malformed`, `guid_malformed`, `partner_unknown`, `fetch_attempted`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class FetchAttempted(KitError, AssertionError):
    """Somebody asked an offline gate to fetch keys."""

    def __init__(self, message: str) -> None:
        super().__init__("fetch_attempted", message)
