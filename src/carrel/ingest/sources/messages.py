"""What a queue's messages say: which objects are new. Pure.

Taken, with or without an SNS envelope around: Bridge's messages (ingest.md section 1.2), S3 event notifications (of
AWS, and of MinIO and others that write `s3:` before the names of events), and S3 events of EventBridge. Keys are
escaped as in the query of a URL in the notifications, and as they are in EventBridge.
Sources: "Event message structure" and "EventBridge event message structure" in the Amazon S3 user guide.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from carrel.ingest.archives.faults import has_utf8
from carrel.ingest.desktop import is_beside_files
from carrel.units.limits import MAX_MESSAGE_BYTES, MAX_MESSAGE_OBJECTS

_TEST = "s3:TestEvent"
"""Sent once, when somebody sets notifications up."""
_NOT_ARCHIVES = (".json", "/owner.txt")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
"""A name, and no address of an access point, which the client would take for another place to ask."""
_KEY_BYTES = 1_024
"""Longest key of S3, in bytes of UTF-8."""


def may_be_an_archive(key: str, size: int | None) -> bool:
    """Whether a key is none of what lies beside archives: metadata, Synapse's owner.txt, markers of folders, what a Mac
    leaves. `size` None: not known."""
    path = f"/{key}".lower()
    return not path.endswith(_NOT_ARCHIVES) and not (key.endswith("/") and not size) and not is_beside_files(key)


class NotUnderstood(ValueError):
    """The message is none that we know; what it says is not quoted."""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An object in S3 that a message names."""

    bucket: str
    key: str


def objects_of(body: str) -> tuple[ObjectRef, ...]:
    """The objects that a message's body names, each once; () for messages about other things. Raises NotUnderstood."""
    message = unwrap(body)
    if message.get("Event") == _TEST:
        return ()
    if isinstance(message.get("record"), dict):
        return (_object(message["record"].get("s3Bucket"), message["record"].get("s3Key")),)
    if isinstance(message.get("Records"), list):
        if len(message["Records"]) > MAX_MESSAGE_OBJECTS:
            raise NotUnderstood(f"the message names more than {MAX_MESSAGE_OBJECTS:,} objects")
        objects = map(_of_s3, message["Records"])
        return tuple(dict.fromkeys(obj for obj in objects if obj is not None))
    if message.get("source") == "aws.s3":
        return _of_eventbridge(message)
    raise NotUnderstood("neither Bridge nor S3 writes messages of this form")


def unwrap(body: str) -> dict[str, Any]:
    """The message that a body holds, out of its SNS envelope. Raises NotUnderstood."""
    if len(body.encode("utf-8", "surrogatepass")) > MAX_MESSAGE_BYTES:
        raise NotUnderstood(f"the message is longer than {MAX_MESSAGE_BYTES:,} bytes")
    message = _json(body)
    return _json(message["Message"]) if "Message" in message else message


def _json(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise NotUnderstood("the message is not JSON") from None
    if not isinstance(value, dict):
        raise NotUnderstood("the message is not a JSON object")
    return value


def _of_s3(record: Any) -> ObjectRef | None:
    """The object that one record of an S3 event is about; None for events about other things than new archives."""
    if not isinstance(record, Mapping) or not isinstance(record.get("s3"), Mapping):
        raise NotUnderstood("the S3 event has a record without an object")
    event = record.get("eventName")
    if not isinstance(event, str):
        raise NotUnderstood("the S3 event does not say what happened")
    if not event.removeprefix("s3:").startswith("ObjectCreated:"):
        return None
    details = record["s3"]
    key = _inner(details, "object", "key")
    # Blanks are pluses, pluses %2B.
    unescaped = unquote_plus(key) if isinstance(key, str) else key
    return _archive(_inner(details, "bucket", "name"), unescaped, _inner(details, "object", "size"))


def _of_eventbridge(message: Mapping[str, Any]) -> tuple[ObjectRef, ...]:
    event = message.get("detail-type")
    if not isinstance(event, str):
        raise NotUnderstood("the S3 event does not say what happened")
    if event != "Object Created":
        return ()
    detail = message.get("detail")
    if not isinstance(detail, Mapping):
        raise NotUnderstood("the S3 event has no detail")
    key, size = _inner(detail, "object", "key"), _inner(detail, "object", "size")
    archive = _archive(_inner(detail, "bucket", "name"), key, size)
    return () if archive is None else (archive,)


def _inner(value: Mapping[str, Any], outer: str, inner: str) -> Any:
    member = value.get(outer)
    return member.get(inner) if isinstance(member, Mapping) else None


def _archive(bucket: Any, key: Any, size: Any) -> ObjectRef | None:
    """The object; None when it cannot be an archive. Bridge's messages are about archives alone; events are about
    whatever is written."""
    obj = _object(bucket, key)
    return obj if may_be_an_archive(obj.key, size if isinstance(size, int) else None) else None


def _object(bucket: Any, key: Any) -> ObjectRef:
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        raise NotUnderstood("the message names no bucket and key")
    # S3 takes any text in UTF-8 up to a length.
    is_key = has_utf8(key) and len(key.encode()) <= _KEY_BYTES and "\0" not in key
    if not (_BUCKET.fullmatch(bucket) and is_key):
        raise NotUnderstood("the message names a bucket or key that S3 cannot have")
    return ObjectRef(bucket, key)
