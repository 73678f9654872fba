"""Who withdraws: the codes that were asked for, and the records that they come to in the ledger and quarantine."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.operations.search import AT_ONCE, WholeValues
from carrel.ingest.store import LEDGER, QUARANTINE, WarehouseStorage, active_files, open_data_file, open_table
from carrel.ingest.store.ledger import tombstone_of

_WHO = ("recordid", "healthcode")


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """`tombstones`: one for each code that was asked for; `records`: how many records each came to; `others`: codes
    of other people and records that one of theirs is a part of, as `rec1` is of `rec1-b`."""

    tombstones: tuple[str, ...]
    healthcodes: frozenset[str]
    record_ids: frozenset[str]
    records: dict[str, int]
    others: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    """Codes that were asked for and that a line has."""

    @property
    def codes(self) -> frozenset[str]:
        """Every text that must not be found afterwards."""
        return self.healthcodes | self.record_ids

    def own(self, lines: pa.Table) -> pa.ChunkedArray:
        """Which lines of the ledger or quarantine (at least their `WHO` columns) are about them.

        A line of an archive that nothing could be read of names no record; its address may.
        """
        mine = pc.or_(_is_in(lines, "recordid", self.record_ids), _is_in(lines, "healthcode", self.healthcodes))
        nameless = pc.is_null(lines.column("recordid"))
        if not pc.any(nameless).as_py():
            return mine
        return pc.or_(mine, pc.and_(nameless, self._addresses.standing_in(lines.column("archive_uri"))))

    @cached_property
    def _addresses(self) -> WholeValues:
        return WholeValues(self.record_ids, self.others)


WHO = (*_WHO, "archive_uri")
"""Columns that say whom a line is about."""


def find_subjects(storage: WarehouseStorage, healthcodes: Collection[str], record_ids: Collection[str]) -> Subjects:
    """The subjects by their codes. Reads two columns of the ledger and of quarantine."""
    records_of: dict[str, set[str]] = {code: set() for code in healthcodes}
    seen_records: set[str] = set()
    seen_people: set[str] = set()
    for block in _people(storage):
        for row in block.filter(_is_in(block, "healthcode", healthcodes)).to_pylist():
            seen_people.add(row["healthcode"])
            records_of[row["healthcode"]] |= {row["recordid"]} - {None}
        records = block.column("recordid")
        seen_records |= set(records.filter(_is_in(block, "recordid", record_ids)).to_pylist())
    counts = {tombstone_of("healthcode", code): len(records) for code, records in sorted(records_of.items())}
    counts |= {tombstone_of("record", record): int(record in seen_records) for record in sorted(record_ids)}
    all_records = frozenset(record_ids).union(*records_of.values())
    return Subjects(
        tombstones=tuple(counts),
        healthcodes=frozenset(healthcodes),
        record_ids=all_records,
        records=counts,
        others=frozenset(_containing(storage, all_records.union(healthcodes))),
        seen=frozenset(seen_people | seen_records),
    )


def _containing(storage: WarehouseStorage, codes: Collection[str]) -> Iterator[str]:
    """Values of the ledger and quarantine that are no code of these and have one in them."""
    ordered = sorted(codes)
    patterns = ["|".join(map(re.escape, ordered[at : at + AT_ONCE])) for at in range(0, len(ordered), AT_ONCE)]
    for block in _people(storage):
        for column in _WHO:
            values = block.column(column).unique().drop_null()
            for pattern in patterns:
                matches = values.filter(pc.match_substring_regex(values, pattern))
                yield from set(matches.to_pylist()).difference(codes)


def recall_subjects(storage: WarehouseStorage, tombstones: frozenset[str]) -> Subjects:
    """The subjects of tombstones whose codes nobody says any more: those that the ledger or quarantine still has."""
    codes: dict[str, set[str]] = {"record": set(), "healthcode": set()}
    for block in _people(storage):
        for kind, column in (("record", "recordid"), ("healthcode", "healthcode")):
            values = block.column(column).unique().drop_null().to_pylist()
            codes[kind].update(code for code in values if tombstone_of(kind, code) in tombstones)
    subjects = find_subjects(storage, codes["healthcode"], codes["record"])
    counts = {tombstone: subjects.records.get(tombstone, 0) for tombstone in sorted(tombstones)}
    return replace(subjects, tombstones=tuple(counts), records=counts, seen=frozenset())


def _people(storage: WarehouseStorage) -> Iterator[pa.Table]:
    for name in (LEDGER, QUARANTINE):
        table = open_table(storage, name)
        for file in active_files(table) if table else ():
            yield from read_columns(storage, name, file.path, _WHO)


def read_columns(storage: WarehouseStorage, name: str, path: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of a file, row group by row group."""
    with open_data_file(storage, name, path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, list(columns))


def _is_in(block: pa.Table, column: str, values: Collection[str]) -> pa.ChunkedArray:
    return pc.is_in(block.column(column), pa.array(sorted(values), pa.string()))
