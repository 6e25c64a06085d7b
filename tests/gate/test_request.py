"""One credential, found in one way only: what a request presents, and every trick with headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.refusals import CODES, REFUSALS
from tenantgate.gate.request import MAX_HEADERS, Presented, RequestView, present
from tests.builders import v2_token
from tests.gate.world import a_view

TOKEN = v2_token().encode()
GOOD = (b"authorization", b"Bearer " + TOKEN)


def presented(*headers: tuple[bytes, bytes]) -> Presented:
    """Return what a request with exactly these headers presents."""
    return present(RequestView("GET", "/orders", headers))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param((b"authorization", b"Bearer " + TOKEN), id="as HTTP/2 has it"),
        pytest.param((b"Authorization", b"Bearer " + TOKEN), id="as HTTP/1.1 writes it"),
        pytest.param((b"AUTHORIZATION", b"bearer " + TOKEN), id="scheme in lower case"),
        pytest.param((b"authorization", b"BEARER " + TOKEN), id="scheme in upper case"),
        pytest.param((b"authorization", b"Bearer   " + TOKEN), id="several spaces after the scheme"),
        pytest.param((b"authorization", b"  Bearer " + TOKEN + b" "), id="spaces around the value"),
    ],
)
def test_finds_the_one_bearer_token(header: tuple[bytes, bytes]):
    """Name and scheme are case-insensitive (RFC 9110 §5.1, §11.1), spaces around the token are not of it."""
    assert presented((b"host", b"api.example"), header) == Presented(TOKEN)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param([], R.NO_CREDENTIAL, id="no header at all"),
        pytest.param([(b"host", b"api.example")], R.NO_CREDENTIAL, id="no Authorization header"),
        pytest.param([(b"proxy-authorization", GOOD[1])], R.NO_CREDENTIAL, id="a credential for a proxy"),
        pytest.param([(b"authorization_", GOOD[1])], R.NO_CREDENTIAL, id="underscore after the name"),
        pytest.param([(b"_authorization", GOOD[1])], R.NO_CREDENTIAL, id="underscore before the name"),
        pytest.param([(b"http_authorization", GOOD[1])], R.NO_CREDENTIAL, id="a CGI variable's name"),
        pytest.param([(b"x-authorization", GOOD[1])], R.NO_CREDENTIAL, id="another header"),
        pytest.param([(b"authorizatio", GOOD[1])], R.NO_CREDENTIAL, id="a shorter name"),
        pytest.param([(b"authorizations", GOOD[1])], R.NO_CREDENTIAL, id="a longer name"),
        pytest.param([(b"auth", GOOD[1])], R.NO_CREDENTIAL, id="a name that only begins alike"),
        pytest.param([(b"cookie", b"access_token=" + TOKEN)], R.NO_CREDENTIAL, id="a token in a cookie"),
        pytest.param([(b"authorization", b"")], R.SCHEME_NOT_ALLOWED, id="an empty value"),
        pytest.param([(b"authorization", TOKEN)], R.SCHEME_NOT_ALLOWED, id="a token without a scheme"),
        pytest.param([(b"authorization", b"Basic YTpi")], R.SCHEME_NOT_ALLOWED, id="another scheme"),
        pytest.param([(b"authorization", b"Bearer\t" + TOKEN)], R.SCHEME_NOT_ALLOWED, id="a tab after the scheme"),
        pytest.param([(b"authorization", b"\tBearer " + TOKEN)], R.SCHEME_NOT_ALLOWED, id="a tab before the scheme"),
        pytest.param([(b"authorization", b"Bearer=" + TOKEN)], R.SCHEME_NOT_ALLOWED, id="an equals sign"),
        pytest.param([(b"authorization", b"DPoP " + TOKEN)], R.SCHEME_NOT_ALLOWED, id="a bound token's scheme"),
        pytest.param([GOOD, GOOD], R.CREDENTIAL_AMBIGUOUS, id="the header twice, alike"),
        pytest.param([GOOD, (b"Authorization", b"")], R.CREDENTIAL_AMBIGUOUS, id="twice, once empty, in another case"),
        pytest.param([(b"authorization", b"Basic YTpi"), GOOD], R.CREDENTIAL_AMBIGUOUS, id="twice, two schemes"),
        pytest.param([(b"authorization", GOOD[1] + b", " + GOOD[1])], R.CREDENTIAL_AMBIGUOUS, id="joined by a comma"),
        pytest.param([(b"authorization", GOOD[1] + b",")], R.CREDENTIAL_AMBIGUOUS, id="a comma at the end"),
        pytest.param([(b"authorization", b"Bearer ," + TOKEN)], R.CREDENTIAL_AMBIGUOUS, id="a comma at the start"),
        pytest.param([(b"authorization ", GOOD[1])], R.REQUEST_INVALID, id="a space after the name"),
        pytest.param([(b"authorization\t", GOOD[1])], R.REQUEST_INVALID, id="a tab after the name"),
        pytest.param([(b"authorization\r", GOOD[1])], R.REQUEST_INVALID, id="a carriage return after the name"),
        pytest.param([GOOD, (b"authorization ", GOOD[1])], R.REQUEST_INVALID, id="a good one and one with a space"),
        pytest.param([(b" authorization", GOOD[1])], R.REQUEST_INVALID, id="a space before the name"),
        pytest.param([(b"\tAuthorization", GOOD[1])], R.REQUEST_INVALID, id="a tab before the name"),
        pytest.param([(b"authorization\0", GOOD[1])], R.REQUEST_INVALID, id="NUL after the name"),
        pytest.param([(b"\x0bauthorization\x1f", GOOD[1])], R.REQUEST_INVALID, id="control characters around the name"),
        pytest.param([(b" authorization", GOOD[1]), GOOD], R.REQUEST_INVALID, id="one with a space before a good one"),
        pytest.param(
            [(b"authorization", GOOD[1] + b"\r\nx-tg-partner: acme")], R.REQUEST_INVALID, id="a header inside"
        ),
        pytest.param([(b"authorization", b"Bearer\r\n " + TOKEN)], R.REQUEST_INVALID, id="a folded line"),
        pytest.param([(b"authorization", GOOD[1] + b"\0")], R.REQUEST_INVALID, id="NUL at the end"),
        pytest.param([(b"authorization", GOOD[1] + b"\n")], R.REQUEST_INVALID, id="a line feed at the end"),
        pytest.param(
            [GOOD, (b"content-length", b"4"), (b"Transfer-Encoding", b"chunked")], R.REQUEST_INVALID, id="two framings"
        ),
        pytest.param([(b"authorization", b"Basic YTpi\r")], R.REQUEST_INVALID, id="CR, whatever the scheme"),
    ],
)
def test_refuses_what_is_not_exactly_one_credential(headers: list[tuple[bytes, bytes]], reason: R):
    """No credential, another scheme, or more than one reading: never a token, and the reason says which."""
    found = presented(*headers)

    assert found.token is None
    assert found.reason is reason


@pytest.mark.parametrize(
    "name",
    [
        b"x-tg-partner",
        b"X-TG-Roles",
        b"x_tg_client",
        b"X-TG-Tenant",
        b"x-tg-decision",
        b"x-forwarded-for",
        b"forwarded",
    ],
)
def test_headers_that_claim_an_identity_mean_nothing(name: bytes):
    """An incoming X-TG-* or forwarded header neither presents a credential nor spoils one."""
    assert presented((name, b"acme")).reason is R.NO_CREDENTIAL
    assert present(a_view(TOKEN, (name, b"acme"), (name, b"globex"))) == Presented(TOKEN)


def test_an_empty_token_is_judged_as_one():
    """`Bearer` with nothing after it presents the empty token, which no issuer ever signed."""
    assert presented((b"authorization", b"Bearer ")) == Presented(b"")
    assert presented((b"authorization", b"Bearer")) == Presented(b"")


@pytest.mark.threat(11)
def test_refuses_oversized_headers_whichever_is_large():
    """All names and values count together; one byte more than the limit is refused, with or without a credential."""
    room = MAX_HEADERS - sum(map(len, GOOD))
    fits, does_not = (b"x", b"y" * (room - 1)), (b"x", b"y" * room)

    assert presented(GOOD, fits) == Presented(TOKEN)
    assert presented(GOOD, does_not).reason is R.REQUEST_INVALID
    assert presented(does_not, GOOD).reason is R.REQUEST_INVALID
    assert presented(*[(b"x", b"y" * 1023)] * 65).reason is R.REQUEST_INVALID


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=6))
def test_any_headers_end_in_a_token_or_a_reason(headers: list[tuple[bytes, bytes]]):
    """Whatever stands in the headers, there is a token or a public refusal of 400 or 401, and never a crash."""
    found = presented(*headers)

    assert (found.token is None) != (found.reason is None)
    if found.reason is not None:
        assert CODES[REFUSALS[found.reason].code].status in {400, 401}


@given(st.lists(st.sampled_from([b"authorization", b"Authorization", b"AUTHORIZATION"]), min_size=2, max_size=5))
def test_two_credentials_are_never_chosen_from(names: list[bytes]):
    """However often and however spelled the header is repeated, no repetition is picked."""
    found = presented(*((name, b"Bearer " + TOKEN) for name in names))

    assert found == Presented(None, R.CREDENTIAL_AMBIGUOUS, "two Authorization headers")


@given(st.sampled_from([b"Basic ", b"Bearer ", b"", b"Bearer a,"]), st.binary(max_size=60))
def test_details_never_quote_the_value(scheme: bytes, value: bytes):
    """What the operator reads about a refused header holds none of its bytes."""
    header = (b"authorization", scheme + b"eyJhbGciOiJSUzI1NiJ9" + value)

    assert "eyJ" not in presented(header).detail
    assert "eyJ" not in presented(header, header).detail
