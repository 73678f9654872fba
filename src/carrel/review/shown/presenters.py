"""How each type of file is shown: by its last extension, a presenter. What has none is named, and not shown.

A presenter is a function of a file's bytes and of what the page's address asks for; it returns a template and what that
needs. `PRESENTERS` is where a new type of file is added.
"""

import base64
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from carrel.disclosure.tables import read_tables
from carrel.disclosure.texts import Unreadable, blocks_of, decoded
from carrel.review import policy
from carrel.review.pdfs import drawn_page, text_of_pdf
from carrel.review.shown.pictures import picture_fault
from carrel.review.shown.tables import TableMarks, TableQuery, page_of_table
from carrel.review.shown.texts import page_of_text
from carrel.units.limits import MAX_SHOWN_BYTES, MAX_SHOWN_DRAWING_BYTES

LARGEST_NUMBER = 9
"""Digits of a number in an address that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToShow:
    """A file's bytes. `opened` opens them; `content_url` is where a browser gets them as an image or as text."""

    path: str
    sha256: str
    size: int
    opened: Callable[[], AbstractContextManager[BinaryIO]]
    content_url: str
    page_url: str = ""
    """Where a browser gets it as a page within its sandbox; "" where it is not shown as one."""
    marks: TableMarks = field(default_factory=TableMarks)

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """What a page shows of a file: a template and its context."""

    template: str
    context: Mapping[str, Any]
    note: str = ""
    """Why it is shown so and not otherwise; "" where that is usual."""


Presenter = Callable[[FileToShow, Mapping[str, str]], Presentation]


def present(file: FileToShow, query: Mapping[str, str]) -> Presentation:
    """Return how a file is shown; `?as=text` shows any type that has text as its text."""
    presenter = PRESENTERS.get(file.suffix, unshown)
    if query.get("as") == "text" and file.suffix not in (*RASTERS, policy.PDF):
        presenter = as_text
    return presenter(file, query)


def as_table(file: FileToShow, query: Mapping[str, str]) -> Presentation:
    """Show a file as the table that it holds, or as one of several; what is no table is shown as text."""
    try:
        with file.opened() as stream:
            tables = read_tables(decoded(blocks_of(stream), by_mark=True))
    except Unreadable as error:
        return as_text(file, query, note=f"It cannot be shown as a table: {error}.")
    if not tables:
        return as_text(file, query, note="It is not understood as a table.")
    number = min(max(number_of(query, "table"), 1), len(tables))
    line = number_of(query, "line")
    if line:
        begun = [index for index, table in enumerate(tables, start=1) if table.header.line <= line]
        number = begun[-1] if begun else number
    asked = TableQuery(
        sort=number_of(query, "sort"),
        text=query.get("find", "").strip(),
        only_flagged=query.get("flagged") == "1",
        page=number_of(query, "page"),
        line=line,
        column=query.get("column", ""),
    )
    table = tables[number - 1]
    return Presentation(
        template="review/files/table.html",
        context={
            "table": page_of_table(table, asked, file.marks),
            "asked": asked,
            "number": number,
            "tables": range(1, len(tables) + 1),
            "columns": table.header.cells,
        },
    )


def as_text(file: FileToShow, query: Mapping[str, str], note: str = "") -> Presentation:
    """Show a file as its lines."""
    with file.opened() as stream:
        data = stream.read(MAX_SHOWN_BYTES + 1)
    if len(data) > MAX_SHOWN_BYTES:
        note = f"Only its first {MAX_SHOWN_BYTES:,} bytes are shown."
    text = page_of_text(
        data[:MAX_SHOWN_BYTES],
        page=number_of(query, "page"),
        line=number_of(query, "line"),
        flagged=frozenset(line for line, _ in file.marks.flagged),
        commented=frozenset(line for line, _ in file.marks.commented),
        is_log=file.suffix == ".log",
    )
    return Presentation(template="review/files/text.html", context={"text": text}, note=note)


def as_image(file: FileToShow, query: Mapping[str, str]) -> Presentation:
    """Show a picture of pixels, which the browser gets with a type of ours, if it is one of a size to be unpacked."""
    with file.opened() as stream:
        fault = picture_fault(stream, file.suffix)
    if fault:
        shown = unshown(file, query)
        return Presentation(template=shown.template, context=shown.context, note=f"It is not shown: {fault}.")
    return Presentation(template="review/files/image.html", context={"source": file.content_url})


def as_drawing(file: FileToShow, query: Mapping[str, str]) -> Presentation:
    """Show an SVG as an image, within the page itself: so it has no address at which it would be a document."""
    if file.size > MAX_SHOWN_DRAWING_BYTES:
        return as_text(file, query, note=f"Drawings of more than {MAX_SHOWN_DRAWING_BYTES:,} bytes are shown as text.")
    with file.opened() as stream:
        data = stream.read(MAX_SHOWN_DRAWING_BYTES)
    source = f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"
    return Presentation(template="review/files/image.html", context={"source": source})


def as_page(file: FileToShow, query: Mapping[str, str]) -> Presentation:
    """Show an HTML file as a page in a frame of its own, which has no origin, no scripts and no network."""
    if not file.page_url:
        return as_text(file, query)
    note = "Nothing in this page runs or is fetched, and its links are off. What it hides can be seen as text only."
    return Presentation(template=FRAMED, context={"source": file.page_url}, note=note)


@dataclass(frozen=True, slots=True)
class DrawnNumber:
    """Which page of how many is drawn."""

    page: int
    pages: int


def as_drawn_pages(file: FileToShow, query: Mapping[str, str]) -> Presentation:
    """Show a PDF as a page that the server has drawn, or as its text; only where the backend's policy lets it leave."""
    if not policy.get().allows(file.path):
        return unshown(file, query)
    number = max(1, number_of(query, "page"))
    try:
        with file.opened() as stream:
            if query.get("as") == "text":
                text = page_of_text(text_of_pdf(stream).encode(), page=number, line=number_of(query, "line"))
                return Presentation(template="review/files/text.html", context={"text": text})
            drawn = drawn_page(stream, number)
    except Unreadable as error:
        note = f"It cannot be shown: {error}."
        return Presentation(template="review/files/unshown.html", context={"suffix": file.suffix}, note=note)
    source = f"data:image/png;base64,{base64.b64encode(drawn.png).decode()}"
    shown = DrawnNumber(min(number, drawn.pages), drawn.pages)
    return Presentation(template="review/files/pdf.html", context={"source": source, "drawn": shown})


def unshown(file: FileToShow, _query: Mapping[str, str]) -> Presentation:
    """Say that a type of file is not shown."""
    return Presentation(template="review/files/unshown.html", context={"suffix": file.suffix})


def number_of(query: Mapping[str, str], name: str) -> int:
    """Return a whole number of an address; 0 where there is none."""
    text = query.get(name, "")
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) <= LARGEST_NUMBER else 0


FRAMED = "review/files/page.html"
PAGE_TYPES = (".html", ".htm")
RASTERS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
"""The only types beside plain text that bytes are ever served with."""
PRESENTERS: dict[str, Presenter] = {
    ".csv": as_table,
    ".tsv": as_table,
    **dict.fromkeys((".txt", ".log", ".json", ".md", ".yaml", ".yml"), as_text),
    **dict.fromkeys(PAGE_TYPES, as_page),
    **dict.fromkeys(RASTERS, as_image),
    ".svg": as_drawing,
    policy.PDF: as_drawn_pages,
}
