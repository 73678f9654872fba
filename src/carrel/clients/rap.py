"""A client of the RAP API, for commands and for the job server: typed answers, and one clear error per failure."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel

from carrel.messages.rap import (
    BackendStatusResponse,
    RapBackendStates,
    RapCancelResponse,
    RapCreateRequest,
    RapCreateResponse,
    RapJobStatuses,
    RapStatusResponse,
)

if TYPE_CHECKING:
    import httpx

Answer = TypeVar("Answer", bound=BaseModel)

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 90.0
"""Longer than the controller gives git: creating jobs may fetch the study first."""


class RapError(Exception):
    """Base class: the controller did not do what was asked."""


class RapRefused(RapError):
    """The controller answered, and refused. `status` is HTTP's; `details` the controller's words."""

    def __init__(self, status: int, error: str, details: str) -> None:
        super().__init__(f"{error}: {details}" if error else details)
        self.status = status
        self.error = error
        self.details = details


class RapUnavailable(RapError):
    """The controller could not be reached, cannot do it just now, or gave no answer that can be read: trying again may
    work, and nothing has become of what was asked for."""


class RapFault(RapUnavailable):
    """The controller answered that it cannot do it just now, in words of its own (a status of 500 or more)."""


class RapUnreadable(RapUnavailable):
    """What came back is no controller's answer, or is longer than what is read.

    `less_may_work`: it may be for one of the things that were asked for, and not because somebody else answers there.
    """

    def __init__(self, message: str, less_may_work: bool) -> None:
        super().__init__(message)
        self.less_may_work = less_may_work


class RapClient:
    """Talks to one controller. `base_url` ends in `/controller/v1/`. A context manager; safe for several threads."""

    def __init__(self, base_url: str, token: str, http: httpx.Client | None = None) -> None:
        import httpx

        self.base_url = base_url.rstrip("/") + "/"
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self._http = http or httpx.Client(timeout=timeout)
        self._headers = {"Authorization": token}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def create(self, request: RapCreateRequest) -> RapCreateResponse:
        """Create the jobs of a request; sending it again changes nothing. Raises RapRefused, RapUnavailable."""
        # A scope of null is left out: OpenSAFELY's controller does not take it.
        body = request.model_dump(mode="json", exclude_none=True)
        return self._call("POST", "rap/create/", RapCreateResponse, body)

    def cancel(self, rap_id: str, actions: list[str]) -> RapCancelResponse:
        """Cancel actions of a request. Raises RapRefused (status 404 when there are no such jobs), RapUnavailable."""
        # Not checked here: what an id must look like is the controller's to say, in the answer to this call.
        return self._call("POST", "rap/cancel/", RapCancelResponse, {"rap_id": rap_id, "actions": actions})

    def status(self, rap_ids: list[str]) -> RapStatusResponse:
        """Jobs of these requests. Raises RapRefused, RapUnavailable."""
        return self._call("POST", "rap/status/", RapStatusResponse, {"rap_ids": rap_ids})

    def job_statuses(self, rap_ids: list[str]) -> RapJobStatuses:
        """Like `status()`, with the jobs as they came: one that is odd hides no other. Raises as it does."""
        return self._call("POST", "rap/status/", RapJobStatuses, {"rap_ids": rap_ids})

    def backend_states(self) -> RapBackendStates:
        """Like `backends()`, with the states as they came. Raises as it does."""
        return self._call("GET", "backend/status/", RapBackendStates)

    def backends(self) -> BackendStatusResponse:
        """State of the backends that the token may use. Raises RapRefused, RapUnavailable."""
        return self._call("GET", "backend/status/", BackendStatusResponse)

    def _call(self, method: str, path: str, answer_type: type[Answer], body: dict[str, Any] | None = None) -> Answer:
        import httpx

        from carrel.units.answers import AnswerTooLong, ask

        try:
            url = self.base_url + path
            answer = ask(self._http, method, url, seconds=ANSWER_SECONDS, json=body, headers=self._headers)
        except AnswerTooLong as error:
            raise RapUnreadable(f"{self.base_url}: {error}", less_may_work=True) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RapUnavailable(
                f"The controller at {self.base_url} does not answer ({type(error).__name__}). "
                "Is it running, and is the address right?"
            ) from error
        return self._read(answer, answer_type)

    def _read(self, answer: httpx.Response, answer_type: type[Answer]) -> Answer:
        try:
            content = answer.json()
            if answer.status_code < 400:
                return answer_type.model_validate(content)
            if answer.status_code >= 500:
                raise RapFault(f"{content['error']}: {content['details']}")
            raise RapRefused(answer.status_code, str(content["error"]), str(content["details"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RapUnreadable(
                f"{self.base_url} answered {answer.status_code} with something that is no controller's answer: "
                "is the address right? It should end in /controller/v1/",
                less_may_work=answer.status_code in (413, 500)
                or (answer.status_code < 300 and answer.content.lstrip()[:1] in (b"{", b"[")),
            ) from error
