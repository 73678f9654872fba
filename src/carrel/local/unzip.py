"""Unpack `.gz` outputs beside themselves, so that a person can look at them."""

import gzip
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

from carrel.local.errors import LocalError
from carrel.units.files import replacing


def unzip(path: Path) -> Iterator[Path]:
    """Unpack one `.gz` file, or each one in a folder and below; yield each file written.

    A file whose unpacked copy is at least as new is left alone, so a second call does nothing. The copy appears
    whole or not at all. Raises `LocalError` when `path` is not there, is no `.gz` file, or is damaged.
    """
    if not path.exists():
        raise LocalError(f"{path} does not exist")
    if path.is_dir():
        packed = sorted(file for file in path.rglob("*.gz") if file.is_file())
    elif path.suffix == ".gz":
        packed = [path]
    else:
        raise LocalError(f"{path} is not a .gz file")
    return (plain for file in packed if (plain := _unpack_newer(file)))


def _unpack_newer(packed: Path) -> Path | None:
    """The unpacked copy; None where there is one that is as new."""
    plain = packed.with_suffix("")
    if plain.exists() and plain.stat().st_mtime >= packed.stat().st_mtime:
        return None
    try:
        with replacing(plain, synced="no", mode=0o600) as copy, gzip.open(packed, "rb") as source:
            shutil.copyfileobj(source, copy, 1024 * 1024)
    except (OSError, EOFError, zlib.error) as error:
        raise LocalError(f"{packed} cannot be unpacked: {error}") from None
    return plain
