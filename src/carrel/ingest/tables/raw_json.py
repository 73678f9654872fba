"""The contract's raw JSON datasets (ingest.md section 1.3, step 6): one line per file, the record's fields in it."""

import json
from collections.abc import Mapping
from datetime import UTC
from pathlib import PurePosixPath
from typing import Any

from carrel.ingest.archives import FileRejected
from carrel.ingest.values import Record

_HIDDEN = ("_", ".")
"""Crawlers ignore objects whose names begin so; the contract's job puts a 0 before them."""
METADATA = "ArchiveMetadata"


def raw_json_line(dataset: str, record: Record, value: Any) -> bytes:
    """The file as one line of JSON with the record's fields injected, overwriting keys of the same name.

    ArchiveMetadata gets the date and all of the record's metadata; others get assessmentid, date and recordid, each
    element of a list its own. FileRejected `raw_json` when a list has elements that are no objects.
    """
    added = _added(dataset, record)
    if isinstance(value, Mapping):
        return _line({**value, **added})
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise FileRejected("types", "raw_json", "raw JSON datasets hold objects and lists of objects only")
    return _line([{**each, **added} for each in value])


def _added(dataset: str, record: Record) -> dict[str, Any]:
    uploaded = record.uploaded_on.astimezone(UTC)
    date = {"year": uploaded.year, "month": uploaded.month, "day": uploaded.day}
    if dataset.split("_")[0] == METADATA:
        return {**date, **record.metadata}
    return {"assessmentid": record.assessment_id, **date, "recordid": record.record_id}


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def raw_json_key(prefix: str, dataset: str, record: Record, source_file: str | None = None) -> str:
    """`{prefix}/dataset=/assessmentid=/year=/month=/day=/{recordid}.ndjson`, month and day without leading zeros.

    `prefix` is the contract's `{namespace}/{app}/{study}/raw_json`. `source_file` goes into the name where a record
    has several files of one dataset: the contract lets them overwrite one another, we keep all.
    """
    uploaded = record.uploaded_on.astimezone(UTC)
    stem = f"-{str(PurePosixPath(source_file).with_suffix('')).replace('/', '_')}" if source_file else ""
    name = f"{record.record_id}{stem}.ndjson"
    name = f"0{name}" if name.startswith(_HIDDEN) else name
    folders = f"dataset={dataset}/assessmentid={record.assessment_id}"
    return f"{prefix}/{folders}/year={uploaded.year}/month={uploaded.month}/day={uploaded.day}/{name}"
