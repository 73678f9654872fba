"""One commit's files: reading one, and writing them all to disk without letting any lead outside."""

import posixpath
import tempfile
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Final, Literal

from carrel.repos.errors import CheckoutRefused, FileTooLarge, RepoInfrastructureError
from carrel.repos.git import Git
from carrel.repos.limits import Deadline

_SYMLINK = b"120000"
_MAX_LINKS = 40
"""Symlinks followed in one path before it counts as a loop; the kernel's own limit."""


class _Absent(Enum):
    COMMIT = "commit"
    FILE = "file"


NO_COMMIT: Final = _Absent.COMMIT
NO_FILE: Final = _Absent.FILE


def blob(
    git: Git, ref: str, path: str, deadline: Deadline, max_bytes: int
) -> bytes | Literal[_Absent.COMMIT, _Absent.FILE]:
    """The bytes of `path` in the tree of `ref`, or which of the two is not there. One git process.

    The size is asked for before the contents, so that a huge file is never read. Raises FileTooLarge, and
    RepoInfrastructureError when the mirror cannot be read.
    """
    if "\n" in path:
        return NO_FILE
    with git.conversation(["cat-file", "--batch-command"], deadline) as (say, hear):
        say(f"info {ref}^{{tree}}\ninfo {ref}:{path}\n")
        if b" tree " not in hear.readline():
            return NO_COMMIT
        _, kind, size = [*hear.readline().split(b" "), b"", b"0"][:3]
        if kind != b"blob":
            return NO_FILE
        if int(size) > max_bytes:
            raise FileTooLarge(f"The file {path} in {git.shown_url} is larger than {max_bytes // 1024**2} MiB")
        say(f"contents {ref}:{path}\n")
        hear.readline()
        content = hear.read(int(size))
    if len(content) != int(size):
        raise RepoInfrastructureError(f"git cat-file ended too early for {git.shown_url}")
    return content


def write(git: Git, ref: str, dest: Path, deadline: Deadline) -> None:
    """Write the files of `ref` into the empty folder `dest`. One git process."""
    with tempfile.TemporaryDirectory(prefix="carrel-index-") as scratch:
        env = {"GIT_INDEX_FILE": f"{scratch}/index", "GIT_WORK_TREE": str(dest.absolute())}
        git.local(["read-tree", "--reset", "-u", f"{ref}^{{tree}}"], deadline, env=env)


def check_symlinks(git: Git, ref: str, deadline: Deadline) -> bool:
    """Raise CheckoutRefused if any symlink in the tree of `ref` leads outside of it; False: there is no such tree.

    One git process, and one more for each symlink.
    """
    listing = git.run(["ls-tree", "-r", "-z", ref], deadline)
    if not listing.ok:
        return False
    links = _symlinks(git, listing.stdout, deadline)
    for path in links:
        if not stays_inside(path, links):
            raise CheckoutRefused(
                f"The symlink '{path}' in {git.shown_url} leads outside the repository: remove it, or make it relative"
            )
    return True


def _symlinks(git: Git, listing: bytes, deadline: Deadline) -> dict[str, str]:
    entries = (entry.partition(b"\t") for entry in listing.split(b"\0") if entry.startswith(_SYMLINK))
    ids = {path.decode(errors="surrogateescape"): meta.split(b" ")[2].decode() for meta, _, path in entries}
    return {
        path: git.local(["cat-file", "blob", object_id], deadline).stdout.decode(errors="surrogateescape")
        for path, object_id in ids.items()
    }


def stays_inside(path: str, links: Mapping[str, str]) -> bool:
    """True if following `path` through `links` (symlink path -> target) never leaves the tree. Loops stay inside."""
    todo = path.split("/")[::-1]
    place: list[str] = []
    followed = 0
    while todo and followed <= _MAX_LINKS:
        part = todo.pop()
        if part == "..":
            if not place:
                return False
            place.pop()
        elif part not in ("", "."):
            target = links.get("/".join([*place, part]))
            if target is None:
                place.append(part)
            elif posixpath.isabs(target):
                return False
            else:
                followed += 1
                todo.extend(target.split("/")[::-1])
    return True
