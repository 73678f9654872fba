"""One backend's connection to a job server, for all that is asked of it: bounded answers, and one clear error a fault.

The token goes to the one host that is configured, wherever redirects lead.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from carrel.units.limits import MAX_ANSWER_BYTES

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
    """The job server answered, and refused: `status` is HTTP's; `detail` its own words."""

    def __init__(self, status: int, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail

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


class JobServerUnreadable(JobServerUnavailable):
    """Something answered, and it is no job server's answer."""


class JobServerConnection:
    """Asks a job server at `endpoint`, the URL above `job-requests/` and `releases/`. A context manager.

    `token_setting`: the variable that holds the token, for messages. Proxies and certificates are those of the
    environment (HTTPS_PROXY, SSL_CERT_FILE).
    """

    def __init__(self, endpoint: str, token: str, token_setting: str, http: httpx.Client | None = None) -> None:
        import httpx

        self.endpoint = endpoint.rstrip("/") + "/"
        self._token_setting = token_setting
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

    def ask(
        self,
        method: str,
        path: str,
        *,
        status: int = 200,
        limit: int | None = None,
        seconds: float | None = None,
        headers: dict[str, Any] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Return an answer of this `status`, read to at most `limit` bytes within `seconds`.

        `path`: below the endpoint. Raises JobServerRefused or JobServerUnavailable.
        """
        import httpx

        from carrel.units.answers import ask

        limit, seconds = limit or MAX_ANSWER_BYTES, seconds or ANSWER_SECONDS
        try:
            url, sent = self.endpoint + path, {**self._headers, **(headers or {})}
            answer = ask(self._http, method, url, limit, seconds, headers=sent, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise JobServerUnavailable(
                f"The job server at {self.endpoint} does not answer as it should ({type(error).__name__}): "
                "is the address right, and may this machine reach it?"
            ) from error
        if answer.status_code != status:
            raise self._failure(answer)
        return answer

    def json(self, answer: httpx.Response, path: str) -> Any:
        """Return an answer's JSON. Raises JobServerUnreadable."""
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise self.strange(path, answer.status_code) from None

    def strange(self, path: str, status: int) -> JobServerUnreadable:
        """Return the error for an answer that is no job server's."""
        return JobServerUnreadable(
            f"{self.endpoint}{path} answered {status} with something that is no job server's answer: "
            "is JOB_SERVER_ENDPOINT right? It often ends in /api/v2/"
        )

    def _failure(self, answer: httpx.Response) -> JobServerError:
        status, path = answer.status_code, answer.request.url.path
        if status < 300:
            return self.strange(path.rpartition("/api/v2/")[2], status)
        if status < 400:
            return JobServerUnavailable(
                f"{self.endpoint} sends us elsewhere ({status}); the token goes to no other address. "
                "If the job server has moved, say so in JOB_SERVER_ENDPOINT."
            )
        if status in (429, 502, 503, 504):
            pause = answer.headers.get("Retry-After", "")
            seconds = float(pause) if pause.isascii() and pause.isdigit() and len(pause) < 10 else 0.0
            return JobServerUnavailable(f"The job server cannot answer just now ({status})", seconds)
        detail = _detail(answer)
        if status in (401, 403):
            advice = f"check the backend's token ({self._token_setting})"
            message = f"The job server refuses the token ({status}: {detail}): {advice}"
            return JobServerRefused(status, message, detail)
        return JobServerRefused(status, f"The job server answered {status} to {path}: {detail}", detail)


def _detail(answer: httpx.Response) -> str:
    """The job server's own words, as far as they are words."""
    try:
        content = answer.json()
        text = content["detail"] if isinstance(content, dict) else content
    except (ValueError, KeyError, RecursionError):
        text = "no reason that can be read"
    return "".join(character if character.isprintable() else " " for character in str(text))[:LONGEST_DETAIL]
