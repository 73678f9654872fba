"""Who and what an archive is about: its metadata (ingest.md section 1.1) as a `Record`."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from carrel.ingest.archives.faults import ArchiveRejected
from carrel.ingest.values import Record

REQUIRED = ("recordid", "assessmentid", "uploadedon")


def record_of(metadata: Mapping[str, Any], app_id: str | None = None) -> Record:
    """The record that `metadata` describes (keys in any case); `app_id` where the metadata names none.

    Raises ArchiveRejected: a key of `REQUIRED` is missing (`required`), a time or revision cannot be read (`format`).
    """
    known = {key.lower(): _text(value) for key, value in metadata.items() if value is not None}
    for key in REQUIRED:
        if not known.get(key):
            raise ArchiveRejected("metadata", "required", f"the record's metadata has no {key}")
    return Record(
        record_id=known["recordid"],
        app_id=known.get("appid") or app_id,
        assessment_id=known["assessmentid"],
        assessment_revision=_revision(known.get("assessmentrevision")),
        uploaded_on=_time("uploadedon", known["uploadedon"]),
        exported_on=_time("exportedon", known["exportedon"]) if known.get("exportedon") else None,
        healthcode=known.get("healthcode"),
        client_info=known.get("clientinfo", ""),
        metadata=known,
    )


def _text(value: Any) -> str:
    """All values are strings, as S3 has them; a sidecar or annotation may hold numbers, lists of one, or objects."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else json.dumps(value)


def _revision(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return int(float(text))
    except ValueError:
        raise ArchiveRejected("metadata", "format", "assessmentrevision is not a number") from None


def _time(key: str, text: str) -> datetime:
    """ISO 8601 with or without fractions and offset (none: UTC); or milliseconds since 1970, as annotations have."""
    try:
        if text.isdigit():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        when = datetime.fromisoformat(text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ArchiveRejected("metadata", "format", f"{key} is not a date and time of ISO 8601") from None
