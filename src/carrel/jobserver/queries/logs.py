"""The logs of runs: one row per request, filtered in SQL, with few questions however many rows there are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Q, QuerySet

from carrel.jobserver.models import Backend, Job, JobRequest, RunGroup, User, Workspace
from carrel.jobserver.models.runs import OUTCOMES
from carrel.jobserver.queries.prefixes import begins_with
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.runs.derivation import CANCELLED

MAX_WORDS = 200
"""Characters of a text that is searched for."""
MANY_WORKSPACES = 5000
LABELS = {
    "q": "Text",
    "backend": "Backend",
    "status": "Status",
    "user": "Person",
    "workspace": "Workspace",
    "action": "Action",
    "since": "From",
    "until": "To",
}
"""Parameters of the URL, in the order of their chips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilters:
    """What a log is narrowed to; empty means all. Days are UTC, `until` is the last one."""

    text: str = ""
    backends: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    username: str = ""
    workspace: str = ""
    action: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def from_url(cls, values: Mapping[str, Sequence[str]]) -> "LogFilters":
        """Read them from a URL's parameters (each a list); what makes no sense is left out."""
        one = {name: (values.get(name) or [""])[-1].strip().replace("\0", "")[:MAX_WORDS] for name in LABELS}
        return cls(
            text=one["q"],
            backends=tuple(filter(None, values.get("backend") or ())),
            statuses=tuple(status for status in values.get("status") or () if status in OUTCOMES),
            username=one["user"],
            workspace=one["workspace"],
            action=one["action"],
            since=day_of(one["since"]),
            until=day_of(one["until"]),
        )


@dataclass(slots=True)
class LogRow:
    """One request with how many of its jobs have succeeded, failed, and there are."""

    request: JobRequest
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def succeeded(self) -> int:
        return self.counts.get("succeeded", 0)


def log_of(user: User | None, rights: Rights, filters: LogFilters, within: Q = Q()) -> QuerySet[JobRequest]:  # noqa: B008 (a value)
    """Return the requests that somebody may see, the latest first. `within`: of one project, workspace or person."""
    # What is hidden is left out, in place of asking for what is not: so the latest are read off their index, where
    # a list of all visible workspaces would be gone through, and all its requests sorted.
    hidden_backends = Backend.objects.exclude(pk__in=visible_backends(user, rights))
    hidden_workspaces = Workspace.objects.exclude(project__in=visible_projects(user, rights))
    requests = JobRequest.objects.filter(within, _condition(filters))
    requests = requests.exclude(backend__in=hidden_backends).exclude(workspace__in=hidden_workspaces)
    # Questions of their own for what the rows belong to: joined, SQLite may begin with projects and sort all requests.
    requests = requests.prefetch_related("backend", "run__workspace__project", "workspace__project", "created_by")
    return requests.order_by("-created_at", "-run_id", "id")


def rows_of(requests: Sequence[JobRequest]) -> list[LogRow]:
    """Return requests with the counts of their jobs, in one question."""
    rows = {request.pk: LogRow(request) for request in requests}
    counts = (
        Job.objects.filter(request__in=rows).order_by().values_list("request", "status").annotate(count=Count("id"))
    )
    for request_id, status, count in counts:
        rows[request_id].counts[status] = count
    return list(rows.values())


def outcome_condition(outcomes: Collection[str]) -> Q:
    """Return the condition that a request's outcome is among these."""
    condition = Q(status__in=[outcome for outcome in outcomes if outcome != CANCELLED], was_cancelled=False)
    return condition | Q(was_cancelled=True) if CANCELLED in outcomes else condition


def _condition(filters: LogFilters) -> Q:
    condition = Q()
    if filters.backends:
        condition &= Q(backend__slug__in=filters.backends)
    if filters.statuses:
        condition &= outcome_condition(filters.statuses)
    if filters.username:
        condition &= Q(created_by__username=filters.username)
    if filters.workspace:
        condition &= Q(workspace__name=filters.workspace)
    if filters.action:
        condition &= Q(pk__in=Job.objects.filter(begins_with("action", filters.action)).values("request"))
    if filters.since:
        condition &= Q(created_at__gte=_midnight(filters.since))
    if filters.until:
        condition &= Q(created_at__lt=_midnight(filters.until) + timedelta(days=1))
    return condition & _text_condition(filters.text) if filters.text else condition


def _text_condition(text: str) -> Q:
    """A run's number, the beginning of an identifier or of a commit, part of a workspace's or project's name."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return Q(run=int(text))
    workspaces = Workspace.objects.filter(Q(name__icontains=text) | Q(project__name__icontains=text))
    condition = Q(workspace__in=workspaces.values("pk")[:MANY_WORKSPACES])
    condition |= Q(pk__in=Job.objects.filter(action=text).values("request"))
    if len(text) >= 4 and text.isalnum():
        condition |= begins_with("identifier", text.lower())
        condition |= Q(pk__in=Job.objects.filter(begins_with("identifier", text.lower())).values("request"))
    if len(text) == 40:
        condition |= Q(run__in=RunGroup.objects.filter(commit=text.lower()).values("pk"))
    return condition


def day_of(text: str) -> date | None:
    """Return a day such as `2026-12-01`; None for what is none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2200 else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
