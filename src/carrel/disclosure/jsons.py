"""A JSON document in pieces: whether it is one, its strings, and its longest list of records; nothing is kept. Pure."""

import re
from enum import Enum, auto
from typing import Protocol

from carrel.disclosure.texts import PieceReader, Unreadable
from carrel.units.limits import MAX_JSON_DEPTH, MAX_LEVEL4_PARTS

_NOT_JSON = "it cannot be read as JSON"
_TOKEN = re.compile(r"[ \t\n\r]*+([\[\]{},:\"]|[^\[\]{},:\" \t\n\r]++|$)")
_SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null|NaN|-?Infinity")
_LONGEST_SCALAR = 4096
_STRING_PIECE = re.compile(r"(?:[^\"\\\x00-\x1f]++|\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}))*+")
_LONGEST_ESCAPE = 6


class _Expected(Enum):
    VALUE = auto()
    VALUE_OR_END = auto()
    KEY = auto()
    KEY_OR_END = auto()
    COLON = auto()
    COMMA_OR_END = auto()
    NOTHING = auto()


class StringSink(Protocol):
    def string(self, piece: str) -> None:
        """A piece of a key or a string, with its escapes as they stand."""

    def boundary(self) -> None:
        """The beginning or the end of one."""


class NoStrings:
    """A sink for those who ask for nothing but the document's form."""

    def string(self, piece: str) -> None:
        """Pass over it."""

    def boundary(self) -> None:
        """Pass over it."""


class Json(PieceReader):
    """Feed it a document in pieces, then close it. Raises Unreadable: no JSON, nested too deeply, too many values.

    `NaN` and `Infinity` pass, as Python and R write them. `longest`: most objects and lists that one list holds.
    """

    def __init__(self, sink: StringSink, most_values: int = MAX_LEVEL4_PARTS) -> None:
        super().__init__(self._token)
        self._sink = sink
        self._most_values = most_values
        self._expected = _Expected.VALUE
        self._containers: list[str] = []
        self._records: list[int] = []
        self._is_key = False
        self._values = 0
        self.longest = 0

    def close(self) -> None:
        super().close()
        if self._expected is not _Expected.NOTHING or self._read != self._token or self._buffer.strip(" \t\n\r"):
            raise Unreadable(_NOT_JSON)

    def _token(self, start: int) -> int:
        match = _TOKEN.match(self._buffer, start)
        if match is None:
            raise Unreadable(_NOT_JSON)
        mark = match[1]
        if not mark:
            return match.end()
        if mark == '"':
            self._begin_string()
        elif mark in "[{":
            self._open(mark)
        elif mark in "]}":
            self._close(mark)
        elif mark == ",":
            self._expect(_Expected.COMMA_OR_END)
            self._expected = _Expected.VALUE if self._containers[-1] == "[" else _Expected.KEY
        elif mark == ":":
            self._expect(_Expected.COLON)
            self._expected = _Expected.VALUE
        elif match.end() == len(self._buffer) and not self._is_last and len(mark) < _LONGEST_SCALAR:
            return match.start(1)
        else:
            self._scalar(mark)
        return match.end()

    def _expect(self, *expected: _Expected) -> None:
        if self._expected not in expected:
            raise Unreadable(_NOT_JSON)

    def _begin_value(self) -> None:
        self._expect(_Expected.VALUE, _Expected.VALUE_OR_END)
        self._count()

    def _count(self) -> None:
        self._values += 1
        if self._values > self._most_values:
            raise Unreadable(f"it holds more than {self._most_values:,} values")

    def _end_value(self) -> None:
        self._expected = _Expected.COMMA_OR_END if self._containers else _Expected.NOTHING

    def _begin_string(self) -> None:
        self._is_key = self._expected in (_Expected.KEY, _Expected.KEY_OR_END)
        if self._is_key:
            self._count()
        else:
            self._begin_value()
        self._sink.boundary()
        self._read = self._string

    def _string(self, start: int) -> int:
        piece = _STRING_PIECE.match(self._buffer, start)
        end = piece.end() if piece else start
        if end > start:
            self._sink.string(self._buffer[start:end])
        if end == len(self._buffer):
            return end
        if self._buffer[end] == '"':
            self._sink.boundary()
            self._read = self._token
            if self._is_key:
                self._expected = _Expected.COLON
            else:
                self._end_value()
            return end + 1
        if self._buffer[end] == "\\" and len(self._buffer) - end < _LONGEST_ESCAPE and not self._is_last:
            return end
        raise Unreadable(_NOT_JSON)

    def _open(self, bracket: str) -> None:
        self._begin_value()
        if len(self._containers) >= MAX_JSON_DEPTH:
            raise Unreadable("it is nested too deeply")
        if self._containers and self._containers[-1] == "[":
            self._records[-1] += 1
            self.longest = max(self.longest, self._records[-1])
        self._containers.append(bracket)
        self._records.append(0)
        self._expected = _Expected.VALUE_OR_END if bracket == "[" else _Expected.KEY_OR_END

    def _close(self, bracket: str) -> None:
        self._expect(_Expected.COMMA_OR_END, _Expected.VALUE_OR_END if bracket == "]" else _Expected.KEY_OR_END)
        if not self._containers or self._containers.pop() != ("[" if bracket == "]" else "{"):
            raise Unreadable(_NOT_JSON)
        self._records.pop()
        self._end_value()

    def _scalar(self, token: str) -> None:
        if len(token) > _LONGEST_SCALAR:
            raise Unreadable(f"it holds a number of more than {_LONGEST_SCALAR:,} digits")
        if not _SCALAR.fullmatch(token):
            raise Unreadable(_NOT_JSON)
        self._begin_value()
        self._end_value()
