"""Runs the phases: many workers flatten, one coordinator decides and commits."""

from carrel.ingest.engine.pools import Pool, dask, inline, processes, threads
from carrel.ingest.engine.reporting import Report
from carrel.ingest.engine.running import Setting, recovered, run
from carrel.ingest.engine.values import Options

__all__ = [
    "Options",
    "Pool",
    "Report",
    "Setting",
    "dask",
    "inline",
    "processes",
    "recovered",
    "run",
    "threads",
]
