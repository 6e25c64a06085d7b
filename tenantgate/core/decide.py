"""The whole judgement in one call, for who has the keys at hand: batch command, tests, benchmarks."""

from __future__ import annotations

from tenantgate.core.decision import Decision, Denied
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import TORN, Torn, judge
from tenantgate.core.keys import KeySource
from tenantgate.core.verify import NeedKeys, verify


def decide(
    token: str | bytes, index: PolicyIndex, keys: KeySource, resource: str, wanted: tuple[str, ...], now: float
) -> Decision | Torn:
    """Judge one token. Keys that are not at hand are a denial here; nothing is fetched.

    `token` is untrusted; `now` is epoch seconds. Every input ends in a decision (or Torn, see `judge`).
    """
    generation = index.generation
    verified = verify(token, index, keys)
    decision: Decision | Torn
    if isinstance(verified, NeedKeys | Denied):
        entry = index.resources.get(resource)
        show = entry is not None and entry.row.show_reasons
        decision = Denied(verified.reason, verified.detail, index.revision, "", resource, wanted, show)
    else:
        decision = judge(verified.claims, index, resource, wanted, now)
    # `judge` guards itself; here the verification before it must have seen the same policy.
    return decision if index.generation == generation and not generation & 1 else TORN
