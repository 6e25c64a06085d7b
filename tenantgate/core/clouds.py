"""Microsoft's clouds: where each signs in, under which names, and what its v1 tokens call it.

An operator may paste any address a cloud answers at; tokens carry one. Facts: Microsoft's pages on national clouds,
the known-authority tables of its client libraries, and recorded documents. None of it was tried against Entra itself.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Cloud(NamedTuple):
    """One cloud: its login host, other hosts that mean it, its v1 issuer, and its `cloud_instance_name`s."""

    host: str
    aliases: frozenset[str]
    v1_issuer: str | None
    names: frozenset[str]


_STS: Final = "https://sts.windows.net/{tenantid}/"  # the worldwide cloud's, and the US government's too
CLOUDS: Final = (
    Cloud(
        "login.microsoftonline.com",
        frozenset(("login.windows.net", "login.microsoft.com", "sts.windows.net")),
        _STS,
        frozenset(("microsoftonline.com",)),
    ),
    Cloud(
        "login.microsoftonline.us",
        frozenset(("login.usgovcloudapi.net",)),
        _STS,
        frozenset(("microsoftonline.us",)),
    ),
    Cloud(
        "login.partner.microsoftonline.cn",
        frozenset(("login.chinacloudapi.cn",)),
        "https://sts.chinacloudapi.cn/{tenantid}/",
        frozenset(("partner.microsoftonline.cn", "chinacloudapi.cn")),
    ),
    Cloud("login.sovcloud-identity.fr", frozenset(), None, frozenset()),
    Cloud("login.sovcloud-identity.de", frozenset(), None, frozenset()),
    Cloud("login.sovcloud-identity.sg", frozenset(), None, frozenset()),
)

_BY_HOST: Final = {host: cloud for cloud in CLOUDS for host in (cloud.host, *cloud.aliases)}
_REFUSED: Final = {
    "login.microsoftonline.de": "this cloud was closed in October 2021",
    "login.windows-ppe.net": "Microsoft's pre-production is nobody's partner",
    "sts.windows-ppe.net": "Microsoft's pre-production is nobody's partner",
}


def find_cloud(host: str) -> Cloud | None:
    """Return the cloud a host in lower case belongs to, or None: an emulator, or one that came later."""
    return _BY_HOST.get(host)


def why_refused(host: str) -> str | None:
    """Return why a host may never be an authority, or None."""
    return _REFUSED.get(host)
