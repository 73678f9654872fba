"""What the level 4 gate must know of a file's contents. Pure: bytes in, facts out.

The rule in doubt is the safe one: what cannot be read as its suffix says is `Unreadable`, and does not pass.
"""

import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise

from carrel.agent import csvshape

IDENTIFIER = "patientid"


class Unreadable(Exception):
    """The contents are not what the suffix says. The text is safe to show at level 4."""


@dataclass(frozen=True, slots=True)
class Facts:
    """`patient_id`: a column or key of that name was found. `rows`: data rows of a CSV file, 0 for other types."""

    patient_id: bool = False
    rows: int = 0


def inspect(data: bytes, suffix: str, max_bytes: int) -> Facts:
    """Facts of a file with this suffix (lower case, with dot). `max_bytes`: most that compressed data may unfold to.

    Raises Unreadable. A suffix that is not known here is read as text.
    """
    if suffix in _SIGNATURES:
        return _image(data, suffix)
    if suffix == ".svgz":
        data, suffix = unzip(data, max_bytes), ".svg"
    return _READERS.get(suffix, _text)(data)


def is_identifier(name: str) -> bool:
    """Whether a column name is `patient_id` in any case, with spaces, quotes or other marks around or inside."""
    return "".join(char for char in name.casefold() if char.isalnum()) == IDENTIFIER


_SIGNATURES = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff"}


def _image(data: bytes, suffix: str) -> Facts:
    if not data.startswith(_SIGNATURES[suffix]):
        raise Unreadable(f"its contents are not a {suffix[1:]} image")
    return Facts()


def unzip(data: bytes, max_bytes: int) -> bytes:
    """Unfold one gzip stream of at most `max_bytes`; Unreadable when it is none, is cut, or is larger."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(data, max_bytes + 1)
    except zlib.error:
        raise Unreadable("it is not gzip data") from None
    if len(text) > max_bytes:
        raise Unreadable("it is too large once unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise Unreadable("it is not one whole gzip stream")
    return text


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8 text") from None
    if "\0" in text:
        raise Unreadable("it holds NUL characters")
    return text


def _csv(data: bytes) -> Facts:
    try:
        rows = list(csvshape.read_rows(io.BytesIO(data)))
    except csvshape.NotCsv as error:
        raise Unreadable(f"it cannot be read as UTF-8 CSV ({error})") from None
    named = any(is_identifier(cell) for row in rows for field in row for cell in _subcells(field))
    return Facts(named, _real_rows(rows, data))


def _subcells(field: str) -> Iterable[str]:
    """A header written with another delimiter, or a whole table put into one quoted field, is one field to `csv`."""
    return re.split(r"[,;\t|\r\n]", field) if len(field) >= len(IDENTIFIER) else ()


def _real_rows(rows: list[list[str]], data: bytes) -> int:
    """Data rows, and no fewer for being folded into one quoted field with line breaks."""
    lines = sum(1 for line in data.splitlines() if line.strip())
    return max(csvshape.shape_of(rows).rows, lines - 1)


def _json(data: bytes) -> Facts:
    try:
        document = json.loads(_decode(data))
        return Facts(any(is_identifier(text) for text in _strings(document)))
    except ValueError:
        raise Unreadable("it cannot be read as JSON") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def _strings(document: object) -> Iterator[str]:
    """Every key and every string value: a table may be a list of records, or lists with the header first."""
    if isinstance(document, str):
        yield from _subcells(document)
    elif isinstance(document, dict):
        yield from document
        for value in document.values():
            yield from _strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from _strings(value)


class _Cells(HTMLParser):
    """Collects the text of each innermost element; scripts and styles as they stand."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = [""]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


_QUOTED = re.compile(r"""["'`]([^"'`\n]{9,40})["'`]""")


def _markup(data: bytes) -> Facts:
    text = _decode(data)
    parser = _Cells()
    parser.feed(text)
    parser.close()
    quoted = (match.group(1) for match in _QUOTED.finditer(text))
    found = any(map(is_identifier, parser.texts)) or any(map(is_identifier, quoted))
    return Facts(found or any(_text_has_table_of_patients(cell) for cell in parser.texts if "\n" in cell))


def _svg(data: bytes) -> Facts:
    if "<svg" not in _decode(data):
        raise Unreadable("its contents are not an SVG image")
    return _markup(data)


def _text(data: bytes) -> Facts:
    return Facts(_text_has_table_of_patients(_decode(data)))


_DELIMITER = re.compile(r"[,;\t|]|\s{2,}")


def _text_has_table_of_patients(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return any(_is_delimited_header(line) for line in lines) or any(
        _is_spaced_header(*pair) for pair in pairwise(lines)
    )


def _is_delimited_header(line: str) -> bool:
    """A line with a cell `patient_id` among others, whatever parts the cells."""
    cells = _DELIMITER.split(line.strip())
    return len(cells) > 1 and any(map(is_identifier, cells))


def _is_spaced_header(line: str, following: str) -> bool:
    """Columns parted by single spaces (or one column alone) look like prose; the line below them tells."""
    words, values = line.split(), following.split()
    return (
        any(map(is_identifier, words))
        and abs(len(words) - len(values)) <= 1
        and any(char.isdigit() for char in following)
    )


_READERS = {".csv": _csv, ".json": _json, ".html": _markup, ".svg": _svg}
