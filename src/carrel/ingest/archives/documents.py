"""From the bytes of a file to its JSON value, strictly: what is not JSON is said to be so, and why."""

import codecs
import json
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


def parse(data: bytes) -> Any:
    """The value of a JSON document: UTF-8, with or without a byte order mark, or UTF-16/32 with one.

    Integers of any size are exact. Raises FileRejected: `empty`, `encoding`, `nan`, `syntax`, `depth`.
    """
    text = _utf8(data)
    if not text.strip():
        raise FileRejected("json", "empty", "the file is empty")
    if _may_have_long_integer(text):
        return _exactly(text)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _exactly(text)
    _check_depth(text, value)
    return value


def _may_have_long_integer(text: bytes) -> bool:
    """19 digits in a row, not after a point: sensor files are full of long fractions, which need no slow path."""
    numbers = text.translate(_NUMBERS)
    if _LONG_INTEGER[1:] not in numbers:  # the search for one character that repeats skips through the text
        return False
    return _LONG_INTEGER in numbers or numbers.startswith(_LONG_INTEGER.lstrip())


def _utf8(data: bytes) -> bytes:
    if data.startswith(codecs.BOM_UTF8):
        return data[3:]
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                return data.decode(encoding).encode()
            except UnicodeError:
                raise FileRejected("json", "encoding", f"the file begins as {encoding} and is not") from None
    return data


def _exactly(text: bytes) -> Any:
    """By the standard library: it keeps long integers (orjson makes floats of them), and its errors have places."""
    try:
        value = json.loads(text.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise FileRejected("json", "encoding", f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise FileRejected(
            "json", "syntax", f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        # Python refuses to turn more than 4,300 digits into an integer.
        raise FileRejected("json", "number", "the file holds a number of thousands of digits") from None
    _check_depth(text, value)
    return value


def _refuse_constant(name: str) -> Any:
    raise FileRejected("json", "nan", f"{name} is not JSON")


def _too_deep() -> FileRejected:
    return FileRejected("json", "depth", f"nested deeper than {MAX_JSON_DEPTH} levels")


def _check_depth(text: bytes, value: Any) -> None:
    if _may_be_deep(text) and _deeper(value, MAX_JSON_DEPTH):
        raise _too_deep()


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


def _deeper(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [child for each in level for child in _children(each)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for each in value.values() if isinstance(each, (dict, list))]
    return [each for each in value if isinstance(each, (dict, list))] if isinstance(value, list) else []
