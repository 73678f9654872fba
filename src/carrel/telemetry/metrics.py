"""Metrics as Prometheus text. What is measured is computed when asked for, so that nothing is counted in memory."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric


_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@dataclass(frozen=True, slots=True)
class Gauge:
    """A measure as it is now. `samples`: value by the values of `labels`, in their order.

    `name` as Prometheus wants it: `carrel_jobs_running`, with the unit at its end (`_seconds`, `_bytes`).
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    samples: Mapping[tuple[str, ...], float] = field(default_factory=dict)


def exposition(gauges: Iterable[Gauge]) -> tuple[bytes, str]:
    """`(body, content type)` of the answer to a scrape. ValueError for a wrong name or number of labels."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    metrics = [_metric(gauge) for gauge in gauges]
    registry = CollectorRegistry()
    registry.register(_Collector(metrics))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    def __init__(self, metrics: "list[Metric]") -> None:
        self.metrics = metrics

    def collect(self) -> "Iterator[Metric]":
        yield from self.metrics


def _metric(gauge: Gauge) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    if not _NAME.fullmatch(gauge.name):
        raise ValueError(f"'{gauge.name}' is no name of a metric")
    metric = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
    for values, value in gauge.samples.items():
        if len(values) != len(gauge.labels):
            raise ValueError(f"{gauge.name}: {values} has not one value for each of the labels {gauge.labels}")
        metric.add_metric(values, value)
    return metric
