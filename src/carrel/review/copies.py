"""Copies of requested files, named by their contents: `requests/<workspace>/<request>/<sha256>` (R6).

A copy appears whole or not at all, and is hashed again whenever it is read: what checkers see, and what leaves, are the
bytes that the name says.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from carrel.review import settings
from carrel.review.rules import ActRefused
from carrel.telemetry import faults
from carrel.units.beneath import open_beneath
from carrel.units.files import replacing
from carrel.units.limits import MIB, READ_BLOCK_BYTES

COPY_MODE = 0o440
"""Of a copy: nobody writes it, not even its owner by mistake."""
REMAINS_SECONDS = 3600
"""Age from which a copy that was never finished is swept away: what wrote it was killed."""


class CopyRefused(ActRefused):
    """A file's bytes are not what they are said to be, or cannot be taken; says what to do."""


def folder_of(workspace: str, request_id: str) -> Path:
    """Return the folder of a request's copies."""
    return settings.get().requests / workspace / request_id


def store(source: BinaryIO, workspace: str, request_id: str, *, expected: str, path: str) -> int:
    """Copy an open file into a request; return its size in bytes. Storing the same bytes twice is storing them once.

    `expected`: the SHA-256 that it must have, in hex. Raises CopyRefused when it has another, or is too long to leave;
    OSError when the disk is full.
    """
    folder = folder_of(workspace, request_id)
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    most = settings.get().max_release_file_bytes
    digest, size = hashlib.sha256(), 0
    faults.point("review.copy.begin")
    with replacing(folder / expected, synced="folder", mode=COPY_MODE) as target:
        while block := source.read(READ_BLOCK_BYTES):
            size += len(block)
            if size > most:
                raise CopyRefused(f"{path} is larger than {most / MIB:g} MiB: files of that size cannot be released.")
            digest.update(block)
            target.write(block)
        faults.point("review.copy.written")
        if digest.hexdigest() != expected:
            raise CopyRefused(
                f"{path} is not the file that the manifest of {workspace} names: it was changed after its action ran. "
                "Run the action again, then add the file."
            )
    faults.point("review.copy.in_place")
    return size


@contextmanager
def opened(workspace: str, request_id: str, sha256: str) -> Iterator[BinaryIO]:
    """Open a copy to read it, its bytes hashed again before. Raises CopyRefused when they are not what they were."""
    try:
        stream = os.fdopen(open_beneath(folder_of(workspace, request_id), sha256), "rb")
    except (OSError, ValueError):
        raise CopyRefused(f"A copy of request {request_id} is missing. {_TELL}") from None
    with stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            raise CopyRefused(f"A copy of request {request_id} was changed on the disk. {_TELL}")
        stream.seek(0)
        yield stream


_TELL = "Nothing of it is released; tell the engineers of this backend."


def _sweep(folder: Path) -> None:
    """Remove what killed processes left of copies that never got their names."""
    oldest = time.time() - REMAINS_SECONDS
    for remains in folder.glob(".*.new"):
        with suppress(FileNotFoundError):
            if remains.lstat().st_mtime < oldest:
                remains.unlink()
