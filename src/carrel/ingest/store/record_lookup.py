"""Which files of a table hold rows of given records: by the bounds in their footers first, then by one column."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.store.data_files import open_data_file
from carrel.ingest.store.storage import WarehouseStorage

Bounds = tuple[str, str] | None
"""The least and the greatest text of a column; None: it may hold any."""


class RecordLookup:
    """Records to look for: record id -> the runs that may have written its rows; none: any run.

    Bounds are compared with all of them at once, so that thousands of records cost a file no more than a few.
    """

    def __init__(self, records: Mapping[str, Collection[str]]):
        self._ids = pa.array(list(records), pa.string())
        self._of_any_run = sorted(record for record, runs in records.items() if not runs)
        self._by_run: dict[str, list[str]] = {}
        for record in sorted(records):
            for run in records[record]:
                self._by_run.setdefault(run, []).append(record)
        self._runs = sorted(self._by_run)

    def may_be_in(self, records: Bounds, runs: Bounds) -> bool:
        """Whether rows with record ids and run ids between these bounds can be of one that is sought."""
        if _between(self._of_any_run, records):
            return True
        return any(_between(self._by_run[run], records) for run in _between(self._runs, runs))

    def in_files(self, storage: WarehouseStorage, table: str, paths: Iterable[str]) -> Iterator[str]:
        """Those of the files, active or not, that hold a row of one. Reads each footer, and what the bounds allow."""
        for path in paths if len(self._ids) else ():
            if self._in_file(storage, table, path):
                yield path

    def _in_file(self, storage: WarehouseStorage, table: str, path: str) -> bool:
        with open_data_file(storage, table, path) as file:
            schema = file.metadata.schema
            numbers = {schema.column(column).path: column for column in range(file.metadata.num_columns)}
            for row_group in range(file.num_row_groups):
                about = file.metadata.row_group(row_group)
                runs = _bounds(about, numbers["_run_id"]) if self._runs else None
                if not self.may_be_in(_bounds(about, numbers["recordid"]), runs):
                    continue
                record_ids = file.read_row_group(row_group, ["recordid"]).column(0).cast(pa.string())
                if pc.any(pc.is_in(record_ids, self._ids)).as_py():
                    return True
        return False


def _bounds(row_group: Any, column: int) -> Bounds:
    statistics = row_group.column(column).statistics
    return (statistics.min, statistics.max) if statistics is not None and statistics.has_min_max else None


def _between(values: list[str], bounds: Bounds) -> list[str]:
    """Those of the sorted `values` that are between the bounds, both included."""
    return values if bounds is None else values[bisect_left(values, bounds[0]) : bisect_right(values, bounds[1])]
