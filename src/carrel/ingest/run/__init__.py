"""Runs the phases: many workers flatten, one coordinator decides and commits."""

from carrel.ingest.run.coordinator import Setting
from carrel.ingest.run.pools import Pool, dask, inline, processes, threads
from carrel.ingest.run.report import Report
from carrel.ingest.run.values import IngestOptions

__all__ = [
    "IngestOptions",
    "Pool",
    "Report",
    "Setting",
    "dask",
    "inline",
    "processes",
    "threads",
]
