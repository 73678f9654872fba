"""The latest job of each action on each backend, in one question to the database however many jobs there are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import cast

from django.db import connection

from carrel.jobs.models import LatestJob
from carrel.jobs.statuses import State
from carrel.jobserver.models import Backend, JobRequest, Workspace
from carrel.jobserver.runs.states import ActionState, Cell

ACTIONS_AT_ONCE = 500
"""Actions that one question names: a database takes only so many parameters."""
SUCCESSES_LOOKED_AT = 3

# One look into the index (workspace, backend, action, -created_at) for each cell of the matrix.
_CELLS = "WITH of_backend(id) AS (VALUES {backends}), of_action(name) AS (VALUES {actions})"
_QUESTION = """
    SELECT job.backend_id, job.action, job.identifier, request.identifier, request.run_id, job.status, job.status_code,
           job.status_message, job.run_command, run."commit", job.created_at, job.started_at, job.completed_at,
           job.request_id
    FROM of_backend CROSS JOIN of_action
    JOIN jobserver_job AS job ON job.id = (
        SELECT latest.id FROM jobserver_job AS latest
        WHERE latest.workspace_id = %s AND latest.backend_id = of_backend.id
          AND latest.action = of_action.name AND {condition}
        ORDER BY latest.created_at DESC, latest.id DESC LIMIT 1)
    JOIN jobserver_jobrequest AS request ON request.id = job.request_id
    JOIN jobserver_rungroup AS run ON run.id = request.run_id
"""
# The status is made an expression, so that no database takes the index on it, with all successes of the site.
_DURATIONS = """
    SELECT job.backend_id, job.action, job.started_at, job.completed_at
    FROM of_backend CROSS JOIN of_action
    JOIN jobserver_job AS job ON job.id = (
        SELECT latest.id FROM jobserver_job AS latest
        WHERE latest.workspace_id = %s AND latest.backend_id = of_backend.id
          AND latest.action = of_action.name AND latest.status || '' = 'succeeded'
        ORDER BY latest.created_at DESC, latest.id DESC LIMIT 1 OFFSET {offset})
"""
_NOT_CANCELLED = "latest.status_code <> 'cancelled_by_user'"


def latest_states(
    workspace: Workspace, backends: Sequence[Backend], actions: Collection[str]
) -> dict[Cell, ActionState]:
    """Return the latest job of each of these actions on each of these backends; those that never ran are absent."""
    return {(state.backend, state.action): state for state in _states(workspace, backends, actions)}


def countable_states(
    workspace: Workspace, backends: Sequence[Backend], states: Mapping[Cell, ActionState]
) -> dict[str, dict[str, LatestJob]]:
    """Return by backend and action what `plan()` looks at: the latest job that was not cancelled.

    `states` is the answer of `latest_states`; only where it holds cancelled jobs the database is asked once more.
    """
    counting = {cell: state for cell, state in states.items() if state.counts}
    cancelled = {cell: state for cell, state in states.items() if not state.counts}
    if cancelled:
        slugs = {slug for slug, _ in cancelled}
        some_backends = [backend for backend in backends if backend.slug in slugs]
        actions = {action for _, action in cancelled}
        passed_over = [state.identifier for state in cancelled.values() if state.is_being_cancelled]
        for state in _states(workspace, some_backends, actions, _NOT_CANCELLED, passed_over=passed_over):
            counting.setdefault((state.backend, state.action), state)
    latest: dict[str, dict[str, LatestJob]] = {backend.slug: {} for backend in backends}
    for (slug, action), state in counting.items():
        job = state.as_latest()
        if job is not None:
            latest[slug][action] = job
    return latest


def usual_seconds(workspace: Workspace, backends: Sequence[Backend], cells: Collection[Cell]) -> dict[Cell, float]:
    """Return how long each of these actions took on its backend: the median of its latest successes there."""
    wanted = set(cells)
    named = {slug for slug, _ in wanted}
    slugs = {backend.pk: backend.slug for backend in backends if backend.slug in named}
    took: dict[Cell, list[float]] = {}
    for part in _parts({action for _, action in wanted} if slugs else ()):
        questions = [_DURATIONS.format(offset=offset) for offset in range(SUCCESSES_LOOKED_AT)]
        with connection.cursor() as cursor:
            cursor.execute(
                f"{_cells(slugs, part)} {' UNION ALL '.join(questions)}",
                [*part, *[workspace.pk] * SUCCESSES_LOOKED_AT],
            )
            for backend_id, action, started_at, completed_at in cursor.fetchall():
                cell = slugs[backend_id], action
                if cell in wanted and started_at and completed_at:
                    seconds = (_moment(completed_at) - _moment(started_at)).total_seconds()
                    took.setdefault(cell, []).append(max(seconds, 0.0))
    return {cell: median(seconds) for cell, seconds in took.items()}


def _moment(value: datetime | str) -> datetime:
    """Return a time that a cursor gave: SQLite has texts, or times without their zone, which is UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parts(actions: Collection[str]) -> Iterator[list[str]]:
    """Yield the actions, so many at a time."""
    names = list(dict.fromkeys(actions))
    return (names[start : start + ACTIONS_AT_ONCE] for start in range(0, len(names), ACTIONS_AT_ONCE))


def _cells(slugs: Mapping[int, str], actions: Sequence[str]) -> str:
    """Return the beginning of a question, which names backends by their keys; the actions are its first parameters."""
    return _CELLS.format(backends=", ".join(f"({key})" for key in slugs), actions=", ".join(["(%s)"] * len(actions)))


def _states(
    workspace: Workspace,
    backends: Sequence[Backend],
    actions: Collection[str],
    condition: str = "TRUE",
    *,
    passed_over: Sequence[str] = (),
) -> Iterator[ActionState]:
    """Yield the latest job of each cell for which the condition holds, but for those passed over."""
    slugs = {backend.pk: backend.slug for backend in backends}
    if passed_over:
        condition += f" AND latest.identifier NOT IN ({', '.join(['%s'] * len(passed_over))})"
    for part in _parts(actions if slugs else ()):
        question = f"{_cells(slugs, part)} {_QUESTION.format(condition=condition)}"
        with connection.cursor() as cursor:  # no rows of the ORM: of two thousand they take longer than the question
            cursor.execute(question, [*part, workspace.pk, *passed_over])
            rows = cursor.fetchall()
        active = {row[-1] for row in rows if row[5] in (State.PENDING, State.RUNNING)}
        requests = JobRequest.objects.filter(pk__in=active).values_list("pk", "cancelled_actions")
        cancelling: dict[int, list[str]] = dict(requests) if active else {}
        for row in rows:
            backend, action, identifier, rap_id, run_id, status, code, message, command, commit, *moments, request = row
            created_at, started_at, completed_at = (_moment(moment) if moment else None for moment in moments)
            yield ActionState(
                backend=slugs[backend],
                action=action,
                identifier=identifier,
                rap_id=rap_id,
                run_id=run_id,
                status=status,
                status_code=code,
                status_message=message,
                run_command=command,
                commit=commit,
                created_at=cast(datetime, created_at),
                started_at=started_at,
                completed_at=completed_at,
                is_being_cancelled=action in cancelling.get(request, ()),
            )
