"""A job's log file: the container's lines, then the summary (agent.md 4.6), and its redacted copy for level 4."""

import codecs
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from carrel.messages.job_logs import JOB_SUMMARY
from carrel.telemetry.redaction import spellings

REDACTED = "[REDACTED]"
LONG_TABLE = 50
"""Lines of one table in a log that make it worth a note to the output checker."""
LONGEST_LINE = 64 * 1024
BLOCK = 1024 * 1024
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
CopyLines = Callable[[Callable[[bytes], object], int], int]


def summary(
    fields: Mapping[str, object],
    outputs: Mapping[str, str],
    excluded: Mapping[str, str] | None = None,
    sections: Mapping[str, Iterable[str]] | None = None,
) -> str:
    """The trailer of a log, from the blank line before the marker to the end.

    `fields` in order, those that are falsy left out; `outputs`: path -> level; `excluded`: path -> reason;
    `sections`: further titled lists (refused files, notes of the executor), after the contract's own.
    """
    lines = ["", JOB_SUMMARY, *(f"{key}: {value}" for key, value in fields.items() if value), "", "outputs:"]
    lines += table(outputs) or ["  (no outputs)"]
    if excluded:
        lines += ["", "Invalid moderately_sensitive outputs:", *table(excluded)]
    for title, items in (sections or {}).items():
        if listed := list(items):
            lines += ["", f"{title}:", *(f"  {item}" for item in listed)]
    return "\n".join(lines) + "\n"


def sections(
    *,
    refused: Iterable[object],
    unchanged: Iterable[str],
    not_copied: Iterable[str] = (),
    notes: Iterable[str] = (),
    data_changes: Iterable[str] = (),
) -> dict[str, list[str]]:
    """What a summary lists after the contract's own, by title; those without items are not shown."""
    return {
        "Files that can never be outputs": [str(refusal) for refusal in refused],
        "Files that were there before and that the job did not change, so that they are not its outputs": [*unchanged],
        "Files of the study not copied": [*not_copied],
        "Notes": [*notes],
        "Data changed since this action last ran": [*data_changes],
    }


def table(rows: Mapping[str, str]) -> list[str]:
    """Two columns, sorted: `  path  - text`."""
    width = max(map(len, rows), default=0)
    return [f"  {path:<{width}}  - {text}" for path, text in sorted(rows.items())]


def cut_note(left_out: int, limit: int) -> str:
    """The line that says a log was cut. Sizes in bytes."""
    return f"\nThis log was longer than {limit} bytes: {left_out} bytes between its head and its tail were left out.\n"


def write_log(path: Path, copy_lines: CopyLines | None, max_bytes: int, trailer: str) -> None:
    """Write a job's log: what `copy_lines` gives of its process, at most `max_bytes` of it, then the trailer.

    `copy_lines(write, max_bytes)` returns how many bytes it left out; None where there was no process.
    """
    with path.open("wb") as log:
        left_out = copy_lines(log.write, max_bytes) if copy_lines else 0
        if left_out:
            log.write(cut_note(left_out, max_bytes).encode())
        log.write(trailer.encode())


_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\S+ ")
_SEPARATOR = re.compile(r"[,;\t|]|(?<=\S)\s{2,}(?=\S)")


def longest_table(lines: Iterable[str]) -> int:
    """Lines in the longest run that each have the same number (two or more) of cells."""
    texts = (_TIMESTAMP.sub("", line).strip() for line in lines)
    cells = (len(_SEPARATOR.split(text)) if text else 0 for text in texts)
    return max((sum(1 for _ in run) for count, run in groupby(cells) if count > 1), default=0)


def write_level4_copy(
    source: Path, target: Path, secrets: Iterable[str], check: Callable[[], None] = lambda: None
) -> None:
    """Write the copy of the log `source` for level 4, as UTF-8: secrets redacted, with a note at its head when it holds
    a long table.

    Bytes that are no UTF-8 are shown escaped; where they are more than a quarter, so that the copy would be much longer
    than the log, as `?`. Read in blocks, with `check` called between them: memory does not grow with the log.
    """
    forms = {spelling.encode() for spelling in spellings(secrets)}
    with source.open("rb") as log:
        rows = longest_table(_read_lines(log, check))
        unknown = sum(text.count(UNKNOWN) for text in _read_texts(log, forms, "replace", check))
        few = 4 * unknown <= os.fstat(log.fileno()).st_size
        with target.open("wb") as copy:
            if rows >= LONG_TABLE:
                copy.write(f"NOTE FOR OUTPUT CHECKERS: this log holds a table of {rows} lines.\n".encode())
            for text in _read_texts(log, forms, "backslashreplace" if few else "replace", check):
                copy.write((text if few else text.replace(UNKNOWN, "?")).encode())


def _read_texts(log: BinaryIO, forms: set[bytes], errors: str, check: Callable[[], None]) -> Iterator[str]:
    """The log from its start in blocks, redacted and decoded."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    log.seek(0)
    for block in _redacted(_read_blocks(log, check), forms):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _read_blocks(log: BinaryIO, check: Callable[[], None]) -> Iterator[bytes]:
    while block := log.read(BLOCK):
        check()
        yield block


def _redacted(blocks: Iterable[bytes], forms: set[bytes]) -> Iterator[bytes]:
    """The same bytes with each secret replaced, also one that lies across two blocks."""
    if not forms:
        yield from blocks
        return
    pattern = re.compile(b"|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
    longest = max(map(len, forms))
    rest = b""
    for block in blocks:
        data = rest + block
        parts, end = [], 0
        for match in pattern.finditer(data):
            if match.end() > len(data) - longest:  # a longer one may begin here
                break
            parts += [data[end : match.start()], REDACTED.encode()]
            end = match.end()
        cut = max(end, len(data) - 2 * longest)
        parts.append(data[end:cut])
        rest = data[cut:]
        yield b"".join(parts)
    yield pattern.sub(REDACTED.encode(), rest)


def _read_lines(log: BinaryIO, check: Callable[[], None]) -> Iterator[str]:
    """The log's lines; of a very long one its beginning, which tells whether it is a table's."""
    log.seek(0)
    begun, checked = False, 0
    while line := log.readline(LONGEST_LINE):
        if log.tell() - checked > BLOCK:
            check()
            checked = log.tell()
        if not begun:
            yield line.decode(errors="replace")
        begun = not line.endswith(b"\n")
