"""A site's workspaces and plans as tables for the terminal, and as JSON. Values in, lines out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from carrel.jobs.freshness import DataChange
from carrel.jobs.models import LatestJob
from carrel.jobs.plan import Plan, WaitFor
from carrel.local.tables import columns, plan_lines, plan_rows
from carrel.project import Pipeline
from carrel.site.workspaces import Workspace

AGAIN = (
    "Nothing runs again by itself. `carrel submit`, with --force for what the named actions need, uses the new data."
)


def status_rows(workspaces: Iterable[Workspace], pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """Yield one object per backend and action: its latest job (None: never ran), and `data`: what changed since."""
    for workspace in workspaces:
        actions = pipeline.for_backend(workspace.backend)
        data = workspace.data(actions)
        for name in actions.actions:
            job = workspace.latest.get(name)
            yield {"backend": workspace.backend, "action": name, **_job(job), "data": _data(data.get(name))}


def _job(job: LatestJob | None) -> dict[str, Any]:
    if job is None:
        return {"job": None, "state": None, "status_code": None, "completed_at": None, "commit": None}
    completed = job.completed_at.isoformat() if job.completed_at else None
    return {"job": job.id, "state": job.state, "status_code": job.status_code, "completed_at": completed,
            "commit": job.commit}  # fmt: skip


def _data(change: DataChange | None) -> dict[str, Any]:
    return (change or DataChange()).as_json()


def status_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Show the rows to people, with what to do where data changed."""
    listed = list(rows)
    table = [["BACKEND", "ACTION", "STATE", "FINISHED", "COMMIT", "DATA"]]
    yield from columns(table + [_line(row) for row in listed])
    if any(row["data"]["tables"] for row in listed):
        yield AGAIN


def _line(row: Mapping[str, Any]) -> list[str]:
    finished = (row["completed_at"] or "")[:16].replace("T", " ")
    state = (row["status_code"] or "never ran").replace("_", " ")
    return [
        row["backend"],
        row["action"],
        state,
        finished,
        (row["commit"] or "")[:7],
        DataChange(**row["data"]).words(),
    ]


def planned_rows(backend: str, planned: Plan, data: Mapping[str, DataChange]) -> list[dict[str, Any]]:
    """Make the local plan's rows, with `backend` and `data`; that of a job which is active cannot be known yet."""
    settled = {name: change for name, change in data.items() if name not in _active(planned)}
    rows = plan_rows(planned)
    return [{"backend": backend, **row, "data": _data(settled.get(str(row["action"])))} for row in rows]


def planned_lines(planned: Plan, data: Mapping[str, DataChange]) -> Iterator[str]:
    """Yield the local plan's lines, then one for each action whose data changed."""
    yield from plan_lines(planned)
    for entry in planned.entries:
        text = data.get(entry.action, DataChange()).words()
        if text and entry.action not in _active(planned):
            yield f"  {entry.action}: {text}"


def _active(planned: Plan) -> set[str]:
    return {entry.action for entry in planned.entries if isinstance(entry, WaitFor)}
