"""Two deliveries of archives, as one process that may be killed anywhere and is then simply run again.

`python -m tests.support.ingest_crash WAREHOUSE ARCHIVES [FILE]` writes to FILE the fault points it passed, one a line.
"""

import sys
from pathlib import Path

from tests.support.ingest import Folder, ingest

from carrel.ingest.run import IngestOptions
from carrel.telemetry import faults


def deliver(warehouse: Path | str, archives: Path) -> None:
    """First some archives, one record's correction among them; then all."""
    names = sorted(path.stem for path in archives.glob("*.zip"))
    corrected = [name for name in names if name.endswith("-corrected")]
    later = set(corrected[1:]) | set(names[-4:])
    options = IngestOptions(batch_archives=5, raw_json=True)
    ingest(warehouse, Folder(archives, tuple(name for name in names if name not in later)), options=options)
    ingest(warehouse, Folder(archives), options=options)


def main(warehouse: str, archives: str, points: str | None = None) -> None:
    passed: list[str] = []
    if points:
        faults.on_point(passed.append)
    deliver(warehouse, Path(archives))
    if points:
        Path(points).write_text("\n".join(passed))


if __name__ == "__main__":
    main(*sys.argv[1:])
