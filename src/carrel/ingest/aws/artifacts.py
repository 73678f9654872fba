"""The artifacts of a deployment in a bucket, below `Carrel/{ref}/`: templates, code, mapping, each ref apart.

`index.json` names every file of a ref with its size and sha256. It is written last and removed first: a ref has exactly
what its index says, a ref without one is not there, and whoever fetches checks each file against it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
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
class Change:
    """What an upload or a removal did, as paths relative to the ref."""

    written: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def upload(client: Any, bucket: str, ref: str, folders: Mapping[str, Path]) -> Change:
    """Make `Carrel/{ref}/{name}/` hold what each folder holds, and nothing else.

    Files that are there already are left, new ones written first, the index after them, and what it no longer names
    removed last. Stopped anywhere, the ref is what it was or what it will be, or says so when it is fetched.
    """
    prefix, files = _prefix(ref), _files(folders)
    found = {path: _artifact(path, place) for path, place in files.items()}
    before, present = _index(client, bucket, prefix), set(_paths(client, bucket, prefix))
    same = [path for path, made in found.items() if path in present and before.get(path) == made]
    written = [path for path in found if path not in same]
    for path in written:
        client.upload_file(str(files[path]), bucket, prefix + path)
        faults.point("ingest.artifact_uploaded")
    _write_index(client, bucket, prefix, found.values())
    faults.point("ingest.artifacts_indexed")
    removed = sorted(present - set(found) - {INDEX})
    _delete(client, bucket, [prefix + path for path in removed])
    return Change(tuple(written), tuple(same), tuple(removed))


def remove(client: Any, bucket: str, ref: str) -> Change:
    """Remove everything of `ref`, the index first. Nothing there: nothing done."""
    prefix = _prefix(ref)
    paths = sorted(_paths(client, bucket, prefix), key=lambda path: (path != INDEX, path))
    _delete(client, bucket, [prefix + path for path in paths])
    return Change(removed=tuple(paths))


def count(client: Any, bucket: str, ref: str) -> int:
    """How many files `remove` would remove."""
    return sum(1 for _ in _paths(client, bucket, _prefix(ref)))


def refs(client: Any, bucket: str) -> list[str]:
    """Names of the refs that have an index, sorted."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{ROOT}/", Delimiter="/")
    names = [each["Prefix"].split("/")[1] for page in pages for each in page.get("CommonPrefixes", ())]
    return sorted(name for name in names if _REF.fullmatch(name) and _read(client, bucket, _prefix(name) + INDEX))


def fetch(client: Any, bucket: str, ref: str, name: str, folder: Path) -> list[Path]:
    """Bring the folder `name` of `ref` here, each file checked against the index. Raises ArtifactsError."""
    prefix = _prefix(ref)
    wanted = [made for path, made in _index(client, bucket, prefix).items() if path.startswith(f"{name}/")]
    if not wanted:
        raise ArtifactsError(
            f"s3://{bucket}/{prefix}{name}/ holds nothing; upload it: carrel ingest artifacts --upload"
        )
    return [_fetch_one(client, bucket, prefix, made, folder / made.path.removeprefix(f"{name}/")) for made in wanted]


def _fetch_one(client: Any, bucket: str, prefix: str, made: Artifact, target: Path) -> Path:
    data = _read(client, bucket, prefix + made.path)
    if data is None or hashlib.sha256(data).hexdigest() != made.sha256:
        raise ArtifactsError(f"s3://{bucket}/{prefix}{made.path} is not what the index says; upload the ref again")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def _prefix(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise ArtifactsError(
            f"{ref!r} cannot name artifacts: letters, digits, '.', '_' and '-', at most 100, a letter or digit first"
        )
    return f"{ROOT}/{ref}/"


def _files(folders: Mapping[str, Path]) -> dict[str, Path]:
    """Path in the ref -> place here. Caches and hidden files stay behind; links are refused."""
    found: dict[str, Path] = {}
    for name, folder in folders.items():
        if not folder.is_dir():
            raise ArtifactsError(f"{folder} is not a folder")
        for place in sorted(folder.rglob("*")):
            inside = place.relative_to(folder)
            if place.is_symlink():
                raise ArtifactsError(f"{place} is a link; artifacts are files")
            if place.is_file() and not any(_is_private(part) for part in inside.parts):
                found[f"{name}/{inside.as_posix()}"] = place
    return found


def _is_private(part: str) -> bool:
    return part.startswith(".") or part == "__pycache__"


def _artifact(path: str, place: Path) -> Artifact:
    with place.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Artifact(path, place.stat().st_size, digest)


def _index(client: Any, bucket: str, prefix: str) -> dict[str, Artifact]:
    text = _read(client, bucket, prefix + INDEX)
    return {each["path"]: Artifact(**each) for each in json.loads(text)["files"]} if text else {}


def _write_index(client: Any, bucket: str, prefix: str, made: Iterable[Artifact]) -> None:
    text = json.dumps({"files": [asdict(each) for each in made]}, indent=1)
    client.put_object(Bucket=bucket, Key=prefix + INDEX, Body=text.encode(), ContentType="application/json")


def _read(client: Any, bucket: str, key: str) -> bytes | None:
    try:
        data: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except client.exceptions.NoSuchKey:
        return None
    return data


def _paths(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (each["Key"].removeprefix(prefix) for each in page.get("Contents", ()))


def _delete(client: Any, bucket: str, keys: list[str]) -> None:
    """S3 takes at most 1,000 at once, and tells of failures in its answer instead of by its status."""
    for start in range(0, len(keys), 1000):
        objects = [{"Key": key} for key in keys[start : start + 1000]]
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if answer.get("Errors"):
            first = answer["Errors"][0]
            raise ArtifactsError(f"{len(answer['Errors'])} objects were not deleted; {first['Key']}: {first['Code']}")
