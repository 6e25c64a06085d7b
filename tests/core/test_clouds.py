"""Microsoft's clouds: whichever of its addresses an operator pastes, one authority; and no key of another cloud."""

from __future__ import annotations

import pytest

from tenantgate.core.clouds import CLOUDS, find_cloud, why_refused
from tenantgate.core.keys import MalformedKeySet, build_key_set
from tenantgate.core.policy import IssuerRow, PolicyError
from tenantgate.core.rules import check_row
from tests.builders import signer


def cloud(authority: str) -> IssuerRow:
    """Return the checked row of a cloud."""
    row = check_row(IssuerRow(id="cloud", kind="entra", authority=authority))
    assert isinstance(row, IssuerRow)
    return row


@pytest.mark.parametrize(
    ("pasted", "authority"),
    [(alias, each.host) for each in CLOUDS for alias in (each.host, *sorted(each.aliases))],
)
def test_an_alias_means_its_cloud(pasted: str, authority: str) -> None:
    """Tokens carry the cloud's own issuers, whatever address signed in."""
    row = cloud(f"https://{pasted}/")

    assert row.authority == f"https://{authority}"
    assert row.v2_issuer == f"https://{authority}/{{tenantid}}/v2.0"
    assert row.metadata_url == f"https://{authority}/organizations/v2.0/.well-known/openid-configuration"


def test_every_host_is_one_clouds() -> None:
    """No address means two clouds, and none that is refused means any."""
    hosts = [host for each in CLOUDS for host in (each.host, *each.aliases)]

    assert len(hosts) == len(set(hosts))
    assert all(find_cloud(host) is not None and why_refused(host) is None for host in hosts)


@pytest.mark.parametrize("host", ["login.microsoftonline.de", "login.windows-ppe.net", "sts.windows-ppe.net"])
def test_what_is_closed_or_for_tests_is_refused(host: str) -> None:
    """Nobody's daemon signs in there."""
    with pytest.raises(PolicyError) as caught:
        cloud(f"https://{host}")

    assert (caught.value.code, caught.value.path) == ("authority_not_allowed", "authority")


@pytest.mark.parametrize(
    ("authority", "named", "serves"),
    [
        ("https://login.microsoftonline.com", "microsoftonline.com", True),
        ("https://login.microsoftonline.com", "microsoftonline.us", False),
        ("https://login.microsoftonline.us", "microsoftonline.us", True),
        ("https://login.microsoftonline.us", "microsoftonline.com", False),
        ("https://login.chinacloudapi.cn", "chinacloudapi.cn", True),
        ("https://login.partner.microsoftonline.cn", "partner.microsoftonline.cn", True),
        ("https://login.partner.microsoftonline.cn", "microsoftonline.com", False),
        ("https://login.cloud.example", "anything", True),
    ],
)
def test_a_key_serves_in_the_cloud_it_names(authority: str, named: str, serves: bool) -> None:
    """A foreign `cloud_instance_name` drops the key when it is loaded; a cloud nobody knows cannot tell."""
    key = signer("RS256", "cloud")
    row = cloud(authority)
    document = {"keys": [key.jwk(issuer=row.v2_issuer, cloud_instance_name=named)]}
    if serves:
        assert key.kid in build_key_set(document, row).keys
        return
    with pytest.raises(MalformedKeySet, match="belongs to the cloud"):
        build_key_set(document, row)


def test_a_cloud_that_is_no_text_drops_the_key() -> None:
    """Nobody knows what it would mean."""
    document = {"keys": [signer("RS256", "cloud").jwk(cloud_instance_name=7)]}
    with pytest.raises(MalformedKeySet, match="cloud_instance_name member is not a string"):
        build_key_set(document, cloud("https://login.microsoftonline.com"))
