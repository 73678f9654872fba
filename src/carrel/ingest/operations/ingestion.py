"""Ingesting from end to end. Killing it anywhere and running again comes to the same as never killing it."""

from dataclasses import replace

from carrel.ingest.operations.compaction import tidy
from carrel.ingest.operations.withdrawal import resume
from carrel.ingest.run import Report, Setting
from carrel.ingest.run.coordinator import Coordinator, Progress, no_progress
from carrel.ingest.store import coordinator_lock, open_storage


def run(setting: Setting, progress: Progress = no_progress) -> Report:
    """Take every archive of the source that the ledger does not know. WarehouseBusy when somebody else is at it."""
    storage = open_storage(setting.warehouse)
    with coordinator_lock(storage):
        resumed = resume(storage)
        with setting.source:
            report = Coordinator(setting, storage, progress).run()
        if report.run_id:
            tidy(storage)
        return replace(report, rolled_forward=resumed.run_id, withdrawal_finished=resumed.withdrawal)
