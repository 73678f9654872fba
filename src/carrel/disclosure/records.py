"""Records of a delimited table, in bounded memory: quotes, doubled quotes, line breaks within quotes. Pure."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from carrel.disclosure.texts import Unreadable, lines_of
from carrel.units.limits import MAX_TABLE_RECORD


@dataclass(slots=True)
class _Reading:
    """Characters handed to `csv` since it last gave a record."""

    unanswered: int = 0


def records_of(blocks: Iterable[str], delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of its first line, from 1; a blank line is an empty record.

    Raises Unreadable for a line, a field or a record without end.
    """
    reading = _Reading()
    reader = csv.reader(chain.from_iterable(_watched(lines_of(blocks), reading)), delimiter=delimiter)
    line = 1
    with _told():
        for fields in reader:
            reading.unanswered = 0
            yield line, fields
            line = reader.line_num + 1


def count_records(blocks: Iterable[str]) -> int:
    """How many records there are that are not blank. Raises Unreadable as `records_of` does."""
    reading, count = _Reading(), 0
    with _told():
        for fields in csv.reader(chain.from_iterable(_watched(lines_of(blocks), reading))):
            reading.unanswered = 0
            if fields:
                count += 1
    return count


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise Unreadable("a field is too large" if "field larger" in str(error) else "its quoting is no CSV") from None


def _watched(lists: Iterable[list[str]], reading: _Reading) -> Iterator[list[str]]:
    for lines in lists:
        if reading.unanswered > MAX_TABLE_RECORD:
            raise Unreadable(f"a record is longer than {MAX_TABLE_RECORD:,} characters")
        reading.unanswered += sum(map(len, lines))
        yield lines
