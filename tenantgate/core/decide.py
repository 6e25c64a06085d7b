"""The whole judgement in one call, for who has the keys at hand: batch command, tests, benchmarks."""

from __future__ import annotations

from tenantgate.core.decision import Decision, Denied
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import TORN, Torn, judge
from tenantgate.core.keys import KeySource
from tenantgate.core.token import READER, TokenReader
from tenantgate.core.verify import Verified, verify


def decide(
    token: str | bytes,
    index: PolicyIndex,
    keys: KeySource,
    resource: str,
    wanted: tuple[str, ...],
    now: float,
    *,
    peer: str | None = None,
    reader: TokenReader = READER,
) -> Decision | Torn:
    """Judge one token. Keys that are not at hand are a denial here; nothing is fetched.

    `token` is untrusted; `now` is epoch seconds. Every input ends in a decision (or Torn, see `judge`).
    """
    generation = index.generation
    entry = index.resources.get(resource)
    verified = verify(token, index, keys, reader, None if entry is None else entry.row.signing_keys_appid)
    decision: Decision | Torn
    if isinstance(verified, Verified):
        decision = judge(verified.claims, index, resource, wanted, now, "", peer)
    else:
        show = entry is not None and entry.row.show_reasons
        decision = Denied(verified.reason, verified.detail, index.revision, "", resource, wanted, show)
    # `judge` guards itself; here the verification before it must have seen the same policy.
    return decision if index.generation == generation and not generation & 1 else TORN
