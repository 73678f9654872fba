"""The whole of Carrel against a bare shell loop with the same runtime: a DAG 1 -> 8 -> 1 of trivial jobs.

Controller, agent, git, planning, outputs, logs and manifest are all in it; the floor is the ten processes alone, in
the same run, by turns. Targets (controller.md part 1 "Speed"): Docker 1.5 times its floor, bubblewrap its floor and
1 s; the first container within 150 ms of the request's being accepted. Run: `python -m benchmarks.dag [docker]`.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from benchmarks.executors import BARE, IMAGES, LOOP
from benchmarks.measure import wall_seconds
from carrel.executors import toolchains
from carrel.executors.base import ExecutorError
from carrel.executors.choice import ExecutorSettings, choose_executor
from carrel.repos.snapshot import commit_folder
from carrel.site.client import Requests
from carrel.site.layout import Secrets, Site, SiteBackend
from carrel.site.processes import Running, owned
from carrel.site.study_requests import StudyRequest
from carrel.site.up import choose_port

ROUNDS = 5
WIDTH = 8
FIRST_START_TARGET = 0.150
ASK_EVERY = 0.02
"""Seconds between two questions whether it has ended: answering them takes time from the work that is measured."""


def action(name: str, needs: list[str]) -> str:
    command = f"python:v2 sh -c 'echo started; touch output/{name}.txt'"
    body = {"run": command, "needs": needs, "outputs": {"highly_sensitive": {"a": f"output/{name}.txt"}}}
    return f"  {name}: {json.dumps(body)}\n"


def study() -> str:
    middles = [f"middle{number}" for number in range(WIDTH)]
    lines = [action("first", []), *[action(name, ["first"]) for name in middles], action("last", middles)]
    return "version: '5'\nactions:\n" + "".join(lines)


@contextmanager
def site_of(
    name: str, folder: Path, before_start: Callable[[Running], None] = lambda running: None
) -> Iterator[Running]:
    """A controller and the agent of one backend, `bench`, running jobs by the executor `name`."""
    (folder / "nothing.txt").write_text("")
    toolchains.build("python", "v2", folder / "nothing.txt", folder / "toolchains")
    extra = {"DOCKER_REGISTRY": "carrel-test", "BENCH_MAX_WORKERS": "8"}
    site = Site(
        folder / "site",
        (SiteBackend("bench"),),
        port=choose_port(0),
        executor=name,
        toolchains=folder / "toolchains",
        extra_env=extra,
    )
    with owned(site):
        running = Running(site, Secrets.of(site), print)
        before_start(running)
        try:
            running.start()
            yield running
        finally:
            running.close()


def our_dag(running: Running, requests: Requests, repo: Path, commit: str, number: int) -> tuple[float, float]:
    """(seconds from POST to the last report, seconds from the POST's answer to the first process's first line)."""
    workspace = f"round{number}"
    asked = StudyRequest(repo=str(repo), commit=commit, branch="main", workspace=workspace, actions=("run_all",))
    begin = time.perf_counter()
    rap = requests.create(asked, "bench").rap_id
    accepted = time.time()
    while True:
        jobs = requests.jobs([rap])
        if all(job["status"] in ("succeeded", "failed") for job in jobs):
            break
        time.sleep(ASK_EVERY)
    whole = time.perf_counter() - begin
    if any(job["status"] == "failed" for job in jobs):
        raise SystemExit(f"a job failed: {jobs}")
    log = running.site.high_privacy("bench") / "workspaces" / workspace / "metadata" / "first.log"
    first_line = log.read_text().split(" ", 1)[0]
    return whole, datetime.fromisoformat(first_line[:26] + "+00:00").timestamp() - accepted


def measure(name: str, folder: Path) -> bool:
    """One line of figures; False when a target is missed. Raises ExecutorError where the runtime is not here."""
    settings = ExecutorSettings(
        executor=name, state_dir=folder / "probe", toolchains_dir=folder / "toolchains", pull=False
    )
    choose_executor(settings).close()
    (folder / "study" / "output").mkdir(parents=True)
    (folder / "study" / "project.yaml").write_text(study())
    (folder / "study" / "output" / ".gitkeep").touch()
    commit = commit_folder(folder / "study", folder / "study.git")
    bare = BARE[name].format(workspace=folder, image=IMAGES[name])
    loop = ["sh", "-c", LOOP.format(one=bare)]
    floors, single, ours, firsts = [], [], [], []
    with site_of(name, folder) as running:
        requests = Requests(running.site.rap_api, running.keys.client)
        our_dag(running, requests, folder / "study.git", commit, 0)
        for number in range(1, ROUNDS + 1):
            floors.append(wall_seconds(lambda: subprocess.run(loop, check=True, capture_output=True)))
            single.append(wall_seconds(lambda: subprocess.run(["sh", "-c", bare], check=True, capture_output=True)))
            whole, first = our_dag(running, requests, folder / "study.git", commit, number)
            ours.append(whole)
            firsts.append(first)
        requests.client.close()
    return report(name, *map(statistics.median, (ours, floors, firsts, single)))


def report(name: str, whole: float, floor: float, first: float, single: float) -> bool:
    limit = 1.5 * floor if name == "docker" else floor + 1.0
    overhead = first - single
    good = whole <= limit and overhead <= FIRST_START_TARGET
    print(
        f"{name:<12} 1 -> 8 -> 1: {whole * 1000:6.0f} ms   floor {floor * 1000:6.0f} ms   x{whole / floor:4.2f}   "
        f"target {limit * 1000:6.0f} ms {'ok' if whole <= limit else 'TOO SLOW'}\n"
        f"{'':<12} first process {first * 1000:4.0f} ms after the answer, the bare runtime {single * 1000:4.0f} ms: "
        f"ours {overhead * 1000:4.0f} ms   target 150 ms {'ok' if overhead <= FIRST_START_TARGET else 'TOO SLOW'}"
    )
    return good


def main(names: list[str]) -> int:
    good = True
    for name in names or list(BARE):
        with tempfile.TemporaryDirectory() as folder:
            try:
                good = measure(name, Path(folder)) and good
            except ExecutorError as error:
                print(f"{name:<12} not measured: {error}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
