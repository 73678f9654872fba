"""All benchmarks, or those named: `python -m benchmarks [project] [jobs] ...`. Exit code 1 when a target is missed.

`idle` takes more than a minute in which nothing else may happen, so it runs only when named.
"""

import subprocess
import sys

ALL = (
    "project",
    "jobs",
    "repos",
    "cli",
    "executors",
    "dag",
    "cancel",
    "scale",
    "jobserver",
    "disclosure",
    "review",
    "review_pages",
)
WHEN_NAMED = ("idle", "ingest")


def main(names: list[str]) -> int:
    """Each in a process of its own, so that none measures what another left behind."""
    unknown = [name for name in names if name not in ALL + WHEN_NAMED]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(ALL + WHEN_NAMED)}", file=sys.stderr)
        return 2
    missed = []
    for name in names or ALL:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            missed.append(name)
    if missed:
        print(f"\na target was missed in: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
