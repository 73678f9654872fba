"""What a batch costs in a warehouse that holds 100 times as much, and in one that holds as much as the batch.

In one process: `python -m benchmarks.ingest.against_history FEW MANY BATCH RUNS`, three folders of archives. It prints
the median processor seconds as JSON: into little, into much that one run brought, into much that ten runs brought.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.ingest.figures import median
from benchmarks.ingest.ours import ingest

PORTIONS = 10
"""So many runs fill the third warehouse, so that its tables have a history and many files."""


def _filled(warehouse: Path, archives: Path, portions: int) -> Path:
    paths = sorted(archives.glob("*.zip"))
    size = -(-len(paths) // portions)
    for start in range(0, len(paths), size):
        with tempfile.TemporaryDirectory() as portion:
            for path in paths[start : start + size]:
                for each in (path, path.with_suffix(".json")):
                    shutil.copy2(each, portion)
            ingest(Path(portion), warehouse)
    return warehouse


def _once(filled: Path, batch: Path, scratch: Path) -> float:
    """On a copy, so that each run finds the same."""
    copy = scratch / "copy"
    shutil.copytree(filled, copy)
    try:
        return ingest(batch, copy)[1]
    finally:
        shutil.rmtree(copy)


def main(few: Path, many: Path, batch: Path, runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="carrel-bench-history-") as folder:
        scratch = Path(folder)
        small = _filled(scratch / "small", few, 1)
        large = _filled(scratch / "large", many, 1)
        often = _filled(scratch / "often", many, PORTIONS)
        rounds = [[_once(each, batch, scratch) for each in (small, large, often)] for _ in range(runs)]
    print(json.dumps(dict(zip(("small", "large", "often"), map(median, zip(*rounds, strict=True)), strict=True))))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), int(sys.argv[4]))
