"""The task API as an agent speaks it (controller.md 2.1): with the extensions of a Carrel controller, or without.

Which of the two it is shows in the first answer: only ours sends a cursor. Nothing is guessed from versions.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from carrel import __version__
from carrel.messages.tasks import (
    CARREL_AGENT_HEADER,
    Heartbeat,
    HeartbeatResult,
    TaskUpdate,
    UpdateBatch,
    UpdateOutcome,
)
from carrel.units.answers import ask

logger = logging.getLogger(__name__)
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0


class ControllerUnavailable(Exception):
    """The controller cannot be reached, or did not answer as it should. The text names no secret."""


@dataclass(frozen=True, slots=True)
class TaskPage:
    """The tasks an agent is to work on now, as JSON objects: all of them, not only new ones."""

    tasks: list[dict[str, Any]]
    cursor: str | None = None


class TaskClient:
    """One backend's connection to its controller. Safe from many threads."""

    def __init__(self, endpoint: str, backend: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        base = urljoin(endpoint if endpoint.endswith("/") else endpoint + "/", backend) + "/"
        headers = {"Authorization": token, CARREL_AGENT_HEADER: __version__}
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self.contract_only: bool | None = None
        """True: an OpenSAFELY controller; None: not known yet."""
        self._http = httpx.Client(base_url=base, headers=headers, timeout=timeout, trust_env=False, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def fetch_tasks(self, seen: str | None, wait: float) -> TaskPage:
        """The present tasks; waits up to `wait` seconds at the controller for them to differ from `seen`."""
        params = {} if self.contract_only else {"wait": f"{wait:g}"} | ({"seen": seen} if seen else {})
        timeout = httpx.Timeout(wait + ANSWER_SECONDS, connect=CONNECT_SECONDS)
        answer = self._ask("GET", "tasks/", params=params, timeout=timeout)
        self.contract_only = answer.get("cursor") is None
        return TaskPage(list(answer["tasks"]), answer.get("cursor"))

    def send(self, updates: Sequence[TaskUpdate]) -> list[UpdateOutcome]:
        """Deliver updates in order; one outcome each. Raises ControllerUnavailable: send all of them again later."""
        if self.contract_only:
            return [self._send_one(update) for update in updates]
        body = UpdateBatch(updates=list(updates)).model_dump(mode="json")
        answer = self._ask("POST", "tasks/updates/", json=body)
        return [UpdateOutcome.model_validate(outcome) for outcome in answer["outcomes"]]

    def _send_one(self, update: TaskUpdate) -> UpdateOutcome:
        """The contract's request: a form with one field. A refusal (500) is the answer for this update alone."""
        payload = json.dumps(update.model_dump(mode="json", exclude={"attempt_token", "publish"}))
        response = self._request("POST", "task/update/", data={"payload": payload})
        if response.status_code not in (200, 500):
            raise ControllerUnavailable(_complaint(response))
        if update.publish and response.status_code == httpx.codes.OK:
            # Their controller gives no word: whether it wants the attempt now is the nearest thing to one.
            listed = {task.get("id") for task in self.fetch_tasks(None, 0).tasks}
            status = httpx.codes.OK if update.task_id in listed else httpx.codes.CONFLICT
            return UpdateOutcome(task_id=update.task_id, status=int(status))
        return UpdateOutcome(task_id=update.task_id, status=response.status_code)

    def heartbeat(self, attempts: Mapping[str, str]) -> list[str]:
        """Renew the leases of running attempts (task id -> token); the ids whose tokens are no longer valid."""
        body = Heartbeat(attempts=dict(attempts)).model_dump(mode="json")
        return HeartbeatResult.model_validate(self._ask("POST", "tasks/heartbeat/", json=body)).superseded

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = self._request(method, path, **options)
        if response.status_code != httpx.codes.OK:
            raise ControllerUnavailable(_complaint(response))
        try:
            answer: dict[str, Any] = response.json()
            return answer
        except ValueError:
            raise ControllerUnavailable("The controller's answer is not JSON") from None

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return ask(self._http, method, path, **options)
        except httpx.HTTPError as error:
            raise ControllerUnavailable(f"The controller cannot be reached ({type(error).__name__})") from None


def _complaint(response: httpx.Response) -> str:
    if response.status_code in (401, 403):
        return f"The controller refuses our token ({response.status_code}): check CONTROLLER_TASK_API_TOKEN"
    return f"The controller answered {response.status_code} to {response.request.method} {response.request.url.path}"
