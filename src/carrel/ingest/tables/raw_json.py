"""The contract's raw JSON datasets (ingest.md section 1.3, step 6): one line per file, the record's fields in it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from urllib.parse import quote

import orjson

from carrel.ingest.values import Record

_HIDDEN = ("_", ".")
"""Crawlers ignore objects whose names begin so; the contract's job puts a 0 before them."""
_LONGEST = 240
"""Bytes of a name that every file system takes, with room for a temporary one beside it."""
_LONGEST_STEM = 120
_LONGEST_VALUE = _LONGEST - len("assessmentid=")
_BRIDGE = 24
"""Letters in a record id of Bridge."""
_ZERO = "%30"
METADATA = "ArchiveMetadata"
END = b"]\n"


class RawJson:
    """How the files of one record become lines of one dataset.

    ArchiveMetadata gets the date and all of the record's metadata; others get assessmentid, date and recordid, each
    object of a list its own. Keys of the same name are overwritten. Elements that are no objects stay as they are (the
    contract's job dies of them).
    """

    def __init__(self, dataset: str, record: Record):
        uploaded = record.uploaded_on.astimezone(UTC)
        date = {"year": uploaded.year, "month": uploaded.month, "day": uploaded.day}
        if dataset.split("_")[0] == METADATA:
            self.added = {**date, **record.metadata}
        else:
            self.added = {"assessmentid": record.assessment_id, **date, "recordid": record.record_id}

    def line(self, value: Any) -> bytes:
        """The file as one line, a list as an array on one line."""
        return _dump(self._with_fields(value)) + b"\n"

    def piece(self, block: Sequence[Any], is_first: bool) -> bytes:
        """A part of the line of a list, for lists that come in blocks; `END` goes after the last."""
        return (b"[" if is_first else b",") + _dump(self._with_fields(list(block)))[1:-1]

    def _with_fields(self, value: Any) -> Any:
        if isinstance(value, list):
            return [{**row, **self.added} if isinstance(row, Mapping) else row for row in value]
        return {**value, **self.added} if isinstance(value, Mapping) else value


def raw_json_line(dataset: str, record: Record, value: Any) -> bytes:
    """A whole file as its line."""
    return RawJson(dataset, record).line(value)


def _dump(value: Any) -> bytes:
    """The value as JSON. orjson knows no integers beyond 64 bits, and refuses halves of characters (the tables refuse
    such a file)."""
    try:
        return orjson.dumps(value)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "surrogatepass")


def raw_json_key(prefix: str, dataset: str, record: Record, source_file: str | None = None) -> str:
    """`{prefix}/dataset=/assessmentid=/year=/month=/day=/{recordid}.ndjson`, month and day without leading zeros.

    `prefix` is the contract's `{namespace}/{app}/{study}/raw_json`. `source_file` goes into the name where a record
    has several files of one dataset, as `{recordid}.{source file}.ndjson`: the contract lets them overwrite one
    another. No two files have one key: what is no letter, digit, `-`, `_` or `.` is escaped as in a URL.
    """
    uploaded = record.uploaded_on.astimezone(UTC)
    folders = f"dataset={dataset}/assessmentid={folder_value(record.assessment_id or '')}"
    name = raw_json_stem(record.record_id) + (f".{quote(source_file, safe='')}" if source_file else "")
    file = f"{_cut(name, _LONGEST - len('.ndjson'))}.ndjson"
    return f"{prefix}/{folders}/year={uploaded.year}/month={uploaded.month}/day={uploaded.day}/{file}"


def folder_value(text: str) -> str:
    """A text as the value in a folder's name, `assessmentid=...`: escaped as in a URL and, because a letter may become
    twelve bytes, cut where file systems do not take it."""
    return _cut(quote(text, safe=""), _LONGEST_VALUE)


def _cut(name: str, longest: int) -> str:
    """The name, cut where it is longer; a digest then tells it from all others."""
    return name if len(name) <= longest else f"{name[:150]}.{hashlib.sha256(name.encode()).hexdigest()}"


def raw_json_stem(record_id: str) -> str:
    """The stem of a record's file names, as `_stem` says; one that is long is cut and ends in a digest, which no other
    stem does: `%` stands before it."""
    stem = _stem(record_id)
    return stem if len(stem) <= _LONGEST_STEM else f"{stem[:50]}%~{hashlib.sha256(stem.encode()).hexdigest()}"


def _stem(record_id: str) -> str:
    """What the names of all raw JSON files of a record begin with, before a dot, and those of no other record do.

    The 0 that goes before `_` and `.` could make two ids one: not those of Bridge, of which none is longer than
    another. Of ids that have another length, the one that could be mistaken has its 0 escaped.
    """
    if record_id.startswith(_HIDDEN):
        zero = _ZERO if len(record_id) == _BRIDGE - 1 else "0"
        return zero + record_id[0] + _without_dots(record_id[1:])
    if record_id == "0":
        return f"{_ZERO}0"
    if record_id.startswith(("0_", "0.")) and len(record_id) != _BRIDGE:
        return _ZERO + _without_dots(record_id[1:])
    return _without_dots(record_id)


def _without_dots(text: str) -> str:
    return quote(text, safe="").replace(".", "%2E")


def stem_of(key: str) -> str:
    """`raw_json_stem` of the record that a key belongs to."""
    name = key.rpartition("/")[2]
    start = next((zero for zero in ("0.", f"{_ZERO}.") if name.startswith(zero)), "")
    return start + name.removeprefix(start).partition(".")[0]
