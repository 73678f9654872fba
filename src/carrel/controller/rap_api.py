"""The RAP API: what a job server asks of a controller (spec: controller.md section 2.2)."""

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
from carrel.jobs.statuses import StatusCode
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

# Statuses of ours that the contract's closed list does not have, and what a client of it is told instead.
TOLD_AS = {StatusCode.TIMED_OUT: RapStatusCode.KILLED_BY_ADMIN}


@endpoint(
    Endpoint(
        "backend/status/",
        "GET",
        "State of the backends that the token may use",
        {200: ("Their states", BackendStatusResponse)},
    )
)
def backend_status(request: HttpRequest, backends: list[str]) -> HttpResponse:
    return respond(BackendStatusResponse(backends=[_backend_status(slug) for slug in backends]))


@endpoint(
    Endpoint(
        "rap/create/",
        "POST",
        "Create the jobs of a request",
        {
            200: ("Nothing was created, now or because it was before", RapCreateResponse),
            201: ("Jobs were created", RapCreateResponse),
            400: ("The request was refused", ErrorResponse),
            500: ("A fault of the controller's own; the request may be sent again", ErrorResponse),
        },
        RapCreateRequest,
    )
)
def rap_create(request: HttpRequest, backends: list[str], body: RapCreateRequest) -> HttpResponse:
    try:
        _check_allowed(body.backend, backends)
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
        "rap/cancel/",
        "POST",
        "Cancel actions of a request; a job that has ended stays as it is",
        {
            200: ("The actions are cancelled", RapCancelResponse),
            404: ("No such jobs; nothing was cancelled", JobsNotFoundResponse),
        },
        RapCancelRequest,
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
        "rap/status/",
        "POST",
        "Jobs of requests",
        {200: ("Jobs of the requests known on the token's backends", RapStatusResponse)},
        RapStatusRequest,
    )
)
def rap_status(request: HttpRequest, backends: list[str], body: RapStatusRequest) -> HttpResponse:
    jobs, unrecognised = service.rap_status_jobs(body.rap_ids, backends)
    return respond(RapStatusResponse(jobs=[job_message(job) for job in jobs], unrecognised_rap_ids=unrecognised))


# -- creating


def _check_allowed(backend: str, backends: list[str]) -> None:
    if backend not in backends and backend in creation.known_backends():
        # The contract says no more than this of a backend that is another client's.
        raise creation.CreationError("Unknown error")


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
        status_code=TOLD_AS.get(StatusCode(job.status_code)) or RapStatusCode(job.status_code),
        status_message=job.status_message,
        created_at=_to_the_second(job.created_at),
        updated_at=_to_the_second(job.updated_at),
        started_at=job.started_at and _to_the_second(job.started_at),
        completed_at=job.completed_at and _to_the_second(job.completed_at),
        trace_context=job.trace_context or {},
        metrics=job.metrics or {},
        requires_db=job.requires_db,
    )


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


@endpoint(Endpoint("spec.json", "GET", "This document", {}, authenticated=False))
def spec_json(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(spec(), separators=(",", ":")), content_type="application/json")


@endpoint(Endpoint("docs/", "GET", "This document, to read", {}, authenticated=False))
def docs(request: HttpRequest) -> HttpResponse:
    from carrel.controller.rap_api_docs import page

    answer = HttpResponse(page(spec()))
    answer["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return answer


ENDPOINTS = (backend_status, rap_create, rap_cancel, rap_status, spec_json, docs)
