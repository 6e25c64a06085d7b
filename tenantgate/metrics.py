"""What a gate knows of itself, for Prometheus: `/metrics` on an address of its own, which partners never see.

Labels are ids of the policy and stable codes: as many as the policy has issuers, whatever anybody sends. Everything is
read when it is asked for, what needs a person from the database; the hot path counts nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol, cast

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tenantgate.discovery.health import IssuerHealth
from tenantgate.gate.recorder import Recorded

_SET: Final = ("issuer", "document", "appid")
_STATES: Final = ("serving", "withdrawn", "distrusted")


class Measured(Protocol):
    """What is read of a gate."""

    @property
    def revision(self) -> tuple[str, int]:
        """Epoch and revision in force."""
        ...

    @property
    def recorded(self) -> Recorded | None:
        """How the recording of decisions is doing; None where nothing is recorded."""
        ...

    def key_health(self) -> list[IssuerHealth]:
        """Return how every key set is doing."""
        ...


Attention = Callable[[], Mapping[str, int] | None]
"""How many things of each kind need a person; None where the database could not be asked. Blocks."""


KeyHealth = Callable[[], list[IssuerHealth]]
"""How other key sets of the process are doing than the gate's."""


class GateCollector(Collector):
    """The metrics of one gate, of other key sets beside it, and of what needs a person where the process can say so."""

    def __init__(self, gate: Measured, attention: Attention | None = None, others: KeyHealth | None = None) -> None:
        self._gate = gate
        self._attention = attention
        self._others = others

    def collect(self) -> Iterable[Metric]:
        """Return every metric as it is now."""
        revision = GaugeMetricFamily(
            "tenantgate_policy_revision", "Revision of the policy in force; 0 before the first."
        )
        revision.add_metric((), float(self._gate.revision[1]))
        keys = self._gate.key_health() + ([] if self._others is None else self._others())
        found = [revision, *_of_issuers(keys), *_of_decisions(self._gate.recorded)]
        return found if self._attention is None else [*found, *_of_attention(self._attention())]


def _of_decisions(recorded: Recorded | None) -> Iterator[Metric]:
    if recorded is None:
        return
    yield CounterMetricFamily("tenantgate_decisions", "Decisions of this gate, but for those dropped.", recorded.seen)
    yield CounterMetricFamily("tenantgate_decisions_dropped", "Decisions nobody could count.", recorded.dropped)
    yield CounterMetricFamily("tenantgate_decision_details_skipped", "Details not kept.", recorded.skipped)
    failing = GaugeMetricFamily("tenantgate_decisions_failing", "1, with why none can be written.", labels=("code",))
    if recorded.failing:
        failing.add_metric((recorded.failing,), 1.0)
    yield failing


def _of_attention(counts: Mapping[str, int] | None) -> Iterator[Metric]:
    known = GaugeMetricFamily("tenantgate_attention_known", "1 where the database could be asked.")
    known.add_metric((), float(counts is not None))
    attention = GaugeMetricFamily("tenantgate_attention", "What needs a person, by kind.", labels=("kind",))
    for kind, number in (counts or {}).items():
        attention.add_metric((kind,), float(number))
    yield from (known, attention)


def _of_issuers(found: list[IssuerHealth]) -> Iterator[Metric]:
    keys = GaugeMetricFamily("tenantgate_issuer_keys", "Keys of a key set, by state.", labels=(*_SET, "state"))
    dropped = GaugeMetricFamily("tenantgate_issuer_keys_dropped", "Published keys that are not used.", labels=_SET)
    failures = GaugeMetricFamily("tenantgate_issuer_failures", "Failed fetches since the last success.", labels=_SET)
    failing = GaugeMetricFamily(
        "tenantgate_issuer_failing", "1, with the class of the last failure.", labels=(*_SET, "code")
    )
    age = GaugeMetricFamily("tenantgate_issuer_keys_age_seconds", "Since the last successful fetch.", labels=_SET)
    too_old = GaugeMetricFamily("tenantgate_issuer_keys_too_old", "1 where nothing is judged with them.", labels=_SET)
    due = GaugeMetricFamily("tenantgate_issuer_refresh_seconds", "Until the next refresh.", labels=_SET)
    clock = GaugeMetricFamily("tenantgate_issuer_clock_ahead_seconds", "Of this machine's clock.", labels=_SET)
    most = GaugeMetricFamily(
        "tenantgate_issuer_clock_ahead_at_most_seconds", "Least age of the tokens seen in the last hour.", labels=_SET
    )
    for each in found:
        labels = (each.issuer, each.document, each.appid or "")
        for state in _STATES:
            keys.add_metric((*labels, state), float(sum(key.state == state for key in each.keys)))
        dropped.add_metric(labels, float(len(each.dropped)))
        failures.add_metric(labels, float(each.failures))
        too_old.add_metric(labels, float(each.too_old))
        if each.last_error is not None:
            failing.add_metric((*labels, each.last_error), 1.0)
        measured = (
            (age, each.age),
            (due, each.next_refresh),
            (clock, each.clock_ahead),
            (most, each.clock_ahead_at_most),
        )
        for metric, value in measured:
            if value is not None:
                metric.add_metric(labels, value)
    yield from (keys, dropped, failures, failing, age, too_old, due, clock, most)


_SILENCE: Final = 10.0
"""Seconds that a connection may say nothing."""


class MetricsServer:
    """Serves a gate's metrics in a thread of its own until `close`. Raises OSError where the address cannot be had."""

    def __init__(
        self,
        gate: Measured,
        host: str,
        port: int,
        attention: Attention | None = None,
        others: KeyHealth | None = None,
    ) -> None:
        registry = CollectorRegistry()
        registry.register(GateCollector(gate, attention, others))
        self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        # Who connects and says nothing holds a thread: not for long.
        self._server.RequestHandlerClass = type(
            "Handler", (cast("type", self._server.RequestHandlerClass),), {"timeout": _SILENCE}
        )
        self.port = int(self._server.server_port)

    def close(self) -> None:
        """End the thread and free the address."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
