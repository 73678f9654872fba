"""Archives under an S3 prefix; the record's metadata is the object's user metadata."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from carrel.ingest.access_faults import SourceFault, Unavailable
from carrel.ingest.aws_access import Aws, code_of
from carrel.ingest.sources.base import IN_MEMORY, ArchiveChanged, OpenedArchive, PersistentSource
from carrel.ingest.sources.messages import may_be_an_archive
from carrel.ingest.values import ArchiveRef

READS = 3
_CHUNK = 1_000_000
_GONE = frozenset(("PreconditionFailed", "412", "NoSuchKey", "404"))


@dataclass(frozen=True, slots=True)
class S3Source(PersistentSource):
    """Every object under `s3://bucket/prefix` but *.json, owner.txt and empty folder markers."""

    url: str
    aws: Aws = field(default_factory=Aws)

    def __post_init__(self) -> None:
        place_of(self.url)

    def list(self) -> Iterator[ArchiveRef]:
        """Page by page, in the order of the keys. Metadata comes with `open`."""
        bucket, prefix = place_of(self.url)
        token: dict[str, str] = {}
        while True:
            page = self._page(bucket, prefix, token)
            for obj in page.get("Contents", ()):
                if may_be_an_archive(obj["Key"], obj["Size"]):
                    yield ArchiveRef(uri_of(bucket, obj["Key"]), etag_of(obj), obj["Size"])
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _page(self, bucket: str, prefix: str, token: dict[str, str]) -> dict[str, Any]:
        what = f"listing {self.url}"
        page: dict[str, Any] = self.aws.call(
            "s3", what, lambda s3: s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **token)
        )
        return page

    def open(self, ref: ArchiveRef) -> "Any":
        """The object as it was listed, and no other version of it."""
        return open_object(self.aws, ref)


def place_of(url: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an s3: URL; SourceFault when it is none."""
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc:
        raise SourceFault(f"{url} is not a place in S3; write s3://bucket/prefix")
    return parts.netloc, unquote(parts.path.lstrip("/"))


def uri_of(bucket: str, key: str) -> str:
    """The s3: URL of an object; keys may hold anything, so they are escaped."""
    return f"s3://{bucket}/{quote(key, safe='/-_.~=+@,')}"


def etag_of(answer: Mapping[str, Any]) -> str:
    """The entity tag in an answer about an object, without its quotation marks."""
    return str(answer["ETag"]).strip('"')


def user_metadata(answer: Mapping[str, Any]) -> dict[str, str] | None:
    """The user metadata in an answer about an object, with lower-case keys; None when there is none."""
    return {key.lower(): value for key, value in answer.get("Metadata", {}).items()} or None


@contextmanager
def open_object(aws: Aws, ref: ArchiveRef) -> Iterator[OpenedArchive]:
    """The object of `ref`, with its user metadata (lower-case keys)."""
    with tempfile.TemporaryDirectory(prefix="carrel-s3-") as folder:
        yield _download(aws, ref, Path(folder) / "archive")


def _download(aws: Aws, ref: ArchiveRef, file: Path) -> OpenedArchive:
    """Read the object; a connection that breaks half-way is begun again from the start."""
    from botocore.exceptions import BotoCoreError, HTTPClientError

    attempt = 1
    while True:
        try:
            answer = _get(aws, ref)
            return OpenedArchive(_read_body(answer, file), user_metadata(answer))
        except (BotoCoreError, HTTPClientError, OSError) as error:
            if attempt == READS:
                raise Unavailable(f"reading {ref.uri}: broken off {READS} times ({type(error).__name__})") from None
            attempt += 1


def _get(aws: Aws, ref: ArchiveRef) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    bucket, key = place_of(ref.uri)
    try:
        answer: dict[str, Any] = aws.call(
            "s3", f"reading {ref.uri}", lambda s3: s3.get_object(Bucket=bucket, Key=key, IfMatch=f'"{ref.etag}"')
        )
    except ClientError as error:
        if code_of(error) in _GONE:
            raise ArchiveChanged(f"{ref.uri} changed or went since it was listed") from None
        raise SourceFault(f"reading {ref.uri}: S3 answered {code_of(error)}") from None
    return answer


def _read_body(answer: dict[str, Any], file: Path) -> bytes | Path:
    stream = answer["Body"]
    with stream:
        if answer["ContentLength"] <= IN_MEMORY:
            data: bytes = stream.read()
            return data
        with file.open("wb") as out:
            for chunk in stream.iter_chunks(_CHUNK):
                out.write(chunk)
    return file
