"""The judge says what a short judge of its own kind says, for random policies and random tokens."""

from __future__ import annotations

import os
from random import Random
from typing import Any

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
from tests.core.said import granted_answer
from tests.core.worlds import ISSUERS, question, signer_of

KEYS = StaticKeys(ISSUERS)
WORLDS = int(os.environ.get("TENANTGATE_ORACLE_WORLDS", "3000"))


def agreed(asked: Question) -> Granted | Denied:
    """Ask both judges, fail where they differ, and return the decision."""
    rows = tuple(row_of(row, 1) for row in asked.rows)
    index = PolicyIndex.from_snapshot(PolicySnapshot(epoch="e", revision=1, rows=rows))
    token = signer_of(asked).sign(asked.claims)
    call: Any = (token, index, KEYS, asked.resource, asked.wanted, asked.now)
    decision = decide(*call, peer=asked.peer)
    wanted = oracle.answer(asked)
    if isinstance(decision, Denied):
        assert decision.reason in wanted.reasons, (decision, wanted)
        assert explain(*call, peer=asked.peer).reason is decision.reason
        return decision
    assert isinstance(decision, Granted)
    assert granted_answer(decision.principal) == wanted, decision
    return decision


@given(st.randoms(use_true_random=False))
def test_the_judge_agrees_with_the_oracle(random: Random):
    """Granted by both, to the same daemon with the same roles; or refused for a reason that applies."""
    agreed(question(random))


def test_the_judge_agrees_with_the_oracle_in_thousands_of_worlds():
    """The same from fixed seeds; and the worlds are such that every rule of the oracle is seen, and many are let in."""
    decisions = [agreed(question(Random(seed))) for seed in range(WORLDS)]
    outcomes = {each.reason for each in decisions if isinstance(each, Denied)}
    principals = [each.principal for each in decisions if isinstance(each, Granted)]
    reasons = {reason for table in oracle.TABLES for _, *refused in table for reason in refused}

    assert len(principals) > WORLDS / 10
    assert reasons - outcomes <= {R.ALGORITHM_NOT_ALLOWED, R.KEY_ISSUER_MISMATCH}  # see test_cross_signing
    assert outcomes - reasons == {R.ISSUER_UNKNOWN}
    assert {reason for each in principals for reason in each.would_deny} == {row[1] for row in oracle.RULES.values()}
    assert {each.identity for each in principals} == {"application", "managed_identity", "federated", "agent"}
