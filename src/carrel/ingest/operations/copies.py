"""Copies of whole datasets, kept in the warehouse: whole, or not there at all."""

from carrel.ingest.operations.withdrawal import resume
from carrel.ingest.store import (
    ARCHIVE,
    RunPlan,
    begin,
    carry_out,
    catalog,
    coordinator_lock,
    open_storage,
    table_key,
    write_undo,
)
from carrel.telemetry import faults


def copy_dataset(warehouse: str, dataset: str) -> str:
    """Copy every table of `dataset` to `archive/<dataset>_<next number>/`; where. KeyError when there is none.

    A run like any other: one that was killed before all was there is undone by the next. WarehouseBusy when somebody
    else is at it.
    """
    storage = open_storage(warehouse)
    with coordinator_lock(storage):
        resume(storage)
        entry = catalog.load(storage, dataset)
        if entry is None:
            raise KeyError(dataset)
        copies = (name.rpartition("_") for name in storage.folders(f"{ARCHIVE}/"))
        numbers = [int(number) for start, _, number in copies if start == dataset and number.isdigit()]
        target = f"{ARCHIVE}/{dataset}_{max(numbers, default=0) + 1}"
        number = begin(storage)
        write_undo(storage, number, [target])
        for name in sorted(entry.schema.tables):
            start = f"{table_key(name)}/"
            # Data files first and the log last, so that a copy that was interrupted is no table.
            for key in sorted(storage.keys(start), key=lambda key: ("_delta_log" in key, key)):
                storage.copy(key, f"{target}/{name}/{key.removeprefix(start)}")
                faults.point("ingest.copied")
        carry_out(storage, RunPlan(number=number.number, run_id=number.run_id, kind="archive"))
        return target
