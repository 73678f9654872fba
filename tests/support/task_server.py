"""A small real controller for tests of the agent: the task API of controller.md 2.1, with or without our extensions.

Written from the spec alone, so that a mistake shared by our agent and our controller shows.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "agent-token"


class TaskServer:
    """Tasks, updates and every request, in memory. `contract=True`: as OpenSAFELY's controller, extensions unknown."""

    def __init__(self, *, contract: bool = False, backend: str = "test") -> None:
        self.contract, self.backend = contract, backend
        self.tasks: dict[str, dict] = {}
        self.updates: list[dict] = []
        self.requests: list[tuple[str, str, dict, bytes]] = []
        self.heartbeats: list[dict] = []
        self.down = False
        self.arrivals: dict[str, float] = {}
        self._version = 1
        self._closed = False
        self._changed = threading.Condition()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._closed = True
        with self._changed:
            self._changed.notify_all()
        self._http.shutdown()
        self._http.server_close()

    def add(self, task: dict) -> None:
        with self._changed:
            self.tasks[task["id"]] = task
            self._change()

    def cancel(self, task_id: str) -> str:
        """What a controller does: the attempt's task goes, a cancelling one comes."""
        with self._changed:
            task = self.tasks.pop(task_id)
            cancel = {**task, "id": f"{task_id}-cancel", "type": "canceljob"}
            cancel["definition"] = {**task["definition"], "task_id": cancel["id"], "image_sha": None}
            self.tasks[cancel["id"]] = cancel
            self._change()
        return cancel["id"]

    def withdraw(self, task_id: str) -> None:
        with self._changed:
            del self.tasks[task_id]
            self._change()

    def _change(self) -> None:
        self._version += 1
        self._changed.notify_all()

    def final(self, task_id: str, timeout: float = 60) -> dict:
        """The final report of a task."""
        self.wait_for(lambda: self.finals(task_id), timeout)
        return self.finals(task_id)[0]

    def finals(self, task_id: str) -> list[dict]:
        return [update for update in self.updates if update["task_id"] == task_id and update["complete"]]

    def stages(self, task_id: str) -> list[str]:
        return [update["stage"] for update in self.updates if update["task_id"] == task_id]

    def wait_for(self, condition: Callable[[], object], timeout: float = 60) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise AssertionError(f"not in {timeout} s; updates: {self.updates}")

    # What the handler calls

    def listing(self, wait: float, seen: str | None) -> dict:
        with self._changed:
            if self.contract:
                return {"tasks": list(self.tasks.values())}
            self._changed.wait_for(lambda: self._closed or seen != str(self._version), wait)
            return {"tasks": list(self.tasks.values()), "cursor": str(self._version)}

    def take(self, update: dict) -> int:
        """200, 404 or 409, as the spec says."""
        with self._changed:
            known = self.tasks.get(update["task_id"])
            done = self.finals(update["task_id"])
            self.arrivals.setdefault(f"{update['task_id']} {update['stage']} {update['complete']}", time.monotonic())
            if known is None and not done:
                self._changed.notify_all()
                return 404
            if known and not self.contract and known["carrel"]["attempt_token"] != update.get("attempt_token"):
                return 409
            self.updates.append(update)
            if update["complete"] and known:
                del self.tasks[update["task_id"]]
                self._change()
            self._changed.notify_all()
            return 200


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away (killed, on purpose) is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    owner: TaskServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if not self._admitted(b""):
            return
        if url.path != f"/{self.owner.backend}/tasks/":
            self._answer(404, {"error": "Not found"})
            return
        self._answer(200, self.owner.listing(float(query.get("wait", 0)), query.get("seen")))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._admitted(body):
            return
        path = self.path.removeprefix(f"/{self.owner.backend}/")
        if path == "task/update/":
            form = parse_qs(body.decode(), strict_parsing=True)
            [payload] = form.pop("payload")
            taken = self.owner.take(json.loads(payload)) == 200 and not form
            self._answer(200 if taken else 500, {"response": "Update successful"} if taken else {"error": "Error"})
        elif path == "tasks/updates/" and not self.owner.contract:
            updates = json.loads(body)["updates"]
            outcomes = [{"task_id": update["task_id"], "status": self.owner.take(update)} for update in updates]
            self._answer(200, {"outcomes": outcomes})
        elif path == "tasks/heartbeat/" and not self.owner.contract:
            self.owner.heartbeats.append(json.loads(body)["attempts"])
            self._answer(200, {"superseded": []})
        else:
            self._answer(404, {"error": "Not found"})

    def _admitted(self, body: bytes) -> bool:
        self.owner.requests.append((self.command, self.path, dict(self.headers), body))
        if self.owner.down:
            self._answer(503, {"error": "down"})
        elif self.headers.get("Authorization") != TOKEN:
            self._answer(401, {"error": "Unauthorized", "details": "Invalid token"})
        else:
            return True
        return False

    def _answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(**options: object):
    server = TaskServer(**options)
    try:
        yield server
    finally:
        server.close()
