"""What is open to everybody is closed, or refused in a sentence."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.disks import small_disk

from carrel.units.privacy import TooOpen, close, make_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("before", "after"), [(0o777, 0o770), (0o755, 0o750), (0o2775, 0o2770), (0o700, 0o700)])
def test_a_folder_is_closed_and_its_groups_rights_stay(tmp_path: Path, before: int, after: int) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    folder.chmod(before)
    make_private(folder)
    assert mode(folder) == after


def test_what_is_made_is_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from carrel.units.privacy import close_to_others, make_private;"
        "os.umask(0); close_to_others(); make_private(Path(sys.argv[1]) / 'a' / 'b');"
        "Path(sys.argv[1], 'a', 'file').write_text('')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert [mode(tmp_path / path) for path in ("a", "a/b", "a/file")] == [0o700, 0o700, 0o600]


def test_a_file_that_is_not_there_is_passed_over_and_one_that_is_is_closed(tmp_path: Path) -> None:
    close(tmp_path / "missing")
    file = tmp_path / "file"
    file.touch()
    file.chmod(0o666)
    close(file)
    assert mode(file) == 0o660


def test_a_disk_in_memory_that_was_mounted_for_us_is_closed(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m", mode="1777") as disk:
        make_private(disk.path)
        assert mode(disk.path) == 0o1770


def test_a_folder_that_is_everybodys_is_never_taken_over(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(TooOpen, match="everybody's"):
        make_private(shared)
    assert mode(shared) == 0o1777
    if os.geteuid() == 0:  # `/` could be closed by nobody else
        with pytest.raises(TooOpen):
            close(Path("/"))
