"""A job's log file: the container's lines, then the summary (agent.md 4.6), and its redacted copy for level 4."""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

JOB_SUMMARY = "=============JOB SUMMARY============="
REDACTED = "[REDACTED]"
LONG_TABLE = 50
"""Lines of one table in a log that make it worth a note to the output checker."""
_SHORTEST_SECRET = 4


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


def table(rows: Mapping[str, str]) -> list[str]:
    """Two columns, sorted: `  path  - text`."""
    width = max(map(len, rows), default=0)
    return [f"  {path:<{width}}  - {text}" for path, text in sorted(rows.items())]


def cut_note(left_out: int, limit: int) -> str:
    """The line that says a log was cut. Sizes in bytes."""
    return f"\nThis log was longer than {limit} bytes: {left_out} bytes between its head and its tail were left out.\n"


def secrets_of_url(url: str) -> set[str]:
    """A database URL, and its password alone, as they may turn up in a log."""
    password = urlsplit(url).password
    return {url, unquote(password)} if password else {url}


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with each secret of four characters or more, and its percent-encoded form, replaced by `[REDACTED]`."""
    known = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
    forms = known | {quote(secret, safe="") for secret in known}
    for secret in sorted(forms, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


def level4_log(text: str, secrets: Iterable[str]) -> str:
    """The copy of a log for level 4: secrets redacted, with a note at its head when it holds a long table."""
    lines = longest_table(text.splitlines())
    note = f"NOTE FOR OUTPUT CHECKERS: this log holds a table of {lines} lines.\n" if lines >= LONG_TABLE else ""
    return note + redact(text, secrets)


_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\S+ ")
_SEPARATOR = re.compile(r"[,;\t|]|(?<=\S)\s{2,}(?=\S)")


def longest_table(lines: Iterable[str]) -> int:
    """Lines in the longest run that each have the same number (two or more) of cells."""
    cells = (_cells(_TIMESTAMP.sub("", line)) for line in lines)
    return max((sum(1 for _ in run) for count, run in groupby(cells) if count > 1), default=0)


def _cells(line: str) -> int:
    return len(_SEPARATOR.split(line.strip())) if line.strip() else 0


def level4_copy_of(source: Path, secrets: Iterable[str]) -> bytes:
    """Read the log `source` and return its level 4 copy as UTF-8; bytes that are no UTF-8 are shown escaped."""
    return level4_log(source.read_bytes().decode(errors="backslashreplace"), secrets).encode()
