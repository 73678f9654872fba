"""An output's bytes as text, a block at a time: no file is ever held whole, and no line or record without end. Pure."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from carrel.units.limits import MAX_TABLE_LINE, READ_BLOCK_BYTES


class Unreadable(Exception):
    """The contents are not what they should be. The text completes "cannot be checked: ...", and quotes no contents."""


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32"}


def blocks_of(stream: BinaryIO, pulse: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """The rest of `stream`. `pulse` is called before each block; what it raises ends the reading (a cancel does)."""
    pulse()
    while block := stream.read(READ_BLOCK_BYTES):
        yield block
        pulse()


def decoded(blocks: Iterable[bytes], *, by_mark: bool = False) -> Iterator[str]:
    """UTF-8 text without its byte order mark; with `by_mark` also UTF-16 and UTF-32 that begin with theirs.

    Raises Unreadable for other bytes, and for NUL characters, which no text has.
    """
    decoder = None
    encoding = "utf-8-sig"
    for block in blocks:
        if decoder is None:
            encoding = (by_mark and next((name for mark, name in _MARKS if block.startswith(mark)), "")) or encoding
            decoder = codecs.getincrementaldecoder(encoding)()
        yield _decode(decoder, block, encoding)
    if decoder is not None:
        yield _decode(decoder, b"", encoding, final=True)


def _decode(decoder: codecs.IncrementalDecoder, block: bytes, encoding: str, *, final: bool = False) -> str:
    try:
        text = decoder.decode(block, final)
    except UnicodeDecodeError:
        raise Unreadable(f"it is not {_NAMES[encoding]} text") from None
    if "\0" in text:
        raise Unreadable("it holds NUL characters")
    return text


_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n)|[^\r\n]++")


def lines_of(blocks: Iterable[str]) -> Iterator[list[str]]:
    r"""Lines with their ends (`\n`, `\r` or `\r\n`, as `csv` knows them), as many at a time as are whole.

    Raises Unreadable for a line of more than MAX_TABLE_LINE characters.
    """
    rest = ""
    for block in blocks:
        text = rest + block
        # The last character may be the first half of "\r\n".
        end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
        rest = text[end:]
        if len(rest) > MAX_TABLE_LINE:
            raise Unreadable(f"a line is longer than {MAX_TABLE_LINE:,} characters")
        if end:
            yield _LINE.findall(text, 0, end)
    if rest:
        yield _LINE.findall(rest)


class PieceReader:
    """A text is fed to it in pieces, then it is closed.

    `_read` takes a position in the buffer and returns the one up to which it read: the same, to wait for more.
    """

    def __init__(self, read: Callable[[int], int]) -> None:
        self._read = read
        self._buffer = ""
        self._is_last = False

    def feed(self, text: str) -> None:
        """Read `text` and what is left of the piece before it."""
        self._buffer += text
        position = 0
        while position < len(self._buffer):
            after = self._read(position)
            if after == position:
                break
            position = after
        self._buffer = self._buffer[position:]

    def close(self) -> None:
        """Nothing more is to come: what has waited for more is read as it is."""
        self._is_last = True
        self.feed("")
