"""The one table: reason → public code → status → challenge → what it means → what helps."""

from __future__ import annotations

import pytest

from tenantgate.core.decision import DenialReason, PublicCode
from tenantgate.core.refusals import CODES, REFUSALS

# RFC 6750 §3.1 and the design: what a caller learns, and how.
ANSWERS = {
    PublicCode.NO_CREDENTIAL: (401, None, True),
    PublicCode.INVALID_REQUEST: (400, "invalid_request", True),
    PublicCode.INVALID_TOKEN: (401, "invalid_token", True),
    PublicCode.CALLER_NOT_ALLOWED: (403, None, False),
    PublicCode.INSUFFICIENT_SCOPE: (403, "insufficient_scope", True),
    PublicCode.CERTIFICATE_REQUIRED: (403, None, False),
    PublicCode.CANNOT_JUDGE: (503, None, False),
}

NOT_ON_THE_LIST = [
    DenialReason.TENANT_NOT_LISTED,
    DenialReason.TENANT_SUSPENDED,
    DenialReason.PARTNER_NOT_ACTIVE,
    DenialReason.PARTNER_SUSPENDED,
    DenialReason.PARTNER_ENDED,
    DenialReason.DAEMON_NOT_LISTED,
    DenialReason.DAEMON_SUSPENDED,
    DenialReason.OBJECT_ID_MISMATCH,
    DenialReason.SUBJECT_NOT_PINNED,
    DenialReason.CREDENTIAL_TOO_WEAK,
    DenialReason.ISSUER_NOT_ACCEPTED,
    DenialReason.CLIENT_NOT_ACCEPTED,
    DenialReason.ADDRESS_NOT_ALLOWED,
    DenialReason.CERTIFICATE_NOT_LISTED,
]


def test_every_reason_has_a_row_and_every_row_a_reason() -> None:
    """A denial that nobody knows how to answer would be a crash at the door."""
    assert list(REFUSALS) == list(DenialReason)


def test_every_public_code_is_answered_as_designed() -> None:
    """Status, OAuth error and challenge of each public code."""
    found = {code: (row.status, row.oauth_error, row.challenge) for code, row in CODES.items()}

    assert found == ANSWERS
    assert set(CODES) == set(PublicCode)


@pytest.mark.parametrize("reason", NOT_ON_THE_LIST)
def test_who_is_not_on_the_list_learns_nothing_more(reason: DenialReason) -> None:
    """Unknown tenant, unknown daemon, suspended partner: one code, one text, so that nobody maps the allow-list."""
    assert REFUSALS[reason].code is PublicCode.CALLER_NOT_ALLOWED
    row = CODES[PublicCode.CALLER_NOT_ALLOWED]
    assert row.oauth_error is None
    assert not row.challenge
    assert not any(word in row.text.lower() for word in ("tenant", "partner", "daemon", "suspend", "unknown", "list"))


def test_only_those_read_as_not_allowed() -> None:
    """No other reason hides behind `caller_not_allowed`."""
    found = [reason for reason, row in REFUSALS.items() if row.code is PublicCode.CALLER_NOT_ALLOWED]

    assert sorted(found) == sorted(NOT_ON_THE_LIST)


@pytest.mark.parametrize("reason", list(DenialReason))
def test_every_row_explains_and_advises_both(reason: DenialReason) -> None:
    """Meaning and what either side does are sentences, bounded, and different things."""
    row = REFUSALS[reason]
    texts = (row.meaning, row.partner, row.publisher)

    for text in texts:
        assert text.endswith(".")
        assert text[0].isupper()
        assert 12 < len(text) < 300
        assert text.replace("…", "").isascii()
    assert len(set(texts)) == 3


@pytest.mark.parametrize("reason", list(DenialReason))
def test_somebody_can_do_something(reason: DenialReason) -> None:
    """No refusal leaves both sides with nothing to do."""
    row = REFUSALS[reason]

    assert not (row.partner.startswith("Nothing to do") and row.publisher.startswith("Nothing to do"))


@pytest.mark.parametrize("reason", list(DenialReason))
def test_the_partners_advice_is_nobody_elses_business(reason: DenialReason) -> None:
    """What a partner reads names no setting of the publisher's and no command of ours."""
    text = REFUSALS[reason].partner

    assert not any(word in text for word in ("tenantgate", "token_types", "client_id_claim", "max_lifetime", "policy"))


@pytest.mark.parametrize("code", list(PublicCode))
def test_public_texts_are_fit_for_a_header(code: PublicCode) -> None:
    """`error_description` allows visible ASCII without quote and backslash (RFC 6750 §3)."""
    text = CODES[code].text

    assert text.endswith(".")
    assert all(" " <= char <= "~" and char not in '"\\' for char in text)


def test_values_are_stable_slugs() -> None:
    """Values are public: lower-case words joined by `_`, the same as the member's name."""
    for member in (*DenialReason, *PublicCode):
        assert member.value == member.name.lower()
        assert member.value.replace("_", "").isalpha()


def test_a_5xx_is_never_the_tokens_fault() -> None:
    """What we cannot judge says nothing about the token, and what is the token's fault is never a 5xx."""
    ours = {reason for reason, row in REFUSALS.items() if CODES[row.code].status >= 500}

    assert ours == {
        DenialReason.KEY_SET_UNAVAILABLE,
        DenialReason.KEY_SET_TOO_OLD,
        DenialReason.POLICY_UNAVAILABLE,
        DenialReason.POLICY_TOO_OLD,
        DenialReason.OVERLOADED,
    }
