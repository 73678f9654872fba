"""The RAP API: what a job server asks of a controller (spec: controller.md section 2.2)."""

import hashlib
import json
import logging
import secrets
from datetime import UTC, datetime
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse

from carrel.controller import creation, service
from carrel.controller.models import Flag, Job
from carrel.controller.outages import DATABASE_AWAY, unavailable
from carrel.controller.rap_api_http import Endpoint, endpoint, respond
from carrel.controller.service import flags
from carrel.jobs.statuses import State, StatusCode, public_code, state_of
from carrel.messages.rap import (
    BackendStatus,
    BackendStatusResponse,
    CreateResult,
    DbMaintenanceStatus,
    ErrorResponse,
    JobsNotFoundResponse,
    PausedStatus,
    RapCancelRequest,
    RapCancelResponse,
    RapCreateRequest,
    RapCreateResponse,
    RapJob,
    RapStatusCode,
    RapStatusRequest,
    RapStatusResponse,
)

logger = logging.getLogger(__name__)


@endpoint(
    Endpoint(
        path="backend/status/",
        method="GET",
        summary="State of the backends that the token may use",
        answers={200: ("Their states", BackendStatusResponse)},
    )
)
def backend_status(request: HttpRequest, backends: list[str]) -> HttpResponse:
    return respond(BackendStatusResponse(backends=[_backend_status(slug) for slug in backends]))


@endpoint(
    Endpoint(
        path="rap/create/",
        method="POST",
        summary="Create the jobs of a request",
        answers={
            200: ("Nothing was created, now or because it was before", RapCreateResponse),
            201: ("Jobs were created", RapCreateResponse),
            400: ("The request was refused", ErrorResponse),
            500: ("A fault of the controller's own; the request may be sent again", ErrorResponse),
        },
        body=RapCreateRequest,
    )
)
def rap_create(request: HttpRequest, backends: list[str], body: RapCreateRequest) -> HttpResponse:
    try:
        if body.backend not in backends and body.backend in creation.known_backends():
            # The contract says no more than this of a backend that is another client's.
            raise creation.CreationError("Unknown error")
        created = creation.create(body)
    except service.InconsistentRap as error:
        return _refused(str(error), "Inconsistent request data")
    except creation.CreationError as error:
        return _refused(str(error))
    except creation.CreationUnavailable as error:
        return unavailable(str(error), "Error creating jobs")
    except DATABASE_AWAY:
        raise
    except Exception:
        # The client is told nothing of what is inside; the log has it all, under the same reference.
        reference = secrets.token_hex(4)
        logger.exception("rap/create of %s failed, reference %s", body.rap_id, reference)
        details = f"Unknown error (reference {reference})"
        return respond(ErrorResponse(error="Error creating jobs", details=details), 500)
    return respond(created, 201 if created.result is CreateResult.SUCCESS else 200)


@endpoint(
    Endpoint(
        path="rap/cancel/",
        method="POST",
        summary="Cancel actions of a request; a job that has ended stays as it is",
        answers={
            200: ("The actions are cancelled", RapCancelResponse),
            404: ("No such jobs; nothing was cancelled", JobsNotFoundResponse),
        },
        body=RapCancelRequest,
    )
)
def rap_cancel(request: HttpRequest, backends: list[str], body: RapCancelRequest) -> HttpResponse:
    try:
        service.cancel_actions(body.rap_id, body.actions, backends)
    except service.RapNotFound:
        return respond(JobsNotFoundResponse(details=f"No jobs found for rap_id {body.rap_id}", rap_id=body.rap_id), 404)
    except service.ActionsNotFound as error:
        details = f"Jobs matching requested cancelled actions could not be found: {','.join(error.not_found)}"
        missing = JobsNotFoundResponse(details=details, rap_id=body.rap_id, not_found=error.not_found)
        return respond(missing, 404)
    count = len(body.actions)
    return respond(RapCancelResponse(details=f"{count} actions cancelled", count=count))


@endpoint(
    Endpoint(
        path="rap/status/",
        method="POST",
        summary="Jobs of requests",
        answers={200: ("Jobs of the requests known on the token's backends", RapStatusResponse)},
        body=RapStatusRequest,
    )
)
def rap_status(request: HttpRequest, backends: list[str], body: RapStatusRequest) -> HttpResponse:
    jobs, unrecognised = service.rap_status_jobs(body.rap_ids, backends)
    try:
        return respond(RapStatusResponse(jobs=[job_message(job) for job in jobs], unrecognised_rap_ids=unrecognised))
    except Exception:
        logger.warning("One of %d jobs cannot be told as it is; they are told one by one.", len(jobs), exc_info=True)
    return respond(RapStatusResponse(jobs=[message_or_part(job) for job in jobs], unrecognised_rap_ids=unrecognised))


# -- creating


def _refused(details: str, error: str = "Error creating jobs") -> HttpResponse:
    return respond(ErrorResponse(error=error, details=details), 400)


# -- jobs


def job_message(job: Job) -> RapJob:
    """One job as the contract shows it."""
    return RapJob(
        identifier=job.id,
        rap_id=job.rap_id,
        backend=job.backend,
        action=job.action,
        run_command=job.run_command,
        status=job.state,
        status_code=RapStatusCode(public_code(StatusCode(job.status_code))),
        status_message=job.status_message,
        created_at=_to_the_second(job.created_at),
        updated_at=_to_the_second(job.updated_at),
        started_at=job.started_at and _to_the_second(job.started_at),
        completed_at=job.completed_at and _to_the_second(job.completed_at),
        trace_context=job.trace_context or {},
        metrics=job.metrics or {},
        requires_db=job.requires_db,
    )


def message_or_part(job: Job) -> RapJob:
    """The job as the contract shows it, as far as its row makes sense."""
    try:
        message = job_message(job)
        message.model_dump_json()
    except Exception:
        reference = hashlib.sha256(str(job.pk).encode()).hexdigest()[:8]
        logger.exception("Job %s cannot be told as it is, reference %s.", job.pk, reference)
        return _readable_message(job, reference)
    return message


def _readable_message(job: Job, reference: str) -> RapJob:
    """What cannot be read is told as the nearest thing that is not wrong; a job in no state that exists has failed."""
    state = State(job.state) if job.state in set(State) else State.FAILED
    code = _CODE_OF_STATE[state]
    if job.status_code in set(StatusCode) and state_of(StatusCode(job.status_code)) is state:
        code = RapStatusCode(public_code(StatusCode(job.status_code)))
    created_at = shown_time(job.created_at) or "1970-01-01T00:00:00Z"
    updated_at = shown_time(job.updated_at) or created_at
    traces = job.trace_context if isinstance(job.trace_context, dict) else {}
    trace = {name: value for name, value in traces.items() if isinstance(value, str) and _text(value) == value}
    note = (
        f"Part of this job's record cannot be read (reference {reference}). "
        "Give the reference to those who run this installation."
    )
    return RapJob(
        identifier=_text(job.id),
        rap_id=_text(job.rap_id),
        backend=_text(job.backend),
        action=_text(job.action),
        run_command=_text(job.run_command),
        status=state.value,
        status_code=code,
        status_message=f"{_text(job.status_message)} {note}".strip(),
        created_at=created_at,
        updated_at=updated_at,
        started_at=shown_time(job.started_at),
        completed_at=shown_time(job.completed_at) or (updated_at if state in (State.FAILED, State.SUCCEEDED) else None),
        trace_context=trace,
        metrics=_json_object(job.metrics),
        requires_db=job.requires_db is True,
    )


_CODE_OF_STATE = {
    State.PENDING: RapStatusCode.CREATED,
    State.RUNNING: RapStatusCode.INITIATED,
    State.SUCCEEDED: RapStatusCode.SUCCEEDED,
    State.FAILED: RapStatusCode.INTERNAL_ERROR,
}


def _text(value: object) -> str:
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def shown_time(when: object) -> str | None:
    """None too for what has no place in a calendar of four-digit years."""
    return _to_the_second(when) if isinstance(when, datetime) and when.year >= 1000 else None


def _json_object(value: object) -> dict[str, Any]:
    """An object that can be sent; an empty one for anything else."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _to_the_second(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- backends


def _backend_status(slug: str) -> BackendStatus:
    names = (flags.LAST_SEEN, flags.PAUSED, flags.MODE, flags.MANUAL_DB_MAINTENANCE)
    seen, paused, mode, manual = flags.get_flags(slug, names)
    in_maintenance = mode.value == flags.DB_MAINTENANCE
    by_hand = manual.value == "on"
    return BackendStatus(
        slug=slug,
        last_seen=_exactly(seen),
        paused=PausedStatus(status=_on(flags.is_true(paused.value)), since=_exactly(paused)),
        db_maintenance=DbMaintenanceStatus(
            status=_on(in_maintenance),
            since=_exactly(mode),
            type=("manual" if by_hand else "scheduled") if in_maintenance else None,
        ),
    )


def _on(yes: bool) -> Literal["on", "off"]:
    return "on" if yes else "off"


def _exactly(flag: Flag) -> str | None:
    """When the flag was last changed, to the microsecond where there are any; None when it never was."""
    if flag.timestamp is None:
        return None
    return f"{flag.timestamp.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


# -- the document


def spec() -> dict[str, Any]:
    """The OpenAPI document of this API."""
    from carrel.controller.openapi import document

    return document(view.endpoint for view in ENDPOINTS)


@endpoint(Endpoint(path="spec.json", method="GET", summary="This document", answers={}, authenticated=False))
def spec_json(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(spec(), separators=(",", ":")), content_type="application/json")


@endpoint(Endpoint(path="docs/", method="GET", summary="This document, to read", answers={}, authenticated=False))
def docs(request: HttpRequest) -> HttpResponse:
    from carrel.controller.rap_api_docs import page

    answer = HttpResponse(page(spec()))
    answer["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return answer


ENDPOINTS = (backend_status, rap_create, rap_cancel, rap_status, spec_json, docs)
