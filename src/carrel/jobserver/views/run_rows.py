"""What the pages of runs and jobs show, read from rows: of the backends that somebody may know of, in their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db.models import Q
from django.http import Http404

from carrel.jobserver.models import (
    Backend,
    Cancellation,
    ControllerContact,
    Job,
    JobRequest,
    Project,
    RunGroup,
)
from carrel.jobserver.queries.latest import Cell, usual_seconds
from carrel.jobserver.rights.access import CarrelRequest
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.runs.definitions import NOTHING, Definition, definition_on
from carrel.jobserver.runs.derivation import FAILED, FINAL_JOB_STATUSES, FINAL_REQUEST_STATUSES
from carrel.jobserver.runs.standing import JobStanding, counts_of, note_of
from carrel.pages.formats import duration_text
from carrel.pages.graph import GraphAction
from carrel.pages.status_words import Family
from carrel.pages.timeline import TimelineBar
from carrel.project.constants import RUN_ALL_COMMAND

MEGABYTE = 1_000_000
STALE_SECONDS = 30 * 60


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """One job with its standing and the note that goes with it. `url`: its page."""

    job: Job
    backend: Backend
    standing: JobStanding
    note: str
    url: str
    seconds: float | None

    @property
    def memory_bytes(self) -> float | None:
        """At its peak, as far as it was measured."""
        peak = self.job.metrics.get("mem_mb_peak")
        return peak * MEGABYTE if isinstance(peak, int | float) else None


@dataclass(frozen=True, kw_only=True)
class BackendPart:
    """One backend's part of a run: its request, its jobs, and what may go wrong on the way there."""

    run_url: str
    request: JobRequest
    rows: Sequence[JobRow]
    definition: Definition
    is_being_cancelled: bool
    contact: ControllerContact | None
    now: datetime

    @property
    def backend(self) -> Backend:
        return self.request.backend

    @property
    def is_final(self) -> bool:
        return self.request.status in FINAL_REQUEST_STATUSES

    @property
    def is_stale(self) -> bool:
        """It has not ended, and for long nothing was heard of it that was new."""
        return not self.is_final and (self.now - self.request.updated_at).total_seconds() > STALE_SECONDS

    @cached_property
    def counts(self) -> dict[Family, int]:
        return counts_of([row.standing for row in self.rows])

    @property
    def chip(self) -> tuple[str, str]:
        """Code or family, and a word where the code's own will not do."""
        if self.counts[Family.FAILED] and self.rows:
            return "failed", f"{self.counts[Family.FAILED]} failed"
        if self.is_being_cancelled and not self.is_final:
            return "cancelling", ""
        if not self.rows and not self.is_final:
            return ("to_send" if self.request.sent_at is None else "sent"), ""
        if self.request.outcome == FAILED and not self.rows:
            return "rejected", ""
        return self.request.outcome, ""

    @property
    def summary(self) -> str:
        """`2 of 5 done, going on`."""
        if not self.rows:
            return ""
        going_on = ", going on" if self.counts[Family.FAILED] and not self.is_final else ""
        return f"{self.counts[Family.SUCCEEDED]} of {len(self.rows)} done{going_on}"

    @property
    def message(self) -> str:
        """What has to be said of the request itself: why it was refused, why it is not sent yet, what to do."""
        if self.is_final:
            return "" if self.rows else self.request.status_message
        if self.request.send_error:
            return self._send_problem()
        if self.request.sent_at is None and self.backend.link == Backend.LinkKind.POLLED:
            return f"The controller of {self.backend.name} asks for new requests itself. It has not asked yet."
        return self.request.status_message

    def _send_problem(self) -> str:
        words = [self.request.send_error]
        if self.contact and self.contact.failing_since:
            words.append(f"So it has been since {self.contact.failing_since:%H:%M} UTC.")
        if self.request.sent_at is None and self.request.send_after:
            wait = (self.request.send_after - self.now).total_seconds()
            words.append(f"It is sent again {'in ' + duration_text(wait) if wait > 1 else 'now'}: nothing is lost.")
        return " ".join(words)

    @cached_property
    def graph(self) -> list[GraphAction]:
        """The jobs, what was reused (dashed), and before there are jobs what was asked for."""
        boxes = [
            GraphAction(name=row.job.action, needs=row.standing.needs, family=row.standing.family, url=row.url)
            for row in self.rows
        ]
        names = {box.name for box in boxes}
        reused = [name for name in self.request.reused if name not in names]
        boxes += [GraphAction(name=name, needs=self._needs(name), note="reused") for name in reused]
        if not self.rows:
            family = Family.STOPPED if self.is_final else Family.WAITING
            asked = [name for name in self.request.requested_actions if name not in reused]
            if RUN_ALL_COMMAND in asked:
                asked = [name for name in self.definition if name not in reused]
            boxes += [GraphAction(name=name, needs=self._needs(name), family=family) for name in asked]
        return boxes

    def _needs(self, action: str) -> tuple[str, ...]:
        return self.definition[action].needs if action in self.definition else ()

    @property
    def bars(self) -> list[TimelineBar]:
        return [
            TimelineBar(
                backend=self.backend.name,
                action=row.job.action,
                family=row.standing.family,
                created_at=row.job.created_at,
                started_at=row.job.started_at,
                ended_at=row.job.completed_at,
                url=row.url,
            )
            for row in self.rows
        ]


def requests_of(request: CarrelRequest, run: RunGroup) -> list[JobRequest]:
    """Return the run's requests on backends that this person may know of; raises Http404 where there is none."""
    backends = visible_backends(request.person, request.rights)
    requests = run.requests.filter(backend__in=backends).select_related("backend", "workspace__project", "created_by")
    rows = list(requests.order_by("backend__position", "backend__slug"))
    if not rows:
        raise Http404("There is no such run, or you may not see it.")
    return rows


def definition_of(run: RunGroup, backend: str) -> Definition:
    """Return what the run's files, as they were, say of its actions on a backend."""
    if run.definition is None:
        return NOTHING
    return definition_on(run.definition.text, run.side_file.text if run.side_file else "", backend)


def parts_of(run: RunGroup, requests: Sequence[JobRequest], now: datetime) -> list[BackendPart]:
    """Return each backend's part of a run with its jobs: the same few questions however many jobs there are."""
    jobs_of: dict[int, list[Job]] = {request.pk: [] for request in requests}
    for job in Job.objects.filter(request__in=requests).defer("run_command", "trace_context").order_by("id"):
        jobs_of[job.request_id].append(job)
    cancelling = cancelled_by_request(requests)
    contacts = contacts_by_controller(requests)
    usual = _usual_seconds(run, requests, jobs_of)
    run_url = run.get_absolute_url()
    return [
        BackendPart(
            run_url=run_url,
            request=request,
            rows=_rows(
                request,
                jobs_of[request.pk],
                definition,
                cancelling[request.pk],
                usual,
                run_url,
                now,
            ),
            definition=definition,
            is_being_cancelled=bool(cancelling[request.pk]),
            contact=contacts.get(request.backend.controller),
            now=now,
        )
        for request in requests
        for definition in [definition_of(run, request.backend.slug)]
    ]


def standing_of(
    job: Job,
    request: JobRequest,
    definition: Definition,
    cancelling: frozenset[str] = frozenset(),
    usual: Mapping[Cell, float] | None = None,
) -> JobStanding:
    """Return a job as the pure part takes it. `cancelling`: actions that somebody asked to cancel, `*` for all."""
    return JobStanding(
        backend=request.backend.slug,
        action=job.action,
        status=job.status,
        status_code=job.status_code or job.status,
        status_message=job.status_message,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        needs=definition[job.action].needs if job.action in definition else (),
        usual_seconds=(usual or {}).get((request.backend.slug, job.action)),
        is_being_cancelled=bool(cancelling & {job.action, "*"}),
    )


def cancelled_by_request(requests: Sequence[JobRequest]) -> dict[int, frozenset[str]]:
    """Return by request the actions that are being cancelled: told or yet to be told; `*` for all."""
    actions = {request.pk: set(request.cancelled_actions) for request in requests}
    pending = Cancellation.objects.filter(request__in=requests, sent_at=None)
    for request_id, names in pending.values_list("request_id", "actions"):
        actions[request_id] |= set(names or ["*"])
    return {key: frozenset(names) for key, names in actions.items()}


def contacts_by_controller(requests: Sequence[JobRequest]) -> dict[str, ControllerContact]:
    """Return how the link to each controller stands, where these backends' controllers are asked."""
    names = {request.backend.controller for request in requests if request.backend.link == Backend.LinkKind.RAP}
    return {contact.controller: contact for contact in ControllerContact.objects.filter(controller__in=names)}


def sees_code(request: CarrelRequest, project: Project) -> bool:
    """Tell whether this person may see a study's code and names of outputs: those of the project, and staff."""
    own = any(grant.project_id == project.pk and not request.rights.lacks(grant) for grant in request.rights.grants)
    return own or any(
        request.rights.holds(permission, project_id=project.pk)
        for permission in (Permission.PROJECT_VIEW, Permission.RELEASE_FILE_VIEW, Permission.JOB_RUN)
    )


def earlier_request(request: JobRequest, *, succeeded: bool = False) -> JobRequest | None:
    """Return the request before this one in its workspace and on its backend; or the latest of them that succeeded."""
    same = JobRequest.objects.filter(workspace=request.workspace_id, backend=request.backend_id, pk__lt=request.pk)
    matching = same.filter(Q(status="succeeded") if succeeded else Q())
    return matching.select_related("run").order_by("-created_at", "-pk").first()


def last_success(job: Job) -> Job | None:
    """Return the latest job of the same action on the same backend and in the same workspace that succeeded before."""
    same = Job.objects.filter(workspace=job.workspace_id, backend=job.backend_id, action=job.action)
    before = same.filter(created_at__lt=job.created_at, status="succeeded")
    return before.select_related("request__run").order_by("-created_at", "-pk").first()


def _rows(
    request: JobRequest,
    jobs: Sequence[Job],
    definition: Definition,
    cancelling: frozenset[str],
    usual: Mapping[Cell, float],
    run_url: str,
    now: datetime,
) -> list[JobRow]:
    standings = {job.action: standing_of(job, request, definition, cancelling, usual) for job in jobs}
    return [
        JobRow(
            job=job,
            backend=request.backend,
            standing=standings[job.action],
            note=note_of(standings[job.action], standings, now),
            url=f"{run_url}{job.identifier}/",
            seconds=standings[job.action].seconds(now),
        )
        for job in jobs
    ]


def _usual_seconds(
    run: RunGroup, requests: Sequence[JobRequest], jobs_of: Mapping[int, Sequence[Job]]
) -> dict[Cell, float]:
    cells = [
        (request.backend.slug, job.action)
        for request in requests
        for job in jobs_of[request.pk]
        if job.status not in FINAL_JOB_STATUSES
    ]
    return usual_seconds(run.workspace, [request.backend for request in requests], cells) if cells else {}
