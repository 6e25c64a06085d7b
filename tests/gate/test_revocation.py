"""What was taken away stays away: no remembered answer, no other spelling and no race brings a yes back."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.judge import Torn
from tenantgate.core.keys import KeySet
from tenantgate.core.policy import IssuerRow, Row
from tenantgate.gate.gate import Gate
from tests.builders import (
    EXPIRES_AT,
    NOW,
    STRANGE_TID,
    an_index,
    b64url,
    oidc_key,
    oidc_token,
    signer,
    v2_claims,
    v2_issuer,
)
from tests.gate.test_torn import switching_often
from tests.gate.world import (
    CLOUD_V2,
    FakeKeys,
    a_delta,
    a_gate,
    a_row_of_policy,
    a_view,
    cloud_keys,
    reason_of,
    suspended,
)

Make = Callable[..., Gate]
READ = ("Orders.Read",)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def negated(token: str) -> str:
    """Return the token with its ECDSA signature's other form, (r, n - s), which holds as well."""
    signed, _, _ = token.rpartition(".")
    raw = oidc_key().signature(signed.encode())
    s = ORDER - int.from_bytes(raw[32:], "big")
    return f"{signed}.{b64url(raw[:32] + s.to_bytes(32, 'big'))}"


def unused_bit(token: str) -> str:
    """Return the token with a bit set that decodes to nothing."""
    return token[:-1] + ALPHABET[ALPHABET.index(token[-1]) ^ 1]


TWINS: dict[str, Callable[[str], str]] = {
    "another signature of the same claims": negated,
    "padded": lambda token: token + "==",
    "unused bits": unused_bit,
    "plain base64": lambda token: token.replace("-", "+").replace("_", "/") + "=",
    "a space more": lambda token: " " + token,
    "a line more": lambda token: token + "\n",
    "a part more": lambda token: token + ".",
}


@pytest.mark.threat(26)
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("gone", ["partner suspended", "daemon deleted", "key withdrawn"])
def test_no_twin_of_a_token_outlives_it(make: Make, name: str, gone: str) -> None:
    """Twins that are tokens at all are refused with it: what is revoked is who, never a spelling or a digest."""
    keys = FakeKeys()
    gate = make(keys)
    token = oidc_token()
    twin = TWINS[name](token)
    assert isinstance(gate.decide(a_view(token), READ), Granted)
    before = gate.decide(a_view(twin), READ)
    assert isinstance(before, Granted) == (name in {"another signature of the same claims", "a space more"})

    changes = {
        "partner suspended": a_delta(a_row_of_policy("globex", state="suspended")),
        "daemon deleted": a_delta(Row(revision=2, kind="daemon", id="globex_daemon", op="delete")),
        "key withdrawn": a_delta(a_row_of_policy("oidc", jwks={"keys": [signer("ES256", "newer").jwk()]})),
    }
    gate.install(changes[gone])
    for each in (token, twin):
        assert isinstance(gate.decide(a_view(each), READ), Denied)


@pytest.mark.threat(26)
def test_a_token_is_remembered_under_its_whole_digest(make: Make) -> None:
    """32 bytes of SHA-256 over every byte of the token: no shorter name that two tokens might share."""
    gate = make()
    tokens = [oidc_token(), oidc_token(jti="another"), negated(oidc_token())]
    for token in tokens:
        assert isinstance(gate.decide(a_view(token), READ), Granted)

    digests = {hashlib.sha256(token.encode()).digest() for token in tokens}
    assert set(gate._tokens._young) | set(gate._tokens._old) == digests
    assert len(digests) == 3


# Any history of changes.

FAST = signer("EdDSA", "fast")
NEWER = signer("EdDSA", "newer")
TOKENS = {
    "acme": FAST.sign(v2_claims()),
    "acme, newer key": NEWER.sign(v2_claims()),
    "acme, short-lived": FAST.sign(v2_claims(exp=NOW + 100)),
    "stranger": FAST.sign(v2_claims(tid=STRANGE_TID, iss=v2_issuer(STRANGE_TID))),
}


class FetchedKeys(FakeKeys):
    """Keys that change when an issuer publishes others, and not when the policy changes."""

    def set_issuers(self, rows: Iterable[IssuerRow], appids: Collection[str] = ()) -> None:
        """Keep what was published."""

    def publish(self, keys: KeySet) -> None:
        """Serve these keys of the cloud from here on."""
        self.sets = {CLOUD_V2: keys}


PUBLISHED = {
    names: cloud_keys(*signers) for names, signers in (("fast", [FAST]), ("newer", [NEWER]), ("both", [FAST, NEWER]))
}
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("acme", {"state": "suspended"}), ("acme", {"state": "archived"}), ("acme", {"ends_at": NOW}), ("acme", {}),
    ("acme_tenant", {"state": "suspended"}), ("acme_tenant", {}),
    ("acme_daemon", {"state": "suspended"}), ("acme_daemon", {"oid": STRANGE_TID}), ("acme_daemon", {}),
    ("acme_daemon", {"min_credential": "certificate"}),
    ("acme_reads", {"expires_at": NOW}), ("acme_reads", {"not_before": NOW + 60}), ("acme_reads", {}),
    ("orders_read", {"value": "Orders.Other"}), ("orders_read", {}),
    ("orders", {"audiences": ("api://other.example",)}), ("orders", {"max_lifetime": 60}), ("orders", {}),
    ("cloud", {"token_types": ("at+jwt",)}), ("cloud", {}),
]  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.sampled_from(CHANGES),
        st.sampled_from(sorted(TOKENS)),
        st.sampled_from(sorted(PUBLISHED)),
        st.sampled_from([NOW, NOW + 200, EXPIRES_AT + 60]),
    ),
    min_size=1,
    max_size=14,
)


@pytest.mark.threat(48)
@given(STEPS)
@settings(max_examples=200)
@example(["acme", ("cloud", {"token_types": ("at+jwt",)})])
@example(["acme", "newer"])
@example(["acme", ("acme", {"state": "suspended"})])
def test_after_any_history_an_answer_is_that_of_the_policy_in_force(steps: list[Any]) -> None:
    """Tokens seen before, changes, keys, time: each answer is what a fresh judgement gives, never an older yes."""
    state: dict[str, Any] = {}
    clock = [float(NOW)]
    keys = FetchedKeys()
    keys.publish(PUBLISHED["both"])
    gate = a_gate(keys, now=lambda: clock[0])
    for step in [*steps, *TOKENS]:
        if isinstance(step, tuple):
            row, state[step[0]] = step
            revision = gate.revision[1]
            gate.install(a_delta(a_row_of_policy(row, **state[row]), since=revision))
        elif step in PUBLISHED:
            keys.publish(PUBLISHED[step])
        elif step in TOKENS:
            answered = reason_or_none(gate.decide(a_view(TOKENS[step]), READ))
            assert answered is judged_afresh(step, state, keys, clock[0])
        else:
            clock[0] = float(step)
    gate.close()


def judged_afresh(name: str, state: dict[str, Any], keys: FakeKeys, now: float) -> R | None:
    """Return the reason that a judge without any memory gives."""
    return reason_or_none(decide(TOKENS[name], an_index(**state), keys, "orders", READ, now))


def reason_or_none(decision: Granted | Denied | Torn) -> R | None:
    """Return the reason of a denial, None of a grant."""
    assert isinstance(decision, Granted | Denied)
    return decision.reason if isinstance(decision, Denied) else None


@pytest.mark.threat(48)
def test_no_request_that_begins_after_a_revocation_is_let_in(make: Make) -> None:
    """Threads ask without pause while the partner is suspended: what begins once `install` has returned is a no."""
    gate = make()
    view = a_view()
    asked: list[tuple[float, bool]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            begin = time.perf_counter()
            asked.append((begin, isinstance(gate.decide(view, READ), Granted)))

    threads = [threading.Thread(target=ask, name=f"asker-{number}") for number in range(4)]
    with switching_often():
        for thread in threads:
            thread.start()
        while len(asked) < 400:
            time.sleep(0.001)
        gate.install(suspended())
        in_force = time.perf_counter()
        enough = len(asked) + 400
        while len(asked) < enough:
            time.sleep(0.001)
        done.set()
        for thread in threads:
            thread.join()

    assert [begin for begin, granted in asked if granted and begin > in_force] == []
    assert sum(granted for _, granted in asked) > 100, "there was something to revoke"
    assert sum(begin > in_force for begin, _ in asked) > 100, "and somebody asked afterwards"
    assert reason_of(gate.decide(view, READ)) is R.PARTNER_SUSPENDED
