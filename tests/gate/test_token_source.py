"""Where a token stands is the resource's rule: a header, a scheme, the query. One credential, whatever it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Granted
from tenantgate.core.policy import ResourceRow
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import (
    AUTHORIZATION,
    MAX_HEADERS,
    MAX_PARAMETERS,
    Presented,
    RequestView,
    TokenSource,
    present,
    source_of,
)
from tests.builders import a_snapshot, v2_token
from tests.gate.world import a_delta, a_row_of_policy, reason_of
from tests.measuring import calls_of

TOKEN = v2_token().encode()
BEARER = (b"authorization", b"Bearer " + TOKEN)


def a_source(**rules: Any) -> TokenSource:
    """Return the source of a resource with these rules."""
    return source_of(ResourceRow(id="orders", audiences=("a",), **rules))


OWN = a_source(token_header="X-Orders-Token")
LONG = a_source(token_header="X-The-Token-Of-The-Orders-API")
SHORT = a_source(token_header="Tkn")
TOKENS_SCHEME = a_source(token_scheme="Token")
QUERY = a_source(token_query="access_token")
BOTH = a_source(token_header="X-Orders-Token", token_query="access_token")


def presented(source: TokenSource, *headers: tuple[bytes, bytes], query: bytes = b"") -> Presented:
    """Return what a request with exactly these headers and this query presents."""
    return present(RequestView("GET", "/orders", headers, None, query), source)


def test_nothing_said_is_authorization_bearer():
    """A resource without rules of its own has the usual source."""
    assert a_source() == source_of(None) == AUTHORIZATION
    assert presented(a_source(), BEARER, query=b"access_token=x") == Presented(TOKEN)


@pytest.mark.parametrize(
    ("source", "header"),
    [
        (OWN, (b"x-orders-token", TOKEN)),
        (OWN, (b"X-ORDERS-Token", b"  " + TOKEN + b" ")),
        (LONG, (b"x-the-token-of-the-orders-api", TOKEN)),
        (SHORT, (b"tkn", TOKEN)),
        (TOKENS_SCHEME, (b"Authorization", b"token " + TOKEN)),
        (TOKENS_SCHEME, (b"authorization", b"TOKEN   " + TOKEN)),
        (BOTH, (b"x-orders-token", TOKEN)),
        (QUERY, BEARER),
    ],
)
def test_finds_the_token_where_the_resource_says(source: TokenSource, header: tuple[bytes, bytes]):
    """A header of its own in any case and with spaces around, a scheme of its own, and the header beside a query."""
    others = [(b"host", b"api.example"), (b"content-length", b"0"), (b"x-request-id", b"7"), (b"x", b"y")]
    assert presented(source, *others, header, *others[2:]) == Presented(TOKEN)


@pytest.mark.parametrize(
    ("source", "headers", "reason"),
    [
        (OWN, [], R.NO_CREDENTIAL),
        (OWN, [BEARER], R.NO_CREDENTIAL),
        (OWN, [(b"x_orders_token", TOKEN)], R.NO_CREDENTIAL),
        (OWN, [(b"x-orders-toke", TOKEN), (b"x-orders-tokens", TOKEN)], R.NO_CREDENTIAL),
        (OWN, [(b"x-orders-token", b"Bearer " + TOKEN)], R.SCHEME_NOT_ALLOWED),
        (OWN, [(b"x-orders-token", b"bearer\t" + TOKEN)], R.SCHEME_NOT_ALLOWED),
        (OWN, [(b"x-orders-token", b"Token " + TOKEN)], R.SCHEME_NOT_ALLOWED),
        (OWN, [(b"x-orders-token", TOKEN + b" " + TOKEN)], R.SCHEME_NOT_ALLOWED),
        (OWN, [(b"x-orders-token", TOKEN), (b"X-Orders-Token", TOKEN)], R.CREDENTIAL_AMBIGUOUS),
        (OWN, [(b"x-orders-token", TOKEN), (b"x-orders-token", b"")], R.CREDENTIAL_AMBIGUOUS),
        (OWN, [(b"x-orders-token", TOKEN + b"," + TOKEN)], R.CREDENTIAL_AMBIGUOUS),
        (OWN, [(b"x-orders-token", TOKEN + b"\r\nx-tg-partner: acme")], R.REQUEST_INVALID),
        (OWN, [(b"x-orders-token", TOKEN + b"\0")], R.REQUEST_INVALID),
        (OWN, [(b"x-orders-token ", TOKEN)], R.REQUEST_INVALID),
        (LONG, [(b"\tx-the-token-of-the-orders-api", TOKEN)], R.REQUEST_INVALID),
        (SHORT, [(b"tkn\0", TOKEN)], R.REQUEST_INVALID),
        (TOKENS_SCHEME, [BEARER], R.SCHEME_NOT_ALLOWED),
        (TOKENS_SCHEME, [(b"authorization", TOKEN)], R.SCHEME_NOT_ALLOWED),
    ],
)
def test_a_header_of_its_own_is_read_as_strictly(source: TokenSource, headers: list[tuple[bytes, bytes]], reason: R):
    """Twice, joined, with a scheme, with hidden bytes, or another header: never a token, and the reason says which."""
    found = presented(source, *headers)

    assert found.token is None
    assert found.reason is reason


@pytest.mark.parametrize("source", [AUTHORIZATION, OWN, LONG, SHORT, QUERY], ids=lambda source: source.name)
def test_two_framings_are_refused_whatever_the_header(source: TokenSource):
    """Content-Length beside Transfer-Encoding is refused, whether the token's header is longer or shorter."""
    framings = [(b"Transfer-Encoding", b"chunked"), (b"content-length", b"4")]
    token = (source.header, TOKEN if source.scheme is None else b"Bearer " + TOKEN)

    assert presented(source, token, *framings).reason is R.REQUEST_INVALID
    assert presented(source, token, framings[0]) == Presented(TOKEN)


@pytest.mark.parametrize(
    "query",
    [
        b"access_token=" + TOKEN,
        b"a=1&access_token=" + TOKEN + b"&b=2",
        b"&&access_token=" + TOKEN + b"&",
        b"access%5Ftoken=" + TOKEN,
        b"%61ccess_token=" + TOKEN.replace(b".", b"%2E"),
        b"Access_Token=x&access_token=" + TOKEN,
        b"x=access_token=y&access_token=" + TOKEN,
        b"q=a;b&access_token=" + TOKEN,
        b"access%2token=x&access_token=" + TOKEN,
    ],
)
def test_finds_the_token_in_the_query(query: bytes):
    """The one parameter of that exact name, percent-encoded or not, among others; a name in another case is another."""
    assert presented(QUERY, (b"host", b"api.example"), query=query) == Presented(TOKEN)
    assert presented(BOTH, query=query) == Presented(TOKEN)


@pytest.mark.parametrize(
    ("headers", "query", "reason"),
    [
        ([], b"", R.NO_CREDENTIAL),
        ([], b"token=" + TOKEN, R.NO_CREDENTIAL),
        ([], b"access_token%00x=" + TOKEN, R.NO_CREDENTIAL),
        ([], b"access_token=a&access_token=a", R.CREDENTIAL_AMBIGUOUS),
        ([], b"access_token=" + TOKEN + b"&access%5ftoken=x", R.CREDENTIAL_AMBIGUOUS),
        ([], b"access_token=" + TOKEN + b"&access_token", R.CREDENTIAL_AMBIGUOUS),
        ([BEARER], b"access_token=" + TOKEN, R.CREDENTIAL_AMBIGUOUS),
        ([BEARER], b"access_token", R.CREDENTIAL_AMBIGUOUS),
        ([(b"authorization", b"Basic YTpi")], b"access_token=" + TOKEN, R.CREDENTIAL_AMBIGUOUS),
        ([BEARER, BEARER], b"", R.CREDENTIAL_AMBIGUOUS),
        ([(b"authorization", b"Basic YTpi")], b"", R.SCHEME_NOT_ALLOWED),
        ([], b"access_token=%", R.REQUEST_INVALID),
        ([], b"access_token=" + TOKEN + b"%2", R.REQUEST_INVALID),
        ([], b"access_token=" + TOKEN + b"%zz", R.REQUEST_INVALID),
        ([], b"a=1;access_token=" + TOKEN, R.REQUEST_INVALID),
        ([], b"access_token=" + TOKEN + b";access_token=x", R.REQUEST_INVALID),
        ([BEARER], b"a=1;access_token=" + TOKEN, R.REQUEST_INVALID),
        ([], b"access_token%20=" + TOKEN, R.REQUEST_INVALID),
        ([], b"+access_token=" + TOKEN, R.REQUEST_INVALID),
        ([], b"%00access_token=" + TOKEN, R.REQUEST_INVALID),
        ([], b"\taccess_token=" + TOKEN, R.REQUEST_INVALID),
        ([], b"a=" + b"&" * MAX_PARAMETERS, R.REQUEST_INVALID),
    ],
)
def test_a_query_is_read_in_one_way_only(headers: list[tuple[bytes, bytes]], query: bytes, reason: R):
    """Two parameters, a parameter and a header, or one that only some readers see: never a token."""
    found = presented(QUERY, *headers, query=query)

    assert found.token is None
    assert found.reason is reason


@pytest.mark.parametrize(
    ("query", "token"),
    [
        (b"access_token", b""),
        (b"access_token=", b""),
        (b"access_token=a=b", b"a=b"),
        (b"access_token=a+b", b"a+b"),
        (b"access_token=a%2Bb%00", b"a+b\0"),
        (b"access_token=a;b", b"a;b"),
        (b"access_token=\xff", b"\xff"),
    ],
)
def test_what_stands_there_is_judged_as_it_is(query: bytes, token: bytes):
    """A value that is no token is presented whole, percent signs decoded and nothing else: the judge refuses it."""
    assert presented(QUERY, query=query) == Presented(token)


def test_a_query_counts_with_the_headers():
    """Headers and query together are bounded; where no token may stand in it, the query is nobody's business."""
    large = b"a=" + b"x" * MAX_HEADERS

    assert presented(QUERY, BEARER, query=large).reason is R.REQUEST_INVALID
    assert presented(AUTHORIZATION, BEARER, query=large) == Presented(TOKEN)


@pytest.mark.parametrize(
    "query",
    [
        b"&" * 65_000,
        b";" * 65_000,
        b"%" * 65_000,
        (b"%41" * 80 + b"&") * 255,
        b"access_token=" + b"%41" * 21_000,
        b"access_token=" + b"%4" * 30_000,
    ],
)
def test_no_query_takes_long(query: bytes):
    """The worst 64 KiB cost less than a call a byte, the interpreter's own included."""
    assert calls_of(lambda: presented(QUERY, query=query)) < len(query)


@given(st.binary(max_size=60), st.sampled_from([QUERY, BOTH]))
def test_any_query_ends_in_one_credential_or_a_reason(query: bytes, source: TokenSource):
    """Whatever a query holds, the answer is a token or a reason, never a crash; no detail quotes it."""
    found = presented(source, query=b"eyJhbGciOi" + query + b"&access_token=eyJ" + query)

    assert (found.token is None) is not (found.reason is None)
    assert "eyJ" not in found.detail


@given(st.binary(min_size=1, max_size=40))
def test_any_encoding_of_a_value_is_that_value(value: bytes):
    """However much of a token is percent-encoded, it is the same token."""
    every = "".join(f"%{byte:02x}" for byte in value).encode()

    for spelled in (quote_from_bytes(value).encode(), every):
        assert presented(QUERY, query=b"access_token=" + spelled) == Presented(value)


# The gate asks the resource in force.


def ask(gate: Gate, *headers: tuple[bytes, bytes], query: bytes = b"") -> Any:
    """Ask a gate with exactly these headers and this query."""
    return gate.decide(RequestView("GET", "/orders", headers, None, query), ("Orders.Read",))


def test_a_gate_reads_the_token_where_its_resource_says(make: Callable[..., Gate]):
    """Another resource's rule is none of its; the resource's own counts from the change on, on the next request."""
    gate = make(news=a_snapshot(orders={"token_query": "access_token"}, billing={"token_header": "X-Token"}))
    query = b"access_token=" + TOKEN
    assert isinstance(ask(gate, query=query), Granted)
    assert isinstance(ask(gate, BEARER), Granted)
    assert reason_of(ask(gate, BEARER, query=query)) is R.CREDENTIAL_AMBIGUOUS
    assert reason_of(ask(gate, (b"x-token", TOKEN))) is R.NO_CREDENTIAL

    gate.install(a_delta(a_row_of_policy("orders", token_header="X-Token")))

    assert isinstance(ask(gate, (b"x-token", TOKEN)), Granted)
    assert reason_of(ask(gate, query=query)) is R.NO_CREDENTIAL
    assert reason_of(ask(gate, BEARER)) is R.NO_CREDENTIAL

    gate.install(a_snapshot(revision=9))

    assert isinstance(ask(gate, BEARER), Granted)
    assert reason_of(ask(gate, (b"x-token", TOKEN))) is R.NO_CREDENTIAL


async def test_both_ways_to_ask_read_alike(make: Callable[..., Gate]):
    """`adecide` looks where `decide` looks."""
    gate = make(news=a_snapshot(orders={"token_header": "X-Token"}))
    view = RequestView("GET", "/orders", [(b"x-token", TOKEN)])

    assert isinstance(await gate.adecide(view), Granted)
    assert isinstance(gate.decide(view), Granted)


def test_a_token_has_the_same_worth_wherever_it_stands(make: Callable[..., Gate]):
    """In the query as in the header: the same principal, the same refusal of a bad one."""
    gate = make(news=a_snapshot(orders={"token_query": "access_token"}))
    bad = v2_token(exp=1).encode()

    assert ask(gate, query=b"access_token=" + TOKEN).principal == ask(gate, BEARER).principal
    for found in (ask(gate, query=b"access_token=" + bad), ask(gate, (b"authorization", b"Bearer " + bad))):
        assert reason_of(found) is R.TOKEN_EXPIRED


def test_no_token_is_found_by_one_revision_and_judged_by_another(
    make: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
):
    """Where the source changes while a request is read, the request is read anew, by the rule then in force."""
    gate = make()
    read: list[TokenSource] = []

    def overtaken(view: RequestView, source: TokenSource) -> Presented:
        if not read:
            gate.install(a_delta(a_row_of_policy("orders", token_header="X-Token")))
        read.append(source)
        return present(view, source)

    monkeypatch.setattr("tenantgate.gate.gate.present", overtaken)

    assert reason_of(ask(gate, BEARER)) is R.NO_CREDENTIAL
    assert [source.name for source in read] == ["Authorization", "X-Token"]
