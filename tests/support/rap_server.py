"""A controller's RAP API as a job server meets it, played from the contract alone, with the quirks of OpenSAFELY's.

Trailing slashes are compulsory, a scope of null is refused, an id is remembered only once it has jobs, and two calls
for one id that meet end in "Unknown error". `server.answers` takes the place of the next answer of a path.
"""

import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from tests.support.http_server import Handler, running

TOKEN = "job-server-token"
RAP_ID = re.compile(r"[a-z0-9]{16}")
NOW = "2026-05-03T09:00:00Z"


class RapServer(ThreadingHTTPServer):
    """Requests by id, jobs by id, and what was called: `calls` as (path, body)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RapHandler)
        self.base_url = f"http://127.0.0.1:{self.server_port}/controller/v1/"
        self.raps: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        self.backends: list[dict[str, Any]] = []
        self.calls: list[tuple[str, Any]] = []
        self.answers: dict[str, deque[tuple[int, bytes]]] = defaultdict(deque)
        self.cancelled: dict[str, list[str]] = defaultdict(list)
        self.actions: dict[str, list[str]] = {"run_all": ["extract", "model"]}
        """What an action that is asked for comes to, where it is not itself."""
        self.nothing_to_do = False
        self.works = False
        """Each question after its jobs takes them one step further: running, then succeeded, or cancelled."""
        self.lock = threading.Lock()

    def answer_next(self, path: str, status: int, body: Any) -> None:
        """Answer the next call of `rap/create/` and so on with this, instead of doing it."""
        self.answers[path].append((status, body if isinstance(body, bytes) else json.dumps(body).encode()))

    def paths(self) -> list[str]:
        return [path for path, _ in self.calls]

    def set_job(self, rap_id: str, action: str, **values: Any) -> None:
        """Change what is said of a job."""
        next(job for job in self.jobs[rap_id] if job["action"] == action).update(values)


class _RapHandler(Handler):
    server: RapServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(json.loads(body))

    def do_GET(self) -> None:
        self._answer(None)

    def _answer(self, body: Any) -> None:
        path = self.path.removeprefix("/controller/v1/")
        with self.server.lock:
            self.server.calls.append((path, body))
            status, content = self._of(path, body)
        self.send(status, content, {"Content-Type": "application/json"})

    def _of(self, path: str, body: Any) -> tuple[int, bytes]:
        if self.server.answers[path]:
            return self.server.answers[path].popleft()
        if self.headers.get("Authorization") != TOKEN:
            return _json(401, error="Unauthorized", details="Invalid token")
        action = {
            "rap/create/": self._create,
            "rap/cancel/": self._cancel,
            "rap/status/": self._status,
            "backend/status/": lambda _body: _json(200, backends=self.server.backends),
        }.get(path)
        return action(body) if action else _json(404, error="Not found", details=path)

    def _create(self, body: dict[str, Any]) -> tuple[int, bytes]:
        rap_id = body["rap_id"]
        if body.get("analysis_scope", {}) is None or not RAP_ID.fullmatch(rap_id):
            return _json(400, error="Validation error", details="Invalid request body received")
        if rap_id in self.server.raps:
            details = f"Jobs already created for rap_id '{rap_id}'"
            return _json(200, result="No change", details=details, rap_id=rap_id, count=len(self.server.jobs[rap_id]))
        if self.server.nothing_to_do:
            details = "All actions have already completed successfully"
            return _json(200, result="Nothing to do", details=details, rap_id=rap_id, count=0)
        self.server.raps[rap_id] = body
        names = [name for asked in body["requested_actions"] for name in self.server.actions.get(asked, [asked])]
        self.server.jobs[rap_id] = [new_job(rap_id, body["backend"], name) for name in names]
        details = f"Jobs created for rap_id '{rap_id}'"
        return _json(201, result="Success", details=details, rap_id=rap_id, count=len(names))

    def _cancel(self, body: dict[str, Any]) -> tuple[int, bytes]:
        rap_id, actions = body["rap_id"], body["actions"]
        names = {job["action"] for job in self.server.jobs.get(rap_id, [])}
        if not names:
            return _json(404, error="jobs not found", details=f"No jobs found for rap_id {rap_id}", rap_id=rap_id)
        if missing := sorted(set(actions) - names):
            details = f"Jobs matching requested cancelled actions could not be found: {','.join(missing)}"
            return _json(404, error="jobs not found", details=details, rap_id=rap_id, not_found=missing)
        self.server.cancelled[rap_id] += actions
        return _json(200, result="Success", details=f"{len(actions)} actions cancelled", count=len(actions))

    def _status(self, body: dict[str, Any]) -> tuple[int, bytes]:
        known = [rap_id for rap_id in body["rap_ids"] if rap_id in self.server.raps]
        if self.server.works:
            for rap_id in known:
                self._work_on(rap_id)
        jobs = [job for rap_id in known for job in self.server.jobs[rap_id]]
        return _json(200, jobs=jobs, unrecognised_rap_ids=[name for name in body["rap_ids"] if name not in known])

    def _work_on(self, rap_id: str) -> None:
        for job in self.server.jobs[rap_id]:
            if job["status"] == "pending":
                job |= {"status": "running", "status_code": "executing", "started_at": NOW}
            elif job["action"] in self.server.cancelled[rap_id] and job["status"] == "running":
                job |= {"status": "failed", "status_code": "cancelled_by_user", "completed_at": NOW}
            elif job["status"] == "running" and not job["action"].startswith("long"):
                job |= {"status": "succeeded", "status_code": "succeeded", "completed_at": NOW}


def new_job(rap_id: str, backend: str, action: str, **values: Any) -> dict[str, Any]:
    """A job as `rap/status/` has it, just made."""
    return {
        "identifier": f"{action}{rap_id}"[:16].replace("_", "0"),
        "rap_id": rap_id,
        "backend": backend,
        "action": action,
        "run_command": f"python:v2 {action}.py",
        "requires_db": False,
        "status": "pending",
        "status_code": "created",
        "status_message": "Created",
        "created_at": NOW,
        "updated_at": NOW,
        "started_at": None,
        "completed_at": None,
        "trace_context": {"traceparent": ""},
        "metrics": {},
        **values,
    }


def backend_state(slug: str, last_seen: str = NOW, paused: str = "off", maintenance: str = "off") -> dict[str, Any]:
    """A backend as `backend/status/` has it."""
    return {
        "slug": slug,
        "last_seen": last_seen,
        "paused": {"status": paused, "since": NOW},
        "db_maintenance": {"status": maintenance, "since": NOW, "type": "manual" if maintenance == "on" else None},
    }


def _json(status: int, **body: Any) -> tuple[int, bytes]:
    return status, json.dumps(body).encode()


@contextmanager
def rap_server() -> Iterator[RapServer]:
    """A controller that answers while the block lasts."""
    with running(RapServer()) as server:
        yield server
