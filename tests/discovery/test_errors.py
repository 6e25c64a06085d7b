"""The room's errors: one tree, stable codes."""

from __future__ import annotations

from tenantgate.discovery import errors
from tenantgate.net.door import DnsFailed, NetError, StatusRefused


def test_every_error_of_the_room_is_under_its_base():
    """No strays: whoever catches DiscoveryError catches them all."""
    found = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)} - {
        NetError.__name__,
        StatusRefused.__name__,
    }
    assert found == {"DiscoveryError", *(each.__name__ for each in errors.DiscoveryError.__subclasses__())}


def test_codes_are_stable():
    """Health, metrics and docs name these."""
    made = [errors.MetadataMalformed, errors.IssuerMismatch, errors.JwksUriRefused, errors.KeySetRefused]
    assert [each("why").code for each in made] == [
        "metadata_malformed",
        "issuer_mismatch",
        "jwks_uri_refused",
        "key_set_malformed",
    ]


def test_a_failed_fetch_keeps_the_doors_code():
    """What the door said, and how long the server asked us to wait, is handed on."""
    assert (errors.FetchFailed(DnsFailed("no name")).code, errors.FetchFailed(DnsFailed("no name")).retry_after) == (
        "dns",
        None,
    )
    assert errors.FetchFailed(StatusRefused("busy", 429, 12.0)).retry_after == 12.0
