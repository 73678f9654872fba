"""What a queue delivers, as values: messages of Bridge (spec: ingest.md section 1.2), S3 and EventBridge. No I/O."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus


class NotAMessage(ValueError):
    """The text is no message of a form we know; the sentence says why and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An archive has arrived. `studies` None: the message names none, so it is for the study that owns the queue."""

    bucket: str
    key: str
    studies: frozenset[str] | None = None
    app: str | None = None
    record_id: str | None = None
    raw_folder: str | None = None
    """Synapse id of the folder that holds it."""
    etag: str = ""
    size: int | None = None

    @property
    def uri(self) -> str:
        """As `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


def notices_of(body: str) -> tuple[Notice, ...]:
    """The archives that one message tells of; none for S3's test message and for deletions. Raises NotAMessage."""
    message = _object(body, "the body")
    if isinstance(message.get("Message"), str):
        message = _object(message["Message"], "the SNS message")
    if message.get("Event") == "s3:TestEvent":
        return ()
    if "studyRecords" in message or "record" in message:
        return (_from_bridge(message),)
    if isinstance(message.get("Records"), list):
        return tuple(_from_s3(message["Records"]))
    if "detail" in message:
        return tuple(_from_eventbridge(message))
    raise NotAMessage("neither a Bridge message nor an event of S3")


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAMessage(f"{place} is not JSON") from None
    if not isinstance(found, dict):
        raise NotAMessage(f"{place} is not a JSON object")
    return found


def _from_bridge(message: Mapping[str, Any]) -> Notice:
    """Bucket and key come from the app-level block; the study-level blocks only say which studies."""
    record, studies = message.get("record"), message.get("studyRecords")
    if not isinstance(record, dict):
        raise NotAMessage("there is no app-level record block")
    if not isinstance(studies, dict) or not studies:
        raise NotAMessage("studyRecords names no study")
    return Notice(
        bucket=_text(record, "s3Bucket"),
        key=_text(record, "s3Key"),
        studies=frozenset(studies),
        app=_optional(message, "appId"),
        record_id=_optional(message, "recordId"),
        raw_folder=_optional(record, "rawFolderId"),
    )


def _from_s3(records: list[Any]) -> Iterator[Notice]:
    for each in records:
        if not isinstance(each, dict) or not isinstance(each.get("s3"), dict):
            raise NotAMessage("a record of the event has no s3 block")
        if str(each.get("eventName", "")).removeprefix("s3:").startswith("ObjectCreated"):
            yield _object_made(each["s3"], unquote_plus)


def _from_eventbridge(message: Mapping[str, Any]) -> Iterator[Notice]:
    if message.get("source") != "aws.s3" or not isinstance(message["detail"], dict):
        raise NotAMessage("an event of EventBridge, but not of S3")
    if message.get("detail-type") == "Object Created":
        yield _object_made(message["detail"], str)


def _object_made(block: Mapping[str, Any], decoded: Any) -> Notice:
    """S3's notifications write the key as a form does; EventBridge writes it as it is."""
    bucket, made = block.get("bucket"), block.get("object")
    if not isinstance(bucket, dict) or not isinstance(made, dict):
        raise NotAMessage("the event names no bucket or no object")
    size = made.get("size")
    etag = _optional(made, "eTag") or _optional(made, "etag") or ""
    known = size if isinstance(size, int) else None
    return Notice(_text(bucket, "name"), decoded(_text(made, "key")), etag=etag, size=known)


def _text(block: Mapping[str, Any], name: str) -> str:
    value = block.get(name)
    if not isinstance(value, str) or not value:
        raise NotAMessage(f"{name} is missing or not text")
    return value


def _optional(block: Mapping[str, Any], name: str) -> str | None:
    value = block.get(name)
    return value if isinstance(value, str) and value else None
