"""An agent as OpenSAFELY's behaves on the wire, written from the spec alone (controller.md 2.1, agent.md 4.1).

It knows nothing of Carrel's extensions, refuses any key that is not in the contract, and raises on any answer that
is not 2xx.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.support.controller import results

STAGES = ("preparing", "prepared", "executing", "finalizing")


@dataclass
class ContractTask:
    """Made from exactly these keys: one more or less is a TypeError."""

    id: str
    backend: str
    type: str
    definition: dict[str, Any]
    attributes: dict[str, Any]
    created_at: int


@dataclass
class ContractStudy:
    git_repo_url: str
    commit: str
    branch: str


@dataclass
class ContractDefinition:
    id: str
    rap_id: str
    task_id: str
    repo_url: str
    commit: str
    study: ContractStudy
    workspace: str
    action: str
    created_at: int
    user: str
    image: str
    image_sha: str | None
    args: list[str]
    env: dict[str, str]
    inputs: list[str]
    input_job_ids: list[str]
    output_spec: dict[str, str]
    allow_database_access: bool
    database_name: str | None
    cpu_count: float
    memory_limit: str
    level4_max_filesize: int
    level4_max_csv_rows: int
    level4_file_types: list[str]


@dataclass
class LegacyAgent:
    """One step per task per loop, serially, and a report each time, as the contract's agent does."""

    url: str
    backend: str = "test"
    token: str = "test-token"
    exit_codes: dict[str, str] = field(default_factory=dict)
    """By action; default "0"."""
    steps: dict[str, int] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    """Actions in the order in which they were executed."""

    def get(self) -> list[ContractTask]:
        answer = httpx.get(f"{self.url}/{self.backend}/tasks/", headers=self.headers, timeout=60)
        answer.raise_for_status()
        body = answer.json()
        assert set(body) == {"tasks"}
        return [ContractTask(**task) for task in body["tasks"]]

    def update(self, task_id: str, stage: str, results: dict[str, Any] | None = None, complete: bool = False) -> None:
        message = {
            "task_id": task_id,
            "stage": stage,
            "results": results,
            "complete": complete,
            "timestamp_ns": time.time_ns(),
        }
        url = f"{self.url}/{self.backend}/task/update/"
        answer = httpx.post(url, data={"payload": json.dumps(message)}, headers=self.headers, timeout=60)
        answer.raise_for_status()
        assert answer.json() == {"response": "Update successful"}

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": self.token}

    def loop(self) -> int:
        """One loop over all tasks; how many there were."""
        tasks = self.get()
        for task in tasks:
            {"runjob": self.step, "canceljob": self.cancel, "dbstatus": self.status}[task.type](task)
        return len(tasks)

    def step(self, task: ContractTask) -> None:
        job = definition_of(task)
        at = self.steps.get(task.id, 0)
        self.steps[task.id] = at + 1
        if at < len(STAGES):
            if STAGES[at] == "executing":
                self.ran.append(job.action)
            self.update(task.id, STAGES[at])
            return
        self.update(task.id, "finalized", results(exit_code=self.exit_codes.get(job.action, "0")), complete=True)

    def cancel(self, task: ContractTask) -> None:
        assert definition_of(task).task_id == task.id
        self.update(task.id, "finalized", results(exit_code="137"), complete=True)

    def status(self, task: ContractTask) -> None:
        self.update(task.id, "", {"results": {"status": ""}, "error": None}, complete=True)


def definition_of(task: ContractTask) -> ContractDefinition:
    given = dict(task.definition)
    return ContractDefinition(**{**given, "study": ContractStudy(**given["study"])})
