"""A token is a secret: no byte of it in an answer, a log line or an exception, whatever happens to it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec
import pytest

from tenantgate.core.decision import Denied
from tenantgate.core.policy import PolicyError
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView
from tests.builders import NOW, STRANGE_CLIENT, a_snapshot, oidc_token, signer, stranger_key, v2_claims, v2_token
from tests.gate.world import FakeKeys, ThreadedDoor, a_broken_delta, a_fetched_snapshot, a_keyring, a_view

Make = Callable[..., Gate]
WINDOW = 12
"""Characters in a row that must not be anybody's: shorter ones happen by chance."""

TOKENS = {
    "granted": v2_token(),
    "expired": v2_token(exp=NOW - 61),
    "not listed": v2_token(azp=STRANGE_CLIENT),
    "forged": stranger_key().sign(v2_claims()),
    "unknown key": signer("RS256", "rotated").sign(v2_claims()),
    "unknown issuer": oidc_token(iss="https://id.strange.example"),
    "cut short": v2_token()[:-40],
    "four parts": v2_token() + ".x",
    "other letters": v2_token().replace("-", "+").replace("_", "/") + "=",
    "not ASCII": v2_token() + "ü",
    "too large": v2_token() + "A" * 20_000,
    "no token": "correct-horse-battery-staple",
}


def pieces(token: str) -> set[str]:
    """Return every run of WINDOW characters of a token."""
    return {token[at : at + WINDOW] for at in range(len(token) - WINDOW + 1)}


def holds_token(text: str, token: str) -> bool:
    """Whether a piece of the token stands in the text."""
    return any(piece in text for piece in pieces(token))


@pytest.mark.threat(11)
@pytest.mark.parametrize("shown", [False, True], ids=["quiet", "reasons shown"])
@pytest.mark.parametrize("name", TOKENS)
def test_no_answer_holds_a_piece_of_the_token(make: Make, name: str, shown: bool):
    """Neither the answer nor what the operator reads about the decision quotes what was presented."""
    token = TOKENS[name]
    gate = make(news=a_snapshot(orders={"show_reasons": shown}))
    for view in (a_view(token), a_view(token, scheme=b"Basic "), a_view(token, (b"authorization", token.encode()))):
        decision = gate.decide(view, ("Orders.Read",))
        assert not holds_token(repr(gate.answer(decision)), token)
        assert not holds_token(repr(msgspec.to_builtins(decision)), token)
        if isinstance(decision, Denied):
            assert decision.detail.isprintable()
            assert len(decision.detail) < 1000


@pytest.mark.threat(11)
@pytest.mark.parametrize("name", TOKENS)
def test_no_answer_and_no_line_holds_a_piece_of_a_token_in_the_query(
    make: Make, caplog: pytest.LogCaptureFixture, name: str
):
    """In the query, or in a header of its own, a token is as secret as in Authorization."""
    caplog.set_level(logging.DEBUG)
    token = TOKENS[name]
    raw = token.encode()
    gate = make(news=a_snapshot(orders={"token_header": "X-Token", "token_query": "t", "show_reasons": True}))
    for headers, query in (
        ([], b"t=" + raw),
        ([], b"t=" + raw + b"%"),
        ([], b"a=1;t=" + raw),
        ([], b"t=" + raw + b"&t=" + raw),
        ([(b"x-token", raw)], b""),
        ([(b"x-token", b"Bearer " + raw)], b"t=" + raw),
        ([(b"x-token", raw + b", " + raw)], b""),
    ):
        decision = gate.decide(RequestView("GET", "/orders", headers, None, query), ("Orders.Read",))
        assert not holds_token(repr(gate.answer(decision)), token)
        assert not holds_token(repr(msgspec.to_builtins(decision)), token)
    gate.close()
    assert not holds_token(caplog.text, token)


@pytest.mark.threat(11)
@pytest.mark.parametrize("name", TOKENS)
def test_no_log_line_holds_a_piece_of_the_token(make: Make, caplog: pytest.LogCaptureFixture, name: str):
    """With every logger at its most talkative, fetching and failing say nothing about the token."""
    caplog.set_level(logging.DEBUG)
    door = ThreadedDoor()
    door.documents.clear()
    gate = make(a_keyring(door), a_fetched_snapshot())
    gate.decide(a_view(TOKENS[name]), ("Orders.Read",))
    with pytest.raises(PolicyError):
        gate.install(a_broken_delta())
    gate.decide(a_view(TOKENS[name]), ("Orders.Read",))

    assert not holds_token(caplog.text, TOKENS[name])


def test_what_is_remembered_holds_no_token(make: Make):
    """A dump of the memory of verified tokens shows claims and a digest, and no piece of the token's text."""
    gate = make()
    gate.decide(a_view(TOKENS["granted"]))
    assert len(gate._tokens) == 1

    text = repr((gate._tokens._young, gate._tokens._old))
    assert not holds_token(text, TOKENS["granted"])


def test_a_defect_in_the_key_ring_does_not_quote_the_token(make: Make):
    """An exception on the way, which must never be, does not carry the token in its message."""

    class Defective(FakeKeys):
        def wants(self, ref: object, kid: str | None) -> bool:
            raise RuntimeError(f"a defect at {ref} {kid}")

    gate = make(Defective())
    with pytest.raises(RuntimeError) as raised:
        gate.decide(a_view(TOKENS["unknown key"]))

    assert not holds_token(str(raised.value), TOKENS["unknown key"])
