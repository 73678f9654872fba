"""A unified diff as rows with line numbers. Pure: the text of a diff in, rows out; what is left out is counted."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

MAX_ROWS = 1500
MAX_LINE = 500
"""Longest line that is shown, in characters."""
_HUNK = re.compile(r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@(.*)", re.DOTALL)
_NOTES = (
    "Binary files ",
    "GIT binary patch",
    "new file mode",
    "deleted file mode",
    "old mode",
    "new mode",
    "similarity",
)

_SIGNS = ("+", "-", " ", "\\", "")
"""What a line of a hunk begins with. Some tools strip the blank of an empty line."""


class RowKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    SAME = "same"
    HUNK = "hunk"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One line: its number in the old file, in the new one, and its text without the sign. A hunk has no numbers."""

    kind: RowKind
    text: str
    old: int | None = None
    new: int | None = None

    @property
    def sign(self) -> str:
        return {RowKind.ADDED: "+", RowKind.REMOVED: "−"}.get(self.kind, "")


@dataclass(slots=True)
class FileDiff:
    """The rows of one file. `added` and `removed` count all its lines, those of `rows_left_out` too."""

    path: str
    old_path: str = ""
    """Where the file was before, when it was elsewhere."""
    rows: list[DiffRow] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    rows_left_out: int = 0


def file_diffs(text: str, max_rows: int = MAX_ROWS) -> list[FileDiff]:
    """Read the output of `git diff` (or of `diff -u`) of any number of files; `max_rows` are kept, over all files.

    Lines that belong to no file (a commit's message) are passed over.
    """
    reader = _Reader(max_rows)
    for line in text.removesuffix("\n").split("\n"):
        reader.read(line.removesuffix("\r"))
    return reader.files


class _Reader:
    """Reads line by line; a hunk says how many lines it has, so that a line of a file is never taken for a head."""

    def __init__(self, room: int) -> None:
        self.files: list[FileDiff] = []
        self.room = room
        self.old, self.new = 0, 0
        self.old_pending, self.new_pending = 0, 0
        self.begun = False
        """A `diff` line has opened a file, whose `---` line opens no other."""

    def read(self, line: str) -> None:
        within = self.old_pending > 0 or self.new_pending > 0
        if within and line[:1] in _SIGNS:
            self._read_body(line)
        else:
            self.old_pending = self.new_pending = 0
            self._read_head(line)

    def _read_head(self, line: str) -> None:
        hunk = _HUNK.fullmatch(line)
        if hunk and self.files:
            self.old, self.new = int(hunk[1]), int(hunk[3])
            self.old_pending, self.new_pending = int(hunk[2] or 1), int(hunk[4] or 1)
            self._add(DiffRow(RowKind.HUNK, hunk[5].strip()))
        elif line.startswith("diff "):
            both = line.removeprefix("diff --git ")
            self.files.append(FileDiff(_bare(both[len(both) // 2 + 1 :])))
            self.begun = True
        elif line.startswith("--- "):
            if not self.begun:
                self.files.append(FileDiff(_bare(line[4:])))
            self._set_path(line[4:])
            self.begun = False
        elif line.startswith("+++ ") and self.files:
            self._set_path(line[4:])
        elif self.files and line.startswith(("rename from ", "copy from ")):
            self.files[-1].old_path = line.partition(" from ")[2]
        elif self.files and line.startswith(("rename to ", "copy to ")):
            self.files[-1].path = line.partition(" to ")[2]
        elif self.files and line.startswith((*_NOTES, "\\")):
            self._add(DiffRow(RowKind.NOTE, line.removeprefix("\\ ")))

    def _set_path(self, written: str) -> None:
        name = written.partition("\t")[0]
        if name != "/dev/null":
            self.files[-1].path = _bare(name)

    def _read_body(self, line: str) -> None:
        sign, text = line[:1], line[1:]
        if sign == "\\":
            self._add(DiffRow(RowKind.NOTE, text.strip()))
        elif sign == "+":
            self._add(DiffRow(RowKind.ADDED, text, None, self.new))
            self.new, self.new_pending = self.new + 1, self.new_pending - 1
            self.files[-1].added += 1
        elif sign == "-":
            self._add(DiffRow(RowKind.REMOVED, text, self.old))
            self.old, self.old_pending = self.old + 1, self.old_pending - 1
            self.files[-1].removed += 1
        else:
            self._add(DiffRow(RowKind.SAME, text, self.old, self.new))
            self.old, self.old_pending = self.old + 1, self.old_pending - 1
            self.new, self.new_pending = self.new + 1, self.new_pending - 1

    def _add(self, row: DiffRow) -> None:
        current = self.files[-1]
        if not self.room:
            current.rows_left_out += 1
            return
        if len(row.text) > MAX_LINE:
            row = DiffRow(row.kind, f"{row.text[:MAX_LINE]}… ({len(row.text)} characters)", row.old, row.new)
        current.rows.append(row)
        self.room -= 1


def _bare(path: str) -> str:
    """Take off git's `a/` or `b/`."""
    return path[2:] if path.startswith(("a/", "b/")) else path
