"""Reads one PDF in a process of its own, which can do nothing else: `python -m carrel.review.pdf_child page 3`.

The file is its standard input. Its output is one line of JSON, then a PNG or a text. A hostile file may break this
process; it has no network, no files to write, little memory and little time, and its parent believes none of its words.
"""

import ctypes
import json
import os
import resource
import struct
import sys
import zlib
from typing import Any

from carrel.units.limits import (
    MAX_PDF_MEMORY_BYTES,
    MAX_PDF_PAGES,
    MAX_PDF_PIXELS,
    MAX_PDF_SECONDS,
    MAX_PDF_TEXT,
    MAX_SHOWN_BYTES,
    READ_BLOCK_BYTES,
)

PIXELS_WIDE = 1400
LARGEST_SCALE = 4
MOST_OPEN_FILES = 32
"""The file, its output, and fonts of the machine for what has none of its own."""
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""Of a PNG, by the channels of a bitmap."""


class NotDrawn(Exception):
    """Why; in words of ours."""


def shut_in() -> None:
    """Give up what reading a file does not need; the network too, where the kernel lets anybody leave it."""
    ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    for limit, value in (
        (resource.RLIMIT_AS, MAX_PDF_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MAX_PDF_SECONDS),
        (resource.RLIMIT_FSIZE, MAX_SHOWN_BYTES),
        (resource.RLIMIT_NOFILE, MOST_OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def main(wish: str, number: int) -> None:
    """Write what is asked for of standard input: the page of this number, from 1, or the text of all."""
    import pypdfium2

    shut_in()
    header: dict[str, Any] = {}
    body = b""
    try:
        document = pypdfium2.PdfDocument(_contents())
        header["pages"] = pages = len(document)
        if pages > MAX_PDF_PAGES:
            raise NotDrawn(f"it has more than {MAX_PDF_PAGES} pages")
        if not pages:
            raise NotDrawn("it has no pages")
        body = _text(document) if wish == "text" else _png(document[min(max(number, 1), pages) - 1])
    except NotDrawn as error:
        header["problem"] = str(error)
    except (pypdfium2.PdfiumError, MemoryError, ValueError):
        header["problem"] = "it is damaged, encrypted or no PDF"
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + body)


def _contents() -> bytes:
    """Return standard input from its beginning, wherever whoever opened it stands."""
    blocks, size = [], 0
    while block := os.pread(0, READ_BLOCK_BYTES, size):
        size += len(block)
        if size > MAX_SHOWN_BYTES:
            raise NotDrawn(f"it is longer than {MAX_SHOWN_BYTES:,} bytes")
        blocks.append(block)
    return b"".join(blocks)


def _text(document: Any) -> bytes:
    """Return the text of all pages, a blank line between."""
    texts, size = [], 0
    for page in document:
        text = page.get_textpage().get_text_range()
        size += len(text)
        if size > MAX_PDF_TEXT:
            raise NotDrawn(f"its text is longer than {MAX_PDF_TEXT:,} characters")
        texts.append(text.replace("\r\n", "\n").replace("\0", ""))
        page.close()
    return "\n\n".join(texts).encode(errors="replace")


def _png(page: Any) -> bytes:
    """Return a page as the bytes of a PNG image."""
    width, height = (max(1.0, length) for length in page.get_size())
    scale = min(PIXELS_WIDE / width, LARGEST_SCALE, (MAX_PDF_PIXELS / (width * height)) ** 0.5)
    bitmap = page.render(scale=scale, may_draw_forms=False, rev_byteorder=True)
    columns, rows, channels, stride = bitmap.width, bitmap.height, bitmap.n_channels, bitmap.stride
    pixels = bytes(bitmap.buffer)
    lines = b"".join(b"\0" + pixels[row * stride : row * stride + columns * channels] for row in range(rows))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, _COLOUR_TYPES[channels], 0, 0, 0)),
        (b"IDAT", zlib.compress(lines, 3)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
