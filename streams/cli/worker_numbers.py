"""The numbers of several processes as those of one gateway.

A counter never falls: what a worker has counted stays when it has ended, as
far as it has told, and while it does not answer. What is so at this moment
is told by those who answer, and by nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from streams.gateway.collector import NOT_SUMMED

_Sample: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""A name with its labels."""

_COUNTED = ("counter", "histogram")


class WorkerNumbers:
    """What the workers of one gateway have told last, and what those that have ended had counted."""

    def __init__(self) -> None:
        self._told: dict[int, list[Metric]] = {}
        self._of_ended: list[Metric] = []
        self.restarts = 0
        """Workers that ended by themselves."""
        # Of the process that has the workers: what it takes, the gateway takes.
        self._process = ProcessCollector(registry=None)

    def tell(self, pid: int, text: str) -> None:
        """What this worker says on /metrics now."""
        self._told[pid] = list(text_string_to_metric_families(text))

    def end(self, pid: int) -> None:
        """It has ended. Another one may have its pid one day."""
        counted = [each for each in self._told.pop(pid, []) if each.type in _COUNTED]
        self._of_ended = _together([self._of_ended, counted])

    def text(self, answering: Sequence[int]) -> bytes:
        """What all of them together say on /metrics, where these workers have just told theirs."""
        told = [
            [each for each in metrics if pid in answering or each.type in _COUNTED]
            for pid, metrics in self._told.items()
        ]
        own = [
            GaugeMetricFamily(
                "streams_gateway_workers", "Workers that say how they are", value=len(answering)
            ),
            CounterMetricFamily(
                "streams_gateway_worker_restarts",
                "Workers that ended by themselves, since the start",
                value=self.restarts,
            ),
        ]
        return generate_latest(
            _Told([*_together([*told, self._of_ended, list(self._process.collect())]), *own])
        )


def _together(told: Iterable[Iterable[Metric]]) -> list[Metric]:
    """Several times the same numbers, as one."""
    families: dict[str, Metric] = {}
    values: dict[str, dict[_Sample, list[float]]] = {}
    for metrics in told:
        for metric in metrics:
            families.setdefault(metric.name, metric)
            found = values.setdefault(metric.name, {})
            for sample in metric.samples:
                found.setdefault((sample.name, tuple(sample.labels.items())), []).append(sample.value)
    return [_made(families[name], found) for name, found in values.items()]


def _made(family: Metric, values: dict[_Sample, list[float]]) -> Metric:
    of_all: Callable[[Iterable[float]], float] = NOT_SUMMED.get(family.name, sum)
    made = Metric(family.name, family.documentation, family.type)
    for (name, labels), several in values.items():
        made.add_sample(name, dict(labels), of_all(several))
    return made


class _Told(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics
