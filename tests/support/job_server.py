"""A small real job server for tests of the older link: job-server.md section 2.1, in memory.

Written from the spec alone, so that a mistake shared by our client and our job server shows. `faults` says what goes
wrong with the next requests, one after another.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.http_server import Handler, running

PAGE = 100
ACTIVE = {"pending", "running", "unknown", "unknown_error_creating_jobs"}
REQUIRED = ("job_request_id", "identifier", "action", "status", "status_code", "status_message", "created_at")
OPTIONAL = ("run_command", "updated_at", "started_at", "completed_at", "trace_context", "metrics", "requires_db")
STATUSES = {"pending", "running", "failed", "succeeded"}


@dataclass
class Asked:
    """One request that reached the server."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class JobServer:
    """What it has stored, and what it will do wrong."""

    tokens: dict[str, str] = field(default_factory=lambda: {"test-link": "test", "tpp-link": "tpp"})
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By identifier, as they are listed; oldest first."""
    stored: dict[str, str] = field(default_factory=dict)
    """By identifier, the request's stored status."""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: deque[str] = field(default_factory=deque)
    """`ok`, `lost before`, `lost after`, `half`, `html`, `detail 403`, or the number of a status."""
    refused_ids: set[str] = field(default_factory=set)
    """Requests whose jobs this server cannot store: it answers 500 to a list with any of them."""
    largest_post: int = 10**9
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, identifier: str, **changes: Any) -> dict[str, Any]:
        """A new request of a person's."""
        workspace = {"name": "ws", "repo": "https://github.com/opensafely/study", "branch": "main"}
        request = {
            "backend": "test",
            "sha": "a" * 40,
            "identifier": identifier,
            "force_run_dependencies": False,
            "requested_actions": ["run_all"],
            "cancelled_actions": [],
            "created_by": "alice",
            "created_at": "2026-11-22T05:06:20.123456Z",
            "workspace": workspace | {"created_by": "alice", "created_at": "2026-11-01T00:00:00Z"},
            "database_name": "default",
            "project": "the-project",
            "orgs": ["org1"],
            "codelists_ok": True,
        }
        workspace_changes = changes.pop("workspace", {})
        with self.lock:
            self.requests[identifier] = request | changes
            if isinstance(workspace_changes, dict):
                request["workspace"].update(workspace_changes)
            else:
                self.requests[identifier]["workspace"] = workspace_changes
            self.stored[identifier] = "pending"
        return self.requests[identifier]

    def cancel(self, identifier: str, *actions: str) -> None:
        with self.lock:
            cancelled = self.requests[identifier]["cancelled_actions"]
            cancelled += [action for action in actions if action not in cancelled]

    def jobs_of(self, identifier: str) -> dict[str, dict[str, Any]]:
        """By action."""
        with self.lock:
            return {job["action"]: job for job in self.jobs.values() if job["job_request_id"] == identifier}

    def status(self, identifier: str) -> str:
        """The derivation of section 1, which stores what it finds."""
        with self.lock:
            statuses = {job["status"] for job in self.jobs_of(identifier).values()}
            if self.stored[identifier] not in ACTIVE or not statuses:
                return self.stored[identifier]
            status = next((name for name in ("running", "failed") if name in statuses), "unknown")
            if "pending" in statuses and len(statuses) > 1:
                status = "running"
            self.stored[identifier] = statuses.pop() if len(statuses) == 1 else status
            return self.stored[identifier]

    def is_active(self, identifier: str) -> bool:
        live = any(job["status"] in ("pending", "running") for job in self.jobs_of(identifier).values())
        return live or self.status(identifier) in ACTIVE

    def page(self, backend: str | None, query: dict[str, list[str]], base: str) -> dict[str, Any]:
        offset = int(query.get("offset", ["0"])[0])
        with self.lock:
            active = [
                request
                for identifier, request in reversed(self.requests.items())
                if self.is_active(identifier) and backend in (None, request.get("backend"))
            ]
        end = offset + PAGE
        return {
            "count": len(active),
            "next": f"{base}?limit={PAGE}&offset={end}" if len(active) > end else None,
            "previous": f"{base}?limit={PAGE}&offset={max(0, offset - PAGE)}" if offset else None,
            "results": active[offset:end],
        }

    def take(self, backend: str, posted: Any) -> tuple[int, Any]:
        """POST jobs/: the whole list or nothing."""
        if not isinstance(posted, list):
            return 400, {"non_field_errors": ["Expected a list of items"]}
        for job in posted:
            unexpected = set(job) - {*REQUIRED, *OPTIONAL}
            if unexpected or any(name not in job for name in REQUIRED) or job["status"] not in STATUSES:
                return 400, [{"unexpected": sorted(unexpected)}]
        if {job["job_request_id"] for job in posted} & self.refused_ids:
            return 500, {"detail": "Server Error"}
        with self.lock:
            ours = {key for key, request in self.requests.items() if request.get("backend") == backend}
            told = [job for job in posted if job["job_request_id"] in ours]
            for identifier in {job["job_request_id"] for job in told}:
                named = {job["identifier"] for job in told if job["job_request_id"] == identifier}
                for job in list(self.jobs_of(identifier).values()):
                    if job["identifier"] not in named:
                        del self.jobs[job["identifier"]]
            self.jobs.update({job["identifier"]: job for job in told})
            for identifier in {job["job_request_id"] for job in told}:
                self.status(identifier)
        return 200, {"status": "success"}


class _Handler(Handler):
    owner: JobServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes | None) -> None:
        server, url = self.owner, urlsplit(self.path)
        content = json.loads(body) if body else None
        server.asked.append(Asked(self.command, self.path, dict(self.headers), content))
        fault = server.faults.popleft() if server.faults else "ok"
        if fault == "lost before":
            self.close_connection = True
            return
        if fault not in ("ok", "lost after", "half"):
            self._wrong(fault)
            return
        token = self.headers.get("Authorization")
        backend = server.tokens.get(token or "")
        if (token and backend is None) or (body is not None and token is None):
            status, answer = 403, {"detail": "Invalid token."}
        elif url.path == "/api/v2/job-requests/" and body is None:
            base = f"http://elsewhere.invalid{url.path}"  # as behind a proxy that hides the host
            status, answer = 200, server.page(backend, parse_qs(url.query), base)
        elif url.path == "/api/v2/jobs/" and body is not None and len(body) > server.largest_post:
            status, answer = 413, {"detail": "Request entity too large"}
        elif url.path == "/api/v2/jobs/" and body is not None:
            status, answer = server.take(str(backend), content)
        else:
            status, answer = 404, {"detail": "Not found."}
        if fault == "lost after":
            self.close_connection = True
            return
        text = json.dumps(answer).encode()
        extra = 10 if fault == "half" else 0
        self.close_connection = bool(extra)
        self.send(status, text, {"Content-Type": "application/json", "Content-Length": str(len(text) + extra)})

    def _wrong(self, fault: str) -> None:
        if fault == "html":
            self.send(200, b"<html><title>Sign in</title></html>", {"Content-Type": "text/html"})
        elif fault == "detail 403":
            self.send(403, b'{"detail": "Invalid token."}', {"Content-Type": "application/json"})
        else:
            self.send(
                int(fault), b"<html>trouble</html>", {"Location": "http://elsewhere.invalid/", "Retry-After": "7"}
            )


@contextmanager
def job_server(**values: Any) -> Iterator[JobServer]:
    """A job server on a free port; `url` is what JOB_SERVER_ENDPOINT is set to."""
    server = JobServer(**values)
    handler = type("_Handler", (_Handler,), {"owner": server})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    with running(http):
        server.url = f"http://127.0.0.1:{http.server_port}/api/v2/"
        yield server
