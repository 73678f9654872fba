"""Ours, as a process: `python -m benchmarks.ingest.ours ARCHIVES WAREHOUSE WORKERS`; 0 workers: this process alone.

The engine that `carrel ingest run` runs, with validation, lineage, ledger and commits. It prints the run's report as
one line of JSON, with `cpu`, the processor seconds of the run in this process (imports and the schema store left out).
"""

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from carrel.ingest import forkserver

if __name__ == "__main__" and sys.argv[3] != "0":
    forkserver.begin_early()  # as the command does, before the heavy imports

from carrel.ingest.mapping import loads
from carrel.ingest.operations.ingestion import run
from carrel.ingest.run import IngestOptions, Report, Setting, inline, processes
from carrel.ingest.schemas import Schemas, SchemaStore
from carrel.ingest.sources import source_of
from carrel.synthetic.shapes import SCHEMAS, TASK_DATA


def schemas() -> Schemas:
    """The generator's schemas and archive map, in a store made for the run: this is timed with the rest."""
    with tempfile.TemporaryDirectory(prefix="carrel-bench-schemas-") as folder:
        store = SchemaStore(Path(folder))
        store.add([SCHEMAS])
        return Schemas(loads(f"schemas:\n  {TASK_DATA}: sharedSchema_v1\n"), store.library())


def ingest(archives: Path, warehouse: Path, workers: int = 0) -> tuple[Report, float]:
    """One run, and its processor seconds in this process. A SystemExit unless every file was taken."""
    pool = processes(workers) if workers else inline()
    setting = Setting(
        warehouse=str(warehouse), source=source_of(str(archives)), schemas=schemas(), pool=pool, options=IngestOptions()
    )
    begin = time.process_time()
    report = run(setting)
    if report.quarantined or report.failures:
        sys.exit(f"not all was taken: {report.quarantined} {report.failures}")
    return report, time.process_time() - begin


if __name__ == "__main__":
    report, cpu = ingest(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps({**asdict(report), "cpu": cpu}))
