"""The artifacts of a deployment in a bucket, below `Carrel/{ref}/`: templates, code, mapping, each ref apart.

`index.json` names every file of a ref with its size and sha256. It is written last and removed first: a ref has exactly
what its index says, a ref without one is not there, and whoever fetches checks each file against it.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carrel.telemetry import faults

ROOT = "Carrel"
INDEX = "index.json"
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class ArtifactsError(Exception):
    """Artifacts are missing, damaged or misnamed; the sentence says which and what to do."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a ref; `path` is relative to the ref, `size` in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ArtifactChanges:
    """What an upload or a removal did, as paths relative to the ref."""

    written: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def upload(client: Any, bucket: str, ref: str, folders: Mapping[str, Path]) -> ArtifactChanges:
    """Make `Carrel/{ref}/{name}/` hold what each folder holds, and nothing else.

    Files that are there already are left, new ones written first, the index after them, and what it no longer names
    removed last. Stopped anywhere, the ref is what it was or what it will be, or says so when it is fetched.
    """
    prefix, files = _prefix(ref), _list_files(folders)
    artifacts: dict[str, Artifact] = {}
    for path, file in files.items():
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        artifacts[path] = Artifact(path, file.stat().st_size, digest)
    before, present = _read_index(client, bucket, prefix), set(_list_paths(client, bucket, prefix))
    same = [path for path, artifact in artifacts.items() if path in present and before.get(path) == artifact]
    written = [path for path in artifacts if path not in same]
    for path in written:
        client.upload_file(str(files[path]), bucket, prefix + path)
        faults.point("ingest.artifact_uploaded")
    index = json.dumps({"files": [asdict(artifact) for artifact in artifacts.values()]}, indent=1)
    client.put_object(Bucket=bucket, Key=prefix + INDEX, Body=index.encode(), ContentType="application/json")
    faults.point("ingest.artifacts_indexed")
    removed = sorted(present - set(artifacts) - {INDEX})
    _delete(client, bucket, [prefix + path for path in removed])
    return ArtifactChanges(tuple(written), tuple(same), tuple(removed))


def remove(client: Any, bucket: str, ref: str) -> ArtifactChanges:
    """Remove everything of `ref`, the index first. Nothing there: nothing done."""
    prefix = _prefix(ref)
    paths = sorted(_list_paths(client, bucket, prefix), key=lambda path: (path != INDEX, path))
    _delete(client, bucket, [prefix + path for path in paths])
    return ArtifactChanges(removed=tuple(paths))


def count_files(client: Any, bucket: str, ref: str) -> int:
    """How many files `remove` would remove."""
    return sum(1 for _ in _list_paths(client, bucket, _prefix(ref)))


def list_refs(client: Any, bucket: str) -> list[str]:
    """Names of the refs that have an index, sorted."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{ROOT}/", Delimiter="/")
    names = [entry["Prefix"].split("/")[1] for page in pages for entry in page.get("CommonPrefixes", ())]
    return sorted(name for name in names if _REF.fullmatch(name) and _read(client, bucket, _prefix(name) + INDEX))


def fetch(client: Any, bucket: str, ref: str, name: str, folder: Path) -> list[Path]:
    """Bring the folder `name` of `ref` here, each file checked against the index. Raises ArtifactsError."""
    prefix = _prefix(ref)
    artifacts = [
        artifact for artifact in _read_index(client, bucket, prefix).values() if artifact.path.startswith(f"{name}/")
    ]
    if not artifacts:
        raise ArtifactsError(
            f"s3://{bucket}/{prefix}{name}/ holds nothing; upload it: carrel ingest artifacts --upload"
        )
    return [
        _fetch_file(client, bucket, prefix, artifact, folder / artifact.path.removeprefix(f"{name}/"))
        for artifact in artifacts
    ]


def _fetch_file(client: Any, bucket: str, prefix: str, artifact: Artifact, target: Path) -> Path:
    data = _read(client, bucket, prefix + artifact.path)
    if data is None or hashlib.sha256(data).hexdigest() != artifact.sha256:
        raise ArtifactsError(f"s3://{bucket}/{prefix}{artifact.path} is not what the index says; upload the ref again")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def _prefix(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise ArtifactsError(
            f"{ref!r} cannot name artifacts: letters, digits, '.', '_' and '-', at most 100, a letter or digit first"
        )
    return f"{ROOT}/{ref}/"


def _list_files(folders: Mapping[str, Path]) -> dict[str, Path]:
    """Path in the ref -> file here. Caches and hidden files stay behind; links are refused."""
    files: dict[str, Path] = {}
    for name, folder in folders.items():
        if not folder.is_dir():
            raise ArtifactsError(f"{folder} is not a folder")
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_symlink():
                raise ArtifactsError(f"{path} is a link; artifacts are files")
            is_private = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
            if path.is_file() and not is_private:
                files[f"{name}/{inside.as_posix()}"] = path
    return files


def _read_index(client: Any, bucket: str, prefix: str) -> dict[str, Artifact]:
    text = _read(client, bucket, prefix + INDEX)
    return {entry["path"]: Artifact(**entry) for entry in json.loads(text)["files"]} if text else {}


def _read(client: Any, bucket: str, key: str) -> bytes | None:
    try:
        data: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except client.exceptions.NoSuchKey:
        return None
    return data


def _list_paths(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (entry["Key"].removeprefix(prefix) for entry in page.get("Contents", ()))


def _delete(client: Any, bucket: str, keys: list[str]) -> None:
    """Delete the keys. S3 takes at most 1,000 at once, and tells of failures in its answer, not by its status."""
    for start in range(0, len(keys), 1000):
        objects = [{"Key": key} for key in keys[start : start + 1000]]
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if answer.get("Errors"):
            first = answer["Errors"][0]
            raise ArtifactsError(f"{len(answer['Errors'])} objects were not deleted; {first['Key']}: {first['Code']}")
