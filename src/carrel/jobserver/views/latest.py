"""The latest requests and runs, of the backends that somebody may know of."""

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Exists, Max, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Coalesce

from carrel.jobserver.models import Backend, JobRequest, RunGroup, Workspace
from carrel.jobserver.models.runs import ACTIVE_STATUSES, RequestStatus
from carrel.jobserver.rights.access import CarrelRequest
from carrel.jobserver.rights.visibility import visible_backends, visible_projects


def latest_requests(workspaces: Iterable[Workspace], backends: Iterable[Backend]) -> dict[int, dict[int, JobRequest]]:
    """Return by workspace and backend (their ids) the request that tells how each pair stands, in two questions.

    The latest that goes on; else the latest that had something to do; else the latest.
    """
    pairs = JobRequest.objects.filter(workspace__in=list(workspaces), backend__in=list(backends))
    latest = (
        pairs.values("workspace", "backend")
        .order_by()
        .annotate(
            latest=Coalesce(
                Max("id", filter=Q(status__in=ACTIVE_STATUSES)),
                Max("id", filter=~Q(status=RequestStatus.NOTHING_TO_DO)),
                Max("id"),
            )
        )
    )
    by_workspace: dict[int, dict[int, JobRequest]] = defaultdict(dict)
    requests = JobRequest.objects.filter(pk__in=[row["latest"] for row in latest]).select_related("run")
    for request in requests:
        by_workspace[request.workspace_id][request.backend_id] = request
    return by_workspace


def visible_runs(request: CarrelRequest) -> QuerySet[RunGroup]:
    """Return the runs of projects and backends that this person may know of, latest first.

    Their requests (`visible_requests`) are those on such backends, in the order of backends.
    """
    backends = visible_backends(request.person, request.rights)
    projects = visible_projects(request.person, request.rights)
    requests = JobRequest.objects.filter(backend__in=backends)
    ordered = requests.select_related("backend").order_by("backend__position", "backend__slug")
    return (
        RunGroup.objects.filter(workspace__project__in=projects)
        .filter(Exists(requests.filter(run=OuterRef("pk"))))
        .select_related("workspace__project", "created_by")
        .prefetch_related(Prefetch("requests", queryset=ordered, to_attr="visible_requests"))
    )
