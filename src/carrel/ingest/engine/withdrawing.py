"""Withdrawal: a participant, or a record, leaves every table, the ledger, quarantine and raw JSON; and proof of it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from carrel.ingest.commit import (
    LEDGER,
    QUARANTINE,
    DataFile,
    Plan,
    RunNumber,
    Storage,
    TableCommit,
    all_tables,
    apply,
    begin,
    coordinator_lock,
    decide,
    existing,
    finish,
    holding,
    open_storage,
    recover,
    rewritten,
    schema_bytes,
    write_file,
)
from carrel.ingest.engine.building import without_lines
from carrel.ingest.ledger import ROW_GROUP, SCHEMA, Line, from_arrow, key_of, to_arrow, tombstone_line, tombstone_of
from carrel.ingest.values import Disposition


@dataclass(frozen=True, slots=True)
class Proof:
    """What a search through every file of the warehouse found afterwards. `holding`: files that still name somebody."""

    run_id: str
    records: int
    rows: int
    files_rewritten: int
    files_searched: int
    cells_searched: int
    holding: tuple[str, ...]

    def text(self) -> str:
        """For the file of the request."""
        done = (
            f"Withdrawal {self.run_id}: {self.records} records, {self.rows} rows removed, "
            f"{self.files_rewritten} files rewritten, old files deleted.\n"
            f"Searched {self.files_searched} files ({self.cells_searched:,} texts in tables): "
        )
        if self.holding:
            return done + "STILL FOUND in\n" + "\n".join(f"  {name}" for name in self.holding)
        return done + "no file of the warehouse holds the withdrawn codes."


def withdraw(warehouse: str, healthcodes: Collection[str] = (), record_ids: Collection[str] = ()) -> Proof:
    """Remove these participants and records, for good. Their archives are never ingested again.

    Copies that were exported from the warehouse are not known to it. WarehouseBusy when somebody else is at it.
    """
    storage = open_storage(warehouse)
    with coordinator_lock(storage):
        recover(storage)
        number = begin(storage)
        found = _Subjects.of(storage, frozenset(healthcodes), frozenset(record_ids))
        made = _Withdrawal(storage, number, found)
        plan = made.plan()
        decide(storage, plan)
        apply(storage, plan)
        finish(storage, plan)
        searched = _Search(storage, found.codes).run()
        return Proof(
            number.run_id,
            len(found.record_ids),
            made.rows,
            made.rewritten,
            searched.files,
            searched.cells,
            tuple(searched.holding),
        )


@dataclass(frozen=True, slots=True)
class _Subjects:
    """Who withdraws: what was asked for, and the records that it comes to."""

    healthcodes: frozenset[str]
    asked_records: frozenset[str]
    record_ids: frozenset[str]

    @classmethod
    def of(cls, storage: Storage, healthcodes: frozenset[str], records: frozenset[str]) -> "_Subjects":
        found = set(records)
        for name in (LEDGER, QUARANTINE):
            table = existing(storage, name)
            if table is not None and healthcodes:
                wanted = ds.field("healthcode").isin(pa.array(sorted(healthcodes)))
                rows = table.to_pyarrow_dataset().to_table(columns=["recordid"], filter=wanted)
                found |= {each for each in rows.column(0).to_pylist() if each}
        return cls(healthcodes, records, frozenset(found))

    @property
    def codes(self) -> frozenset[str]:
        """Every text that must not be found afterwards."""
        return self.healthcodes | self.record_ids

    def tombstones(self) -> list[str]:
        codes = [tombstone_of("healthcode", each) for each in sorted(self.healthcodes)]
        return codes + [tombstone_of("record", each) for each in sorted(self.asked_records)]

    def owns(self, row: Mapping[str, Any]) -> bool:
        """Whether a line of the ledger or quarantine is about them."""
        return row["recordid"] in self.record_ids or row["healthcode"] in self.healthcodes


class _Withdrawal:
    def __init__(self, storage: Storage, number: RunNumber, subjects: _Subjects):
        self.storage = storage
        self.run_id = number.run_id
        self.number = number
        self.subjects = subjects
        self.rows = 0
        self.rewritten = 0

    def plan(self) -> Plan:
        commits = [self._ledger(), *self._quarantine()]
        for name in all_tables(self.storage):
            commits += self._table(name)
        tables = tuple(commit.table for commit in commits)
        forget = tuple(self._raw_json())
        return Plan(self.number.number, self.run_id, "withdraw", tuple(commits), forget=forget, vacuum=tables)

    def _ledger(self) -> TableCommit:
        """Tombstones, and in place of the records' lines what is enough to know their archives again."""
        lines = self._lines_of_subjects()
        left = dict(without_lines(self.storage, self.run_id, LEDGER, self.subjects.owns, ROW_GROUP))
        blank = [replace(line.blanked(), run_id=line.run_id) for line in lines]
        made = [*blank, *(tombstone_line(each, self.run_id) for each in self.subjects.tombstones())]
        add = [file for file in left.values() if file]
        add.append(write_file(self.storage, self.run_id, LEDGER, "withdrawn", to_arrow(made), ROW_GROUP))
        self.rewritten += len(left)
        return TableCommit(LEDGER, schema_bytes(SCHEMA), tuple(add), tuple(left))

    def _lines_of_subjects(self) -> list[Line]:
        table = existing(self.storage, LEDGER)
        if table is None:
            return []
        keys = pa.array([key_of(each) for each in sorted(self.subjects.record_ids)], pa.int64())
        codes = pa.array(sorted(self.subjects.healthcodes), pa.string())
        wanted = ds.field("record_key").isin(keys) | ds.field("healthcode").isin(codes)
        lines = from_arrow(table.to_pyarrow_dataset().to_table(filter=wanted))
        return [line for line in lines if line.entry.disposition is not Disposition.WITHDRAWN]

    def _quarantine(self) -> Iterator[TableCommit]:
        left = dict(without_lines(self.storage, self.run_id, QUARANTINE, self.subjects.owns))
        yield from self._commit(QUARANTINE, left)

    def _table(self, name: str) -> Iterator[TableCommit]:
        table = existing(self.storage, name)
        records: dict[str, frozenset[str]] = {each: frozenset() for each in self.subjects.record_ids}
        paths = holding(self.storage, name, table, records) if table is not None else []
        gone = pa.array(sorted(self.subjects.record_ids), pa.string())

        def change(block: pa.Table) -> pa.Table:
            left = block.filter(pc.invert(pc.is_in(block.column("recordid"), gone)))
            self.rows += block.num_rows - left.num_rows
            return left

        yield from self._commit(
            name, {path: rewritten(self.storage, self.run_id, name, path, change) for path in paths}
        )

    def _commit(self, name: str, left: dict[str, DataFile | None]) -> Iterator[TableCommit]:
        table = existing(self.storage, name)
        if left and table is not None:
            self.rewritten += len(left)
            schema = schema_bytes(pa.schema(table.schema().to_arrow()))
            yield TableCommit(name, schema, tuple(file for file in left.values() if file), tuple(left))

    def _raw_json(self) -> Iterator[str]:
        for key in self.storage.keys("raw_json/"):
            if any(record in key.rsplit("/", 1)[-1] for record in self.subjects.record_ids):
                yield key


class _Search:
    """Looks for codes in every file: in each text of every Parquet file, in the bytes of all others."""

    def __init__(self, storage: Storage, codes: Collection[str]):
        self.storage = storage
        self.codes = sorted(codes)
        self.files = 0
        self.cells = 0
        self.holding: list[str] = []

    def run(self) -> "_Search":
        for key in self.storage.keys(""):
            self.files += 1
            found = self._in_parquet(key) if key.endswith(".parquet") else self._in_bytes(key)
            if found or any(code in key for code in self.codes):
                self.holding.append(key)
        return self

    def _in_bytes(self, key: str) -> bool:
        data = self.storage.read(key) or b""
        return any(code.encode() in data for code in self.codes)

    def _in_parquet(self, key: str) -> bool:
        with self.storage.open(key) as stream, pq.ParquetFile(stream) as file:
            groups = range(file.num_row_groups)
            return any(self._in_texts(file.read_row_group(number)) for number in groups)

    def _in_texts(self, rows: pa.Table) -> bool:
        texts = [column for column in rows.columns if pa.types.is_string(column.type)]
        texts += [pc.list_flatten(column) for column in rows.columns if pa.types.is_list(column.type)]
        self.cells += sum(len(column) for column in texts)
        distinct = [column.unique() for column in texts]
        return any(
            pc.any(pc.match_substring(column, code)).as_py()
            for column in distinct
            for code in self.codes
            if len(column)
        )
