"""Files within a text: `data:` URIs, as pages, stylesheets, scripts and notes have them (RFC 2397). Pure."""

import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from carrel.disclosure.texts import Unreadable
from carrel.units.limits import MAX_LEVEL4_PARTS

_START = re.compile(r"data:[a-z0-9.+/-]{0,80}(?:;[^;,\s\"'<>]{0,80}){0,4},", re.IGNORECASE)
_LONGEST_START = 512
_BASE64 = re.compile(r"[A-Za-z0-9+/=_%\s\\-]*+")
_PLAIN = re.compile(r"[^\"'<>\s)`]*+")


class DataUris:
    """Feed it a text in pieces, then close it; each call gives the files that have come to their end."""

    def __init__(self) -> None:
        self._buffer = ""
        self._payload: list[str] | None = None
        self._is_base64 = False
        self._count = 0

    def feed(self, text: str) -> Iterator[bytes]:
        self._buffer += text
        position = begin = 0
        while position < len(self._buffer):
            if self._payload is None:
                begin = position
                position = self._seek(position)
                continue
            position = self._collect(position)
            if position < len(self._buffer):
                yield self._file()
        # The start of one may go on in the next piece.
        self._buffer = self._buffer[max(begin, len(self._buffer) - _LONGEST_START) :] if self._payload is None else ""

    def close(self) -> Iterator[bytes]:
        if self._payload is not None:
            yield self._file()

    def _seek(self, position: int) -> int:
        start = _START.search(self._buffer, position)
        if start is None:
            return len(self._buffer)
        self._count += 1
        if self._count > MAX_LEVEL4_PARTS:
            raise Unreadable(f"it holds more than {MAX_LEVEL4_PARTS:,} files")
        self._payload = []
        self._is_base64 = start[0].lower().endswith(";base64,")
        return start.end()

    def _collect(self, position: int) -> int:
        piece = (_BASE64 if self._is_base64 else _PLAIN).match(self._buffer, position)
        if piece is None or self._payload is None:
            return position
        self._payload.append(piece[0])
        return piece.end()

    def _file(self) -> bytes:
        payload = "".join(self._payload or ())
        self._payload = None
        if not self._is_base64:
            return unquote_to_bytes(payload)
        encoded = re.sub(r"[^A-Za-z0-9+/]", "", payload.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="))
        encoded = encoded[: len(encoded) - (len(encoded) % 4 == 1)]
        return binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
