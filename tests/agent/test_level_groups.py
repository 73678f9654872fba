"""Who may read what on disk, tried by real users: each level its own store, and nothing else."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from carrel.agent.level_groups import LevelGroups, give_to_levels, groups_of
from carrel.agent.storage import Storage
from carrel.outputs.publication import Publication
from carrel.units.privacy import make_private
from carrel.units.settings import SettingsError

NOBODY = 61_999
IS_ROOT = os.geteuid() == 0
# Groups need no name to be groups. Without root there is only one's own.
LEVEL2, LEVEL3, LEVEL4 = (61_002, 61_003, 61_004) if IS_ROOT else (os.getegid(),) * 3
CONTENTS = {
    "high_privacy/workspaces/survival/output/rows.csv": LEVEL3,
    "high_privacy/workspaces/survival/metadata/count.log": LEVEL3,
    "high_privacy/logs/2026-05/os-job-abc/logs.txt": LEVEL3,
    "high_privacy/volumes/abc/output/rows.csv": LEVEL3,
    "high_privacy/archives/old.tar.gz": LEVEL3,
    "medium_privacy/workspaces/survival/output/table.csv": LEVEL4,
    "medium_privacy/workspaces/survival/metadata/count.log": LEVEL4,
    "medium_privacy/workspaces/survival/metadata/manifest.json": LEVEL4,
}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    tmp_path.chmod(0o755)
    high = tmp_path / "high_privacy"
    return Storage(high, tmp_path / "medium_privacy", high / "archives", high / "volumes")


@pytest.fixture(autouse=True)
def _umask() -> object:
    before = os.umask(0o077)
    yield
    os.umask(before)


def begin(storage: Storage) -> None:
    """As an agent starts."""
    storage.create()
    for folder in storage.folders:
        make_private(folder)
    groups = LevelGroups(LEVEL3, LEVEL4)
    give_to_levels(groups, high=(storage.high, storage.archives, storage.volumes), medium=(storage.medium,))


def as_member(group: int, act: Callable[[], object]) -> bool:
    """Tell whether a user who is in this group alone can do it."""
    child = os.fork()
    if not child:
        code = 1
        try:
            if IS_ROOT:
                os.setgroups([])
                os.setgid(group)
                os.setuid(NOBODY)
            act()
            code = 0
        except PermissionError:
            code = 2
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 2)
    return code == 0


def test_every_kind_of_file_is_tried_by_every_level(storage: Storage, tmp_path: Path) -> None:
    for parent in tmp_path.parents:
        if parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o711)
    begin(storage)
    publication = Publication("task", [storage.high, storage.medium])
    for name in CONTENTS:
        if "/workspaces/" in name:
            publication.add_bytes(b"rows", tmp_path / name)
        else:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"rows")
    publication.commit()
    publication.finish()
    for name, group in CONTENTS.items():
        path = tmp_path / name
        status = path.stat()
        assert (status.st_gid, stat.S_IMODE(status.st_mode)) == (group, 0o640), name
        assert path.parent.stat().st_mode & stat.S_ISGID, name
        if IS_ROOT:
            for level in (LEVEL2, LEVEL3, LEVEL4):
                assert as_member(level, path.read_bytes) is (level == group), (name, level)
                assert not as_member(level, lambda path=path: path.write_bytes(b"")), (name, level)
                assert not as_member(level, lambda path=path: (path.parent / "new").touch()), (name, level)


def test_a_store_of_before_is_given_once_without_following_links(storage: Storage, tmp_path: Path) -> None:
    storage.create()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"")
    elsewhere.chmod(0o600)
    old = storage.level4("survival") / "output" / "table.csv"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"rows")
    (old.parent / "link.csv").symlink_to(elsewhere)
    begin(storage)
    assert (old.stat().st_gid, stat.S_IMODE(old.stat().st_mode)) == (LEVEL4, 0o640)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o600
    old.chmod(0o600)
    begin(storage)
    assert stat.S_IMODE(old.stat().st_mode) == 0o600, "it is given once, not at every start"


def test_names_of_groups() -> None:
    assert groups_of("", "") is None
    assert groups_of("61003", "61004") == LevelGroups(61_003, 61_004)
    with pytest.raises(SettingsError, match="LEVEL4_GROUP is not set"):
        groups_of("61003", "")
    with pytest.raises(SettingsError, match="the group no-such-group, which this machine does not have"):
        groups_of("no-such-group", "61004")
