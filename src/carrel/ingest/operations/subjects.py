"""Who withdraws: the codes that were asked for, and the records that they come to in the ledger and quarantine."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.operations.search import AT_ONCE, WholeValues
from carrel.ingest.store import LEDGER, QUARANTINE, WarehouseStorage, active_files, open_data_file, open_table
from carrel.ingest.store.ledger import tombstone_of

_WHO = ("recordid", "healthcode")


@dataclass(frozen=True)
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
    found: dict[str, set[str]] = {code: set() for code in healthcodes}
    known: set[str] = set()
    seen: set[str] = set()
    for block in _people(storage):
        mine = block.filter(_is_in(block, "healthcode", healthcodes)).to_pylist()
        for row in mine:
            seen.add(row["healthcode"])
            found[row["healthcode"]] |= {row["recordid"]} - {None}
        records = block.column("recordid")
        known |= set(records.filter(_is_in(block, "recordid", record_ids)).to_pylist())
    counts = {tombstone_of("healthcode", code): len(records) for code, records in sorted(found.items())}
    counts |= {tombstone_of("record", each): int(each in known) for each in sorted(record_ids)}
    everything = frozenset(record_ids).union(*found.values())
    others = frozenset(_containing(storage, everything.union(healthcodes)))
    return Subjects(tuple(counts), frozenset(healthcodes), everything, counts, others, frozenset(seen | known))


def _containing(storage: WarehouseStorage, codes: Collection[str]) -> Iterator[str]:
    """Values of the ledger and quarantine that are no code of these and have one in them."""
    ordered = sorted(codes)
    patterns = ["|".join(map(re.escape, ordered[at : at + AT_ONCE])) for at in range(0, len(ordered), AT_ONCE)]
    for block in _people(storage):
        for column in _WHO:
            values = block.column(column).unique().drop_null()
            for each in patterns:
                yield from set(values.filter(pc.match_substring_regex(values, each)).to_pylist()).difference(codes)


def recall_subjects(storage: WarehouseStorage, tombstones: Collection[str]) -> Subjects:
    """The subjects of tombstones whose codes nobody says any more: those that the ledger or quarantine still has."""
    wanted = frozenset(tombstones)
    codes: Counter[tuple[str, str]] = Counter()
    for block in _people(storage):
        for kind, column in (("record", "recordid"), ("healthcode", "healthcode")):
            values = block.column(column).unique().drop_null().to_pylist()
            codes.update((kind, each) for each in values if tombstone_of(kind, each) in wanted)
    healthcodes = [code for kind, code in codes if kind == "healthcode"]
    found = find_subjects(storage, healthcodes, [code for kind, code in codes if kind == "record"])
    counts = {each: found.records.get(each, 0) for each in sorted(wanted)}
    return Subjects(tuple(counts), found.healthcodes, found.record_ids, counts, found.others)


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
