"""PDFs are drawn and read in a child process with limits, whatever they hold."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest
from tests.support.hostile_files import hostile_files, pdf

from carrel.disclosure.texts import Unreadable
from carrel.review import pdfs
from carrel.review.pdfs import drawn_page, text_of_pdf
from carrel.units.limits import MAX_PDF_PAGES, MAX_PDF_PIXELS


@contextmanager
def opened(data: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as stream:
        stream.write(data)
        stream.flush()
        yield stream


def test_a_page_is_drawn_and_its_text_read_wherever_the_file_stands_open() -> None:
    with opened(pdf("term,people", "plan,1285", pages=3)) as stream:
        drawn = drawn_page(stream, 9)
        assert drawn.pages == 3
        width, height = (int.from_bytes(drawn.png[start : start + 4], "big") for start in (16, 20))
        assert width == 1400
        assert width * height <= MAX_PDF_PIXELS
        assert text_of_pdf(stream).splitlines()[:2] == ["term,people", "plan,1285"]


def test_hostile_and_too_large_files_are_refused_in_words() -> None:
    files = {path: data for path, data in hostile_files("http://canary.invalid").items() if path.endswith(".pdf")}
    with opened(files["output/script.pdf"]) as stream:
        assert drawn_page(stream, 1).pages == 1
    for data, reason in (
        (files["output/page.pdf"], "damaged, encrypted or no PDF"),
        (files["output/loop.pdf"], "no PDF|no pages|breaks"),
        (pdf("a", pages=MAX_PDF_PAGES + 1), f"more than {MAX_PDF_PAGES} pages"),
    ):
        with opened(data) as stream, pytest.raises(Unreadable, match=reason):
            drawn_page(stream, 1)


def test_a_child_that_lies_or_hangs_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`this` prints a poem where a header belongs; `http.server` never ends by itself."""
    with opened(b"") as stream:
        monkeypatch.setattr(pdfs, "CHILD", "this")
        with pytest.raises(Unreadable, match="it breaks the program"):
            drawn_page(stream, 1)
        monkeypatch.setattr(pdfs, "MAX_PDF_SECONDS", 0)
        monkeypatch.setattr(pdfs, "CHILD", "http.server")
        with pytest.raises(Unreadable, match="takes too long"):
            drawn_page(stream, 1)
