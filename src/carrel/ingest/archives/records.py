"""Who and what an archive is about: its metadata (ingest.md section 1.1) as a `Record`."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from carrel.ingest.archives.documents import members_of, parse, parse_leniently, repeated_key
from carrel.ingest.archives.faults import ArchiveRejected, FileRejected, has_utf8
from carrel.ingest.values import Record
from carrel.units.limits import MAX_ID_CHARACTERS

REQUIRED = ("recordid", "assessmentid", "uploadedon")
_LARGEST_REVISION = 2**31 - 1
_REVISION = re.compile(r"([0-9]{1,10})(?:\.0+)?")
_MILLISECONDS = re.compile(r"[0-9]{12,13}")
"""Fewer digits are a date, a year or seconds; more are microseconds, or a date with its time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_AND_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,](?P<fraction>[0-9]{1,9}))?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3])(?::?(?P<minutes>[0-5][0-9]))?)?)?"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def metadata_in(document: bytes) -> Mapping[str, Any]:
    """The metadata that a JSON document holds, as it is written; `record_of` says what is wrong with its values.

    So that what it names (whose it is) is known although one of them cannot be taken. Raises ArchiveRejected.
    """
    try:
        value = parse(document)
        if isinstance(value, dict) and repeated_key(document, value):
            # Whose an archive is must not hang on which of two values a reader takes.
            first: dict[str, Any] = {}
            for key, member in members_of(document):
                if first.setdefault(key, member) != member:
                    message = f"the metadata has {key} twice, with different values"
                    raise ArchiveRejected("metadata", "duplicate_key", message)
    except FileRejected as rejected:
        value = parse_leniently(document)
        if not isinstance(value, dict):
            raise ArchiveRejected("metadata", rejected.fault.keyword, rejected.fault.message) from None
    if not isinstance(value, dict):
        raise ArchiveRejected("metadata", "type", "it is not a JSON object")
    return value


def record_of(metadata: Mapping[str, Any], app_id: str | None = None) -> Record:
    """The record that `metadata` describes (keys in any case); `app_id` where the metadata names none.

    Raises ArchiveRejected: a key of `REQUIRED` is missing (`required`), an id, time or revision is none (`format`), a
    text has no form in UTF-8 (`encoding`), a number is not finite (`number`), one key has two values (`duplicate_key`).
    """
    texts = _texts(metadata)
    for key in REQUIRED:
        if not texts.get(key, "").strip():
            raise ArchiveRejected("metadata", "required", f"the record's metadata has no {key}")
    ids = {key: _id(key, metadata, texts) for key in ("recordid", "assessmentid", "appid", "healthcode")}
    return Record(
        record_id=texts["recordid"],
        app_id=ids["appid"] or app_id,
        assessment_id=ids["assessmentid"],
        assessment_revision=_revision(texts.get("assessmentrevision", "")),
        uploaded_on=_time("uploadedon", texts["uploadedon"]),
        exported_on=_time("exportedon", texts["exportedon"]) if texts.get("exportedon") else None,
        healthcode=ids["healthcode"],
        client_info=texts.get("clientinfo", ""),
        metadata=texts,
    )


def id_in(metadata: Mapping[str, Any], key: str) -> str | None:
    """What metadata that describes no record says of `key` all the same (its healthcode, to be found when that is
    withdrawn); None when it says nothing, two things, or nothing that can be written down."""
    texts = {str(value) for value in _values_of(metadata, key) if _may_be_id(value)}
    text = texts.pop() if len(texts) == 1 else ""
    return text if text.strip() and has_utf8(text) else None


def _texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Keys in lower case, values as text, as S3 has them; a sidecar or annotation may hold numbers, lists of one, or
    objects."""
    texts: dict[str, str] = {}
    for name, value in metadata.items():
        key = name.lower()
        if not has_utf8(key):
            raise ArchiveRejected("metadata", "encoding", "the metadata has a key with half of a surrogate pair")
        if value is None:
            continue
        plain = _single(value)
        try:
            if isinstance(plain, int):
                float(plain)  # OverflowError, as where it is spelt with an exponent
            text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, allow_nan=False)
        except (ValueError, OverflowError, RecursionError):
            message = f"the metadata's {key} holds a number that cannot be held, or is nested too deep"
            raise ArchiveRejected("metadata", "number", message) from None
        if not has_utf8(text):
            raise ArchiveRejected("metadata", "encoding", f"the metadata's {key} holds half of a surrogate pair")
        if texts.setdefault(key, text) != text:
            raise ArchiveRejected("metadata", "duplicate_key", f"the metadata has {key} twice, with different values")
    return texts


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _values_of(metadata: Mapping[str, Any], key: str) -> list[Any]:
    return [_single(value) for name, value in metadata.items() if name.lower() == key and value is not None]


def _may_be_id(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _id(key: str, metadata: Mapping[str, Any], texts: Mapping[str, str]) -> str | None:
    """The id under this key; None when it is blank, or not there."""
    text = texts.get(key, "")
    if not all(map(_may_be_id, _values_of(metadata, key))):
        raise ArchiveRejected("metadata", "format", f"{key} is neither a text nor a whole number")
    if len(text) > MAX_ID_CHARACTERS:
        raise ArchiveRejected("metadata", "format", f"{key} is longer than {MAX_ID_CHARACTERS} characters")
    if _CONTROL.search(text):
        raise ArchiveRejected("metadata", "format", f"{key} holds a control character")
    return text if text.strip() else None


def _revision(text: str) -> int | None:
    if not text.strip():
        return None
    match = _REVISION.fullmatch(text.strip())
    if match is None or int(match[1]) > _LARGEST_REVISION:
        message = f"assessmentrevision is not a whole number from 0 to {_LARGEST_REVISION}"
        raise ArchiveRejected("metadata", "format", message)
    return int(match[1])


def _time(key: str, text: str) -> datetime:
    """The time that a text says: in ISO 8601 with or without fractions and offset (none: UTC), or in milliseconds since
    1970, as annotations have it.

    The same in every version of Python, whose own reader of dates takes more with each.
    """
    if _MILLISECONDS.fullmatch(text):
        return _EPOCH + timedelta(milliseconds=int(text))
    match = _DATE_AND_TIME.fullmatch(text)
    try:
        if match:
            return _moment(match)
    except (ValueError, OverflowError):
        pass
    message = f"{key} is neither a date and time of ISO 8601 nor milliseconds since 1970 (12 or 13 digits)"
    raise ArchiveRejected("metadata", "format", message)


def _moment(match: re.Match[str]) -> datetime:
    year, month, day = map(int, match["date"].split("-"))
    hour, minute, second = map(int, f"{match['clock'] or '00:00'}:00".split(":")[:3])
    microseconds = int((match["fraction"] or "").ljust(6, "0")[:6])
    offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    local = datetime(year, month, day, hour, minute, second, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return local + offset if match["sign"] == "-" else local - offset
