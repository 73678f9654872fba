"""Copies: whole or not at all, and what their names say whenever they are read."""

import hashlib
import io
import os
from pathlib import Path

import pytest

from carrel.review import copies
from carrel.review.copies import CopyRefused, folder_of, opened, store

DATA = b"plan,visits\na,120\n"
HASH = hashlib.sha256(DATA).hexdigest()


def stored(data: bytes = DATA, expected: str = HASH) -> int:
    return store(io.BytesIO(data), "w", "r", expected=expected, path="a.csv")


def test_a_copy_is_read_again_as_it_was() -> None:
    assert stored() == stored() == len(DATA)
    assert [path.name for path in folder_of("w", "r").iterdir()] == [HASH]
    with opened("w", "r", HASH) as stream:
        assert stream.read() == DATA


def test_other_bytes_than_the_manifests_are_refused() -> None:
    with pytest.raises(CopyRefused, match="was changed after its action ran"):
        stored(DATA + b"b,1\n")
    assert list(folder_of("w", "r").iterdir()) == []


def test_a_long_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_RELEASE_FILE_BYTES", "10")
    copies.settings.get.cache_clear()
    with pytest.raises(CopyRefused, match="larger than"):
        stored()


@pytest.mark.parametrize("damage", ["changed", "missing", "link"])
def test_a_damaged_copy_is_never_read(damage: str) -> None:
    stored()
    path = folder_of("w", "r") / HASH
    path.unlink()
    if damage == "changed":
        path.write_bytes(DATA + b" ")
    elif damage == "link":
        other = path.with_name("other")
        other.write_bytes(DATA)
        path.symlink_to(other)
    with pytest.raises(CopyRefused, match="tell the engineers"), opened("w", "r", HASH):
        pass


def test_remains_of_killed_processes_go_in_time() -> None:
    folder = folder_of("w", "r")
    folder.mkdir(parents=True)
    old, new = folder / f".{HASH}.1234.new", folder / f".{HASH}.5678.new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    stored()
    assert not old.exists()
    assert new.exists()


def test_nobody_writes_a_copy(tmp_path: Path) -> None:
    stored()
    assert (folder_of("w", "r") / HASH).stat().st_mode & 0o777 == 0o440
