"""The judge says what a short judge of its own kind says, for random policies and random tokens."""

from __future__ import annotations

import os
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import PolicySnapshot, row_of
from tenantgate.core.trace import explain
from tests.core import oracle
from tests.core.oracle_caller import Question
from tests.core.worlds import ISSUERS, question, signer_of

KEYS = StaticKeys(ISSUERS)
WORLDS = int(os.environ.get("TENANTGATE_ORACLE_WORLDS", "3000"))


def agreed(asked: Question) -> R | None:
    """Ask both judges, fail where they differ, and return the reason (None: granted)."""
    rows = tuple(row_of(row, 1) for row in asked.rows)
    index = PolicyIndex.from_snapshot(PolicySnapshot(epoch="e", revision=1, rows=rows))
    token = signer_of(asked).sign(asked.claims)
    decision = decide(token, index, KEYS, asked.resource, asked.wanted, asked.now)
    wanted = oracle.answer(asked)
    if isinstance(decision, Denied):
        assert decision.reason in wanted.reasons, (decision, wanted)
        assert explain(token, index, KEYS, asked.resource, asked.wanted, asked.now).reason is decision.reason
        return decision.reason
    assert isinstance(decision, Granted)
    who = decision.principal
    assert not wanted.reasons, (decision, wanted)
    assert ((who.partner, who.tenant, who.daemon), who.roles) == (wanted.who, wanted.roles)
    return None


@given(st.randoms(use_true_random=False))
def test_the_judge_agrees_with_the_oracle(random: Random):
    """Granted by both, to the same daemon with the same roles; or refused for a reason that applies."""
    agreed(question(random))


def test_the_judge_agrees_with_the_oracle_in_thousands_of_worlds():
    """The same from fixed seeds; and the worlds are such that every rule of the oracle is seen, and many are let in."""
    outcomes = Counter(agreed(question(Random(seed))) for seed in range(WORLDS))
    reasons = {reason for table in oracle.TABLES for _, *refused in table for reason in refused}

    assert outcomes[None] > WORLDS / 10
    assert reasons - outcomes.keys() <= {R.ALGORITHM_NOT_ALLOWED, R.KEY_ISSUER_MISMATCH}  # see test_cross_signing
    assert outcomes.keys() - reasons == {None, R.ISSUER_UNKNOWN}
