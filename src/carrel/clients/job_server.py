"""A client of a job server's older link: what is asked for on a backend, and what became of it.

For a controller that nobody can reach (spec: job-server.md section 2.1). One bad request in an answer costs no other;
the token goes to the one host that is configured, wherever redirects and links to next pages lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pydantic import ValidationError

from carrel.messages.job_requests import FLAGS_HEADER, POSTED, ActiveJobRequest, PostedJob, posted_body
from carrel.units.limits import MAX_ANSWER_BYTES, MAX_JOB_REQUEST_PAGES

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
BLOCK_SECONDS = 15.0
"""Longest wait for the next piece of an answer."""
ANSWER_SECONDS = 30.0
"""Longest time that the body of one answer may take."""
LONGEST_DETAIL = 300
"""Characters of what a job server says that go into a message of ours."""


class JobServerError(Exception):
    """Base class: the job server did not do what was asked. The text names no secret."""


class JobServerRefused(JobServerError):
    """The job server answered, and refused: `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_about_content(self) -> bool:
        """It may be for what was sent, so that less of it may be taken."""
        return self.status in (400, 413, 422, 500)


class JobServerUnavailable(JobServerError):
    """The job server cannot be reached, cannot do it just now, or gave no answer that can be read.

    `retry_after`: seconds for which it asked to be left alone.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


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


class JobServerClient:
    """One backend's connection to a job server. `endpoint` is the URL above `job-requests/` and `jobs/`.

    Proxies and certificates are those of the environment (HTTPS_PROXY, SSL_CERT_FILE). A context manager.
    """

    def __init__(self, endpoint: str, token: str, http: httpx.Client | None = None) -> None:
        import httpx

        self.endpoint = endpoint.rstrip("/") + "/"
        timeout = httpx.Timeout(BLOCK_SECONDS, connect=CONNECT_SECONDS)
        self._http = http or httpx.Client(timeout=timeout, follow_redirects=False)
        self._headers = {"Authorization": token, "Accept": "application/json"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

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
        content, _ = self._ask("POST", "jobs/", flags, MAX_ANSWER_BYTES, content=posted_body(jobs), headers=headers)
        if not isinstance(content, dict) or content.get("status") != POSTED["status"]:
            raise JobServerUnavailable(self._strange("jobs/", 200))

    def _page(self, query: str, flags: str, limit: int) -> tuple[list[Any], str, int]:
        """What is on a page, the query of the next one (of its URL, nothing else is believed), and its size."""
        page, size = self._ask("GET", f"job-requests/?{query}" if query else "job-requests/", flags, limit)
        if not isinstance(page, dict) or not isinstance(page.get("results"), list):
            raise JobServerUnavailable(self._strange("job-requests/", 200))
        link = page.get("next")
        try:
            return page["results"], urlsplit(link).query if isinstance(link, str) else "", size
        except ValueError:
            return page["results"], "", size

    def _ask(self, method: str, path: str, flags: str, limit: int, **options: Any) -> tuple[Any, int]:
        """The JSON of an answer 200, and its length in bytes."""
        import httpx

        from carrel.units.answers import ask

        headers = {**self._headers, FLAGS_HEADER: flags, **options.pop("headers", {})}
        try:
            url = self.endpoint + path
            answer = ask(self._http, method, url, limit, ANSWER_SECONDS, headers=headers, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise JobServerUnavailable(
                f"The job server at {self.endpoint} does not answer as it should ({type(error).__name__}): "
                "is the address right, and may this machine reach it?"
            ) from error
        if answer.status_code != httpx.codes.OK:
            raise self._failure(answer)
        try:
            return answer.json(), len(answer.content)
        except (ValueError, RecursionError):
            raise JobServerUnavailable(self._strange(path.partition("?")[0], answer.status_code)) from None

    def _failure(self, answer: httpx.Response) -> JobServerError:
        status, path = answer.status_code, answer.request.url.path
        if 300 <= status < 400:
            return JobServerUnavailable(
                f"{self.endpoint} sends us elsewhere ({status}); the token goes to no other address. "
                "If the job server has moved, say so in JOB_SERVER_ENDPOINT."
            )
        if status in (401, 403):
            advice = "check the backend's token (JOB_SERVER_LINK_TOKEN)"
            return JobServerRefused(status, f"The job server refuses the token ({status}: {_detail(answer)}): {advice}")
        if status in (429, 502, 503, 504):
            pause = answer.headers.get("Retry-After", "")
            seconds = float(pause) if pause.isascii() and pause.isdigit() and len(pause) < 10 else 0.0
            return JobServerUnavailable(f"The job server cannot answer just now ({status})", seconds)
        return JobServerRefused(status, f"The job server answered {status} to {path}: {_detail(answer)}")

    def _strange(self, path: str, status: int) -> str:
        return (
            f"{self.endpoint}{path} answered {status} with something that is no job server's answer: "
            "is JOB_SERVER_ENDPOINT right? It often ends in /api/v2/"
        )


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


def _detail(answer: httpx.Response) -> str:
    """The job server's own words, as far as they are words."""
    try:
        content = answer.json()
        text = content["detail"] if isinstance(content, dict) else content
    except (ValueError, KeyError, RecursionError):
        text = "no reason that can be read"
    return "".join(character if character.isprintable() else " " for character in str(text))[:LONGEST_DETAIL]
