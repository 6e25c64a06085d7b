"""What a partner's page shows of credentials, ends that are near, and what is special about a role or a pin."""

from __future__ import annotations

import pytest

from tenantgate.registry import app_roles, certificates, resources, subscription_keys
from tenantgate.registry.attention import SOON
from tenantgate.registry.certificates import CertificateSpec
from tenantgate.registry.subscription_keys import SubscriptionKeySpec
from tenantgate.registry.unit_of_work import Work
from tests.client_certificates import a_certificate
from tests.registry.builders import (
    NOW,
    a_daemon,
    a_grant,
    a_partner,
    an_app_role,
    counting_bytes,
)
from tests.web.test_access_requests import HOSTILE
from tests.web.test_naughty import require_harmless
from tests.web.world import FABRIKAM_CLIENT, Page, World

DAY = 86_400


def add_certificate(work: Work, id_: str, number: int, name: str = "laptop") -> None:
    """A certificate of the nightly daemon's."""
    pem = a_certificate(serial=number)
    certificates.create(work, CertificateSpec(daemon="nightly", certificate=pem, id=id_, name=name))


def add_key(work: Work, name: str, expires_at: int, start: int = 7) -> str:
    """A subscription key of the nightly daemon's: its id."""
    spec = SubscriptionKeySpec(daemon="nightly", name=name, expires_at=expires_at)
    return subscription_keys.create(work, spec, random_bytes=counting_bytes(start)).row.id


def words_of(world: World) -> str:
    """All that the partner's page says."""
    return Page(world.signed_in("Viewer").get("/partners/contoso")).words


def test_credentials_stand_with_their_daemon(either: World):
    """With name, state and end; of a key nothing that would work."""

    def make(work: Work) -> None:
        add_certificate(work, "crt-1", 1)
        add_certificate(work, "crt-2", 2, "server")
        certificates.suspend(work, "crt-2")
        add_key(work, "batch", NOW + 2 * SOON)
        subscription_keys.revoke(work, add_key(work, "old", NOW + 2 * SOON, 8))

    either.change(make)
    words = words_of(either)
    end = either.ask(certificates.get, "crt-1").not_after
    assert end > NOW
    assert "Certificate laptop active" in words
    assert "Certificate server suspended" in words
    assert "Subscription key batch active" in words
    assert "Subscription key old revoked" in words
    assert "tgs_" not in words


def test_an_end_that_is_near_is_said_in_words(either: World):
    """Thirty days before: of the partner, a role, a key; not before, not after, and not of what is revoked."""
    either.change(
        lambda work: a_partner(work, id="adatum", name="A. Datum", ends_at=NOW + SOON),
        lambda work: a_daemon(work, id="reports", client_id=FABRIKAM_CLIENT),
        lambda work: a_grant(work, id="soon", daemon="reports", expires_at=NOW + SOON + 1),
        lambda work: add_key(work, "batch", NOW + SOON + 2),
        lambda work: subscription_keys.revoke(work, add_key(work, "old", NOW + SOON, 8)),
    )
    assert "ends soon" in Page(either.signed_in().get("/partners/adatum")).words
    for later, expected in ((0, 0), (1, 1), (2, 2), (SOON + 1, 1), (SOON + 2, 0)):
        either.now = NOW + later
        assert words_of(either).count("ends soon") == expected, later
    assert "Subscription key batch ended" in words_of(either)


def test_a_sensitive_role_is_marked(contoso: World):
    """On the partner's page and where roles are chosen."""
    contoso.change(lambda work: an_app_role(work, id="orders-write", value="Orders.Write", sensitive=True))
    browser = contoso.signed_in()
    assert "Orders.Write sensitive waits for a second operator" in Page(browser.get("/onboard")).words
    contoso.change(lambda work: an_app_role(work, id="orders-all", value="Orders.All"))
    contoso.change(lambda work: a_grant(work, id="all", app_role="orders-all"))
    contoso.change(lambda work: app_roles.mark_sensitive(work, "orders-all"))
    assert "Orders.All on orders sensitive" in words_of(contoso)


def test_a_pin_that_waits_is_said(either: World):
    """The first object id that is let in will be pinned; none is yet."""
    either.change(lambda work: a_daemon(work, id="reports", client_id=FABRIKAM_CLIENT, pin_object_id=True))
    assert "object id: pending the first that is let in is pinned" in words_of(either)


def test_roles_for_a_whole_tenant_warn(either: World):
    """How many they reach now, and that it will be more."""
    either.change(
        lambda work: resources.change(work, "orders", {"tenant_wide_roles": True}),
        lambda work: a_daemon(work, id="reports", client_id=FABRIKAM_CLIENT),
        lambda work: an_app_role(work, id="orders-list", value="Orders.List"),
        lambda work: a_grant(work, id="wide", app_role="orders-list", daemon=None, tenant="contoso-entra"),
    )
    assert "Tenant-wide: they reach 2 now, and each that is listed here later." in words_of(either)


@pytest.mark.parametrize("text", [each for each in HOSTILE if each.isprintable()])
def test_a_name_with_markup_is_a_name(contoso: World, text: str):
    """Of certificates and keys."""
    contoso.change(lambda work: add_certificate(work, "crt-1", 1, text), lambda work: add_key(work, text, NOW + DAY))
    page = Page(contoso.signed_in().get("/partners/contoso"))
    require_harmless(page)
    assert page.words.count(text) == 2
