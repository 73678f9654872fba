"""Two deliveries of archives, for a `Forker`: a process that may be killed anywhere and is then simply run again."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.support.ingest import MAPPING, Folder, ingest, schemas

from carrel.ingest.run import IngestOptions


def deliver(warehouse: Path | str, folder: Path | str) -> None:
    """First some archives, one record's correction among them; then all."""
    archives = Path(folder)
    names = sorted(path.stem for path in archives.glob("*.zip"))
    corrected = [name for name in names if name.endswith("-corrected")]
    later = set(corrected[1:]) | set(names[-4:])
    options = IngestOptions(batch_archives=5, raw_json=True)
    ingest(warehouse, Folder(archives, tuple(name for name in names if name not in later)), options=options)
    ingest(warehouse, Folder(archives), options=options)


def deliver_elsewhere(warehouse: str, folder: str, environ: Mapping[str, str]) -> None:
    """Where the environment leads to, into a warehouse on S3 for one."""
    os.environ.update(environ)
    deliver(warehouse, folder)


schemas(MAPPING)  # read once, before any child is forked
