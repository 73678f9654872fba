"""Ticks: now and then, a span for each active job, so that traces show what has not moved (controller.md section 7)."""

from carrel.controller.models import Job
from carrel.controller.service import queries
from carrel.jobs.statuses import StatusCode
from carrel.telemetry import traces

COLUMNS = ("id", "rap_id", "backend", "workspace", "action", "state", "status_code", "requires_db")


def tick() -> None:
    """One span TICK and under it one for each active job, called as its status code. Nothing while tracing is off."""
    if not traces.is_on():
        return
    active = Job.objects.filter(state__in=["pending", "running"]).order_by("created_at", "position")
    with traces.span("TICK", "ticks"):
        for row in queries.readable(active.values(*COLUMNS))[0]:
            # A row may hold a word that is no status: its span says so, and the others' follow.
            code = row["status_code"]
            name = StatusCode(code).name if code in set(StatusCode) else "UNKNOWN"
            # With the contract's names: `job.request`, `job.workspace` and so on.
            attributes = {f"job.{column}": row[column] for column in COLUMNS if column != "rap_id"}
            attributes |= {"job.request": row["rap_id"], "rap.backend": row["backend"]}
            with traces.span(name, "ticks", **attributes):
                pass
