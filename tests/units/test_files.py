"""Files that are replaced as a whole."""

import errno
import os
import stat
from pathlib import Path

import pytest

from carrel.units.files import replacing, write_atomically


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made to outlast a power cut, in order: the kinds of what fsync was called on."""
    kinds: list[str] = []

    def note(descriptor: int) -> None:
        kinds.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    monkeypatch.setattr(os, "fsync", note)
    return kinds


@pytest.mark.parametrize(("how", "expected"), [("no", []), ("file", ["file"]), ("folder", ["file", "folder"])])
def test_what_outlasts_a_power_cut_is_the_callers_choice(tmp_path: Path, synced: list[str], how, expected):
    path = tmp_path / "a"
    for data in (b"old", b"new"):
        synced.clear()
        write_atomically(path, data, synced=how)
        assert (path.read_bytes(), synced, list(tmp_path.iterdir())) == (data, expected, [path])


def test_rights_are_exact_or_the_umasks(tmp_path: Path):
    before = os.umask(0o027)
    try:
        for mode, expected in ((None, 0o640), (0o644, 0o644), (0o600, 0o600), (0o700, 0o700)):
            write_atomically(tmp_path / "a", b"", synced="no", mode=mode)
            assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == expected
    finally:
        os.umask(before)


def test_a_private_file_is_private_from_its_first_byte(tmp_path: Path):
    with replacing(tmp_path / "a", synced="no", mode=0o600) as stream:
        assert stat.S_IMODE(os.fstat(stream.fileno()).st_mode) == 0o600


def test_nothing_changes_when_the_block_fails(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"old")

    def fail() -> None:
        with replacing(tmp_path / "a", synced="file") as stream:
            stream.write(b"new")
            assert (tmp_path / "a").read_bytes() == b"old"
            assert len(list(tmp_path.iterdir())) == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_two_writers_at_once_do_not_mix(tmp_path: Path):
    with replacing(tmp_path / "a", synced="no") as first, replacing(tmp_path / "a", synced="no") as second:
        first.write(b"first")
        second.write(b"2nd")
    assert (tmp_path / "a").read_bytes() == b"first"


def test_exclusive_takes_no_place_of_another(tmp_path: Path):
    write_atomically(tmp_path / "a", b"one", synced="folder", exclusive=True)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "a", b"two", synced="folder", exclusive=True)
    assert (tmp_path / "a").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_exclusive_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    test_exclusive_takes_no_place_of_another(tmp_path)


def test_a_failing_link_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="full"):
        write_atomically(tmp_path / "a", b"one", synced="no", exclusive=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "😀" * 63])
def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path: Path, name: str):
    write_atomically(tmp_path / name, b"1", synced="no")
    assert [path.name for path in tmp_path.iterdir()] == [name]
