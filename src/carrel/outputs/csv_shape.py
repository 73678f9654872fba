"""Rows and columns of a CSV file, counted as `csv.DictReader` counts them (agent.md 4.6)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from carrel.disclosure.records import records_of
from carrel.disclosure.texts import Unreadable, blocks_of, decoded
from carrel.outputs.level4 import HIGHLY_SENSITIVE, suffix_of
from carrel.units.limits import MAX_COUNTED_BYTES


class NotCsv(Exception):
    """The file cannot be read as UTF-8 CSV. The text says why and quotes nothing of the file."""


@dataclass(frozen=True, slots=True)
class CsvShape:
    """`cols` counts the header's fields, plus one where the first data row has more; 0 and 0 without a data row."""

    rows: int
    cols: int


def read_rows(stream: BinaryIO, check: Callable[[], None] = lambda: None) -> Iterator[list[str]]:
    """Every record of the file, header and blank records too; raises NotCsv on bytes or records that are no CSV.

    `check` is called again and again while it is read.
    """
    try:
        for _, fields in records_of(decoded(blocks_of(stream, check))):
            yield fields
    except Unreadable as error:
        raise NotCsv(str(error)) from None


def shape_of(rows: Iterable[list[str]]) -> CsvShape:
    """Count records that `read_rows` gave, or any lists of fields."""
    records = iter(rows)
    header = next(records, [])
    first = next((row for row in records if row), None)
    if first is None:
        return CsvShape(0, 0)
    return CsvShape(1 + sum(1 for row in records if row), len(header) + (len(first) > len(header)))


def measure_output(file: Path, path: str, level: str, check: Callable[[], None] = lambda: None) -> CsvShape | None:
    """Shape of the output `path`, whose bytes are in `file`; None for what is not counted.

    Counted are CSV files that output checkers may see: how many patients an extract has is none of theirs.
    """
    if suffix_of(path) != ".csv" or level == HIGHLY_SENSITIVE or file.stat().st_size > MAX_COUNTED_BYTES:
        return None
    with file.open("rb") as stream:
        return measure_csv(stream, check)


def measure_csv(stream: BinaryIO, check: Callable[[], None] = lambda: None) -> CsvShape | None:
    """Shape of a CSV file, or None where it cannot be read as one."""
    try:
        return shape_of(read_rows(stream, check))
    except NotCsv:
        return None
