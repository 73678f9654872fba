"""A job's folder full of traps: nothing is followed, nothing outside is read, all of it is listed with its reason."""

import os
import socket
from pathlib import Path

import pytest
from tests.support.agents import deep_folder

from carrel.outputs import walk as walking
from carrel.outputs.walk import walk
from carrel.units.beneath import open_beneath, parts_of


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret.csv").write_text("secret")
    return place


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    place = tmp_path / "inside"
    (place / "output").mkdir(parents=True)
    return place


def _reasons(root: Path) -> dict[str, str]:
    return {refusal.path: refusal.reason for refusal in walk(root).refused}


def test_symlinks_are_refused_and_never_followed(inside: Path, outside: Path) -> None:
    (inside / "output/link.csv").symlink_to(outside / "secret.csv")
    (inside / "folder").symlink_to(outside)
    (inside / "output/fine.csv").write_text("x")
    assert [entry.path for entry in walk(inside).files] == ["output/fine.csv"]
    assert _reasons(inside) == {"folder": "it is a symbolic link", "output/link.csv": "it is a symbolic link"}


def test_the_root_itself_may_not_be_a_symlink(inside: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(inside)
    with pytest.raises(NotADirectoryError):
        walk(tmp_path / "link")


def test_pipes_sockets_and_devices_are_refused(inside: Path) -> None:
    os.mkfifo(inside / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(inside / "socket.csv"))
    if os.geteuid() == 0:
        os.mknod(inside / "device.csv", 0o600 | 0o020000, os.makedev(1, 3))
    reasons = _reasons(inside)
    assert reasons["pipe.csv"] == "it is a named pipe"
    assert reasons["socket.csv"] == "it is a socket"
    assert reasons.get("device.csv", "it is a device") == "it is a device"


def test_a_hard_link_to_a_file_elsewhere_is_refused(inside: Path, outside: Path) -> None:
    os.link(outside / "secret.csv", inside / "output/stolen.csv")
    assert "hard link" in _reasons(inside)["output/stolen.csv"]


def test_hard_links_among_the_jobs_own_files_are_files(inside: Path) -> None:
    (inside / "a.csv").write_text("x")
    os.link(inside / "a.csv", inside / "output/b.csv")
    assert [entry.path for entry in walk(inside).files] == ["a.csv", "output/b.csv"]


@pytest.mark.parametrize("name", [b"new\nline.csv", b"bad\xff.csv", b"bell\x07.csv"])
def test_names_that_would_break_a_log_or_manifest_are_refused(inside: Path, name: bytes) -> None:
    (inside / os.fsdecode(name)).write_text("x")
    [refusal] = walk(inside).refused
    assert refusal.path.isprintable()
    refusal.path.encode()


def test_deep_folders_are_refused_and_do_not_break_the_walk(inside: Path) -> None:
    with deep_folder(inside):
        [refusal] = walk(inside).refused
    assert "deeper" in refusal.reason


def test_too_many_files_end_the_walk(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_WALK_ENTRIES", 3)
    for number in range(5):
        (inside / f"{number}.csv").write_text("x")
    listing = walk(inside)
    assert len(listing.files) == 3
    assert "more than 3" in listing.refused[0].reason


def test_what_is_left_out_is_not_even_opened(inside: Path) -> None:
    (inside / "metadata").mkdir()
    (inside / "metadata" / "x.csv").write_text("x")
    assert walk(inside, lambda path: path == "metadata").files == ()


def test_open_beneath_reads_a_file(inside: Path) -> None:
    (inside / "output/a.csv").write_text("hello")
    with os.fdopen(open_beneath(inside, "output/a.csv")) as stream:
        assert stream.read() == "hello"


@pytest.mark.parametrize("path", ["link/secret.csv", "link.csv"])
def test_open_beneath_follows_no_symlink(inside: Path, outside: Path, path: str) -> None:
    (inside / "link").symlink_to(outside)
    (inside / "link.csv").symlink_to(outside / "secret.csv")
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        open_beneath(inside, path)


def test_open_beneath_opens_regular_files_only(inside: Path) -> None:
    os.mkfifo(inside / "pipe")
    with pytest.raises(ValueError, match="regular"):
        open_beneath(inside, "pipe")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "a//b", "./a", "a\0b"])
def test_paths_that_are_not_plain_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="plain"):
        parts_of(path)
