"""A table or text with some of its cells or lines redacted or rounded, and nothing else changed. Pure.

The file's dialect stays: its delimiter, quotes, line ends, titles and notes. What was edited is read again: where any
other cell would read differently, nothing is edited.
"""

import re
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import PurePosixPath

from carrel.disclosure.cells import CellKind, read_cell
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.tables import (
    Span,
    Table,
    delimiter_of,
    paragraphs_of,
    read_tables,
    spans_of_rows,
    tables_in_text,
)
from carrel.disclosure.texts import lines_of

REDACTED = "[REDACTED]"
EDITABLE_TEXTS = frozenset({".txt", ".md", ".log"})
"""Types whose tables stand among other text. Those of `.csv` are the file; other types are edited by lines at most."""
_PLAIN_COUNT = re.compile(r"(?P<whole>[0-9]{1,3}(?:[, ][0-9]{3})+|[0-9]{1,18})(?P<zeros>\.0+)?")

CellPlace = tuple[int, int]
"""The line of a cell's row and the number of its column, both from 1, as findings have them."""


class CannotEdit(Exception):
    """The text says where, why, and what to do instead."""


def redact_cells(text: str, path: str, cells: Collection[CellPlace], mark: str = REDACTED) -> str:
    """The text with `mark` in the place of these cells. Raises CannotEdit, and Unreadable."""
    return _edited(text, path, cells, lambda position, cell: mark)


def round_cells(
    text: str, path: str, cells: Collection[CellPlace], policy: DisclosurePolicy, *, midpoint6: bool = False
) -> str:
    """The text with these counts rounded: to the policy's multiple, or up to the midpoint of their six.

    A count that is too small to be shown is redacted first, but for midpoints, which hide it. Half way between two
    multiples goes up. Raises CannotEdit for a cell that is more than a count (`12 (3%)`), and Unreadable.
    """

    def rounded(position: CellPlace, cell: str) -> str:
        read, plain = read_cell(cell), _PLAIN_COUNT.fullmatch(cell)
        if read.kind is not CellKind.COUNT or plain is None:
            raise CannotEdit(
                f"line {position[0]}, column {position[1]} is not a count alone: redact it, or mend the program"
            )
        if midpoint6:
            count = -(-read.count // 6) * 6 - 3 if read.count else 0
        elif 0 < read.count < policy.smallest_shown:
            return REDACTED
        else:
            count = (2 * read.count + policy.rounded_to) // (2 * policy.rounded_to) * policy.rounded_to
        separator = next((character for character in ", " if character in plain["whole"]), "")
        return (f"{count:,}".replace(",", separator) if separator else str(count)) + (plain["zeros"] or "")

    return _edited(text, path, cells, rounded)


def redact_lines(text: str, lines: Collection[int], mark: str = REDACTED) -> str:
    """The text with `mark` in the place of these lines, from 1; their ends stay. Raises CannotEdit, and Unreadable."""
    pieces = list(chain.from_iterable(lines_of([text])))
    if missing := [line for line in sorted(lines) if not 0 < line <= len(pieces)]:
        raise CannotEdit(f"there is no line {missing[0]}: the text has {len(pieces):,}")
    for line in lines:
        piece = pieces[line - 1]
        pieces[line - 1] = mark + piece[len(piece.rstrip("\r\n")) :]
    return "".join(pieces)


def _edited(text: str, path: str, cells: Collection[CellPlace], new_of: Callable[[CellPlace, str], str]) -> str:
    suffix = PurePosixPath(path).suffix.lower() or path
    if suffix != ".csv" and suffix not in EDITABLE_TEXTS:
        raise CannotEdit(f"cells of a {suffix} file cannot be edited here: mend the program that makes it")
    before = _cells_of(text, suffix)
    spans = {
        (line, number): (span, delimiter)
        for line, row, delimiter in _rows(text, suffix)
        for number, span in enumerate(row, start=1)
    }
    if missing := sorted(position for position in cells if position not in before or position not in spans):
        raise CannotEdit(f"line {missing[0][0]} has no cell in column {missing[0][1]}")
    edits = []
    for position in cells:
        (start, end), delimiter = spans[position]
        edits.append((start, end, _in_its_place(text[start:end], new_of(position, before[position]), delimiter)))
    edited = text
    for start, end, replacement in sorted(edits, reverse=True):
        edited = edited[:start] + replacement + edited[end:]
    after = _cells_of(edited, suffix)
    if {position for position in before | after if before.get(position) != after.get(position)} - set(cells):
        raise CannotEdit("other cells would read differently then: mend the program that makes the file")
    return edited


def _rows(text: str, suffix: str) -> Iterator[tuple[int, list[Span], str]]:
    """Line, spans of cells and delimiter of each row of a file's tables, as they are read."""
    if suffix == ".csv":
        sample = text.splitlines(keepends=True)
        delimiter = delimiter_of(sample)
        yield from ((line, spans, delimiter) for line, spans in spans_of_rows(text, delimiter))
        return
    begin = 0
    positions = [begin := begin + len(line) for line in chain.from_iterable(lines_of([text]))]
    for first, lines in paragraphs_of([text]):
        start = positions[first - 2] if first > 1 else 0
        delimiter = delimiter_of(lines)
        for line, spans in spans_of_rows("".join(lines), delimiter):
            yield first + line - 1, [(start + left, start + right) for left, right in spans], delimiter


def _in_its_place(raw: str, new: str, delimiter: str) -> str:
    """The new cell with the blanks and the quotes of the one that it replaces, or with quotes where it needs them."""
    inner = raw.strip()
    before, after = raw[: len(raw) - len(raw.lstrip())], raw[len(raw.rstrip()) :] if inner else ""
    is_quoted = len(inner) > 1 and inner[0] == inner[-1] == '"'
    needs_quotes = delimiter.strip(" ") in new if delimiter.strip(" ") else " " in new
    if is_quoted or needs_quotes or '"' in new:
        new = '"' + new.replace('"', '""') + '"'
    return before + new + after


def _cells_of(text: str, suffix: str) -> dict[CellPlace, str]:
    tables: list[Table] = read_tables([text]) if suffix == ".csv" else tables_in_text([text])
    return {
        (row.line, number): cell
        for table in tables
        for row in table.rows
        for number, cell in enumerate(row.cells, start=1)
    }
