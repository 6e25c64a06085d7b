"""The seal of a session token: proof, without the database, that a server of ours made it.

A cookie that nobody of ours made is refused before anything is looked up, and a row that somebody wrote into the
database past us opens nothing: who made it cannot make the token that goes with it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final

from tenantgate.registry.product_keys import ProductKeys

_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{43})\.([1-9][0-9]{0,5})\.([A-Za-z0-9_-]{43})\Z")
_PURPOSE: Final = b"tenantgate session\n"


def sealer(keys: ProductKeys) -> Callable[[str], str]:
    """Return what puts version and seal behind a session's secret. The key is looked up now, outside of any work.

    Raises:
        DatabaseError, MasterKeyError: as `ProductKeys.current`.
    """
    key = keys.current("session")
    return lambda secret: f"{secret}.{key.version}.{_seal(key.value, secret)}"


def is_sealed(keys: ProductKeys, token: str) -> bool:
    """Whether a token (untrusted) has a seal of ours. Raises as `ProductKeys.current`."""
    found = _TOKEN.match(token)
    if found is None:
        return False
    secret, version, seal = found.groups()
    key = keys.find("session", int(version))
    return key is not None and hmac.compare_digest(_seal(key, secret), seal)


def is_of_another(keys: ProductKeys, token: str) -> bool:
    """Whether only another server can tell of a token (untrusted) whether it has a seal of ours. Asks nobody."""
    found = _TOKEN.match(token)
    return found is not None and keys.is_newer("session", int(found[2]))


def _seal(key: bytes, secret: str) -> str:
    digest = hmac.new(key, _PURPOSE + secret.encode("ascii"), hashlib.sha256).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
