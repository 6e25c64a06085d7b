"""What an issuer's row says about its keys beside where they are: which not to trust, how long, by which way."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from tenantgate.core.fields import URL_LENGTH, check_list, check_number, check_text
from tenantgate.core.keys import MAX_KID
from tenantgate.core.policy import IssuerRow, PolicyError

SHORTEST_KEY_AGE: Final = 3600
LONGEST_KEY_AGE: Final = 31 * 86_400
BUNDLE_LENGTH: Final = 256 * 1024
"""Characters of a `ca_bundle`."""


def check_fetching(row: IssuerRow) -> None:
    """Refuse what an issuer's keys cannot be fetched, kept or distrusted by.

    Raises:
        PolicyError: `path` is the member.
    """
    for place, key in enumerate(row.distrusted_keys):
        check_text(key, f"distrusted_keys[{place}]", limit=MAX_KID)
    check_list(row.distrusted_keys, "distrusted_keys")
    if row.max_key_age is not None:
        check_number(row.max_key_age, "max_key_age", SHORTEST_KEY_AGE, LONGEST_KEY_AGE)
    if row.ca_bundle is not None:
        _check_bundle(row.ca_bundle)
    if row.proxy is not None:
        _check_proxy(row.proxy)
        if row.insecure_allow_http:
            raise PolicyError("member_not_allowed", "plain http stays on this machine and takes no proxy", "proxy")


def _check_bundle(bundle: str) -> None:
    if len(bundle) > BUNDLE_LENGTH:
        raise PolicyError("ca_bundle_malformed", f"must not have more than {BUNDLE_LENGTH} characters", "ca_bundle")
    if "PRIVATE KEY" in bundle:  # it would be shown, audited and sent to every instance
        raise PolicyError("ca_bundle_malformed", "holds a private key", "ca_bundle")
    # Here: a policy without a bundle pays nothing for it.
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificates

    try:
        load_pem_x509_certificates(bundle.encode("ascii"))
    except (ValueError, InvalidVersion):
        raise PolicyError("ca_bundle_malformed", "must be certificates in PEM, at least one", "ca_bundle") from None


def _check_proxy(proxy: str) -> None:
    message = "must be http:// or https://, a host and a port; a password would stand in the policy"
    try:
        parts = urlsplit(proxy)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise PolicyError("proxy_malformed", message, "proxy") from None
    odd = len(proxy) > URL_LENGTH or not proxy.isascii() or any(char <= " " or char in '\x7f\\"<>' for char in proxy)
    if odd or not host or parts.scheme not in ("http", "https") or proxy != f"{parts.scheme}://{parts.netloc}":
        raise PolicyError("proxy_malformed", message, "proxy")
    if "@" in parts.netloc:
        raise PolicyError("proxy_malformed", message, "proxy")
