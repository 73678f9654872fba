"""From the bytes of a file to its JSON value, strictly: what is not JSON is said to be so, and why."""

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from math import isfinite, isinf
from typing import Any

import orjson

from carrel.ingest.archives.faults import FileRejected
from carrel.units.limits import MAX_JSON_DEPTH

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_NUMBERS = bytes(
    byte if byte == ord(".") else ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256)
)
_LONG_INTEGER = b" " + b"0" * 19
_MAY_OVERFLOW = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{200}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*|NaN|-?Infinity|[\[\]{}]', re.DOTALL)
"""What stands in JSON: a string, a number, a word for what is none, a bracket."""
_ESCAPED_COLON = re.compile(rb"\\u003[aA]")
_SAMPLE = 64
_CONTINUATION = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that begin no character."""


@dataclass(frozen=True, slots=True)
class Position:
    """The position at which a piece of JSON begins in its file: what stands before it, counted."""

    lines: int = 0
    columns: int = 0
    """Characters since the last line break."""
    offset: int = 0
    """Bytes."""

    @classmethod
    def of(cls, head: bytes) -> "Position":
        """Where what follows a file's `head` begins; a byte order mark counts as bytes, and stands in no column."""
        mark = head[: len(codecs.BOM_UTF8)] if head.startswith(codecs.BOM_UTF8) else b""
        return cls(offset=len(mark)).after(head[len(mark) :])

    def after(self, text: bytes) -> "Position":
        """Where what follows `text` begins."""
        line = text.rpartition(b"\n")[2]
        columns = len(line.translate(None, _CONTINUATION))
        if len(line) == len(text):
            return Position(self.lines, self.columns + columns, self.offset + len(text))
        return Position(self.lines + text.count(b"\n"), columns, self.offset + len(text))

    def __str__(self) -> str:
        return f"line {self.lines + 1} column {self.columns + 1}"


def parse(data: bytes, start: Position | None = None) -> Any:
    """The value of a JSON document: UTF-8, with or without a byte order mark, or UTF-16/32 with one.

    Integers are exact. `start`: where in the file `data` begins, when it is a piece of it, so that errors name the
    file's own lines. Raises FileRejected: `empty`, `encoding`, `nan`, `number`, `syntax`, `depth`.
    """
    text = _as_utf8(data)
    start = start or Position.of(data[: len(data) - len(text)] if data.startswith(codecs.BOM_UTF8) else b"")
    if not text.strip():
        raise FileRejected("json", "empty", "the file is empty")
    if _may_have_long_integer(text):
        return _parse_exactly(text, start)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _parse_exactly(text, start)
    _check_depth(text, value, start)
    return value


def repeated_key(data: bytes, value: Any) -> tuple[str | int, ...] | None:
    """Where an object of `data` has a key more than once, as keys and positions; None when none has. `value` is what
    `parse` made of it, of which the last of the values is a part, and the others are not."""
    text = _as_utf8(data)
    if _has_every_member(text, value):
        return None
    return _first_repeating(json.loads(text.decode(), object_pairs_hook=_note_repeats), ())


def members_of(data: bytes) -> list[tuple[str, Any]]:
    """The members of a document that is an object, as often as they are written; inner objects are such lists too."""
    members: list[tuple[str, Any]] = json.loads(_as_utf8(data).decode(), object_pairs_hook=list)
    return members


def parse_leniently(data: bytes) -> Any:
    """The value of a document of which only a part is looked at, whatever stands elsewhere in it (`NaN`, half of a
    surrogate pair); None where there is none. Nothing of it may be stored unchecked."""
    try:
        return json.loads(_as_utf8(data))
    except (FileRejected, ValueError, RecursionError):
        return None


def _has_every_member(text: bytes, value: Any) -> bool:
    """Whether no member of the text was lost, told by its colons: each member has one, and the others stand in strings.

    False: perhaps. In sensor files all but the first elements are flat and have no colon in their strings, so that
    counting keys is enough; elsewhere the value is written out again, which takes a third of the time of reading it.
    """
    if b"\\" in text and _ESCAPED_COLON.search(text):
        return False
    colons = text.count(b":")
    try:
        if isinstance(value, list) and set(map(type, value[_SAMPLE:])) == {dict}:
            sample, flat = value[:_SAMPLE], value[_SAMPLE:]
            if colons == orjson.dumps(sample).count(b":") + sum(map(len, flat)):
                return True
        return colons == orjson.dumps(value).count(b":")
    except orjson.JSONEncodeError:  # a long integer
        return False


class _Repeating(dict[str, Any]):
    """An object that was written with a key more than once."""

    key = ""


def _note_repeats(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) == len(members):
        return value
    repeating = _Repeating(value)
    repeating.key = next(key for key, count in Counter(key for key, _ in members).items() if count > 1)
    return repeating


def _first_repeating(value: Any, at: tuple[str | int, ...]) -> tuple[str | int, ...] | None:
    if isinstance(value, _Repeating):
        return *at, value.key
    members: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in members:
        if isinstance(child, (dict, list)) and (path := _first_repeating(child, (*at, key))):
            return path
    return None


def _may_have_long_integer(text: bytes) -> bool:
    """Whether 19 digits stand in a row, not after a point: sensor files are full of long fractions, which need no
    slow path."""
    numbers = text.translate(_NUMBERS)
    if _LONG_INTEGER[1:] not in numbers:  # the search for one character that repeats skips through the text
        return False
    return _LONG_INTEGER in numbers or numbers.startswith(_LONG_INTEGER.lstrip())


def _as_utf8(data: bytes) -> bytes:
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8) :]
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                return data.decode(encoding).encode()
            except UnicodeDecodeError as error:
                message = f"the file begins as {encoding} and is not, at byte {error.start}"
                raise FileRejected("json", "encoding", message) from None
    return data


def _parse_exactly(text: bytes, start: Position) -> Any:
    """The value as the standard library reads it: it keeps long integers, which orjson refuses or rounds, and its
    errors have places."""
    may_overflow = bool(_MAY_OVERFLOW.search(text))
    try:
        value = json.loads(
            text.decode(),
            parse_constant=_finite,
            parse_float=_finite if may_overflow else None,
            parse_int=_finite_integer if may_overflow else None,
        )
    except UnicodeDecodeError as error:
        raise FileRejected("json", "encoding", f"not UTF-8 at byte {start.offset + error.start}") from None
    except json.JSONDecodeError as error:
        position = start.after(error.doc[: error.pos].encode())
        raise FileRejected("json", "syntax", f"not JSON: {error.msg} at {position}") from None
    except RecursionError:
        raise _too_deep(text, start) from None
    except _NotFinite:
        raise _not_finite(text, start) from None
    if _SURROGATE.search(text):
        _check_surrogates(text, start)
    _check_depth(text, value, start)
    return value


class _NotFinite(Exception):
    """A number, or a word for one, that is not finite."""


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _NotFinite
    return number


def _finite_integer(text: str) -> int:
    _finite(text)
    return int(text)


def _not_finite(text: bytes, start: Position) -> FileRejected:
    """What is said of the first number that is not finite."""
    for token in _TOKEN.finditer(text):
        position = start.after(text[: token.start()])
        if token[0][-1:] in b"Ny":
            return FileRejected("json", "nan", f"{token[0].decode()} is not JSON, at {position}")
        if token[0][-1:].isdigit() and isinf(float(token[0])):
            return FileRejected("json", "number", f"a number is larger than any that can be held, at {position}")
    raise AssertionError("the parser met a number that is not there")


def _check_surrogates(text: bytes, start: Position) -> None:
    """`\\ud83d` without its other half is no character, and has no form in UTF-8."""
    high_ends = -1
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1] or b"0", 16)
        is_pair = escape.start() == high_ends and 0xDC00 <= code < 0xE000
        if high_ends >= 0 and not is_pair:
            raise _half_a_character(start.after(text[: high_ends - 6]))
        if 0xDC00 <= code < 0xE000 and not is_pair:
            raise _half_a_character(start.after(text[: escape.start()]))
        high_ends = escape.end() if 0xD800 <= code < 0xDC00 else -1
    if high_ends >= 0:
        raise _half_a_character(start.after(text[: high_ends - 6]))


def _half_a_character(position: Position) -> FileRejected:
    return FileRejected(
        "json", "encoding", f"a text holds half of a surrogate pair, which is no character, at {position}"
    )


def _too_deep(text: bytes, start: Position) -> FileRejected:
    """What is said of the first place that is too deep."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in (b"[", b"{")) - (token[0] in (b"]", b"}"))
        if depth > MAX_JSON_DEPTH:
            start = start.after(text[: token.start()])
            break
    return FileRejected("json", "depth", f"nested deeper than {MAX_JSON_DEPTH} levels, at {start}")


def _check_depth(text: bytes, value: Any, start: Position) -> None:
    if _may_be_deep(text) and _is_deeper(value, MAX_JSON_DEPTH):
        raise _too_deep(text, start)


def _may_be_deep(text: bytes) -> bool:
    """Peel the innermost brackets off, level by level: two passes for a sensor file, far cheaper than a walk.

    Brackets inside strings can leave some over, which only costs a walk.
    """
    brackets = text.translate(None, _NO_BRACKETS)
    for _ in range(MAX_JSON_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return bool(brackets)


def _is_deeper(value: Any, limit: int) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        members = chain.from_iterable(parent.values() if isinstance(parent, dict) else parent for parent in level)
        level = [member for member in members if isinstance(member, (dict, list))]
        if not level:
            return False
    return True
