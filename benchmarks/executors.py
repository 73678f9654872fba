"""How much an executor adds to the runtime that it uses, against that runtime alone in the same run.

The work is a graph of ten jobs that do nothing: one, then eight at once, then one. The floor is a shell that starts
them with nothing but the runtime (`docker run`, `bwrap`). Ours is start, wait, log, inspect and remove of each, eight
threads at once, as an agent does them. Targets (spec controller.md part 1 "Speed", for all of Carrel): Docker
1.5 times its floor, bubblewrap its floor and 1 s. Run: `python -m benchmarks.executors [docker] [bubblewrap]`.
"""

import statistics
import subprocess
import sys
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import wall_seconds
from carrel.executors import toolchains
from carrel.executors.base import Executor, ExecutorError, ResourceLimits, RunSpec
from carrel.executors.choice import ExecutorSettings, choose_executor

DOCKER_IMAGE = "carrel-test/python:v2"
IMAGES = {"docker": DOCKER_IMAGE, "bubblewrap": "python:v2"}
ROUNDS = 3
JOB_SECONDS = 60.0
LIMITS = ResourceLimits(cpus=2, memory=1 << 30)
WIDTH = 8

BARE = {
    "docker": "docker run --rm --network none --mount type=bind,source={workspace},target=/workspace {image} true",
    "bubblewrap": "bwrap --unshare-all --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib "
    "--symlink usr/lib64 /lib64 --proc /proc --dev /dev --bind {workspace} /workspace true",
}
LOOP = "{one}; for i in 1 2 3 4 5 6 7 8; do {one} & done; wait; {one}"


@dataclass(frozen=True)
class Figure:
    """Medians of whole graphs, in seconds, and of single calls of `start`."""

    name: str
    ours: float
    floor: float
    start: float
    good: bool
    target: str

    def __str__(self) -> str:
        return (
            f"{self.name:<12} 1 -> 8 -> 1: {self.ours * 1000:7.0f} ms   floor {self.floor * 1000:6.0f} ms   "
            f"x{self.ours / self.floor:4.2f}   start() {self.start * 1000:5.1f} ms   "
            f"target {self.target}   {'ok' if self.good else 'TOO SLOW'}"
        )


def bare_graph(name: str, workspace: Path) -> float:
    one = BARE[name].format(workspace=workspace, image=IMAGES[name])
    command = ["sh", "-c", LOOP.format(one=one)]
    return wall_seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def one_job(executor: Executor, image: str, workspace: Path) -> float:
    """Run a job to its end and forget it; returns how long `start` took."""
    spec = RunSpec(
        name=f"os-job-bench-{uuid.uuid4().hex}", image=image, args=("true",), workspace=workspace, limits=LIMITS
    )
    started = wall_seconds(lambda: executor.start(spec))
    if executor.wait([spec.name], JOB_SECONDS) != {spec.name} or executor.inspect(spec.name).exit_code != 0:
        raise SystemExit(f"{spec.name} did not end well: {executor.inspect(spec.name)}")
    executor.logs(spec.name, lambda piece: None)
    executor.remove(spec.name)
    return started


def our_graph(executor: Executor, image: str, workspace: Path) -> tuple[float, list[float]]:
    starts: list[float] = []

    def graph() -> None:
        with ThreadPoolExecutor(WIDTH) as pool:
            for width in (1, WIDTH, 1):
                starts.extend(pool.map(lambda _: one_job(executor, image, workspace), range(width)))

    return wall_seconds(graph), starts


def measure(name: str, folder: Path) -> Figure:
    """Floor and ours by turns, so that whatever else the machine does hits both."""
    executor = _executor(name, folder)
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    floors, ours, starts = [], [], []
    try:
        one_job(executor, IMAGES[name], workspace)
        for _ in range(ROUNDS):
            floors.append(bare_graph(name, workspace))
            taken, began = our_graph(executor, IMAGES[name], workspace)
            ours.append(taken)
            starts += [began[0], began[-1]]  # those that had the machine to themselves
    finally:
        executor.close()
    return _figure(name, statistics.median(ours), statistics.median(floors), statistics.median(starts))


def _figure(name: str, ours: float, floor: float, start: float) -> Figure:
    if name == "docker":
        return Figure(name, ours, floor, start, ours <= 1.5 * floor, "x1.5")
    return Figure(name, ours, floor, start, ours <= floor + 1.0, "floor + 1 s")


def _executor(name: str, folder: Path) -> Executor:
    requirements = folder / "requirements.txt"
    requirements.write_text("")
    if name == "bubblewrap":
        toolchains.build("python", "v2", requirements, folder / "toolchains")
    return choose_executor(
        ExecutorSettings(
            executor=name,
            state_dir=folder / "state",
            toolchains_dir=folder / "toolchains",
            owner=f"bench-{uuid.uuid4().hex}",
            pull=False,
        )
    )


def main(names: list[str]) -> int:
    """Print a line for each executor that is here; the exit code is 1 when one is slower than its target."""
    good = True
    for name in names or list(BARE):
        with tempfile.TemporaryDirectory() as folder:
            try:
                figure = measure(name, Path(folder))
            except ExecutorError as error:
                print(f"{name:<12} not measured: {error}")
                continue
        good = good and figure.good
        print(figure)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
