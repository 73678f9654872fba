"""Folders and files that Carrel makes where people keep their code, and that git is to leave alone.

Patients' rows lie in them, and `git add -A` takes whatever no .gitignore names. So each says so itself, from the moment
it is there: nobody has to remember a line in a file of theirs.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from carrel.units.files import write_atomically

NAME = ".gitignore"
_OURS = "# Written by Carrel: "
_ALL = f"{_OURS}what it makes here is not for git.\n*\n"
_SOME = f"{_OURS}these files were made by runs, and are not for git.\n/{NAME}\n"
_ESCAPES = str.maketrans({char: f"\\{char}" for char in "\\*?[]!# "})


def make_ignored(folder: Path, mode: int = 0o777) -> None:
    """Make `folder`, with those above it, so that git ignores all that is ever in it.

    Of a folder that is there already only an empty one is taken for Carrel's: the other may hold somebody's code.
    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=mode)
    with os.scandir(folder) as entries:
        empty = next(entries, None) is None
    if empty:
        ignore_all(folder)


def ignore_all(folder: Path) -> None:
    """Let git ignore all in a folder that is Carrel's alone; a .gitignore that is there is left as it is."""
    if not (folder / NAME).exists():
        write_atomically(folder / NAME, _ALL.encode(), synced="no")


def ignore_files(folder: Path, names: Iterable[str]) -> bool:
    """Let git ignore these files of a folder that is somebody else's. False: their own .gitignore is in the way."""
    path = folder / NAME
    if path.exists() and not is_ours(path):
        return False
    lines = (path.read_text() if path.exists() else _SOME).splitlines()
    # Each is a pattern that matches this name in the folder, and nothing else (gitignore(5)).
    missing = sorted({f"/{name.translate(_ESCAPES)}" for name in names} - set(lines))
    if missing and "*" not in lines:
        # Half a .gitignore would be taken for somebody else's.
        write_atomically(path, "".join(f"{line}\n" for line in [*lines, *missing]).encode(), synced="no")
    return True


def ignores_all(folder: Path) -> bool:
    """Tell whether Carrel has let git ignore all in the folder."""
    return is_ours(folder / NAME) and "*" in (folder / NAME).read_text().splitlines()


def is_ours(path: Path) -> bool:
    """Tell whether the file is a .gitignore that Carrel wrote: such a file is neither code nor an output."""
    if path.name != NAME:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_OURS)) == _OURS.encode()
    except OSError:
        return False
