"""Which addresses may be dialled. Pure; asked for the very address a connection is made to, after every look-up."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final, Literal

from tenantgate.core.fields import is_loopback
from tenantgate.net.door import AddressRefused, FetchRules

AddressKind = Literal["public", "loopback", "private", "link_local", "multicast", "reserved", "unspecified"]

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "192.0.0.0/24",  # protocol assignments (RFC 6890); a cloud's metadata service lives here, too
        "192.88.99.0/24",  # 6to4 relays, withdrawn (RFC 7526)
        "168.63.129.16/32",  # Azure's own service address inside every virtual network
        "3fff::/20",  # documentation (RFC 9637)
    )
)
"""What this Python's tables may still count as public."""


def kind_of_address(address: str) -> AddressKind:
    """Return what an IP address is for (IANA special-purpose registries, RFC 6890).

    An IPv6 address that carries an IPv4 one (mapped, 6to4, NAT64 of RFC 6052) is judged by the one it
    carries: that is where the packets would end.

    Raises:
        ValueError: `address` is no IP address.
    """
    ip = _carried(ipaddress.ip_address(address))
    if ip.is_unspecified:
        return "unspecified"
    if ip.is_loopback:
        return "loopback"
    if ip.is_link_local:
        return "link_local"
    if ip.is_multicast:
        return "multicast"
    if any(ip in each for each in _NOT_PUBLIC if each.version == ip.version):
        return "reserved"
    if isinstance(ip, ipaddress.IPv6Address):
        return _kind_of_v6(ip)
    if ip.is_reserved:
        return "reserved"
    return "public" if ip.is_global else "private"


def _kind_of_v6(ip: ipaddress.IPv6Address) -> AddressKind:
    if ip in _GLOBAL_UNICAST:
        return "public" if ip.is_global else "private"
    return "private" if ip.is_private or ip.is_site_local or ip in _NAT64_LOCAL else "reserved"


def _carried(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def is_address(host: str) -> bool:
    """Whether a host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_addresses(host: str, addresses: Iterable[str], rules: FetchRules) -> None:
    """Refuse a name if any of its addresses may not be dialled.

    One bad address among good ones refuses the name: an honest name has no reason to lead inside and
    outside at once. A loopback name over http must lead to this machine and nowhere else. Link-local (the
    clouds' metadata services live there), multicast, reserved and unspecified addresses are never dialled.

    Raises:
        AddressRefused: naming the address and its kind.
    """
    if rules.insecure_allow_http and is_loopback(host):
        allowed: tuple[AddressKind, ...] = ("loopback",)
    elif rules.allow_private_addresses:
        allowed = ("public", "private", "loopback")
    else:
        allowed = ("public",)
    for address in addresses:
        kind = kind_of_address(address)
        if kind not in allowed:
            raise AddressRefused(f"{host} leads to {address}, a {kind.replace('_', '-')} address")
