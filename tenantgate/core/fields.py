"""The single members of a row: ids, texts, GUIDs, numbers, addresses. Codes are those of `core.rules`.

Input was written by an operator. Every function raises `PolicyError` with `path` as it was given.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from typing import Any, Final, TypeVar, get_args
from urllib.parse import urlsplit

from tenantgate.core.policy import PolicyError, RowData, is_guid, is_id
from tenantgate.core.strict import is_identity

NAME_LENGTH: Final = 200
IDENTITY_LENGTH: Final = 256
URL_LENGTH: Final = 512
LIST_LENGTH: Final = 64
PLACEHOLDER: Final = "{tenantid}"
"""Stands for the tid in an Entra issuer's template."""
LATEST: Final = 253_402_300_799
"""The last second of the year 9999, in epoch seconds."""

# Controls, what nobody sees or what turns text round (Cf), private use, lone surrogates, and what breaks lines where
# nobody expects it. Not what is unassigned (Cn): that depends on the Python that asks, and one server would refuse the
# name that another took.
_UNSEEN: Final = frozenset(("Cc", "Cf", "Co", "Cs", "Zl", "Zp"))
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters to Unicode, and blank."""
_JOINERS: Final = frozenset("\u200c\u200d")
_JOINED: Final = frozenset(("Lo", "Mn", "Mc", "So", "Sk"))
"""What a joiner may follow: scripts that need one have no capitals, and emoji are symbols. Elsewhere it only hides."""

T = TypeVar("T")


def check_id(value: str, path: str) -> None:
    """Refuse what is not a slug."""
    if not is_id(value):
        raise PolicyError("id_malformed", "an id is 1 to 63 of a-z 0-9 . _ - and begins with a letter or digit", path)


def check_text(value: str, path: str, *, limit: int = NAME_LENGTH, lines: bool = False, spaces: bool = True) -> None:
    """Refuse text that is empty, too long, deceptive or not NFC. `lines` allows line feeds and tabs."""
    if not value:
        raise PolicyError("text_empty", "must not be empty", path)
    if len(value) > limit:
        raise PolicyError("text_too_long", f"must not be longer than {limit} characters", path)
    if value != value.strip() or (not spaces and any(map(str.isspace, value))):
        raise PolicyError("text_not_allowed", "white space is not allowed here", path)
    if value.isascii() and value.isprintable():
        return
    allowed = "\n\t" if lines else ""
    before = ""
    for char in value:
        if _is_hidden(char, before) and char not in allowed:
            raise _not_allowed(char, path)
        before = char
    if not unicodedata.is_normalized("NFC", value):
        raise PolicyError("text_not_normalised", "must be in Unicode normalisation form C", path)


def check_identity(value: str, path: str, *, spaces: bool = True) -> None:
    """Refuse a text that must equal one of a token's and that no token may hold: joiners and the unassigned, too."""
    check_text(value, path, limit=IDENTITY_LENGTH, spaces=spaces)
    if not is_identity(value):
        raise _not_allowed(next(char for char in value if not is_identity(char)), path)


def _is_hidden(char: str, before: str) -> bool:
    if char in _JOINERS:
        return not before or unicodedata.category(before) not in _JOINED
    return char in _FILLERS or unicodedata.category(char) in _UNSEEN


def _not_allowed(char: str, path: str) -> PolicyError:
    return PolicyError("text_not_allowed", f"the character U+{ord(char):04X} is not allowed here", path)


def check_guid(value: str, path: str) -> str:
    """Return a GUID in lower case."""
    if not is_guid(value):
        raise PolicyError("guid_malformed", "must be a GUID, as 8-4-4-4-12 hexadecimal digits", path)
    return value.lower()


def check_number(value: int, path: str, low: int, high: int) -> None:
    """Refuse a number outside `low`..`high`, both inclusive."""
    if not low <= value <= high:
        raise PolicyError("number_out_of_range", f"must be between {low} and {high}", path)


def check_value(value: str, path: str, allowed: Any) -> None:
    """Refuse what is not one of a Literal's values."""
    if value not in get_args(allowed):
        raise PolicyError("value_unknown", f"must be one of {', '.join(get_args(allowed))}", path)


def check_list(values: tuple[T, ...], path: str, *, empty: bool = True) -> None:
    """Refuse a list that is too long, holds something twice, or is empty where it must not be."""
    if not values and not empty:
        raise PolicyError("list_empty", "must not be empty", path)
    if len(values) > LIST_LENGTH:
        raise PolicyError("list_too_long", f"must not hold more than {LIST_LENGTH}", path)
    for place, value in enumerate(values):
        if value in values[:place]:
            raise PolicyError("list_duplicate", f"{value!r} is listed twice", f"{path}[{place}]")


def check_url(value: str, path: str, *, allow_http: bool, query: bool = False) -> None:
    """Refuse an address that is not plain https (or, where allowed, http on this machine)."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise PolicyError("url_malformed", "is not an address", path) from None
    # urlsplit drops tabs and line feeds, so what was written is looked at too.
    odd = len(value) > URL_LENGTH or not value.isascii() or any(char <= " " or char in '\x7f\\"<>' for char in value)
    if odd or not host or "@" in parts.netloc or "#" in value or ("?" in value and not query):
        raise PolicyError("url_malformed", "must be an absolute address without user, fragment or query", path)
    if parts.scheme == "http" and allow_http:
        if not is_loopback(host):
            raise PolicyError("url_not_loopback", "plain http is allowed on this machine only", path)
    elif parts.scheme != "https":
        raise PolicyError("url_not_https", "must begin with https://", path)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_absent(data: RowData, why: str, *members: str) -> None:
    """Refuse members that do not go with the rest of the row."""
    for member in members:
        if getattr(data, member) is not None:
            raise PolicyError("member_not_allowed", why, member)
