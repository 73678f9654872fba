"""BagIt bags (RFC 8493) in a zip: written so that the same contents are the same bytes, and checked within bounds."""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from carrel.units.limits import MAX_CRATE_BYTES, MAX_CRATE_ENTRIES, MAX_CRATE_METADATA_BYTES, READ_BLOCK_BYTES

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST, TAG_MANIFEST = "manifest-sha512.txt", "tagmanifest-sha512.txt"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can say: a bag's own time is in its bag-info.txt."""
FILE_MODE = 0o100644 << 16


class BagDamaged(Exception):
    """The file is no whole bag; says what is wrong with it."""


class BagWriter:
    """Writes one bag: payload first, then `finish`."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED)
        self._name = name
        self._payload: dict[str, str] = {}
        self._size = 0

    def add(self, path: str, source: IO[bytes]) -> str:
        """Add a file to the payload; return its SHA-256 in hex."""
        sha256 = hashlib.sha256()
        self._payload[f"data/{path}"] = self._write(f"data/{path}", _hashed(source, sha256))
        return sha256.hexdigest()

    def finish(self, info: Mapping[str, str]) -> None:
        """Write what makes it a bag. `info`: of bag-info.txt."""
        octets = f"{self._size}.{len(self._payload)}"
        lines = [f"{name}: {' '.join(value.split())}" for name, value in {**info, "Payload-Oxum": octets}.items()]
        tags = {
            "bagit.txt": DECLARATION,
            "bag-info.txt": "".join(f"{line}\n" for line in lines).encode(),
            MANIFEST: _manifest(self._payload),
        }
        written = {name: self._write(name, [data]) for name, data in tags.items()}
        self._write(TAG_MANIFEST, [_manifest(written)])
        self._zip.close()

    def _write(self, path: str, blocks: Iterable[bytes]) -> str:
        entry = zipfile.ZipInfo(f"{self._name}/{path}", EPOCH)
        entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, FILE_MODE
        digest = hashlib.sha512()
        with self._zip.open(entry, "w", force_zip64=True) as target:
            for block in blocks:
                digest.update(block)
                self._size += len(block) * path.startswith("data/")
                target.write(block)
        return digest.hexdigest()


def _hashed(source: IO[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    while block := source.read(READ_BLOCK_BYTES):
        digest.update(block)
        yield block


def _manifest(hashes: Mapping[str, str]) -> bytes:
    """Return a manifest's lines; the three characters that would break one are written as RFC 8493 says."""
    quoted = {path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D"): text for path, text in hashes.items()}
    return "".join(f"{text}  {path}\n" for path, text in sorted(quoted.items())).encode()


class Bag:
    """A bag that was opened to be checked; see `opened_bag`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        entries = archive.infolist()
        if len(entries) > MAX_CRATE_ENTRIES or sum(entry.file_size for entry in entries) > MAX_CRATE_BYTES:
            raise BagDamaged("The bag is larger than any that Carrel writes.")
        names = [entry.filename for entry in entries]
        tops = {name.partition("/")[0] for name in names}
        if len(tops) != 1 or len(set(names)) != len(names):
            raise BagDamaged("The bag is not one folder with each file once.")
        self._archive = archive
        self._top = tops.pop()
        self.paths = frozenset(name.partition("/")[2] for name in names if not name.endswith("/"))

    def read(self, path: str) -> bytes:
        """Return a small file of it. Raises BagDamaged where it is missing or long."""
        if path not in self.paths:
            raise BagDamaged(f"{path} is missing in the bag.")
        with self._archive.open(f"{self._top}/{path}") as stream:
            data = stream.read(MAX_CRATE_METADATA_BYTES + 1)
        if len(data) > MAX_CRATE_METADATA_BYTES:
            raise BagDamaged(f"{path} of the bag is longer than any that Carrel writes.")
        return data

    def digest(self, path: str, name: str) -> str:
        """Return the hash of a file of it, in hex. `name`: the hash function's."""
        digest = hashlib.new(name)
        with self._archive.open(f"{self._top}/{path}") as stream:
            for _ in _hashed(stream, digest):
                pass
        return digest.hexdigest()

    def fault(self) -> str:
        """Return the first file that its manifests do not fit, in a sentence; "" for a whole bag. Raises BagDamaged."""
        if self.read("bagit.txt") != DECLARATION:
            return "bagit.txt does not declare a bag of version 1.0."
        payload, tags = self._hashes(MANIFEST), self._hashes(TAG_MANIFEST)
        listed = payload.keys() | tags.keys() | {TAG_MANIFEST}
        if missing := sorted(listed - self.paths):
            return f"{missing[0]} is missing in the bag."
        if strangers := sorted(self.paths - listed):
            return f"{strangers[0]} is in the bag and in none of its manifests."
        for path, text in {**payload, **tags}.items():
            if self.digest(path, "sha512") != text:
                return f"{path} was changed: its contents do not have the SHA-512 of the manifest."
        return ""

    def _hashes(self, manifest: str) -> dict[str, str]:
        try:
            lines = [line.split("  ", 1) for line in self.read(manifest).decode().split("\n") if line]
            return {
                path.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%"): text.lower() for text, path in lines
            }
        except ValueError:
            raise BagDamaged(f"{manifest} cannot be read.") from None


@contextmanager
def opened_bag(path: Path) -> Iterator[Bag]:
    """Open a bag to check it. Raises BagDamaged, OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield Bag(archive)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError) as error:
        raise BagDamaged(f"{path.name} is no zip that can be read: {error}.") from error
