"""A huge top-level JSON array, cut into blocks of whole elements while its bytes stream by.

A cut is proved, not guessed: when `[` + everything up to a comma + `]` parses, that comma stands between two elements.
Candidates come from a cheap search; where that fails, brackets and strings are counted.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from carrel.ingest.archives import FileRejected, Position, parse, repeated_key
from carrel.units.limits import MAX_JSON_WHOLE_BYTES

_BETWEEN_OBJECTS = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\{")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
"""A string (perhaps cut off by the end of what is there), or a character that matters."""
_BLANK = b" \t\r\n"
_UTF8_BOM = b"\xef\xbb\xbf"
_TAIL = 65_536
"""How far back the cheap search looks."""


@dataclass(frozen=True, slots=True)
class Block:
    """Elements of the array, in order; `first` is the position of the first of them."""

    first: int
    elements: list[Any]
    repeated: tuple[str | int, ...] | None = None
    """Where in the file an object of the block has a key more than once, as `archives.repeated_key` says."""


def blocks_of(chunks: Iterable[bytes], block_bytes: int) -> Iterator[Block]:
    """The blocks of a top-level array, each of about `block_bytes` of JSON (an element is never cut).

    FileRejected, as `archives.parse` raises it, where what follows is not JSON.
    """
    return _Cutter(block_bytes).cut(iter(chunks))


def starts_array(head: bytes) -> bool:
    """Whether a file that begins so can be cut into blocks: UTF-8, and its first character is `[`."""
    return _content(head).startswith(b"[")


class _Cutter:
    def __init__(self, block_bytes: int):
        self.block_bytes = block_bytes
        self.count = 0
        self.is_simple = True
        """Until the cheap search has failed once."""
        self.before = Position()
        """Where in the file the bracket or comma stands that comes before what is not yet cut."""

    def cut(self, chunks: Iterator[bytes]) -> Iterator[Block]:
        rest = self._open(chunks)
        pieces, size = [rest], len(rest)
        for chunk in chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size >= self.block_bytes:
                data = b"".join(pieces)
                elements, rest = self._split(data)
                if elements:
                    yield self._block(elements, data[: len(data) - len(rest) - 1])
                elif len(rest) > MAX_JSON_WHOLE_BYTES:
                    message = f"an element of the array has more than {MAX_JSON_WHOLE_BYTES:,} bytes"
                    raise FileRejected("json", "too_large", message)
                # When no cut was found, wait until there is twice as much: an element may be longer than a block.
                pieces, size = [rest], len(rest) if elements else self.block_bytes - len(rest)
        rest = b"".join(pieces)
        if self.count and not rest.lstrip(_BLANK).rstrip(_BLANK).removesuffix(b"]").strip(_BLANK):
            raise FileRejected("json", "syntax", f"not JSON: a comma with nothing after it at {self.before}")
        yield self._block(parse(b"[" + rest, self.before), rest.rstrip(_BLANK).removesuffix(b"]"))

    def _block(self, elements: list[Any], text: bytes) -> Block:
        first, self.count = self.count, self.count + len(elements)
        repeated = repeated_key(b"[" + text + b"]", elements)
        return Block(first, elements, (first + int(repeated[0]), *repeated[1:]) if repeated else None)

    def _split(self, data: bytes) -> tuple[list[Any], bytes]:
        """The elements before the last sure comma, and the bytes after it; no elements where there is none."""
        if self.is_simple:
            comma = _comma_between_objects(data)
            try:
                elements = parse(b"[" + data[:comma] + b"]") if comma else []
            except FileRejected:
                elements = []
            if elements:
                return elements, self._after(data, comma)
            self.is_simple = False
        comma = _comma_by_counting(data)
        if not comma:
            return [], data
        if not data[:comma].strip(_BLANK):
            position = self.before.after(b"[" + data[:comma])
            raise FileRejected("json", "syntax", f"not JSON: a comma with nothing before it at {position}")
        return parse(b"[" + data[:comma] + b"]", self.before), self._after(data, comma)

    def _after(self, data: bytes, comma: int) -> bytes:
        self.before = self.before.after(b"[").after(data[:comma])
        return data[comma + 1 :]

    def _open(self, chunks: Iterator[bytes]) -> bytes:
        """The stream's beginning, without byte order mark and opening bracket."""
        head = b""
        for chunk in chunks:
            head += chunk
            if len(head) > len(_UTF8_BOM) and _content(head):
                break
        content = _content(head)
        self.before = Position.of(head[: len(head) - len(content)])
        return content[1:]


def _content(head: bytes) -> bytes:
    """What follows the byte order mark and blanks that a file may begin with."""
    return head.removeprefix(_UTF8_BOM).lstrip(_BLANK)


def _comma_between_objects(data: bytes) -> int:
    """Where the last `}, {` has its comma; 0 when there is none near the end."""
    start = max(0, len(data) - _TAIL)
    starts = [match.start() for match in _BETWEEN_OBJECTS.finditer(data, start)]
    return data.index(b",", starts[-1]) if starts else 0


def _comma_by_counting(data: bytes) -> int:
    """Where the last comma stands that is in no string, object or inner array; 0 when there is none."""
    depth, comma = 0, 0
    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
        elif first in b"]}":
            depth -= 1
        elif first == 44 and depth == 0:
            comma = token.start()
    return comma
