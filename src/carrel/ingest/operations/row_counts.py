"""The rows that the ledger says there are, beside the rows that the tables hold."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
from deltalake.exceptions import DeltaError

from carrel.ingest.operations.inspection import rows_by_record
from carrel.ingest.operations.raw_keys import current_lines
from carrel.ingest.store import WarehouseStorage, active_files, open_data_file, open_table, table_names
from carrel.ingest.store.ledger import Line

_DAMAGED = (OSError, pa.ArrowException, DeltaError)


@dataclass(frozen=True, slots=True)
class RowCounts:
    """One table's rows by record id (of records that the ledger no longer names: ""), as the ledger says and as they
    are."""

    table: str
    expected: dict[str, int] = field(default_factory=dict)
    actual: dict[str, int] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    """What cannot be read of it, in words; its rows are not in `actual`."""

    @property
    def differing(self) -> Iterator[str]:
        """Records with more or fewer rows than they should have."""
        records = sorted({*self.expected, *self.actual})
        return (record for record in records if self.expected.get(record) != self.actual.get(record))


def count_rows(lines: Iterable[Line], storage: WarehouseStorage) -> Iterator[RowCounts]:
    """One for each table that is there or should be; reads one column of each."""
    expected: dict[str, dict[str, int]] = {}
    for line in current_lines(lines):
        for table, count in line.entry.rows.items():
            if count:
                expected.setdefault(table, {})[line.entry.record_id or ""] = count
    for table in sorted(set(expected) | set(table_names(storage))):
        damage: tuple[str, ...] = ()
        try:
            actual = rows_by_record(storage, table)
        except _DAMAGED:
            actual, damage = _count_file_by_file(storage, table)
        yield RowCounts(table, expected.get(table, {}), actual, damage)


def _count_file_by_file(storage: WarehouseStorage, table: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """As much of a damaged table as can be read."""
    try:
        delta_table = open_table(storage, table)
        files = active_files(delta_table) if delta_table else []
    except _DAMAGED as error:
        return {}, (f"its log cannot be read ({type(error).__name__})",)
    rows: Counter[str] = Counter()
    damage = []
    for file in files:
        try:
            with open_data_file(storage, table, file.path) as parquet:
                rows.update(parquet.read(["recordid"]).column(0).to_pylist())
        except FileNotFoundError:
            damage.append(f"{file.path} is not there ({file.rows} rows)")
        except _DAMAGED as error:
            damage.append(f"{file.path} cannot be read ({type(error).__name__})")
    return dict(rows), tuple(damage)
