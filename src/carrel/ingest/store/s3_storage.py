"""A prefix of a bucket as the place of a warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from carrel.ingest.access_faults import WarehouseFault
from carrel.ingest.aws_access import S3Access, S3Connection, as_warehouse_faults, code_of, s3_access
from carrel.ingest.store.addresses import Bucket
from carrel.ingest.store.scratch import scratch_folder

if TYPE_CHECKING:
    from pyarrow import fs

_ABSENT = frozenset(("NoSuchKey", "404"))
_LOST = _ABSENT | {"PreconditionFailed", "412"}
_AT_ONCE = frozenset(("ConditionalRequestConflict", "OperationAborted", "409"))
"""Another conditional write of the key was under way: nobody knows yet who wins."""
_TRIES = 20


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it was read. `age`: seconds since it was written, by S3's own clock, to the second."""

    data: bytes
    etag: str
    age: float


class S3Storage:
    """A prefix of a bucket; how it is reached is in `aws_access`. Picklable."""

    lease: Any = None
    """Of the coordinator that works through this, while it has one: see `lock`."""

    def __init__(self, bucket: Bucket):
        self.bucket = bucket.name
        self.prefix = bucket.prefix
        self.url = f"s3://{bucket.name}/{bucket.prefix}".rstrip("/")
        self._access: S3Access | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_access": None, "lease": None}

    @property
    def access(self) -> S3Access:
        """The way to S3, found when first needed in this process."""
        if self._access is None:
            self._access = s3_access()
        return self._access

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        with self._translated(operation):
            answer: dict[str, Any] = getattr(self.access.client, operation)(Bucket=self.bucket, **arguments)
        return answer

    @contextmanager
    def _translated(self, operation: str) -> Iterator[None]:
        """WarehouseFault; or ClientError for what an object's own state may answer."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import ClientError

        try:
            with as_warehouse_faults(self.url):
                yield
        except Boto3Error as error:
            raise WarehouseFault(f"{self.url}: {error}") from None
        except ClientError as error:
            if code_of(error) in _LOST | _AT_ONCE:
                raise
            raise WarehouseFault(f"{self.url}: S3 answered {code_of(error)} to {operation}") from None

    def keeps_old(self) -> bool | None:
        try:
            return "Status" in self._call("get_bucket_versioning")
        except WarehouseFault:
            return None

    def read(self, key: str) -> bytes | None:
        current = self.version(key)
        return current.data if current else None

    def version(self, key: str) -> StoredObject | None:
        """What `key` holds, and what a conditional write needs of it."""
        from botocore.exceptions import ClientError

        try:
            answer = self._call("get_object", Key=self._key(key))
        except ClientError as error:
            if code_of(error) in _ABSENT:
                return None
            raise
        with self._translated("get_object"):
            data: bytes = answer["Body"].read()
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return StoredObject(data, answer["ETag"], age=float((now - answer["LastModified"]).total_seconds()))

    def write(self, key: str, data: bytes) -> None:
        self._call("put_object", Key=self._key(key), Body=data)

    def create(self, key: str, data: bytes) -> bool:
        return self.swap(key, data, None) is not None

    def swap(self, key: str, data: bytes, etag: str | None) -> str | None:
        """Compare and swap: write `data` if `key` has `etag` (None: if there is none); its new ETag, or None.

        An answer may be lost and the request sent again: finding `data` there already is success. So `data` should
        be what nobody else would write, where that matters.
        """
        from botocore.exceptions import ClientError

        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        for _ in range(_TRIES):
            try:
                new_etag: str = self._call("put_object", Key=self._key(key), Body=data, **condition)["ETag"]
                return new_etag
            except ClientError as error:
                if code_of(error) not in _AT_ONCE:
                    break
        current = self.version(key)
        return current.etag if current and current.data == data else None

    def exchange(self, key: str, old: bytes | None, new: bytes) -> bool:
        current = self.version(key)
        if (current.data if current else None) != old:
            return False
        return self.swap(key, new, current.etag if current else None) is not None

    def put_file(self, path: Path, key: str) -> None:
        with self._translated("upload_file"):
            self.access.client.upload_file(str(path), self.bucket, self._key(key))
        path.unlink()

    def scratch(self, name: str) -> Path:
        return scratch_folder(name)

    def open(self, key: str) -> IO[bytes]:
        opened: IO[bytes] = self._connection().arrow().open_input_file(f"{self.bucket}/{self._key(key)}")
        return opened

    def keys(self, prefix: str) -> Iterator[str]:
        cut = len(self.prefix) + 1 if self.prefix else 0
        for page in self._pages(prefix):
            yield from (entry["Key"][cut:] for entry in page.get("Contents", ()))

    def folders(self, prefix: str) -> list[str]:
        whole = self._key(prefix)
        pages = self._pages(prefix, Delimiter="/")
        prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
        return sorted(name[len(whole) :].rstrip("/") for name in prefixes)

    def _pages(self, prefix: str, **more: Any) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=self._key(prefix), **more, **token)
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        self._call("delete_object", Key=self._key(key))
        for below in list(self.keys(f"{key}/")):
            self._call("delete_object", Key=self._key(below))

    def copy(self, key: str, target: str) -> None:
        source = {"Bucket": self.bucket, "Key": self._key(key)}
        with self._translated("copy"):
            self.access.client.copy(source, self.bucket, self._key(target))

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._key(key)}"

    def delta_options(self) -> dict[str, str]:
        return self._connection().delta_options()

    def arrow(self, key: str) -> "fs.FileSystem":
        from pyarrow import fs

        return fs.SubTreeFileSystem(f"{self.bucket}/{self._key(key)}", self._connection().arrow())

    def _connection(self) -> S3Connection:
        return self.access.connection(self.bucket)

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key
