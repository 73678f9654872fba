"""One commit's files: reading one, and writing them all to disk without letting any lead outside."""

import contextlib
import os
import posixpath
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias

from carrel.repos.errors import CheckoutRefused, FileIsLink, FileTooLarge, RepoInfrastructureError
from carrel.repos.git import Git
from carrel.repos.limits import Deadline
from carrel.units.limits import (
    GIB,
    MAX_CHECKOUT_BYTES,
    MAX_GIT_DEPTH,
    MAX_GIT_ENTRIES,
    MAX_GIT_FILE_BYTES,
    MAX_GIT_LINKS,
    MAX_GIT_PATH_BYTES,
    MAX_LINK_BYTES,
    MAX_LINK_STEPS,
    MIB,
)

FOLDER, LINK, SUBMODULE = b"040000", b"120000", b"160000"
_OBJECT_ID_BYTES = 20
_MAX_LINKS = 40
"""Symlinks followed in one path before it counts as a loop; the kernel's own limit."""
_MAX_NAME_BYTES = 255
_MAX_LINE = 8192
"""Longest line that git says of one object."""


class _Absent(Enum):
    COMMIT = "commit"
    FILE = "file"


NoCommit: TypeAlias = Literal[_Absent.COMMIT]
NO_COMMIT: Final = _Absent.COMMIT
NO_FILE: Final = _Absent.FILE


# -- one file


def blob(
    git: Git, ref: str, path: str, deadline: Deadline, max_bytes: int
) -> bytes | Literal[_Absent.COMMIT, _Absent.FILE]:
    """The bytes of `path` in the tree of `ref`, or which of the two is not there. One git process.

    Sizes are asked for before the contents, so that nothing huge is ever read. Raises FileTooLarge, FileIsLink, and
    RepoInfrastructureError when the mirror cannot be read.
    """
    with git.conversation(["cat-file", "--batch-command"], deadline) as (say, hear):
        return _blob(git, say, hear, ref, path, max_bytes)


def blobs(git: Git, ref: str, paths: Iterable[str], deadline: Deadline, max_bytes: int) -> dict[str, bytes] | NoCommit:
    """The bytes of those of `paths` that the tree of `ref` has, as `blob` reads one; `max_bytes` of all together."""
    contents: dict[str, bytes] = {}
    with git.conversation(["cat-file", "--batch-command"], deadline) as (say, hear):
        for path in ("", *paths):
            content = _blob(git, say, hear, ref, path, max_bytes)
            if content is NO_COMMIT:
                return NO_COMMIT
            if isinstance(content, bytes):
                contents[path] = content
                max_bytes -= len(content)
    return contents


def names_in(git: Git, ref: str, folder: str, deadline: Deadline) -> list[str] | NoCommit:
    """The names of what a folder of the tree of `ref` holds, sorted; none where there is no such folder."""
    with git.conversation(["cat-file", "--batch-command"], deadline) as (say, hear):
        say(f"info {ref}^{{tree}}\ninfo {ref}:{folder}\n")
        if _heard(hear)[1] != b"tree":
            return NO_COMMIT
        _, kind, size = _heard(hear)
        if kind != b"tree":
            return []
        if size > MAX_GIT_FILE_BYTES:
            raise FileTooLarge(f"The folder {folder} in {git.shown_url} has too many files")
        entries = _entries_of(_contents(git, say, hear, f"{ref}:{folder}", size))
        return sorted(name.decode(errors="replace") for _, name in entries)


def _blob(
    git: Git, say: Callable[[str], None], hear: IO[bytes], ref: str, path: str, max_bytes: int
) -> bytes | Literal[_Absent.COMMIT, _Absent.FILE]:
    folder, _, name = path.rpartition("/")
    if "\n" in path:
        return NO_FILE
    say(f"info {ref}^{{tree}}\ninfo {ref}:{folder}\ninfo {ref}:{path}\n")
    is_commit = _heard(hear)[1] == b"tree"
    _, _, folder_size = _heard(hear)
    _, kind, size = _heard(hear)
    if not is_commit:
        return NO_COMMIT
    if kind != b"blob":
        return NO_FILE
    if folder_size > MAX_GIT_FILE_BYTES:
        raise FileTooLarge(f"The folder of {path} in {git.shown_url} has too many files")
    if size > max_bytes:
        raise FileTooLarge(f"The file {path} in {git.shown_url} is larger than {max_bytes // MIB} MiB")
    entries = _entries_of(_contents(git, say, hear, f"{ref}:{folder}", folder_size))
    if any(mode == LINK for mode, entry_name in entries if entry_name == name.encode()):
        raise FileIsLink(f"{path} in {git.shown_url} is a symbolic link: put the file itself there")
    return _contents(git, say, hear, f"{ref}:{path}", size)


def _heard(hear: IO[bytes]) -> tuple[bytes, bytes, int]:
    """What git says of an object: its id, its kind (`missing` when it is not there) and its size in bytes."""
    object_id, kind, size = [*hear.readline(_MAX_LINE).split(), b"", b"", b""][:3]
    return object_id, kind, int(size) if size.isdigit() else 0


def _contents(git: Git, say: Callable[[str], None], hear: IO[bytes], name: str, size: int) -> bytes:
    say(f"contents {name}\n")
    hear.readline(_MAX_LINE)
    content = hear.read(size)
    hear.read(1)
    if len(content) != size:
        raise RepoInfrastructureError(f"git cat-file ended too early for {git.shown_url}")
    return content


def _entries_of(folder: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Mode and name of each entry of a tree object, which is `mode name NUL id`, again and again."""
    at = 0
    while at < len(folder):
        end = folder.index(b"\0", at)
        mode, _, name = folder[at:end].partition(b" ")
        yield mode.rjust(len(LINK), b"0"), name
        at = end + 1 + _OBJECT_ID_BYTES


# -- all files


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file, folder, link or submodule of a tree. `size` in bytes, of files and links."""

    path: str
    mode: bytes
    object_id: str
    size: int


def check(git: Git, ref: str, deadline: Deadline) -> list[TreeEntry] | None:
    """What is in the tree of `ref`, all of which can be written; None when there is no such tree.

    Two git processes, however large the tree. Raises CheckoutRefused, which names what is in the way.
    """
    entries: list[TreeEntry] = []
    paths: set[str] = set()
    total = 0
    with git.answering(["ls-tree", "-r", "-t", "-z", "-l", "--full-tree", ref], deadline) as answer:
        for record in _records(answer):
            about, _, path = record.partition(b"\t")
            mode, _, object_id, size = about.split()
            entry = TreeEntry(os.fsdecode(path), mode, object_id.decode(), int(size) if size.isdigit() else 0)
            total += entry.size
            _check_entry(git, entry, paths)
            if len(entries) >= MAX_GIT_ENTRIES:
                raise _refusal(git, f"has more than {MAX_GIT_ENTRIES} files and folders")
            if total > MAX_CHECKOUT_BYTES:
                raise _refusal(git, f"has files of more than {MAX_CHECKOUT_BYTES // GIB} GiB together")
            paths.add(entry.path)
            entries.append(entry)
    if answer.returncode != 0 and not entries:
        return None
    if answer.returncode != 0:
        raise RepoInfrastructureError(f"The mirror of {git.shown_url} cannot be read")
    _check_links(git, [entry for entry in entries if entry.mode == LINK], deadline)
    return entries


def _records(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What git says, cut at each NUL."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\0")
        yield from whole
        if len(rest) > _MAX_LINE:  # far too long for a path: it is refused for what is there of it
            yield rest


def _refusal(git: Git, why: str) -> CheckoutRefused:
    return CheckoutRefused(f"{git.shown_url} cannot be checked out: it {why}")


def _check_entry(git: Git, entry: TreeEntry, paths: set[str]) -> None:
    names = entry.path.split("/")
    fault = None
    if len(names) > MAX_GIT_DEPTH:
        fault = f"is in folders nested deeper than {MAX_GIT_DEPTH}"
    elif len(os.fsencode(entry.path)) > MAX_GIT_PATH_BYTES:
        fault = f"has a path of more than {MAX_GIT_PATH_BYTES} bytes"
    elif any(len(os.fsencode(name)) > _MAX_NAME_BYTES for name in names):
        fault = f"has a name of more than {_MAX_NAME_BYTES} bytes"
    elif any(name in ("", ".", "..") for name in names):
        fault = "is not a plain path inside the repository"
    elif any(map(is_gits_own, names)):
        fault = "has a name that is git's own"
    elif entry.path in paths:
        fault = "is there twice"
    elif entry.mode == LINK and not 0 < entry.size <= MAX_LINK_BYTES:
        fault = f"is a symbolic link whose target has not 1 to {MAX_LINK_BYTES} bytes"
    if fault:
        raise _refusal(git, f"has a file that {fault}: {shown(entry.path)}")


_IGNORED = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])
"""Signs that macOS leaves out when it compares names."""


def is_gits_own(name: str) -> bool:
    """Whether some file system takes the name of a file for `.git`."""
    plain = name.translate(_IGNORED).casefold().partition(":")[0].rstrip(". ")
    return any(part.rstrip(". ") in (".git", "git~1") for part in plain.split("\\"))


def shown(path: str) -> str:
    """A path of somebody's tree for a message: printable, and no longer than one reads."""
    text = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode() for sign in path
    )
    return text if len(text) <= 200 else text[:200] + "..."


def write(
    git: Git, ref: str, dest: Path, entries: list[TreeEntry], leave_out: Callable[[str], bool], deadline: Deadline
) -> None:
    """Write the files of `ref`, which are `entries`, into the empty folder `dest`, but those that `leave_out` names.

    One git process. Modes are 0755 of folders and programs and 0644 of other files, whatever our own umask is.
    """
    with tempfile.TemporaryDirectory(prefix="carrel-index-") as scratch:
        env = {"GIT_INDEX_FILE": f"{scratch}/index", "GIT_WORK_TREE": str(dest.absolute())}
        done = git.run(["read-tree", "--reset", "-u", f"{ref}^{{tree}}"], deadline, env=env, umask=0o022)
    if not done.ok:
        raise git.cannot_write(done)
    for entry in entries:
        names = entry.path.split("/")
        file_and_its_folders = ("/".join(names[:count]) for count in range(len(names), 0, -1))
        if entry.mode not in (FOLDER, SUBMODULE) and any(map(leave_out, file_and_its_folders)):
            (dest / entry.path).unlink()
    # In the order of the listing a folder stands before what is in it. What was emptied goes, as git has none such.
    for entry in reversed(entries):
        if entry.mode == FOLDER:
            with contextlib.suppress(OSError):
                (dest / entry.path).rmdir()


# -- symbolic links


def _check_links(git: Git, links: list[TreeEntry], deadline: Deadline) -> None:
    if len(links) > MAX_GIT_LINKS:
        raise _refusal(git, f"has more than {MAX_GIT_LINKS} symbolic links")
    targets = _targets(git, links, deadline)
    steps = 0
    for path, target in targets.items():
        if "\0" in target:
            raise _refusal(git, f"has a symbolic link with a NUL character in its target: {shown(path)}")
        followed = follow(path, targets)
        steps += followed.steps
        if steps > MAX_LINK_STEPS:
            raise _refusal(git, "has symbolic links that lead through too many others")
        if not followed.inside:
            raise CheckoutRefused(
                f"The symlink '{shown(path)}' in {git.shown_url} leads outside the repository: "
                "remove it, or make it relative"
            )


def _targets(git: Git, links: list[TreeEntry], deadline: Deadline) -> dict[str, str]:
    """Path -> target. One git process; each link is small, and there are not many."""
    if not links:
        return {}
    ids = "".join(f"{entry.object_id}\n" for entry in links)
    said = git.run(["cat-file", "--batch"], deadline, stdin=ids.encode()).stdout
    targets, at = {}, 0
    for entry in links:
        start = said.find(b"\n", at) + 1
        at = start + entry.size + 1
        targets[entry.path] = os.fsdecode(said[start : at - 1])
    if at != len(said):
        raise RepoInfrastructureError(f"git cat-file ended too early for {git.shown_url}")
    return targets


@dataclass(frozen=True, slots=True)
class Followed:
    """Where following a path leads: whether it stays `inside` the tree, and through how many names."""

    inside: bool
    steps: int


def follow(path: str, links: Mapping[str, str]) -> Followed:
    """Follow `path` through `links` (symlink path -> target). Loops, and what leads nowhere, stay inside."""
    todo = path.split("/")[::-1]
    names: list[str] = []
    followed = steps = 0
    while todo and followed <= _MAX_LINKS:
        steps += 1
        part = todo.pop()
        if part == "..":
            if not names:
                return Followed(False, steps)
            names.pop()
        elif part not in ("", "."):
            # No link lies deeper than trees may be.
            target = links.get("/".join([*names, part])) if len(names) < MAX_GIT_DEPTH else None
            if target is None:
                names.append(part)
            elif posixpath.isabs(target):
                return Followed(False, steps)
            else:
                followed += 1
                todo.extend(target.split("/")[::-1])
    return Followed(True, steps)


def stays_inside(path: str, links: Mapping[str, str]) -> bool:
    """True if following `path` through `links` never leaves the tree."""
    return follow(path, links).inside
