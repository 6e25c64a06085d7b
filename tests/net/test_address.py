"""Which addresses may be dialled."""

from __future__ import annotations

import pytest

from tenantgate.net.address import check_addresses, kind_of_address
from tenantgate.net.door import AddressRefused, FetchRules

STRICT = FetchRules()
PRIVATE = FetchRules(allow_private_addresses=True)
HTTP = FetchRules(insecure_allow_http=True)

KINDS = {
    "8.8.8.8": "public",
    "2606:4700::1111": "public",
    "127.0.0.1": "loopback",
    "127.9.9.9": "loopback",
    "::1": "loopback",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "private",
    "198.18.0.1": "private",
    "fd00::1": "private",
    "fec0::1": "private",
    "64:ff9b:1::1": "private",
    "2001:db8::1": "private",
    "2001::1": "private",
    "169.254.169.254": "link_local",
    "fe80::1": "link_local",
    "fe80::1%eth0": "link_local",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::7f00:1": "reserved",
    "4000::1": "reserved",
    "192.0.0.192": "reserved",
    "192.88.99.1": "reserved",
    "168.63.129.16": "reserved",
    "3fff::1": "reserved",
    "::ffff:168.63.129.16": "reserved",
    "0.0.0.0": "unspecified",
    "::": "unspecified",
    # An IPv4 address in an IPv6 coat is what it carries.
    "::ffff:127.0.0.1": "loopback",
    "::ffff:169.254.169.254": "link_local",
    "::ffff:8.8.8.8": "public",
    "2002:7f00:1::": "loopback",
    "2002:a9fe:a9fe::": "link_local",
    "2002:808:808::": "public",
    "64:ff9b::10.0.0.1": "private",
    "64:ff9b::169.254.169.254": "link_local",
    "64:ff9b::8.8.8.8": "public",
}


@pytest.mark.parametrize(("address", "kind"), KINDS.items())
def test_an_address_has_the_kind_it_leads_to(address: str, kind: str):
    """Every special range is told from the public ones, also when it hides in an IPv6 form."""
    assert kind_of_address(address) == kind


@pytest.mark.threat(5)
@pytest.mark.parametrize(("address", "kind"), KINDS.items())
def test_only_public_addresses_are_dialled_by_default(address: str, kind: str):
    """Without a rule that allows more, anything but a public address refuses the name."""
    if kind == "public":
        check_addresses("keys.example", [address], STRICT)
        return
    with pytest.raises(AddressRefused, match=kind.replace("_", ".")) as refused:
        check_addresses("keys.example", [address], STRICT)
    assert refused.value.code == "address_refused"


@pytest.mark.parametrize(("address", "kind"), KINDS.items())
def test_private_addresses_can_be_allowed_the_rest_cannot(address: str, kind: str):
    """`allow_private_addresses` opens private networks and loopback, never link-local, multicast, reserved, none."""
    if kind in ("public", "private", "loopback"):
        check_addresses("keys.example", [address], PRIVATE)
        return
    with pytest.raises(AddressRefused):
        check_addresses("keys.example", [address], PRIVATE)


def test_one_bad_address_refuses_the_name():
    """A name that leads outside and inside at once is refused, whichever comes first."""
    for addresses in (["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"]):
        with pytest.raises(AddressRefused):
            check_addresses("keys.example", addresses, STRICT)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_http_to_this_machine_reaches_only_this_machine(host: str):
    """With `insecure_allow_http` a loopback name may be dialled, and must not lead anywhere else."""
    check_addresses(host, ["127.0.0.1", "::1"], HTTP)
    for elsewhere in ("8.8.8.8", "10.0.0.1"):
        with pytest.raises(AddressRefused):
            check_addresses(host, [elsewhere], HTTP)


def test_allowing_http_opens_no_private_network_for_other_names():
    """The http switch is about this machine's own names; any other name is checked as ever."""
    with pytest.raises(AddressRefused):
        check_addresses("keys.example", ["127.0.0.1"], HTTP)
