"""From the click on "cancel" to the end of the job's processes, through controller and agent.

Target (controller.md part 1 "Scheduling"): within 1 s on an idle machine. The floor is a SIGKILL of such a process by
a parent that waits for it. Run: `python -m benchmarks.cancel [bubblewrap] [docker]`.
"""

import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.dag import site_of
from benchmarks.executors import BARE
from benchmarks.measure import Figure, wall_seconds
from carrel.executors.base import ExecutorError
from carrel.executors.choice import ExecutorSettings, choose_executor
from carrel.repos.snapshot import commit_folder
from carrel.site.client import Requests
from carrel.site.processes import Running
from carrel.site.study_requests import StudyRequest

ROUNDS = 5
TARGET = 1.0
PATIENCE = 60.0
MARK = 1_000_000 + os.getpid()
"""How long the job sleeps: a number by which its processes are found."""
PROJECT = f"""\
version: '5'
actions:
  endless:
    run: python:v2 sleep {MARK}
    outputs: {{highly_sensitive: {{a: output/a.txt}}}}
"""


def job_processes() -> list[int]:
    """Descriptors of the processes of the job, seen from the host whatever runs them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(MARK).encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(os.pidfd_open(int(folder.name)))
        except OSError:  # it has ended meanwhile
            continue
    return found


def wait_for_processes() -> list[int]:
    deadline = time.monotonic() + PATIENCE
    while not (found := job_processes()):
        if time.monotonic() > deadline:
            raise SystemExit("the job did not start")
        time.sleep(0.02)
    return found


def wait_for_end(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        if not select.select([descriptor], [], [], PATIENCE)[0]:
            raise SystemExit("the job did not end")
        os.close(descriptor)


def wait_for_status(requests: Requests, rap: str, status: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(job["status"] != status for job in requests.jobs([rap])):
        if time.monotonic() > deadline:
            raise SystemExit(f"the job was never {status}")
        time.sleep(0.02)


def one_cancel(requests: Requests, study: StudyRequest) -> float:
    rap = requests.create(study, "bench").rap_id
    descriptors = wait_for_processes()
    time.sleep(0.5)  # the click of a person, not of a program that waited for the process

    def click() -> None:
        requests.client.cancel(rap, ["endless"])
        wait_for_end(descriptors)

    seconds = wall_seconds(click)
    wait_for_status(requests, rap, "failed")
    return seconds


def one_kill() -> float:
    process = subprocess.Popen(["sleep", str(MARK)])

    def kill() -> None:
        process.kill()
        process.wait()

    return wall_seconds(kill)


def cancels(running: Running, folder: Path) -> list[float]:
    (folder / "study").mkdir()
    (folder / "study" / "project.yaml").write_text(PROJECT)
    commit = commit_folder(folder / "study", folder / "study.git")
    requests = Requests(running.site.rap_api, running.keys.client)
    try:
        return [
            one_cancel(
                requests,
                StudyRequest(
                    repo=str(folder / "study.git"),
                    commit=commit,
                    branch="main",
                    workspace=f"round{number}",
                    actions=("endless",),
                ),
            )
            for number in range(ROUNDS)
        ]
    finally:
        requests.client.close()


def measure(name: str, folder: Path) -> Figure:
    """Raises ExecutorError where the runtime is not here."""
    settings = ExecutorSettings(
        executor=name, state_dir=folder / "probe", toolchains_dir=folder / "toolchains", pull=False
    )
    choose_executor(settings).close()
    with site_of(name, folder) as running:
        times = cancels(running, folder)
    floor = statistics.median(one_kill() for _ in range(ROUNDS))
    return Figure(f"{name}: from the click to the job's end", statistics.median(times), floor, TARGET)


def main(names: list[str]) -> int:
    good = True
    for name in names or list(BARE):
        with tempfile.TemporaryDirectory() as folder:
            try:
                figure = measure(name, Path(folder))
            except ExecutorError as error:
                print(f"{name:<12} not measured: {error}")
                continue
        print(figure)
        good = good and figure.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
