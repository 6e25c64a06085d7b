"""The gate: one judgement for every door, synchronous or not, with all waiting outside of it."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from tenantgate.core.decision import Decision, Denied, Granted
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import TORN, Torn, judge
from tenantgate.core.keys import KeySet, KeySetRef, KeySource
from tenantgate.core.limits import LIMITS, Limits
from tenantgate.core.policy import IssuerRow, PolicyDelta, PolicyError, PolicySnapshot, ResourceRow, Row
from tenantgate.core.token import TokenReader
from tenantgate.core.verify import NeedKeys, Verified, verify
from tenantgate.feed.sink import DecisionSink
from tenantgate.feed.source import PolicySource
from tenantgate.forks import restart_in_children
from tenantgate.gate.advising import Advisor
from tenantgate.gate.answer import USUAL, Answer, Manner, answer, manner_of
from tenantgate.gate.cache import VerifiedTokens, weight_of
from tenantgate.gate.journal import Journal
from tenantgate.gate.keeper import Follower, Keeper, Keys
from tenantgate.gate.recorder import Recorded, Recorder
from tenantgate.gate.request import AUTHORIZATION, RequestView, TokenSource, present, source_of

if TYPE_CHECKING:  # a gate over static keys has no use for the room
    from tenantgate.discovery.health import IssuerHealth

log: Final = logging.getLogger("tenantgate.gate")

MAX_TORN: Final = 10_000
"""Times a judgement is begun anew while the policy keeps changing, before the answer is `overloaded`."""


class KeyRing(KeySource, Keys, Protocol):
    """Keys at hand, and the means to fetch more (`discovery.keyring.Keyring`)."""

    def set_issuers(self, rows: Iterable[IssuerRow], appids: Collection[str] = ()) -> None:
        """Take over the issuers of the policy, and the applications that have signing keys of their own there."""
        ...

    def authentic(self, ref: KeySetRef, age: float) -> None:
        """Take in the age in seconds, by our clock, of an authentic token that is first seen."""
        ...

    def health(self) -> list[IssuerHealth]:
        """Return how every key set is doing."""
        ...

    def reports(self) -> list[dict[str, Any]]:
        """Return the same for other machines."""
        ...


class Front(NamedTuple):
    """How one resource is asked and answers: prepared once for its row, in one piece, so that no thread sees two."""

    row: ResourceRow | None
    source: TokenSource
    manner: Manner


class Gate:
    """Judges the requests for one resource. Thread-safe; `decide` and `adecide` may be mixed.

    `now` gives wall-clock epoch seconds, `yield_thread` lets a policy writer run, `id_prefix` makes this
    gate's decision ids its own. Real ones come from `tenantgate.embed` and `tenantgate.server`. `limits` bound
    how much of a token is read.
    """

    def __init__(
        self,
        resource: str,
        keys: KeyRing,
        *,
        now: Callable[[], float],
        yield_thread: Callable[[], None],
        id_prefix: str,
        deadline: float = 2.0,
        limits: Limits = LIMITS,
    ) -> None:
        self.resource = resource
        self.limits = limits
        self._reader = TokenReader(limits)
        self._keys = keys
        self._now = now
        self._yield = yield_thread
        self._id_prefix = id_prefix
        self._count = itertools.count(1)
        self._index: PolicyIndex | None = None
        self._unready_for = R.POLICY_UNAVAILABLE, "no policy has been loaded"
        self._front = Front(None, AUTHORIZATION, USUAL)
        self._tokens = VerifiedTokens()
        self._journal = Journal()
        self._recorder: Recorder | None = None
        self._advisor = Advisor(now, self._reader)
        self._keeper = Keeper(keys, deadline=deadline)
        self._followers: list[Follower] = []
        restart_in_children(self)

    def decide(self, view: RequestView, roles: tuple[str, ...] = ()) -> Decision:
        """Judge a request. All `roles` are needed; with none, any role on the resource will do."""
        outcome = self._judge(view, roles)
        if type(outcome) is Granted and not outcome.principal.would_deny:
            return outcome
        if isinstance(outcome, NeedKeys):
            self._keeper.fetch(outcome.ref, outcome.kid)
            outcome = self._last(view, roles)
        return self._noted(outcome, view)

    async def adecide(self, view: RequestView, roles: tuple[str, ...] = ()) -> Decision:
        """Do as `decide` does, without blocking the event loop."""
        outcome = self._judge(view, roles)
        if type(outcome) is Granted and not outcome.principal.would_deny:
            return outcome
        if isinstance(outcome, NeedKeys):
            await self._keeper.afetch(outcome.ref, outcome.kid)
            outcome = self._last(view, roles)
        return self._noted(outcome, view)

    def _noted(self, decision: Decision, view: RequestView) -> Decision:
        """Note a denial, or what was only reported, for the log; advise a caller who may read reasons."""
        if isinstance(decision, Granted):
            if decision.principal.would_deny:
                self._journal.note(decision)
            return decision
        self._journal.note(decision)
        if not decision.show_reason:
            return decision
        index = self._index
        token = present(view, self._front_of(index).source).token
        return self._advisor.advise(decision, token, index, self._keys, view.peer)

    def answer(self, decision: Decision) -> Answer:
        """Render a decision of this gate."""
        return answer(decision, self.resource, self._front_of(self._index).manner)

    def follow(
        self,
        source: PolicySource,
        *,
        pause: float = 1.0,
        max_age: float | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Load a PolicySource and keep following it until `close`, which closes it too.

        Where it was not heard of for `max_age` seconds of `clock` (monotonic), nobody is let in any more
        (`policy_too_old`) until it is.

        Raises:
            FeedError, PolicyError: it has no policy to give. The source is closed.
            RuntimeError: this gate is closed, and now the source is as well.
        """
        follower = Follower(
            source,
            self.install,
            beat=self._journal.write,
            lost=self._lose,
            aged=self._age,
            max_age=max_age,
            clock=clock,
            pause=pause,
        )
        if max_age is not None:
            self._keeper.watch(follower.check_age)
        source.report(self._keys.reports)
        try:
            follower.load()
            self._keeper.start()
        except BaseException:
            follower.close()
            raise
        self._followers.append(follower)
        follower.start()

    def record(self, sink: DecisionSink, *, chance: Callable[[], float], sample: float = 0.01) -> None:
        """Have every decision counted by a sink until `close`, which closes it too. `sample`: of grants, the part
        whose details are kept; `chance` gives numbers from 0 to 1.

        Raises:
            RuntimeError: no thread is to be had. The sink is closed.
        """
        recorder = Recorder(sink, self.resource, lambda: self._index, now=self._now, chance=chance, sample=sample)
        try:
            recorder.start()
        except RuntimeError:
            sink.close()
            raise
        self._recorder = recorder

    @property
    def keys(self) -> KeySource:
        """The keys at hand."""
        return self._keys

    @property
    def recorded(self) -> Recorded | None:
        """How the recording of decisions is doing in this process; None where nothing is recorded."""
        return None if self._recorder is None else self._recorder.recorded

    def key_health(self) -> list[IssuerHealth]:
        """Return how every issuer's keys are doing in this gate. Any thread."""
        return self._keys.health()

    def key_reports(self) -> list[dict[str, Any]]:
        """Return the same for other machines. Any thread."""
        return self._keys.reports()

    def install(self, news: PolicySnapshot | PolicyDelta) -> None:
        """Put a policy, or a change of it, in force. One thread calls this: the source's.

        Raises:
            PolicyError: it cannot be applied. After a failed delta the gate refuses until a snapshot comes.
        """
        old = self._index
        if isinstance(news, PolicyDelta):
            if old is None:
                raise PolicyError("delta_out_of_order", "a change came before a whole policy")
            changed = any(row.kind == "issuer" or self._is_ours(row) for row in news.rows)
            old.apply(news, (lambda: self._take_issuers(old)) if changed else None)
            return
        index = PolicyIndex.from_snapshot(news)
        if old is not None:
            old.retire()  # nobody may judge by the old rows and the new keys
        self._take_issuers(index)
        self._index = index

    def _is_ours(self, row: Row) -> bool:
        return row.kind == "resource" and row.id == self.resource

    def _take_issuers(self, index: PolicyIndex) -> None:
        resource = index.resources.get(self.resource)
        appid = None if resource is None else resource.row.signing_keys_appid
        self._keys.set_issuers([entry.row for entry in index.issuers.values()], () if appid is None else (appid,))

    def require_resource(self) -> None:
        """Raise PolicyError (`resource_unknown`) where the policy in force lacks this gate's resource."""
        if self._index is None or self.resource not in self._index.resources:
            raise PolicyError("resource_unknown", f"the policy has no resource {self.resource!r}")

    @property
    def revision(self) -> tuple[str, int]:
        """The epoch and revision in force (empty and 0 before the first policy)."""
        index = self._index
        return (index.epoch, index.revision) if index is not None else ("", 0)

    def close(self) -> None:
        """Stop following and fetching. Decisions go on with what is at hand."""
        for follower in self._followers:
            follower.close()
        self._keeper.close()
        self._journal.write()
        if self._recorder is not None:
            self._recorder.close()

    def _age(self) -> None:
        """Judge by this policy no more: what was suspended since is not known here."""
        index, self._index = self._index, None
        self._unready_for = R.POLICY_TOO_OLD, "the policy source was not heard of for too long"
        if index is not None:
            index.retire()
        log.critical("the policy is too old: everybody is refused until its source is back", extra={"code": "too_old"})

    def _lose(self) -> None:
        """Let nobody in any more: a process that hears of no suspension must not judge."""
        index, self._index = self._index, None
        if index is not None:
            index.retire()
        log.critical("no thread follows the policy in this process: it refuses everybody", extra={"code": "lost"})

    def restart_in_child(self) -> None:
        """Take ids of its own, in a forked child."""
        # A child counts on from where its parent stood: without this, two decisions would have one id.
        self._id_prefix = f"{self._id_prefix}{os.getpid():x}-"

    # The judgement. Pure but for the cache: no I/O, no lock.

    def _judge(self, view: RequestView, roles: tuple[str, ...]) -> Decision | NeedKeys:
        for _ in range(MAX_TORN):
            outcome = self._judge_once(view, roles)
            if not isinstance(outcome, Torn):
                return outcome
            self._yield()
        return self._unverified(Denied(R.OVERLOADED, "the policy changed throughout the judgement"), roles)

    def _last(self, view: RequestView, roles: tuple[str, ...]) -> Decision:
        """Judge again after a fetch: what is still missing is a denial now."""
        outcome = self._judge(view, roles)
        if isinstance(outcome, NeedKeys):
            return self._unverified(Denied(outcome.reason, outcome.detail), roles)
        return outcome

    def _unverified(self, denied: Denied, roles: tuple[str, ...]) -> Denied:
        """Complete and record a denial of nobody in particular."""
        decision = self._denied(denied, roles)
        if self._recorder is not None:
            self._recorder.note((decision, None, roles, 0.0, 0.0, self._now()))
        return decision

    def _judge_once(self, view: RequestView, roles: tuple[str, ...]) -> Decision | NeedKeys | Torn:
        index = self._index
        if index is None:
            return self._unready(view, roles)
        generation = index.generation
        row, source, _ = self._front
        entry = index.resources.get(self.resource)
        if entry is None or entry.row is not row:
            source = self._front_of(index).source
        token, reason, detail = present(view, source)
        if token is None:
            assert reason is not None
            found: Verified | Denied | NeedKeys = Denied(reason, detail)
        else:
            found = self._verified(index, token)
        if type(found) is not Verified:
            # What was found by one revision must not be answered by another.
            if index.generation != generation or generation & 1:
                return TORN
            return found if isinstance(found, NeedKeys) else self._unverified(found, roles)  # type: ignore[arg-type]
        claims, now = found.claims, self._now()
        outcome = judge(claims, index, self.resource, roles, now, self._next_id(), view.peer)
        # `judge` guards itself; what was verified by one revision must not be judged by another.
        if index.generation != generation or generation & 1 or isinstance(outcome, Torn):
            return TORN
        if self._recorder is not None:
            self._recorder.note((outcome, claims.caller, roles, claims.issued_at, claims.expires_at, now))
        return outcome

    def _unready(self, view: RequestView, roles: tuple[str, ...]) -> Denied:
        """Deny where no policy was loaded: nobody knows yet where a token stands, so it is looked for as usual."""
        token, reason, detail = present(view)
        if token is None and reason is not None:
            return self._unverified(Denied(reason, detail), roles)
        return self._unverified(Denied(*self._unready_for), roles)

    def _front_of(self, index: PolicyIndex | None) -> Front:
        """Return how the resource in force is asked and answers; as usual where there is none."""
        entry = index.resources.get(self.resource) if index is not None else None
        row = entry.row if entry is not None else None
        front = self._front
        if front.row is not row:
            self._front = front = Front(row, source_of(row), manner_of(row))
        return front

    def _verified(self, index: PolicyIndex, token: bytes) -> Verified | Denied | NeedKeys:
        digest = hashlib.sha256(token).digest()
        verified = self._tokens.get(digest)
        if verified is not None and self._holds(verified, index):
            return verified
        resource = index.resources.get(self.resource)
        appid = None if resource is None else resource.row.signing_keys_appid
        fresh = verify(token, index, self._keys, self._reader, appid)
        if isinstance(fresh, Verified) and index.lists(fresh.claims.caller):
            # Only then: a stranger's authentic tokens must not fill the memory.
            self._tokens.put(digest, fresh, weight_of(token, fresh.claims.payload))
            self._keys.authentic(fresh.ref, self._now() - fresh.claims.issued_at)
        return fresh

    def _holds(self, verified: Verified, index: PolicyIndex) -> bool:
        """Whether remembered claims still hang on the very key and issuer they were verified with."""
        issuer = index.issuers.get(verified.ref.issuer)
        if issuer is None or issuer.row is not verified.issuer:
            return False
        keys = self._keys.key_set(verified.ref)
        return isinstance(keys, KeySet) and keys.find(verified.key.kid) is verified.key

    def _next_id(self) -> str:
        return f"{self._id_prefix}{next(self._count):x}"

    def _denied(self, denied: Denied, roles: tuple[str, ...]) -> Denied:
        """Complete a denial that was reached before the policy was asked."""
        index = self._index
        revision = index.revision if index is not None else 0
        resource = index.resources.get(self.resource) if index is not None else None
        show = resource is not None and resource.row.show_reasons
        return Denied(denied.reason, denied.detail, revision, self._next_id(), self.resource, roles, show)
