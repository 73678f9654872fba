"""Where a warehouse lives: a folder, or a prefix of a bucket. The few operations that ingest needs, each atomic."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit


class Storage(Protocol):
    """Keys are `/`-separated paths below the warehouse. `write`, `create` and `put_file` are all or nothing."""

    url: str

    def read(self, key: str) -> bytes | None:
        """The bytes of `key`; None when there is none."""

    def write(self, key: str, data: bytes) -> None:
        """Make or replace `key`; on return it is durable."""

    def create(self, key: str, data: bytes) -> bool:
        """Make `key`, unless there is one; False then."""

    def put_file(self, path: Path, key: str) -> None:
        """Give a file of `scratch()` to the warehouse as `key`; durable on return, and gone from `path`."""

    def scratch(self, name: str) -> Path:
        """An existing local folder for files to be put, on the warehouse's own file system if that is local."""

    def open(self, key: str) -> IO[bytes]:
        """A seekable reader of `key`."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key below `prefix` (a folder, ending in `/`), or beginning with it."""

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders directly below `prefix` (a folder, ending in `/`)."""

    def delete(self, key: str) -> None:
        """Away with `key`, and with all below it, if it is there."""

    def uri(self, key: str) -> str:
        """What other libraries open `key` by."""


def open_storage(url: str) -> Storage:
    """The storage at `url`: `s3://bucket/prefix`, or a folder (also as `file://` or `delta://` URL)."""
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return S3Storage(url.rstrip("/"))
    if parts.scheme in ("file", "delta"):
        url = parts.path
    return LocalStorage(Path(url).absolute())


class LocalStorage:
    """A folder of a local (POSIX) file system."""

    def __init__(self, root: Path):
        self.root = root
        self.url = str(root)

    def read(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
        _write_through(temporary, data)
        temporary.replace(path)
        _sync_folder(path.parent)

    def create(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
        _write_through(temporary, data)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        _sync_folder(path.parent)
        return True

    def put_file(self, path: Path, key: str) -> None:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        _sync_folder(target.parent)

    def scratch(self, name: str) -> Path:
        folder = self._path(f"_runs/{name}/scratch")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def open(self, key: str) -> IO[bytes]:
        return self._path(key).open("rb")

    def keys(self, prefix: str) -> Iterator[str]:
        folder, _, start = prefix.rpartition("/")
        base = self._path(folder)
        for entry in sorted(base.iterdir()) if base.is_dir() else ():
            if entry.name.startswith(start):
                yield from self._below(entry)

    def _below(self, entry: Path) -> Iterator[str]:
        files = sorted(each for each in entry.rglob("*") if each.is_file()) if entry.is_dir() else [entry]
        yield from (str(each.relative_to(self.root)) for each in files)

    def folders(self, prefix: str) -> list[str]:
        base = self._path(prefix)
        return sorted(entry.name for entry in base.iterdir() if entry.is_dir()) if base.is_dir() else []

    def delete(self, key: str) -> None:
        path = self._path(key)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def uri(self, key: str) -> str:
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        return self.root / key


def _write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class S3Storage:
    """A prefix of a bucket; endpoint, region and credentials from the environment, as boto3 and deltalake read them."""

    def __init__(self, url: str):
        self.url = url
        parts = urlsplit(url)
        self.bucket = parts.netloc
        self.prefix = parts.path.strip("/")
        self._made: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}

    @property
    def client(self) -> Any:
        """boto3's client, made when first needed in this process."""
        if self._made is None:
            import boto3

            self._made = boto3.client("s3")
        return self._made

    def read(self, key: str) -> bytes | None:
        try:
            data: bytes = self.client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None
        return data

    def write(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data)

    def create(self, key: str, data: bytes) -> bool:
        from botocore.exceptions import ClientError

        try:
            self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            raise
        return True

    def put_file(self, path: Path, key: str) -> None:
        self.client.upload_file(str(path), self.bucket, self._key(key))
        path.unlink()

    def scratch(self, name: str) -> Path:
        folder = Path(tempfile.gettempdir()) / f"carrel-ingest-{os.getuid()}" / str(os.getpid()) / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def open(self, key: str) -> IO[bytes]:
        from pyarrow import fs

        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        made = fs.S3FileSystem(endpoint_override=endpoint, region=os.environ.get("AWS_REGION"))
        opened: IO[bytes] = made.open_input_file(f"{self.bucket}/{self._key(key)}")
        return opened

    def keys(self, prefix: str) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self._key(prefix))
        cut = len(self.prefix) + 1 if self.prefix else 0
        for page in pages:
            yield from (each["Key"][cut:] for each in page.get("Contents", ()))

    def folders(self, prefix: str) -> list[str]:
        whole = self._key(prefix)
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=whole, Delimiter="/")
        found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ())]
        return sorted(name[len(whole) :].rstrip("/") for name in found)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self._key(key))
        for below in list(self.keys(f"{key}/")):
            self.client.delete_object(Bucket=self.bucket, Key=self._key(below))

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._key(key)}"

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key
