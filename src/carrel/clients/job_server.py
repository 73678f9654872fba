"""A client of a job server's older link: what is asked for on a backend, and what became of it.

For a controller that nobody can reach (spec: job-server.md section 2.1). One bad request in an answer costs no other;
the token goes to the one host that is configured, wherever redirects and links to next pages lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from carrel.clients.job_server_connection import (
    LONGEST_DETAIL,
    JobServerConnection,
    JobServerError,
    JobServerRefused,
    JobServerUnavailable,
)
from carrel.messages.job_requests import FLAGS_HEADER, POSTED, ActiveJobRequest, PostedJob, posted_body
from carrel.units.limits import MAX_ANSWER_BYTES, MAX_JOB_REQUEST_PAGES

if TYPE_CHECKING:
    import httpx

__all__ = [
    "ActiveJobRequests",
    "JobServerClient",
    "JobServerError",
    "JobServerRefused",
    "JobServerUnavailable",
    "MalformedJobRequest",
]


@dataclass(frozen=True, slots=True)
class MalformedJobRequest:
    """A request of an answer that cannot be read. `identifier` and `backend` are empty where they cannot be read."""

    identifier: str
    backend: str
    problem: str


@dataclass(slots=True)
class ActiveJobRequests:
    """What the job server says is asked for, newest first; of a request on two pages, the first reading."""

    requests: list[ActiveJobRequest] = field(default_factory=list)
    malformed: list[MalformedJobRequest] = field(default_factory=list)
    failure: JobServerError | None = None
    """Why later pages are missing."""


class JobServerClient(JobServerConnection):
    """One backend's link to a job server that it asks. A context manager."""

    def __init__(self, endpoint: str, token: str, http: httpx.Client | None = None) -> None:
        super().__init__(endpoint, token, "JOB_SERVER_LINK_TOKEN", http)

    def active_requests(self, flags: str = "{}") -> ActiveJobRequests:
        """Every request that the backend is not finished with. `flags`: its flags, as JSON.

        Raises JobServerRefused or JobServerUnavailable when the first page cannot be had; a later one's absence is
        told in the result.
        """
        active = ActiveJobRequests()
        queries, query, room = {""}, "", MAX_ANSWER_BYTES
        for _ in range(MAX_JOB_REQUEST_PAGES):
            try:
                results, next_query, size = self._page(query, flags, room)
            except JobServerError as error:
                if query == "":
                    raise
                active.failure = error
                return active
            _add(active, results)
            if next_query in queries:
                return active
            queries.add(next_query)
            query, room = next_query, room - size
        active.failure = JobServerUnavailable(f"There are more than {MAX_JOB_REQUEST_PAGES} pages of job-requests/")
        return active

    def post_jobs(self, jobs: Sequence[PostedJob], flags: str = "{}") -> None:
        """Tell of all jobs of some requests; sending them again changes nothing.

        A request's jobs that are not in the list are deleted by the job server: send them all, always. Raises
        JobServerRefused or JobServerUnavailable; in both cases the job server may have taken them.
        """
        headers = {"Content-Type": "application/json"}
        answer = self.ask("POST", "jobs/", content=posted_body(jobs), headers={FLAGS_HEADER: flags, **headers})
        content = self.json(answer, "jobs/")
        if not isinstance(content, dict) or content.get("status") != POSTED["status"]:
            raise self.strange("jobs/", 200)

    def _page(self, query: str, flags: str, limit: int) -> tuple[list[Any], str, int]:
        """What is on a page, the query of the next one (of its URL, nothing else is believed), and its size."""
        path = f"job-requests/?{query}" if query else "job-requests/"
        answer = self.ask("GET", path, limit=limit, headers={FLAGS_HEADER: flags})
        page, size = self.json(answer, "job-requests/"), len(answer.content)
        if not isinstance(page, dict) or not isinstance(page.get("results"), list):
            raise self.strange("job-requests/", 200)
        link = page.get("next")
        try:
            return page["results"], urlsplit(link).query if isinstance(link, str) else "", size
        except ValueError:
            return page["results"], "", size


def _add(active: ActiveJobRequests, results: list[Any]) -> None:
    identifiers = {request.identifier for request in active.requests}
    for result in results:
        try:
            request = ActiveJobRequest.model_validate(result)
        except (ValidationError, RecursionError) as error:
            active.malformed.append(_malformed(result, error))
            continue
        if request.identifier not in identifiers:
            identifiers.add(request.identifier)
            active.requests.append(request)


def _malformed(result: Any, error: Exception) -> MalformedJobRequest:
    keys = result if isinstance(result, dict) else {}
    identifier, backend = (
        value if isinstance(value := keys.get(name), str) else "" for name in ("identifier", "backend")
    )
    problem = "it is nested too deep"
    if isinstance(error, ValidationError):
        faults = [(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors(include_url=False)[:5]]
        problem = "; ".join(f"{field}: {message}" if field else message for field, message in faults)
    return MalformedJobRequest(identifier, backend, problem[:LONGEST_DETAIL])
