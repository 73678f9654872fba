"""The task API: what agents ask and tell over HTTP (spec: controller.md section 2.1).

An agent that does not announce itself as Carrel's gets exactly the contract's keys, status codes and bodies.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from pydantic import BaseModel, ValidationError

from carrel.controller import settings
from carrel.controller.changes import hub
from carrel.controller.models import Task as TaskRow
from carrel.controller.outages import DATABASE_AWAY
from carrel.controller.service import flags, queries, tokens, updates
from carrel.messages.tasks import (
    CARREL_AGENT_HEADER,
    Heartbeat,
    Task,
    TaskExtensions,
    TaskList,
    TaskType,
    TaskUpdate,
    UpdateBatch,
    UpdateBatchResult,
)

logger = logging.getLogger(__name__)

LONGEST_WAIT = 60.0
View = Callable[[HttpRequest, str], HttpResponse]
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class BadRequest(Exception):
    """The body cannot be read; the message says why, without repeating it."""


def _error(status: int, error: str, details: str | None = None) -> JsonResponse:
    body = {"error": error} if details is None else {"error": error, "details": details}
    return JsonResponse(body, status=status)


def agent_view(method: str, *, wrong_method: int = 405) -> Callable[[View], View]:
    """A view for one backend's agent: method, backend and token are checked, in that order."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def checked(request: HttpRequest, backend: str) -> HttpResponse:
            if request.method != method:
                return HttpResponseNotAllowed([method]) if wrong_method == 405 else _error(wrong_method, "Forbidden")
            if refusal := _refusal(request, backend):
                return refusal
            try:
                return view(request, backend)
            except BadRequest as error:
                return _error(400, "Validation error", str(error))

        return checked

    return decorate


def _refusal(request: HttpRequest, backend: str) -> HttpResponse | None:
    if backend not in settings.get().backends:
        return _error(404, "Not found", f"Backend '{backend}' not found")
    token = request.headers.get("Authorization", "")
    if not token:
        return _error(401, "Unauthorized", "No token provided")
    if not tokens.agent_token_is_valid(backend, token):
        return _error(401, "Unauthorized", f"Invalid token for backend '{backend}'")
    return None


def is_carrels(request: HttpRequest) -> bool:
    return CARREL_AGENT_HEADER in request.headers


@agent_view("GET", wrong_method=403)
def tasks(request: HttpRequest, backend: str) -> HttpResponse:
    """What there is to do. Our own agent may wait for it to change: `?wait=<seconds>&seen=<cursor>`."""
    flags.saw_agent(backend)
    if not is_carrels(request):
        return JsonResponse({"tasks": _sendable(active_tasks(backend).rows, _contract_json)})
    listing = _wait_for_other_than(request.GET.get("seen"), backend, _wait_of(request))
    listed = TaskList(tasks=_sendable(listing.rows, _carrel_task), cursor=listing.cursor)
    return JsonResponse(listed.model_dump(mode="json"))


def _wait_of(request: HttpRequest) -> float:
    try:
        wait = float(request.GET.get("wait") or 0)
    except ValueError as error:
        raise BadRequest("'wait' must be a number of seconds") from error
    return min(max(0.0, wait), LONGEST_WAIT)  # in this order NaN becomes 0


@dataclass(frozen=True, slots=True)
class ActiveTasks:
    """The active tasks whose rows can be read, and the name of the whole set, the others included."""

    rows: list[TaskRow]
    cursor: str


def _wait_for_other_than(seen: str | None, backend: str, wait: float) -> ActiveTasks:
    def look() -> ActiveTasks | None:
        ids = queries.active_tasks(backend).values_list("task_id", flat=True)
        return active_tasks(backend) if cursor_of(ids) != seen else None

    if seen is None or wait <= 0:
        return active_tasks(backend)
    changed = hub.wait_until(backend, look, wait)
    return active_tasks(backend) if changed is None else changed


def active_tasks(backend: str) -> ActiveTasks:
    """The tasks an agent should see, DBSTATUS first, then in the order they were made."""
    active = queries.active_tasks(backend)
    rows, unreadable = queries.readable(active.select_related("job").only(*_COLUMNS))
    others = active.filter(pk__in=list(unreadable)).values_list("task_id", flat=True) if unreadable else []
    cursor = cursor_of([*(row.task_id for row in rows), *others])
    return ActiveTasks(sorted(rows, key=lambda row: row.type != TaskType.DBSTATUS), cursor)


_COLUMNS = (
    *("task_id", "backend", "type", "definition", "attributes", "created_at", "attempt_token", "attempt"),
    "job__timeout_seconds",
)


def _sendable(rows: Iterable[TaskRow], form: Callable[[TaskRow], T]) -> list[T]:
    """A task whose row makes no sense is left out: the agent could do nothing with it, and goes on with the others."""
    messages = []
    for row in rows:
        try:
            messages.append(form(row))
        except DATABASE_AWAY:
            raise
        except Exception:
            logger.exception("Task %s cannot be told to the agent: its row makes no sense.", row.task_id)
    return messages


def cursor_of(task_ids: Iterable[str]) -> str:
    """Names a set of active tasks: derived from it, so that no change can be missed and nothing need be counted."""
    return hashlib.sha256("\n".join(sorted(map(str, task_ids))).encode()).hexdigest()[:32]


def _contract_task(row: TaskRow) -> Task:
    return Task(
        id=row.task_id,
        backend=row.backend,
        type=TaskType(row.type),
        definition=row.definition,
        attributes=row.attributes,
        created_at=int(row.created_at.timestamp()),
    )


def _contract_json(row: TaskRow) -> dict[str, Any]:
    """Exactly the contract's keys: one more would break an OpenSAFELY agent."""
    return _contract_task(row).model_dump(mode="json", exclude={"carrel"})


def _carrel_task(row: TaskRow) -> Task:
    job = row.job
    extensions = TaskExtensions(
        attempt_token=row.attempt_token,
        attempt=max(row.attempt, 1),
        lease_seconds=settings.get().carrel_lease_seconds,
        timeout_seconds=job.timeout_seconds if job else None,
    )
    return _contract_task(row).model_copy(update={"carrel": extensions})


@agent_view("POST")
def task_update(request: HttpRequest, backend: str) -> HttpResponse:
    """One report about one task: form field `payload` as in the contract, or a JSON body from our own agent."""
    update = _update_in(request)
    try:
        outcome = updates.apply_update(backend, update)
    except DATABASE_AWAY:
        raise
    except Exception:
        logger.exception("An update of task %s could not be taken in.", update.task_id)
        return _error(500, "Error updating task")
    if outcome.status == updates.TAKEN:
        return JsonResponse({"response": "Update successful"})
    if is_carrels(request):
        return _error(outcome.status, outcome.detail)
    return _error(500, "Error updating task")


def _update_in(request: HttpRequest) -> TaskUpdate:
    if request.content_type == "application/json":
        return _message(TaskUpdate, request.body)
    if "payload" not in request.POST:
        raise BadRequest("the form has no field 'payload'")
    return _message(TaskUpdate, request.POST["payload"])


def _message(model: type[M], text: str | bytes) -> M:
    try:
        return model.model_validate(json.loads(text))
    except ValidationError as error:
        places = sorted({".".join(map(str, problem["loc"])) or "body" for problem in error.errors()})
        raise BadRequest(f"these are missing or wrong: {', '.join(places)}") from error
    except (ValueError, RecursionError) as error:
        # Nested too deep to be looked through is no JSON for us, wherever that shows.
        raise BadRequest("could not parse JSON from request body") from error


@agent_view("POST")
def task_updates(request: HttpRequest, backend: str) -> HttpResponse:
    """Many reports at once (ours only)."""
    batch = _message(UpdateBatch, request.body)
    outcomes = updates.apply_updates(backend, batch.updates)
    return JsonResponse(UpdateBatchResult(outcomes=outcomes).model_dump(mode="json"))


@agent_view("POST")
def heartbeat(request: HttpRequest, backend: str) -> HttpResponse:
    """Renew the leases of all running attempts (ours only)."""
    flags.saw_agent(backend)
    result = updates.heartbeat(backend, _message(Heartbeat, request.body))
    return JsonResponse(result.model_dump(mode="json"))
