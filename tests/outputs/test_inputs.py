"""Inputs in an attempt's folder: whatever the job does to them, the store stays as it is."""

from pathlib import Path

import pytest
from tests.support.disks import small_disk

from carrel.outputs import inputs
from carrel.outputs.inputs import SMALL, place_file, place_outputs


@pytest.fixture
def store(tmp_path: Path) -> Path:
    place = tmp_path / "store"
    (place / "o").mkdir(parents=True)
    (place / "o/small.csv").write_text("small")
    with (place / "o/large.csv").open("wb") as stream:
        stream.truncate(SMALL + 1)
    return place


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    place = tmp_path / "attempt/workspace"
    place.mkdir(parents=True)
    return place


@pytest.fixture
def no_clones(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system without reflinks, so that the same path is taken on every machine."""
    monkeypatch.setattr(inputs, "clone", lambda source, target: False)


def test_a_small_input_is_the_jobs_own_copy(store: Path, workspace: Path) -> None:
    assert place_file(store, "o/small.csv", workspace, workspace.parent / "pins") is None
    (workspace / "o/small.csv").write_text("changed")
    assert (store / "o/small.csv").read_text() == "small"


@pytest.mark.usefixtures("no_clones")
def test_a_large_input_is_pinned_and_shown_read_only(store: Path, workspace: Path) -> None:
    mount = place_file(store, "o/large.csv", workspace, workspace.parent / "pins")
    assert mount is not None
    assert (mount.target, mount.writable) == ("/workspace/o/large.csv", False)
    assert mount.source.stat().st_ino == (store / "o/large.csv").stat().st_ino
    assert (workspace / "o/large.csv").stat().st_size == 0
    (store / "new").write_text("new")
    (store / "new").replace(store / "o/large.csv")
    assert mount.source.stat().st_size == SMALL + 1


@pytest.mark.usefixtures("no_clones")
def test_a_large_input_is_copied_where_there_are_no_mounts(store: Path, workspace: Path) -> None:
    assert place_outputs(store, ["o/large.csv", "o/small.csv"], workspace) == []
    assert (workspace / "o/large.csv").stat().st_size == SMALL + 1


def test_an_input_takes_the_place_of_a_file_of_the_code(store: Path, workspace: Path) -> None:
    (workspace / "o").mkdir()
    (workspace / "o/small.csv").write_text("code's")
    place_file(store, "o/small.csv", workspace)
    assert (workspace / "o/small.csv").read_text() == "small"


def test_a_symlink_of_the_code_is_not_followed(store: Path, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (workspace / "o").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError):
        place_file(store, "o/small.csv", workspace)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_symlink_at_the_files_own_place_is_replaced(store: Path, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("victim")
    (workspace / "o").mkdir()
    (workspace / "o/small.csv").symlink_to(tmp_path / "victim")
    place_file(store, "o/small.csv", workspace)
    assert (tmp_path / "victim").read_text() == "victim"


@pytest.mark.parametrize(("path", "error"), [("o/none.csv", FileNotFoundError), ("../store/o/small.csv", ValueError)])
def test_what_is_not_there(store: Path, workspace: Path, path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        place_file(store, path, workspace)


def test_a_large_input_of_another_file_system_is_what_it_was_when_it_was_put_there(
    tmp_path: Path, workspace: Path
) -> None:
    with small_disk(tmp_path / "volume", "32m") as disk:
        (disk.path / "large.csv").write_bytes(b"old" * SMALL)
        mount = place_file(disk.path, "large.csv", workspace, workspace.parent / "pins")
        (disk.path / "new").write_bytes(b"new")
        (disk.path / "new").replace(disk.path / "large.csv")
        seen = mount.source if mount else workspace / "large.csv"
        assert seen.read_bytes() == b"old" * SMALL


def test_a_long_copy_from_another_file_system_can_be_given_up(tmp_path: Path, workspace: Path) -> None:
    def check() -> None:
        raise InterruptedError

    with small_disk(tmp_path / "volume", "32m") as disk:
        (disk.path / "large.csv").write_bytes(b"x" * (SMALL + 1))
        with pytest.raises(InterruptedError):
            place_file(disk.path, "large.csv", workspace, workspace.parent / "pins", check)
