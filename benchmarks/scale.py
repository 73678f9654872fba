"""Whether a controller's history slows it down: every API call with 1,000,000 finished jobs in the database (SQLite)
against the same call on an almost empty one.

Two workers, one for each database, make the same calls by turns through Django's own request handling; processor
time of the worker, so that neither git nor other programs on the machine count. Target (controller.md part 1
"Speed"): 1.2 times the empty database's. Run: `python -m benchmarks.scale`; the first run makes 1.5 GB in the temp
folder, which later runs copy.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import scale_data
from benchmarks.measure import Figure, cpu_seconds
from carrel.repos.snapshot import commit_folder

LIVES = 40
WARM_UP = 3
ACTIVE = 2_000
PASSES = 9
ALLOWED = 1.2
TOKEN = "benchmark"
PROJECT = """\
version: '5'
actions:
  action0:
    run: python:v2 true
    outputs: {highly_sensitive: {a: output/a.txt}}
"""


# -- a worker: one database


class Worker:
    """Plays lives of requests against one database, in this process, and times each call."""

    def __init__(self, repo: str, commit: str) -> None:
        import django

        django.setup()
        from django.test import Client

        self.client, self.repo, self.commit = Client(), repo, commit
        self.times: dict[str, float] = {}

    def call(self, name: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """One call, timed under `name`."""
        headers = {"Authorization": TOKEN, "Carrel-Agent": "1"}
        if name == "tasks of an OpenSAFELY agent":
            del headers["Carrel-Agent"]
        send = getattr(self.client, method)
        options = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answers: list[Any] = []
        self.times[name] = cpu_seconds(lambda: answers.append(send(path, headers=headers, **options)))
        if answers[0].status_code != status:
            raise SystemExit(f"{name}: {answers[0].status_code} {answers[0].content[:500]!r}")
        return json.loads(answers[0].content) if "json" in answers[0]["Content-Type"] else None

    def rap(self, name: str, what: str, status: int = 200, **body: Any) -> Any:
        return self.call(name, "post", f"/controller/v1/rap/{what}/", body, status)

    def request(self, number: int, actions: list[str]) -> dict[str, Any]:
        return {
            "rap_id": f"x{number:015d}",
            "backend": scale_data.BACKEND,
            "workspace": "workspace-0",
            "repo_url": self.repo,
            "branch": "main",
            "commit": self.commit,
            "database_name": "default",
            "requested_actions": actions,
            "codelists_ok": True,
            "force_run_dependencies": False,
            "created_by": "somebody",
            "project": "project",
            "orgs": [],
            "analysis_scope": {},
        }

    def life(self, number: int) -> dict[str, float]:
        """A request from its creation to its end, another that is cancelled, and whatever else can be asked."""
        wanted = self.request(3 * number, ["action0"])
        self.rap("rap/create", "create", 201, **wanted)
        self.rap("rap/create again", "create", **wanted)
        self.work()
        self.rap("rap/create, nothing to do", "create", **self.request(3 * number + 1, ["run_all"]))
        cancelled = self.request(3 * number + 2, ["action0"])
        self.rap("rap/create", "create", 201, **cancelled)
        self.rap("rap/cancel", "cancel", rap_id=cancelled["rap_id"], actions=["action0"])
        self.end("updates: a cancelled job's end")
        self.rap("rap/status", "status", rap_ids=[wanted["rap_id"]])
        self.rap("rap/status of an old request", "status", rap_ids=[scale_data.OLD_RAP])
        self.rap("rap/status of an unknown request", "status", rap_ids=["nothing0nothing0"])
        self.call("backend/status", "get", "/controller/v1/backend/status/")
        for page in ("metrics", "readyz"):
            self.call(page, "get", f"/{page}")
        return self.times

    def work(self) -> None:
        """As an agent."""
        tasks = f"/{scale_data.BACKEND}/tasks/"
        self.call("tasks of an OpenSAFELY agent", "get", tasks)
        listed = self.call("tasks", "get", tasks)
        self.call("tasks, nothing new", "get", f"{tasks}?wait=0.001&seen={listed['cursor']}")
        (task,) = listed["tasks"]
        token = task["carrel"]["attempt_token"]
        self.call("heartbeat", "post", f"{tasks}heartbeat/", {"attempts": {task["id"]: token}})
        stage = {"task_id": task["id"], "stage": "executing", "attempt_token": token, "timestamp_ns": 1}
        self.call("update of one stage", "post", f"/{scale_data.BACKEND}/task/update/", stage)
        self.end("updates: a job's end")

    def end(self, name: str) -> None:
        """Report that every active task has ended."""
        tasks = f"/{scale_data.BACKEND}/tasks/"
        updates = [
            {
                "task_id": task["id"],
                "stage": "finalized",
                "complete": True,
                "attempt_token": task["carrel"]["attempt_token"],
                "results": {"exit_code": "0", "error": False, "has_unmatched_patterns": False},
            }
            for task in self.call("tasks", "get", tasks)["tasks"]
        ]
        self.call(name, "post", f"{tasks}updates/", {"updates": updates})

    def crowd(self) -> None:
        """Many active jobs, in a workspace that has a long past."""
        from carrel.controller import service

        rap_id = f"c{0:015d}"
        service.open_rap(
            service.RapFields(
                id=rap_id, backend=scale_data.BACKEND, workspace="workspace-1", repo_url="/x", commit="a" * 40
            )
        )
        jobs = [service.NewJob(action=f"crowd{number}", run_command="python:v2 true") for number in range(ACTIVE)]
        service.create_jobs(rap_id, lambda: jobs)

    def passing(self) -> float:
        """One look of the scheduler at the crowd."""
        from carrel.controller.service import scheduling
        from carrel.controller.service.locks import locked

        def look() -> None:
            with locked(scale_data.BACKEND):
                scheduling.run(scale_data.BACKEND)

        return cpu_seconds(look)


def serve(repo: str, commit: str) -> None:
    """Obey the lines on stdin: `life N`, `crowd`, `passing`; answer each with a line of JSON."""
    worker = Worker(repo, commit)
    for line in sys.stdin:
        verb, _, number = line.strip().partition(" ")
        acts: dict[str, Callable[[], Any]] = {
            "life": lambda number=number: worker.life(int(number)),
            "crowd": worker.crowd,
            "passing": worker.passing,
        }
        print(json.dumps(acts[verb]()), flush=True)


# -- the two of them


def environment(workdir: Path) -> dict[str, str]:
    name = scale_data.BACKEND.upper()
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "carrel.web.settings",
        "WORKDIR": str(workdir),
        "BACKENDS": scale_data.BACKEND,
        f"{name}_JOB_SERVER_TOKEN": TOKEN,
        f"{name}_CLIENT_TOKENS": TOKEN,
        "MAINTENANCE_ENABLED_BACKENDS": "",
        "DATA_CHECK_ENABLED_BACKENDS": "",
        f"{name}_IMAGES": "local",
        "ALLOW_LOCAL_GIT_REPOS": "true",
        "DJANGO_CONTROLLER_ALLOWED_HOSTS": "testserver",
        "CARREL_DATABASE_URL": "",
    }


def database_of(folder: Path) -> Path:
    """A migrated database, empty but for one old request."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "django", "migrate", "--no-input", "-v0"]
    subprocess.run(command, env=environment(folder), check=True)
    return folder / "db.sqlite"


def ask(worker: subprocess.Popen[str], line: str) -> Any:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(line + "\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"the worker ended at '{line}'")
    return json.loads(answer)


def study(folder: Path) -> tuple[str, str]:
    (folder / "study").mkdir()
    (folder / "study" / "project.yaml").write_text(PROJECT)
    return str(folder / "study.git"), commit_folder(folder / "study", folder / "study.git")


def measure(full: subprocess.Popen[str], empty: subprocess.Popen[str]) -> list[Figure]:
    times: dict[str, list[tuple[float, float]]] = {}
    for number in range(WARM_UP + LIVES):
        lives = [ask(worker, f"life {number}") for worker in (full, empty)]
        if number >= WARM_UP:
            for name in lives[0]:
                times.setdefault(name, []).append((lives[0][name], lives[1][name]))
    for worker in (full, empty):
        ask(worker, "crowd")
    ask(full, "passing"), ask(empty, "passing")
    name = f"one scheduling pass over {ACTIVE:,} active jobs' rows"
    times[name] = [(ask(full, "passing"), ask(empty, "passing")) for _ in range(PASSES)]
    return [figure(name, pairs) for name, pairs in times.items()]


def figure(name: str, pairs: list[tuple[float, float]]) -> Figure:
    """The first quartile of each: other programs disturb the slower half of the calls most."""
    ours, floor = (statistics.quantiles(column, n=4)[0] for column in zip(*pairs, strict=True))
    return Figure(name, ours, floor, ALLOWED * floor)


def main() -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        repo, commit = study(folder)
        empty, full = (database_of(folder / name) for name in ("empty", "full"))
        shutil.copyfile(scale_data.cached(empty), full)
        scale_data.fill(empty, scale_data.RAP_JOBS)
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.scale", "--worker", repo, commit],
                    env=environment(database.parent),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for database in (full, empty)
        ]
        figures = measure(workers[0], workers[1])
        for worker in workers:
            worker.stdin.close()
    print(f"{scale_data.JOBS:,} finished jobs; the floor is the same call on an empty database")
    print(*figures, sep="\n")
    return 0 if all(each.good for each in figures) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        serve(*sys.argv[2:4])
    else:
        sys.exit(main())
