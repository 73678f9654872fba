"""What archives cost in a warehouse that holds 100 times as much, and in one that holds as much as they are.

In one process: `python -m benchmarks.ingest.against_history FEW MANY BATCH RUNS`, three folders of archives. The batch
comes an archive at a time, each by a run of its own: a run reads what the logs of the tables say since their last
checkpoint, which is up to 20 runs ago, so only a whole round of 20 runs can be compared with another. It prints the
median processor seconds of the round as JSON: into little, into much that one run brought, into much that ten runs
brought.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ingest.figures import median
from benchmarks.ingest.ours import ingest

PORTIONS = 10
"""So many runs fill the third warehouse, so that its tables have a history and many files."""


def _filled(warehouse: Path, archives: Path, portions: int) -> Path:
    for portion in _portions(archives, portions):
        ingest(portion, warehouse)
    return warehouse


def _portions(archives: Path, portions: int) -> Iterator[Path]:
    """The archives of a folder in so many folders, one after the other."""
    paths = sorted(archives.glob("*.zip"))
    size = -(-len(paths) // portions)
    for start in range(0, len(paths), size):
        with tempfile.TemporaryDirectory() as portion:
            for path in paths[start : start + size]:
                for each in (path, path.with_suffix(".json")):
                    shutil.copy2(each, portion)
            yield Path(portion)


def _round(filled: Path, batch: Path, scratch: Path) -> float:
    """On a copy, so that each round finds the same."""
    copy = scratch / "copy"
    shutil.copytree(filled, copy)
    try:
        return sum(ingest(portion, copy)[1] for portion in _portions(batch, len(list(batch.glob("*.zip")))))
    finally:
        shutil.rmtree(copy)


def main(few: Path, many: Path, batch: Path, runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="carrel-bench-history-") as folder:
        scratch = Path(folder)
        small = _filled(scratch / "small", few, 1)
        large = _filled(scratch / "large", many, 1)
        often = _filled(scratch / "often", many, PORTIONS)
        rounds = [[_round(each, batch, scratch) for each in (small, large, often)] for _ in range(runs)]
    print(json.dumps(dict(zip(("small", "large", "often"), map(median, zip(*rounds, strict=True)), strict=True))))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), int(sys.argv[4]))
