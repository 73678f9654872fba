"""PDFs as pages that this server draws, and as text for the disclosure rules: the file itself goes to no browser.

PDFium reads them in a child process with limits of its own (`pdf_child`), in a group that ends with its time.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import BinaryIO

from carrel.disclosure.texts import Unreadable
from carrel.units.limits import MAX_PDF_PAGES, MAX_PDF_SECONDS, MAX_SHOWN_BYTES

CHILD = "carrel.review.pdf_child"
PNG = b"\x89PNG\r\n\x1a\n"
MAX_HEADER_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class DrawnPage:
    """One page as a PNG image, and how many there are."""

    png: bytes
    pages: int


def drawn_page(stream: BinaryIO, number: int) -> DrawnPage:
    """Draw a page, from 1, of an open file; beyond the last, the last. Raises Unreadable."""
    pages, body = _asked(stream, "page", number)
    if not body.startswith(PNG):
        raise Unreadable("its page could not be drawn")
    return DrawnPage(body, pages)


def text_of_pdf(stream: BinaryIO) -> str:
    """Return the text of all pages of an open file; pictures of text have none. Raises Unreadable."""
    return _asked(stream, "text", 0)[1].decode(errors="replace")


def _asked(stream: BinaryIO, wish: str, number: int) -> tuple[int, bytes]:
    """Return the number of pages and what the child wrote. Raises Unreadable."""
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", CHILD, wish, str(number)],
            stdin=stream,
            stdout=output,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )
        try:
            # Time that it waits for a processor counts here, and not there.
            code = child.wait(timeout=3 * MAX_PDF_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unreadable("it takes too long to be read") from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        output.seek(0)
        header, _, body = output.read(MAX_SHOWN_BYTES + MAX_HEADER_BYTES).partition(b"\n")
    if code or len(header) > MAX_HEADER_BYTES:
        raise Unreadable("it breaks the program that reads it, or asks for too much of it")
    try:
        said = json.loads(header)
        pages, problem = said.get("pages", 0), said.get("problem", "")
    except (ValueError, AttributeError, RecursionError):
        raise Unreadable("it breaks the program that reads it") from None
    if problem or type(pages) is not int or not 0 < pages <= MAX_PDF_PAGES:
        raise Unreadable(str(problem)[:200] or "it has no pages")
    return pages, body
