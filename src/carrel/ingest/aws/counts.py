"""What the alarms count: a line of JSON in the log for each run, which the metric filters of `study.yaml` read."""

import json
from typing import TYPE_CHECKING

from carrel.ingest.values import Disposition

if TYPE_CHECKING:
    from carrel.ingest.run import Report

TROUBLED = (Disposition.PARTIAL, Disposition.QUARANTINED, Disposition.UNREADABLE)


def log_counts(**counts: int) -> None:
    """One line that is JSON and nothing else: behind a prefix of `logging`, a metric filter would not know it."""
    if any(counts.values()):
        print(json.dumps({"carrel": "ingest", **counts}), flush=True)


def log_report(report: "Report") -> None:
    """Archives looked at, those of which something is in quarantine, and those that could not be fetched."""
    archives = sum(report.dispositions.values())
    troubled = sum(report.dispositions.get(disposition.value, 0) for disposition in TROUBLED)
    log_counts(archives=archives, troubled=troubled, unfetched=len(report.failures))
