"""The rows that the ledger says there are, beside the rows that the tables hold."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
from deltalake.exceptions import DeltaError

from carrel.ingest.operations.inspection import rows_by_record
from carrel.ingest.store import WarehouseStorage, active_files, open_data_file, open_table, table_names
from carrel.ingest.store.ledger import Line, current

_DAMAGED = (OSError, pa.ArrowException, DeltaError)


@dataclass(frozen=True, slots=True)
class RowCounts:
    """One table's rows by record id (of records that the ledger no longer names: ""), as wanted and as found."""

    table: str
    wanted: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    """What cannot be read of it, in words; its rows are not in `found`."""

    @property
    def differing(self) -> Iterator[str]:
        """Records with more or fewer rows than they should have."""
        return (each for each in sorted({*self.wanted, *self.found}) if self.wanted.get(each) != self.found.get(each))


def count_rows(lines: Iterable[Line], storage: WarehouseStorage) -> Iterator[RowCounts]:
    """One for each table that is there or should be; reads one column of each."""
    wanted = _wanted(lines)
    for table in sorted(set(wanted) | set(table_names(storage))):
        found, damage = _found(storage, table)
        yield RowCounts(table, wanted.get(table, {}), found, damage)


def _wanted(lines: Iterable[Line]) -> dict[str, dict[str, int]]:
    by_record: dict[int, list[Line]] = {}
    for line in lines:
        by_record.setdefault(line.record_key, []).append(line)
    wanted: dict[str, dict[str, int]] = {}
    for group in by_record.values():
        if latest := current(group):
            record = latest.entry.record_id or ""
            for table, count in latest.entry.rows.items():
                if count:
                    wanted.setdefault(table, {})[record] = count
    return wanted


def _found(storage: WarehouseStorage, table: str) -> tuple[dict[str, int], tuple[str, ...]]:
    try:
        return rows_by_record(storage, table), ()
    except _DAMAGED:
        return _file_by_file(storage, table)


def _file_by_file(storage: WarehouseStorage, table: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """As much of a damaged table as can be read."""
    try:
        opened_table = open_table(storage, table)
        files = active_files(opened_table) if opened_table else []
    except _DAMAGED as error:
        return {}, (f"its log cannot be read ({type(error).__name__})",)
    found: Counter[str] = Counter()
    damage = []
    for file in files:
        try:
            with open_data_file(storage, table, file.path) as parquet:
                found.update(parquet.read(["recordid"]).column(0).to_pylist())
        except FileNotFoundError:
            damage.append(f"{file.path} is not there ({file.rows} rows)")
        except _DAMAGED as error:
            damage.append(f"{file.path} cannot be read ({type(error).__name__})")
    return dict(found), tuple(damage)
