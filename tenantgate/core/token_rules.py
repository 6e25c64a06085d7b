"""What a resource asks of a token beyond its signature: required claims, and where the call comes from.

The payload is verified; the address is what the door saw, or None.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Any, Final

from tenantgate.core.pointer import ABSENT, Pointer, find, texts
from tenantgate.core.policy import RequiredClaim
from tenantgate.core.strict import shown

Required = tuple[tuple[RequiredClaim, Pointer], ...]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST_ADDRESS: Final = 64


def lacks_required(payload: dict[str, Any], required: Required) -> tuple[RequiredClaim, Pointer] | None:
    """Return the first required claim that the payload does not satisfy, or None."""
    for claim, pointer in required:
        if not _satisfies(find(payload, pointer), claim):
            return claim, pointer
    return None


def _satisfies(value: Any, claim: RequiredClaim) -> bool:
    if value is ABSENT or value is None:
        return False
    if not claim.values:
        return True
    found = set(texts(value, claim.separator))
    if claim.match == "any":
        return not found.isdisjoint(claim.values)
    return found.issuperset(claim.values)


def is_inside(address: str | None, networks: tuple[Network, ...]) -> bool:
    """Whether an address lies in one of the networks. One that nobody knows, or that is none, lies in no network."""
    read = _read_address(address) if address is not None else None
    return read is not None and any(read in network for network in networks if network.version == read.version)


@functools.lru_cache(maxsize=4096)
def _read_address(text: str) -> Address | None:
    """Read an address; an IPv4 address in IPv6 clothing (RFC 4291 §2.5.5.2) is the IPv4 address."""
    if len(text) > _LONGEST_ADDRESS:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def describe_required(payload: dict[str, Any], required: Required) -> str:
    """Return what the first claim that is not satisfied should have been."""
    lacking = lacks_required(payload, required)
    if lacking is None:
        return "every required claim"
    claim, _ = lacking
    values = shown(", ".join(claim.values), 300)
    wanted = "any value" if not claim.values else f"{'all' if claim.match == 'all' else 'one'} of {values}"
    return f"{shown(claim.claim)} with {wanted}"


def describe_required_received(payload: dict[str, Any], required: Required) -> str:
    """Return what stood there instead: bounded, and only of the claim that the resource names."""
    lacking = lacks_required(payload, required)
    if lacking is None:
        return "as expected"
    claim, pointer = lacking
    value = find(payload, pointer)
    return f"no {shown(claim.claim)}" if value is ABSENT else f"{shown(claim.claim)} {shown(value)}"


def describe_networks(networks: tuple[Network, ...]) -> str:
    """Return the networks for a trace, bounded."""
    return "an address in " + shown(", ".join(map(str, networks)), 300)


def describe_address(address: str | None) -> str:
    """Return the caller's address for a trace."""
    return "an address that nobody knows" if address is None else shown(address)
