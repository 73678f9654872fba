"""What the level 4 gate must know of a file's contents. Pure: bytes in, facts out.

The rule in doubt is the safe one: what cannot be read as its suffix says is `Unreadable`, and does not pass. Every
reader goes once over the file, block by block, with bounded memory.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from carrel.disclosure import images
from carrel.disclosure.datauris import DataUris
from carrel.disclosure.jsons import Json
from carrel.disclosure.markup import Markup
from carrel.disclosure.mentions import EDGE, Mention, Mentions, words_of
from carrel.disclosure.records import count_records
from carrel.disclosure.tables import header_of
from carrel.disclosure.texts import Unreadable, blocks_of, decoded
from carrel.units.limits import MAX_LEVEL4_NESTING, READ_BLOCK_BYTES

PATIENT_ID = "patient_id"
_IMAGES = frozenset({".png", ".jpg", ".jpeg"})
_PAGES = frozenset({".html", ".svg"})
_DATA_FILES = {
    b"PK\x03\x04": "zip archive",
    b"PAR1": "Parquet file",
    b"ARROW1": "Arrow file",
    b"FEA1": "Feather file",
    b"%PDF": "PDF document",
    b"SQLite format 3": "SQLite database",
    b"\x89HDF": "HDF5 file",
    b"\x1f\x8b": "gzip file",
    b"BZh": "bzip2 file",
    b"\xfd7zXZ": "xz file",
    b"\x28\xb5\x2f\xfd": "zstd file",
    b"7z\xbc\xaf": "7z archive",
    b"\xd0\xcf\x11\xe0": "Office document",
    b"RDX": "R data file",
    b"<stata_dta>": "Stata data file",
}
"""First bytes of formats that hold tables and that the gate does not read."""
_CONTROLS_AS_EDGES = dict.fromkeys({*range(32), 127} - set(b"\t\n\r"), EDGE)
_WIDE_TEXT = re.compile(rb"(?:[\t\n\r\x20-\x7e]\0){4,}+|(?:\0[\t\n\r\x20-\x7e]){4,}+")
"""UTF-16 of either order, of characters that ASCII has."""


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """`mentions`: barred names that stand as a column's or a key's, each with its first line.

    `rows`: records of a CSV file; rows of the longest table or list of records in a page, a JSON document or a text.
    `lines`: lines of a CSV file with something on them, but one (the header's). 0 where it does not apply.
    """

    mentions: tuple[Mention, ...] = ()
    rows: int = 0
    lines: int = 0
    header_line: int = 0
    """Number of the line, from 1, with the header of a CSV file's table."""


def inspect(
    data: bytes | BinaryIO,
    suffix: str,
    max_bytes: int,
    names: Iterable[str] = (PATIENT_ID,),
    pulse: Callable[[], None] = lambda: None,
) -> ContentFacts:
    """Facts of a file with this suffix (lower case, with dot). `max_bytes`: most that compressed data may unfold to.

    `names` are looked for; `pulse` is called between blocks, and what it raises ends the reading. Raises Unreadable. A
    suffix that is not known here is read as text.
    """
    reader = _Reader(max_bytes, tuple(names), pulse)
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    return reader.read(stream, suffix)


@dataclass
class _Reader:
    """Reads one file, and the files within it."""

    max_bytes: int
    names: tuple[str, ...]
    pulse: Callable[[], None]
    mentions: dict[str, Mention] = field(default_factory=dict)

    def read(self, stream: BinaryIO, suffix: str) -> ContentFacts:
        rows = lines = header_line = 0
        if suffix in _IMAGES:
            self._read_image(stream.read(self.max_bytes + 1), suffix, depth=0)
        elif suffix == ".csv":
            # Lines but the header's count too: a table may be folded into one quoted field with line breaks.
            filled = _FilledLines()
            rows = max(0, count_records(filled.counted(self._read_text(stream, alone=True))) - 1)
            lines = max(0, filled.count - 1)
            header_line = self._read_header(stream)
        elif suffix == ".json":
            rows = self._read_json(stream)
        elif suffix == ".svgz":
            packed = stream.read(self.max_bytes + 1)
            rows = self._read_page(io.BytesIO(images.inflated(packed, self.max_bytes, gzip=True)), ".svg")
        elif suffix in _PAGES:
            rows = self._read_page(stream, suffix)
        else:
            table = _LongestTable(by_blanks=suffix != ".log")
            for text in self._read_text(stream):
                table.feed(text)
            rows = table.close()
        return ContentFacts(tuple(self.mentions.values()), rows, lines, header_line)

    def _read_text(self, stream: BinaryIO, depth: int = 0, *, alone: bool = False) -> Iterator[str]:
        """The text, block by block, searched as it stands and for files within it."""
        searched, files = Mentions(self.names, alone=alone), DataUris()
        head = stream.read(32)
        if kind := _data_file(head):
            raise Unreadable(f"its contents are a {kind}, not text")
        stream.seek(-len(head), io.SEEK_CUR)
        for text in decoded(self._cap(blocks_of(stream, self.pulse))):
            searched.feed(text)
            for content in files.feed(text):
                self._read_file(content, depth + 1)
            yield text
        for content in files.close():
            self._read_file(content, depth + 1)
        self._add_mentions(searched)

    def _cap(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """A file that grows while it is read comes to an end too."""
        size = 0
        for block in blocks:
            size += len(block)
            if size > self.max_bytes:
                raise Unreadable("it is too large")
            yield block

    def _add_mentions(self, *searched: Mentions) -> None:
        for mentions in searched:
            mentions.close()
            self.mentions = {**mentions.found, **self.mentions}

    def _read_header(self, stream: BinaryIO) -> int:
        """Number of a CSV file's header line, 0 where it has none; its cells are searched one by one too."""
        stream.seek(0)
        try:
            header = header_of(decoded(blocks_of(stream, self.pulse)))
        except Unreadable:
            return 0
        if header is None:
            return 0
        cells = {words_of(cell) for cell in header.cells}
        named = {name: Mention(name, header.line) for name in self.names if words_of(name) in cells}
        self.mentions = {**self.mentions, **named}
        return header.line

    def _read_json(self, stream: BinaryIO) -> int:
        strings = _Strings(self.names)
        document = Json(strings)
        for text in self._read_text(stream):
            document.feed(text)
        document.close()
        self._add_mentions(strings.mentions)
        return document.longest

    def _read_page(self, stream: BinaryIO, suffix: str, depth: int = 0) -> int:
        parts = _PageParts(self.names)
        page, has_svg = Markup(parts), False
        tail = ""
        for text in self._read_text(stream, depth):
            has_svg = has_svg or "<svg" in tail + text
            tail = text[-len("<svg") :]
            page.feed(text)
        if suffix == ".svg" and not has_svg:
            raise Unreadable("its contents are not an SVG image")
        page.close()
        self._add_mentions(parts.shown, parts.pieces, parts.asides)
        return parts.longest

    def _read_image(self, data: bytes, suffix: str, depth: int) -> None:
        remarks = images.png_remarks(data, self.max_bytes) if suffix == ".png" else images.jpeg_remarks(data)
        for remark in remarks:
            self.pulse()
            self._search_bytes(remark)

    def _search_bytes(self, data: bytes) -> None:
        """What is no text for certain: its bytes as letters, and the UTF-16 texts among them."""
        letters, wide = Mentions(self.names), Mentions(self.names)
        for start in range(0, len(data), READ_BLOCK_BYTES):
            letters.feed(data[start : start + READ_BLOCK_BYTES].decode("latin-1").translate(_CONTROLS_AS_EDGES))
        for text in _WIDE_TEXT.finditer(data):
            wide.apart(text[0].replace(b"\0", b"").decode())
        self._add_mentions(letters, wide)

    def _read_file(self, data: bytes, depth: int) -> None:
        """A file within a file."""
        if depth > MAX_LEVEL4_NESTING:
            raise Unreadable("it holds files within files within files")
        if data.startswith(b"\x1f\x8b"):
            self._read_file(images.inflated(data, self.max_bytes, gzip=True), depth + 1)
        elif kind := _data_file(data):
            raise Unreadable(f"it holds a {kind}")
        elif data.startswith(images.PNG):
            self._read_image(data, ".png", depth)
        elif data.startswith(images.JPEG):
            self._read_image(data, ".jpg", depth)
        elif _is_text(data):
            self._read_page(io.BytesIO(data), ".html", depth)
        else:
            self._search_bytes(data)


def _data_file(head: bytes) -> str:
    return next((kind for first, kind in _DATA_FILES.items() if head.startswith(first)), "")


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


class _FilledLines:
    """Counts the lines of a text that have something on them, by every mark that Unicode knows as a line's end."""

    def __init__(self) -> None:
        self.count = 0

    def counted(self, blocks: Iterable[str]) -> Iterator[str]:
        is_filled = False
        for block in blocks:
            first, *others = (block + ".").splitlines()
            if others:
                last = others.pop()
                self.count += is_filled or bool(first.strip())
                self.count += sum(map(bool, map(str.strip, others)))
                is_filled = bool(last[:-1].strip())
            else:
                is_filled = is_filled or bool(first[:-1].strip())
            yield block
        self.count += is_filled


class _LongestTable:
    """Counts the lines of a text that follow each other, have as many cells and a bare number among them.

    Cells are parted by a delimiter or, unless the text is a log (whose lines may all be alike), by blanks.
    """

    _LONGEST_LINE = READ_BLOCK_BYTES

    def __init__(self, *, by_blanks: bool) -> None:
        self._by_blanks = by_blanks
        self._rest = ""
        self._shape: tuple[str, int] | None = None
        self._run = 0
        self._longest = 0

    def feed(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > self._LONGEST_LINE:
            lines.append(self._rest)
            self._rest = ""
        for line in lines:
            if line and not line.isspace():
                shape = self._shape_of(line)
                self._run = self._run + 1 if shape == self._shape else 1
                self._shape = shape
                if shape is not None and self._run > self._longest:
                    self._longest = self._run

    def close(self) -> int:
        """Lines of the longest such table."""
        self.feed("\n")
        return self._longest

    def _shape_of(self, line: str) -> tuple[str, int] | None:
        delimiter = next((mark for mark in ",;\t|" if mark in line), "")
        if not delimiter and not (self._by_blanks and " " in line):
            return None
        cells = line.split(delimiter) if delimiter else line.split()
        is_row = len(cells) > 1 and any(_BARE_NUMBER.fullmatch(cell) for cell in cells)
        return (delimiter, len(cells)) if is_row else None


_BARE_NUMBER = re.compile(r"\s*[\"']?[-+]?[0-9][0-9.]*+%?[\"']?\s*")


class _Strings:
    """Searches the keys and strings of a JSON document, each as a text that stands by itself."""

    def __init__(self, names: Iterable[str]) -> None:
        self.mentions = Mentions(names)

    def string(self, piece: str) -> None:
        self.mentions.feed(piece)

    def boundary(self) -> None:
        self.mentions.feed(EDGE)


_INLINE = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "mark",
        "nobr",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tspan",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
"""Elements that do not part the text they stand in."""
_CELLS = frozenset({"td", "th"})


class _PageParts:
    """Searches a page's text as a reader sees it, its single pieces, and what is not shown. Counts rows of tables."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.shown = Mentions(names)
        self.pieces = Mentions(names)
        self.asides = Mentions(names)
        self.longest = 0
        self._rows = 0

    def text(self, piece: str) -> None:
        self.shown.feed(piece)
        self.pieces.feed(piece)

    def aside(self, piece: str) -> None:
        self.asides.feed(piece)

    def boundary(self) -> None:
        self.asides.feed(EDGE)

    def tag(self, name: str, *, is_end: bool) -> None:
        self.pieces.feed(EDGE)
        if name in _INLINE:
            return
        self.shown.feed(EDGE if name in _CELLS else f"{EDGE}\n")
        if name == "table":
            self._rows = 0
        elif name == "tr" and not is_end:
            self._rows += 1
            self.longest = max(self.longest, self._rows - 1)
