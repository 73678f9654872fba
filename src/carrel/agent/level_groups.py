"""Unix groups of the levels: who of a backend's people may read which store (operations.md, part 1).

Each store is given to the group of its level by the setgid bit of its folders, so that whatever is made in it is that
group's too; files are `rw-r-----`. Where no groups are set, nothing of this happens.
"""

import grp
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carrel.units.settings import SettingsError

FOLDER_MODE, FILE_MODE = 0o2750, 0o640
GROUP_READS = 0o027


@dataclass(frozen=True, slots=True)
class LevelGroups:
    """The groups of level 3 (highly sensitive files) and 4 (moderately sensitive ones), as numbers."""

    level3: int
    level4: int


def groups_of(level3: str, level4: str) -> LevelGroups | None:
    """Return the groups of these names or numbers; None where none are set. Raises SettingsError."""
    if not level3 and not level4:
        return None
    numbers = {}
    for variable, group in (("LEVEL3_GROUP", level3), ("LEVEL4_GROUP", level4)):
        if not group:
            raise SettingsError(f"{variable} is not set. Set both LEVEL3_GROUP and LEVEL4_GROUP, or neither.")
        try:
            numbers[variable] = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
        except (KeyError, ValueError, OverflowError):
            raise SettingsError(f"{variable} names the group {group}, which this machine does not have.") from None
    return LevelGroups(numbers["LEVEL3_GROUP"], numbers["LEVEL4_GROUP"])


def give_to_levels(groups: LevelGroups, *, high: tuple[Path, ...], medium: tuple[Path, ...]) -> None:
    """Give the folders to the groups, and let what this process makes from now on be read by the folder's group.

    What lay there before is given too, once: a store's own folder is last, so that a kill in between is made good by
    the next start. Raises SettingsError where this user may not.
    """
    os.umask(GROUP_READS)
    for group, folders in ((groups.level3, high), (groups.level4, medium)):
        for folder in folders:
            try:
                status = folder.stat()
                if (status.st_gid, stat.S_IMODE(status.st_mode)) == (group, FOLDER_MODE):
                    continue
                for path, is_folder in _beneath(folder):
                    _give(path, group, FOLDER_MODE if is_folder else FILE_MODE)
                _give(folder, group, FOLDER_MODE)
            except PermissionError:
                raise SettingsError(
                    f"{folder} cannot be given to group {group}: the agent's user must own what is in it, and be a "
                    "member of that group."
                ) from None


def _beneath(folder: Path) -> Iterator[tuple[Path, bool]]:
    """All folders and files below, and whether each is a folder; no symlink is followed or given."""
    for parent, folders, files, descriptor in os.fwalk(folder):
        for names, is_folder in ((folders, True), (files, False)):
            for name in names:
                mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                    yield Path(parent, name), is_folder


def _give(path: Path, group: int, mode: int) -> None:
    os.chown(path, -1, group, follow_symlinks=False)
    path.chmod(mode)
