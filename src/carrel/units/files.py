"""Files that are written as a whole: whoever reads one, after a kill too, sees its old contents or its new ones."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

Synced = Literal["no", "file", "folder"]
"""What is to outlast a power cut: nothing; the contents, so that the file is never empty or half written; or the file's
name too, so that the new contents are there for certain once the call has returned."""
LONG_NAME_BYTES = 240
"""From here on a name cannot be made longer; a character has four bytes at most."""
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def replacing(path: Path, *, synced: Synced, mode: int | None = None, exclusive: bool = False) -> Iterator[BinaryIO]:
    """Write a new file, which takes the place of `path` when the block ends well and is removed when it does not.

    Until then it lies in the same folder, as `.<name>.<random>.new` with a long name cut, which a kill leaves there.
    `mode`: its exact rights from the first byte on; None: what the umask leaves of 0666. `exclusive`: FileExistsError
    where there is a file already. Raises OSError.
    """
    stem = path.name if len(os.fsencode(path.name)) < LONG_NAME_BYTES else path.name[: LONG_NAME_BYTES // 4]
    temporary = path.with_name(f".{stem}.{secrets.token_hex(4)}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None:
                os.fchmod(descriptor, mode)
            yield stream
            if synced != "no":
                stream.flush()
                os.fsync(descriptor)
        if exclusive:
            _link(temporary, path)
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if synced == "folder":
        fsync(path.parent)


def write_atomically(
    path: Path, data: bytes, *, synced: Synced, mode: int | None = None, exclusive: bool = False
) -> None:
    """Make or replace a file as a whole; see `replacing`."""
    with replacing(path, synced=synced, mode=mode, exclusive=exclusive) as stream:
        stream.write(data)


def fsync(path: Path) -> None:
    """Let a file's contents, or the names in a folder, outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(temporary: Path, path: Path) -> None:
    """Of many who link to one name, one succeeds. Where the file system has no hard links, looking first has to do."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.replace(path)
