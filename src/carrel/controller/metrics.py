"""What Prometheus is told: computed from rows at each scrape, so that every process tells the same."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from carrel.controller import clock, settings
from carrel.controller.models import Flag, Job, JobServerLink, LinkedRequest
from carrel.controller.service import flags, queries
from carrel.jobs.statuses import State

RECENT_JOBS = 100


def exposition() -> tuple[bytes, str]:
    """`(body, content type)` of the answer to a scrape."""
    registry = CollectorRegistry()
    registry.register(_Collector())
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    def collect(self) -> Iterator[Metric]:
        yield from _active_jobs()
        yield _seconds_since_seen()
        yield from _flags()
        yield from _recent_jobs()
        yield from _links()


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=["backend", *labels])


def _active_jobs() -> Iterator[Metric]:
    jobs = _gauge("carrel_jobs", "Active jobs by state and status code", "state", "status_code")
    pending = _gauge("carrel_queue_length", "Jobs that wait to run")
    running = _gauge("carrel_jobs_running", "Jobs that run")
    oldest = _gauge("carrel_oldest_waiting_seconds", "Age of the job that has waited longest; 0 when none waits")
    for backend in settings.get().backends:
        active = Job.objects.filter(backend=backend, state__in=[State.PENDING.value, State.RUNNING.value])
        rows = list(active.values("state", "status_code").annotate(count=Count("pk")).order_by())
        for row in rows:
            jobs.add_metric([backend, row["state"], str(row["status_code"])], row["count"])
        waiting = [row for row in rows if row["state"] == State.PENDING]
        pending.add_metric([backend], sum(row["count"] for row in waiting))
        running.add_metric([backend], sum(row["count"] for row in rows if row["state"] == State.RUNNING))
        since = _waiting_since(backend)
        oldest.add_metric([backend], (clock.now() - since).total_seconds() if since else 0)
    yield from (jobs, pending, running, oldest)


def _waiting_since(backend: str) -> datetime | None:
    """When the job that has waited longest was made."""
    waiting = Job.objects.filter(backend=backend, state=State.PENDING.value).order_by("created_at")
    times, unreadable = queries.readable(waiting.values_list("created_at", flat=True), first=1)
    if unreadable:
        times, _ = queries.readable(waiting.values_list("created_at", flat=True))
    return min((at for at in times if at), default=None)


def _seconds_since_seen() -> Metric:
    metric = _gauge("carrel_agent_last_seen_seconds", "Seconds since the backend's agent was last here")
    rows = Flag.objects.filter(name=flags.LAST_SEEN, backend__in=settings.get().backends)
    for backend, at in queries.readable(rows.values_list("backend", "timestamp"))[0]:
        if at:
            metric.add_metric([backend], (clock.now() - at).total_seconds())
    return metric


def _flags() -> Iterator[Metric]:
    paused = _gauge("carrel_backend_paused", "1 when the backend is paused")
    maintained = _gauge("carrel_backend_db_maintenance", "1 while the backend's database is being maintained")
    for backend in settings.get().backends:
        now = flags.scheduler_flags(backend)
        paused.add_metric([backend], float(now.paused))
        maintained.add_metric([backend], float(now.mode == flags.DB_MAINTENANCE))
    yield from (paused, maintained)


def _recent_jobs() -> Iterator[Metric]:
    mean = _gauge("carrel_recent_job_seconds_mean", f"Mean run time of the {RECENT_JOBS} jobs that ended last")
    longest = _gauge("carrel_recent_job_seconds_max", f"Longest run time of the {RECENT_JOBS} jobs that ended last")
    for backend in settings.get().backends:
        ended = Job.objects.filter(backend=backend, completed_at__isnull=False, started_at__isnull=False)
        rows = ended.order_by("-completed_at").values_list("started_at", "completed_at")
        times, _ = queries.readable(rows, first=RECENT_JOBS)
        seconds = [(end - start).total_seconds() for start, end in times if start and end]
        if seconds:
            mean.add_metric([backend], sum(seconds) / len(seconds))
            longest.add_metric([backend], max(seconds))
    yield from (mean, longest)


def _links() -> Iterator[Metric]:
    """Of backends whose job server is polled; nothing while none is."""
    answered = _gauge("carrel_link_answered_seconds", "Seconds since all last went well with the polled job server")
    failures = _gauge("carrel_link_failures", "Exchanges with the polled job server that went wrong one after another")
    unsettled = _gauge("carrel_link_unsettled_requests", "Requests of which that job server has not heard the last")
    rows, _ = queries.readable(JobServerLink.objects.filter(pk__in=settings.get().linked_backends))
    for link in rows:
        if link.answered_at:
            answered.add_metric([link.backend], (clock.now() - link.answered_at).total_seconds())
        failures.add_metric([link.backend], link.failures)
        waiting = LinkedRequest.objects.filter(backend=link.backend, settled_at=None)
        unsettled.add_metric([link.backend], waiting.count())
    yield from (answered, failures, unsettled)
