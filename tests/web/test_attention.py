"""What needs a person, and the two things that are decided on that page."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tenantgate.registry import assignments, certificates, invitations, operators, pending_grants, subscription_keys
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.attention import KINDS, SOON
from tenantgate.registry.certificates import CertificateSpec
from tenantgate.registry.engine import writing
from tenantgate.registry.invitations import InvitationSpec
from tenantgate.registry.pending_grants import grant_or_request
from tenantgate.registry.subscription_keys import SubscriptionKeySpec
from tenantgate.registry.unit_of_work import Actor, Work
from tests.client_certificates import a_certificate
from tests.registry.builders import (
    CLIENT_ID,
    NOW,
    TID,
    a_daemon,
    a_grant,
    a_mapping,
    a_partner,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
    counting_bytes,
    work_on,
)
from tests.web.test_access_requests import HOSTILE, asked
from tests.web.test_naughty import require_harmless
from tests.web.world import FABRIKAM_CLIENT, FABRIKAM_TID, Page, World, fabrikam

DAY = 86_400


def a_request(world: World, operator: str = "administration", reason: str = "contract 4711") -> str:
    """Somebody asks for a sensitive role for Contoso's daemon: its id."""
    actor = Actor(operator, "session", "192.0.2.7")
    with work_on(world.engine, actor=actor, now=world.now) as work:
        an_app_role(work, id="orders-write", value="Orders.Write", sensitive=True)
        spec = AssignmentSpec(app_role="orders-write", daemon="nightly", reason=reason, expires_at=NOW + 90 * DAY)
        return grant_or_request(work, spec).id


def an_answer(world: World, name: str = "Fabrikam", reason: str = "") -> str:
    """An invitation that a partner's developer has answered: its id."""
    with work_on(world.engine, now=world.now) as work:
        a_partner(work, id="fabrikam", name=name, state="invited")
        spec = InvitationSpec(
            partner="fabrikam", issuer="entra", resource="orders", app_roles=("orders-read",), reason=reason
        )
        made = invitations.create(work, spec, random_bytes=counting_bytes(41))
        invitations.redeem(work, made.code, tid=FABRIKAM_TID, client_id=FABRIKAM_CLIENT)
    return made.row.id


def test_nothing_needs_anybody(either: World):
    """The page says so, and the menu counts nothing."""
    words = Page(either.signed_in().get("/attention")).words
    assert "Nothing needs you" in words
    assert "Access requests Attention Onboard" in words


def test_what_ends_leads_to_its_partner(either: World):
    """Roles, partners, certificates and keys: with the day, and the page where it is dealt with."""
    end = NOW + 10 * DAY

    def make(work: Work) -> None:
        a_partner(work, id="adatum", name="A. Datum", ends_at=end)
        a_daemon(work, id="reports", client_id=FABRIKAM_CLIENT)
        a_grant(work, id="soon", daemon="reports", expires_at=end)
        certificates.create(
            work,
            CertificateSpec(
                daemon="nightly", certificate=a_certificate(ends=datetime.fromtimestamp(end, UTC)), name="laptop"
            ),
        )
        spec = SubscriptionKeySpec(daemon="nightly", name="batch", expires_at=end)
        subscription_keys.create(work, spec, random_bytes=counting_bytes(7))

    either.change(make)
    page = Page(either.signed_in().get("/attention"))
    links = {link.text: link.get("href") for link in page.all("a") if "end" in link.text}
    assert links == {
        "orders-read of daemon reports ends": "/partners/contoso",
        "A. Datum ends": "/partners/adatum",
        "laptop, of daemon nightly, ends": "/partners/contoso",
        "batch, of daemon nightly, ends": "/partners/contoso",
    }
    assert page.words.count("until 2027-01-25T08:00:00Z") == 4
    assert "Attention 4" in page.words


def test_every_kind_has_a_title():
    """What the registry may find has words here."""
    from tenantgate.web.texts import texts

    assert {f"attention.{kind}" for kind in KINDS} <= texts().keys()


def test_a_sensitive_role_is_approved_by_another(either: World):
    """With what was asked, why and by whom before one's eyes; then it is there."""
    id_ = a_request(either)
    browser = either.signed_in()
    words = Page(browser.get("/attention")).words
    assert "Orders.Write on orders sensitive for daemon nightly of contoso asked by administration, as role" in words
    assert "role orders-write · ends 2027-04-15T08:00:00Z audience api://orders · tenant" in words
    assert f"tenant {TID} · issuer https://login.microsoftonline.com · client {CLIENT_ID} contract 4711" in words
    answer = browser.submit(f"/pending-grants/{id_}/approve")
    assert (answer.status_code, answer.headers["location"]) == (303, "/attention")
    row = either.ask(pending_grants.get, id_)
    assert (row.state, row.decided_by) == ("approved", "onboarding")
    assert either.ask(assignments.get, row.assignment).approved_by == "onboarding"
    answer = browser.submit(f"/pending-grants/{id_}/reject")
    assert (answer.status_code, "was approved by onboarding" in answer.text) == (409, True)


def test_what_was_asked_for_is_shown_not_what_it_is_called(either: World):
    """Names are the first operator's choice: the second sees whose the daemon is, where, and how it has to prove it."""

    def make(work: Work) -> None:
        an_oidc_issuer(work)
        a_partner(work, id="evil", name="Evil", ends_at=NOW + 200 * DAY)
        a_tenant(work, id="contoso-realm", issuer="keycloak", partner="evil", tid=None)
        members = {"subject": "anybody", "min_credential": "certificate"}
        a_daemon(work, id="contoso-nightly", tenant="contoso-realm", client_id="builder", **members)
        an_app_role(work, id="orders-look", value="Orders.Everything", sensitive=True)

    either.change(make)
    with work_on(either.engine, actor=Actor("administration", "session", "192.0.2.7"), now=either.now) as work:
        grant_or_request(work, AssignmentSpec(app_role="orders-look", daemon="contoso-nightly"))
    page = Page(either.signed_in().get("/attention"))
    assert "Orders.Everything on orders sensitive for daemon contoso-nightly of evil" in page.words
    assert page.one("a", href="/partners/evil").text == "evil"
    assert "no end · the partner ends 2027-08-03T08:00:00Z" in page.words
    assert "issuer https://id.fabrikam.example/realms/main · client builder · subject anybody" in page.words
    assert "subject anybody · credential certificate" in page.words


def test_a_whole_tenants_role_says_whom_it_reaches(contoso: World):
    """And that it reaches each that is listed later."""

    def make(work: Work) -> None:
        a_resource(work, id="bills", audiences=("api://bills",), tenant_wide_roles=True)
        an_app_role(work, id="bills-pay", resource="bills", value="Bills.Pay", sensitive=True)

    contoso.change(make)
    with work_on(contoso.engine, actor=Actor("administration", "session", "192.0.2.7"), now=contoso.now) as work:
        grant_or_request(work, AssignmentSpec(app_role="bills-pay", tenant="contoso-entra"))
    page = Page(contoso.signed_in().get("/attention"))
    assert "for every listed daemon of tenant contoso-entra of contoso" in page.words
    assert f"tenant {TID}" in page.words
    assert "1 now (1 active), and each that is listed later" in page.words


def test_another_window_is_shown_beside_the_one_there_is(contoso: World):
    """Who approves sees from when to when it was."""
    first = a_request(contoso)
    contoso.change(lambda work: pending_grants.approve(work, first))
    held = contoso.ask(pending_grants.get, first).assignment
    with work_on(contoso.engine, actor=Actor("administration", "session", "192.0.2.7"), now=contoso.now) as work:
        pending_grants.request_window(work, held, not_before=None, expires_at=None)
    words = Page(contoso.signed_in().get("/attention")).words
    assert "with another window asked by administration, as role orders-write · no end · now ends 2027-04-15" in words


def test_a_request_of_a_version_before_is_shown(contoso: World):
    """It says less: what it says is shown, and it may be rejected."""
    id_ = a_request(contoso)
    with writing(contoso.engine) as session:
        session.get_one(PendingGrant, id_).asked = {"role": None}
    page = Page(contoso.signed_in().get("/attention"))
    assert "orders-write sensitive for daemon nightly asked by" in page.words
    assert contoso.signed_in().submit(f"/pending-grants/{id_}/reject").status_code == 303


def test_all_that_an_invitation_gives_is_shown(contoso: World):
    """By value and API, with the tenant's own and the claims'; and that the partner becomes active."""

    def make(work: Work) -> None:
        a_mapping(work)
        a_resource(work, id="bills", audiences=("api://bills",), tenant_wide_roles=True)
        an_app_role(work, id="bills-list", resource="bills", value="Bills.List")

    def wide(work: Work) -> None:
        a_tenant(work, id="fabrikam-entra", partner="fabrikam", tid=FABRIKAM_TID)
        a_grant(work, id="wide", app_role="bills-list", daemon=None, tenant="fabrikam-entra")

    contoso.change(make)
    an_answer(contoso)
    contoso.change(wide)
    words = Page(contoso.signed_in().get("/attention")).words
    assert "gives Orders.Read on orders has besides, as any listed daemon of the tenant: Bills.List on bills" in words
    assert "may have besides, if its tokens say so: Orders.Read on orders" in words
    assert "Partner fabrikam becomes active." in words


def test_who_asked_is_told_why_not(either: World):
    """Their own request has no button to approve it, a post is refused with the reason; they may withdraw it."""
    id_ = a_request(either, "onboarding")
    browser = either.signed_in()
    page = Page(browser.get("/attention"))
    assert "You asked for it: another operator decides." in page.words
    assert [form.get("action") for form in page.all("form", method="post")] == [
        "/sign-out",
        f"/pending-grants/{id_}/withdraw",
    ]
    answer = browser.submit(f"/pending-grants/{id_}/approve")
    assert answer.status_code == 409
    assert "another operator approves" in Page(answer).words
    assert either.ask(pending_grants.get, id_).state == "open"
    assert browser.submit(f"/pending-grants/{id_}/withdraw").status_code == 303
    assert either.ask(pending_grants.get, id_).state == "withdrawn"


def test_a_command_in_ones_own_name_is_ones_own(contoso: World):
    """What `cli:onboarding` asked for, the operator of that name neither approves nor withdraws here."""
    id_ = a_request(contoso, "cli:onboarding")
    page = Page(contoso.signed_in().get("/attention"))
    assert "You asked for it" in page.words
    assert [form.get("action") for form in page.all("form", method="post")] == ["/sign-out"]
    assert contoso.signed_in().submit(f"/pending-grants/{id_}/approve").status_code == 409


def test_a_session_of_a_key_that_was_revoked_asked_for_nothing(contoso: World):
    """On the page too it is kept which key somebody came with."""
    contoso.change(lambda work: an_app_role(work, id="orders-write", value="Orders.Write", sensitive=True))
    asker = contoso.browser()
    key = contoso.key_for("Admin")
    assert asker.post("/sign-in", {"key": key}).status_code == 303
    assert asker.submit("/onboard", **fabrikam(roles=["orders-write"])).status_code == 303
    (row,) = contoso.ask(pending_grants.list_).items
    id_ = row.asked["admin_key"]
    assert key.startswith(f"tg_{id_}_")
    contoso.change(lambda work: operators.revoke_key(work, id_))
    answer = contoso.signed_in().submit(f"/pending-grants/{row.id}/approve")
    assert (answer.status_code, "was revoked since" in answer.text) == (409, True)


def test_a_request_is_rejected(contoso: World):
    """Nothing is given."""
    id_ = a_request(contoso)
    assert contoso.signed_in().submit(f"/pending-grants/{id_}/reject").status_code == 303
    assert contoso.ask(pending_grants.get, id_).state == "rejected"
    assert "Nothing needs you" in Page(contoso.signed_in().get("/attention")).words


@pytest.mark.parametrize(("change", "state"), [("approve", "approved"), ("reject", "rejected")])
def test_an_answered_invitation_is_decided(either: World, change: str, state: str):
    """What the developer entered is shown, and listed or not."""
    id_ = an_answer(either)
    browser = either.signed_in()
    words = Page(browser.get("/attention")).words
    assert f"tenant {FABRIKAM_TID} · client {FABRIKAM_CLIENT} at entra gives Orders.Read on orders" in words
    assert browser.submit(f"/invitations/{id_}/{change}").status_code == 303
    row = either.ask(invitations.get, id_)
    assert (row.state, row.decided_by, row.daemon is None) == (state, "onboarding", change == "reject")
    answer = browser.submit(f"/invitations/{id_}/{change}")
    assert (answer.status_code, f"was {state} by onboarding" in answer.text) == (409, True)


@pytest.mark.parametrize(
    "path", ["/pending-grants/pg-1/give", "/invitations/inv-1/revoke", "/invitations/nothing/approve"]
)
def test_other_changes_are_none(contoso: World, path: str):
    """What is not there is not found."""
    assert contoso.signed_in().submit(path).status_code == 404


@pytest.mark.parametrize("text", [each for each in HOSTILE if each.isprintable()])
def test_hostile_words_do_nothing(either: World, text: str):
    """Names and reasons are shown as text."""
    a_request(either, reason=text)
    an_answer(either, name=text, reason=text)
    either.change(lambda work: a_partner(work, id="ending", name=text, ends_at=NOW + DAY))
    asked(either, client_id=text)
    page = Page(either.signed_in().get("/attention"))
    require_harmless(page)
    assert text in page.words
    assert "49" not in page.words


def test_more_than_fits_is_counted(contoso: World):
    """Fifty of a kind, and how many more."""
    contoso.change(
        lambda work: [a_partner(work, id=f"p{number:02}", name="Company", ends_at=NOW + SOON) for number in range(60)]
    )
    words = Page(contoso.signed_in().get("/attention")).words
    assert "10 more: tenantgate attention --kind partner_ending" in words
    assert "Attention 60" in words


def test_the_menu_counts_anew_after_a_change_and_after_a_while(contoso: World):
    """What an operator does counts at once; what gates note, within seconds."""
    browser = contoso.signed_in()
    assert "Attention Onboard" in Page(browser.get("/partners")).words
    asked(contoso)
    contoso.now += 10
    assert "Attention 1 Onboard" in Page(browser.get("/partners")).words
    contoso.change(lambda work: a_partner(work, id="adatum", name="A. Datum", ends_at=NOW + DAY))
    assert "Attention 2 Onboard" in Page(browser.get("/partners")).words
