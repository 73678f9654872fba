"""Copies of whole datasets, kept in the warehouse: whole, or not there at all."""

from carrel.ingest.operations.withdrawal import resume
from carrel.ingest.store import (
    ARCHIVE,
    RunPlan,
    WarehouseStorage,
    apply,
    begin,
    catalog,
    coordinator_lock,
    decide,
    finish,
    open_storage,
    table_key,
    write_undo,
)
from carrel.telemetry import faults
from carrel.warehouse.layout import LOG


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
        numbers = [_number(name, dataset) for name in storage.folders(f"{ARCHIVE}/")]
        target = f"{ARCHIVE}/{dataset}_{max(numbers, default=0) + 1}"
        number = begin(storage)
        write_undo(storage, number, [target])
        for name in sorted(entry.schema.tables):
            _copy(storage, name, f"{target}/{name}")
        plan = RunPlan(number.number, number.run_id, "archive")
        decide(storage, plan)
        apply(storage, plan)
        finish(storage, plan)
        return target


def _number(name: str, dataset: str) -> int:
    start, _, number = name.rpartition("_")
    return int(number) if start == dataset and number.isdigit() else 0


def _copy(storage: WarehouseStorage, name: str, target: str) -> None:
    """Data files first and the log last, so that a copy that was interrupted is no table."""
    start = f"{table_key(name)}/"
    for key in sorted(storage.keys(start), key=lambda key: (LOG in key, key)):
        storage.copy(key, f"{target}/{key.removeprefix(start)}")
        faults.point("ingest.copied")
