"""How fast `carrel` starts, and how much `carrel run` adds to the programs it runs. Run: `python -m benchmarks.cli`.

Floors, measured in the same run: for starting, `python -c pass` and `python -c "import click"`; for the DAG 1 -> 8 -> 1
of trivial jobs, the same ten programs under plain `bwrap` from a bare loop, as many at once. Targets: local-run.md
part 1 (200 ms) and controller.md part 1 "Speed" (floor + 1 s). Starting is counted in processor time (it waits for
nothing, and other programs do not count); the DAG in wall time, the best of several.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CARREL = Path(sys.executable).parent / "carrel"
START_TARGET = 0.200
RUN_TARGET = 1.0
AT_ONCE = 8
STUDY_ACTIONS = 20


def best(times: int, act: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Shortest time of `act` by `clock`, in seconds."""
    found = []
    for _ in range(times):
        start = clock()
        act()
        found.append(clock() - start)
    return min(found)


def processor_time() -> float:
    """Seconds that the programs started from here, and ended, have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def quiet(command: list[str], folder: Path, env: dict[str, str]) -> None:
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)


def starts(folder: Path, env: dict[str, str]) -> bool:
    """Print the starting times; whether all targets are met."""
    (folder / "project.yaml").write_text(chain(STUDY_ACTIONS))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import click'": [sys.executable, "-c", "import click"],
        "carrel --help": [str(CARREL), "--help"],
        "carrel check": [str(CARREL), "check"],
    }
    for command in commands.values():
        quiet(command, folder, env)  # writes the bytecode that an installation has
    figures = {
        name: best(7, lambda command=command: quiet(command, folder, env), processor_time)
        for name, command in commands.items()
    }
    floor = figures["python -c pass"]
    met = True
    for name, seconds in figures.items():
        held = name.startswith("python") or seconds <= START_TARGET
        met = met and held
        target = (
            "" if name.startswith("python") else f"  target {START_TARGET * 1000:.0f} ms: {'met' if held else 'MISSED'}"
        )
        print(f"{name:26} {seconds * 1000:6.0f} ms  {seconds / floor:5.1f} x floor{target}")
    return met


def chain(count: int) -> str:
    names = [f"a{number}" for number in range(count)]
    return "version: '5'\nactions:\n" + "".join(
        action(name, [names[place - 1]] if place else []) for place, name in enumerate(names)
    )


def action(name: str, needs: list[str]) -> str:
    return (
        f"  {name}:\n    run: python:v2 sh -c 'echo {name} > {name}.txt'\n    needs: [{', '.join(needs)}]\n"
        f"    outputs: {{highly_sensitive: {{out: {name}.txt}}}}\n"
    )


def fan() -> str:
    middle = [f"m{number}" for number in range(AT_ONCE)]
    steps = [action("first", []), *(action(name, ["first"]) for name in middle), action("last", middle)]
    return "version: '5'\nactions:\n" + "".join(steps)


def toolchains(folder: Path) -> Path:
    (folder / "python-v2").mkdir(parents=True)
    (folder / "python-v2" / "toolchain.json").write_text("{}")
    return folder


def bare(folder: Path) -> None:
    """The floor: ten sandboxes, in the order of the DAG, and nothing else."""

    def one(name: str) -> None:
        sandbox = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"]
        sandbox += [
            "--symlink",
            "usr/lib",
            "/lib",
            "--symlink",
            "usr/lib64",
            "/lib64",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
        ]
        sandbox += ["--bind", str(folder), "/workspace", "--chdir", "/workspace"]
        subprocess.run([*sandbox, "sh", "-c", f"echo {name} > {name}.txt"], check=True)

    one("first")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, [f"m{number}" for number in range(AT_ONCE)]))
    one("last")


def runs(folder: Path, env: dict[str, str]) -> bool:
    """Print the times of the DAG; whether the target is met."""
    (folder / "project.yaml").write_text(fan())
    here = {**env, "EXECUTOR": "bubblewrap", "TOOLCHAINS_DIR": str(toolchains(folder.parent / "toolchains"))}
    command = [str(CARREL), "run", "last", "-f", "-c", str(AT_ONCE)]
    quiet(command, folder, here)
    floor = best(3, lambda: bare(folder))
    seconds = best(3, lambda: quiet(command, folder, here))
    met = seconds <= floor + RUN_TARGET
    print(f"1 -> 8 -> 1 by bare bwrap  {floor * 1000:6.0f} ms")
    verdict = f"target floor + {RUN_TARGET * 1000:.0f} ms: {'met' if met else 'MISSED'}"
    print(f"1 -> 8 -> 1 by carrel run  {seconds * 1000:6.0f} ms  {seconds / floor:5.1f} x floor  {verdict}")
    return met


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "study"
        folder.mkdir()
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env["PYTHONPYCACHEPREFIX"] = str(Path(scratch) / "bytecode")
        met = starts(folder, env)
        if shutil.which("bwrap"):
            met = runs(folder, env) and met
        else:
            print("1 -> 8 -> 1: bwrap is not installed on this machine, so this was not measured")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
