"""The one reader of tables, whoever wrote them: any delimiter, titles, comments, footnotes, several in one file. Pure.

A table's first row with as many cells as the rows below it is its header; what stands above is a title or a comment.
All is bounded: what is larger than a bound is `Unreadable`, and never called a table without anything to find.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from carrel.disclosure.cells import CellKind, read_cell
from carrel.disclosure.records import records_of
from carrel.disclosure.texts import Unreadable, lines_of
from carrel.units.limits import MAX_TABLE_CELLS, MAX_TABLE_PARAGRAPHS, READ_BLOCK_BYTES

DELIMITERS = (",", "\t", ";", "|", "\x1f", "^", "~", ":", "/", "\xa6", "\xa7", "\x1e")
"""In the order in which they are believed, where several part the lines equally well."""
_SPACES = "  "
"""Two blanks or more, or a tab, between cells."""
_BLANKS = " "
"""Any blanks between cells; a cell with blanks stands in quotes."""
_TWO_BLANKS = re.compile(r" {2,}|\t")
_WORD = re.compile(r"\"(?:[^\"]|\"\")*+\"(?!\S)|'[^']*+'(?!\S)|\S+")
_RULER = re.compile(r"[-=+|: \t_]*")
_CELL_END = re.compile(r"[^\w\s.\"'()-]|\s++")
_SAMPLE_ROWS = 200
Span = tuple[int, int]
"""Where something begins and ends in a text."""
_COMMENTS = ("#", "//", "--", "%", "*")


@dataclass(frozen=True, slots=True)
class TableRow:
    """`line` is the first line of the row in its file, from 1 (in a page or a JSON document: the row's number)."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` may be longer or shorter than `header`; a cell that is not there says nothing."""

    header: TableRow
    rows: tuple[TableRow, ...]

    def column(self, number: int) -> tuple[str, ...]:
        return tuple(row.cells[number] if number < len(row.cells) else "" for row in self.rows)


def read_tables(blocks: Iterable[str]) -> list[Table]:
    """The tables of a file that is one, or several with blank lines between; none where there are no rows.

    Raises Unreadable for a line, a record or a table without end.
    """
    sample, blocks = _sampled(blocks)
    delimiter = delimiter_of(sample)
    rows = _bounded(_rows(blocks, delimiter))
    return _joined([table for section in _sections(rows) if (table := _table(section))])


def tables_in_text(blocks: Iterable[str]) -> list[Table]:
    """The tables among the paragraphs of a text, each with a delimiter of its own. Raises Unreadable."""
    tables = []
    for number, lines in _bounded_paragraphs(blocks):
        rows = [row for row in _rows(lines, delimiter_of(lines)) if any(row.cells)]
        table = _table([TableRow(number + row.line - 1, row.cells) for row in rows])
        if table and _is_plainly_a_table(table):
            tables.append(table)
    return tables


def header_of(blocks: Iterable[str]) -> TableRow | None:
    """The header of a file's first table, by its first rows; None for a file without any."""
    sample, _ = _sampled(blocks)
    tables = read_tables(["".join(sample)])
    return tables[0].header if tables else None


def _sampled(blocks: Iterable[str]) -> tuple[list[str], Iterator[str]]:
    """The first lines, and all blocks with them."""
    remaining = iter(blocks)
    first: list[str] = []
    while sum(map(len, first)) < READ_BLOCK_BYTES and (block := next(remaining, None)) is not None:
        first.append(block)
    sample = "".join(first).splitlines(keepends=True)[:_SAMPLE_ROWS]
    return sample, chain(first, remaining)


def delimiter_of(lines: Sequence[str]) -> str:
    """What parts the cells: the delimiter by which most of these lines have the same number of cells, two or more."""
    sample = list(islice(lines, _SAMPLE_ROWS))
    filled = sum(1 for line in sample if line.strip())
    counts = {delimiter: _alike(_widths(sample, delimiter)) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: counts[delimiter])
    if 2 * counts[best] >= filled > 0:
        return best
    blanks = {delimiter: _alike(_widths(sample, delimiter)) for delimiter in (_SPACES, _BLANKS)}
    spaced = max(blanks, key=lambda delimiter: blanks[delimiter])
    return spaced if blanks[spaced] > counts[best] else best if counts[best] else ","


def _widths(lines: Sequence[str], delimiter: str) -> list[int]:
    try:
        return [len(row.cells) for row in _rows(lines, delimiter) if any(row.cells)]
    except Unreadable:
        return []


def _alike(widths: Sequence[int]) -> int:
    """How many rows have the commonest number of cells, of those with two or more."""
    return max(Counter(width for width in widths if width > 1).values(), default=0)


def _rows(blocks: Iterable[str], delimiter: str) -> Iterator[TableRow]:
    if delimiter in (_SPACES, _BLANKS):
        quotes = "" if delimiter == _SPACES else "\"'"
        for number, line in enumerate(chain.from_iterable(lines_of(blocks)), start=1):
            cells = (line[start:end] for start, end in _spaced_spans(line, delimiter))
            yield TableRow(number, tuple(cell.strip(quotes).strip() if quotes else cell.strip() for cell in cells))
        return
    for number, record in records_of(blocks, delimiter):
        inner = [record[position] for position in _piped_numbers(record)] if delimiter == "|" else record
        yield TableRow(number, tuple(cell.strip() for cell in inner))


def _spaced_spans(line: str, delimiter: str) -> list[Span]:
    """Where the cells stand in a line of cells with blanks between; nowhere in a line that rules off a header."""
    if _RULER.fullmatch(line.strip()):
        return []
    if delimiter == _BLANKS:
        return [word.span() for word in _WORD.finditer(line)]
    start, end = len(line) - len(line.lstrip()), len(line.rstrip())
    spans = []
    for blanks in _TWO_BLANKS.finditer(line, start, end):
        spans.append((start, blanks.start()))
        start = blanks.end()
    return [*spans, (start, end)]


def _piped_numbers(cells: Sequence[str]) -> range:
    """Which cells of a line of a Markdown table are some.

    It has a delimiter at its ends too, and one line of dashes below its header.
    """
    if all(_RULER.fullmatch(cell) for cell in cells) and any("-" in cell for cell in cells):
        return range(0)
    first = 1 if cells and not cells[0].strip() else 0
    is_closed = first and len(cells) - first > 1 and not cells[-1].strip()
    return range(first, len(cells) - 1 if is_closed else len(cells))


_END_OF_LINE = re.compile(r"\r\n|\r|\n")


def spans_of_rows(text: str, delimiter: str) -> Iterator[tuple[int, list[Span]]]:
    """Where the cells of each row stand in a text: its first line, from 1, and the spans of its cells, quotes and all.

    The rows and cells are those that are read with this delimiter, each of which may have blanks at its ends.
    """
    if delimiter in (_SPACES, _BLANKS):
        position = 0
        for number, piece in enumerate(chain.from_iterable(lines_of([text])), start=1):
            yield number, [(position + start, position + end) for start, end in _spaced_spans(piece, delimiter)]
            position += len(piece)
        return
    cell = re.compile(rf'(?:"(?:[^"]|"")*+(?:"|\Z))?[^{re.escape(delimiter)}\r\n]*+')
    position, line = 0, 1
    while position < len(text):
        first, spans = line, []
        while match := cell.match(text, position):
            spans.append(match.span())
            line += len(_END_OF_LINE.findall(match[0]))
            position = match.end()
            if text[position : position + 1] != delimiter:
                break
            position += 1
        if line_end := _END_OF_LINE.match(text, position):
            position, line = line_end.end(), line + 1
        if delimiter == "|":
            spans = [spans[number] for number in _piped_numbers([text[start:end] for start, end in spans])]
        yield first, spans


def _bounded(rows: Iterable[TableRow]) -> Iterator[TableRow]:
    cells = 0
    for row in rows:
        cells += len(row.cells) + 1
        if cells > MAX_TABLE_CELLS:
            raise Unreadable(f"it has more than {MAX_TABLE_CELLS:,} cells")
        yield row


def _sections(rows: Iterable[TableRow]) -> Iterator[list[TableRow]]:
    """Runs of rows with blank ones between."""
    section: list[TableRow] = []
    for row in rows:
        if any(row.cells):
            section.append(row)
        elif section:
            yield section
            section = []
    if section:
        yield section


def _bounded_paragraphs(blocks: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    cells = 0
    for count, (number, lines) in enumerate(paragraphs_of(blocks)):
        cells += sum(1 + len(_CELL_END.findall(line)) for line in lines)
        if count >= MAX_TABLE_PARAGRAPHS:
            raise Unreadable(f"it has more than {MAX_TABLE_PARAGRAPHS:,} paragraphs")
        if cells > MAX_TABLE_CELLS:
            raise Unreadable(f"it has more than {MAX_TABLE_CELLS:,} cells")
        yield number, lines


def paragraphs_of(blocks: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines between blank ones, with the number of the first."""
    paragraph: list[str] = []
    for number, line in enumerate(chain.from_iterable(lines_of(blocks)), start=1):
        if line.strip():
            paragraph.append(line)
            if len(paragraph) > MAX_TABLE_CELLS:
                raise Unreadable(f"it has more than {MAX_TABLE_CELLS:,} cells")
        elif paragraph:
            yield number - len(paragraph), paragraph
            paragraph = []
    if paragraph:
        yield number - len(paragraph) + 1, paragraph


def _table(rows: Sequence[TableRow]) -> Table | None:
    """A section's header and the rows below it; None for a section without two rows."""
    if len(rows) < 2:
        return Table(rows[0], ()) if rows else None
    widths = Counter(len(row.cells) for row in rows[:_SAMPLE_ROWS])
    width = max(widths, key=lambda candidate: (candidate > 1, widths[candidate], candidate))
    position = next((number for number in range(len(rows) - 1) if _is_header(rows, number, width)), 0)
    header = rows[position]
    body = tuple(row for row in rows[position + 1 :] if not _is_note(row, width))
    if len(header.cells) == width - 1 and width > 1:  # R leaves out the header of row names
        header = TableRow(header.line, ("", *header.cells))
    return Table(header, body)


def _is_header(rows: Sequence[TableRow], number: int, width: int) -> bool:
    row, following = rows[number], rows[number + 1]
    filled = sum(map(bool, row.cells))
    if row.cells[0].startswith(_COMMENTS) and not (len(row.cells) == width and _has_number(following)):
        return False
    if filled >= max(1, width - 1) and len(row.cells) >= width:
        # A title of two cells above a header of two is told by what follows: a header has values below it.
        is_full = len(following.cells) == width and all(following.cells)
        return filled == width or _has_number(following) or not is_full
    return len(row.cells) == width - 1 == filled and _has_number(following)


def _has_number(row: TableRow) -> bool:
    """Or a mark in its place; a letter or a word that may be one may be a name as well."""
    kinds = ((cell, read_cell(cell).kind) for cell in row.cells)
    return any(
        kind in (CellKind.COUNT, CellKind.NUMBER) or (kind is CellKind.MARK and not cell.isalpha())
        for cell, kind in kinds
    )


_NOTE = re.compile(r"(notes?|sources?)\b.*|[*#†‡].*|.*:\s.*|.{30,}\.", re.IGNORECASE | re.DOTALL)


def _is_note(row: TableRow, width: int) -> bool:
    """A footnote or a source below a table: a text in the first cell, and no other cell.

    With empty cells beside it, it is one only if it reads like one: a label may stand there whose counts are left out.
    """
    first, *others = row.cells
    if width < 2 or not first or any(others) or read_cell(first).kind is not CellKind.TEXT:
        return False
    return not others or _NOTE.fullmatch(first) is not None


def _joined(sections: Sequence[Table]) -> list[Table]:
    """Sections that begin with values go on with the table above; a lone title is the next one's."""
    tables: list[Table] = []
    for section in sections:
        above = tables[-1] if tables else None
        rows = (section.header, *section.rows)
        if above and len(section.header.cells) == len(above.header.cells) and _has_number(section.header):
            tables[-1] = Table(above.header, (*above.rows, *rows))
        elif above and not above.rows and len(section.header.cells) == 1 < len(above.header.cells):
            continue
        else:
            tables.append(section)
    with_rows = [table for table in tables if table.rows]
    is_wide = any(len(table.header.cells) > 1 for table in with_rows)
    if is_wide:  # titles and notes of several lines have one cell each, and no number
        with_rows = [table for table in with_rows if len(table.header.cells) > 1 or any(map(_has_number, table.rows))]
    return with_rows or tables[:1]


def _is_plainly_a_table(table: Table) -> bool:
    """In a text, lines that happen to have as many commas are no table: half the rows are as wide and have a number."""
    width = len(table.header.cells)
    alike = [row for row in table.rows if abs(len(row.cells) - width) <= 1 and _has_number(row)]
    return width > 1 and 2 * len(alike) >= len(table.rows) > 0
