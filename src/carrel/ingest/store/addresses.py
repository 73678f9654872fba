"""Where a warehouse may be: which addresses every library that opens it takes for the same place."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from carrel.ingest.access_faults import WarehouseFault

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ODD_IN_KEYS = re.compile(r"[^\w /.=+@,~()!'$&;:-]")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Bucket:
    """`prefix`: without slashes at its ends; may be empty."""

    name: str
    prefix: str


def place_of(url: str) -> Path | Bucket:
    """A folder (absolute), or a prefix of a bucket. WarehouseFault for anything else."""
    scheme, colon, rest = url.partition("://")
    if not colon:
        return _folder(url)
    if scheme == "s3":
        return _bucket(url, rest)
    if scheme in ("file", "delta"):
        return _folder(_path_of(url))
    raise WarehouseFault(f"{url}: a warehouse is a folder or s3://bucket/prefix, not {scheme}://")


def _path_of(url: str) -> str:
    """Of a `file://` or `delta://` URL, escapes undone as in any URL."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise WarehouseFault(
            f"{url} is not the URL of a folder; write {parts.scheme}:///folder, with # as %23, ? as %3F"
        )
    return unquote(parts.path)


def _folder(path: str) -> Path:
    if not path:
        raise WarehouseFault("which warehouse? It is a folder or s3://bucket/prefix")
    folder = Path(path).absolute()
    folder = folder.resolve() if ".." in folder.parts else folder
    text = str(folder)
    if _CONTROL.search(text) or "\\" in text or _ESCAPE.search(text) or not _is_text(text):
        raise WarehouseFault(
            f"{text!r} cannot hold a warehouse: its name has a backslash, a control character, bytes that are no "
            "UTF-8, or % before two hexadecimal digits, which libraries read differently; rename the folder"
        )
    return folder


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bucket(url: str, rest: str) -> Bucket:
    name, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(name):
        raise WarehouseFault(f"{url} is not a place in S3; write s3://bucket/prefix")
    odd = _ODD_IN_KEYS.search(prefix)
    if odd or not _is_text(prefix):
        what = repr(odd.group()) if odd else "what is no text"
        raise WarehouseFault(
            f"{url}: {what} cannot be in a warehouse's prefix; libraries would look in different places"
        )
    if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
        raise WarehouseFault(f"{url}: a warehouse's prefix has no empty part and no . or .. between its slashes")
    return Bucket(name, prefix)
