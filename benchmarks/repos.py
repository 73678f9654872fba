"""How fast a file of a study is read from its mirror, and a request is checked, against bare git in the same run.

The floor of each is one `git cat-file` (or `git rev-parse`) started in the simplest way; wall time, because most of it
is the kernel starting a process. The two take turns. Run: `python -m benchmarks.repos`.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from carrel.repos import Mirrors, RepoPolicy

ROUNDS = 60
TARGET_SECONDS = 0.015


def wall(call: Callable[[], object]) -> float:
    begin = perf_counter()
    call()
    return perf_counter() - begin


def medians(*calls: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each call."""
    taken = [[wall(call) for call in calls] for _ in range(rounds)]
    return [median(column) for column in zip(*taken, strict=True)]


def new_repo(path: Path) -> str:
    """A repository of one commit; its hash."""
    path.mkdir()
    git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.org", "-c", "init.defaultBranch=main"]
    (path / "project.yaml").write_text("version: '5'\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "c"]):
        subprocess.run([*git, *command], cwd=path, check=True)
    return subprocess.run(
        [*git, "rev-parse", "HEAD"], cwd=path, check=True, capture_output=True, text=True
    ).stdout.strip()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        repo = Path(folder) / "study"
        commit = new_repo(repo)
        mirrors = Mirrors(Path(folder) / "mirrors", RepoPolicy(allow_local_git_repos=True))
        mirrors.check_commit_on_branch(str(repo), commit, "main")
        git = ["git", f"--git-dir={mirrors.path_of(str(repo))}"]

        def bare(*args: str) -> Callable[[], object]:
            return lambda: subprocess.run([*git, *args], check=True, capture_output=True)

        pairs = {
            "read_file": (
                lambda: mirrors.read_file(str(repo), commit, "project.yaml"),
                bare("cat-file", "blob", f"{commit}:project.yaml"),
            ),
            "check_commit_on_branch": (
                lambda: mirrors.check_commit_on_branch(str(repo), commit, "main"),
                bare("rev-parse", "--verify", commit),
            ),
        }
        slow = False
        for name, (ours, floor) in pairs.items():
            took, least = medians(ours, floor)
            slow |= took > TARGET_SECONDS
            print(f"{name}: {took * 1e3:.1f} ms, {took / least:.2f} times its floor of {least * 1e3:.1f} ms")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
